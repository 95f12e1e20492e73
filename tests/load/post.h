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
	size_t behind;		/* see post_behind() */
	uint32_t told;		/* ends of MSG_ZEROCOPY that were told */
	struct io_uring ring;
};

/* How many of the bytes that were sent last may be in use still when post_send()
 * returns, if it is asked for @max at most: those of some calls before this one.
 */
size_t post_behind(enum post_how how, size_t max);
/* 0 or -errno */
int post_init(struct post *post, enum post_how how, int fd, size_t max);
/* How much was sent, or -errno. All bytes but the last post->behind are the
 * caller's again on return: their pages are no longer in use.
 */
ssize_t post_send(struct post *post, struct msghdr *msg);
/* The others are, too */
int post_flush(struct post *post);
void post_end(struct post *post);

#endif
