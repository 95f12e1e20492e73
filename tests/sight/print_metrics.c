// SPDX-License-Identifier: GPL-2.0-only
/* The metrics of devices that "vsfq show -j" could have found: from standard
 * input to standard output, so that a test can make up any device.
 */
#include <stdio.h>

#include "metrics.h"

int main(void)
{
	json_t *devices = json_loadf(stdin, 0, NULL);

	if (!devices)
		return 1;
	metrics_text(devices, stdout);
	json_decref(devices);
	return 0;
}
