// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "member.h"
#include "printable.h"
#include "top.h"

#define NSECS	1e9
#define MAX_GUEST	16	/* of its name: the figures need the rest */

static void read_traffic(struct top_item *item, const json_t *object)
{
	json_t *sent = json_object_get(object, "sent");
	json_t *received = json_object_get(object, "received");

	item->counter[TOP_SENT_PACKETS] = number(sent, "packets");
	item->counter[TOP_SENT_BYTES] = number(sent, "bytes");
	item->counter[TOP_RECEIVED_PACKETS] = number(received, "packets");
	item->counter[TOP_RECEIVED_BYTES] = number(received, "bytes");
	item->counter[TOP_COST] = number(sent, "cost") +
				  number(received, "cost");
}

/* The queue of a device is those of its classes. */
static void read_queue(struct top_item *item, struct top_item *device,
		       const json_t *class)
{
	json_t *backlog = json_object_get(class, "backlog"), *drops;
	const char *reason;
	int i;

	if (!backlog)
		return;
	item->queued = device->queued = true;
	item->backlog = number(backlog, "packets");
	item->counter[TOP_SERVED] =
		number(json_object_get(class, "served"), "packets");
	item->counter[TOP_WAITED] =
		number(json_object_get(class, "sojourn_us"), "sum");
	json_object_foreach(json_object_get(class, "drops"), reason, drops)
		item->counter[TOP_DROPS] += json_integer_value(drops);
	device->backlog += item->backlog;
	for (i = 0; i < TOP_NR_COUNTERS; i++)
		if (i == TOP_DROPS || i == TOP_SERVED || i == TOP_WAITED)
			device->counter[i] += item->counter[i];
}

static struct top_item *add_item(struct top_reading *reading,
				 enum top_kind kind, const json_t *device)
{
	struct top_item *item = &reading->item[reading->count++];

	item->kind = kind;
	item->ifindex = number(device, "ifindex");
	snprintf(item->device, sizeof(item->device), "%s",
		 string(device, "device"));
	return item;
}

static void read_flow(struct top_item *item, const json_t *flow)
{
	snprintf(item->name, sizeof(item->name), "%" JSON_INTEGER_FORMAT ":%"
		 JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT ":%"
		 JSON_INTEGER_FORMAT " %s", number(flow, "local_cid"),
		 number(flow, "local_port"), number(flow, "peer_cid"),
		 number(flow, "peer_port"), string(flow, "type"));
	item->cgroup = number(flow, "cgroup");
	item->uid = number(flow, "uid");
	item->queued = !!json_object_get(flow, "backlog");
	item->backlog = number(json_object_get(flow, "backlog"), "packets");
	item->waited = number(flow, "waited_us");
	read_traffic(item, flow);
}

static void read_device(struct top_reading *reading, const json_t *device)
{
	struct top_item *of = add_item(reading, TOP_DEVICE, device), *item;
	const char *port = string(device, "port");
	const char *guest = string(device, "guest");
	char name[IFNAMSIZ];
	json_t *object;
	size_t i;

	printable_copy(name, sizeof(name), string(device, "device"));
	snprintf(of->name, sizeof(of->name), "%s%s%s%s%.*s", name,
		 *port ? " " : "", port, *guest ? " " : "", MAX_GUEST, guest);
	read_traffic(of, device);
	json_array_foreach(json_object_get(device, "classes"), i, object) {
		item = add_item(reading, TOP_CLASS, device);
		snprintf(item->name, sizeof(item->name), "%s",
			 string(object, "name"));
		read_traffic(item, object);
		read_queue(item, of, object);
	}
	json_array_foreach(json_object_get(device, "flows"), i, object)
		read_flow(add_item(reading, TOP_FLOW, device), object);
}

/* Is it the same thing, now and before? */
static int compare_identity(const void *one, const void *other)
{
	const struct top_item *a = one, *b = other;

	return strcmp(a->device, b->device) ?: a->ifindex - b->ifindex ?:
	       (int)a->kind - (int)b->kind ?: strcmp(a->name, b->name);
}

/* Only of what is attached is anything known about classes. */
static size_t count_items(const json_t *device)
{
	json_t *classes = json_object_get(device, "classes");

	return classes ? 1 + json_array_size(classes) +
			 json_array_size(json_object_get(device, "flows")) : 0;
}

