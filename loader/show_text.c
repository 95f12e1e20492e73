// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "member.h"
#include "printable.h"
#include "show.h"

#define COLUMNS	80

static void text_stats(const char *label, const json_t *stats)
{
	if (!stats)
		return;
	printf("    %-8s %12" JSON_INTEGER_FORMAT " packets %16"
	       JSON_INTEGER_FORMAT " bytes %16" JSON_INTEGER_FORMAT " cost\n",
	       label, number(stats, "packets"), number(stats, "bytes"),
	       number(stats, "cost"));
}

/* Where two readings were compared. */
static void text_rate(const char *label, const json_t *of, const char *way)
{
	json_t *rate = json_object_get(json_object_get(of, "per_second"), way);

	if (!rate)
		return;
	printf("    %-8s %12.0f packets %16.0f bytes\n", label,
	       json_real_value(json_object_get(rate, "packets")),
	       json_real_value(json_object_get(rate, "bytes")));
}

static void text_rates(const json_t *of)
{
	text_rate("sent/s", of, "sent");
	text_rate("recvd/s", of, "received");
}

/* Counters that have names, in one line. */
static void text_counters(const char *label, json_t *counters)
{
	const char *name;
	json_t *value;

	if (!json_object_size(counters))
		return;
	printf("%s", label);
	json_object_foreach(counters, name, value)
		printf(" %s %" JSON_INTEGER_FORMAT, name,
		       json_integer_value(value));
	printf("\n");
}

static void text_backlog(const json_t *backlog)
{
	printf("    backlog  %12" JSON_INTEGER_FORMAT " packets %16"
	       JSON_INTEGER_FORMAT " bytes %16" JSON_INTEGER_FORMAT
	       " memory\n", number(backlog, "packets"),
	       number(backlog, "bytes"), number(backlog, "memory"));
}

/* Of none there is no bound, not even 0. */
static void text_sojourn(const json_t *sojourn)
{
	if (number(sojourn, "p50"))
		printf("    in queue p50 < %" JSON_INTEGER_FORMAT "us p99 < %"
		       JSON_INTEGER_FORMAT "us\n", number(sojourn, "p50"),
		       number(sojourn, "p99"));
	else
		printf("    in queue p50 - p99 -\n");
}

static void text_queue(const json_t *class)
{
	json_t *backlog = json_object_get(class, "backlog");

	if (!backlog)
		return;
	text_stats("served", json_object_get(class, "served"));
	text_backlog(backlog);
	text_sojourn(json_object_get(class, "sojourn_us"));
	text_counters("    dropped ", json_object_get(class, "drops"));
}

/* A cap, and what it did: also one that was, if it did anything. */
static void text_caps(const char *label, const json_t *caps,
		      json_int_t throttled)
{
	if (!number(caps, "rate") && !number(caps, "packet_rate") && !throttled)
		return;
	printf("%s", label);
	if (number(caps, "rate"))
		printf(" %12" JSON_INTEGER_FORMAT " bytes/s burst %"
		       JSON_INTEGER_FORMAT, number(caps, "rate"),
		       number(caps, "burst"));
	if (number(caps, "packet_rate"))
		printf(" %12" JSON_INTEGER_FORMAT " packets/s",
		       number(caps, "packet_rate"));
	printf(" throttled %" JSON_INTEGER_FORMAT "\n", throttled);
}

static void text_stalls(const json_t *of)
{
	if (number(of, "stalls"))
		printf("    stalls   %12" JSON_INTEGER_FORMAT
		       " packets that used up the credit\n",
		       number(of, "stalls"));
}

/* As many as are counted: that is if there is such a cap, or was. */
static void text_connections(const char *label, const json_t *object)
{
	json_t *value, *capped = json_object_get(object, "capped");
	json_int_t sum = number(object, "connections");
	const char *name;

	json_object_foreach(capped, name, value)
		sum += json_integer_value(value);
	if (!sum)
		return;
	printf("%s%" JSON_INTEGER_FORMAT " refused", label,
	       number(object, "connections"));
	json_object_foreach(capped, name, value)
		printf(" %s %" JSON_INTEGER_FORMAT, name,
		       json_integer_value(value));
	printf("\n");
}

/*
 * Those of them that refuse, named as what they refused is counted. Two lines
 * if a terminal's is too short.
 */
