/* SPDX-License-Identifier: GPL-2.0-only */
/* What this process may do, as far as its capabilities go. */
#ifndef LOADER_CAPABILITY_H
#define LOADER_CAPABILITY_H

#include <linux/capability.h>
#include <stdbool.h>

bool has_capability(int capability);

/* Capabilities within a user namespace are none to BPF: the kernel is asked. */
bool may_use_bpf(void);

#endif
