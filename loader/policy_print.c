// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "policy.h"
#include "policy_words.h"

static void print_class(const struct vsfq_class_settings *c, FILE *file)
{
	if (!*c->name)
		return;
	fprintf(file, "class %s { weight = %u  limit = %u  memory = %llu }\n",
		c->name, c->weight, c->limit, c->memory);
}

static void print_range(const struct vsfq_range *r, FILE *file)
{
	if (policy_any(r))
		fprintf(file, "any");
	else if (r->first == r->last)
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

/* Of a set of bits, those that the table has; none of all that it has. */
static void print_set(const char *name, const struct policy_word *words,
		      __u32 set, FILE *file)
{
	const struct policy_word *w;
	__u32 all = 0, first = 1;

	for (w = words; w->word; w++)
		all |= 1U << w->value;
	if ((set & all) == all)
		return;
	fprintf(file, "%s = {", name);
	for (w = words; w->word; w++) {
		if (!(set >> w->value & 1))
			continue;
		fprintf(file, "%s%s", first ? "" : ", ", w->word);
		first = 0;
	}
	fprintf(file, "}  ");
}

static void print_rule(const struct vsfq_policy *p, const struct vsfq_rule *r,
		       FILE *file)
{
	fprintf(file, "rule { ");
	if (r->directions == 1 << VSFQ_IN || r->directions == 1 << VSFQ_OUT)
		fprintf(file, "direction = %s  ",
			policy_word(policy_directions, r->directions >> 1));
	print_set("type", policy_types, r->types, file);
	print_cid("local-cid", &r->local_cid, file);
	print_ports("local-port", r->local_port, r->local_ports, file);
	print_cid("remote-cid", &r->remote_cid, file);
	print_ports("remote-port", r->remote_port, r->remote_ports, file);
	if (*r->device)
		fprintf(file, "device = %s  ", r->device);
	if (r->cgroup)
		fprintf(file, "cgroup = \"%s\"  ",
			p->cgroup[r->cgroup - 1].path);
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
	for (i = 0; i < p->rules; i++)
		print_rule(p, &p->rule[i], file);
}
