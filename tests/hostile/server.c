// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../load/sock.h"
#include "ports.h"
#include "server.h"

/* Connections that are kept; one more closes the oldest */
#define KEPT	48
#define ROUND_MS	2

struct kept {
	int fds[KEPT];
	unsigned int size, next;
};

static uint32_t first_port, hostile_cid;
static char buffer[65536];

static void keep(struct kept *kept, int fd)
{
	int *place = &kept->fds[kept->next++ % kept->size];

	if (*place >= 0)
		close(*place);
	*place = fd;
}

static void accept_all(int listener, struct kept *kept)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		keep(kept, fd);
}

/* Some are only read, some only written, some both, and some neither */
static void talk(struct kept *kept)
{
	unsigned int i;

	for (i = 0; i < kept->size; i++) {
		if (kept->fds[i] < 0)
			continue;
		if (i & 1)
			while (recv(kept->fds[i], buffer, sizeof(buffer),
				    MSG_DONTWAIT) > 0)
				;
		if (i & 2)
			send(kept->fds[i], buffer, 1 << i % 16,
			     MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

/* What the guest sends it gets back, and sometimes much more */
static void talk_dgram(int fd)
{
	struct sockaddr_vm from;
	socklen_t len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT,
			     (struct sockaddr *)&from, &len)) >= 0) {
		sendto(fd, buffer, n & 1 ? (size_t)n : sizeof(buffer) - n,
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
	struct pollfd *fds = listeners;
	struct kept accepted, dialled;

	kept_init(&accepted, KEPT);
	kept_init(&dialled, NR_DIALLED);
	for (;;) {
		poll(fds, 3, ROUND_MS);
		accept_all(fds[0].fd, &accepted);
		accept_all(fds[1].fd, &accepted);
		talk_dgram(fds[2].fd);
		talk(&accepted);
		dial(&dialled);
		talk(&dialled);
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
	static struct pollfd fds[NR_PORTS];
	int i, err;

	first_port = port;
	hostile_cid = cid;
	for (i = 0; i < NR_PORTS; i++) {
		fds[i].events = POLLIN;
		fds[i].fd = open_port(i);
		if (fds[i].fd < 0)
			return fds[i].fd;
	}
	err = start(serve_hostile, fds);
	if (!err)
		err = start(serve_echo, &fds[PORT_ECHO].fd);
	if (!err)
		err = start(serve_dgram_echo, &fds[PORT_DGRAM_ECHO].fd);
	return err;
}
