/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tells attached programs apart. A constant of theirs, "build", is the hash
 * of their object file and of the maps that all share: where these were made
 * anew, programs that have the old ones never hear of another policy, and nobody
 * hears of their events.
 */
#ifndef LOADER_BUILD_H
#define LOADER_BUILD_H

#include <linux/types.h>
#include <stddef.h>

/* Of this object file, and the maps that are pinned now. */
__u64 build_of(const void *elf, size_t size);

/* And these, by their numbers, where not all of them are shared. */
__u64 build_with(const void *elf, size_t size, const __u32 *maps, int count);

#endif
