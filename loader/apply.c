// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "cgroup.h"
#include "classifier.h"
#include "confirm.h"
#include "connect.h"
#include "device.h"
#include "owner.h"
#include "pins.h"
#include "policy.h"
#include "policy_change.h"
#include "policy_map.h"
#include "policy_show.h"
#include "reason.h"
#include "sched.h"
#include "strict.h"
#include "vsfq.h"

static int print_change(const struct options *opt, const char *path,
			const struct vsfq_policy *old,
			const struct vsfq_policy *new)
{
	int err = policy_print_change(old, new, stdout);

	return err ? complain(opt, "cannot compare \"%s\": %s", path,
			      reason(err)) : EXIT_DONE;
}

/* What nobody needs with the policy that is in force now, if any. */
static void forget(void)
{
	policy_map_forget();
	pins_cleanup();
}

/* No error: a service may start later. But it may be a slip of the pen, too. */
static void note_missing(const struct vsfq_policy *p)
{
	const struct vsfq_cgroup *c;

	for (c = p->cgroup; c < p->cgroup + VSFQ_MAX_CGROUPS && *c->path; c++)
		if (!policy_cgroup_id(c))
			fprintf(stderr, "vsfq: cgroup \"%s\" is not there: its rules match nothing until it is\n",
				c->path);
}

/* Where the kernel refuses, all its cgroups are there: then without it. */
static int watch(const struct options *opt, const char *path,
		 const struct vsfq_policy *new)
{
	int err = cgroup_watch(new);

	if (!err)
		return EXIT_DONE;
	if (!cgroup_can_watch()) {
		forget();
		return complain(opt, "cannot apply \"%s\": %s", path,
				reason(err));
	}
	fprintf(stderr, "vsfq: the policy is not told of new cgroups: one that is made again is another to it (try: vsfq doctor)\n");
	return EXIT_DONE;
}

/* Of what policy_map_write() or policy_map_restore() returned. */
static void note_unknown(int ret)
{
	if (ret > 0)
		fprintf(stderr, "vsfq: the policy is in force, but may not know a cgroup that was made meanwhile (try: vsfq apply)\n");
}

static int write_policy(const struct options *opt, const char *path,
			struct vsfq_policy *new)
{
	int ret = policy_map_write(new);

	if (ret < 0) {
		forget();
		return complain(opt, "cannot apply \"%s\": %s", path,
				reason(ret));
	}
	note_unknown(ret);
	note_missing(new);
	return EXIT_DONE;
}

static int roll_back(const struct options *opt, int kept, __u64 generation)
{
	int err, lock = pins_lock();

	err = policy_map_restore(kept, generation);
	if (err >= 0) {
		cgroup_refresh();
		forget();
	}
	note_unknown(err);
	close(lock);
	if (err == -ESTALE)
		return complain(opt, "not confirmed, but a policy was applied or cleared meanwhile: nothing is rolled back");
	if (err < 0)
		return complain(opt, "not confirmed, but cannot roll back: %s",
				reason(err));
	return complain(opt, "not confirmed: %s", kept < 0 ?
			"no policy is in force, as before" :
			"the policy before is in force again");
}

/*
 * Enter was for this policy, and not for one that is there since. Whatever is
 * done now goes by it: others wait until the end of the process.
 */
static int keep(const struct options *opt, const struct vsfq_policy *new)
{
	static struct vsfq_policy now;
	int in_force;

	pins_lock();
	in_force = policy_map_read(&now);
	if (in_force < 0)
		return complain(opt, "confirmed, but cannot read the policy in force: %s",
				reason(in_force));
	return in_force && now.generation == new->generation ? EXIT_DONE :
		complain(opt, "confirmed too late: a policy was applied or cleared meanwhile, and that stays");
}

/* The map of the policy before is held open, so that it cannot be lost. */
static int write_and_confirm(const struct options *opt, const char *path,
			     struct vsfq_policy *new, int lock)
{
	int ret, pending, kept = policy_map_keep();

	if (kept < 0 && kept != -ENOENT)
		return complain(opt, "cannot keep the policy in force: %s",
				reason(kept));
	confirm_prepare();
	ret = write_policy(opt, path, new);
	if (ret != EXIT_DONE)
		return ret;
	pending = policy_map_pend(new->generation);
	/* Others may change what is pinned while somebody reads this. */
	close(lock);
	fprintf(stderr, "vsfq: applied; press Enter in %d s to keep it\n",
		opt->confirm);
	/* Not closed before it is rolled back: that has to wait for others. */
	if (!confirm_wait(opt->confirm))
		return roll_back(opt, kept, new->generation);
	ret = keep(opt, new);
	close(pending);
	return ret;
}

static int end_connections(const struct options *opt, const char *path,
			   const struct vsfq_policy *policy)
{
	int ended = strict_end(policy);

	if (ended < 0)
		return complain(opt, "\"%s\" is in force, but cannot end every connection that it refuses: %s",
				path, ended == -EACCES ?
				"needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (try: root)" :
				ended == -EPROTO ?
				"another version attached some device (try: vsfq attach all)" :
				reason(ended));
	if (opt->verbose)
		fprintf(stderr, "vsfq: ended %d connections\n", ended);
	return EXIT_DONE;
}

