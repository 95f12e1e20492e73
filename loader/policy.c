// SPDX-License-Identifier: GPL-2.0-only
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "pins.h"
#include "policy.h"
#include "policy_map.h"
#include "print.h"
#include "reason.h"
#include "vsfq.h"

static int show_json(const struct options *opt,
		     const struct vsfq_policy *policy)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	json_t *json;

	if (!file)
		return EXIT_FAILED;
	if (policy)
		policy_print(policy, file);
	fclose(file);
	json = json_pack("{s:s?}", "policy", policy ? text : NULL);
	print_json(opt, json);
	json_decref(json);
	free(text);
	return EXIT_DONE;
}

static int show(const struct options *opt)
{
	static struct vsfq_policy policy;
	int in_force = policy_map_read(&policy);

	if (in_force < 0)
		return complain(opt, "cannot read the policy in force: %s",
				reason(in_force));
	if (opt->json)
		return show_json(opt, in_force ? &policy : NULL);
	if (in_force)
		policy_print(&policy, stdout);
	else
		printf("# no policy is in force\n");
	return EXIT_DONE;
}

static int clear(const struct options *opt)
{
	int err = policy_map_clear();

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
