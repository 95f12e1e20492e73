/* SPDX-License-Identifier: GPL-2.0-only */
/* The steps of a socket's life, each of which is to fail at each point */
#ifndef STEPS_H
#define STEPS_H

#include <stdint.h>

#define ECHO_LEN	20000u	/* bytes under way at once */
#define PORT_SEQPACKET	1	/* where messages are echoed, beyond the port */

struct life {
	uint32_t cid, port;	/* where somebody echoes streams and datagrams */
	int fd;
	int peer;		/* who waits to be accepted */
	uint8_t *out, *in;	/* ECHO_LEN bytes each */
	int got;		/* what the step returned */
};

struct step {
	const char *name;
	/* Up to the step; then the step itself, >= 0 or -errno, the only thing
	 * that fails on purpose; then that what it said is true. The first and
	 * the last return 0 or -errno.
	 */
	int (*before)(struct life *life);
	int (*step)(struct life *life);
	int (*after)(struct life *life);
};

extern const struct step steps[];
extern const unsigned int nr_steps;

#endif
