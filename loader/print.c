// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "print.h"
#include "vsfq.h"

void print_json(const struct options *opt, const json_t *json)
{
	json_dumpf(json, stdout, opt->pretty ? JSON_INDENT(2) : 0);
	putchar('\n');
}
