// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "choose.h"
#include "device.h"
#include "reason.h"
#include "vsfq.h"

int choose_devices(const struct options *opt, const char *verb,
		   const char *argument, struct devices *list)
{
	int err;

	if (!strcmp(argument, "all")) {
		err = devices_list(list);
		if (!err && !list->count)
			err = -ENOMEDIUM;
	} else {
		err = device_find(argument, &list->device[0]);
		list->count = 1;
	}
	if (err)
		return complain(opt, "cannot %s \"%s\": %s", verb, argument,
				reason(err));
	return EXIT_DONE;
}
