// SPDX-License-Identifier: GPL-2.0-only
/* The rates and the order of "vsfq top", of readings that are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "top.h"

#define NSECS		1000000000ULL
#define MAX_ITEMS	16

/* Everything an amount tells: packets, a hundred bytes each, cost the same. */
static json_t *amount(int packets)
{
	return json_pack("{s:i, s:i, s:i}", "packets", packets,
			 "bytes", packets * 100, "cost", packets * 100);
}

static json_t *class(const char *name, int sent, int served, int waited,
		     int drops)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:{s:i}, s:{s:i}, s:{s:i, s:i}}",
			 "name", name, "sent", amount(sent),
			 "received", amount(0), "served", amount(served),
			 "backlog", "packets", 7, "sojourn_us", "sum", waited,
			 "drops", "packets", drops, "reset", drops);
}

static json_t *flow(int port, int sent)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:s, s:i, s:i, s:o, s:o}",
			 "local_cid", 3, "local_port", port, "peer_cid", 2,
			 "peer_port", 5000, "type", "dgram", "cgroup", 1,
			 "uid", 1000, "sent", amount(sent),
			 "received", amount(0));
}

static json_t *device(const char *name, int sent, json_t *classes,
		      json_t *flows)
{
	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o}", "device", name,
			 "ifindex", 1, "sent", amount(sent),
			 "received", amount(0), "classes", classes,
			 "flows", flows);
}

/* A reading of two seconds after the one before; takes the report. */
static struct top_reading reading(json_t *devices)
{
	static __u64 time;
	struct top_reading r = { .time = time += 2 * NSECS };

	assert_int_equal(top_add(&r, devices), 0);
	top_sort(&r);
	json_decref(devices);
	return r;
}

static const struct top_item *item(const struct top_reading *r,
				   const char *device, const char *name)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (!strcmp(r->item[i].device, device) &&
		    !strcmp(r->item[i].name, name))
			return &r->item[i];
	fail_msg("no %s of %s", name, device);
	return NULL;
}

static double value(const struct top_reading *r, const char *device,
		    const char *name, enum top_column column)
{
	return item(r, device, name)->value[column];
}

static json_t *one(int sent, int served, int waited, int drops, json_t *flows)
{
	return json_pack("[o]", device("v0", sent, json_pack("[o]",
			 class("bulk", sent, served, waited, drops)), flows));
}

static void tells_rates(void **state)
{
	struct top_reading before, now;

	before = reading(one(100, 10, 1000, 1,
			     json_pack("[o]", flow(1, 40))));
	now = reading(one(120, 14, 1100, 4,
			  json_pack("[o, o]", flow(1, 44), flow(2, 6))));
	top_compare(&now, &before);
	assert_true(value(&now, "v0", "v0", TOP_COL_SENT_PACKETS) == 10);
	assert_true(value(&now, "v0", "v0", TOP_COL_SENT_BYTES) == 1000);
	assert_true(value(&now, "v0", "v0", TOP_COL_RECEIVED_BYTES) == 0);
	assert_true(value(&now, "v0", "bulk", TOP_COL_SENT_PACKETS) == 10);
	/* Both reasons, and the device as its class. */
	assert_true(value(&now, "v0", "bulk", TOP_COL_DROPS) == 3);
	assert_true(value(&now, "v0", "v0", TOP_COL_DROPS) == 3);
	assert_true(value(&now, "v0", "v0", TOP_COL_BACKLOG) == 7);
	assert_true(value(&now, "v0", "bulk", TOP_COL_WAIT) == 25);
	assert_true(value(&now, "v0", "3:1 2:5000 dgram",
			  TOP_COL_SHARE) == 20);
	/* One that is new has done all of it since. */
	assert_true(value(&now, "v0", "3:2 2:5000 dgram",
			  TOP_COL_SENT_PACKETS) == 3);
	assert_true(value(&now, "v0", "3:2 2:5000 dgram",
			  TOP_COL_DROPS) == TOP_UNKNOWN);
	top_free(&before);
	top_free(&now);
}

static void nothing_goes_back(void **state)
{
	struct top_reading before, now;

	before = reading(one(100, 10, 1000, 5,
			     json_pack("[o]", flow(1, 40))));
	now = reading(one(3, 2, 1, 0, json_pack("[o]", flow(1, 1))));
	top_compare(&now, &before);
	assert_true(value(&now, "v0", "v0", TOP_COL_SENT_PACKETS) == 0);
	assert_true(value(&now, "v0", "v0", TOP_COL_SHARE) == 0);
	assert_true(value(&now, "v0", "bulk", TOP_COL_DROPS) == 0);
	assert_true(value(&now, "v0", "bulk", TOP_COL_WAIT) == TOP_UNKNOWN);
	assert_true(value(&now, "v0", "3:1 2:5000 dgram",
			  TOP_COL_SENT_PACKETS) == 0);
	top_free(&before);
	top_free(&now);
}

/* What it did while nobody looked is no rate. */
static void begins_with_nothing(void **state)
{
	struct top_reading before, now;

	before = reading(json_array());
	now = reading(one(100, 10, 1000, 5,
			  json_pack("[o]", flow(1, 40))));
	top_compare(&now, &before);
	assert_true(value(&now, "v0", "v0", TOP_COL_SENT_PACKETS) == 0);
	assert_true(value(&now, "v0", "bulk", TOP_COL_DROPS) == 0);
	assert_true(value(&now, "v0", "3:1 2:5000 dgram",
			  TOP_COL_SENT_PACKETS) == 0);
	assert_true(value(&now, "v0", "v0", TOP_COL_BACKLOG) == 7);
	top_free(&before);
	top_free(&now);
}

