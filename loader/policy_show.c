// SPDX-License-Identifier: GPL-2.0-only
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy.h"
#include "policy_show.h"
#include "print.h"
#include "printable.h"
#include "vsfq.h"

static void show_json(const struct options *opt,
		      const struct vsfq_policy *policy)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	json_t *json;

	if (policy)
		policy_print(policy, file);
	fclose(file);
	/* A cgroup may have any name. */
	json = json_pack("{s:o?}", "policy", policy ? printable(text) : NULL);
	print_json(opt, json);
	json_decref(json);
	free(text);
}

void policy_show(const struct options *opt, const struct vsfq_policy *policy)
{
	if (opt->json)
		show_json(opt, policy);
	else if (policy)
		policy_print(policy, stdout);
	else
		printf("# no policy is in force\n");
}

static json_t *number(int value)
{
	return value ? json_integer(value) : json_null();
}

int policy_complain(const struct options *opt, const struct policy_error *e)
{
	json_t *json;

	if (!opt->json)
		return complain(opt, "%s", policy_error_text(e));
	json = json_pack("{s:o, s:o, s:o, s:o, s:o?, s:s}",
			 "error", printable(policy_error_text(e)),
			 "file", printable(e->file),
			 "line", number(e->line), "column", number(e->column),
			 "word", e->named ? printable(e->word) : NULL,
			 "reason", e->reason);
	print_json(opt, json);
	json_decref(json);
	return EXIT_FAILED;
}
