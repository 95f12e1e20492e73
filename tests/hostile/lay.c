// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "lay.h"

#define HDR_LEN		((uint32_t)sizeof(struct virtio_vsock_hdr))
#define MAX_CUTS	TABLE_NUM

struct pieces {
	struct vring_desc desc[MAX_CUTS];
	unsigned int n;
};

void lay_payload(struct device *dev)
{
	uint32_t at;

	for (at = 0; at < PAYLOAD_SIZE; at++)
		*(uint8_t *)guest_mem(dev, PAYLOAD_AT + at) = at * 7 + at / 251;
}

static void add(struct pieces *p, uint64_t addr, uint32_t len)
{
	p->desc[p->n++] = (struct vring_desc){ .addr = addr, .len = len };
}

/* @len bytes at @addr as @n descriptors, at most half of all */
static void add_cut(struct pieces *p, uint64_t addr, uint32_t len,
		    unsigned int n)
{
	uint32_t part = len / n;

	for (; n > 1; n--, addr += part, len -= part)
		add(p, addr, part);
	add(p, addr, len);
}

static void cut(struct pieces *p, const struct packet *pkt, uint32_t header)
{
	switch (pkt->layout) {
	case LAY_PIECES:
		add_cut(p, header, HDR_LEN, 5);
		add_cut(p, PAYLOAD_AT, pkt->payload, 7);
		break;
	case LAY_EMPTIES:
		add(p, header, 0);
		add(p, header, HDR_LEN);
		add(p, PAYLOAD_AT, 0);
		add(p, PAYLOAD_AT, pkt->payload);
		add(p, 0, 0);
		break;
	case LAY_SHORT:
		add(p, header, pkt->payload % HDR_LEN);
		break;
	case LAY_HUGE:
		add(p, header, HDR_LEN);
		add(p, PAYLOAD_AT, MAX_PAYLOAD + 1 + pkt->payload / 2);
		break;
	default:
		add(p, header, HDR_LEN);
		if (pkt->payload)
			add(p, PAYLOAD_AT, pkt->payload);
	}
}

static void chain(struct vring_desc *to, unsigned int first,
		  struct pieces *p, uint16_t flags)
{
	unsigned int i;

	for (i = 0; i < p->n; i++) {
		p->desc[i].flags = flags |
			(i + 1 < p->n ? VRING_DESC_F_NEXT : 0);
		p->desc[i].next = first + i + 1;
		to[first + i] = p->desc[i];
	}
}

bool lay_room(const struct batch *batch)
{
	return batch->taken + MAX_CUTS < RING_NUM;
}

void lay_packet(struct batch *batch, const struct packet *pkt)
{
	struct vring_desc *ring = batch->dev->tx.vring.desc;
	uint16_t head = batch->taken;
	uint32_t header = HEADERS_AT + head * HEADER_STRIDE;
	uint32_t table = TABLES_AT + head * TABLE_NUM * sizeof(*ring);
	struct pieces p = {};

	memcpy(guest_mem(batch->dev, header), &pkt->hdr, HDR_LEN);
	cut(&p, pkt, header);
	if (pkt->layout == LAY_ONE_TABLE) {
		chain(guest_mem(batch->dev, table), 0, &p, 0);
		ring[head] = (struct vring_desc){
			.addr = table,
			.len = p.n * sizeof(*ring),
			.flags = VRING_DESC_F_INDIRECT,
		};
		batch->taken++;
	} else {
		chain(ring, head, &p, pkt->layout == LAY_WRITABLE ?
		      VRING_DESC_F_WRITE : 0);
		batch->taken += p.n;
	}
	ring_offer(&batch->dev->tx, head);
}

uint16_t lay_marker(struct batch *batch)
{
	uint16_t head = batch->taken++;
	uint32_t header = HEADERS_AT + head * HEADER_STRIDE;

	/* From nobody to nobody */
	memset(guest_mem(batch->dev, header), 0, HDR_LEN);
	batch->dev->tx.vring.desc[head] = (struct vring_desc){
		.addr = header, .len = HDR_LEN,
	};
	ring_offer(&batch->dev->tx, head);
	return head;
}

