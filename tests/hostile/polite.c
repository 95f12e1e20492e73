// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "gen.h"
#include "polite.h"
#include "ports.h"

#define HDR_LEN		sizeof(struct virtio_vsock_hdr)
#define MAX_ECHO	3000u	/* a datagram of that size is one packet */
#define CREDIT		262144
#define ROUNDS		50	/* on one connection */
#define WINDOW_MS	1000
#define FEW		10	/* windows, of which one has to be good */
/* After each window in the crowd, of which it would otherwise be most */
#define REST_SECONDS	2
/* Some seconds of a busy emulated host; nothing takes that long otherwise */
#define PATIENCE_MS	20000

static int wait_sent(struct device *dev)
{
	struct vring_used_elem elem;

	while (!ring_used(&dev->tx, &elem)) {
		int err = device_wait(dev, PATIENCE_MS);

		if (err)
			return err;
	}
	return 0;
}

static int transmit(struct polite *p, uint16_t type, uint16_t op,
		    uint32_t src_port, uint32_t dst_port, uint32_t len)
{
	struct virtio_vsock_hdr *hdr = guest_mem(&p->dev, HEADERS_AT);

	*hdr = (struct virtio_vsock_hdr){
		.src_cid = htole64(p->dev.cid),
		.dst_cid = htole64(VMADDR_CID_HOST),
		.src_port = htole32(src_port),
		.dst_port = htole32(dst_port),
		.len = htole32(len),
		.type = htole16(type),
		.op = htole16(op),
	};
	if (type == VIRTIO_VSOCK_TYPE_STREAM) {
		hdr->buf_alloc = htole32(CREDIT);
		hdr->fwd_cnt = htole32(p->received);
	}
	p->dev.tx.vring.desc[0] = (struct vring_desc){
		.addr = HEADERS_AT,
		.len = HDR_LEN,
		.flags = len ? VRING_DESC_F_NEXT : 0,
		.next = 1,
	};
	p->dev.tx.vring.desc[1] = (struct vring_desc){
		.addr = PAYLOAD_AT, .len = len,
	};
	ring_offer(&p->dev.tx, 0);
	ring_kick(&p->dev.tx);
	return wait_sent(&p->dev);
}

/* The next packet; the caller gives its buffer back. -EPERM if the other guest
 * has got through to this one.
 */
static int receive(struct polite *p, struct vring_used_elem *elem)
{
	struct virtio_vsock_hdr *hdr;

	while (!ring_used(&p->dev.rx, elem)) {
		int err = device_wait(&p->dev, PATIENCE_MS);

		if (err)
			return err;
	}
	hdr = rx_packet(&p->dev, elem->id);
	return le64toh(hdr->src_cid) == VMADDR_CID_HOST &&
	       le64toh(hdr->dst_cid) == p->dev.cid ? 0 : -EPERM;
}

static void give_back(struct polite *p, uint32_t head)
{
	rx_offer(&p->dev, head, RX_BUF_SIZE);
	ring_kick(&p->dev.rx);
}

/* Wait for @op on the present connection */
static int await(struct polite *p, uint16_t op)
{
	struct virtio_vsock_hdr *hdr;
	struct vring_used_elem elem;
	bool found, reset;
	int err;

	do {
		err = receive(p, &elem);
		if (err)
			return err;
		hdr = rx_packet(&p->dev, elem.id);
		found = le16toh(hdr->op) == op &&
			le32toh(hdr->dst_port) == p->port;
		reset = le16toh(hdr->op) == VIRTIO_VSOCK_OP_RST &&
			le32toh(hdr->dst_port) == p->port;
		give_back(p, elem.id);
	} while (!found && !reset);
	return found ? 0 : -ECONNRESET;
}

static int connect_echo(struct polite *p)
{
	int err;

	p->what = "connecting";
	p->port++;
	p->received = 0;
	err = transmit(p, VIRTIO_VSOCK_TYPE_STREAM, VIRTIO_VSOCK_OP_REQUEST,
		       p->port, p->server + PORT_ECHO, 0);
	return err ? err : await(p, VIRTIO_VSOCK_OP_RESPONSE);
}

static int disconnect(struct polite *p)
{
	return transmit(p, VIRTIO_VSOCK_TYPE_STREAM, VIRTIO_VSOCK_OP_RST,
			p->port, p->server + PORT_ECHO, 0);
}

/* Take what @elem holds of the echo; bytes, or -EILSEQ if it is not ours.
 * Everything else counts as nothing.
 */
