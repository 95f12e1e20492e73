// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

#define STAMP sizeof(uint64_t)

/* splitmix64: one multiply-xorshift round per number, any seed is good */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint64_t stamp_of(const struct pattern *pat, uint64_t off)
{
	return mix(pat->key ^ mix(off / PATTERN_STRIDE));
}

void pattern_init(struct pattern *pat, uint64_t key)
{
	uint64_t word;
	size_t i;

	pat->key = key;
	for (i = 0; i < PATTERN_RING; i += sizeof(word)) {
		word = mix(key + i);
		memcpy(pat->ring + i, &word, sizeof(word));
	}
}

/*
 * The longest run from @off that is all stamp or all ring: its length in
 * *@len (at most what it was), its bytes in the return value. @stamp is room
 * for a stamp.
 */
static const uint8_t *run_at(const struct pattern *pat, uint64_t off,
			     size_t *len, uint64_t *stamp)
{
	size_t in = off % PATTERN_STRIDE;
	size_t max = in < STAMP ? STAMP - in : PATTERN_STRIDE - in;

	if (*len > max)
		*len = max;
	if (in >= STAMP)
		return pat->ring + off % PATTERN_RING;
	*stamp = stamp_of(pat, off);
	return (const uint8_t *)stamp + in;
}

void pattern_fill(const struct pattern *pat, uint64_t off, void *buf,
		  size_t len)
{
	uint8_t *to = buf;
	uint64_t stamp;

	while (len) {
		size_t n = len;
		const uint8_t *run = run_at(pat, off, &n, &stamp);

		memcpy(to, run, n);
		to += n;
		off += n;
		len -= n;
	}
}

size_t pattern_size(const struct pattern *pat, uint64_t off, size_t min,
		    size_t max)
{
	return min + mix(pat->key + ~mix(off)) % (max - min + 1);
}

static size_t first_difference(const uint8_t *a, const uint8_t *b)
{
	size_t i = 0;

	while (a[i] == b[i])
		i++;
	return i;
}

ssize_t pattern_check(const struct pattern *pat, uint64_t off,
		      const void *buf, size_t len)
{
	const uint8_t *got = buf;
	size_t done = 0;
	uint64_t stamp;

	while (done < len) {
		size_t n = len - done;
		const uint8_t *run = run_at(pat, off + done, &n, &stamp);

		if (memcmp(got + done, run, n))
			return done + first_difference(got + done, run);
		done += n;
	}
	return -1;
}

/*
 * One ring more than the largest request: the stamps of a request's last
 * strides then never land in the buffer where its first ones still stand.
 */
int window_init(struct pattern_window *win, const struct pattern *pat,
		size_t max)
{
	size_t rings = (max + PATTERN_RING - 1) / PATTERN_RING + 1;
	size_t i;

	win->pat = pat;
	win->stamped = 0;
	win->size = rings * PATTERN_RING;
	win->buf = malloc(win->size);
	if (!win->buf)
		return -ENOMEM;
	for (i = 0; i < rings; i++)
		memcpy(win->buf + i * PATTERN_RING, pat->ring, PATTERN_RING);
	return 0;
}

int window_iov(struct pattern_window *win, uint64_t off, size_t len,
	       struct iovec iov[2])
{
	size_t at = off % win->size;
	size_t first = len < win->size - at ? len : win->size - at;
	uint64_t stamp;

	for (; win->stamped < off + len; win->stamped += PATTERN_STRIDE) {
		stamp = stamp_of(win->pat, win->stamped);
		memcpy(win->buf + win->stamped % win->size, &stamp, STAMP);
	}
	iov[0].iov_base = win->buf + at;
	iov[0].iov_len = first;
	iov[1].iov_base = win->buf;
	iov[1].iov_len = len - first;
	return len > first ? 2 : 1;
}

void window_free(struct pattern_window *win)
{
	free(win->buf);
	win->buf = NULL;
}
