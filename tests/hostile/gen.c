// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/vm_sockets.h>

#include "gen.h"
#include "met.h"
#include "ports.h"

static const uint32_t lengths[] = {
	0, 1, 2, 43, 44, 45, 63, 64, 128, 129, 1000, 3732, 3733, 4095, 4096,
	4097, 16384, 32384, 32385, 32767, 32768, 65492, 65535, 65536,
};
/* Most are short, or the host would only copy */
static const uint32_t short_lengths[] = { 0, 1, 2, 44, 64, 128, 129, 300 };
/* For every field that is a number to the host */
static const uint32_t numbers[] = {
	0, 1, 2, 44, 255, 4096, 65535, 65536, 65537, 262143, 262144, 262145,
	0x7fffffff, 0x80000000, 0xfffeffff, 0xffffffd4, 0xfffffffe, 0xffffffff,
};
static const uint64_t cids[] = {
	0, 1, VMADDR_CID_HOST, 3, 42, 0xffffffff, 0x100000002,
	0x8000000000000000, 0xffffffffffffffff,
};

static uint32_t pick_length(struct rng *rng)
{
	return rng_one_in(rng, 16) ? rng_pick(rng, lengths) :
				     rng_pick(rng, short_lengths);
}

static struct packet *script(struct gen *gen, uint16_t type, uint16_t op,
			     uint32_t src_port, uint32_t dst_port,
			     uint32_t len)
{
	struct packet *pkt = &gen->script[gen->scripted++];

	*pkt = (struct packet){
		.hdr = {
			.src_cid = htole64(gen->cid),
			.dst_cid = htole64(VMADDR_CID_HOST),
			.src_port = htole32(src_port),
			.dst_port = htole32(dst_port),
			.len = htole32(len),
			.type = htole16(type),
			.op = htole16(op),
			.buf_alloc = htole32(262144),
		},
		.payload = len,
	};
	return pkt;
}

static struct packet *script_slot(struct gen *gen, struct slot *slot,
				  uint16_t op, uint32_t len)
{
	return script(gen, slot->type, op, slot->port, slot->server, len);
}

static struct slot *any_slot(struct gen *gen)
{
	return &gen->slots[rng_below(&gen->rng, NR_SLOTS)];
}

static void act_connect(struct gen *gen)
{
	struct slot *slot = any_slot(gen);
	bool seq = rng_one_in(&gen->rng, 2);

	*slot = (struct slot){
		.port = gen->next_port++,
		.server = gen->server + (seq ? PORT_SEQPACKET : PORT_STREAM),
		.type = seq ? VIRTIO_VSOCK_TYPE_SEQPACKET :
			      VIRTIO_VSOCK_TYPE_STREAM,
	};
	script_slot(gen, slot, VIRTIO_VSOCK_OP_REQUEST, 0);
	/* Does the host expect the first byte that early? */
	if (rng_one_in(&gen->rng, 2))
		script_slot(gen, slot, VIRTIO_VSOCK_OP_RW,
			    rng_pick(&gen->rng, short_lengths));
}

/* Accept one that the host dials now and then */
static void act_accept(struct gen *gen)
{
	unsigned int i = rng_below(&gen->rng, NR_DIALLED);
	struct slot *slot = any_slot(gen);

	*slot = (struct slot){
		.port = gen->server + PORTS_DIALLED + i,
		.server = gen->server + PORTS_DIALLED + i,
		.type = i & 1 ? VIRTIO_VSOCK_TYPE_SEQPACKET :
				VIRTIO_VSOCK_TYPE_STREAM,
	};
	script_slot(gen, slot, VIRTIO_VSOCK_OP_RESPONSE, 0);
}

static void act_data(struct gen *gen)
{
	struct slot *slot = any_slot(gen);
	unsigned int n = 1 + rng_below(&gen->rng, 16);
	struct packet *pkt;

	while (n--) {
		pkt = script_slot(gen, slot, VIRTIO_VSOCK_OP_RW,
				  pick_length(&gen->rng));
		pkt->hdr.flags = htole32(rng_below(&gen->rng, 4));
		slot->sent += pkt->payload;
	}
}

