// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parser against any text, by libFuzzer: it must end, with a policy or with
 * an error that says something and where in the text; a policy must survive
 * being printed and read.
 *
 *	make fuzz		as many executions as FUZZ_RUNS says
 */
#include <stdint.h>

/* The sources themselves; but no text gets to open a file of this machine. */
#define policy_source_read	read_source
#include "../../loader/policy_source.c"
#undef policy_source_read

#define NAME	"fuzz"

static struct policy_source *no_source(const char *path)
{
	struct policy_source *s = calloc(1, sizeof(*s));

	s->path = strdup(path);
	s->wrong = "there are no files here";
	return s;
}

#define policy_source_read	no_source
#include "../../loader/policy_parse.c"
#undef policy_source_read

static struct policy_source *source_in_memory(const char *text, size_t length)
{
	struct policy_source *s = calloc(1, sizeof(*s));

	s->path = strdup(NAME);
	s->text = calloc(1, length + 1);
	memcpy(s->text, text, length);
	read_tokens(s, length);
	return s;
}

/* As policy_parse() does, from memory. */
static int parse_text(const char *text, size_t length,
		      struct vsfq_policy *policy, struct policy_error *error)
{
	FILE *file;
	int ret;

	start(NULL, policy, error);
	now.sources = source_in_memory(text, length);
	if (now.sources->wrong) {
		ret = fail_source(NAME, now.sources->wrong);
	} else {
		file = policy_source_open(now.sources, END "()\n");
		ret = parse(file, NAME);
		fclose(file);
	}
	finish();
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

/* Only a text without a token is wrong as such. */
static void check_error(const struct policy_error *error, const char *text,
			size_t size)
{
	int line = 1, column = 1;
	size_t i;

	if (!*error->reason || strncmp(policy_error_text(error), NAME ":",
				       strlen(NAME ":")))
		abort();
	if (!error->line && !strcmp(error->reason, POLICY_EMPTY))
		return;
	for (i = 0; i < size; i++) {
		if (line == error->line && column == error->column)
			return;
		line += text[i] == '\n';
		column = text[i] == '\n' ? 1 : column + 1;
	}
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vsfq_policy policy;
	static struct policy_error error;

	if (!parse_text((const char *)data, size, &policy, &error))
		check_round_trip(&policy);
	else
		check_error(&error, (const char *)data, size);
	return 0;
}
