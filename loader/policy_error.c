// SPDX-License-Identifier: GPL-2.0-only
/*
 * libconfuse counts lines, not columns. The column is that of the word in its
 * line, if the word stands there once; otherwise none is told.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "policy.h"

static bool in_word(char c)
{
	return c && (isalnum((unsigned char)c) || strchr("_-./@:", c));
}

/* From 1; 0 if the word is not in the line, or more than once. */
static int column_in(const char *line, const char *word)
{
	size_t length = strlen(word);
	const char *at = line;
	int column = 0;

	while ((at = strstr(at, word))) {
		if ((at == line || !in_word(at[-1])) && !in_word(at[length])) {
			if (column)
				return 0;
			column = at - line + 1;
		}
		at += length;
	}
	return column;
}

static int find_column(const struct policy_error *e)
{
	FILE *file = fopen(e->file, "re");
	char *line = NULL;
	int i, column = 0;
	struct stat st;
	size_t size = 0;

	/* What is no regular file was read once and cannot be again. */
	if (file && !fstat(fileno(file), &st) && S_ISREG(st.st_mode)) {
		for (i = 0; i < e->line; i++)
			if (getline(&line, &size, file) < 0)
				break;
		if (i == e->line)
			column = column_in(line, e->word);
	}
	free(line);
	if (file)
		fclose(file);
	return column;
}

const char *policy_error_text(const struct policy_error *e)
{
	static char text[PATH_MAX + 256];
	int column = e->line && *e->word ? find_column(e) : 0;
	int length;

	length = snprintf(text, sizeof(text), "%s:", e->file);
	if (e->line)
		length += snprintf(text + length, sizeof(text) - length, "%d:",
				   e->line);
	if (column)
		length += snprintf(text + length, sizeof(text) - length, "%d:",
				   column);
	if (*e->word)
		length += snprintf(text + length, sizeof(text) - length,
				   " \"%s\"", e->word);
	snprintf(text + length, sizeof(text) - length, " %s", e->reason);
	return text;
}
