/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the maps and the kernel tell of devices, as JSON: "show -j" prints it as
 * it is, all other output is made of it.
 */
#ifndef LOADER_REPORT_H
#define LOADER_REPORT_H

#include <jansson.h>
#include <stdbool.h>

struct devices;

/*
 * An array with an object per device, which the caller puts; with statistics
 * also its flows and what its driver counts. Returns 0, or -errno if the maps
 * may not be read.
 */
int report_devices(const struct devices *list, bool statistics,
		   json_t **report);

/* The name of a cap of connections: of a device, or of a class and its groups. */
const char *report_cap(unsigned int cap);

/* The name of a reason for which a queue drops: enum vsfq_drop. */
const char *report_drop(unsigned int reason);

#endif
