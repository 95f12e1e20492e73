// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

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

static int attach_qdisc(const struct device *dev, int sched)
{
	struct qdisc q;
	int err;

	err = qdisc_read(dev->ifindex, &q);
	if (err)
		return err;
	/* One that the version before made still runs that version's code. */
	if (qdisc_is_vsfq(&q) && sched != SCHED_REPLACED)
		return 0;
	return qdisc_attach(dev->ifindex);
}

static int attach_device(const struct options *opt, const struct device *dev,
			 int sched)
{
	int err, before;

	before = classifier_attach(dev, opt->overhead);
	if (before < 0)
		return complain(opt, "cannot attach \"%s\": %s", dev->name,
				reason(before));
	err = attach_qdisc(dev, sched);
	if (!err)
		return EXIT_DONE;
	/* What was attached before, as the same version or another, stays. */
	if (!before)
		classifier_detach(dev->owner);
	return complain(opt, "cannot attach \"%s\": %s", dev->name,
			reason(err));
}

static int attach_devices(const struct options *opt,
			  const struct devices *list, int sched)
{
	int i, ret = EXIT_DONE;

	for (i = 0; i < list->count; i++)
		if (attach_device(opt, &list->device[i], sched) != EXIT_DONE)
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
	int ret, err, sched;

	ret = choose_devices(opt, "attach", arguments[0], &list);
	if (ret != EXIT_DONE)
		return ret;
	sched = sched_register(opt->overhead);
	err = sched < 0 ? sched : connect_attach();
	ret = err ? complain(opt, "cannot attach \"%s\": %s", arguments[0],
			     reason(err)) : attach_devices(opt, &list, sched);
	err = err ?: connect_refresh();
	if (err && ret == EXIT_DONE)
		ret = complain(opt, "cannot tell what refuses connect() which devices there are: %s",
			       reason(err));
	if (ret != EXIT_DONE)
		undo(sched);
	return ret;
}
