/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A host that lies to a real guest: what gen.c says, in the other direction, to
 * sockets that the guest takes seriously, and used rings that make no sense.
 */
#ifndef LIAR_H
#define LIAR_H

#include <stdint.h>

#include "gen.h"
#include "user.h"

struct liar {
	/* Given */
	const char *path;	/* of the socket for QEMU or the guest */
	uint64_t seed, cid;	/* of the guest */
	uint32_t server;	/* first port of the guest's sockets */
	uint64_t packets;	/* to send, then silence */
	/* Results */
	uint64_t sent, heard, wedges, events;

	struct user user;
	struct gen gen;
	unsigned int wedged;	/* user.starts when the guest gave up, + 1 */
};

/* Until QEMU is gone; 0 or -errno */
int liar_run(struct liar *liar);

#endif
