// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <string.h>

#include "member.h"
#include "metrics.h"
#include "vsfq.h"

/* Of the powers of two of usecs every second one, from 16 us to 17 s. */
#define FIRST_BUCKET	4
#define LAST_BUCKET	24
#define USECS		1000000

#define HISTOGRAM	"vsfq_queue_time_seconds"

enum level {
	PER_DEVICE,
	PER_CLASS,
};

/*
 * A value is found in a device, or in its class, by a name or two with a dot.
 * Where the value of the label is not said, the value is an object and its
 * names are those of the label. Flows are no label: there is no end of them.
 */
static const struct family {
	const char *name;
	const char *type;
	const char *help;
	enum level level;
	const char *label;
	struct {
		const char *path;
		const char *label;
	} value[2];
} families[] = {
	{ "vsfq_device_up", "gauge", "Whether the device is up.",
	  PER_DEVICE, NULL, { { "up" } } },
	{ "vsfq_device_attached", "gauge",
	  "Whether the classifier is attached to the device.",
	  PER_DEVICE, NULL, { { "attached" } } },
	{ "vsfq_packets_total", "counter",
	  "Packets that the classifier accepted.", PER_CLASS, "direction",
	  { { "received.packets", "in" }, { "sent.packets", "out" } } },
	{ "vsfq_bytes_total", "counter",
	  "Bytes of these packets, headers included.", PER_CLASS, "direction",
	  { { "received.bytes", "in" }, { "sent.bytes", "out" } } },
	{ "vsfq_cost_bytes_total", "counter",
	  "Bytes of these packets and what packets cost, expressed in bytes.",
	  PER_CLASS, "direction",
	  { { "received.cost", "in" }, { "sent.cost", "out" } } },
	{ "vsfq_credit_stalls_total", "counter",
	  "Packets of connections that used up the credit of the other side.",
	  PER_CLASS, NULL, { { "stalls" } } },
	{ "vsfq_refused_packets_total", "counter",
	  "Connection requests and datagrams that the policy refused.",
	  PER_DEVICE, "direction", { { "refused" } } },
	{ "vsfq_device_connections", "gauge",
	  "Open connections of those that were counted: so are those that say something while there is a cap of them.",
	  PER_DEVICE, NULL, { { "connections" } } },
	{ "vsfq_connections", "gauge", "The same, by class.",
	  PER_CLASS, NULL, { { "connections" } } },
	{ "vsfq_device_capped_requests_total", "counter",
	  "Connection requests that a cap of the device refused.",
	  PER_DEVICE, "cap", { { "capped" } } },
	{ "vsfq_capped_requests_total", "counter",
	  "Connection requests that a cap of the class or of its groups refused.",
	  PER_CLASS, "cap", { { "capped" } } },
	{ "vsfq_foreign_packets_total", "counter",
	  "Packets without a vsock header.",
	  PER_DEVICE, NULL, { { "foreign" } } },
	{ "vsfq_untracked_packets_total", "counter",
	  "Packets that the table of flows had no room for.",
	  PER_DEVICE, NULL, { { "untracked" } } },
	{ "vsfq_unlogged_events_total", "counter",
	  "Events of rules with log = yes that nobody could be told.",
	  PER_DEVICE, NULL, { { "unlogged" } } },
	{ "vsfq_served_packets_total", "counter",
	  "Packets that left the qdisc.",
	  PER_CLASS, NULL, { { "served.packets" } } },
	{ "vsfq_served_bytes_total", "counter",
	  "Bytes that left the qdisc.",
	  PER_CLASS, NULL, { { "served.bytes" } } },
	{ "vsfq_throttled_total", "counter",
	  "Times that a class began to wait for credit of its rate.",
	  PER_CLASS, NULL, { { "throttled" } } },
	{ "vsfq_groups_throttled_total", "counter",
	  "Times that a group of a class did.",
	  PER_CLASS, NULL, { { "groups_throttled" } } },
	{ "vsfq_device_throttled_total", "counter",
	  "Times that the device did.",
	  PER_DEVICE, NULL, { { "throttled" } } },
	{ "vsfq_device_paused_total", "counter",
	  "Times that a rate of what it receives was used up.",
	  PER_DEVICE, NULL, { { "paused" } } },
	{ "vsfq_dropped_packets_total", "counter",
	  "Packets that the qdisc dropped.",
	  PER_CLASS, "reason", { { "drops" } } },
	{ "vsfq_backlog_packets", "gauge", "Packets queued.",
	  PER_CLASS, NULL, { { "backlog.packets" } } },
	{ "vsfq_backlog_bytes", "gauge", "Bytes queued.",
	  PER_CLASS, NULL, { { "backlog.bytes" } } },
	{ "vsfq_backlog_memory_bytes", "gauge",
	  "Memory of the queued packets, as the kernel accounts for it.",
	  PER_CLASS, NULL, { { "backlog.memory" } } },
	{ }
};

