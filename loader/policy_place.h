/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where in a policy file something stands. Tokens have numbers, from 1; what is
 * looked for is before "from", or else it is said to be there.
 */
#ifndef LOADER_POLICY_PLACE_H
#define LOADER_POLICY_PLACE_H

#include <stdbool.h>
#include <stddef.h>

struct policy_source;

/* Line and column, from 1. */
void policy_place(const char *text, const char *at, int *line, int *column);
/* Of the last one if there are fewer; both are 0 if there is none. */
void policy_place_token(const struct policy_source *s, int token, int *line,
			int *column);

/* Is it this sign, or this word, as it is without quotes? */
bool policy_is_sign(const struct policy_source *s, int token, const char *sign);
bool policy_is_word(const struct policy_source *s, int token, const char *word);
/* The sign behind the name of an option that is set? */
bool policy_is_setting(const struct policy_source *s, int token);
/* As it is without quotes; empty if there is none. */
void policy_token_word(const struct policy_source *s, int token, char *word,
		       size_t size);

/* This word, as it is without quotes; that may be "from" itself. */
int policy_find_word(const struct policy_source *s, int from,
		     const char *word);
/* The name of an option that is set. */
int policy_find_option(const struct policy_source *s, int from,
		       const char *name);
/* The last word before the brace that opens what "from" closes. */
int policy_find_section(const struct policy_source *s, int from);

#endif
