// SPDX-License-Identifier: GPL-2.0-only
/* The text of devices that "vsfq show -j" could have found: from standard
 * input to standard output, so that a test can make up any device.
 */
#include "show.h"

int main(void)
{
	json_t *devices = json_loadf(stdin, 0, NULL);

	if (!devices)
		return 1;
	show_text(devices);
	json_decref(devices);
	return 0;
}
