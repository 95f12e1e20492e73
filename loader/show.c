// SPDX-License-Identifier: GPL-2.0-only
#include <jansson.h>
#include <stdio.h>

#include "choose.h"
#include "device.h"
#include "reason.h"
#include "report.h"
#include "show.h"
#include "vsfq.h"

int command_show(const struct options *opt, char **arguments)
{
	const char *which = arguments[0] ?: "all";
	static struct devices list;
	json_t *report;
	int err, ret;

	ret = choose_devices(opt, "show", which, &list);
	if (ret != EXIT_DONE)
		return ret;
	err = report_devices(&list, opt->statistics, &report);
	if (err)
		return complain(opt, "cannot show \"%s\": %s", which,
				reason(err));
	if (opt->json) {
		json_dumpf(report, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		show_text(report);
	}
	json_decref(report);
	return EXIT_DONE;
}
