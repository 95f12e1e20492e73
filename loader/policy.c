// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "pins.h"
#include "policy.h"
#include "policy_map.h"
#include "policy_show.h"
#include "reason.h"
#include "vsfq.h"

static int show(const struct options *opt)
{
	static struct vsfq_policy policy;
	int in_force = policy_map_read(&policy);

	if (in_force < 0)
		return complain(opt, "cannot read the policy in force: %s",
				reason(in_force));
	policy_show(opt, in_force ? &policy : NULL);
	return EXIT_DONE;
}

static int clear(const struct options *opt)
{
	int err;

	pins_lock();
	err = policy_map_clear();
	if (err)
		return complain(opt, "cannot clear the policy: %s",
				reason(err));
	policy_map_forget();
	pins_cleanup();
	return EXIT_DONE;
}

int command_policy(const struct options *opt, char **arguments)
{
	if (!strcmp(arguments[0], "show"))
		return show(opt);
	if (!strcmp(arguments[0], "clear"))
		return clear(opt);
	complain(opt, "not something to do with a policy \"%s\" (try: vsfq help)",
		 arguments[0]);
	return EXIT_USAGE;
}