/* Messages of nothing, and bytes that pin much more than they are */
static void act_pin(struct gen *gen)
{
	struct slot *slot = any_slot(gen);
	unsigned int n = 1 + rng_below(&gen->rng, 16);
	struct packet *pkt;

	while (n--) {
		pkt = script_slot(gen, slot, VIRTIO_VSOCK_OP_RW,
				  rng_below(&gen->rng, 200));
		pkt->payload = rng_one_in(&gen->rng, 2) ? 32768 : 65536;
		pkt->hdr.flags = htole32(rng_below(&gen->rng, 4));
	}
}

static void act_credit(struct gen *gen)
{
	struct slot *slot = any_slot(gen);
	unsigned int n = 1 + rng_below(&gen->rng, 4);
	struct packet *pkt;

	while (n--) {
		pkt = script_slot(gen, slot, rng_one_in(&gen->rng, 2) ?
				  VIRTIO_VSOCK_OP_CREDIT_UPDATE :
				  VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0);
		pkt->hdr.buf_alloc = htole32(rng_pick(&gen->rng, numbers));
		pkt->hdr.fwd_cnt = htole32(rng_pick(&gen->rng, numbers));
	}
}

static void act_shutdown(struct gen *gen)
{
	struct packet *pkt;

	pkt = script_slot(gen, any_slot(gen), VIRTIO_VSOCK_OP_SHUTDOWN, 0);
	pkt->hdr.flags = htole32(rng_below(&gen->rng, 5));
}

static void act_rst(struct gen *gen)
{
	script_slot(gen, any_slot(gen), VIRTIO_VSOCK_OP_RST, 0);
}

static uint32_t dgram_port(struct gen *gen)
{
	static const uint32_t ports[] = {
		PORT_DGRAM, PORT_DGRAM, PORT_DGRAM_UNREAD, PORT_STREAM,
		NR_PORTS,
	};

	return gen->server + rng_pick(&gen->rng, ports);
}

/* Whole: in a piece buf_alloc is the length of all, fwd_cnt what was before */
static struct packet *script_dgram(struct gen *gen, uint32_t src_port,
				   uint32_t dst_port, uint32_t len)
{
	struct packet *pkt = script(gen, VSOCK_TYPE_DGRAM, VIRTIO_VSOCK_OP_RW,
				    src_port, dst_port, len);

	pkt->hdr.buf_alloc = 0;
	return pkt;
}

static void act_dgram(struct gen *gen)
{
	unsigned int n = 1 + rng_below(&gen->rng, 8);
	uint32_t port = dgram_port(gen);

	while (n--)
		script_dgram(gen, rng_below(&gen->rng, 4), port,
			     pick_length(&gen->rng));
}

static void script_piece(struct gen *gen, uint32_t port, uint32_t total,
			 uint32_t at, uint32_t len)
{
	struct packet *pkt = script_dgram(gen, 1, port, len);

	pkt->hdr.buf_alloc = htole32(total);
	pkt->hdr.fwd_cnt = htole32(at);
}

/* The host cuts datagrams for guests that way and has to ignore it here */
static void act_pieces(struct gen *gen)
{
	uint32_t total = rng_pick(&gen->rng, numbers), at = 0;
	unsigned int n = 1 + rng_below(&gen->rng, 12);
	uint32_t len = 1 + rng_below(&gen->rng, 300);
	uint32_t port = dgram_port(gen);

	while (n--) {
		script_piece(gen, port, total, at, len);
		switch (rng_below(&gen->rng, 8)) {
		case 0:		/* again */
			break;
		case 1:		/* overlapping */
			at += len / 2;
			break;
		case 2:		/* out of order, or far outside */
			at = rng_pick(&gen->rng, numbers);
			break;
		default:
			at += len;
		}
	}
}

