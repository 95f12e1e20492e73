// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "../load/sock.h"
#include "steps.h"

#define PATIENCE	20	/* seconds */

static int result(int n)
{
	return n < 0 ? -errno : n;
}

static struct sockaddr_vm echo_addr(const struct life *life)
{
	return (struct sockaddr_vm){
		.svm_family = AF_VSOCK,
		.svm_cid = life->cid,
		.svm_port = life->port,
	};
}

static int nothing(struct life *life)
{
	(void)life;
	return 0;
}

static int before_stream(struct life *life)
{
	life->fd = result(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
	return life->fd < 0 ? life->fd : 0;
}

static int before_connected(struct life *life)
{
	life->fd = sock_dial(SOCK_STREAM, life->cid, life->port, 0,
			     PATIENCE);
	return life->fd < 0 ? life->fd : 0;
}

static int before_dgram(struct life *life)
{
	life->fd = sock_dial(SOCK_DGRAM, life->cid, life->port, 0,
			     PATIENCE);
	return life->fd < 0 ? life->fd : 0;
}

static int before_seqpacket(struct life *life)
{
	life->fd = sock_dial(SOCK_SEQPACKET, life->cid,
			     life->port + PORT_SEQPACKET, 0, PATIENCE);
	return life->fd < 0 ? life->fd : 0;
}

/* The first @len bytes of what is sent come back */
static int expect_echo(struct life *life, size_t len)
{
	int err;

	memset(life->in, 0, len);
	err = recv_all(life->fd, life->in, len);
	return err ? err : memcmp(life->in, life->out, len) ? -EBADMSG : 0;
}

static int echo(struct life *life)
{
	int err = send_all(life->fd, life->out, ECHO_LEN);

	return err ? err : expect_echo(life, ECHO_LEN);
}

static int step_socket(struct life *life)
{
	life->fd = result(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
	return life->fd;
}

static int step_socket_dgram(struct life *life)
{
	life->fd = result(socket(AF_VSOCK, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	return life->fd;
}

static int step_listen(struct life *life)
{
	struct sockaddr_vm any = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = VMADDR_PORT_ANY,
	};

	if (bind(life->fd, (struct sockaddr *)&any, sizeof(any)) ||
	    listen(life->fd, 1))
		return -errno;
	return 0;
}

/* A listener, and who has connected to it: nobody else calls here */
static int before_accept(struct life *life)
{
	struct sockaddr_vm at;
	socklen_t len = sizeof(at);
	int err = before_stream(life);

	if (!err)
		err = step_listen(life);
	if (!err && getsockname(life->fd, (struct sockaddr *)&at, &len))
		err = -errno;
	if (!err)
		life->peer = sock_dial(SOCK_STREAM, VMADDR_CID_LOCAL,
				       at.svm_port, 0, PATIENCE);
	return err ? err : life->peer < 0 ? life->peer : 0;
}

static int step_accept(struct life *life)
{
	return result(accept4(life->fd, NULL, NULL, SOCK_CLOEXEC));
}

/* Who was not accepted still waits to be */
static int after_accept(struct life *life)
{
	int fd = life->got < 0 ? step_accept(life) : life->got, err;

	if (fd < 0)
		return fd;
	close(life->fd);
	life->fd = fd;
	err = send_all(life->peer, life->out, ECHO_LEN);
	if (!err)
		err = expect_echo(life, ECHO_LEN);
	close(life->peer);
	return err;
}

static int step_buffer_size(struct life *life)
{
	uint64_t size = 2 * ECHO_LEN;

	return result(setsockopt(life->fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE,
				 &size, sizeof(size)));
}

static int step_connect(struct life *life)
{
	struct sockaddr_vm to = echo_addr(life);

	return result(connect(life->fd, (struct sockaddr *)&to, sizeof(to)));
}

/* A connection that failed says so, one that did not works */
static int after_connect(struct life *life)
{
	return life->got < 0 ? 0 : echo(life);
}

static int step_send(struct life *life)
{
	return result(send(life->fd, life->out, ECHO_LEN, MSG_NOSIGNAL));
}

/* What it said was sent came back, nothing else, and the rest can follow */
static int after_send(struct life *life)
{
	int err = life->got > 0 ? expect_echo(life, life->got) : 0;

	return err ? err : echo(life);
}

static int step_send_zerocopy(struct life *life)
{
	int one = 1;

	if (setsockopt(life->fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		return -errno;
	return result(send(life->fd, life->out, ECHO_LEN,
			   MSG_NOSIGNAL | MSG_ZEROCOPY));
}

/* Until what is sent has come back */
static int await_echo(struct life *life)
{
	struct pollfd pfd = { .fd = life->fd, .events = POLLIN };
	int err = send_all(life->fd, life->out, ECHO_LEN);

	if (!err && poll(&pfd, 1, PATIENCE * 1000) != 1)
		err = -ETIMEDOUT;
	memset(life->in, 0, ECHO_LEN);
	return err;
}

static int before_recv(struct life *life)
{
	int err = before_connected(life);

	return err ? err : await_echo(life);
}

static int before_recv_seqpacket(struct life *life)
{
	int err = before_seqpacket(life);

	return err ? err : await_echo(life);
}

static int step_recv(struct life *life)
{
	return result(recv(life->fd, life->in, ECHO_LEN, 0));
}

/* What was not received is still there */
static int after_recv(struct life *life)
{
	size_t have = life->got > 0 ? life->got : 0;
	int err = recv_all(life->fd, life->in + have, ECHO_LEN - have);

	if (!err && memcmp(life->in, life->out, ECHO_LEN))
		err = -EBADMSG;
	return err;
}

/* What cannot be copied out of a message is lost with the rest of it, as always;
 * the next one is whole
 */
static int after_recv_seqpacket(struct life *life)
{
	return life->got < 0 ? echo(life) : after_recv(life);
}

static int step_shutdown(struct life *life)
{
	return result(shutdown(life->fd, SHUT_WR));
}

static int step_close(struct life *life)
{
	int fd = life->fd;

	life->fd = -1;
	return result(close(fd));
}

static int before_dgram_recv(struct life *life)
{
	int err = before_dgram(life);

	return err ? err : await_echo(life);
}

static int after_dgram(struct life *life)
{
	if (life->got < 0)
		return 0;
	return life->got != (int)ECHO_LEN ? -EMSGSIZE :
	       memcmp(life->in, life->out, ECHO_LEN) ? -EBADMSG : 0;
}

/* Whole or not at all, and if it was sent nobody says that it was not: a
 * datagram that gets lost is no error.
 */
static int after_dgram_send(struct life *life)
{
	return life->got < 0 || life->got == (int)ECHO_LEN ? 0 : -EMSGSIZE;
}

const struct step steps[] = {
	{ "socket", nothing, step_socket, nothing },
	{ "listen", before_stream, step_listen, nothing },
	{ "accept", before_accept, step_accept, after_accept },
	{ "buffer-size", before_stream, step_buffer_size, nothing },
	{ "connect", before_stream, step_connect, after_connect },
	{ "send", before_connected, step_send, after_send },
	{ "send-zerocopy", before_connected, step_send_zerocopy, after_send },
	{ "recv", before_recv, step_recv, after_recv },
	{ "send-seqpacket", before_seqpacket, step_send, after_send },
	{ "recv-seqpacket", before_recv_seqpacket, step_recv,
	  after_recv_seqpacket },
	{ "shutdown", before_connected, step_shutdown, nothing },
	{ "close", before_connected, step_close, nothing },
	{ "socket-dgram", nothing, step_socket_dgram, nothing },
	{ "send-dgram", before_dgram, step_send, after_dgram_send },
	{ "recv-dgram", before_dgram_recv, step_recv, after_dgram },
};

const unsigned int nr_steps = sizeof(steps) / sizeof(steps[0]);
