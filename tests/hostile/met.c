// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <stdio.h>

#include "met.h"

/* The longest of each class: nothing; what is copied to the packet before it;
 * what a receive buffer holds; what a packet may have
 */
static const uint32_t ends[MET_LENGTHS] = { 0, 128, 3732, 65536 };

static unsigned int class_of(uint32_t value, unsigned int classes)
{
	return value < classes ? value : classes - 1;
}

static unsigned int length_class(uint32_t len)
{
	unsigned int i = 0;

	while (i < MET_LENGTHS - 1 && len > ends[i])
		i++;
	return i;
}

void met_note(struct met *met, const struct virtio_vsock_hdr *hdr)
{
	unsigned int which = length_class(le32toh(hdr->len));

	which = which * MET_TYPES + class_of(le16toh(hdr->type), MET_TYPES);
	which = which * MET_OPS + class_of(le16toh(hdr->op), MET_OPS);
	which = which * MET_FLAGS + class_of(le32toh(hdr->flags), MET_FLAGS);
	met->seen[which] = true;
}

void met_print(const struct met *met, unsigned int lengths)
{
	unsigned int all = MET_ALL / MET_LENGTHS * lengths, n = 0, i;

	for (i = 0; i < all; i++)
		n += met->seen[i];
	printf("met %u of %u combinations of type, op, flags and length\n", n,
	       all);
}

void met_example(unsigned int which, uint64_t random,
		 struct virtio_vsock_hdr *hdr)
{
	uint32_t flags = which % MET_FLAGS, len;
	unsigned int class;

	if (flags == MET_FLAGS - 1)
		flags += (uint32_t)random % -flags;
	hdr->flags = htole32(flags);
	which /= MET_FLAGS;
	hdr->op = htole16(which % MET_OPS);
	which /= MET_OPS;
	hdr->type = htole16(which % MET_TYPES);
	class = which / MET_TYPES;
	len = ends[class];
	if (class)
		len -= (random >> 32) % (len - ends[class - 1]);
	hdr->len = htole32(len);
}
