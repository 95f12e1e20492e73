// SPDX-License-Identifier: GPL-2.0-only
/* What ends devices and sockets, or should not */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "../faults/nth.h"
#include "../load/sock.h"
#include "cases.h"
#include "guest.h"
#include "netdev.h"

/* Time enough for the host to look at the rings */
#define NO_CID_US	100000
#define CLOSES		20
#define MAX_NTH		2000	/* more than there are things to fail */
#define QUEUED		800	/* fits the ring */
/* Until attempts are up to a quarter of a second apart */
#define BACKOFF_US	400000
/* Grants are asked for that long, and a little more */
#define REFUSED_MS	35000
/* Whoever is refused is asked again once a second by then */
#define GIVE_UP_US	1100000
#define ATTEMPTS	150
#define ATTEMPT_US	20000
/* What the last of them left behind comes by then */
#define LEFT_US		1200000
#define GIVE_UP_CLOSES	5
#define ATTACH		"ip link set $DEV up && build/vsfq attach $DEV"
#define SHOW		"build/vsfq -sj show $DEV"
/* Whatever the host sends to a guest is refused */
#define REFUSE \
	"ip link set $DEV up && tc qdisc replace dev $DEV root pfifo_fast && " \
	"tc qdisc add dev $DEV clsact && " \
	"tc filter add dev $DEV egress matchall action drop"

/* Nothing else arrives from this guest for a second after each packet */
#define LATE \
	"ip link set $DEV up && tc qdisc add dev $DEV clsact && tc filter add " \
	"dev $DEV ingress bpf da obj build/late.bpf.o sec tc/hour"
#define LATE_US		1200000

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

/* As for a snapshot: after one packet the host waits a second before it takes the
 * next, and need not be told of that.
 */
int case_stopped(void)
{
	struct packet pkt = guest_packet(VIRTIO_VSOCK_OP_RST, 1024);
	struct guest guest;
	int err = guest_boot(&guest, GUEST_CID, 0, LATE);

	if (err)
		return err;
	guest_say(&guest, &pkt);
	guest_say(&guest, &pkt);
	ring_kick(&guest.dev.tx);
	err = guest_used(&guest) ?: device_stop(&guest.dev);
	usleep(LATE_US);
	err = err ?: device_start(&guest.dev) ?: guest_used(&guest);
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

	err = fd.fd < 0 ? fd.fd : guest_boot(&guest, GUEST_CID, 0, REFUSE);
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

	err = guest_boot(&guest, GUEST_CID, 0, REFUSE);
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

/* A socket that connects to the guest for so long */
static int attempt(long usecs)
{
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK,
		.svm_cid = GUEST_CID,
		.svm_port = GUEST_PORT,
	};
	struct timeval patience = {
		.tv_sec = usecs / 1000000,
		.tv_usec = usecs % 1000000,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience,
			sizeof(patience)) &&
	    (!connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	     errno == EINPROGRESS))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int give_up_once(void)
{
	int fds[ATTEMPTS], n = 0, err;
	struct guest guest;

	err = guest_boot(&guest, GUEST_CID, 0, REFUSE);
	if (err)
		return err;
	while (n < ATTEMPTS && !err) {
		fds[n] = attempt(GIVE_UP_US);
		if (fds[n] < 0)
			err = fds[n];
		else
			n++;
		usleep(ATTEMPT_US);
	}
	guest_end(&guest);
	while (n)
		close(fds[--n]);
	return err;
}

/* Close while connections have given up that were refused all the time: their
 * next attempt, of which nobody knows any more, was due after the end
 */
int case_gave_up(void)
{
	int i, err = 0;

	for (i = 0; i < GIVE_UP_CLOSES && !err; i++)
		err = give_up_once();
	usleep(LEFT_US);
	return err;
}

/* The guest says @op to the port that has asked one of its own */
static int say_to(struct guest *guest, uint16_t op,
		  const struct virtio_vsock_hdr *asked)
{
	struct packet pkt = guest_packet(op, le32toh(asked->dst_port));

	pkt.hdr.dst_port = asked->src_port;
	guest_say(guest, &pkt);
	return guest_flush(guest);
}

/* The guest accepts what the host asks for; the host has then a connection */
static int accept_once(struct guest *guest, int fd,
		       struct virtio_vsock_hdr *asked)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int err = guest_hear_one(guest, asked);

	if (!err && le16toh(asked->op) != VIRTIO_VSOCK_OP_REQUEST)
		err = -EPROTO;
	if (!err)
		err = say_to(guest, VIRTIO_VSOCK_OP_RESPONSE, asked);
	if (!err && poll(&pfd, 1, PATIENCE_MS) != 1)
		err = -ETIMEDOUT;
	return err;
}

/* The guest asks for the connection that it has, and hears a RST if requests
 * are REFUSED. The host still has it. What vsfq shows of it then, and after it
 * has been used, is for the test to look at.
 */
static int ask_again(struct guest *guest, int fd)
{
	struct virtio_vsock_hdr asked;
	int err = accept_once(guest, fd, &asked);

	if (!err)
		err = say_to(guest, VIRTIO_VSOCK_OP_REQUEST, &asked);
	if (!err && getenv("REFUSED"))
		err = guest_hear(guest, 1);
	if (!err)
		err = netdev_run(GUEST_CID, SHOW);
	if (!err && send(fd, "", 1, MSG_NOSIGNAL) != 1)
		err = -errno;
	if (!err)
		err = guest_hear(guest, 1);
	return err ? err : netdev_run(GUEST_CID, SHOW);
}

int case_asked_again(void)
{
	struct guest guest;
	int fd, err = guest_boot(&guest, GUEST_CID, 0, ATTACH);

	if (err)
		return err;
	rx_offer_all(&guest.dev);
	fd = attempt(PATIENCE_MS * 1000L);
	err = fd < 0 ? fd : ask_again(&guest, fd);
	guest_end(&guest);
	close(fd);
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
