// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "classifier.h"
#include "device.h"
#include "doctor.h"
#include "driver.h"
#include "finding.h"
#include "manager.h"
#include "policy_device.h"
#include "policy_map.h"
#include "qdisc.h"
#include "sched.h"
#include "tcx.h"

static void look_at_link(json_t *findings, const struct device *dev)
{
	if (dev->up) {
		finding_add(findings, FINDING_OK, dev->name, "up");
		return;
	}
	finding_add(findings, FINDING_WARNING, dev->name,
		    "down: its packets pass by every qdisc and program");
	finding_fix(findings, "ip link set %s up", dev->name);
}

static void attached(json_t *findings, const struct device *dev)
{
	if (classifier_is_current(dev->owner)) {
		finding_add(findings, FINDING_OK, dev->name,
			    "attached by this version of vsfq");
		return;
	}
	finding_add(findings, FINDING_WARNING, dev->name,
		    "attached by another version of vsfq");
	finding_fix(findings, "vsfq attach %s", dev->name);
}

/* "at" is what classifier_ifindex() said. */
static void not_attached(json_t *findings, const struct device *dev, int at)
{
	static struct vsfq_policy policy;
	bool in_force;

	if (at < 0 && at != -ENOENT) {
		finding_error(findings, FINDING_WARNING, dev->name,
			      "cannot tell whether it is attached", at);
		return;
	}
	in_force = policy_map_read(&policy) > 0;
	finding_add(findings, in_force ? FINDING_PROBLEM : FINDING_WARNING,
		    dev->name, "not attached: nothing is counted or refused%s",
		    in_force ? ", though a policy is in force" : "");
	finding_fix(findings, "vsfq attach %s", dev->name);
}

/* tc, which may have made it, tells no port; since then there may be others. */
static bool knows_names(const struct qdisc *q, const struct device *dev)
{
	static struct vsfq_queue queue;

	return sched_read(q, &queue) ||
	       (!strcmp(queue.device, dev->name) &&
		!strcmp(queue.port, dev->port));
}

/* What cannot be seen into, which the machine's part tells, passes for ours. */
static void look_at_vsfq(json_t *findings, const struct device *dev,
			 const struct qdisc *q, bool attached)
{
	__u32 overhead = attached ? classifier_overhead(dev) : 0;

	if (!sched_made(q, 0)) {
		finding_add(findings, FINDING_WARNING, dev->name,
			    "its qdisc is of another version of vsfq");
		finding_fix(findings, "vsfq attach %s", dev->name);
	} else if (!sched_made(q, overhead)) {
		finding_add(findings, FINDING_WARNING, dev->name,
			    "its qdisc goes by another overhead than its classifier");
		finding_fix(findings, "vsfq attach %s", dev->name);
	} else if (!knows_names(q, dev)) {
		finding_add(findings, FINDING_WARNING, dev->name,
			    "its qdisc knows it by another name or port: a policy caps it as that");
		finding_fix(findings, "vsfq attach %s", dev->name);
	} else {
		finding_add(findings, FINDING_OK, dev->name,
			    "its root qdisc is vsfq");
	}
}

/* The kernel's own choice of a qdisc has no handle. */
static void look_at_qdisc(json_t *findings, const struct device *dev,
			  bool attached)
{
	struct qdisc q;

	if (qdisc_read(dev->ifindex, &q))
		return;
	if (qdisc_is_vsfq(&q)) {
		look_at_vsfq(findings, dev, &q, attached);
	} else if (attached) {
		finding_add(findings, FINDING_PROBLEM, dev->name,
			    "attached, but its root qdisc is \"%s\": something else replaced vsfq",
			    *q.kind ? q.kind : "none");
		finding_fix(findings, "vsfq attach %s", dev->name);
	} else if (q.handle) {
		finding_add(findings, FINDING_WARNING, dev->name,
			    "somebody made \"%s\" its root qdisc, which attach would replace",
			    q.kind);
		finding_fix(findings, "tc qdisc del dev %s root", dev->name);
	}
}

