/* SPDX-License-Identifier: GPL-2.0-only */
/* Somebody is still there and can tell so. */
#ifndef LOADER_CONFIRM_H
#define LOADER_CONFIRM_H

#include <stdbool.h>

/* From here on no signal ends this process, except in confirm_wait(). */
void confirm_prepare(void);

/*
 * Wait for a line on standard input. False after so many seconds, on a signal
 * that asks to end, and when standard input ends or its terminal is gone.
 */
bool confirm_wait(int seconds);

#endif
