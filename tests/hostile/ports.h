/* SPDX-License-Identifier: GPL-2.0-only */
/* What listens in the host, counted from the first port */
#ifndef PORTS_H
#define PORTS_H

enum {
	PORT_STREAM,		/* these four are for the hostile guest */
	PORT_SEQPACKET,
	PORT_DGRAM,
	PORT_DGRAM_UNREAD,	/* bound, never read */
	NR_HOSTILE_PORTS,
	PORT_ECHO = NR_HOSTILE_PORTS,	/* these two for the other one */
	PORT_DGRAM_ECHO,
	NR_PORTS,
};

/* The host connects from these to the same ports of the hostile guest */
#define PORTS_DIALLED	NR_PORTS
#define NR_DIALLED	8
/* The liar's, where he keeps to his word */
#define PORT_WITNESS	(PORTS_DIALLED + NR_DIALLED)

#endif