static int take(struct polite *p, struct vring_used_elem *elem, uint16_t type,
		const uint8_t *want, uint32_t left)
{
	struct virtio_vsock_hdr *hdr = rx_packet(&p->dev, elem->id);
	uint32_t len = le32toh(hdr->len);

	/* The host's last words on an earlier connection */
	if (le16toh(hdr->type) != type ||
	    (type == VIRTIO_VSOCK_TYPE_STREAM &&
	     le32toh(hdr->dst_port) != p->port))
		return 0;
	if (le16toh(hdr->op) == VIRTIO_VSOCK_OP_RST)
		return -ECONNRESET;
	if (le16toh(hdr->op) != VIRTIO_VSOCK_OP_RW)
		return 0;
	if (elem->len != HDR_LEN + len || len > left ||
	    memcmp(hdr + 1, want, len))
		return -EILSEQ;
	return len;
}

static int echo(struct polite *p, uint16_t type, uint32_t src_port,
		uint32_t dst_port)
{
	uint32_t len = 1 + rng_below(&p->rng, MAX_ECHO), at;
	uint8_t *sent = guest_mem(&p->dev, PAYLOAD_AT);
	struct vring_used_elem elem;
	int n, err;

	for (at = 0; at < len; at++)
		sent[at] = rng_next(&p->rng);
	err = transmit(p, type, VIRTIO_VSOCK_OP_RW, src_port, dst_port, len);
	if (err)
		return err;
	for (at = 0; at < len; at += n) {
		err = receive(p, &elem);
		if (err)
			return err;
		n = take(p, &elem, type, sent + at, len - at);
		if (n < 0)
			return n;
		give_back(p, elem.id);
		if (type == VIRTIO_VSOCK_TYPE_STREAM)
			p->received += n;
	}
	p->echoed += len;
	return 0;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* A window of the crowd has passed, at that rate */
static void note_crowd(struct polite *p, double rate)
{
	if (rate > p->few_best)
		p->few_best = rate;
	if (++p->windows % FEW)
		return;
	if (p->windows == FEW || p->few_best < p->beside)
		p->beside = p->few_best;
	p->few_best = 0;
}

static void note_time(struct polite *p, double now)
{
	double rate = (p->echoed - p->window.echoed) / (now - p->window.start);

	if (now - p->window.start < WINDOW_MS)
		return;
	if (p->window.crowded) {
		note_crowd(p, rate);
		sleep(REST_SECONDS);
	} else if (rate > p->alone) {
		p->alone = rate;
	}
	p->window.start = now_ms();
	p->window.echoed = p->echoed;
	p->window.crowded = __atomic_load_n(&p->crowded, __ATOMIC_RELAXED);
}

static int rounds(struct polite *p)
{
	double start, end;
	int i, err = 0;

	for (i = 0; i < ROUNDS && !err && !__atomic_load_n(&p->stop,
						__ATOMIC_RELAXED); i++) {
		start = now_ms();
		p->what = "having a stream echoed";
		err = echo(p, VIRTIO_VSOCK_TYPE_STREAM, p->port,
			   p->server + PORT_ECHO);
		if (!err && p->dev.features & 1 << VSOCK_F_DGRAM) {
			p->what = "having a datagram echoed";
			err = echo(p, VSOCK_TYPE_DGRAM, 1,
				   p->server + PORT_DGRAM_ECHO);
		}
		end = now_ms();
		if (end - start > p->worst_ms)
			p->worst_ms = end - start;
		note_time(p, end);
	}
	return err;
}

static void *polite_run(void *arg)
{
	struct polite *p = arg;

	p->window.start = now_ms();
	while (!p->err && !__atomic_load_n(&p->stop, __ATOMIC_RELAXED)) {
		p->err = connect_echo(p);
		if (!p->err)
			p->err = rounds(p);
		if (!p->err)
			p->err = disconnect(p);
	}
	return NULL;
}

int polite_start(struct polite *p, uint64_t cid, uint32_t server)
{
	int err;

	*p = (struct polite){ .server = server, .port = 1024 };
	err = device_open(&p->dev, cid, UINT64_C(1) << VIRTIO_F_VERSION_1 |
			  1 << VSOCK_F_DGRAM);
	if (err)
		return err;
	rx_offer_all(&p->dev);
	err = device_start(&p->dev);
	if (!err)
		err = -pthread_create(&p->thread, NULL, polite_run, p);
	if (err)
		device_close(&p->dev);
	return err;
}

void polite_crowd(struct polite *p)
{
	__atomic_store_n(&p->crowded, true, __ATOMIC_RELAXED);
}

double polite_share(const struct polite *p)
{
	return p->alone ? (p->windows < FEW ? p->few_best : p->beside) /
			  p->alone : 0;
}

int polite_stop(struct polite *p)
{
	__atomic_store_n(&p->stop, true, __ATOMIC_RELAXED);
	pthread_join(p->thread, NULL);
	device_close(&p->dev);
	return p->err;
}
