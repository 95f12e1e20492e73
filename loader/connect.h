/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What refuses connect() at once, bpf/connect.bpf.c: on a kernel with a BPF LSM
 * it is attached for as long as any device is, and pinned as "@connect".
 * Functions return 0 or -errno.
 */
#ifndef LOADER_CONNECT_H
#define LOADER_CONNECT_H

#include <stdbool.h>

struct bpf_map;

#define PINS_CONNECT	"@connect"

/*
 * Attach, or put this version in the place of another; 0 also where the kernel
 * does not let us, which doctor tells.
 */
int connect_attach(void);

/* Let this map be the one in which connect() leaves answers, if it does. */
int connect_share(struct bpf_map *map);

/*
 * Does the classifier of this owner look for answers in the map in which
 * connect() leaves them, as it would if this map was shared now?
 */
bool connect_shares(const char *owner, const struct bpf_map *map);

/* Devices were attached or detached: which of them there are. */
int connect_refresh(void);

/* Detach, unless a device is attached. */
void connect_forget(void);

/* Did this version attach it? */
bool connect_is_current(void);

#endif
