// SPDX-License-Identifier: GPL-2.0-only
#include "policy.h"
#include "policy_show.h"
#include "vsfq.h"

int command_check(const struct options *opt, char **arguments)
{
	static struct vsfq_policy policy;
	static struct policy_error error;

	if (policy_parse(arguments[0] ?: POLICY_FILE, NULL, &policy, &error))
		return policy_complain(opt, &error);
	if (opt->statistics)
		policy_print(&policy, stdout);
	return EXIT_DONE;
}
