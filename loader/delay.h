/* SPDX-License-Identifier: GPL-2.0-only */
/* Time between two readings. */
#ifndef LOADER_DELAY_H
#define LOADER_DELAY_H

#include <linux/types.h>

/* CLOCK_MONOTONIC, ns. */
__u64 delay_now(void);

/* Sleep so long, whatever signal is handled meanwhile. */
void delay_wait(double seconds);

#endif
