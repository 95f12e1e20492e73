/* SPDX-License-Identifier: GPL-2.0-only */
/* JSON on standard output: all of it but what is printed line by line. */
#ifndef LOADER_PRINT_H
#define LOADER_PRINT_H

#include <jansson.h>

struct options;

/* In one line, or with -p indented; the caller keeps the object. */
void print_json(const struct options *opt, const json_t *json);

#endif
