// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "policy_build.h"
#include "policy_words.h"

#define ALL_DIRECTIONS	(1 << VSFQ_IN | 1 << VSFQ_OUT)
#define CONNECTIONS	(1 << POLICY_TYPE_STREAM | 1 << POLICY_TYPE_SEQPACKET)

static const char *read_ports(const char *text, struct vsfq_range *ranges,
			      __u8 *count)
{
	struct vsfq_range r;
	const char *wrong;
	int i;

	wrong = policy_read_ports(text, &r);
	if (wrong)
		return wrong;
	for (i = 0; i < *count; i++)
		if (r.first <= ranges[i].last && r.last >= ranges[i].first)
			return "overlaps with another range of this rule";
	if (*count == VSFQ_MAX_RANGES)
		return "is one range too many: four is the limit";
	ranges[(*count)++] = r;
	return NULL;
}

static const char *read_type(struct policy_builder *b, const char *text)
{
	const char *wrong;
	__u32 type;

	wrong = policy_read_word(policy_types, text, &type);
	if (wrong)
		return wrong;
	/* All of them until one is named. */
	if (b->rule.types == POLICY_ANY_TYPE)
		b->rule.types = 0;
	if (b->rule.types & 1 << type)
		return "is named twice";
	b->rule.types |= 1 << type;
	return NULL;
}

static const char *read_direction(struct policy_builder *b, const char *text)
{
	const char *wrong;
	__u32 direction;

	wrong = policy_read_word(policy_directions, text, &direction);
	if (!wrong)
		b->rule.directions = 1 << direction;
	return wrong;
}

static const char *read_cgroup(struct policy_builder *b, const char *text)
{
	struct vsfq_policy *p = b->policy;
	struct vsfq_cgroup cgroup;
	const char *wrong;
	int i;

	wrong = policy_read_cgroup(text, &cgroup);
	if (wrong)
		return wrong;
	for (i = 0; i < VSFQ_MAX_CGROUPS && *p->cgroup[i].path; i++)
		if (!strcmp(p->cgroup[i].path, cgroup.path))
			break;
	if (i == VSFQ_MAX_CGROUPS)
		return "is one cgroup too many: 64 is the limit";
	wrong = b->find ? b->find(&cgroup) : NULL;
	if (wrong)
		return wrong;
	p->cgroup[i] = cgroup;
	b->rule.cgroup = i + 1;
	return NULL;
}

int policy_find_class(const struct vsfq_policy *p, const char *name)
{
	int i;

	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		if (!strcmp(p->class[i].name, name))
			return i;
	return -1;
}

static const char *read_class(struct policy_builder *b, const char *text)
{
	int class = *text ? policy_find_class(b->policy, text) : -1;

	if (class < 0)
		return "is no class that was described above";
	b->rule.class = class;
	b->has_class = true;
	return NULL;
}

static const char *read_verdict(struct policy_builder *b, const char *text)
{
	const char *wrong;
	__u32 verdict;

	wrong = policy_read_word(policy_verdicts, text, &verdict);
	b->rule.verdict = verdict;
	b->has_verdict = true;
	return wrong;
}

static const char *read_local_cid(struct policy_builder *b, const char *text)
{
	return policy_read_cid(text, &b->rule.local_cid);
}

static const char *read_remote_cid(struct policy_builder *b, const char *text)
{
	return policy_read_cid(text, &b->rule.remote_cid);
}

static const char *read_local_port(struct policy_builder *b, const char *text)
{
	return read_ports(text, b->rule.local_port, &b->rule.local_ports);
}

static const char *read_remote_port(struct policy_builder *b, const char *text)
{
	return read_ports(text, b->rule.remote_port, &b->rule.remote_ports);
}

static const char *read_device(struct policy_builder *b, const char *text)
{
	return policy_read_name(text, b->rule.device);
}

static const char *read_log(struct policy_builder *b, const char *text)
{
	const char *wrong;
	__u32 answer;

	wrong = policy_read_word(policy_answers, text, &answer);
	if (!wrong)
		b->rule.log = answer;
	return wrong;
}

