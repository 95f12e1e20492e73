/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vsload's client and server say to each other.
 *
 * Every connection starts with a hello. Bulk: the client sends the pattern of
 * hello.key and shuts down, the server answers with one bulk_result. Ping: the
 * server sends back every PING_SIZE bytes. Flood: the connection only controls;
 * the datagrams go to the same port, beginning with a dgram_head. The client
 * writes one byte when its clock starts and one when the last datagram is out,
 * the server answers the second with a flood_result and its samples.
 *
 * Both ends are the same program on one architecture: host byte order.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>

#define WIRE_MAGIC	0x76734c33u	/* changes when a record does */
#define PING_SIZE	64
#define MAX_WRITE	(1u << 20)
#define MAX_FLOODS	1024		/* fits the low bits of a key */
#define MAX_DGRAM	65536
#define MAX_STREAMS	1024
#define MAX_SAMPLES	100000
#define NO_MISMATCH	UINT64_MAX

enum wire_kind { WIRE_BULK = 1, WIRE_PING, WIRE_FLOOD };

struct hello {
	uint32_t magic;
	uint32_t kind;
	uint64_t key;
	uint32_t size;		/* bulk: of the least write; flood: of a datagram */
	uint32_t max_size;	/* bulk: of the largest, see pattern_size() */
	uint32_t flows;		/* flood: sockets */
	uint32_t pad;
	uint64_t interval_us;	/* flood: between samples */
};

struct bulk_result {
	uint64_t received;	/* bytes */
	uint64_t mismatch;	/* offset of the first wrong byte */
	uint64_t bad_bounds;	/* messages of another length than was sent */
	uint8_t want, got;	/* at that offset */
	uint8_t pad[6];
};

struct dgram_head {
	uint64_t key;		/* of the hello, plus the flow's number */
	uint64_t seq;		/* from 1 */
};

struct flood_result {
	uint64_t received;
	uint64_t bytes;
	uint64_t bad;		/* wrong content or length */
	uint64_t late;		/* overtaken by a later one */
	uint64_t repeated;
	uint64_t newest;	/* sequence number */
	/* Of the socket meanwhile, whoever's they are */
	uint64_t stray;		/* of no session, or too short to tell */
	uint64_t overflow;	/* the receive buffer had no room for them */
	uint64_t samples;	/* uint64_t each, follow: received until then */
};

#endif