static void text_limits(const char *label, const json_t *of)
{
	static const struct {
		const char *key;
		const char *name;
	} limits[] = {
		{ "limit", "packets" },
		{ "memory", "memory" },
		{ "max_connections", "connections" },
		{ "connection_rate", "connection_rate" },
	};
	int i, length, column = 0;
	char text[64];

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (!number(of, limits[i].key))
			continue;
		length = snprintf(text, sizeof(text), " %s %"
				  JSON_INTEGER_FORMAT, limits[i].name,
				  number(of, limits[i].key));
		if (column && column + length > COLUMNS) {
			printf("\n");
			column = 0;
		}
		if (!column)
			column = printf("%s", label);
		column += printf("%s", text);
	}
	if (column)
		printf("\n");
}

static void text_class(const json_t *class)
{
	printf("  class %s", string(class, "name"));
	if (number(class, "priority"))
		printf(" priority %" JSON_INTEGER_FORMAT,
		       number(class, "priority"));
	printf("\n");
	text_stats("sent", json_object_get(class, "sent"));
	text_stats("received", json_object_get(class, "received"));
	text_rates(class);
	text_stalls(class);
	text_queue(class);
	text_caps("    rate    ", class, number(class, "throttled"));
	text_caps("    groups  ", json_object_get(class, "group"),
		  number(class, "groups_throttled"));
	text_connections("    connections ", class);
	text_limits("    limits  ", class);
	text_limits("    limits of groups", json_object_get(class, "group"));
}

static void text_flow(const json_t *flow)
{
	json_t *backlog = json_object_get(flow, "backlog");
	json_t *sojourn = json_object_get(flow, "sojourn_us");

	printf("  flow %" JSON_INTEGER_FORMAT ":%" JSON_INTEGER_FORMAT " %"
	       JSON_INTEGER_FORMAT ":%" JSON_INTEGER_FORMAT
	       " %s class %s cgroup %" JSON_INTEGER_FORMAT " uid %"
	       JSON_INTEGER_FORMAT "\n", number(flow, "local_cid"),
	       number(flow, "local_port"), number(flow, "peer_cid"),
	       number(flow, "peer_port"), string(flow, "type"),
	       string(flow, "class"), number(flow, "cgroup"),
	       number(flow, "uid"));
	text_stats("sent", json_object_get(flow, "sent"));
	text_stats("received", json_object_get(flow, "received"));
	text_rates(flow);
	text_stalls(flow);
	if (number(sojourn, "p50"))
		text_sojourn(sojourn);
	if (!number(backlog, "packets"))
		return;
	text_backlog(backlog);
	printf("    waiting  %" JSON_INTEGER_FORMAT "us so far\n",
	       number(flow, "waited_us"));
}

/* By the policy; nothing to say where there is none. */
static void text_refused(const json_t *refused)
{
	if (number(refused, "in") || number(refused, "out"))
		printf("  refused %" JSON_INTEGER_FORMAT " in, %"
		       JSON_INTEGER_FORMAT " out\n", number(refused, "in"),
		       number(refused, "out"));
}

static void text_device(const json_t *device)
{
	json_t *qdisc = json_object_get(device, "qdisc");
	const char *port = string(device, "port");
	const char *guest = string(device, "guest");
	char name[IFNAMSIZ];
	json_t *item;
	size_t i;

	printable_copy(name, sizeof(name), string(device, "device"));
	printf("%s %s%s%s%s%s %s\n", name, port,
	       *port ? " " : "", guest, *guest ? " " : "",
	       json_is_true(json_object_get(device, "up")) ? "up" : "down",
	       json_is_true(json_object_get(device, "attached")) ?
	       "attached" : "not attached");
	printf("  qdisc %s backlog %" JSON_INTEGER_FORMAT " packets %"
	       JSON_INTEGER_FORMAT " bytes, dropped %" JSON_INTEGER_FORMAT
	       "\n", string(qdisc, "kind"), number(qdisc, "qlen"),
	       number(qdisc, "backlog"), number(qdisc, "drops"));
	text_rates(device);
	text_counters("  driver  ", json_object_get(device, "driver"));
	text_refused(json_object_get(device, "refused"));
	text_caps("  rate  ", device, number(device, "throttled"));
	text_caps("  in    ", json_object_get(device, "in"),
		  number(device, "paused"));
	text_connections("  connections ", device);
	text_limits("  limits  ", device);
	json_array_foreach(json_object_get(device, "classes"), i, item)
		text_class(item);
	json_array_foreach(json_object_get(device, "flows"), i, item)
		text_flow(item);
}

void show_text(const json_t *devices)
{
	json_t *device;
	size_t i;

	json_array_foreach(devices, i, device)
		text_device(device);
}