/* From 1. */
static const char *read_count(const char *text, __u32 most, __u32 *count)
{
	const char *wrong;
	__u64 value = 0;

	wrong = policy_read_number(text, 1, most, &value);
	*count = value;
	return wrong;
}

static const char *read_rate(struct vsfq_caps *caps, const char *text)
{
	return policy_read_rate(text, &caps->rate);
}

static const char *read_burst(struct vsfq_caps *caps, const char *text)
{
	return policy_read_size(text, VSFQ_MIN_BURST, VSFQ_MAX_BURST,
				&caps->burst);
}

static const char *read_packet_rate(struct vsfq_caps *caps, const char *text)
{
	return read_count(text, VSFQ_MAX_PACKET_RATE, &caps->packet_rate);
}

static const char *read_connections(struct vsfq_caps *caps, const char *text)
{
	return read_count(text, VSFQ_MAX_CONNECTIONS, &caps->connections);
}

static const char *read_connection_rate(struct vsfq_caps *caps,
					const char *text)
{
	return read_count(text, VSFQ_MAX_OPEN_RATE, &caps->connection_rate);
}

static const char *read_memory(struct vsfq_caps *caps, const char *text)
{
	return policy_read_size(text, VSFQ_MIN_MEMORY, VSFQ_MAX_MEMORY,
				&caps->memory);
}

static const char *read_weight(struct policy_builder *b, const char *text)
{
	return read_count(text, VSFQ_MAX_WEIGHT, &b->class.weight);
}

static const char *read_limit(struct policy_builder *b, const char *text)
{
	return read_count(text, VSFQ_MAX_LIMIT, &b->class.limit);
}

static const char *read_priority(struct policy_builder *b, const char *text)
{
	const char *wrong;
	__u32 priority = 0;

	wrong = read_count(text, VSFQ_MAX_PRIORITY, &priority);
	b->class.priority = priority;
	return wrong;
}

static const char *read_isolate(struct policy_builder *b, const char *text)
{
	const char *wrong;
	__u32 isolate;

	wrong = policy_read_word(policy_isolates, text, &isolate);
	if (!wrong)
		b->class.isolate = isolate;
	return wrong;
}

/*
 * Caps: of the class or the device, with "group-" before it of each group, with
 * "in-" of what arrives.
 */
static const struct {
	const char *name;
	const char *(*read)(struct vsfq_caps *caps, const char *text);
} cap_readers[] = {
	{ "rate", read_rate },
	{ "burst", read_burst },
	{ "packet-rate", read_packet_rate },
	{ "memory", read_memory },
	{ "connections", read_connections },
	{ "connection-rate", read_connection_rate },
};

static bool skip_prefix(const char **option, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(*option, prefix, length))
		return false;
	*option += length;
	return true;
}

static bool read_cap(struct policy_builder *b, const char *option,
		     const char *text, const char **wrong)
{
	struct vsfq_caps *caps = &b->caps;
	size_t i;

	if (skip_prefix(&option, "group-"))
		caps = &b->class.group;
	else if (skip_prefix(&option, "in-"))
		caps = &b->in;
	for (i = 0; i < sizeof(cap_readers) / sizeof(cap_readers[0]); i++) {
		if (strcmp(cap_readers[i].name, option))
			continue;
		*wrong = cap_readers[i].read(caps, text);
		return true;
	}
	return false;
}

static const char *read_default_in(struct policy_builder *b, const char *text)
{
	__u32 verdict = VSFQ_ACCEPT;
	const char *wrong;

	if (!strcmp(text, policy_word(policy_verdicts, VSFQ_DROP)))
		return "is not possible: a refused connection gets a RST "
		       "(say reject)";
	wrong = policy_read_word(policy_verdicts_in, text, &verdict);
	b->policy->defaults[VSFQ_IN] = verdict;
	return wrong;
}

static const char *read_default_out(struct policy_builder *b, const char *text)
{
	__u32 verdict = VSFQ_ACCEPT;
	const char *wrong;

	wrong = policy_read_word(policy_verdicts, text, &verdict);
	b->policy->defaults[VSFQ_OUT] = verdict;
	b->policy->rejects_out |= verdict == VSFQ_REJECT;
	return wrong;
}

