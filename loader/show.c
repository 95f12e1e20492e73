// SPDX-License-Identifier: GPL-2.0-only
#include <jansson.h>

#include "choose.h"
#include "delay.h"
#include "device.h"
#include "print.h"
#include "rate.h"
#include "reason.h"
#include "report.h"
#include "show.h"
#include "vsfq.h"

#define NSECS	1e9

/* Whoever calls puts the report, if EXIT_DONE says that there is one. */
static int take(const struct options *opt, const char *which, json_t **report)
{
	static struct devices list;
	int err, ret;

	ret = choose_devices(opt, "show", which, &list);
	if (ret != EXIT_DONE)
		return ret;
	err = report_devices(&list, opt->statistics, report);
	return err ? complain(opt, "cannot show \"%s\": %s", which,
			      reason(err)) : EXIT_DONE;
}

/* Wait, and put in its place a report that has rates. */
static int take_again(const struct options *opt, const char *which,
		      json_t **report)
{
	json_t *before = *report;
	__u64 began = delay_now();
	int ret;

	delay_wait(opt->delay);
	ret = take(opt, which, report);
	if (ret == EXIT_DONE)
		rate_add(*report, before, (delay_now() - began) / NSECS);
	json_decref(before);
	return ret;
}

int command_show(const struct options *opt, char **arguments)
{
	const char *which = arguments[0] ?: "all";
	json_t *report;
	int ret;

	ret = take(opt, which, &report);
	if (ret == EXIT_DONE && opt->delay)
		ret = take_again(opt, which, &report);
	if (ret != EXIT_DONE)
		return ret;
	if (opt->json)
		print_json(opt, report);
	else
		show_text(report);
	json_decref(report);
	return EXIT_DONE;
}
