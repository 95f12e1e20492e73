// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backlog.h"
#include "classifier.h"
#include "device.h"
#include "driver.h"
#include "guest.h"
#include "pins.h"
#include "policy_device.h"
#include "policy_map.h"
#include "policy_words.h"
#include "printable.h"
#include "qdisc.h"
#include "report.h"
#include "sched.h"

/* Gives names to classes: the one in force, or that of no policy. */
static struct vsfq_policy policy;
static const struct vsfq_policy no_policy = {
	.class[VSFQ_CLASS_STREAM] = {
		.name = "stream",
		.limit = VSFQ_LIMIT_DATAGRAMS,
		.caps.memory = VSFQ_LIMIT_MEMORY,
	},
	.class[VSFQ_CLASS_DGRAM] = {
		.name = "dgram",
		.limit = VSFQ_LIMIT_DATAGRAMS,
		.caps.memory = VSFQ_LIMIT_MEMORY,
	},
};

/* NULL if the class is none, or no longer. */
static const char *class_name(int class)
{
	if (class >= VSFQ_MAX_CLASSES || !*policy.class[class].name)
		return NULL;
	return policy.class[class].name;
}

static const char * const drop_names[VSFQ_NR_DROPS] = {
	[VSFQ_DROP_PACKETS] = "packets",
	[VSFQ_DROP_MEMORY] = "memory",
	[VSFQ_DROP_GROUP] = "group",
	[VSFQ_DROP_DEVICE] = "device",
	[VSFQ_DROP_POOL] = "pool",
	[VSFQ_DROP_RESET] = "reset",
};

static json_t *json_stats(const struct vsfq_stats *s)
{
	return json_pack("{s:I, s:I, s:I}", "packets", (json_int_t)s->packets,
			 "bytes", (json_int_t)s->bytes,
			 "cost", (json_int_t)s->cost);
}

const char *report_drop(unsigned int reason)
{
	return drop_names[reason % VSFQ_NR_DROPS];
}

static json_t *json_drops(const struct vsfq_class_queue *c)
{
	json_t *drops = json_object();
	int i;

	for (i = 0; i < VSFQ_NR_DROPS; i++)
		json_object_set_new(drops, drop_names[i],
				    json_integer(c->drops[i]));
	return drops;
}

/* An upper bound of the time that so much of the packets waited, in usecs. */
static json_int_t percentile(const __u64 *sojourn, int percent)
{
	__u64 sum = 0, total = 0;
	int i;

	for (i = 0; i < VSFQ_NR_BUCKETS; i++)
		total += sojourn[i];
	for (i = 0; i < VSFQ_NR_BUCKETS - 1; i++) {
		sum += sojourn[i];
		if (sum * 100 >= total * percent)
			break;
	}
	return total ? (json_int_t)1 << i : 0;
}

static json_t *json_sojourn(const struct vsfq_class_queue *c)
{
	json_t *buckets = json_array();
	int i;

	for (i = 0; i < VSFQ_NR_BUCKETS; i++)
		json_array_append_new(buckets, json_integer(c->sojourn[i]));
	return json_pack("{s:I, s:I, s:I, s:o}",
			 "p50", percentile(c->sojourn, 50),
			 "p99", percentile(c->sojourn, 99),
			 "sum", (json_int_t)c->sojourn_sum,
			 "buckets", buckets);
}

static json_t *json_backlog(__u64 packets, __u64 bytes, __u64 memory)
{
	return json_pack("{s:I, s:I, s:I}", "packets", (json_int_t)packets,
			 "bytes", (json_int_t)bytes,
			 "memory", (json_int_t)memory);
}

static void add_queue(json_t *class, const struct vsfq_class_queue *c)
{
	json_object_set_new(class, "backlog",
			    json_backlog(c->packets, c->bytes, c->memory));
	json_object_set_new(class, "drops", json_drops(c));
	json_object_set_new(class, "sojourn_us", json_sojourn(c));
	json_object_set_new(class, "served", json_stats(&c->sent));
	json_object_set_new(class, "throttled", json_integer(c->throttled));
	json_object_set_new(class, "groups_throttled",
			    json_integer(c->groups_throttled));
}

static void add_number(json_t *object, const char *name, __u64 value)
{
	if (value)
		json_object_set_new(object, name, json_integer(value));
}

/* Bytes per second, bytes, packets per second; nothing of what has no cap. */
static void add_caps(json_t *object, const struct vsfq_caps *caps)
{
	add_number(object, "rate", caps->rate);
	add_number(object, "burst", caps->burst);
	add_number(object, "packet_rate", caps->packet_rate);
	add_number(object, "max_connections", caps->connections);
	add_number(object, "connection_rate", caps->connection_rate);
	add_number(object, "memory", caps->memory);
}