/* What goes wrong with one of the @n pieces */
static void disturb(struct gen *gen, struct packet *pieces, unsigned int n)
{
	unsigned int i = rng_below(&gen->rng, n);
	struct packet *pkt = &pieces[i], *other = &pieces[(i + 1) % n], kept;

	switch (rng_below(&gen->rng, 5)) {
	case 0:		/* it is left out */
		memmove(pkt, pkt + 1, (n - i - 1) * sizeof(*pkt));
		gen->scripted--;
		break;
	case 1:		/* again */
		memmove(pkt + 1, pkt, (n - i) * sizeof(*pkt));
		gen->scripted++;
		break;
	case 2:		/* out of order */
		kept = *pkt;
		*pkt = *other;
		*other = kept;
		break;
	case 3:
		pkt->hdr.buf_alloc = htole32(rng_pick(&gen->rng, numbers));
		break;
	case 4:		/* of another socket */
		pkt->hdr.src_port = htole32(2);
		break;
	}
}

/* Pieces that make a datagram, or would if not for one mistake */
static void act_whole(struct gen *gen)
{
	uint32_t most = rng_one_in(&gen->rng, 2) ? MAX_PAYLOAD : MAX_PIECE;
	uint32_t total = 3 + rng_below(&gen->rng, most - 2);
	unsigned int n = 2 + rng_below(&gen->rng, MAX_PIECES - 1);
	uint32_t port = gen->server + PORT_DGRAM, len = total / n + 1, at;

	if (len > MAX_PIECE)
		len = MAX_PIECE;
	for (at = 0; at < total; at += len)
		script_piece(gen, port, total, at,
			     total - at < len ? total - at : len);
	if (rng_one_in(&gen->rng, 2))
		disturb(gen, gen->script, gen->scripted);
}

/* To ports where nobody listens: each of them wants an answer */
static void act_storm(struct gen *gen)
{
	static const uint16_t ops[] = {
		VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RW,
		VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_RESPONSE,
	};
	unsigned int n = 1 + rng_below(&gen->rng, 32);
	uint16_t op = rng_pick(&gen->rng, ops);
	bool listener = rng_one_in(&gen->rng, 4);

	while (n--)
		script(gen, VIRTIO_VSOCK_TYPE_STREAM, op, rng_next(&gen->rng),
		       listener ? gen->server : rng_next(&gen->rng), 0);
}

/* In the name of the other guest, about its connection */
static void act_impersonate(struct gen *gen)
{
	static const uint16_t ops[] = {
		VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_SHUTDOWN,
		VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_CREDIT_UPDATE,
	};
	unsigned int n = 1 + rng_below(&gen->rng, 32);
	struct packet *pkt;

	while (n--) {
		pkt = script(gen, VIRTIO_VSOCK_TYPE_STREAM,
			     rng_pick(&gen->rng, ops),
			     1024 + rng_below(&gen->rng, 64),
			     gen->server + PORT_ECHO, 1);
		pkt->hdr.flags = htole32(3);
		if (rng_one_in(&gen->rng, 8))
			pkt->hdr.dst_cid = htole64(gen->victim);
		else
			pkt->hdr.src_cid = htole64(gen->victim);
	}
}

/* Every type with every operation, for a connection or for no one */
static void act_noise(struct gen *gen)
{
	static const uint16_t types[] = { 0, 1, 2, 3, 4, 5, 255, 65535 };
	struct slot *slot = any_slot(gen);
	struct packet *pkt;

	pkt = script(gen, rng_pick(&gen->rng, types),
		     rng_one_in(&gen->rng, 16) ? rng_next(&gen->rng) :
						 rng_below(&gen->rng, 10),
		     slot->port, rng_one_in(&gen->rng, 2) ? slot->server :
		     gen->server + rng_below(&gen->rng, NR_HOSTILE_PORTS),
		     pick_length(&gen->rng));
	pkt->hdr.flags = htole32(rng_one_in(&gen->rng, 4) ?
				 rng_next(&gen->rng) :
				 rng_below(&gen->rng, 8));
	pkt->hdr.buf_alloc = htole32(rng_pick(&gen->rng, numbers));
	pkt->hdr.fwd_cnt = htole32(rng_pick(&gen->rng, numbers));
}