/* The first descriptor of each is 0; @flags are those of an honest one */
static void wedge_chain(struct vring_desc *desc, enum wedge kind,
			uint16_t flags)
{
	unsigned int i;

	desc[0] = (struct vring_desc){
		.addr = HEADERS_AT, .len = HDR_LEN, .flags = flags,
	};
	switch (kind) {
	case WEDGE_LOOP:
		desc[0].flags |= VRING_DESC_F_NEXT;
		break;
	case WEDGE_LONG_LOOP:
		for (i = 0; i < RING_NUM; i++) {
			desc[i] = desc[0];
			desc[i].len = 0;
			desc[i].flags = flags | VRING_DESC_F_NEXT;
			desc[i].next = (i + 1) % RING_NUM;
		}
		break;
	case WEDGE_NEXT:
		desc[0].flags |= VRING_DESC_F_NEXT;
		desc[0].next = RING_NUM;
		break;
	case WEDGE_NOWHERE:
		desc[0].addr = MEM_SIZE;
		break;
	case WEDGE_WRAP:
		desc[0].addr = -(uint64_t)HDR_LEN / 2;
		break;
	case WEDGE_BORDER:
		desc[0].addr = MEM_SIZE - 1;
		break;
	case WEDGE_ORDER:
		desc[1] = desc[0];
		desc[0].flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT;
		desc[0].next = 1;
		desc[1].flags = 0;
		break;
	default:
		break;
	}
}

static void wedge_table(struct device *dev, struct vring_desc *desc,
			enum wedge kind, uint16_t flags)
{
	struct vring_desc *table = guest_mem(dev, BIG_TABLE_AT);
	unsigned int i;

	desc[0] = (struct vring_desc){
		.addr = BIG_TABLE_AT,
		.len = sizeof(*table),
		.flags = VRING_DESC_F_INDIRECT,
	};
	table[0] = (struct vring_desc){
		.addr = HEADERS_AT, .len = HDR_LEN, .flags = flags,
	};
	switch (kind) {
	case WEDGE_TABLE_ODD:
		desc[0].len += sizeof(*table) / 2;
		break;
	case WEDGE_TABLE_EMPTY:
		desc[0].len = 0;
		break;
	case WEDGE_TABLE_HUGE:
		desc[0].len = (BIG_TABLE_NUM + 1) * sizeof(*table);
		break;
	case WEDGE_TABLE_NESTED:
		table[0].flags = VRING_DESC_F_INDIRECT;
		break;
	case WEDGE_TABLE_LOOP:
		table[0].flags |= VRING_DESC_F_NEXT;
		break;
	case WEDGE_TABLE_NOWHERE:
		desc[0].addr = 1ull << 40;
		break;
	default:	/* WEDGE_TABLE_EMPTIES */
		desc[0].len = BIG_TABLE_NUM * sizeof(*table);
		for (i = 0; i < BIG_TABLE_NUM; i++)
			table[i] = (struct vring_desc){
				.flags = flags | VRING_DESC_F_NEXT,
			};
		table[i - 1].flags = flags;
	}
}

void lay_wedge(struct device *dev, struct ring *ring, enum wedge kind)
{
	uint16_t flags = ring == &dev->rx ? VRING_DESC_F_WRITE : 0;

	if (kind >= WEDGE_TABLE_ODD && kind <= WEDGE_TABLE_EMPTIES)
		wedge_table(dev, ring->vring.desc, kind, flags);
	else
		wedge_chain(ring->vring.desc, kind, flags);
	ring_offer(ring, kind == WEDGE_HEAD ? RING_NUM : 0);
	if (kind == WEDGE_INDEX)
		ring->avail += RING_NUM;
	if (kind == WEDGE_INDEX_BACK)
		ring->avail -= 2;
	ring_kick(ring);
}
