/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connections of a guest to a port that its host does not lie about: they stay
 * until the transport is reset, and end then, with ECONNRESET.
 */
#ifndef WITNESS_H
#define WITNESS_H

#include <stdint.h>

/* Keep one of each type to that port from now on; -errno */
int witness_start(uint32_t port);
void witness_report(void);

#endif
