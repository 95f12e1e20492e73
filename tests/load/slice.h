/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SLICE_H
#define SLICE_H

/*
 * Ask for the shortest slices of CPU time for the calling thread, so that it
 * runs soon after it wakes up: a ping is to tell how long the device took, and
 * not how many other threads want the CPU. A request; kernels before 6.12
 * ignore it (EEVDF, kernel/sched/syscalls.c).
 */
void slice_short(void);

#endif
