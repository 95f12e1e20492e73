/* SPDX-License-Identifier: GPL-2.0-only */
/* All combinations of what a packet is, in classes, and which ones were met */
#ifndef MET_H
#define MET_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/virtio_vsock.h>

#define MET_TYPES	5	/* none, the three that there are, another */
#define MET_OPS		9	/* none, the seven that there are, another */
#define MET_FLAGS	5	/* each of two bits, or more of them */
#define MET_LENGTHS	4	/* see met.c; the last is beyond a guest's buffer */
#define MET_FOR_GUESTS	(MET_LENGTHS - 1)
#define MET_ALL		(MET_LENGTHS * MET_TYPES * MET_OPS * MET_FLAGS)

struct met {
	bool seen[MET_ALL];
};

void met_note(struct met *met, const struct virtio_vsock_hdr *hdr);
/* Say how many, with so many classes of lengths */
void met_print(const struct met *met, unsigned int lengths);

/* An example of combination @which, at random where its classes are ranges */
void met_example(unsigned int which, uint64_t random,
		 struct virtio_vsock_hdr *hdr);

#endif
