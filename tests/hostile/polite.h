/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that behaves, on a device of its own: it has a connection and
 * datagrams echoed, checks every byte, and measures how long it waits.
 */
#ifndef POLITE_H
#define POLITE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "rng.h"

struct polite {
	struct device dev;
	struct rng rng;
	uint32_t server;	/* first port of the host's sockets */
	uint32_t port;		/* of the present connection */
	uint32_t received;	/* bytes on it */
	pthread_t thread;
	bool stop, crowded;
	struct {			/* the present one, of time */
		double start;
		uint64_t echoed;	/* before it */
		bool crowded;
	} window;
	/* Results; rates are bytes per ms */
	uint64_t echoed;
	double worst_ms;
	double alone;		/* in the best window before the crowd */
	double few_best;	/* of the windows since the last few */
	double beside;		/* of the few whose best was the worst */
	unsigned int windows;	/* in the crowd */
	int err;
	const char *what;	/* was being done when it failed */
};

int polite_start(struct polite *p, uint64_t cid, uint32_t server);
/* From now on it is not alone any more */
void polite_crowd(struct polite *p);
/* In the crowd it has had this share of its rate alone, or more, in the best of
 * each few windows
 */
double polite_share(const struct polite *p);
/* Let it end its round; 0 if everything came back as it was sent */
int polite_stop(struct polite *p);

#endif
