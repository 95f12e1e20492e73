// SPDX-License-Identifier: GPL-2.0-only
/* What ends devices and sockets, or should not */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../faults/nth.h"
#include "../load/sock.h"
#include "cases.h"
#include "guest.h"

/* Time enough for the host to look at the rings */
#define NO_CID_US	100000
#define CLOSES		20
#define MAX_NTH		2000	/* more than there are things to fail */
#define QUEUED		800	/* fits the ring */
/* Until attempts are up to a quarter of a second apart */
#define BACKOFF_US	400000
/* Grants are asked for that long, and a little more */
#define REFUSED_MS	35000

/* A device runs before it has a CID, and its guest says that it is CID 0 */
int case_no_cid(void)
{
	struct packet pkt = guest_packet(VIRTIO_VSOCK_OP_REQUEST, 1024);
	struct guest guest;
	int err = guest_boot(&guest, 0, 0, NULL);

	if (err)
		return err;
	rx_offer_all(&guest.dev);
	pkt.hdr.src_cid = 0;
	guest_say(&guest, &pkt);
	ring_kick(&guest.dev.tx);
	usleep(NO_CID_US);
	err = device_set_cid(&guest.dev, GUEST_CID);
	if (!err)
		err = guest_flush(&guest);
	guest_end(&guest);
	return err;
}

/* The administrator drops what goes to this guest, answers in the name of a
 * listener among it. That is no reason for the listener to fail.
 */
int case_listener(void)
{
	struct packet pkt = guest_packet(VIRTIO_VSOCK_OP_RW, 1024);
	struct pollfd fd = { .fd = sock_listen(SOCK_STREAM, GUEST_PORT) };
	socklen_t len = sizeof(int);
	struct guest guest;
	int err, failed;

	err = fd.fd < 0 ? fd.fd : guest_boot(&guest, GUEST_CID, 0,
		"ip link set $DEV up && tc qdisc replace dev $DEV root "
		"pfifo_fast && tc qdisc add dev $DEV clsact && tc filter add "
		"dev $DEV egress matchall action drop");
	if (err)
		return err;
	rx_offer_all(&guest.dev);
	guest_say(&guest, &pkt);
	err = guest_flush(&guest);
	/* Only an error ends this, nobody connects */
	if (!err)
		poll(&fd, 1, REFUSED_MS);
	if (!err && getsockopt(fd.fd, SOL_SOCKET, SO_ERROR, &failed, &len))
		err = -errno;
	guest_end(&guest);
	close(fd.fd);
	return err ? err : -failed;
}

static int close_once(void)
{
	struct guest guest;
	struct packet pkt;
	int i, err;

	err = guest_boot(&guest, GUEST_CID, 0, "ip link set $DEV up && "
			 "tc qdisc replace dev $DEV root pfifo_fast && "
			 "tc qdisc add dev $DEV clsact && "
			 "tc filter add dev $DEV egress matchall action drop");
	if (err)
		return err;
	for (i = 0; i < QUEUED; i++) {
		pkt = guest_packet(VIRTIO_VSOCK_OP_REQUEST, 1024 + i);
		guest_say(&guest, &pkt);
	}
	err = guest_flush(&guest);
	usleep(BACKOFF_US);
	guest_end(&guest);
	return err;
}

/* Close while answers to many ports wait for another attempt of theirs, which
 * then comes at any moment of the end of the device
 */
int case_close_queued(void)
{
	int i, err = 0;

	for (i = 0; i < CLOSES && !err; i++)
		err = close_once();
	return err;
}

/* The first thing that the device needs fails, then the second: it can be
 * opened in the end, and nothing is left of those that could not.
 */
int case_no_memory(void)
{
	bool happened = true;
	struct guest guest;
	unsigned int n;
	int err = nth_open();

	for (n = 1; !err && happened && n < MAX_NTH; n++) {
		nth_start(n);
		err = guest_boot(&guest, GUEST_CID, 0, NULL);
		happened = nth_end();
		if (!err)
			guest_end(&guest);
		else if (happened && err != -EADDRINUSE)
			err = 0;
	}
	if (!err)
		printf("%u faults\n", n - 2);
	return err ? err : happened ? -E2BIG : 0;
}
