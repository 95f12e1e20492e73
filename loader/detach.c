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

/*
 * The device of this name in this namespace, 0 if it is gone. Somebody else may
 * have detached our programs from it, so that the pins do not tell.
 */
static int ifindex_of(const char *owner)
{
	char name[IFNAMSIZ];
	struct device dev;

	owner_name(owner, name);
	return device_find(name, &dev) ? 0 : dev.ifindex;
}

/* Goes by the pins, so that it also tidies up after a device that is gone. */
static int take_down(const char *owner)
{
	int err = 0, ifindex = classifier_ifindex(owner);

	if (!owner_is_here(owner) && ifindex > 0)
		return -EXDEV;
	if (owner_is_here(owner) && ifindex <= 0 && pins_exist(owner))
		ifindex = ifindex_of(owner);
	if (ifindex > 0)
		err = detach_qdisc(ifindex);
	return err ?: classifier_detach(owner);
}

/* EXIT_FAILED after a message. */
static int detach_device(const char *owner, const char *name,
			 const struct options *opt)
{
	int err = pins_names_device(owner) ? take_down(owner) : -ENOENT;

	if (!err)
		return 0;
	return complain(opt, "cannot detach \"%s\": %s", name,
			err == -ENOENT ? "not attached" : reason(err));
}

/* Those of another namespace stay, unless they are gone with it. */
static int detach_owner(const char *owner, void *data)
{
	if (!owner_is_here(owner) && classifier_ifindex(owner) > 0)
		return 0;
	return detach_device(owner, owner, data);
}

/* What is gone may be of another namespace: doctor names the owner. */
static int detach_named(const struct options *opt, const char *name)
{
	char owner[OWNER_SIZE];

	owner_of(name, owner);
	return detach_device(pins_exist(owner) ? owner : name, name, opt);
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
		err = pins_each(detach_owner, (void *)opt);
	else
		err = detach_named(opt, arguments[0]);
	if (err < 0)
		return complain(opt, "cannot look what is attached: %s",
				reason(err));
	return err ? EXIT_FAILED : unregister_unused(opt);
}
