/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LOADER_METRICS_H
#define LOADER_METRICS_H

#include <jansson.h>
#include <stdio.h>

/*
 * Write what report_devices() found out in the text format of Prometheus,
 * version 0.0.4: times in seconds, sizes in bytes.
 */
void metrics_text(const json_t *devices, FILE *file);

#endif
