/* SPDX-License-Identifier: GPL-2.0-only */
/* What runs until it is interrupted, and then ends well. */
#ifndef LOADER_STOP_H
#define LOADER_STOP_H

#include <signal.h>
#include <stdbool.h>

/*
 * From now on these, up to a 0, come only to who waits with the mask of
 * "before".
 */
void stop_on(const int *signals, sigset_t *before);

/*
 * Those that end a process: that of a terminal or a reader that went away, too,
 * which the next write tells as well.
 */
void stop_on_signals(sigset_t *before);

bool stopped(void);

/* From now on these end the process, as they did with this mask. */
void stop_no_more(const sigset_t *before);

#endif
