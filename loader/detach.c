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
	err = qdisc_detach(ifindex);
	/* The device, or its qdisc, has gone since. */
	return err == -ENODEV || err == -ENOENT ? 0 : err;
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

	if (pins_denied(ifindex))
		return ifindex;
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

struct detaching {
	const struct options *opt;
	int ret;
};

/*
 * Those of another namespace stay, unless they are gone with it. One that
 * cannot be detached is in nobody's way.
 */
static int detach_owner(const char *owner, void *data)
{
	struct detaching *d = data;

	if (owner_is_here(owner) || classifier_ifindex(owner) <= 0)
		d->ret = detach_device(owner, owner, d->opt) ?: d->ret;
	return 0;
}

static int detach_all(const struct options *opt)
{
	struct detaching d = { opt, EXIT_DONE };
	int err = pins_each(detach_owner, &d);

	if (err)
		return complain(opt, "cannot look what is attached: %s",
				reason(err));
	return d.ret;
}

/*
 * A device that has this name, whatever it was attached as, or else what is
 * pinned under it. What is gone may be of another namespace: doctor names the
 * owner.
 */
static int detach_named(const struct options *opt, const char *name)
{
	char owner[OWNER_SIZE];
	struct device dev;
	int err = 0;

	owner_of(name, owner);
	if (!device_find(name, &dev)) {
		/* It may have this name beside another one. */
		strcpy(owner, dev.owner);
		err = classifier_refresh();
	}
	if (err)
		return complain(opt, "cannot look what is attached: %s",
				reason(err));
	return detach_device(pins_exist(owner) ? owner : name, name, opt);
}

/* The last one out: nobody can make, and nobody has, a vsfq qdisc any more. */
static int unregister_unused(void)
{
	int err, used = pins_any() ? 1 : sched_used();

	/* Where we cannot tell, what is registered stays so. */
	if (used)
		return used < 0 ? used : 0;
	err = sched_unregister();
	return err == -ENOENT ? 0 : err;
}

/*
 * What is no longer of use, also after a failure: a run before this one may
 * have been killed, or have failed, on its way here.
 */
static int tidy_up(const struct options *opt, int ret)
{
	int refresh, unregister;

	connect_forget();
	refresh = connect_refresh();
	unregister = unregister_unused();
	events_forget();
	policy_map_forget();
	pins_cleanup();
	if (ret == EXIT_DONE && refresh)
		ret = complain(opt, "cannot tell what refuses connect() which devices there are: %s",
			       reason(refresh));
	if (ret == EXIT_DONE && unregister)
		ret = complain(opt, "cannot unregister the qdisc: %s",
			       reason(unregister));
	return ret;
}

int command_detach(const struct options *opt, char **arguments)
{
	int ret;

	if (!strcmp(arguments[0], "all"))
		ret = detach_all(opt);
	else
		ret = detach_named(opt, arguments[0]);
	return tidy_up(opt, ret);
}
