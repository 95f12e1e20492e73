// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "printable.h"

#define MAX_CHARACTER	4

/* How many bytes the character is that "text" begins with; 0 if it is none. */
static size_t character(const char *text)
{
	size_t size, length = strnlen(text, MAX_CHARACTER);
	json_t *json = NULL;

	/* Asks who will refuse it. */
	for (size = 1; !json && size <= length; size++)
		json = json_stringn(text, size);
	json_decref(json);
	return json ? size - 1 : 0;
}

json_t *printable(const char *text)
{
	json_t *json = json_string(text);
	char *copy, *at;
	size_t size;

	if (json)
		return json;
	copy = strdup(text);
	for (at = copy; at && *at; at += size) {
		size = character(at);
		if (!size) {
			*at = '?';
			size = 1;
		}
	}
	json = json_string(copy);
	free(copy);
	return json;
}

void printable_name(char *name)
{
	for (; *name; name++)
		if (*name <= ' ' || *name > '~')
			*name = '?';
}

void printable_copy(char *to, size_t size, const char *name)
{
	snprintf(to, size, "%s", name);
	printable_name(to);
}

void printable_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == '\x7f')
			*text = '?';
}
