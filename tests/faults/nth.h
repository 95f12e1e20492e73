/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's fault injection, for the calling thread: let the n-th thing that
 * may fail fail. What may is up to /sys/kernel/debug/fail*; t_9_faults.py
 * confines it to allocations and copies that vsock's own code asked for.
 */
#ifndef NTH_H
#define NTH_H

#include <stdbool.h>

/* 0 or -errno, if this kernel cannot do it for instance */
int nth_open(void);
/* From here to nth_end() */
void nth_start(unsigned int n);
/* Did it happen? */
bool nth_end(void);

#endif