const char *report_cap(unsigned int cap)
{
	static const char * const names[VSFQ_NR_CLASS_CAPS] = {
		"connections", "connection_rate",
		"group_connections", "group_connection_rate",
	};

	return names[cap % VSFQ_NR_CLASS_CAPS];
}

/* Requests that a cap refused, by which one it was. */
static json_t *json_capped(const __u64 *capped, int count)
{
	json_t *object = json_object();
	int i;

	for (i = 0; i < count; i++)
		json_object_set_new(object, report_cap(i),
				    json_integer(capped[i]));
	return object;
}

static void add_opens(json_t *class, const struct vsfq_class_stats *s)
{
	json_object_set_new(class, "connections", json_integer(s->opens.open));
	json_object_set_new(class, "capped",
			    json_capped(s->capped, VSFQ_NR_CLASS_CAPS));
}

static void add_caps_of(json_t *object, const char *name,
			const struct vsfq_caps *caps)
{
	json_t *those = json_object();

	add_caps(those, caps);
	if (json_object_size(those))
		json_object_set(object, name, those);
	json_decref(those);
}

static void add_settings(json_t *class, const struct vsfq_class_settings *s)
{
	add_caps(class, &s->caps);
	add_number(class, "priority", s->priority);
	add_number(class, "limit", s->limit);
	add_caps_of(class, "group", &s->group);
}

/* Also of one that the policy no longer has, while something waits in it. */
static const char *shown_name(int class, const struct vsfq_queue *queue)
{
	static char number[8];

	if (class_name(class) || !queue || !queue->class[class].packets)
		return class_name(class);
	/* A name that no policy can give. */
	snprintf(number, sizeof(number), "#%u", class % VSFQ_MAX_CLASSES);
	return number;
}

static json_t *json_classes(const struct classifier_stats *stats,
			    const struct vsfq_queue *queue)
{
	json_t *class, *classes = json_array();
	const char *name;
	int i;

	for (i = 0; i < VSFQ_MAX_CLASSES; i++) {
		name = shown_name(i, queue);
		if (!name)
			continue;
		class = json_pack("{s:s}", "name", name);
		add_settings(class, &policy.class[i]);
		if (stats) {
			json_object_set_new(class, "sent",
				json_stats(&stats->class[i].sent));
			json_object_set_new(class, "received",
				json_stats(&stats->class[i].received));
			json_object_set_new(class, "stalls",
				json_integer(stats->class[i].stalls));
			add_opens(class, &stats->class[i]);
		}
		if (queue)
			add_queue(class, &queue->class[i]);
		json_array_append_new(classes, class);
	}
	return classes;
}

static json_t *json_qdisc(const struct qdisc *q)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "kind", q->kind,
			 "bytes", (json_int_t)q->bytes,
			 "packets", (json_int_t)q->packets,
			 "drops", (json_int_t)q->drops,
			 "qlen", (json_int_t)q->qlen,
			 "backlog", (json_int_t)q->backlog);
}

struct flows {
	json_t *array;
	json_t *told;		/* by their names */
	__u32 queue;		/* in which they wait, 0: one that we can't see */
};

static void add_backlog(json_t *flow, __u32 queue, __u32 class,
			const struct vsfq_flow_key *key)
{
	struct backlog b;

	backlog_read(queue, class, key, &b);
	json_object_set_new(flow, "backlog",
			    json_backlog(b.packets, b.bytes, b.memory));
	json_object_set_new(flow, "waited_us", json_integer(b.waited / 1000));
	json_object_set_new(flow, "sojourn_us",
			    json_pack("{s:I, s:I}",
				      "p50", percentile(b.sojourn, 50),
				      "p99", percentile(b.sojourn, 99)));
}

/* A table of flows that changes as it is read may tell of one twice. */
static bool is_told(const struct flows *flows, const struct vsfq_flow_key *key)
{
	char name[64];

	snprintf(name, sizeof(name), "%u:%u %u:%u %u", key->local_cid,
		 key->local_port, key->peer_cid, key->peer_port, key->type);
	if (json_object_get(flows->told, name))
		return true;
	json_object_set_new(flows->told, name, json_true());
	return false;
}

