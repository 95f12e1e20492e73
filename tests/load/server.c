// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pattern.h"
#include "server.h"
#include "sink.h"
#include "slice.h"
#include "sock.h"
#include "wire.h"

struct conn {
	int fd;
	int type;
	struct sockaddr_vm peer;
	struct pattern pat;
	uint8_t buf[MAX_WRITE];
};

static void check_content(struct conn *c, size_t len,
			  struct bulk_result *res)
{
	ssize_t bad;

	if (res->mismatch != NO_MISMATCH)
		return;
	bad = pattern_check(&c->pat, res->received, c->buf, len);
	if (bad < 0)
		return;
	res->mismatch = res->received + bad;
	res->got = c->buf[bad];
	pattern_fill(&c->pat, res->mismatch, &res->want, 1);
	fprintf(stderr,
		"vsload: from %u:%u: byte %llu is 0x%02x, expected 0x%02x\n",
		c->peer.svm_cid, c->peer.svm_port,
		(unsigned long long)res->mismatch, res->got, res->want);
}

/* A seqpacket connection keeps bounds: each message is one write */
static bool right_bounds(const struct conn *c, const struct hello *hello,
			 uint64_t off, size_t len)
{
	return c->type != SOCK_SEQPACKET ||
	       len == pattern_size(&c->pat, off, hello->size, hello->max_size);
}

static int serve_bulk(struct conn *c, const struct hello *hello)
{
	struct bulk_result res = { .mismatch = NO_MISMATCH };
	ssize_t n;

	pattern_init(&c->pat, c->pat.key);
	for (;;) {
		n = recv(c->fd, c->buf, sizeof(c->buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		if (!right_bounds(c, hello, res.received, n))
			res.bad_bounds++;
		check_content(c, n, &res);
		res.received += n;
	}
	return send_all(c->fd, &res, sizeof(res));
}

static int serve_ping(struct conn *c)
{
	int err;

	slice_short();
	do {
		err = recv_all(c->fd, c->buf, PING_SIZE);
		if (!err)
			err = send_all(c->fd, c->buf, PING_SIZE);
	} while (!err);
	/* The client ends a ping by closing it */
	return err == -ECONNRESET ? 0 : err;
}

static int serve_hello(struct conn *c)
{
	struct hello hello;
	int err;

	err = recv_all(c->fd, &hello, sizeof(hello));
	if (err)
		return err;
	if (hello.magic != WIRE_MAGIC || hello.size > hello.max_size)
		return -EPROTO;
	c->pat.key = hello.key;
	switch (hello.kind) {
	case WIRE_BULK:
		return serve_bulk(c, &hello);
	case WIRE_PING:
		return serve_ping(c);
	case WIRE_FLOOD:
		sink_session(c->fd, &hello);
		return 0;
	default:
		return -EPROTO;
	}
}

static void *conn_run(void *arg)
{
	struct conn *c = arg;
	int err = serve_hello(c);

	if (err)
		fprintf(stderr, "vsload: from %u:%u: %s\n", c->peer.svm_cid,
			c->peer.svm_port, strerror(-err));
	close(c->fd);
	free(c);
	return NULL;
}

static int conn_start(int fd, int type, const struct sockaddr_vm *peer)
{
	struct conn *c = malloc(sizeof(*c));
	pthread_t thread;
	int err;

	if (!c)
		return -ENOMEM;
	c->fd = fd;
	c->type = type;
	c->peer = *peer;
	err = pthread_create(&thread, NULL, conn_run, c);
	if (err) {
		free(c);
		return -err;
	}
	pthread_detach(thread);
	return 0;
}

static int accept_loop(int listener, int type)
{
	struct sockaddr_vm peer;
	int err, fd;

	for (;;) {
		socklen_t len = sizeof(peer);

		fd = accept4(listener, (struct sockaddr *)&peer, &len,
			     SOCK_CLOEXEC);
		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			return -errno;
		err = conn_start(fd, type, &peer);
		if (err) {
			fprintf(stderr, "vsload: from %u:%u: %s\n",
				peer.svm_cid, peer.svm_port, strerror(-err));
			close(fd);
		}
	}
}

static void *seqpacket_run(void *listener)
{
	int err = accept_loop(*(int *)listener, SOCK_SEQPACKET);

	fprintf(stderr, "vsload: cannot accept seqpacket connections: %s\n",
		strerror(-err));
	return NULL;
}

int serve(uint32_t port)
{
	static int seqpacket;
	pthread_t thread;
	int stream, err;

	stream = sock_listen(SOCK_STREAM, port);
	if (stream < 0)
		return stream;
	seqpacket = sock_listen(SOCK_SEQPACKET, port + 1);
	if (seqpacket < 0)
		return seqpacket;
	err = -pthread_create(&thread, NULL, seqpacket_run, &seqpacket);
	if (err)
		return err;
	err = sink_start(port);
	if (err)
		fprintf(stderr, "vsload: no datagrams: %s\n", strerror(-err));
	printf("vsload: serving port %u\n", port);
	fflush(stdout);
	return accept_loop(stream, SOCK_STREAM);
}
