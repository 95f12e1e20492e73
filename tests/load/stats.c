// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

int ping_log_add(struct ping_log *log, uint32_t start_ms, uint32_t rtt_us)
{
	if (log->nr == log->room) {
		size_t room = log->room ? 2 * log->room : 4096;
		struct ping_sample *more;

		more = realloc(log->samples, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		log->samples = more;
		log->room = room;
	}
	log->samples[log->nr++] = (struct ping_sample){ start_ms, rtt_us };
	return 0;
}

uint32_t percentile(const uint32_t *sorted, size_t nr, unsigned int percent)
{
	size_t rank = (nr * percent + 99) / 100;

	return sorted[rank - 1];
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static size_t collect(const struct ping_log *log, uint32_t from_ms,
		      uint32_t to_ms, uint32_t *rtts)
{
	size_t i, nr = 0;

	for (i = 0; i < log->nr; i++)
		if (log->samples[i].start_ms >= from_ms &&
		    log->samples[i].start_ms < to_ms)
			rtts[nr++] = log->samples[i].rtt_us;
	return nr;
}

int ping_summarize(const struct ping_log *logs, size_t nr, uint32_t from_ms,
		   uint32_t to_ms, struct ping_summary *sum)
{
	size_t i, total = 0, count = 0;
	uint32_t *rtts;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < nr; i++)
		total += logs[i].nr;
	if (!total)
		return 0;
	rtts = malloc(total * sizeof(*rtts));
	if (!rtts)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		count += collect(&logs[i], from_ms, to_ms, rtts + count);
	if (count) {
		qsort(rtts, count, sizeof(*rtts), by_value);
		sum->count = count;
		sum->p50 = percentile(rtts, count, 50);
		sum->p90 = percentile(rtts, count, 90);
		sum->p99 = percentile(rtts, count, 99);
		sum->max = rtts[count - 1];
	}
	free(rtts);
	return 0;
}

double jain(const double *values, size_t nr)
{
	double sum = 0, squares = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		sum += values[i];
		squares += values[i] * values[i];
	}
	return squares > 0 ? sum * sum / (nr * squares) : 0;
}
