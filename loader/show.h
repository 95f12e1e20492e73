/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LOADER_SHOW_H
#define LOADER_SHOW_H

#include <jansson.h>

/* Print what report_devices() found out as text. */
void show_text(const json_t *devices);

#endif
