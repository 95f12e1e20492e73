/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest without a guest: its memory, its two rings and its CID, given to
 * /dev/vhost-vsock the way a VMM does. What is put on the rings, and whether
 * it makes sense, is the caller's business.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>

#define RING_NUM	1024u

/* The guest's physical memory: two slots next to each other there, but not in
 * this process, so that a buffer across the border becomes two.
 */
#define MEM_SLOT	(4u << 20)
#define MEM_SIZE	(2 * MEM_SLOT)

/* What lies where in it */
#define RX_RING_AT	0x000000u
#define TX_RING_AT	0x010000u
#define HEADERS_AT	0x020000u	/* HEADER_STRIDE for each descriptor */
#define HEADER_STRIDE	64u
#define TABLES_AT	0x040000u	/* indirect tables of TABLE_NUM entries */
#define TABLE_NUM	16u
#define BIG_TABLE_AT	0x100000u	/* one of BIG_TABLE_NUM */
#define BIG_TABLE_NUM	65536u
#define PAYLOAD_AT	0x3f0000u	/* across the border */
#define PAYLOAD_SIZE	0x020000u
#define RX_BUFS_AT	0x410000u
#define RX_BUF_SIZE	3776u

struct ring {
	struct vring vring;
	uint16_t avail, used;	/* ours: next to offer, next to look at */
	int kick, call, err;
};

struct device {
	int fd;
	uint64_t cid, offered, features;
	uint8_t *mem;
	struct ring rx, tx;
};

static inline void *guest_mem(struct device *dev, uint32_t at)
{
	return dev->mem + (at < MEM_SLOT ? at : at + MEM_SLOT);
}

/* Open the device up to the point where it may run. Without a CID (0) none
 * is set. Features that are not offered are left out.
 */
int device_open(struct device *dev, uint64_t cid, uint64_t features);
void device_close(struct device *dev);
int device_set_cid(struct device *dev, uint64_t cid);
int device_start(struct device *dev);
int device_stop(struct device *dev);
/* Forget what is on the rings, as a guest does that boots anew */
int device_restart(struct device *dev);

void ring_offer(struct ring *ring, uint16_t head);
/* Make what was offered visible and say so */
void ring_kick(struct ring *ring);
/* Next used element; false if there is none */
bool ring_used(struct ring *ring, struct vring_used_elem *elem);
/* Wait until one of the rings may have news; -ETIMEDOUT */
int device_wait(struct device *dev, int timeout_ms);

/* Offer a receive buffer of @len bytes, at most RX_BUF_SIZE */
void rx_offer(struct device *dev, uint16_t head, uint32_t len);
void rx_offer_all(struct device *dev);
struct virtio_vsock_hdr *rx_packet(struct device *dev, uint32_t head);

#endif
