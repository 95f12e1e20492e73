// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/libbpf.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "printable.h"
#include "vsfq.h"

static int verbosity;

static int log_libbpf(enum libbpf_print_level level, const char *format,
		      va_list ap)
{
	if ((int)level >= verbosity)
		return 0;
	fputs("  ", stderr);
	return vfprintf(stderr, format, ap);
}

void log_start(const struct options *opt)
{
	/* -v: warnings and information, -vv: debugging too */
	verbosity = opt->verbose ? opt->verbose + 1 : 0;
	libbpf_set_print(log_libbpf);
}

int complain(const struct options *opt, const char *format, ...)
{
	json_t *json;
	va_list ap;
	char *text;

	va_start(ap, format);
	/* As long as it is: why it failed comes last, after a path. */
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (opt->json) {
		json = json_pack("{s:o}", "error", printable(text ?: format));
		json_dumpf(json, stdout, JSON_ENCODE_ANY);
		putchar('\n');
		json_decref(json);
	} else {
		if (text)
			printable_line(text);
		fprintf(stderr, "vsfq: %s\n", text ?: format);
	}
	free(text);
	return EXIT_FAILED;
}
