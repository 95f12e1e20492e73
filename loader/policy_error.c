// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "policy.h"

const char *policy_error_text(const struct policy_error *e)
{
	static char text[2 * PATH_MAX + 256];
	int length;

	length = snprintf(text, sizeof(text), "%s:", *e->file ? e->file : "\"\"");
	if (e->line)
		length += snprintf(text + length, sizeof(text) - length,
				   "%d:%d:", e->line, e->column);
	if (e->named)
		length += snprintf(text + length, sizeof(text) - length,
				   " \"%s\"", e->word);
	snprintf(text + length, sizeof(text) - length, " %s", e->reason);
	return text;
}
