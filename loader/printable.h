/* SPDX-License-Identifier: GPL-2.0-only */
/* Text of others, such as paths and names of devices, in JSON and on terminals. */
#ifndef LOADER_PRINTABLE_H
#define LOADER_PRINTABLE_H

#include <jansson.h>

/* A string of it, in which "?" stands for each byte that is no UTF-8. */
json_t *printable(const char *text);

/* "?" for each byte of a name that is no printable ASCII, or a space. */
void printable_name(char *name);

/* A copy of such a name, of up to @size bytes with its end. */
void printable_copy(char *to, size_t size, const char *name);

/* "?" for each control character of a line, in which a name may be. */
void printable_line(char *text);

#endif
