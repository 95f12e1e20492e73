/* SPDX-License-Identifier: GPL-2.0-only */
/* Text of others, such as paths and names of devices, in JSON. */
#ifndef LOADER_PRINTABLE_H
#define LOADER_PRINTABLE_H

#include <jansson.h>

/* A string of it, in which "?" stands for each byte that is no UTF-8. */
json_t *printable(const char *text);

#endif
