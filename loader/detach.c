// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

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

/* Ours is only a root of our kind: an administrator may have put another. */
static int detach_qdisc(int ifindex)
{
	struct qdisc q;
	int err;

	err = qdisc_read(ifindex, &q);
	if (err || !qdisc_is_vsfq(&q))
		return err;
	return qdisc_detach(ifindex);
}

/* 0 if it is gone. Somebody else may have detached our programs from it. */
static int ifindex_of(const char *name)
{
	int ifindex = classifier_ifindex(name);
	struct device dev;

	if (ifindex > 0 || !pins_exist(name))
		return ifindex;
	return device_find(name, &dev) ? 0 : dev.ifindex;
}

/* Goes by the pins, so that it also tidies up after a device that is gone. */
static int take_down(const char *name)
{
	int ifindex = ifindex_of(name);

	return (ifindex > 0 ? detach_qdisc(ifindex) : 0) ?:
	       classifier_detach(name);
}

/* EXIT_FAILED after a message. */
static int detach_device(const char *name, void *data)
{
	const struct options *opt = data;
	int err = pins_names_device(name) ? take_down(name) : -ENOENT;

	if (!err)
		return 0;
	return complain(opt, "cannot detach \"%s\": %s", name,
			err == -ENOENT ? "not attached" : reason(err));
}

/* The last one out: nobody can make, and nobody has, a vsfq qdisc any more. */
static int unregister_unused(const struct options *opt)
{
	bool used = pins_any();
	int err;

	connect_forget();
	err = connect_refresh();
	if (err)
		return complain(opt, "cannot tell what refuses connect() which devices there are: %s",
				reason(err));
	if (!used)
		err = qdisc_any(&used);
	if (!err && !used)
		err = sched_unregister();
	if (err && err != -ENOENT)
		return complain(opt, "cannot unregister the qdisc: %s",
				reason(err));
	events_forget();
	policy_map_forget();
	pins_cleanup();
	return EXIT_DONE;
}

int command_detach(const struct options *opt, char **arguments)
{
	int err;

	if (!strcmp(arguments[0], "all"))
		err = pins_each(detach_device, (void *)opt);
	else
		err = detach_device(arguments[0], (void *)opt);
	if (err < 0)
		return complain(opt, "cannot look what is attached: %s",
				reason(err));
	return err ? EXIT_FAILED : unregister_unused(opt);
}
