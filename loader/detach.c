// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "classifier.h"
#include "connect.h"
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

/*
 * Goes by the pins, so that it also tidies up after a device that is gone.
 * EXIT_FAILED after a message.
 */
static int detach_device(const char *name, void *data)
{
	const struct options *opt = data;
	int ifindex, err = 0;

	ifindex = classifier_ifindex(name);
	if (ifindex > 0)
		err = detach_qdisc(ifindex);
	if (!err)
		err = classifier_detach(name);
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
