/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A host that lies to a real guest: what gen.c says, in the other direction, to
 * sockets that the guest takes seriously, and used rings that make no sense.
 */
#ifndef LIAR_H
#define LIAR_H

#include <stdbool.h>
#include <stdint.h>

#include "gen.h"
#include "met.h"
#include "user.h"

struct liar {
	/* Given */
	const char *path;	/* of the socket for QEMU or the guest */
	uint64_t seed, cid;	/* of the guest */
	uint32_t server;	/* first port of the guest's sockets */
	uint64_t packets;	/* to send, then silence */
	/* Results */
	uint64_t sent, heard, wedges, events;
	uint64_t starts, with_dgram, with_seqpacket, with_event_idx;

	struct met met;

	struct user user;
	struct gen gen;
	/* Apart from gen, so that timing does not change what is said */
	struct rng rng;
	bool awaited;		/* the guest's sockets are there */
	uint64_t next_wedge;	/* once so many packets are sent */
	unsigned int wedged;	/* user.starts when the guest gave up, + 1 */
};

/* For one QEMU after the other, each with other features; -errno */
int liar_run(struct liar *liar);

#endif
