/* SPDX-License-Identifier: GPL-2.0-only */
/* What runs until it is interrupted, and then ends well. */
#ifndef LOADER_STOP_H
#define LOADER_STOP_H

#include <signal.h>
#include <stdbool.h>

/* From now on they come only to who waits with the mask of "before". */
void stop_on_signals(sigset_t *before);

bool stopped(void);

#endif
