// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "finding.h"
#include "printable.h"

static const char * const levels[] = {
	[FINDING_OK] = "ok",
	[FINDING_WARNING] = "warning",
	[FINDING_PROBLEM] = "problem",
};

static json_t *format_text(const char *format, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, ap);
	return printable(text);
}

void finding_add(json_t *findings, enum finding_level level,
		 const char *about, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	json_array_append_new(findings,
			      json_pack("{s:s, s:o, s:o, s:n}",
					"level", levels[level],
					"about", printable(about),
					"finding", format_text(format, ap),
					"fix"));
	va_end(ap);
}

void finding_fix(json_t *findings, const char *format, ...)
{
	json_t *last = json_array_get(findings, json_array_size(findings) - 1);
	va_list ap;

	va_start(ap, format);
	json_object_set_new(last, "fix", format_text(format, ap));
	va_end(ap);
}

static const char *text(const json_t *finding, const char *name)
{
	return json_string_value(json_object_get(finding, name));
}

void finding_print(const json_t *findings)
{
	json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding) {
		printf("%-8s %s: %s", text(finding, "level"),
		       text(finding, "about"), text(finding, "finding"));
		if (text(finding, "fix"))
			printf(" (try: %s)", text(finding, "fix"));
		putchar('\n');
	}
}

bool finding_problems(const json_t *findings)
{
	json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
		if (!strcmp(text(finding, "level"), levels[FINDING_PROBLEM]))
			return true;
	return false;
}
