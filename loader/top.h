/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of "top": readings of the counters, what happened between two of
 * them, and the lines that tell it.
 */
#ifndef LOADER_TOP_H
#define LOADER_TOP_H

#include <jansson.h>
#include <linux/types.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

struct options;

enum top_kind {
	TOP_DEVICE,
	TOP_CLASS,
	TOP_FLOW,
};

enum top_counter {
	TOP_SENT_PACKETS,
	TOP_SENT_BYTES,
	TOP_RECEIVED_PACKETS,
	TOP_RECEIVED_BYTES,
	TOP_DROPS,
	TOP_NR_RATES,
	TOP_COST = TOP_NR_RATES,
	TOP_SERVED,		/* packets that left the queue */
	TOP_WAITED,		/* and the usecs that they spent in it */
	TOP_NR_COUNTERS,
};

/* In their order on the screen. */
enum top_column {
	TOP_COL_SENT_PACKETS,
	TOP_COL_SENT_BYTES,
	TOP_COL_RECEIVED_PACKETS,
	TOP_COL_RECEIVED_BYTES,
	TOP_COL_SHARE,
	TOP_COL_BACKLOG,
	TOP_COL_DROPS,
	TOP_COL_WAIT,
	TOP_NR_COLUMNS,
};

#define TOP_UNKNOWN	(-1.0)	/* of a value */

struct top_item {
	char device[IFNAMSIZ];
	int ifindex;
	enum top_kind kind;
	char name[64];
	bool queued;		/* it has a queue of ours */
	__u64 backlog;		/* packets in it */
	__u64 waited;		/* of a flow: the first of them, usecs */
	__u64 uid;
	__u64 cgroup;		/* 0: whose it is, is not known */
	__u64 counter[TOP_NR_COUNTERS];

	/* By top_compare(): */
	const struct top_item *on;	/* its device, which is on itself */
	double cost;			/* since the reading before */
	double value[TOP_NR_COLUMNS];
};

/* Sorted: each device is followed by its classes, then its flows. */
struct top_reading {
	__u64 time;		/* CLOCK_MONOTONIC, ns */
	size_t count;
	struct top_item *item;
};

/*
 * Add what report_devices() found out, of devices with something attached, to an
 * empty reading or to others; sort it when it is whole. Returns 0 or -ENOMEM.
 */
int top_add(struct top_reading *reading, const json_t *devices);
void top_sort(struct top_reading *reading);

void top_free(struct top_reading *reading);

/* Fill in the values. What a device did before it was seen is not told. */
void top_compare(struct top_reading *now, const struct top_reading *before);

/*
 * Point to what there is to show in the order in which to show it, the most of
 * a column first; of flows only so many of each device, and none that is idle.
 * There is room for reading->count pointers; returns how many there are.
 */
size_t top_arrange(const struct top_reading *reading, enum top_column by,
		   size_t flows, const struct top_item **view);

#define TOP_CELL	6	/* width of a column, a space included */
#define TOP_LINE	256

const char *top_title(enum top_column column);

/* The longest name there is, as it is indented. */
int top_name_width(const struct top_item **view, size_t count);

void top_header(int name_width, char line[TOP_LINE]);
void top_line(const struct top_item *item, int name_width,
	      char line[TOP_LINE]);

/* When, how long, how many, by what. */
void top_summary(const struct top_reading *now,
		 const struct top_reading *before, enum top_column by,
		 char line[TOP_LINE]);

/* Seconds between two screens. */
double top_delay(const struct options *opt);

/* Read the device of this name, or all; one that is gone is no error. */
int top_take(const char *which, struct top_reading *reading);

/* On the terminal, until it is left. Returns an exit code. */
int top_live(const struct options *opt, const char *which);

#endif
