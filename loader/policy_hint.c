// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "policy_hint.h"
#include "policy_place.h"
#include "policy_source.h"

static char hint[160];

/* "token" is the brace that opens the later one. */
static const char *said_twice(const struct policy_source *s, int token)
{
	char kind[8], title[64];
	int i, line, column;

	policy_token_word(s, token - 2, kind, sizeof(kind));
	policy_token_word(s, token - 1, title, sizeof(title));
	for (i = 1; i < token - 2; i++)
		if (policy_is_word(s, i, kind) &&
		    policy_is_word(s, i + 1, title) &&
		    policy_is_sign(s, i + 2, "{"))
			break;
	/* Or else in another file. */
	if (i >= token - 2)
		return "is described twice";
	policy_place_token(s, i, &line, &column);
	snprintf(hint, sizeof(hint), "is described twice, first in line %d",
		 line);
	return hint;
}

static const char *unexpected(const struct policy_source *s, int token)
{
	if (policy_is_sign(s, token, ","))
		return "stands between values in braces alone, as in {1, 2}";
	if (policy_is_sign(s, token, "{") && policy_is_sign(s, token - 1, "="))
		return "begins a list, but this option takes one value";
	if (policy_is_sign(s, token, "}") && policy_is_sign(s, token - 1, "="))
		return "stands where a value is missing";
	if (policy_is_sign(s, token, "}"))
		return "closes nothing";
	return NULL;
}

/* A part of a value, perhaps: "10 mbit" or "22 - 30". */
static const char *no_option(const struct policy_source *s, int token)
{
	char before[64];

	if (policy_is_sign(s, token, ";"))
		return "has no meaning here: no ; follows a value";
	policy_token_word(s, token - 1, before, sizeof(before));
	if (!isdigit((unsigned char)*before) ||
	    policy_is_setting(s, token + 1))
		return NULL;
	snprintf(hint, sizeof(hint),
		 "no such option (without a space it would belong to \"%s\")",
		 before);
	return hint;
}

const char *policy_hint(const struct policy_source *s, int token,
			const char *said)
{
	if (strstr(said, "duplicate title"))
		return said_twice(s, token);
	if (strstr(said, "unexpected"))
		return unexpected(s, token);
	if (strstr(said, "non-list"))
		return "takes one value, and no +=";
	if (strstr(said, "no such option"))
		return no_option(s, token);
	return NULL;
}
