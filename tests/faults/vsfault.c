// SPDX-License-Identifier: GPL-2.0-only
/*
 * vsfault - let each thing fail that the kernel may be refused, one at a time
 *
 * "sweep" takes a socket through its life again and again, until no step fails
 * any more: the first time the first allocation or copy of a step, then the
 * second. An error has to be said, and be one that tells of it; what was not
 * refused has to be true. "write" does the same to a file of sysfs: binding a
 * driver, say. "echo" is who a socket talks to.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "../load/sock.h"
#include "nth.h"
#include "steps.h"

/* More than any step needs: something would never succeed */
#define MAX_NTH	2000

/* What one may be told; a connection of which a packet was not sent, and whose
 * peer waits, is reset. ENFILE is what there is no memory for a socket means.
 */
static bool is_honest(int err)
{
	return err == -ENOMEM || err == -ENFILE || err == -ENOBUFS ||
	       err == -EFAULT || err == -ECONNRESET || err == -ETIMEDOUT;
}

static int complain(const char *what, unsigned int n, const char *when, int err)
{
	fprintf(stderr, "vsfault: %s, fault %u: %s: %s\n", what, n, when,
		strerror(-err));
	return err;
}

/* 1 if a fault happened, 0 if there are none any more, or -errno */
static int once(const struct step *step, struct life *life, unsigned int n)
{
	bool happened;
	int err;

	life->fd = -1;
	err = step->before(life);
	if (err)
		return complain(step->name, n, "before it", err);
	nth_start(n);
	life->got = step->step(life);
	happened = nth_end();
	if (life->got < 0 && (!happened || !is_honest(life->got)))
		return complain(step->name, n, "it says", life->got);
	err = step->after(life);
	if (err)
		return complain(step->name, n, "after it", err);
	if (life->fd >= 0)
		close(life->fd);
	return happened;
}

static int sweep_step(const struct step *step, struct life *life)
{
	unsigned int n, failed = 0;
	int happened = 1;

	for (n = 1; happened > 0 && n < MAX_NTH; n++) {
		happened = once(step, life, n);
		failed += happened > 0 && life->got < 0;
	}
	if (happened < 0)
		return happened;
	printf("%s: %u faults, %u of them told\n", step->name, n - 2, failed);
	return happened ? -E2BIG : 0;
}

static int sweep(uint32_t cid, uint32_t port)
{
	static uint8_t out[ECHO_LEN], in[ECHO_LEN];
	struct life life = { .cid = cid, .port = port, .out = out, .in = in };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ECHO_LEN; i++)
		out[i] = i * 7 + i / 251;
	for (i = 0; i < nr_steps && !err; i++)
		err = sweep_step(&steps[i], &life);
	return err;
}

/* Until it is written without a fault; what undoes it is written before */
static int sweep_write(const char *path, const char *undo, const char *text)
{
	int fd = open(path, O_WRONLY), undo_fd = open(undo, O_WRONLY);
	unsigned int n, failed = 0;
	bool happened = true;
	int err = 0;

	if (fd < 0 || undo_fd < 0)
		return complain(fd < 0 ? path : undo, 0, "open", -errno);
	for (n = 1; happened && n < MAX_NTH; n++) {
		/* The first time, or after a success */
		if (!err && write(undo_fd, text, strlen(text)) < 0)
			return complain(undo, n, "write", -errno);
		nth_start(n);
		err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
		happened = nth_end();
		if (err && !happened)
			return complain(path, n, "write", err);
		failed += !!err;
	}
	printf("%s: %u faults, %u of them told\n", path, n - 2, failed);
	return happened ? -E2BIG : 0;
}

static void echo_connection(int fd)
{
	static uint8_t data[65536];
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0)
		if (send_all(fd, data, n))
			break;
}

static void echo_dgram(int fd)
{
	static uint8_t data[65536];
	struct sockaddr_vm peer;
	socklen_t len = sizeof(peer);
	ssize_t n = recvfrom(fd, data, sizeof(data), 0,
			     (struct sockaddr *)&peer, &len);

	if (n >= 0)
		sendto(fd, data, n, 0, (struct sockaddr *)&peer, len);
}

/* A process for each connection: some end only when close() times out, as the
 * peer had no memory to say that it is closed
 */
static int serve_echo(uint32_t port)
{
	struct pollfd fds[] = {
		{ .fd = sock_listen(SOCK_STREAM, port), .events = POLLIN },
		{ .fd = sock_listen(SOCK_SEQPACKET, port + PORT_SEQPACKET),
		  .events = POLLIN },
		{ .fd = sock_bind(SOCK_DGRAM, port), .events = POLLIN },
	};
	int i, fd;

	for (i = 0; i < 3; i++)
		if (fds[i].fd < 0)
			return fds[i].fd;
	signal(SIGCHLD, SIG_IGN);
	puts("echoing");
	fflush(stdout);
	while (poll(fds, 3, -1) > 0) {
		if (fds[2].revents)
			echo_dgram(fds[2].fd);
		for (i = 0; i < 2; i++) {
			if (!fds[i].revents)
				continue;
			fd = accept(fds[i].fd, NULL, NULL);
			if (fd >= 0 && !fork()) {
				echo_connection(fd);
				_exit(0);
			}
			close(fd);
		}
	}
	return -errno;
}

static int run(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	int err;

	if (!strcmp(command, "echo") && argc == 3)
		return serve_echo(atoi(argv[2]));
	err = nth_open();
	if (err)
		return complain("fail-nth", 0, "open", err);
	if (!strcmp(command, "sweep") && argc == 4)
		return sweep(atoi(argv[2]), atoi(argv[3]));
	if (!strcmp(command, "write") && argc == 5)
		return sweep_write(argv[2], argv[3], argv[4]);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	int err = run(argc, argv);

	if (!err)
		return EXIT_SUCCESS;
	if (err == -EINVAL)
		fputs("Usage: vsfault echo PORT\n"
		      "       vsfault sweep CID PORT\n"
		      "       vsfault write PATH UNDO TEXT\n", stderr);
	return EXIT_FAILURE;
}