/* One that only waits is shown, with the time of its first packet. */
static void shows_who_waits(void **state)
{
	const char *name = "3:1 2:5000 dgram";
	const struct top_item *view[8];
	struct top_reading before, now;
	json_t *waits = flow(1, 40);
	int i;

	json_object_update_new(waits, json_pack("{s:{s:i}, s:i}", "backlog",
						"packets", 3, "waited_us", 70));
	before = reading(one(1, 1, 1, 0, json_pack("[o, o]", flow(1, 40),
						   flow(2, 1))));
	now = reading(one(1, 1, 1, 0, json_pack("[o, o]", waits, flow(2, 1))));
	top_compare(&now, &before);
	assert_true(value(&now, "v0", name, TOP_COL_BACKLOG) == 3);
	assert_true(value(&now, "v0", name, TOP_COL_WAIT) == 70);
	assert_true(value(&now, "v0", name, TOP_COL_DROPS) == TOP_UNKNOWN);
	i = top_arrange(&now, TOP_COL_SHARE, 5, view);
	assert_string_equal(view[i - 1]->name, name);
	top_free(&before);
	top_free(&now);
}

/* Its qdisc may be that of somebody else. */
static void knows_no_queue(void **state)
{
	json_t *class = json_pack("{s:s, s:o, s:o}", "name", "bulk",
				  "sent", amount(1), "received", amount(1));
	struct top_reading now, before;

	before = reading(json_array());
	now = reading(json_pack("[o, {s:s, s:i}]",
				device("v0", 1, json_pack("[o]", class),
				       json_array()),
				"device", "v1", "ifindex", 2));
	top_compare(&now, &before);
	assert_true(value(&now, "v0", "v0", TOP_COL_BACKLOG) == TOP_UNKNOWN);
	assert_true(value(&now, "v0", "bulk", TOP_COL_DROPS) == TOP_UNKNOWN);
	/* v1 is not attached: there is nothing to say. */
	assert_int_equal(now.count, 2);
	top_free(&before);
	top_free(&now);
}

static json_t *two(int v0, int v1, int stream, json_t *flows)
{
	return json_pack("[o, o]",
			 device("v0", v0, json_pack("[o, o]",
				class("bulk", 1, 0, 0, v0),
				class("stream", stream, 0, 0, 0)), flows),
			 device("v1", v1, json_array(), json_array()));
}

static void sorted(const struct top_reading *r, enum top_column by,
		   size_t flows, const char *names)
{
	const struct top_item *view[MAX_ITEMS];
	char have[256] = "";
	size_t i, count;

	assert_true(r->count <= MAX_ITEMS);
	count = top_arrange(r, by, flows, view);
	for (i = 0; i < count; i++) {
		strncat(have, view[i]->name, strcspn(view[i]->name, " "));
		strcat(have, " ");
	}
	assert_string_equal(have, names);
}

static void sorts(void **state)
{
	struct top_reading before, now;

	before = reading(two(0, 0, 0, json_pack("[o]", flow(5, 3))));
	/* One of the flows is idle. */
	now = reading(two(1, 9, 5, json_pack("[o, o, o, o]", flow(1, 1),
					     flow(2, 7), flow(3, 4),
					     flow(5, 3))));
	top_compare(&now, &before);
	sorted(&now, TOP_COL_SHARE, 9, "v1 v0 stream bulk 3:2 3:3 3:1 ");
	sorted(&now, TOP_COL_SENT_BYTES, 2, "v1 v0 stream bulk 3:2 3:3 ");
	/* By drops, and by cost where there are none of them. */
	sorted(&now, TOP_COL_DROPS, 1, "v0 bulk stream 3:2 v1 ");
	top_free(&before);
	top_free(&now);
}

static void cell(double v, enum top_column column, const char *text)
{
	struct top_item item = { .name = "" };
	char line[TOP_LINE];

	item.value[column] = v;
	top_line(&item, 0, line);
	line[(column + 1) * TOP_CELL] = '\0';
	assert_string_equal(line + column * TOP_CELL + TOP_CELL -
			    strlen(text), text);
	/* There is room for a space, so that columns do not run together. */
	assert_int_equal(line[column * TOP_CELL], ' ');
}

static void fits(void **state)
{
	cell(0, TOP_COL_SENT_BYTES, "     0");
	cell(0.5, TOP_COL_DROPS, "   0.5");
	cell(9.96, TOP_COL_SENT_BYTES, "    10");
	cell(999.4, TOP_COL_SENT_BYTES, "   999");
	cell(999.6, TOP_COL_SENT_BYTES, "  1.0K");
	cell(99960, TOP_COL_SENT_BYTES, "  100K");
	cell(1234567, TOP_COL_SENT_BYTES, "  1.2M");
	cell(99.9e15, TOP_COL_SENT_BYTES, " 99.9P");
	cell(8, TOP_COL_BACKLOG, "     8");
	cell(65535, TOP_COL_BACKLOG, " 65.5K");
	cell(100, TOP_COL_SHARE, " 100.0");
	cell(TOP_UNKNOWN, TOP_COL_WAIT, "     -");
	cell(999, TOP_COL_WAIT, " 999us");
	cell(1234, TOP_COL_WAIT, " 1.2ms");
	cell(999400, TOP_COL_WAIT, " 999ms");
	cell(30e6, TOP_COL_WAIT, " 30.0s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_rates),
		cmocka_unit_test(nothing_goes_back),
		cmocka_unit_test(begins_with_nothing),
		cmocka_unit_test(shows_who_waits),
		cmocka_unit_test(knows_no_queue),
		cmocka_unit_test(sorts),
		cmocka_unit_test(fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
