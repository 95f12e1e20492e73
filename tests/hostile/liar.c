// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "liar.h"
#include "ports.h"

#define HDR_LEN		((uint32_t)sizeof(struct virtio_vsock_hdr))
#define QUIET_MS	5	/* between looks at a ring that is empty */
#define BATCH		64
/* Packets at most until a ring is wedged, so that a short run has some of that */
#define UNTIL_WEDGE	8000

/* What makes a guest give up a ring, until its driver starts it anew */
enum lie {
	LIE_BEYOND,		/* used: a buffer beyond the ring */
	LIE_TWICE,		/* one that was given back before */
	LIE_INDEX,		/* more used than was ever offered */
	LIE_INDEX_BACK,
	NR_LIES,
};

/* The generator is a guest; its host is the guest here */
static uint64_t turn(const struct liar *liar, uint64_t cid)
{
	return cid == htole64(liar->gen.cid) ? htole64(VMADDR_CID_HOST) :
	       cid == htole64(VMADDR_CID_HOST) ? htole64(liar->user.cid) : cid;
}

/* How much of the buffer is said to be filled, mostly as much as is */
static uint32_t used_len(struct liar *liar, uint32_t filled)
{
	static const uint32_t lies[] = {
		0, 1, HDR_LEN - 1, HDR_LEN, 4096, 65536, 0x7fffffff,
		0xffffffff,
	};

	return rng_one_in(&liar->rng, 32) ? rng_pick(&liar->rng, lies) : filled;
}

static void fill(uint8_t *payload, const struct packet *pkt)
{
	uint32_t at = le32toh(pkt->hdr.fwd_cnt), i;

	for (i = 0; i < pkt->payload; i++)
		payload[i] = gen_is_piece(pkt) ? gen_piece_byte(at + i) : 'x';
}

static void say_one(struct liar *liar, const struct user_buf *buf)
{
	uint32_t room = buf->len < HDR_LEN ? 0 : buf->len - HDR_LEN;
	struct packet pkt;

	gen_packet(&liar->gen, &pkt);
	if (pkt.payload > room)
		pkt.payload = room;
	if (gen_is_heard(&liar->gen, &pkt))
		met_note(&liar->met, &pkt.hdr);
	pkt.hdr.src_cid = turn(liar, pkt.hdr.src_cid);
	pkt.hdr.dst_cid = turn(liar, pkt.hdr.dst_cid);
	if (buf->len >= HDR_LEN) {
		memcpy(buf->data, &pkt.hdr, HDR_LEN);
		fill(buf->data + HDR_LEN, &pkt);
	}
	user_give(&liar->user.rings[USER_RX], buf->head,
		  used_len(liar, HDR_LEN + pkt.payload));
	liar->sent++;
}

static unsigned int say(struct liar *liar)
{
	struct user_ring *ring = &liar->user.rings[USER_RX];
	struct user_buf buf;
	unsigned int n = 0;

	while (n < BATCH && liar->sent < liar->packets &&
	       user_take(&liar->user, ring, &buf)) {
		say_one(liar, &buf);
		n++;
	}
	if (n)
		user_call(ring);
	return n;
}

/* An answer that a connection waits for, while there is somebody to say it to;
 * what else it gets are lies
 */
static void answer(struct liar *liar, const struct virtio_vsock_hdr *hdr)
{
	struct user_ring *ring = &liar->user.rings[USER_RX];
	bool witness = hdr->dst_port == htole32(liar->server + PORT_WITNESS);
	struct virtio_vsock_hdr out = *hdr;
	struct user_buf buf;

	liar->awaited |= witness;
	if (hdr->op != htole16(VIRTIO_VSOCK_OP_REQUEST) ||
	    (!witness && rng_one_in(&liar->rng, 4)) ||
	    !user_take(&liar->user, ring, &buf) || buf.len < HDR_LEN)
		return;
	out.src_cid = hdr->dst_cid;
	out.dst_cid = hdr->src_cid;
	out.src_port = hdr->dst_port;
	out.dst_port = hdr->src_port;
	out.op = htole16(VIRTIO_VSOCK_OP_RESPONSE);
	out.buf_alloc = htole32(262144);
	memcpy(buf.data, &out, HDR_LEN);
	user_give(ring, buf.head, HDR_LEN);
	user_call(ring);
}

static unsigned int hear(struct liar *liar)
{
	struct user_ring *ring = &liar->user.rings[USER_TX];
	struct virtio_vsock_hdr hdr;
	struct user_buf buf;
	unsigned int n = 0;

	while (n < BATCH && user_take(&liar->user, ring, &buf)) {
		if (buf.len >= HDR_LEN) {
			memcpy(&hdr, buf.data, HDR_LEN);
			answer(liar, &hdr);
		}
		/* Nothing was written, whatever it says */
		user_give(ring, buf.head, used_len(liar, 0));
		n++;
	}
	if (n)
		user_call(ring);
	liar->heard += n;
	return n;
}

static void plan_wedge(struct liar *liar)
{
	liar->next_wedge = liar->sent + rng_below(&liar->rng, UNTIL_WEDGE);
}

static void wedge(struct liar *liar)
{
	bool rx = rng_one_in(&liar->rng, 2);
	struct user_ring *ring = &liar->user.rings[rx ? USER_RX : USER_TX];
	uint16_t last = ring->used - 1;

	switch (rng_below(&liar->rng, NR_LIES)) {
	case LIE_BEYOND:
		user_give(ring, ring->vring.num + 5, HDR_LEN);
		break;
	case LIE_TWICE:
		user_give(ring, ring->vring.used->ring[last % ring->vring.num]
			  .id, HDR_LEN);
		break;
	case LIE_INDEX:
		ring->used += 3 * ring->vring.num;
		break;
	case LIE_INDEX_BACK:
		ring->used -= 2;
		break;
	}
	user_call(ring);
	liar->wedges++;
	liar->wedged = liar->user.starts + 1;
	plan_wedge(liar);
	printf("wedged %" PRIu64 ", %" PRIu64 " packets\n", liar->wedges,
	       liar->sent);
	fflush(stdout);
}

