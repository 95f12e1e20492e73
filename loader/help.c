// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "vsfq.h"

int command_help(const struct options *opt, char **arguments)
{
	const struct command *c;

	printf("usage: vsfq [-j|-p] [-s] [-n] [-v] COMMAND [ARGUMENT]\n\ncommands:\n");
	for (c = commands; c->name; c++)
		printf("  %-8s %-10s %s\n", c->name, c->arguments, c->help);
	printf("\noptions:\n"
	       "  -j, --json        output and errors as JSON\n"
	       "  -p, --pretty      the same, indented\n"
	       "  -s, --statistics  with show, check: more figures\n"
	       "  -n, --dry-run     with apply: print what would change\n"
	       "  -b, --batch       with top: print instead, line by line\n"
	       "  -c, --count N     with top: end after so many screens\n"
	       "  -d, --delay N     with top, show: seconds between two readings\n"
	       "  -C, --confirm N   with apply: undo it unless Enter comes in N s\n"
	       "  -S, --strict      with apply: end connections that it would refuse\n"
	       "  -f, --for TIME    with learn: end after it, as in 60s, 5m, 1h\n"
	       "  -o, --overhead N  with attach: time of a packet in bytes\n"
	       "  -t, --textfile D  with metrics: write D/vsfq.prom\n"
	       "  -v, --verbose     messages of libbpf; twice: its debugging\n"
	       "  -V, --version     the same as version\n"
	       "  -h, --help        the same as help\n");
	return EXIT_DONE;
}
