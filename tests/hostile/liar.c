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

#define HDR_LEN		((uint32_t)sizeof(struct virtio_vsock_hdr))
#define QUIET_MS	5	/* between looks at a ring that is empty */
#define BATCH		64

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
	       cid == htole64(VMADDR_CID_HOST) ? htole64(liar->cid) : cid;
}

/* How much of the buffer is said to be filled, mostly as much as is */
static uint32_t used_len(struct liar *liar, uint32_t filled)
{
	static const uint32_t lies[] = {
		0, 1, HDR_LEN - 1, HDR_LEN, 4096, 65536, 0x7fffffff,
		0xffffffff,
	};

	return rng_one_in(&liar->gen.rng, 32) ? rng_pick(&liar->gen.rng, lies) :
						filled;
}

static void say_one(struct liar *liar, const struct user_buf *buf)
{
	uint32_t room = buf->len < HDR_LEN ? 0 : buf->len - HDR_LEN;
	struct packet pkt;

	gen_packet(&liar->gen, &pkt);
	pkt.hdr.src_cid = turn(liar, pkt.hdr.src_cid);
	pkt.hdr.dst_cid = turn(liar, pkt.hdr.dst_cid);
	if (pkt.payload > room)
		pkt.payload = room;
	if (buf->len >= HDR_LEN) {
		memcpy(buf->data, &pkt.hdr, HDR_LEN);
		memset(buf->data + HDR_LEN, 'x', pkt.payload);
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
	struct virtio_vsock_hdr out = *hdr;
	struct user_buf buf;

	if (hdr->op != htole16(VIRTIO_VSOCK_OP_REQUEST) ||
	    rng_one_in(&liar->gen.rng, 4) ||
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

static void wedge(struct liar *liar)
{
	bool rx = rng_one_in(&liar->gen.rng, 2);
	struct user_ring *ring = &liar->user.rings[rx ? USER_RX : USER_TX];
	uint16_t last = ring->used - 1;

	switch (rng_below(&liar->gen.rng, NR_LIES)) {
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
	printf("wedged %" PRIu64 ", %" PRIu64 " packets\n", liar->wedges,
	       liar->sent);
	fflush(stdout);
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
	struct user_buf buf;

	if (!ring->on || !user_take(&liar->user, ring, &buf))
		return;
	event.id = htole32(rng_pick(&liar->gen.rng, ids));
	if (buf.len >= sizeof(event))
		memcpy(buf.data, &event, sizeof(event));
	user_give(ring, buf.head, used_len(liar, sizeof(event)));
	user_call(ring);
	liar->events++;
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
	n += say(liar);
	if (n && rng_one_in(&liar->gen.rng, 100))
		tell(liar);
	if (before && liar->sent >= liar->packets) {
		printf("done, %" PRIu64 " packets, %" PRIu64 " heard, %" PRIu64
		       " wedges, %" PRIu64 " events\n", liar->sent,
		       liar->heard, liar->wedges, liar->events);
		fflush(stdout);
	} else if (before && n && rng_one_in(&liar->gen.rng, 200)) {
		wedge(liar);
	}
	return n;
}

int liar_run(struct liar *liar)
{
	struct pollfd pfd = { .events = POLLIN };
	bool busy = false;
	int err;

	/* Nobody else's CID is in this guest */
	gen_init(&liar->gen, liar->seed, liar->cid + 1000, liar->cid + 1,
		 liar->server);
	err = user_accept(&liar->user, liar->path, liar->cid);
	pfd.fd = liar->user.conn;
	while (!err) {
		if (poll(&pfd, 1, busy ? 0 : QUIET_MS) < 0)
			return -errno;
		if (pfd.revents)
			err = user_answer(&liar->user);
		busy = work(liar);
	}
	close(liar->user.conn);
	return err == -ECONNRESET ? 0 : err;
}