/*
 * Who applies a policy that somebody else has yet to confirm wants it to stay:
 * as another one, of its own generation, it is not rolled back.
 */
static bool is_done(const struct vsfq_policy *new, struct vsfq_policy *old)
{
	return policy_same(new, old) && !policy_map_pending(old->generation) &&
	       !policy_find_again(old);
}

/* No error: it may be on its way, and whoever made the exception knows. */
static void note_passing_by(void)
{
	static struct devices list;
	const struct device *dev;
	int passing = 0;

	if (devices_list(&list))
		return;
	for (dev = list.device; dev < list.device + list.count; dev++)
		passing += !dev->up || !classifier_is_attached(dev);
	if (passing)
		fprintf(stderr, "vsfq: devices that pass everything, for they are down or not attached: %d of %d (try: vsfq doctor)\n",
			passing, list.count);
}

static int change(const struct options *opt, const char *path,
		  struct vsfq_policy *new, bool done, int lock)
{
	int ret = EXIT_DONE;

	if (done)
		note_missing(new);
	else if (opt->confirm)
		ret = write_and_confirm(opt, path, new, lock);
	else
		ret = write_policy(opt, path, new);
	if (ret == EXIT_DONE)
		forget();
	if (ret == EXIT_DONE && opt->strict)
		ret = end_connections(opt, path, new);
	if (ret == EXIT_DONE)
		note_passing_by();
	return ret;
}

/*
 * Rules go by the names and CIDs of devices, and so do the connections that they
 * would refuse. Another version's devices stay as that knows them.
 */
static int refresh_devices(void)
{
	int err = classifier_refresh() ?: sched_refresh();

	return err || !connect_is_current() ? err : connect_refresh();
}

struct applying {
	const struct options *opt;
	const char *path;
};

/* What a device is called now, and where: in which namespace it is attached. */
static const char *place_of(const char *owner, char name[IFNAMSIZ])
{
	bool here = owner_is_here(owner);

	if (!here || !if_indextoname(classifier_ifindex(owner), name))
		owner_name(owner, name);
	return here ? "" : " in its network namespace";
}

static int check_device(const char *owner, void *data)
{
	int ret = classifier_is_reached(owner);
	const struct applying *a = data;
	char name[IFNAMSIZ];
	const char *place;

	if (ret < 0)
		return complain(a->opt,
				"cannot look what is attached to \"%s\": %s",
				owner, reason(ret));
	if (ret)
		return EXIT_DONE;
	place = place_of(owner, name);
	return complain(a->opt, "cannot apply \"%s\": what is attached to \"%s\" looks for a policy elsewhere (try: vsfq attach %s%s)",
			a->path, *place ? owner : name, name, place);
}

/*
 * A policy is for all devices, of all network namespaces: to put it in force
 * for some of them would be to say that it is for the others.
 */
static int check_reach(const struct options *opt, const char *path)
{
	struct applying a = { opt, path };
	int ret = pins_each(check_device, &a);

	if (ret < 0)
		return complain(opt, "cannot look what is attached: %s",
				reason(ret));
	if (ret != EXIT_DONE)
		return ret;
	ret = sched_is_reached();
	if (ret < 0)
		return complain(opt, "cannot look at the qdisc: %s",
				reason(ret));
	return ret ? EXIT_DONE :
	       complain(opt, "cannot apply \"%s\": the qdisc looks for a policy elsewhere (try: vsfq attach all)",
			path);
}

/*
 * Others need not wait for a file that comes from somebody who types it, nor for
 * a pager: only who changes something has the lock, and has read by then.
 */
int command_apply(const struct options *opt, char **arguments)
{
	const char *path = arguments[0] ?: POLICY_FILE;
	static struct vsfq_policy new, old;
	static struct policy_error error;
	int in_force, lock, err;

	if (opt->dry_run && (opt->confirm || opt->strict)) {
		complain(opt, "\"-n\" changes nothing: it does not go with \"-%c\" (try: vsfq help)",
			 opt->confirm ? 'C' : 'S');
		return EXIT_USAGE;
	}
	if (policy_parse(path, policy_find_cgroup, &new, &error))
		return policy_complain(opt, &error);
	lock = opt->dry_run ? -1 : pins_lock();
	in_force = policy_map_read(&old);
	if (in_force < 0)
		return complain(opt, "cannot read the policy in force: %s",
				reason(in_force));
	/* What came back would be a policy that nobody has confirmed. */
	if (opt->confirm && in_force && policy_map_pending(old.generation))
		return complain(opt, "cannot apply \"%s\": the policy in force waits to be confirmed (try: without -C)",
				path);
	if (check_reach(opt, path) != EXIT_DONE)
		return EXIT_FAILED;
	policy_keep_classes(&new, &old);
	policy_keep_cgroups(&new, &old);
	if (opt->dry_run) {
		note_missing(&new);
		return print_change(opt, path, in_force ? &old : NULL, &new);
	}
	err = refresh_devices();
	if (err)
		return complain(opt, "cannot look what the devices are now: %s",
				reason(err));
	if (watch(opt, path, &new) != EXIT_DONE)
		return EXIT_FAILED;
	return change(opt, path, &new, in_force && is_done(&new, &old), lock);
}