static json_t *json_flow(const struct vsfq_flow_key *key,
			 const struct vsfq_flow_stats *stats)
{
	json_t *flow = json_pack("{s:I, s:I, s:I, s:I, s:s, s:s, s:I, s:I}",
				 "local_cid", (json_int_t)key->local_cid,
				 "local_port", (json_int_t)key->local_port,
				 "peer_cid", (json_int_t)key->peer_cid,
				 "peer_port", (json_int_t)key->peer_port,
				 "type",
				 policy_word(policy_types, key->type),
				 "class", class_name(stats->class) ?: "unknown",
				 "cgroup", (json_int_t)stats->cgroup,
				 "uid", (json_int_t)stats->uid);

	json_object_set_new(flow, "sent", json_stats(&stats->sent));
	json_object_set_new(flow, "received", json_stats(&stats->received));
	json_object_set_new(flow, "stalls", json_integer(stats->stalls));
	return flow;
}

static void add_flow(const struct vsfq_flow_key *key,
		     const struct vsfq_flow_stats *stats, void *data)
{
	const struct flows *flows = data;
	json_t *flow;

	if (is_told(flows, key))
		return;
	flow = json_flow(key, stats);
	if (flows->queue)
		add_backlog(flow, flows->queue, stats->class, key);
	json_array_append_new(flows->array, flow);
}

/* "queue" is NULL if it is none of ours. */
static void add_flows(json_t *device, const char *owner,
		      const struct vsfq_queue *queue)
{
	struct flows flows = { json_array(), json_object() };

	if (queue && !backlog_open(queue))
		flows.queue = queue->id;
	classifier_flows(owner, add_flow, &flows);
	backlog_close();
	json_decref(flows.told);
	json_object_set_new(device, "flows", flows.array);
}

static void add_classifier(json_t *device, const struct classifier_stats *s)
{
	json_object_set_new(device, "sent", json_stats(&s->device.sent));
	json_object_set_new(device, "received",
			    json_stats(&s->device.received));
	json_object_set_new(device, "foreign",
			    json_integer(s->device.foreign));
	json_object_set_new(device, "untracked",
			    json_integer(s->device.untracked));
	json_object_set_new(device, "unlogged",
			    json_integer(s->device.unlogged));
	json_object_set_new(device, "paused", json_integer(s->device.paused));
	json_object_set_new(device, "connections",
			    json_integer(s->device.opens.open));
	json_object_set_new(device, "capped",
			    json_capped(s->device.capped,
					VSFQ_NR_DEVICE_CAPS));
	json_object_set_new(device, "refused",
			    json_pack("{s:I, s:I}",
				      "in", (json_int_t)s->device.refused[0],
				      "out", (json_int_t)s->device.refused[1]));
}

static void add_device_caps(json_t *device, const struct device *dev)
{
	const struct vsfq_device_settings *d = policy_device(&policy, dev);

	if (!d)
		return;
	add_caps(device, &d->caps);
	add_caps_of(device, "in", &d->in);
}

/* Either half may be missing: tc can attach the qdisc alone. */
static json_t *json_device(const struct device *dev, bool statistics)
{
	bool attached = classifier_is_attached(dev);
	struct classifier_stats stats;
	struct vsfq_queue queue;
	bool queued = false;
	struct qdisc q;
	json_t *device;

	device = json_pack("{s:o, s:i, s:b, s:b, s:s, s:s*}",
			   "device", printable(dev->name), "ifindex", dev->ifindex,
			   "up", dev->up, "attached", attached,
			   "port", dev->port, "guest",
			   guest_of_port(dev->port));
	if (!qdisc_read(dev->ifindex, &q)) {
		queued = qdisc_is_vsfq(&q) && !sched_read(&q, &queue);
		json_object_set_new(device, "qdisc", json_qdisc(&q));
	}
	add_device_caps(device, dev);
	if (queued)
		json_object_set_new(device, "throttled",
				    json_integer(queue.throttled));
	attached = attached && !classifier_read(dev->owner, &stats);
	if (attached)
		add_classifier(device, &stats);
	if (attached || queued)
		json_object_set_new(device, "classes",
				    json_classes(attached ? &stats : NULL,
						 queued ? &queue : NULL));
	if (attached && statistics)
		add_flows(device, dev->owner, queued ? &queue : NULL);
	if (statistics)
		json_object_set_new(device, "driver", driver_stats(dev->name));
	return device;
}

int report_devices(const struct devices *list, bool statistics,
		   json_t **report)
{
	int i, err;

	policy = no_policy;
	err = policy_map_read(&policy);
	/* Not ours to look into, the pins would seem not to be there. */
	if (pins_denied(err))
		return err;
	*report = json_array();
	for (i = 0; i < list->count; i++)
		json_array_append_new(*report,
				      json_device(&list->device[i],
						  statistics));
	return 0;
}
