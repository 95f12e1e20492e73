// SPDX-License-Identifier: GPL-2.0-only
/* Standard input is an array of two reports that "vsfq show -j" could have
 * made, two seconds apart; the second one goes to standard output, with rates.
 */
#include <stdio.h>

#include "rate.h"

int main(void)
{
	json_t *reports = json_loadf(stdin, 0, NULL);

	if (json_array_size(reports) != 2)
		return 1;
	rate_add(json_array_get(reports, 1), json_array_get(reports, 0), 2);
	json_dumpf(json_array_get(reports, 1), stdout, 0);
	json_decref(reports);
	return 0;
}
