/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of guests, from what systemd-machined (since version 256) and libvirt
 * keep under /run about those that run. Who cannot read it, or has neither,
 * knows no names, which is no error.
 */
#ifndef LOADER_GUEST_H
#define LOADER_GUEST_H

#define GUEST_NAME	64

/*
 * Of the guest with this CID, NULL if nobody knows it. What is there is read
 * again when it is older than a second. Only printable ASCII without spaces:
 * other characters are "?".
 */
const char *guest_name(unsigned int cid);

/* The same of a port of a device, "cid42"; of others it is NULL. */
const char *guest_of_port(const char *port);

#endif
