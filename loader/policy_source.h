/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The text of a policy file in tokens: words, what is in quotes, and signs.
 * libconfuse knows lines, not columns: it gets each token on a line of its own,
 * so that the number of the line is that of the token. It gets no comments:
 * libconfuse 3.3 counts their lines twice.
 */
#ifndef LOADER_POLICY_SOURCE_H
#define LOADER_POLICY_SOURCE_H

#include <stddef.h>
#include <stdio.h>

struct policy_token {
	const char *text;
	size_t length;
};

struct policy_source {
	struct policy_source *next;	/* for whoever has more than one */
	char *path;
	char *text;
	struct policy_token *token;
	int tokens;
	const char *wrong;	/* why there is no policy in it, or NULL */
	struct policy_token word;	/* with that; of no length: none */
	int line;		/* of that, from 1; 0: the file as such */
	int column;
};

/* Returns NULL without memory; what else is wrong is in it. */
struct policy_source *policy_source_read(const char *path);

/* What libconfuse is to read, and then "more"; NULL without memory. */
FILE *policy_source_open(const struct policy_source *s, const char *more);

void policy_source_free(struct policy_source *s);

#endif
