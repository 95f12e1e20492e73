// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parser against any text, by libFuzzer: it must end, with a policy or with
 * an error that says something; a policy must survive being printed and read.
 *
 *	make fuzz		as many executions as FUZZ_RUNS says
 */
#include <stdint.h>

/* The sources themselves; but no text gets to open a file of this machine. */
#define policy_source	read_source
#include "../../loader/policy_source.c"
#undef policy_source

static int no_source(const char *path, const char *more, int *line,
		     const char **reason)
{
	*line = 0;
	*reason = "there are no files here";
	return -1;
}

#define policy_source	no_source
#include "../../loader/policy_parse.c"
#undef policy_source

/* As policy_parse() does, from memory. */
static int parse_text(const char *text, size_t length,
		      struct vsfq_policy *policy, struct policy_error *error)
{
	static const char more[] = "\n" END "()\n";
	size_t size = length + sizeof(more) - 1;
	char *copy = malloc(size);
	const char *reason;
	int line, ret;
	FILE *file;

	memcpy(copy, text, length);
	memcpy(copy + length, more, sizeof(more) - 1);
	start(policy, error);
	line = clean(copy, length, &reason);
	if (line) {
		ret = fail_at("fuzz", line, "", reason);
	} else {
		file = fmemopen(copy, size, "r");
		ret = parse(file, "fuzz");
		fclose(file);
	}
	free(copy);
	return ret;
}

static void check_round_trip(const struct vsfq_policy *policy)
{
	static struct vsfq_policy again;
	static struct policy_error error;
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	policy_print(policy, file);
	fclose(file);
	if (parse_text(text, size, &again, &error) ||
	    memcmp(policy, &again, sizeof(again)))
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vsfq_policy policy;
	static struct policy_error error;

	if (!parse_text((const char *)data, size, &policy, &error))
		check_round_trip(&policy);
	else if (!*error.reason)
		abort();
	return 0;
}
