// SPDX-License-Identifier: GPL-2.0-only
/* The names of the guests with these CIDs, one a line, "-" for one unknown. */
#include <stdio.h>
#include <stdlib.h>

#include "guest.h"

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		puts(guest_name(strtoul(argv[i], NULL, 10)) ?: "-");
	return 0;
}
