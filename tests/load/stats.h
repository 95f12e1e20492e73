/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STATS_H
#define STATS_H

#include <stddef.h>
#include <stdint.h>

/* Round-trip times of one ping load, in the order they were started */
struct ping_sample {
	uint32_t start_ms;	/* since the start of the run */
	uint32_t rtt_us;
};

struct ping_log {
	struct ping_sample *samples;
	size_t nr;
	size_t room;
};

struct ping_summary {
	size_t count;
	uint32_t p50, p90, p99, max;	/* microseconds */
};

int ping_log_add(struct ping_log *log, uint32_t start_ms, uint32_t rtt_us);
/* Pings started in [from, to) ms, all @nr logs together */
int ping_summarize(const struct ping_log *logs, size_t nr, uint32_t from_ms,
		   uint32_t to_ms, struct ping_summary *sum);

/* Nearest rank; @sorted ascending, @nr > 0, 0 < @percent <= 100 */
uint32_t percentile(const uint32_t *sorted, size_t nr, unsigned int percent);
/* Jain's index: 1 when all are equal, 1/nr when one has everything */
double jain(const double *values, size_t nr);

#endif
