/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What refuses connect() at once, bpf/connect.bpf.c: on a kernel with a BPF LSM
 * it is attached for as long as any device is, and pinned as "@connect".
 * Functions return 0 or -errno.
 */
#ifndef LOADER_CONNECT_H
#define LOADER_CONNECT_H

#include <stdbool.h>

#define PINS_CONNECT	"@connect"

/*
 * Attach, or put this version in the place of another; 0 also where the kernel
 * does not let us, which doctor tells.
 */
int connect_attach(void);

/* Devices were attached or detached: which of them there are. */
int connect_refresh(void);

/* Detach, unless a device is attached. */
void connect_forget(void);

/* Did this version attach it? */
bool connect_is_current(void);

#endif
