// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "sock.h"

static int fail(int fd)
{
	int err = -errno;

	close(fd);
	return err;
}

int sock_dial(int type, uint32_t cid, uint32_t port, int prio,
	      unsigned int patience)
{
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK,
		.svm_cid = cid,
		.svm_port = port,
	};
	struct timeval stall = { .tv_sec = patience };
	int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &prio, sizeof(prio)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall)) ||
	    (type != SOCK_DGRAM &&
	     setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &stall,
			sizeof(stall))) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return fail(fd);
	return fd;
}

int sock_bind(int type, uint32_t port)
{
	struct sockaddr_vm at = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = port,
	};
	int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return fail(fd);
	return fd;
}

int sock_listen(int type, uint32_t port)
{
	int fd = sock_bind(type, port);

	if (fd >= 0 && listen(fd, SOMAXCONN))
		return fail(fd);
	return fd;
}

int send_all(int fd, const void *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(fd, buf, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf = (const char *)buf + n;
		len -= n;
	}
	return 0;
}

int recv_all(int fd, void *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = recv(fd, buf, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		buf = (char *)buf + n;
		len -= n;
	}
	return 0;
}
