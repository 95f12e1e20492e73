// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "policy_place.h"
#include "policy_source.h"

void policy_place(const char *text, const char *at, int *line, int *column)
{
	const char *c, *start = text;

	*line = 1;
	for (c = text; c < at; c++) {
		if (*c == '\n') {
			++*line;
			start = c + 1;
		}
	}
	*column = at - start + 1;
}

/* NULL before the first one and behind the last one. */
static const struct policy_token *get(const struct policy_source *s, int token)
{
	return token > 0 && token <= s->tokens ? &s->token[token - 1] : NULL;
}

static bool is_quoted(const struct policy_token *t)
{
	return *t->text == '"' || *t->text == '\'';
}

void policy_place_token(const struct policy_source *s, int token, int *line,
			int *column)
{
	const struct policy_token *t = get(s, token) ?: get(s, s->tokens);

	*line = *column = 0;
	if (t)
		policy_place(s->text, t->text + is_quoted(t), line, column);
}

bool policy_is_sign(const struct policy_source *s, int token, const char *sign)
{
	const struct policy_token *t = get(s, token);

	return t && t->length == strlen(sign) &&
	       !memcmp(t->text, sign, t->length);
}

bool policy_is_word(const struct policy_source *s, int token, const char *word)
{
	const struct policy_token *t = get(s, token);
	size_t length = strlen(word);

	return t && t->length == length + 2 * is_quoted(t) &&
	       !memcmp(t->text + is_quoted(t), word, length);
}

bool policy_is_setting(const struct policy_source *s, int token)
{
	return policy_is_sign(s, token, "=") || policy_is_sign(s, token, "+=");
}

void policy_token_word(const struct policy_source *s, int token, char *word,
		       size_t size)
{
	const struct policy_token *t = get(s, token);

	*word = 0;
	if (t)
		snprintf(word, size, "%.*s",
			 (int)t->length - 2 * is_quoted(t),
			 t->text + is_quoted(t));
}

int policy_find_word(const struct policy_source *s, int from, const char *word)
{
	int i;

	for (i = from; *word && i > 0; i--)
		if (policy_is_word(s, i, word))
			return i;
	return from;
}

int policy_find_option(const struct policy_source *s, int from,
		       const char *name)
{
	int i;

	for (i = from - 1; i > 0; i--)
		if (policy_is_word(s, i, name) && policy_is_setting(s, i + 1))
			return i;
	return from;
}

int policy_find_section(const struct policy_source *s, int from)
{
	int i, open = 0;

	for (i = from; i > 0; i--) {
		open += policy_is_sign(s, i, "}");
		open -= policy_is_sign(s, i, "{");
		if (!open)
			return i - 1;
	}
	return from;
}
