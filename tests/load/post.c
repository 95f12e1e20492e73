// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <linux/vm_sockets.h>

#include "post.h"

/* Longer than a connection may be refused everything */
#define PATIENCE_MS	60000

/* Calls of MSG_ZEROCOPY that are under way at a time */
#define CALLS 8

size_t post_behind(enum post_how how, size_t max)
{
	return how == POST_ZEROCOPY ? (CALLS - 1) * max : 0;
}

int post_init(struct post *post, enum post_how how, int fd, size_t max)
{
	int one = 1;

	*post = (struct post){
		.how = how,
		.fd = fd,
		.behind = post_behind(how, max),
	};
	if (how == POST_ZEROCOPY &&
	    setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		return -errno;
	/* One for what is sent, one for its end */
	return how == POST_URING ? io_uring_queue_init(2, &post->ring, 0) : 0;
}

void post_end(struct post *post)
{
	if (post->how == POST_URING)
		io_uring_queue_exit(&post->ring);
}

/* What the error queue says must be about what was sent next, and nothing else */
static int zerocopy_told(struct post *post, struct msghdr *msg)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	struct sock_extended_err err;

	if (!cmsg || cmsg->cmsg_level != SOL_VSOCK ||
	    cmsg->cmsg_type != VSOCK_RECVERR)
		return -EPROTO;
	memcpy(&err, CMSG_DATA(cmsg), sizeof(err));
	if (err.ee_errno || err.ee_origin != SO_EE_ORIGIN_ZEROCOPY ||
	    err.ee_info != post->told || err.ee_data < err.ee_info)
		return -EPROTO;
	post->told = err.ee_data + 1;
	return 0;
}

/* 1 if there was news, 0 if not */
static int zerocopy_read(struct post *post)
{
	char control[256];
	struct msghdr msg = {
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int err;

	if (recvmsg(post->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return errno == EAGAIN ? 0 : -errno;
	err = zerocopy_told(post, &msg);
	return err ? err : 1;
}

/* A call that had to wait for credit is told of in several parts, how many is
 * nowhere to be read: wait until the device, which takes bytes in their order,
 * has left no more than @left of them. The end of a call that is taken is told.
 */
static int zerocopy_wait(struct post *post, size_t left)
{
	struct pollfd pfd = { .fd = post->fd, .events = POLLRDHUP };
	int queued, err;

	for (;;) {
		do {
			err = zerocopy_read(post);
		} while (err > 0);
		if (err)
			return err;
		if (ioctl(post->fd, SIOCOUTQ, &queued))
			return -errno;
		if ((size_t)queued <= left)
			return 0;
		/* POLLERR, which needs not be asked for, tells of an end */
		if (poll(&pfd, 1, PATIENCE_MS) == 0)
			return -ETIMEDOUT;
		/* Whoever is gone takes nothing any more */
		if (pfd.revents & POLLRDHUP)
			return -ECONNRESET;
	}
}

static ssize_t send_zerocopy(struct post *post, const struct msghdr *msg)
{
	ssize_t n = sendmsg(post->fd, msg, MSG_NOSIGNAL | MSG_ZEROCOPY);
	int err;

	if (n <= 0)
		return n ? -errno : 0;
	err = zerocopy_wait(post, post->behind);
	return err ? err : n;
}

static int uring_next(struct post *post, struct io_uring_cqe *out)
{
	struct io_uring_cqe *cqe;
	int err;

	do {
		err = io_uring_wait_cqe(&post->ring, &cqe);
	} while (err == -EINTR);
	if (err)
		return err;
	*out = *cqe;
	io_uring_cqe_seen(&post->ring, cqe);
	return 0;
}

static ssize_t send_uring(struct post *post, const struct msghdr *msg)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&post->ring);
	struct io_uring_cqe cqe;
	ssize_t n;
	int err;

	io_uring_prep_sendmsg_zc(sqe, post->fd, msg, MSG_NOSIGNAL);
	err = io_uring_submit(&post->ring);
	if (err < 0)
		return err;
	err = uring_next(post, &cqe);
	n = cqe.res;
	/* A second one tells that the pages are free */
	if (!err && cqe.flags & IORING_CQE_F_MORE) {
		err = uring_next(post, &cqe);
		if (!err && !(cqe.flags & IORING_CQE_F_NOTIF))
			err = -EPROTO;
	}
	return err ? err : n;
}

ssize_t post_send(struct post *post, struct msghdr *msg)
{
	ssize_t n;

	switch (post->how) {
	case POST_ZEROCOPY:
		return send_zerocopy(post, msg);
	case POST_URING:
		return send_uring(post, msg);
	default:
		n = sendmsg(post->fd, msg, MSG_NOSIGNAL);
		return n < 0 ? -errno : n;
	}
}

int post_flush(struct post *post)
{
	return post->how == POST_ZEROCOPY ? zerocopy_wait(post, 0) : 0;
}