static const struct {
	const char *name;
	const char *(*read)(struct policy_builder *b, const char *text);
} readers[] = {
	{ "default-in", read_default_in },
	{ "default-out", read_default_out },
	{ "weight", read_weight },
	{ "limit", read_limit },
	{ "priority", read_priority },
	{ "isolate", read_isolate },
	{ "direction", read_direction },
	{ "type", read_type },
	{ "local-cid", read_local_cid },
	{ "local-port", read_local_port },
	{ "remote-cid", read_remote_cid },
	{ "remote-port", read_remote_port },
	{ "device", read_device },
	{ "cgroup", read_cgroup },
	{ "class", read_class },
	{ "verdict", read_verdict },
	{ "log", read_log },
};

const char *policy_build_value(struct policy_builder *b, const char *option,
			       const char *text)
{
	const char *wrong;
	size_t i;

	for (i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (!strcmp(readers[i].name, option))
			return readers[i].read(b, text);
	return read_cap(b, option, text, &wrong) ? wrong :
	       "is no option of a policy";
}

static void start_rule(struct policy_builder *b)
{
	memset(&b->rule, 0, sizeof(b->rule));
	policy_read_cid("any", &b->rule.local_cid);
	policy_read_cid("any", &b->rule.remote_cid);
	b->rule.directions = ALL_DIRECTIONS;
	b->rule.types = POLICY_ANY_TYPE;
	b->has_verdict = false;
	b->has_class = false;
}

static void start_section(struct policy_builder *b)
{
	memset(&b->class, 0, sizeof(b->class));
	memset(&b->caps, 0, sizeof(b->caps));
	memset(&b->in, 0, sizeof(b->in));
	b->class.weight = 1;
	b->class.limit = VSFQ_LIMIT_DATAGRAMS;
}

/* 20 ms of the rate, so that a timer that is late costs nothing of it. */
static __u64 default_burst(__u64 rate)
{
	__u64 burst = rate / 50;

	if (burst < VSFQ_MIN_BURST)
		return VSFQ_MIN_BURST;
	return burst < VSFQ_MAX_BURST ? burst : VSFQ_MAX_BURST;
}

static const char *finish_burst(struct vsfq_caps *caps)
{
	if (caps->burst && !caps->rate)
		return "is a burst without a rate";
	if (caps->rate && !caps->burst)
		caps->burst = default_burst(caps->rate);
	return NULL;
}

static const char *finish_caps(struct policy_builder *b,
			       struct vsfq_caps *caps)
{
	const char *wrong = finish_burst(caps);

	if (wrong)
		return wrong;
	if (caps->rate || caps->packet_rate)
		b->policy->rates = 1;
	if (caps->connections || caps->connection_rate)
		b->policy->opens = 1;
	return NULL;
}

/* Strict priority is one that others survive. */
static const char *finish_priority(struct policy_builder *b)
{
	if (!b->class.priority)
		return NULL;
	b->policy->priorities = 1;
	return b->class.caps.rate ? NULL :
	       "is a priority without a rate: others would get nothing";
}

static const char *finish_class(struct policy_builder *b, const char **option)
{
	const char *wrong;

	b->class.caps = b->caps;
	if (!b->class.caps.memory)
		b->class.caps.memory = VSFQ_LIMIT_MEMORY;
	*option = "burst";
	wrong = finish_caps(b, &b->class.caps);
	if (wrong)
		return wrong;
	*option = "group-burst";
	wrong = finish_caps(b, &b->class.group);
	if (wrong)
		return wrong;
	*option = "priority";
	return finish_priority(b);
}

const char *policy_build_class(struct policy_builder *b, const char *name,
			       const char **option)
{
	const char *wrong;
	int i;

	*option = NULL;
	wrong = policy_read_name(name, b->class.name);
	if (wrong)
		return wrong;
	wrong = finish_class(b, option);
	if (wrong)
		return wrong;
	*option = NULL;
	i = policy_find_class(b->policy, name);
	if (i < 0)
		i = policy_find_class(b->policy, "");
	if (i < 0)
		return "is one class too many: 16 is the limit, "
		       "stream and dgram included";
	b->policy->class[i] = b->class;
	start_section(b);
	return NULL;
}

/* Of what arrives. */
static const char *finish_in(struct policy_builder *b, const char **option)
{
	const char *wrong;

	*option = "in-burst";
	wrong = finish_burst(&b->in);
	if (wrong)
		return wrong;
	*option = "in-rate";
	if (b->in.rate && b->in.rate < VSFQ_MIN_IN_RATE)
		return "is less than one packet per second: "
		       "65580bps is the least";
	if (b->in.rate || b->in.packet_rate)
		b->policy->paces = 1;
	return NULL;
}

const char *policy_build_device(struct policy_builder *b, const char *name,
				const char **option)
{
	struct vsfq_policy *p = b->policy;
	struct vsfq_device_settings d = { };
	const char *wrong;

	*option = NULL;
	wrong = policy_read_pattern(name, d.name, &d.length);
	if (wrong)
		return wrong;
	*option = "burst";
	wrong = finish_caps(b, &b->caps) ?: finish_in(b, option);
	if (wrong)
		return wrong;
	*option = NULL;
	if (p->devices == VSFQ_MAX_SECTIONS)
		return "is one device too many: 64 is the limit";
	d.caps = b->caps;
	d.in = b->in;
	p->device[p->devices++] = d;
	start_section(b);
	return NULL;
}

/* A verdict must be one that the kernel can carry out: see vsfq.conf(5). */
static const char *check_verdict(const struct vsfq_rule *r)
{
	if (r->verdict == VSFQ_DROP && r->directions & 1 << VSFQ_IN &&
	    r->types & CONNECTIONS)
		return "is possible with direction = out or type = dgram only: "
		       "a refused connection gets a RST (say reject)";
	return NULL;
}

/*
 * "any" is no range to the kernel, which could only answer later for one. The
 * policy is then that of a rule that does not have it, byte for byte.
 */
static void forget_any(struct vsfq_range *range, __u8 *count)
{
	if (*count == 1 && policy_any(range)) {
		memset(range, 0, sizeof(*range));
		*count = 0;
	}
}

const char *policy_build_rule(struct policy_builder *b, const char **option)
{
	struct vsfq_policy *p = b->policy;
	const char *wrong;

	*option = NULL;
	if (b->has_verdict && b->has_class)
		return "has both a verdict and a class";
	if (!b->has_verdict && !b->has_class)
		return "has neither a verdict nor a class";
	if (b->has_class)
		b->rule.verdict = VSFQ_CLASS;
	*option = "verdict";
	wrong = check_verdict(&b->rule);
	if (wrong)
		return wrong;
	*option = "cgroup";
	if (b->rule.cgroup && b->rule.directions != 1 << VSFQ_OUT)
		return "needs direction = out: what arrives has no cgroup";
	*option = NULL;
	if (p->rules == VSFQ_MAX_RULES)
		return "is one too many: 1024 is the limit";
	forget_any(b->rule.local_port, &b->rule.local_ports);
	forget_any(b->rule.remote_port, &b->rule.remote_ports);
	p->rejects_out |= b->rule.verdict == VSFQ_REJECT &&
			  b->rule.directions >> VSFQ_OUT & 1;
	p->rule[p->rules++] = b->rule;
	start_rule(b);
	return NULL;
}

void policy_build_start(struct policy_builder *b, struct vsfq_policy *policy)
{
	memset(policy, 0, sizeof(*policy));
	memset(b, 0, sizeof(*b));
	b->policy = policy;
	start_rule(b);
	start_section(b);
	b->class.caps.memory = VSFQ_LIMIT_MEMORY;
	policy->class[VSFQ_CLASS_STREAM] = b->class;
	strcpy(policy->class[VSFQ_CLASS_STREAM].name, "stream");
	policy->class[VSFQ_CLASS_DGRAM] = b->class;
	strcpy(policy->class[VSFQ_CLASS_DGRAM].name, "dgram");
	start_section(b);
}
