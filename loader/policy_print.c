// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "policy.h"
#include "policy_words.h"

static void print_caps(const char *prefix, const struct vsfq_caps *c,
		       FILE *file)
{
	if (c->memory)
		fprintf(file, "  %smemory = %llu", prefix, c->memory);
	if (c->rate)
		fprintf(file, "  %srate = %llubps  %sburst = %llu", prefix,
			c->rate, prefix, c->burst);
	if (c->packet_rate)
		fprintf(file, "  %spacket-rate = %u", prefix, c->packet_rate);
	if (c->connections)
		fprintf(file, "  %sconnections = %u", prefix, c->connections);
	if (c->connection_rate)
		fprintf(file, "  %sconnection-rate = %u", prefix,
			c->connection_rate);
}

static void print_class(const struct vsfq_class_settings *c, FILE *file)
{
	if (!*c->name)
		return;
	fprintf(file, "class %s { weight = %u", c->name, c->weight);
	if (c->priority)
		fprintf(file, "  priority = %u", c->priority);
	if (c->isolate != VSFQ_BY_CGROUP)
		fprintf(file, "  isolate = %s",
			policy_word(policy_isolates, c->isolate));
	fprintf(file, "  limit = %u", c->limit);
	print_caps("", &c->caps, file);
	print_caps("group-", &c->group, file);
	fprintf(file, " }\n");
}

static void print_device(const struct vsfq_device_settings *d, FILE *file)
{
	fprintf(file, "device \"%s%s\" {", d->name,
		d->length < VSFQ_NAME_SIZE ? "*" : "");
	print_caps("", &d->caps, file);
	print_caps("in-", &d->in, file);
	fprintf(file, " }\n");
}

static void print_range(const struct vsfq_range *r, FILE *file)
{
	if (r->first == r->last)
		fprintf(file, "%u", r->first);
	else
		fprintf(file, "%u-%u", r->first, r->last);
}

static void print_cid(const char *name, const struct vsfq_range *r, FILE *file)
{
	if (policy_any(r))
		return;
	fprintf(file, "%s = ", name);
	print_range(r, file);
	fprintf(file, "  ");
}

static void print_ports(const char *name, const struct vsfq_range *r, int count,
			FILE *file)
{
	int i;

	if (!count)
		return;
	fprintf(file, "%s = {", name);
	for (i = 0; i < count; i++) {
		fprintf(file, "%s", i ? ", " : "");
		print_range(&r[i], file);
	}
	fprintf(file, "}  ");
}

/* To name all of them is not the same as to name none: there may be others. */
static void print_types(__u8 types, FILE *file)
{
	const struct policy_word *w;
	bool first = true;

	if (types == POLICY_ANY_TYPE)
		return;
	fprintf(file, "type = {");
	for (w = policy_types; w->word; w++) {
		if (!(types >> w->value & 1))
			continue;
		fprintf(file, "%s%s", first ? "" : ", ", w->word);
		first = false;
	}
	fprintf(file, "}  ");
}

/* A backslash, which is in the names of many scopes, would be an escape. */
static void print_cgroup(const char *path, FILE *file)
{
	fprintf(file, "cgroup = \"");
	for (; *path; path++)
		fprintf(file, *path == '\\' ? "\\\\" : "%c", *path);
	fprintf(file, "\"  ");
}

static void print_rule(const struct vsfq_policy *p, const struct vsfq_rule *r,
		       FILE *file)
{
	fprintf(file, "rule { ");
	if (r->directions == 1 << VSFQ_IN || r->directions == 1 << VSFQ_OUT)
		fprintf(file, "direction = %s  ",
			policy_word(policy_directions, r->directions >> 1));
	print_types(r->types, file);
	print_cid("local-cid", &r->local_cid, file);
	print_ports("local-port", r->local_port, r->local_ports, file);
	print_cid("remote-cid", &r->remote_cid, file);
	print_ports("remote-port", r->remote_port, r->remote_ports, file);
	if (*r->device)
		fprintf(file, "device = %s  ", r->device);
	if (r->cgroup)
		print_cgroup(p->cgroup[r->cgroup - 1].path, file);
	if (r->log)
		fprintf(file, "log = yes  ");
	if (r->verdict == VSFQ_CLASS)
		fprintf(file, "class = %s }\n", p->class[r->class].name);
	else
		fprintf(file, "verdict = %s }\n",
			policy_word(policy_verdicts, r->verdict));
}

void policy_print(const struct vsfq_policy *p, FILE *file)
{
	int i;

	fprintf(file, "default-in = %s\ndefault-out = %s\n",
		policy_word(policy_verdicts, p->defaults[VSFQ_IN]),
		policy_word(policy_verdicts, p->defaults[VSFQ_OUT]));
	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		print_class(&p->class[i], file);
	for (i = 0; i < p->devices; i++)
		print_device(&p->device[i], file);
	for (i = 0; i < p->rules; i++)
		print_rule(p, &p->rule[i], file);
}
