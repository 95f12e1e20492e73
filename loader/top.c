// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delay.h"
#include "device.h"
#include "output.h"
#include "reason.h"
#include "report.h"
#include "top.h"
#include "vsfq.h"

#define BATCH_FLOWS	10	/* of a device: a screen has more or less */

/* One after the other: of a flow JSON needs ten times what we keep. */
static int read_devices(const struct devices *list, struct top_reading *reading)
{
	static struct devices one = { .count = 1 };
	json_t *report;
	int i, err = 0;

	for (i = 0; !err && i < list->count; i++) {
		one.device[0] = list->device[i];
		err = report_devices(&one, true, &report);
		if (err)
			break;
		err = top_add(reading, report);
		json_decref(report);
	}
	return err;
}

int top_take(const char *which, struct top_reading *reading)
{
	static struct devices list;
	int err;

	list.count = 1;
	if (strcmp(which, "all"))
		err = device_find(which, &list.device[0]);
	else
		err = devices_list(&list);
	if (err == -ENODEV || err == -EMEDIUMTYPE)
		list.count = 0;
	else if (err)
		return err;
	*reading = (struct top_reading){ .time = delay_now() };
	err = read_devices(&list, reading);
	if (err)
		top_free(reading);
	else
		top_sort(reading);
	return err;
}

double top_delay(const struct options *opt)
{
	return opt->delay ?: 1;
}

static void print_screen(const struct top_reading *now,
			 const struct top_reading *before)
{
	const struct top_item **view = calloc(now->count ?: 1, sizeof(*view));
	char line[TOP_LINE];
	size_t i, count;
	int width;

	if (!view)
		return;
	count = top_arrange(now, TOP_COL_SHARE, BATCH_FLOWS, view);
	width = top_name_width(view, count);
	top_summary(now, before, TOP_COL_SHARE, line);
	puts(line);
	top_header(width, line);
	puts(line);
	for (i = 0; i < count; i++) {
		top_line(view[i], width, line);
		puts(line);
	}
	free(view);
}

/* Read and print; what was read takes the place of what was before. */
static int next_screen(const struct options *opt, const char *which,
		       struct top_reading *before)
{
	struct top_reading now;
	int err = top_take(which, &now);

	if (err)
		return complain(opt, "cannot read the devices: %s",
				reason(err));
	top_compare(&now, before);
	print_screen(&now, before);
	top_free(before);
	*before = now;
	return output_flush() ? EXIT_FAILED : EXIT_DONE;
}

static int batch(const struct options *opt, const char *which)
{
	struct top_reading before;
	unsigned int i;
	int err, ret = EXIT_DONE;

	err = top_take(which, &before);
	if (err)
		return complain(opt, "cannot read the devices: %s",
				reason(err));
	for (i = 0; ret == EXIT_DONE && (!opt->count || i < opt->count); i++) {
		if (i)
			putchar('\n');
		delay_wait(top_delay(opt));
		ret = next_screen(opt, which, &before);
	}
	top_free(&before);
	return ret;
}

int command_top(const struct options *opt, char **arguments)
{
	const char *which = arguments[0] ?: "all";
	struct device device;
	int err = 0;

	if (strcmp(which, "all"))
		err = device_find(which, &device);
	if (err)
		return complain(opt, "cannot show \"%s\": %s", which,
				reason(err));
	return opt->batch ? batch(opt, which) : top_live(opt, which);
}
