// SPDX-License-Identifier: GPL-2.0-only
/* A guest that is somebody else all of a sudden, or gone, in mid-conversation */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "../load/sock.h"
#include "cases.h"
#include "guest.h"

#define CHANGES		200
#define KILLS		20
#define TALK		50	/* packets that are not waited for */
#define CONNECTIONS	16
#define KILLED_PORT	2048	/* the first, beyond those of the changes */

/* As much as the host is allowed to send, which nobody takes */
static void fill(int fd)
{
	static const uint8_t data[65536];

	while (send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
}

/* The guest is no more: has the host's socket been told? */
static int reset_told(int fd)
{
	struct pollfd pfd = { .fd = fd };
	socklen_t len = sizeof(int);
	int err;

	if (poll(&pfd, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return err == ECONNRESET ? 0 : -EPROTO;
}

/* All of them, which are closed then */
static int all_told(const int *fds, unsigned int n)
{
	int err = 0;

	while (n--) {
		if (!err)
			err = reset_told(fds[n]);
		close(fds[n]);
	}
	return err;
}

static struct packet packet_from(uint64_t cid, uint16_t op, uint32_t port)
{
	struct packet pkt = guest_packet(op, port);

	pkt.hdr.src_cid = htole64(cid);
	return pkt;
}

/* The host reads what was said in either name, and answers, while the name
 * changes under it; its socket
 */
static int change_once(struct guest *guest, int listener, unsigned int n)
{
	uint64_t cid = GUEST_CID + n % 2, other = GUEST_CID + !(n % 2);
	struct packet pkt;
	int fd, i, err;

	fd = guest_connect_from(guest, cid, 1024 + n, listener);
	if (fd < 0)
		return fd;
	fill(fd);
	for (i = 0; i < TALK; i++) {
		pkt = packet_from(i % 2 ? cid : other,
				  VIRTIO_VSOCK_OP_CREDIT_REQUEST, 1024 + n);
		guest_say(guest, &pkt);
	}
	ring_kick(&guest->dev.tx);
	err = device_set_cid(&guest->dev, other);
	if (!err)
		err = guest_flush(guest);
	if (err)
		close(fd);
	return err ?: fd;
}

/* Every other socket is closed at once, the others when the guest is gone */
int case_cid_change(void)
{
	int listener = sock_listen(SOCK_STREAM, GUEST_PORT), err, fd;
	int kept[CHANGES / 2];
	struct guest guest;
	unsigned int n;

	if (listener < 0)
		return listener;
	err = guest_boot(&guest, GUEST_CID, 0, "ip link set $DEV up && "
			 "tc qdisc replace dev $DEV root pfifo_fast");
	if (!err)
		rx_offer_all(&guest.dev);
	for (n = 0; n < CHANGES && !err; n++) {
		fd = change_once(&guest, listener, n);
		if (fd < 0)
			err = fd;
		else if (n % 2)
			close(fd);
		else
			kept[n / 2] = fd;
		/* Some of what it does not read takes its place again */
		if (!err)
			err = device_restart(&guest.dev);
		if (!err)
			rx_offer_all(&guest.dev);
	}
	guest_end(&guest);
	close(listener);
	return err ?: all_told(kept, CHANGES / 2);
}

/* The guest of a process that is killed; it has told when it was ready */
static int doomed(unsigned int n, int ready)
{
	struct guest guest;
	struct packet pkt;
	char done = 1;
	int err, i;

	err = guest_boot(&guest, GUEST_CID, 0, "ip link set $DEV up && "
			 "tc qdisc replace dev $DEV root netem delay 50ms");
	for (i = 0; i < CONNECTIONS && !err; i++) {
		pkt = guest_packet(VIRTIO_VSOCK_OP_REQUEST,
				   KILLED_PORT + n * CONNECTIONS + i);
		guest_say(&guest, &pkt);
	}
	if (!err)
		err = guest_flush(&guest);
	if (err || write(ready, &done, 1) != 1)
		return err;
	pause();
	return 0;
}

/* The host's sockets, all of which have something to say; how many */
static int accept_all(int listener, int *fds)
{
	int i;

	for (i = 0; i < CONNECTIONS; i++) {
		fds[i] = guest_accept(listener);
		if (fds[i] < 0)
			return fds[i];
		fill(fds[i]);
	}
	return i;
}

/* Each of these starts where the last one was killed, with the same CID. For
 * 8 s the host's closed sockets may keep the ports of the last one, as they may
 * those of case_cid_change().
 */
static int kill_once(int listener, unsigned int n)
{
	int fds[2], conns[CONNECTIONS], accepted = 0, status, err = 0;
	pid_t pid;
	char done;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(-doomed(n, fds[1]));
	close(fds[1]);
	if (read(fds[0], &done, 1) == 1) {
		accepted = accept_all(listener, conns);
		kill(pid, SIGKILL);
	}
	close(fds[0]);
	if (waitpid(pid, &status, 0) < 0)
		err = -errno;
	else if (WIFEXITED(status))
		err = -WEXITSTATUS(status);
	else if (accepted < 0)
		err = accepted;
	return err ?: all_told(conns, accepted);
}

int case_killed(void)
{
	int listener = sock_listen(SOCK_STREAM, GUEST_PORT), err = 0;
	unsigned int n;

	if (listener < 0)
		return listener;
	for (n = 0; n < KILLS && !err; n++)
		err = kill_once(listener, n);
	close(listener);
	return err;
}
