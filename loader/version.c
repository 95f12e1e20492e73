// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "vsfq.h"

int command_version(const struct options *opt, char **arguments)
{
	printf(opt->json ? "{\"version\": \"%s\"}\n" : "vsfq %s\n",
	       VSFQ_VERSION);
	return EXIT_DONE;
}