/* In "text", with a space before each; returns how many are not "ours". */
static int list_others(const struct tcx_programs *programs, __u32 ours,
		       char *text, size_t size)
{
	int others = 0;
	__u32 i;

	*text = '\0';
	for (i = 0; i < programs->count; i++) {
		if (programs->id[i] == ours)
			continue;
		others++;
		snprintf(text + strlen(text), size - strlen(text), " %u",
			 programs->id[i]);
	}
	return others;
}

static void look_at_hook(json_t *findings, const struct device *dev,
			 bool attached, bool egress)
{
	const char *hook = egress ? "egress" : "ingress";
	__u32 ours = attached ? classifier_program(dev->owner, egress) : 0;
	struct tcx_programs programs;
	char text[256];
	int others;

	/* Not allowed, or no such hooks: told about the machine. */
	if (tcx_read(dev->ifindex, egress, &programs))
		return;
	others = list_others(&programs, ours, text, sizeof(text));
	if (others) {
		finding_add(findings, FINDING_WARNING, dev->name,
			    "programs of others on tcx %s, which may hide packets from vsfq:%s",
			    hook, text);
		finding_fix(findings, "bpftool net show dev %s", dev->name);
	}
	if (attached && others == programs.count) {
		finding_add(findings, FINDING_PROBLEM, dev->name,
			    "pinned, but not on tcx %s", hook);
		finding_fix(findings, "vsfq attach %s", dev->name);
	}
}

static void look_at_filters(json_t *findings, const struct device *dev)
{
	bool any;

	if (qdisc_filters(dev->ifindex, &any) || !any)
		return;
	finding_add(findings, FINDING_WARNING, dev->name,
		    "a clsact or ingress qdisc, whose filters see its packets after vsfq: what leaves has lost its class behind one that ends in pass");
	finding_fix(findings, "tc filter show dev %s ingress, and egress",
		    dev->name);
}

/* The series has not always had what holds the other side back. */
static void look_at_pauses(json_t *findings, const struct device *dev)
{
	const struct vsfq_device_settings *d;
	static struct vsfq_policy policy;
	json_t *stats;

	if (policy_map_read(&policy) <= 0)
		return;
	d = policy_device(&policy, dev);
	if (!d || (!d->in.rate && !d->in.packet_rate))
		return;
	stats = driver_stats(dev->name);
	if (!json_object_get(stats, "ingress_paused")) {
		finding_add(findings, FINDING_PROBLEM, dev->name,
			    "the policy has a rate for what arrives, and this kernel cannot hold it back");
		finding_fix(findings,
			    "boot a kernel with the whole series of this version of vsfq");
	}
	json_decref(stats);
}

static void look_at_managers(json_t *findings, const struct device *dev)
{
	if (manager_networkd(dev->ifindex)) {
		finding_add(findings, FINDING_WARNING, dev->name,
			    "systemd-networkd manages it");
		finding_fix(findings,
			    "a .network file with Name=%s and Unmanaged=yes",
			    dev->name);
	}
	if (manager_networkmanager(dev->ifindex)) {
		finding_add(findings, FINDING_WARNING, dev->name,
			    "NetworkManager manages it");
		finding_fix(findings, "nmcli device set %s managed no",
			    dev->name);
	}
}

void doctor_device(json_t *findings, const struct device *dev)
{
	int at = classifier_ifindex(dev->owner);
	bool here = at == dev->ifindex;

	look_at_link(findings, dev);
	if (here)
		attached(findings, dev);
	else
		not_attached(findings, dev, at);
	look_at_qdisc(findings, dev, here);
	look_at_hook(findings, dev, here, true);
	look_at_hook(findings, dev, here, false);
	look_at_filters(findings, dev);
	look_at_pauses(findings, dev);
	look_at_managers(findings, dev);
}
