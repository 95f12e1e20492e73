// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "classifier.h"
#include "delay.h"
#include "pins.h"
#include "policy.h"
#include "policy_build.h"
#include "policy_show.h"
#include "policy_words.h"
#include "reason.h"
#include "stop.h"
#include "vsfq.h"

#define NSECS		1000000000ULL
#define MAX_SIGHTS	65536	/* of these no policy can be made any more */
#define LOOK_NSECS	NSECS	/* the tables forget, after thousands of flows */

/* Who asked whom for what. Between equals by the members up to the port. */
struct sight {
	__u32 direction;
	__u32 type;
	__u32 local_cid;
	__u32 remote_cid;
	__u32 local;		/* is it the port on this side? */
	__u32 port;		/* the service's */
};

struct sights {
	struct sight *sight;
	size_t count;
	size_t room;
	__u64 since;
	int err;
};

static int compare(const void *one, const void *other)
{
	const __u32 *a = one, *b = other;
	int i;

	for (i = 0; i < sizeof(struct sight) / sizeof(*a); i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

/* Where it is, or belongs. */
static size_t find(const struct sights *all, const struct sight *new)
{
	size_t low = 0, high = all->count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (compare(&all->sight[middle], new) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct sights *all)
{
	size_t room = 2 * all->room + 64;
	struct sight *more = reallocarray(all->sight, room, sizeof(*more));

	if (!more)
		return -ENOMEM;
	all->sight = more;
	all->room = room;
	return 0;
}

static void add(struct sights *all, const struct sight *new)
{
	size_t at = find(all, new);

	if (at < all->count && !compare(&all->sight[at], new))
		return;
	if (all->count == MAX_SIGHTS)
		all->err = -EOVERFLOW;
	else if (all->count == all->room && make_room(all))
		all->err = -ENOMEM;
	if (all->err)
		return;
	memmove(&all->sight[at + 1], &all->sight[at],
		(all->count - at) * sizeof(*new));
	all->sight[at] = *new;
	all->count++;
}

/*
 * The service is where the one who began sent to. What it answers needs no rule
 * in a connection; a datagram is judged whichever way it goes.
 */
static void see(const struct vsfq_flow_key *key,
		const struct vsfq_flow_stats *stats, void *data)
{
	bool in = stats->opened == VSFQ_IN, dgram = key->type == POLICY_TYPE_DGRAM;
	struct sights *all = data;
	struct sight new = {
		.direction = stats->opened,
		.type = key->type,
		.local_cid = key->local_cid,
		.remote_cid = key->peer_cid,
		.local = in,
		.port = in ? key->local_port : key->peer_port,
	};

	if (stats->last_seen < all->since || key->type < POLICY_TYPE_STREAM ||
	    key->type > POLICY_TYPE_DGRAM)
		return;
	if (!dgram && stats->state == VSFQ_FLOW_NEW)
		return;
	add(all, &new);
	new.direction = in ? VSFQ_OUT : VSFQ_IN;
	if (dgram && (in ? stats->sent : stats->received).packets)
		add(all, &new);
}

static int look_at(const char *name, void *data)
{
	struct sights *all = data;
	int err = classifier_flows(name, see, all);

	/* It may be detached, or gone, since its name was read. */
	return err && err != -ENOENT ? err : all->err;
}

static void wait_until(__u64 end, const sigset_t *signals)
{
	__u64 at = delay_now(), left = end > at ? end - at : 0;
	struct timespec t;

	if (left > LOOK_NSECS)
		left = LOOK_NSECS;
	t.tv_sec = left / NSECS;
	t.tv_nsec = left % NSECS;
	ppoll(NULL, 0, &t, signals);
}

static int watch(const struct options *opt, struct sights *all)
{
	__u64 end = ~0ULL;
	sigset_t signals;
	int err;

	stop_on_signals(&signals);
	all->since = delay_now();
	if (opt->seconds)
		end = all->since + opt->seconds * NSECS;
	if (opt->verbose)
		fprintf(stderr, "vsfq: watching\n");
	do {
		wait_until(end, &signals);
		err = pins_each(look_at, all);
	} while (!err && !stopped() && delay_now() < end);
	return err;
}

/* One that differs in nothing but the port belongs in the same rule. */
static bool same_rule(const struct sight *one, const struct sight *other)
{
	struct sight same = *one;

	same.port = other->port;
	return !compare(&same, other);
}

static void start_rule(struct vsfq_rule *rule, const struct sight *s)
{
	memset(rule, 0, sizeof(*rule));
	rule->directions = 1 << s->direction;
	rule->types = 1 << s->type;
	rule->local_cid.first = rule->local_cid.last = s->local_cid;
	rule->remote_cid.first = rule->remote_cid.last = s->remote_cid;
	rule->verdict = VSFQ_ACCEPT;
}

/* Returns false if there is no place for one more range. */
static bool add_port(struct vsfq_rule *rule, const struct sight *s)
{
	struct vsfq_range *r = s->local ? rule->local_port : rule->remote_port;
	__u8 *count = s->local ? &rule->local_ports : &rule->remote_ports;

	if (*count && s->port == r[*count - 1].last + 1) {
		r[*count - 1].last = s->port;
		return true;
	}
	if (*count == VSFQ_MAX_RANGES)
		return false;
	r[*count].first = r[*count].last = s->port;
	(*count)++;
	return true;
}

/* Returns false if there is more than a policy can say. */
static bool make_policy(const struct sights *all, struct vsfq_policy *p)
{
	struct policy_builder builder;
	const struct sight *s;

	policy_build_start(&builder, p);
	p->defaults[VSFQ_IN] = VSFQ_REJECT;
	p->defaults[VSFQ_OUT] = VSFQ_REJECT;
	for (s = all->sight; s < all->sight + all->count; s++) {
		if (s > all->sight && same_rule(s - 1, s) &&
		    add_port(&p->rule[p->rules - 1], s))
			continue;
		if (p->rules == VSFQ_MAX_RULES)
			return false;
		start_rule(&p->rule[p->rules], s);
		add_port(&p->rule[p->rules++], s);
	}
	return true;
}

int command_learn(const struct options *opt, char **arguments)
{
	static struct vsfq_policy policy;
	struct sights all = { };
	bool fits;
	int err = pins_any();

	if (!err)
		return complain(opt, "cannot learn: no device is attached (try: vsfq attach all)");
	if (err > 0)
		err = watch(opt, &all);
	fits = make_policy(&all, &policy) && err != -EOVERFLOW;
	free(all.sight);
	if (err && err != -EOVERFLOW)
		return complain(opt, "cannot learn: %s", reason(err));
	if (!fits)
		return complain(opt, "cannot learn: what was seen takes more than %d rules",
				VSFQ_MAX_RULES);
	policy_show(opt, &policy);
	return EXIT_DONE;
}
