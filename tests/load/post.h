/* SPDX-License-Identifier: GPL-2.0-only */
/* The ways to hand bytes to a socket, which must make no difference */
#ifndef POST_H
#define POST_H

#include <stdint.h>
#include <sys/socket.h>
#include <liburing.h>

enum post_how {
	POST_COPY,		/* sendmsg() */
	POST_ZEROCOPY,		/* with MSG_ZEROCOPY */
	POST_URING,		/* io_uring's, which does not copy either */
};

struct post {
	enum post_how how;
	int fd;
	uint32_t told;		/* ends of MSG_ZEROCOPY that were told */
	struct io_uring ring;
};

/* 0 or -errno */
int post_init(struct post *post, enum post_how how, int fd);
/* How much was sent, or -errno. The bytes are the caller's again on return:
 * their pages are no longer in use.
 */
ssize_t post_send(struct post *post, struct msghdr *msg);
void post_end(struct post *post);

#endif
