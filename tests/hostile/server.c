// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../load/sock.h"
#include "gen.h"
#include "ports.h"
#include "server.h"

/* Connections that are kept; one more closes the oldest */
#define KEPT	48
/* Each of them has its turn once in so many rounds, one every so many us: most
 * of the CPU is for who lies
 */
#define TURNS		8
#define ROUND_US	2000

struct kept {
	int fds[KEPT];
	unsigned int size, next;
};

static uint32_t first_port, hostile_cid;
static char buffer[65536];
/* What has come from the hostile guest, all counted by one thread */
static struct {
	uint64_t streams, seqpackets;	/* accepted */
	uint64_t bytes;			/* in them */
	uint64_t dgrams, whole, wrong;	/* some from pieces, or from wrong ones */
} met;

static void keep(struct kept *kept, int fd)
{
	int *place = &kept->fds[kept->next++ % kept->size];

	if (*place >= 0)
		close(*place);
	*place = fd;
}

static uint64_t accept_all(int listener, struct kept *kept)
{
	uint64_t n = 0;
	int fd;

	for (; (fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; n++)
		keep(kept, fd);
	return n;
}

static void read_all(int fd)
{
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0)
		met.bytes += n;
}

/* Some are only read, some only written, some both, and some neither */
static void talk(struct kept *kept, unsigned int turn)
{
	unsigned int i;

	for (i = turn; i < kept->size; i += TURNS) {
		if (kept->fds[i] < 0)
			continue;
		if (i & 1)
			read_all(kept->fds[i]);
		if (i & 2)
			send(kept->fds[i], buffer, 1 << i % 16,
			     MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

static void note_dgram(const uint8_t *data, size_t len)
{
	size_t at = 0;

	met.dgrams++;
	if (!len || data[0] != gen_piece_byte(0))
		return;
	while (at < len && data[at] == gen_piece_byte(at))
		at++;
	met.whole++;
	met.wrong += at < len;
}

/* What the guest sends it gets back, and sometimes much more */
static void talk_dgram(int fd)
{
	struct sockaddr_vm from;
	socklen_t len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT,
			     (struct sockaddr *)&from, &len)) >= 0) {
		note_dgram((uint8_t *)buffer, n);
		sendto(fd, buffer, n % 8 ? (size_t)n : sizeof(buffer) - n,
		       MSG_DONTWAIT, (struct sockaddr *)&from, len);
		len = sizeof(from);
	}
}

static void dial(struct kept *kept)
{
	unsigned int i = kept->next % NR_DIALLED;
	struct sockaddr_vm at = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = first_port + PORTS_DIALLED + i,
	}, to = at;
	int fd = socket(AF_VSOCK, (i & 1 ? SOCK_SEQPACKET : SOCK_STREAM) |
			SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	to.svm_cid = hostile_cid;
	/* The port may still be that of one that was closed */
	if (!bind(fd, (struct sockaddr *)&at, sizeof(at)))
		connect(fd, (struct sockaddr *)&to, sizeof(to));
	keep(kept, fd);
}

static void kept_init(struct kept *kept, unsigned int size)
{
	kept->size = size;
	kept->next = 0;
	while (size--)
		kept->fds[size] = -1;
}

static void *serve_hostile(void *listeners)
{
	const int *fds = listeners;
	struct kept accepted, dialled;
	unsigned int turn = 0;

	kept_init(&accepted, KEPT);
	kept_init(&dialled, NR_DIALLED);
	for (;;) {
		usleep(ROUND_US);
		met.streams += accept_all(fds[0], &accepted);
		met.seqpackets += accept_all(fds[1], &accepted);
		talk_dgram(fds[2]);
		talk(&accepted, turn);
		talk(&dialled, turn);
		turn = (turn + 1) % TURNS;
		if (!turn)
			dial(&dialled);
	}
	return NULL;
}

static void *serve_echo(void *arg)
{
	int listener = *(int *)arg, fd;
	char bytes[4096];
	ssize_t n;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
			if (send_all(fd, bytes, n))
				break;
		close(fd);
	}
	return NULL;
}

static void *serve_dgram_echo(void *arg)
{
	static char bytes[65536];
	struct sockaddr_vm from;
	int fd = *(int *)arg;
	socklen_t len;
	ssize_t n;

	for (;;) {
		len = sizeof(from);
		n = recvfrom(fd, bytes, sizeof(bytes), 0,
			     (struct sockaddr *)&from, &len);
		if (n >= 0 && from.svm_cid != hostile_cid)
			sendto(fd, bytes, n, 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

static int start(void *(*run)(void *arg), void *arg)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, run, arg);

	if (!err)
		pthread_detach(thread);
	return -err;
}

static int open_port(unsigned int which)
{
	switch (which) {
	case PORT_STREAM:
	case PORT_ECHO:
		return sock_listen(SOCK_STREAM, first_port + which);
	case PORT_SEQPACKET:
		return sock_listen(SOCK_SEQPACKET, first_port + which);
	default:
		return sock_bind(SOCK_DGRAM, first_port + which);
	}
}

int server_start(uint32_t port, uint32_t cid)
{
	static int fds[NR_PORTS];
	int i, err;

	first_port = port;
	hostile_cid = cid;
	for (i = 0; i < NR_PORTS; i++) {
		fds[i] = open_port(i);
		if (fds[i] < 0)
			return fds[i];
		/* One thread looks after all of these */
		if (i < NR_HOSTILE_PORTS &&
		    fcntl(fds[i], F_SETFL, O_NONBLOCK))
			return -errno;
	}
	err = start(serve_hostile, fds);
	if (!err)
		err = start(serve_echo, &fds[PORT_ECHO]);
	if (!err)
		err = start(serve_dgram_echo, &fds[PORT_DGRAM_ECHO]);
	return err;
}

void server_report(void)
{
	printf("the sockets: %" PRIu64 " streams, %" PRIu64 " seqpackets, %"
	       PRIu64 " bytes in them, %" PRIu64 " datagrams, %" PRIu64
	       " put together, %" PRIu64 " of wrong pieces\n", met.streams,
	       met.seqpackets, met.bytes, met.dgrams, met.whole, met.wrong);
}
