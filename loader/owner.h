/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Under which name a device is pinned. That is its own, and in another network
 * namespace than the first one also that, NAME@INODE: there the devices of other
 * guests have the same names and indices again.
 */
#ifndef LOADER_OWNER_H
#define LOADER_OWNER_H

#include <net/if.h>
#include <stdbool.h>

#define OWNER_SIZE	(IFNAMSIZ + sizeof("@4294967295"))

/* The inode number of this network namespace, 0 with errno if it has none. */
unsigned int owner_netns(void);

/* Of a device of this network namespace. */
void owner_of(const char *name, char owner[OWNER_SIZE]);

/* The name of the device. */
void owner_name(const char *owner, char name[IFNAMSIZ]);

/* Is it, or was it, a device of this network namespace? */
bool owner_is_here(const char *owner);

#endif