static void print_header(FILE *file, const char *name, const char *type,
			 const char *help)
{
	fprintf(file, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A device's name may have anything but a slash, a colon and space. */
static void print_label(FILE *file, const char *before, const char *name,
			const char *value)
{
	fprintf(file, "%s%s=\"", before, name);
	for (; *value; value++) {
		if (*value == '\n') {
			fputs("\\n", file);
			continue;
		}
		if (*value == '"' || *value == '\\')
			putc('\\', file);
		putc(*value, file);
	}
	putc('"', file);
}

/* Which device and class a value is of. */
struct source {
	const json_t *device;
	const json_t *class;		/* NULL: of the whole device */
};

/* Up to the closing brace, so that labels may follow. */
static void print_source(FILE *file, const char *name, const char *suffix,
			 const struct source *from)
{
	fprintf(file, "%s%s", name, suffix);
	print_label(file, "{", "device", string(from->device, "device"));
	if (from->class)
		print_label(file, ",", "class", string(from->class, "name"));
}

static void print_integer(FILE *file, const struct family *f,
			  const struct source *from, const char *label,
			  const json_t *value)
{
	json_int_t number = json_is_boolean(value) ? json_is_true(value) :
						     json_integer_value(value);

	print_source(file, f->name, "", from);
	if (f->label)
		print_label(file, ",", f->label, label);
	fprintf(file, "} %" JSON_INTEGER_FORMAT "\n", number);
}

static json_t *find(const json_t *object, const char *path)
{
	const char *dot = strchr(path, '.');

	if (!dot)
		return json_object_get(object, path);
	object = json_object_getn(object, path, dot - path);
	return json_object_get(object, dot + 1);
}

static void print_values(FILE *file, const struct family *f,
			 const struct source *from)
{
	json_t *value, *member;
	const char *name;
	int i;

	for (i = 0; i < 2 && f->value[i].path; i++) {
		value = find(from->class ?: from->device, f->value[i].path);
		if (!json_is_object(value)) {
			if (value)
				print_integer(file, f, from,
					      f->value[i].label, value);
			continue;
		}
		json_object_foreach(value, name, member)
			print_integer(file, f, from, name, member);
	}
}

static void each_class(FILE *file, const json_t *devices,
		       const struct family *f,
		       void (*print)(FILE *file, const struct family *f,
				     const struct source *from))
{
	struct source from;
	size_t i, j;

	json_array_foreach(devices, i, from.device)
		json_array_foreach(json_object_get(from.device, "classes"), j,
				   from.class)
			print(file, f, &from);
}

static void print_family(FILE *file, const json_t *devices,
			 const struct family *f)
{
	struct source from = { };
	size_t i;

	print_header(file, f->name, f->type, f->help);
	if (f->level == PER_CLASS) {
		each_class(file, devices, f, print_values);
		return;
	}
	json_array_foreach(devices, i, from.device)
		print_values(file, f, &from);
}

static void print_usecs(FILE *file, json_int_t usecs)
{
	fprintf(file, "%" JSON_INTEGER_FORMAT ".%06" JSON_INTEGER_FORMAT,
		usecs / USECS, usecs % USECS);
}

static void print_bucket(FILE *file, const struct source *from, int bucket,
			 json_int_t count)
{
	print_source(file, HISTOGRAM, "_bucket", from);
	fputs(",le=\"", file);
	print_usecs(file, (json_int_t)1 << bucket);
	fprintf(file, "\"} %" JSON_INTEGER_FORMAT "\n", count);
}

static void print_total(FILE *file, const struct source *from,
			const char *suffix, const char *label,
			json_int_t count)
{
	print_source(file, HISTOGRAM, suffix, from);
	fprintf(file, "%s} %" JSON_INTEGER_FORMAT "\n", label, count);
}

static void print_histogram(FILE *file, const struct family *f,
			    const struct source *from)
{
	json_t *sojourn = json_object_get(from->class, "sojourn_us"), *bucket;
	json_int_t count = 0;
	size_t i;

	if (!sojourn)
		return;
	json_array_foreach(json_object_get(sojourn, "buckets"), i, bucket) {
		count += json_integer_value(bucket);
		if (i >= FIRST_BUCKET && i <= LAST_BUCKET && i % 2 == 0)
			print_bucket(file, from, i, count);
	}
	print_total(file, from, "_bucket", ",le=\"+Inf\"", count);
	print_source(file, HISTOGRAM, "_sum", from);
	fputs("} ", file);
	print_usecs(file, json_integer_value(json_object_get(sojourn, "sum")));
	putc('\n', file);
	print_total(file, from, "_count", "", count);
}

/* What changes seldom, to be joined by "device": the guest, the root qdisc. */
static void print_information(FILE *file, const json_t *devices)
{
	struct source from = { };
	size_t i;

	print_header(file, "vsfq_build_info", "gauge",
		     "The version of vsfq that wrote this.");
	fprintf(file, "vsfq_build_info{version=\"%s\"} 1\n", VSFQ_VERSION);
	print_header(file, "vsfq_device_info", "gauge",
		     "The port of the device, which tells the guest's CID, the guest's name if it is known, and its root qdisc.");
	json_array_foreach(devices, i, from.device) {
		print_source(file, "vsfq_device_info", "", &from);
		print_label(file, ",", "port", string(from.device, "port"));
		print_label(file, ",", "guest", string(from.device, "guest"));
		print_label(file, ",", "qdisc",
			    string(json_object_get(from.device, "qdisc"),
				 "kind"));
		fputs("} 1\n", file);
	}
}

void metrics_text(const json_t *devices, FILE *file)
{
	const struct family *f;

	print_information(file, devices);
	for (f = families; f->name; f++)
		print_family(file, devices, f);
	print_header(file, HISTOGRAM, "histogram",
		     "Time that packets spent in the qdisc.");
	each_class(file, devices, NULL, print_histogram);
}
