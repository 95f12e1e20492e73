// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "finding.h"
#include "printable.h"
#include "reason.h"

static const char * const levels[] = {
	[FINDING_OK] = "ok",
	[FINDING_WARNING] = "warning",
	[FINDING_PROBLEM] = "problem",
};

static json_t *format_text(const char *format, va_list ap)
{
	json_t *json;
	char *text;

	if (vasprintf(&text, format, ap) < 0)
		return printable(format);
	json = printable(text);
	free(text);
	return json;
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

void finding_error(json_t *findings, enum finding_level level,
		   const char *about, const char *what, int err)
{
	finding_add(findings, level, about, "%s: %s", what, reason_text(err));
	finding_fix(findings, "%s", reason_fix(err) ?:
		    "dmesg, which may say why");
}

static const char *text(const json_t *finding, const char *name)
{
	return json_string_value(json_object_get(finding, name));
}

static void print_finding(const json_t *finding)
{
	const char *fix = text(finding, "fix");
	char *line;

	if (asprintf(&line, "%-8s %s: %s%s%s%s", text(finding, "level"),
		     text(finding, "about"), text(finding, "finding"),
		     fix ? " (try: " : "", fix ?: "", fix ? ")" : "") < 0)
		return;
	printable_line(line);
	puts(line);
	free(line);
}

void finding_print(const json_t *findings)
{
	json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
		print_finding(finding);
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
