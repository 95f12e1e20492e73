/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a hostile guest says: packets from a seed alone, never from answers, so
 * that a seed repeats them. Most belong to conversations that the host takes
 * seriously (a connection is established by its request, nothing has to come
 * back first), and lie in the middle of them.
 */
#ifndef GEN_H
#define GEN_H

#include <linux/virtio_vsock.h>

#include "rng.h"

/* Not in the headers of a kernel without the series */
#define VSOCK_F_DGRAM		3
#define VSOCK_TYPE_DGRAM	3

#define MAX_PAYLOAD		65536u
/* Of a datagram for a guest: what its buffers hold, so many make the longest */
#define MAX_PIECE		3732u
#define MAX_PIECES		18u

/* How a packet lies in descriptors */
enum layout {
	LAY_TWO,		/* header, payload */
	LAY_ONE_TABLE,		/* the same in an indirect table */
	LAY_PIECES,		/* header and payload in many pieces */
	LAY_EMPTIES,		/* with empty descriptors in between */
	/* The host cannot use these, and keeps them */
	LAY_SHORT,		/* less than a header */
	LAY_HUGE,		/* more than the longest packet */
	LAY_WRITABLE,		/* to be written by the host */
	NR_LAYOUTS,
};

/* What the host cannot get past: the device has to start anew */
enum wedge {
	WEDGE_LOOP,		/* a descriptor that is its own next */
	WEDGE_LONG_LOOP,	/* through the whole ring */
	WEDGE_NEXT,		/* a next beyond the ring */
	WEDGE_HEAD,		/* offered: a descriptor beyond the ring */
	WEDGE_NOWHERE,		/* memory that does not exist */
	WEDGE_WRAP,		/* around the end of the address space */
	WEDGE_BORDER,		/* begins in memory, ends outside */
	WEDGE_ORDER,		/* readable after writable */
	WEDGE_TABLE_ODD,	/* a table of one and a half entries */
	WEDGE_TABLE_EMPTY,
	WEDGE_TABLE_HUGE,	/* more entries than 16 bits count */
	WEDGE_TABLE_NESTED,
	WEDGE_TABLE_LOOP,
	WEDGE_TABLE_NOWHERE,
	WEDGE_TABLE_EMPTIES,	/* 65,536 descriptors of nothing */
	WEDGE_INDEX,		/* more offered than the ring holds */
	WEDGE_INDEX_BACK,
	NR_WEDGES,
};

struct packet {
	struct virtio_vsock_hdr hdr;
	uint32_t payload;	/* bytes, whatever hdr.len says */
	enum layout layout;
};

#define NR_SLOTS	32
#define SCRIPT_MAX	64

/* A connection that the host believes in, if the last request was honest */
struct slot {
	uint32_t port, server;
	uint16_t type;
	uint32_t sent;
};

struct gen {
	struct rng rng;
	uint64_t cid, victim;	/* its own, another guest's */
	uint32_t server;	/* first port of the host's sockets */
	uint32_t next_port;
	struct slot slots[NR_SLOTS];
	struct packet script[SCRIPT_MAX];
	unsigned int scripted, told;
	unsigned int combination;	/* the next one */
};

void gen_init(struct gen *gen, uint64_t seed, uint64_t cid, uint64_t victim,
	      uint32_t server);
/* Does it pass the first looks at addresses and length? */
bool gen_is_heard(const struct gen *gen, const struct packet *pkt);
/* A piece of a datagram says where it belongs, also by its payload */
bool gen_is_piece(const struct packet *pkt);

static inline uint8_t gen_piece_byte(uint32_t at)
{
	return 'p' + at % 131;
}

/* Each that a vsock device may have, mostly */
uint64_t gen_features(struct rng *rng);
void gen_packet(struct gen *gen, struct packet *pkt);

#endif
