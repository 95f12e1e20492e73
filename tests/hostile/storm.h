/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STORM_H
#define STORM_H

#include <stdint.h>

#include "met.h"

struct storm {
	/* Given */
	uint64_t seed, cid, victim;
	uint32_t server;	/* first port of the host's sockets */
	uint64_t packets;	/* to send, about */
	uint64_t first_boot;	/* to replay from */
	const char *on_open;	/* shell command for the device's $DEV */
	/* Results */
	uint64_t boot, sent, received, wedges, stuck;
	struct met met;
};

/* A boot is a device opened, abused and closed; what it does depends on the
 * seed and its number.
 */
#define BOOT_PACKETS	16384

int storm_run(struct storm *storm);

#endif
