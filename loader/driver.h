/* SPDX-License-Identifier: GPL-2.0-only */
/* The counters that the driver of a device keeps, as "ethtool -S" shows them. */
#ifndef LOADER_DRIVER_H
#define LOADER_DRIVER_H

#include <jansson.h>

/* By the driver's own names; an empty object if it has none. */
json_t *driver_stats(const char *device);

#endif
