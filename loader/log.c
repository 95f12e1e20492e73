// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/libbpf.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

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
	char text[512];
	json_t *json;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (!opt->json) {
		fprintf(stderr, "vsfq: %s\n", text);
		return EXIT_FAILED;
	}
	json = json_pack("{s:o}", "error", printable(text));
	json_dumpf(json, stdout, JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(json);
	return EXIT_FAILED;
}
