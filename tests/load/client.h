/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CLIENT_H
#define CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pattern.h"
#include "post.h"
#include "stats.h"
#include "wire.h"

enum load { LOAD_STREAM, LOAD_PING, LOAD_FLOOD, NR_LOADS };

struct options {
	unsigned int cid, port;
	unsigned int streams, pings, floods;
	unsigned int write_size[2];	/* the least, the largest */
	unsigned int dgram_size;
	int type;			/* of the streams' sockets */
	enum post_how how;		/* they send */
	bool nowait;
	unsigned int patience;
	double duration, warmup, interval;
	double flood_start, flood_stop;	/* stop < 0: at the end */
	int prio[NR_LOADS];
	const char *json;
};

struct run;

struct stream {
	struct run *run;
	int fd;
	pthread_t thread;
	struct pattern pat;
	struct pattern_window win;
	struct post post;
	_Atomic uint64_t sent;
	atomic_bool done;
	struct bulk_result result;
	int err;			/* of the connection, -errno */
};

struct ping {
	struct run *run;
	int fd;
	pthread_t thread;
	struct ping_log *log;
	bool mangled;			/* an answer was not its request */
	atomic_bool done;
	int err;
};

struct flood {
	struct run *run;
	int fd;
	pthread_t thread;
	uint64_t key;
	_Atomic uint64_t sent;
	uint64_t eagain, dropped;	/* refused by the queue: try again */
	int err;
};

/* Everything sent until a moment */
struct sample {
	uint32_t ms;
	uint64_t dgrams;
	uint64_t *streams;
	unsigned int pings;	/* that wait for their last answer */
};

#define STREAM_DONE	UINT64_MAX

struct run {
	const struct options *opt;
	unsigned int nr_ticks, warm_ticks, start_tick, stop_tick;
	struct stream *streams;
	struct ping *pings;
	struct ping_log *logs;
	struct flood *floods;
	uint64_t start_us;
	atomic_bool stop, stop_flood;
	struct sample *samples;		/* one per tick, and one at the start */
	/* From the end on, until all has left its socket and is answered: of a
	 * stream what has left, or STREAM_DONE
	 */
	struct sample *drain;
	unsigned int nr_drain;
	int flood_ctl;			/* fd */
	struct pattern flood_pat;
	struct flood_result flood;
	uint64_t *received;		/* flood.samples of them */
};

/* 0, or -errno after a message */
int client_run(struct run *run);

/* report.c */
bool run_verified(const struct run *run);
void report_table(const struct run *run);
int report_json(const struct run *run, const char *path);

#endif