/* Another one, of eight that the generator does not take for the other guest's,
 * or now and then one that no guest has
 */
static uint64_t pick_cid(struct liar *liar)
{
	static const uint64_t none[] = {
		0, 1, VMADDR_CID_HOST, 0xffffffff, 0x100000002,
	};

	return rng_one_in(&liar->rng, 8) ? rng_pick(&liar->rng, none) :
	       liar->cid + 2 * rng_below(&liar->rng, 8);
}

/* That the guest has migrated, so its connections are no more; or nonsense */
static void tell(struct liar *liar)
{
	static const uint32_t ids[] = {
		VIRTIO_VSOCK_EVENT_TRANSPORT_RESET,
		VIRTIO_VSOCK_EVENT_TRANSPORT_RESET, 1, 0xffffffff,
	};
	struct user_ring *ring = &liar->user.rings[USER_EVENT];
	struct virtio_vsock_event event;
	uint32_t len = used_len(liar, sizeof(event));
	struct user_buf buf;

	if (!ring->on || !user_take(&liar->user, ring, &buf))
		return;
	event.id = htole32(rng_pick(&liar->rng, ids));
	if (buf.len >= sizeof(event))
		memcpy(buf.data, &event, sizeof(event));
	/* The guest asks for its CID if it takes this for a reset */
	if (event.id == htole32(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET) &&
	    len == sizeof(event))
		liar->user.cid = pick_cid(liar);
	user_give(ring, buf.head, len);
	user_call(ring);
	liar->events++;
}

/* Is the guest's CID one that it can work with? */
static bool has_place(const struct liar *liar)
{
	return liar->user.cid >= liar->cid && liar->user.cid < liar->gen.cid;
}

static void started(struct liar *liar)
{
	uint64_t features = liar->user.features;

	liar->starts++;
	liar->with_dgram += features >> VSOCK_F_DGRAM & 1;
	liar->with_seqpacket += features >> VIRTIO_VSOCK_F_SEQPACKET & 1;
	liar->with_event_idx += features >> VIRTIO_RING_F_EVENT_IDX & 1;
}

static void init_gen(const struct liar *liar, struct gen *gen)
{
	/* Nobody else's CID is in this guest */
	gen_init(gen, liar->seed, liar->cid + 1000, liar->cid + 1,
		 liar->server);
}

/* How many packets, if the seed alone leads to where this generator is; none
 * if it does not
 */
static uint64_t repeated(const struct liar *liar)
{
	struct packet pkt;
	struct gen again;
	uint64_t n;

	init_gen(liar, &again);
	for (n = 0; n < liar->sent; n++)
		gen_packet(&again, &pkt);
	return again.rng.state == liar->gen.rng.state ? n : 0;
}

static void report(const struct liar *liar)
{
	printf("of %" PRIu64 " starts %" PRIu64 " with datagrams, %" PRIu64
	       " with seqpacket, %" PRIu64 " with event indices\n",
	       liar->starts, liar->with_dgram, liar->with_seqpacket,
	       liar->with_event_idx);
	met_print(&liar->met, MET_FOR_GUESTS);
	printf("%" PRIu64 " repeated by the seed\n", repeated(liar));
	printf("done, %" PRIu64 " packets, %" PRIu64 " heard, %" PRIu64
	       " wedges, %" PRIu64 " events\n", liar->sent, liar->heard,
	       liar->wedges, liar->events);
	fflush(stdout);
}

/* Whether there was anything to do */
static bool work(struct liar *liar)
{
	bool before = liar->sent < liar->packets;
	unsigned int n;

	if (!user_runs(&liar->user) ||
	    liar->wedged == liar->user.starts + 1)
		return false;
	n = hear(liar);
	if (!liar->awaited)
		return n;
	n += say(liar);
	if (n && rng_one_in(&liar->rng, has_place(liar) ? 100 : 4))
		tell(liar);
	if (before && liar->sent >= liar->packets)
		report(liar);
	else if (before && liar->sent >= liar->next_wedge)
		wedge(liar);
	return n;
}

/* Until QEMU is gone, which is -ECONNRESET, or the like */
static int serve(struct liar *liar)
{
	struct pollfd pfd = { .fd = liar->user.conn, .events = POLLIN };
	unsigned int starts = liar->user.starts;
	bool busy = false;
	int err = 0;

	while (!err) {
		if (poll(&pfd, 1, busy ? 0 : QUIET_MS) < 0)
			return -errno;
		if (pfd.revents)
			err = user_answer(&liar->user);
		if (liar->user.starts != starts)
			started(liar);
		starts = liar->user.starts;
		busy = work(liar);
	}
	return err;
}

int liar_run(struct liar *liar)
{
	int err;

	init_gen(liar, &liar->gen);
	liar->rng.state = ~liar->seed;
	plan_wedge(liar);
	err = user_listen(&liar->user, liar->path);
	while (!err) {
		err = user_accept(&liar->user, liar->cid,
				  gen_features(&liar->rng));
		if (!err)
			err = serve(liar);
		user_forget(&liar->user);
		err = err == -ECONNRESET ? 0 : err;
	}
	return err;
}
