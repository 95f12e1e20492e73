// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "pins.h"
#include "policy.h"
#include "policy_change.h"
#include "policy_map.h"
#include "reason.h"
#include "vsfq.h"

static int print_change(const struct options *opt, const char *path,
			const struct vsfq_policy *old,
			const struct vsfq_policy *new)
{
	int err = policy_print_change(old, new, stdout);

	return err ? complain(opt, "cannot compare \"%s\": %s", path,
			      reason(err)) : EXIT_DONE;
}

int command_apply(const struct options *opt, char **arguments)
{
	const char *path = arguments[0] ?: POLICY_FILE, *missing;
	static struct vsfq_policy new, old;
	static struct policy_error error;
	int err, in_force;

	if (policy_parse(path, &new, &error))
		return complain(opt, "%s", policy_error_text(&error));
	missing = policy_find_cgroups(&new);
	if (missing)
		return complain(opt, "cannot apply \"%s\": there is no cgroup \"%s\"",
				path, missing);
	in_force = policy_map_read(&old);
	if (in_force < 0)
		return complain(opt, "cannot read the policy in force: %s",
				reason(in_force));
	policy_keep_classes(&new, &old);
	if (opt->dry_run)
		return print_change(opt, path, in_force ? &old : NULL, &new);
	if (in_force && policy_same(&new, &old))
		return EXIT_DONE;
	err = policy_map_write(&new);
	if (!err)
		return EXIT_DONE;
	policy_map_forget();
	pins_cleanup();
	return complain(opt, "cannot apply \"%s\": %s", path, reason(err));
}