/* All combinations in turn, for a connection or for who takes datagrams */
static void act_each(struct gen *gen)
{
	struct slot *slot = any_slot(gen);
	unsigned int n = 16;
	struct packet *pkt;

	while (n--) {
		pkt = script_slot(gen, slot, VIRTIO_VSOCK_OP_RW, 0);
		met_example(gen->combination++ % MET_ALL, rng_next(&gen->rng),
			    &pkt->hdr);
		pkt->payload = le32toh(pkt->hdr.len);
		if (pkt->hdr.type == htole16(VSOCK_TYPE_DGRAM)) {
			pkt->hdr.dst_port = htole32(gen->server + PORT_DGRAM);
			pkt->hdr.buf_alloc = 0;
		}
	}
}

static void (*const acts[])(struct gen *gen) = {
	act_connect, act_connect, act_accept, act_accept, act_data, act_data,
	act_data, act_pin, act_credit, act_shutdown, act_rst, act_dgram,
	act_dgram, act_pieces, act_whole, act_storm, act_impersonate,
	act_noise, act_noise, act_noise, act_noise, act_each,
};

/* Somebody else's address, in one direction or in both */
static void lie_cid(struct gen *gen, struct packet *pkt)
{
	uint64_t cid = rng_one_in(&gen->rng, 4) ? gen->victim :
						  rng_pick(&gen->rng, cids);

	if (rng_one_in(&gen->rng, 2))
		pkt->hdr.src_cid = htole64(cid);
	else
		pkt->hdr.dst_cid = htole64(cid);
}

static void lie_len(struct gen *gen, struct packet *pkt)
{
	if (rng_one_in(&gen->rng, 2))
		pkt->hdr.len = htole32(rng_pick(&gen->rng, numbers));
	else
		pkt->payload = rng_pick(&gen->rng, lengths);
}

static void lie_credit(struct gen *gen, struct packet *pkt)
{
	pkt->hdr.buf_alloc = htole32(rng_pick(&gen->rng, numbers));
	pkt->hdr.fwd_cnt = htole32(rng_next(&gen->rng));
}

static void lie_flags(struct gen *gen, struct packet *pkt)
{
	pkt->hdr.flags = htole32(rng_next(&gen->rng));
}

static void (*const lies[])(struct gen *gen, struct packet *pkt) = {
	lie_cid, lie_len, lie_credit, lie_flags,
};

void gen_init(struct gen *gen, uint64_t seed, uint64_t cid, uint64_t victim,
	      uint32_t server)
{
	*gen = (struct gen){
		.rng.state = seed,
		.cid = cid,
		.victim = victim,
		.server = server,
		.next_port = 1024,
	};
}

bool gen_is_piece(const struct packet *pkt)
{
	return pkt->hdr.type == htole16(VSOCK_TYPE_DGRAM) &&
	       le32toh(pkt->hdr.buf_alloc) > le32toh(pkt->hdr.len);
}

bool gen_is_heard(const struct gen *gen, const struct packet *pkt)
{
	return pkt->hdr.src_cid == htole64(gen->cid) &&
	       pkt->hdr.dst_cid == htole64(VMADDR_CID_HOST) &&
	       le32toh(pkt->hdr.len) <= pkt->payload;
}

uint64_t gen_features(struct rng *rng)
{
	static const int bits[] = {
		VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX,
		VIRTIO_F_NOTIFY_ON_EMPTY, VIRTIO_VSOCK_F_SEQPACKET,
		VSOCK_F_DGRAM,
	};
	uint64_t features = UINT64_C(1) << VIRTIO_F_VERSION_1;
	unsigned int i;

	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (!rng_one_in(rng, 4))
			features |= UINT64_C(1) << bits[i];
	return features;
}

void gen_packet(struct gen *gen, struct packet *pkt)
{
	if (gen->told == gen->scripted) {
		gen->told = 0;
		gen->scripted = 0;
		rng_pick(&gen->rng, acts)(gen);
	}
	*pkt = gen->script[gen->told++];
	if (rng_one_in(&gen->rng, 8))
		rng_pick(&gen->rng, lies)(gen, pkt);
	if (rng_one_in(&gen->rng, 4))
		pkt->layout = rng_below(&gen->rng, NR_LAYOUTS);
}
