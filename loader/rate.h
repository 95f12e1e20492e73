/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of two reports, and of neither alone. */
#ifndef LOADER_RATE_H
#define LOADER_RATE_H

#include <jansson.h>

/*
 * Add to each device, class and flow of what report_devices() found out the
 * packets and bytes per second since it was "before", as "per_second". Of what
 * was not there before nothing is known, but a flow began since. A counter that
 * went back is another one: 0.
 */
void rate_add(json_t *devices, const json_t *before, double seconds);

#endif
