// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "witness.h"

#define QUIET_MS	10	/* between looks at the CID */
#define LATE_LOOKS	1000	/* until a reset is missed */

static struct {
	uint64_t connections, moves;	/* of them: first from another CID */
	uint64_t resets, moved;		/* of them: the CID changed with it */
	uint64_t missed, others;	/* the CID changed; something else */
} seen;

static uint32_t witness_port;
static int vsock;

static void count(uint64_t *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

static uint32_t local_cid(void)
{
	uint32_t cid = VMADDR_CID_ANY;

	ioctl(vsock, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid);
	return cid;
}

/* Until something happens to the connection, made from @cid */
static void watch(int fd, uint32_t cid)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	socklen_t size = sizeof(int);
	int looks = 0, err = 0;
	uint32_t now;

	while (!poll(&pfd, 1, QUIET_MS))
		if (local_cid() != cid && looks++ == LATE_LOOKS) {
			count(&seen.missed);
			return;
		}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
	count(err == ECONNRESET ? &seen.resets : &seen.others);
	now = local_cid();
	/* Without the device it is none of a guest */
	if (err == ECONNRESET && now != cid && now > VMADDR_CID_HOST)
		count(&seen.moved);
}

static int dial(int type)
{
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = witness_port,
	};
	/* A request that is lost with the device is not waited for */
	struct timeval soon = { .tv_usec = 500000 };
	int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    (!setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &soon,
			 sizeof(soon)) &&
	     !connect(fd, (struct sockaddr *)&to, sizeof(to))))
		return fd;
	close(fd);
	return -1;
}

static void *witness(void *type)
{
	uint32_t last = local_cid(), cid;
	int fd;

	for (;;) {
		cid = local_cid();
		fd = dial(*(int *)type);
		if (fd < 0 || local_cid() != cid) {
			close(fd);
			poll(NULL, 0, QUIET_MS);
			continue;
		}
		count(&seen.connections);
		if (cid != last)
			count(&seen.moves);
		last = cid;
		watch(fd, cid);
		close(fd);
	}
	return NULL;
}

int witness_start(uint32_t port)
{
	static int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	pthread_t thread;
	int i, err = 0;

	witness_port = port;
	vsock = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
	if (vsock < 0)
		return -errno;
	for (i = 0; i < 2 && !err; i++)
		err = -pthread_create(&thread, NULL, witness, &types[i]);
	return err;
}

void witness_report(void)
{
	printf("the witnesses: %" PRIu64 " connections, %" PRIu64
	       " from another CID than before, %" PRIu64 " resets, %" PRIu64
	       " with another CID, %" PRIu64 " resets missed, %" PRIu64
	       " other ends\n", seen.connections, seen.moves, seen.resets,
	       seen.moved, seen.missed, seen.others);
}