int top_add(struct top_reading *reading, const json_t *devices)
{
	size_t i, count = reading->count;
	struct top_item *more;
	json_t *device;

	json_array_foreach(devices, i, device)
		count += count_items(device);
	more = reallocarray(reading->item, count ?: 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	reading->item = more;
	memset(more + reading->count, 0,
	       (count - reading->count) * sizeof(*more));
	json_array_foreach(devices, i, device)
		if (count_items(device))
			read_device(reading, device);
	return 0;
}

void top_sort(struct top_reading *reading)
{
	qsort(reading->item, reading->count, sizeof(*reading->item),
	      compare_identity);
}

void top_free(struct top_reading *reading)
{
	free(reading->item);
	reading->item = NULL;
	reading->count = 0;
}

static const struct top_item *find(const struct top_reading *reading,
				   const struct top_item *item)
{
	return bsearch(item, reading->item, reading->count,
		       sizeof(*reading->item), compare_identity);
}

/*
 * A flow that was not there began since, unless its device was not either. Any
 * other counter may be older than our look at it, and one that went back is
 * another one: of neither is known what is new.
 */
static double difference(const struct top_item *item,
			 const struct top_item *before, bool began, int i)
{
	if (!before)
		return began ? item->counter[i] : 0;
	return item->counter[i] > before->counter[i] ?
	       item->counter[i] - before->counter[i] : 0;
}

static void set_values(struct top_item *item, const struct top_item *before,
		       bool began, double seconds)
{
	static const enum top_column columns[TOP_NR_RATES] = {
		[TOP_SENT_PACKETS] = TOP_COL_SENT_PACKETS,
		[TOP_SENT_BYTES] = TOP_COL_SENT_BYTES,
		[TOP_RECEIVED_PACKETS] = TOP_COL_RECEIVED_PACKETS,
		[TOP_RECEIVED_BYTES] = TOP_COL_RECEIVED_BYTES,
		[TOP_DROPS] = TOP_COL_DROPS,
	};
	double change[TOP_NR_COUNTERS];
	int i;

	for (i = 0; i < TOP_NR_COUNTERS; i++)
		change[i] = difference(item, before, began, i);
	for (i = 0; i < TOP_NR_RATES; i++)
		item->value[columns[i]] = seconds > 0 ? change[i] / seconds : 0;
	item->cost = change[TOP_COST];
	item->value[TOP_COL_BACKLOG] = item->backlog;
	if (change[TOP_SERVED])
		item->value[TOP_COL_WAIT] = change[TOP_WAITED] /
					    change[TOP_SERVED];
	else if (item->kind == TOP_FLOW && item->backlog)
		item->value[TOP_COL_WAIT] = item->waited;
	else
		item->value[TOP_COL_WAIT] = TOP_UNKNOWN;
	if (!item->queued)
		item->value[TOP_COL_BACKLOG] = TOP_UNKNOWN;
	if (!item->queued || item->kind == TOP_FLOW)
		item->value[TOP_COL_DROPS] = TOP_UNKNOWN;
}

/* They are read one after the other: a flow may be ahead of its device. */
static double share(double cost, double all)
{
	return all <= 0 ? 0 : cost < all ? 100 * cost / all : 100;
}

void top_compare(struct top_reading *now, const struct top_reading *before)
{
	double seconds = (now->time - before->time) / NSECS, all = 0;
	struct top_item *item, *end = now->item + now->count;
	const struct top_item *device = NULL;
	bool seen = false;

	for (item = now->item; item < end; item++) {
		if (item->kind == TOP_DEVICE) {
			device = item;
			seen = find(before, item);
		}
		item->on = device;
		set_values(item, find(before, item),
			   seen && item->kind == TOP_FLOW, seconds);
		if (item == device)
			all += item->cost;
	}
	for (item = now->item; item < end; item++)
		item->value[TOP_COL_SHARE] =
			share(item->cost, item == item->on ? all :
					  item->on->cost);
}

/* More comes first, then what costs more. */
static int compare_values(const struct top_item *a, const struct top_item *b,
			  enum top_column by)
{
	return (a->value[by] < b->value[by]) - (a->value[by] > b->value[by]) ?:
	       (a->cost < b->cost) - (a->cost > b->cost);
}

static int compare_items(const void *one, const void *other, void *column)
{
	const struct top_item *a = *(const struct top_item **)one;
	const struct top_item *b = *(const struct top_item **)other;
	enum top_column by = *(enum top_column *)column;

	if (a->on != b->on)
		return compare_values(a->on, b->on, by) ?:
		       compare_identity(a->on, b->on);
	if (a->kind != b->kind)
		return (int)a->kind - (int)b->kind;
	return compare_values(a, b, by) ?: compare_identity(a, b);
}

static bool idle(const struct top_item *item)
{
	return !item->value[TOP_COL_SENT_PACKETS] &&
	       !item->value[TOP_COL_RECEIVED_PACKETS] && !item->backlog;
}

size_t top_arrange(const struct top_reading *reading, enum top_column by,
		   size_t flows, const struct top_item **view)
{
	size_t i, count = 0, shown = 0;

	for (i = 0; i < reading->count; i++)
		view[i] = &reading->item[i];
	qsort_r(view, reading->count, sizeof(*view), compare_items, &by);
	for (i = 0; i < reading->count; i++) {
		if (view[i]->kind == TOP_DEVICE)
			shown = 0;
		if (view[i]->kind == TOP_FLOW &&
		    (idle(view[i]) || shown++ >= flows))
			continue;
		view[count++] = view[i];
	}
	return count;
}
