// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "choose.h"
#include "classifier.h"
#include "connect.h"
#include "device.h"
#include "events.h"
#include "pins.h"
#include "policy_map.h"
#include "qdisc.h"
#include "reason.h"
#include "sched.h"
#include "vsfq.h"

/*
 * Who lets the kernel's BPF programs read its memory needs one more. That there
 * is no space is what the qdisc says.
 */
static const char *why(int err)
{
	static char text[64];

	if (err == -EPERM)
		return "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (try: root)";
	if (err != -ENOSPC)
		return reason(err);
	snprintf(text, sizeof(text),
		 "this machine has %d vsfq qdiscs already", VSFQ_MAX_QUEUES);
	return text;
}

/* Drop those that cannot; EXIT_FAILED after messages about them. */
static int refuse_names(const struct options *opt, struct devices *list)
{
	int i, count = 0, ret = EXIT_DONE;

	for (i = 0; i < list->count; i++) {
		if (pins_can_name(list->device[i].name,
				  list->device[i].owner))
			list->device[count++] = list->device[i];
		else
			ret = complain(opt, "cannot attach \"%s\": no device of such a name can be pinned (try: ip link set it name ...)",
				       list->device[i].name);
	}
	list->count = count;
	return ret;
}

/*
 * What a device was given it keeps, whatever the others get: so that to attach
 * all says nothing about it.
 */
static __u32 overhead_of(const struct options *opt, const struct device *dev)
{
	return opt->overhead ?: classifier_overhead(dev) ?: VSFQ_OVERHEAD;
}

static int attach_qdisc(const struct device *dev, __u32 overhead)
{
	struct qdisc q;
	int err;

	err = qdisc_read(dev->ifindex, &q);
	if (err)
		return err;
	if (qdisc_is_vsfq(&q) && sched_made(&q, overhead) > 0)
		return 0;
	/* With another overhead than for the device before, perhaps. */
	err = sched_register(overhead);
	return err < 0 ? err : qdisc_attach(dev->ifindex);
}

static int attach_device(const struct options *opt, const struct device *dev)
{
	__u32 overhead = overhead_of(opt, dev);
	int err, before;

	before = classifier_attach(dev, overhead);
	if (before < 0)
		return complain(opt, "cannot attach \"%s\": %s", dev->name,
				why(before));
	err = attach_qdisc(dev, overhead);
	if (!err)
		return EXIT_DONE;
	/* What was attached before, as the same version or another, stays. */
	if (!before)
		classifier_detach(dev->owner);
	return complain(opt, "cannot attach \"%s\": %s", dev->name,
			why(err));
}

static int attach_devices(const struct options *opt,
			  const struct devices *list)
{
	int i, ret = EXIT_DONE;

	for (i = 0; i < list->count; i++)
		if (attach_device(opt, &list->device[i]) != EXIT_DONE)
			ret = EXIT_FAILED;
	return ret;
}

/* What nobody needs if nothing is attached. */
static void undo(int sched)
{
	connect_forget();
	if (sched == SCHED_NEW && !pins_any())
		sched_unregister();
	events_forget();
	policy_map_forget();
	pins_cleanup();
}

int command_attach(const struct options *opt, char **arguments)
{
	static struct devices list;
	int ret, err, sched, refused, told;

	ret = choose_devices(opt, "attach", arguments[0], &list);
	if (ret != EXIT_DONE)
		return ret;
	refused = refuse_names(opt, &list);
	if (!list.count)
		return refused;
	/* Before anything is attached: this kernel may have no such qdiscs. */
	sched = classifier_refresh() ?:
		sched_is_registered() ? SCHED_BEFORE :
		sched_register(opt->overhead ?: VSFQ_OVERHEAD);
	err = sched < 0 ? sched : connect_attach();
	cgroup_refresh();
	ret = err ? complain(opt, "cannot attach \"%s\": %s", arguments[0],
			     why(err)) : attach_devices(opt, &list);
	/*
	 * The qdiscs that were there, and those that were made now; a guest may
	 * have got its CID meanwhile.
	 */
	told = err ?: classifier_refresh() ?: sched_refresh();
	err = err ?: connect_refresh() ?: told;
	if (err && ret == EXIT_DONE)
		ret = complain(opt, "cannot tell %s which devices there are: %s",
			       told ? "qdiscs" : "what refuses connect()",
			       why(err));
	if (ret != EXIT_DONE)
		undo(sched);
	return ret ?: refused;
}
