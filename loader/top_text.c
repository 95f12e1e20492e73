// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "top.h"

#define NSECS	1e9

static const char * const titles[TOP_NR_COLUMNS] = {
	[TOP_COL_SENT_PACKETS] = "OUT/s",
	[TOP_COL_SENT_BYTES] = "OUTB",
	[TOP_COL_RECEIVED_PACKETS] = "IN/s",
	[TOP_COL_RECEIVED_BYTES] = "INB",
	[TOP_COL_SHARE] = "COST%",
	[TOP_COL_BACKLOG] = "QUEUE",
	[TOP_COL_DROPS] = "DROPS",
	[TOP_COL_WAIT] = "WAIT",
};

const char *top_title(enum top_column column)
{
	return titles[column];
}

/* In five characters, which is why there are no more digits. */
static void format_number(double value, char *text, size_t size)
{
	static const char * const units[] = { "", "K", "M", "G", "T", "P" };
	int unit = 0;
	bool whole;

	while (value >= 999.5 && unit < 5) {
		value /= 1000;
		unit++;
	}
	whole = !value || value >= 99.95 || (!unit && value >= 9.95);
	snprintf(text, size, "%.*f%s", whole ? 0 : 1, value, units[unit]);
}

static void format_usecs(double value, char *text, size_t size)
{
	if (value < 999.5)
		snprintf(text, size, "%.0fus", value);
	else if (value < 999.5e3)
		snprintf(text, size, "%.*fms", value < 9.95e3, value / 1e3);
	else
		snprintf(text, size, "%.*fs", value < 99.95e6, value / 1e6);
}

static void format_cell(const struct top_item *item, enum top_column column,
			char *text, size_t size)
{
	double value = item->value[column];

	if (value < 0)
		snprintf(text, size, "-");
	else if (column == TOP_COL_WAIT)
		format_usecs(value, text, size);
	else if (column == TOP_COL_SHARE)
		snprintf(text, size, "%.1f", value);
	else if (column == TOP_COL_BACKLOG && value < 999.5)
		snprintf(text, size, "%.0f", value);
	else
		format_number(value, text, size);
}

/* Two spaces for each step down. */
static int indent(const struct top_item *item)
{
	return 2 * (int)item->kind;
}

int top_name_width(const struct top_item **view, size_t count)
{
	int width = 0, length;
	size_t i;

	for (i = 0; i < count; i++) {
		length = indent(view[i]) + (int)strlen(view[i]->name);
		if (width < length)
			width = length;
	}
	return width;
}

void top_header(int name_width, char line[TOP_LINE])
{
	int i, at = snprintf(line, TOP_LINE, "%*s", name_width, "");

	for (i = 0; i < TOP_NR_COLUMNS; i++)
		at += snprintf(line + at, TOP_LINE - at, "%*s", TOP_CELL,
			       titles[i]);
	snprintf(line + at, TOP_LINE - at, "  OWNER");
}

void top_line(const struct top_item *item, int name_width,
	      char line[TOP_LINE])
{
	char cell[32];
	int i, at = snprintf(line, TOP_LINE, "%*s%-*s", indent(item), "",
			     name_width - indent(item), item->name);

	for (i = 0; i < TOP_NR_COLUMNS; i++) {
		format_cell(item, i, cell, sizeof(cell));
		at += snprintf(line + at, TOP_LINE - at, "%*s", TOP_CELL,
			       cell);
	}
	if (item->cgroup)
		snprintf(line + at, TOP_LINE - at,
			 "  uid %" PRIu64 " cgroup %" PRIu64,
			 (uint64_t)item->uid, (uint64_t)item->cgroup);
}

void top_summary(const struct top_reading *now,
		 const struct top_reading *before, enum top_column by,
		 char line[TOP_LINE])
{
	time_t at = time(NULL);
	size_t i, devices = 0;
	char clock[16];
	struct tm tm;

	for (i = 0; i < now->count; i++)
		devices += now->item[i].kind == TOP_DEVICE;
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&at, &tm));
	snprintf(line, TOP_LINE,
		 "vsfq top: %s, of %.1f s, attached devices: %zu, by %s", clock,
		 (now->time - before->time) / NSECS, devices, titles[by]);
}
