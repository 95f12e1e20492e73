/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device of a real guest, given to this process by QEMU's
 * vhost-user-vsock-pci or by a user-mode Linux that is the guest: its memory and
 * its rings. What is said on them is the caller's business.
 */
#ifndef USER_H
#define USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_ring.h>

#define USER_REGIONS	8

/* As the guest numbers them; QEMU keeps the last one to itself */
enum { USER_RX, USER_TX, USER_EVENT, USER_RINGS };

struct user_region {
	uint64_t guest, size, qemu;	/* where the two believe it to be */
	uint8_t *map;			/* all of the file */
	size_t map_size;
	uint64_t offset;
};

struct user_ring {
	struct vring vring;
	uint16_t taken, used;
	int kick, call;
	bool on;
};

struct user {
	int listener, conn;	/* QEMU, or who stands in its place */
	uint64_t cid, offered, features;
	struct user_region regions[USER_REGIONS];
	unsigned int nr_regions;
	struct user_ring rings[USER_RINGS];
	unsigned int starts;	/* how often the guest started the device */
};

/* A buffer of the guest: the first piece of a chain, or of an indirect one */
struct user_buf {
	uint16_t head;
	uint8_t *data;
	uint32_t len;
};

/* For QEMU, at the socket @path; -errno */
int user_listen(struct user *user, const char *path);
/* Wait for QEMU, whose guest shall be @cid and may have @features; -errno */
int user_accept(struct user *user, uint64_t cid, uint64_t features);
/* QEMU is gone */
void user_forget(struct user *user);
/* Answer one message of QEMU; -ECONNRESET when it is gone */
int user_answer(struct user *user);
/* The guest's driver has started both rings */
bool user_runs(const struct user *user);
/* The next buffer that the guest offers; false if there is none */
bool user_take(struct user *user, struct user_ring *ring,
	       struct user_buf *buf);
void user_give(struct user_ring *ring, uint32_t id, uint32_t len);
/* Make what was given visible and say so */
void user_call(struct user_ring *ring);

#endif
