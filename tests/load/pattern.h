/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Content whose every byte depends on its offset and on a key.
 *
 * Byte o of a connection is byte o modulo PATTERN_RING of a ring of random
 * bytes made from the key, except that each PATTERN_STRIDE bytes begin with an
 * 8-byte stamp made from the key and the number of that stride. The ring makes
 * checking as cheap as memcmp() and catches every shift by less than its
 * length; the stamps catch the shifts by a multiple of it.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define PATTERN_RING	65536u
#define PATTERN_STRIDE	4096u

struct pattern {
	uint64_t key;
	uint8_t ring[PATTERN_RING];
};

/* A sender's window: a buffer that always holds the pattern around @stamped */
struct pattern_window {
	const struct pattern *pat;
	uint8_t *buf;
	size_t size;
	uint64_t stamped;	/* all stamps below this offset are in buf */
};

void pattern_init(struct pattern *pat, uint64_t key);
void pattern_fill(const struct pattern *pat, uint64_t off, void *buf,
		  size_t len);
/* A size from @min to @max, which the offset decides, too: that of a write that
 * begins there. So both ends know it.
 */
size_t pattern_size(const struct pattern *pat, uint64_t off, size_t min,
		    size_t max);
/* -1 when @buf continues the pattern at @off, else index of the first byte
 * that differs
 */
ssize_t pattern_check(const struct pattern *pat, uint64_t off,
		      const void *buf, size_t len);

int window_init(struct pattern_window *win, const struct pattern *pat,
		size_t max);
/* Describe bytes [off, off + len), len <= max, offsets ascending */
int window_iov(struct pattern_window *win, uint64_t off, size_t len,
	       struct iovec iov[2]);
void window_free(struct pattern_window *win);

#endif
