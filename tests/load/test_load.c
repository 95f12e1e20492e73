// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pattern.h"
#include "stats.h"

#define LEN (4 * PATTERN_RING)

static struct pattern pat;
static uint8_t data[LEN];

static int fill(void **state)
{
	(void)state;
	pattern_init(&pat, 42);
	pattern_fill(&pat, 0, data, LEN);
	return 0;
}

static void accepts_its_own(void **state)
{
	size_t off;

	(void)state;
	for (off = 0; off < 2 * PATTERN_RING; off += 1009)
		assert_int_equal(pattern_check(&pat, off, data + off, 5000),
				 -1);
	assert_int_equal(pattern_check(&pat, 3, data + 3, 0), -1);
}

static void finds_a_flip(void **state)
{
	static const size_t at[] = { 0, 7, 8, 4095, 4096, 65536, LEN - 1 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		data[at[i]] ^= 1;
		assert_int_equal(pattern_check(&pat, 0, data, LEN), at[i]);
		data[at[i]] ^= 1;
	}
}

/* A piece of @len bytes is missing at @off; repeated is the same, reversed */
static void finds_shifts(void **state)
{
	static const size_t lens[] = { 1, 8, 64, 3732, 4096, 65536, 131072 };
	size_t i, off = 10000;
	ssize_t bad;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		bad = pattern_check(&pat, off, data + off + lens[i], 8192);
		assert_in_range(bad, 0, PATTERN_STRIDE);
		bad = pattern_check(&pat, off + lens[i], data + off, 8192);
		assert_in_range(bad, 0, PATTERN_STRIDE);
	}
}

static void finds_a_swap(void **state)
{
	uint8_t piece[3732];
	ssize_t bad;

	(void)state;
	memcpy(piece, data + 3732, sizeof(piece));
	memmove(data + 3732, data + 2 * 3732, sizeof(piece));
	memcpy(data + 2 * 3732, piece, sizeof(piece));
	bad = pattern_check(&pat, 0, data, LEN);
	assert_in_range(bad, 3732, 3732 + 8);
}

static void differs_by_key(void **state)
{
	static struct pattern other;
	ssize_t bad;

	(void)state;
	pattern_init(&other, 43);
	bad = pattern_check(&other, 8, data + 8, 100);
	assert_in_range(bad, 0, 4);
}

static void sizes_keep_to_their_range(void **state)
{
	size_t off, size, least = 99, most = 0;

	(void)state;
	for (off = 0; off < 10000; off++) {
		size = pattern_size(&pat, off, 3, 17);
		least = size < least ? size : least;
		most = size > most ? size : most;
		assert_int_equal(pattern_size(&pat, off, 5, 5), 5);
	}
	assert_int_equal(least, 3);
	assert_int_equal(most, 17);
}

/* Writes of @size, each taken only in part, as a full socket does it */
static void window_equals_pattern(size_t size)
{
	struct pattern_window win;
	struct iovec iov[2];
	uint64_t off = 0;
	size_t taken = 1;
	int i, nr;

	assert_int_equal(window_init(&win, &pat, size), 0);
	while (off < 3 * LEN) {
		uint64_t at = off;

		nr = window_iov(&win, off, size, iov);
		for (i = 0; i < nr; i++) {
			assert_int_equal(pattern_check(&pat, at,
						       iov[i].iov_base,
						       iov[i].iov_len), -1);
			at += iov[i].iov_len;
		}
		assert_int_equal(at, off + size);
		taken = (taken * 7919 + 1) % size + 1;
		off += taken;
	}
	window_free(&win);
}

static void window_sends_the_pattern(void **state)
{
	static const size_t sizes[] = { 3, 4097, 65535, 65536, 65537, 1048576 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		window_equals_pattern(sizes[i]);
}

#define BEHIND	7

/* What so many requests before the last one described does not change */
static void window_keeps(size_t size)
{
	struct iovec iov[BEHIND + 1][2] = {};
	uint64_t off[BEHIND + 1] = {};
	struct pattern_window win;
	size_t n, i;

	assert_int_equal(window_init(&win, &pat, (BEHIND + 1) * size), 0);
	for (n = 0; n < 200; n++) {
		struct iovec *last = iov[n % (BEHIND + 1)];

		off[n % (BEHIND + 1)] = n * size;
		last[1].iov_len = 0;
		window_iov(&win, n * size, size, last);
		for (i = 0; i <= BEHIND && i <= n; i++) {
			assert_int_equal(pattern_check(&pat, off[i],
						       iov[i][0].iov_base,
						       iov[i][0].iov_len), -1);
			assert_int_equal(pattern_check(&pat, off[i] +
						       iov[i][0].iov_len,
						       iov[i][1].iov_base,
						       iov[i][1].iov_len), -1);
		}
	}
	window_free(&win);
}

static void window_keeps_what_is_under_way(void **state)
{
	(void)state;
	window_keeps(1);
	window_keeps(5003);
	window_keeps(65536);
	window_keeps(300007);
}

static void percentiles(void **state)
{
	static const uint32_t one[] = { 7 }, four[] = { 1, 2, 3, 4 };
	uint32_t hundred[100];
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		hundred[i] = i + 1;
	assert_int_equal(percentile(one, 1, 50), 7);
	assert_int_equal(percentile(one, 1, 99), 7);
	assert_int_equal(percentile(four, 4, 50), 2);
	assert_int_equal(percentile(four, 4, 99), 4);
	assert_int_equal(percentile(hundred, 100, 50), 50);
	assert_int_equal(percentile(hundred, 100, 99), 99);
	assert_int_equal(percentile(hundred, 100, 100), 100);
}

static void summaries_keep_to_their_time(void **state)
{
	struct ping_log logs[2] = {};
	struct ping_summary sum;
	int i;

	(void)state;
	for (i = 0; i < 10000; i++)
		assert_int_equal(ping_log_add(&logs[i % 2], i, i), 0);
	assert_int_equal(ping_summarize(logs, 2, 1000, 2000, &sum), 0);
	assert_int_equal(sum.count, 1000);
	assert_int_equal(sum.p50, 1499);
	assert_int_equal(sum.max, 1999);
	assert_int_equal(ping_summarize(logs, 2, 20000, 30000, &sum), 0);
	assert_int_equal(sum.count, 0);
	free(logs[0].samples);
	free(logs[1].samples);
}

static void jain_index(void **state)
{
	static const double equal[] = { 5, 5, 5, 5 }, hog[] = { 8, 0, 0, 0 };
	static const double two[] = { 1, 3 };

	(void)state;
	assert_true(jain(equal, 4) == 1);
	assert_true(jain(hog, 4) == 0.25);
	assert_true(jain(two, 2) == 0.8);
	assert_true(jain(hog + 1, 3) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(accepts_its_own, fill),
		cmocka_unit_test_setup(finds_a_flip, fill),
		cmocka_unit_test_setup(finds_shifts, fill),
		cmocka_unit_test_setup(finds_a_swap, fill),
		cmocka_unit_test_setup(differs_by_key, fill),
		cmocka_unit_test_setup(sizes_keep_to_their_range, fill),
		cmocka_unit_test_setup(window_sends_the_pattern, fill),
		cmocka_unit_test_setup(window_keeps_what_is_under_way, fill),
		cmocka_unit_test(percentiles),
		cmocka_unit_test(summaries_keep_to_their_time),
		cmocka_unit_test(jain_index),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
