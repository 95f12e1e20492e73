/* SPDX-License-Identifier: GPL-2.0-only */
/* The files in which others keep what they know about a guest. */
#ifndef LOADER_GUEST_FILE_H
#define LOADER_GUEST_FILE_H

#include <stdbool.h>

#include "guest.h"

struct guest {
	unsigned int cid;
	char name[GUEST_NAME];		/* cut off if it is longer */
};

/*
 * That of systemd-machined, lines of NAME=VALUE, and that of libvirt, the XML
 * of a domain that runs. False if it cannot be read, or does not tell both name
 * and CID; the guest, empty before, may then have one of them.
 */
bool guest_read_machine(const char *path, struct guest *guest);
bool guest_read_domain(const char *path, struct guest *guest);

#endif
