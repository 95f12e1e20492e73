// SPDX-License-Identifier: GPL-2.0-only
/*
 * libconfuse splits the file into options and sections and knows the lines,
 * which are tokens, see policy_source.h; each value comes here the moment it is
 * read, so that whatever is wrong with it is reported where it stands.
 * libconfuse hands its callbacks no pointer of ours: what is being read is in
 * one static variable.
 */
#include <confuse.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy.h"
#include "policy_build.h"
#include "policy_hint.h"
#include "policy_place.h"
#include "policy_source.h"

#define MAX_OPTIONS	32	/* in one section */

/*
 * To libconfuse the end of a file closes every section: half a rule would pass
 * for one. So these words follow the file, and must be understood.
 */
#define END		"@end"

/* An option that was set. */
struct seen {
	const char *name;
	int token;		/* the last of its values */
	char *word;		/* that one */
};

static struct parser {
	struct policy_builder builder;
	struct policy_error *error;
	struct policy_source *sources;	/* the last one first */
	bool said;		/* anything at all */
	bool ended;
	const char *including;	/* the name, while it is opened */
	struct seen top[MAX_OPTIONS];
	struct seen section[MAX_OPTIONS];	/* that is being read */
} now;

/* What a file has in it need not be fit for a terminal, or for JSON. */
static void copy_printable(char *to, size_t size, const char *from)
{
	while (*from && --size) {
		*to++ = *from >= ' ' && *from <= '~' ? *from : '?';
		from++;
	}
	*to = 0;
}

/* The first error is the one that counts. Without a word none is to blame. */
static int fail_in(const char *file, int line, int column, const char *word,
		   const char *reason)
{
	struct policy_error *e = now.error;
	bool end = word && !strcmp(word, END);

	if (*e->reason)
		return -1;
	snprintf(e->file, sizeof(e->file), "%s", file ?: "");
	e->named = word && !end;
	copy_printable(e->word, sizeof(e->word), e->named ? word : "");
	copy_printable(e->reason, sizeof(e->reason),
		       end ? "ends in the middle" : reason);
	e->line = line;
	e->column = column;
	return -1;
}

/* The token that libconfuse has come to is "cfg->line" of this. */
static const struct policy_source *source_of(const cfg_t *cfg)
{
	const struct policy_source *s = now.sources;

	while (s->next && strcmp(s->path, cfg->filename))
		s = s->next;
	return s;
}

static int fail_at(cfg_t *cfg, int token, const char *word, const char *reason)
{
	int line, column;

	policy_place_token(source_of(cfg), token, &line, &column);
	return fail_in(cfg->filename, line, column, word, reason);
}

/* The word is what was read last, or stands before it. */
static int fail(cfg_t *cfg, const char *word, const char *reason)
{
	return fail_at(cfg, policy_find_word(source_of(cfg), cfg->line, word),
		       word, reason);
}

static int fail_option(cfg_t *cfg, const char *name, const char *reason)
{
	return fail_at(cfg, policy_find_option(source_of(cfg), cfg->line, name),
		       name, reason);
}

/* libconfuse's own errors have the word, if any, in single quotes. */
static bool cut_word(char *text, char *word, size_t size)
{
	char *from = strchr(text, '\''), *to;

	to = from ? strchr(from + 1, '\'') : NULL;
	if (!to)
		return false;
	snprintf(word, size, "%.*s", (int)(to - from - 1), from + 1);
	/* The word is named by itself: leave the sentence without. */
	if (from > text)
		from--;
	memmove(from, to + 1, strlen(to));
	return true;
}

static void confuse_error(cfg_t *cfg, const char *format, va_list ap)
{
	const struct policy_source *s = source_of(cfg);
	char *text, word[PATH_MAX] = "";

	/* As long as the word that is in it. */
	if (vasprintf(&text, format, ap) < 0) {
		fail(cfg, word, strerror(ENOMEM));
		return;
	}
	if (now.including)
		snprintf(word, sizeof(word), "%s", now.including);
	else if (!cut_word(text, word, sizeof(word)))
		policy_token_word(s, cfg->line, word, sizeof(word));
	fail(cfg, word, policy_hint(s, cfg->line, text) ?: text);
	free(text);
}

static struct seen *find_seen(struct seen *list, const char *name)
{
	int i;

	for (i = 0; i < MAX_OPTIONS - 1; i++)
		if (!list[i].name || !strcmp(list[i].name, name))
			break;
	return &list[i];
}

/* Note where a value stands; an option may be set only once. */
static int note(cfg_t *cfg, cfg_opt_t *opt, const char *value)
{
	bool top = !strcmp(cfg->name, "root");
	struct seen *s = find_seen(top ? now.top : now.section, opt->name);

	now.said = true;
	/* A list has more than one value by now if this is one more. */
	if (s->token && opt->nvalues == 1)
		return fail_option(cfg, opt->name, "is set twice");
	s->name = opt->name;
	s->token = cfg->line;
	free(s->word);
	s->word = strdup(value);
	return 0;
}

static void forget_seen(struct seen list[MAX_OPTIONS])
{
	int i;

	for (i = 0; i < MAX_OPTIONS; i++)
		free(list[i].word);
	memset(list, 0, MAX_OPTIONS * sizeof(*list));
}

/* libconfuse calls nobody for these. */
static const char *empty_list(cfg_t *section)
{
	cfg_opt_t *opt;

	for (opt = section->opts; opt->name; opt++)
		if (opt->flags & CFGF_LIST && opt->flags & CFGF_MODIFIED &&
		    !opt->nvalues)
			return opt->name;
	return NULL;
}

/* One may be missing, which libconfuse does not mind. */
static bool ends_in_comma(const cfg_t *cfg)
{
	const struct policy_source *s = source_of(cfg);

	return policy_is_sign(s, cfg->line + 1, ",") &&
	       policy_is_sign(s, cfg->line + 2, "}");
}

static int read_value(cfg_t *cfg, cfg_opt_t *opt, const char *value,
		      void *result)
{
	size_t length = strlen(value);
	const char *wrong;

	if (note(cfg, opt, value))
		return -1;
	wrong = policy_build_value(&now.builder, opt->name, value);
	if (wrong && length && value[length - 1] == ';')
		wrong = "ends in a ;, and none follows a value";
	*(const char **)result = value;
	if (wrong)
		return fail_at(cfg, cfg->line, value, wrong);
	return ends_in_comma(cfg) ?
	       fail_at(cfg, cfg->line + 1, ",", "has no value behind it") : 0;
}

/* The value of an option is to blame, or else the section, by its name. */
static int fail_section(cfg_t *cfg, const char *option, const char *name,
			const char *wrong)
{
	struct seen *s;

	if (!option)
		return fail_at(cfg, policy_find_section(source_of(cfg),
							cfg->line),
			       name, wrong);
	s = find_seen(now.section, option);
	return fail_at(cfg, s->token, s->word ?: option, wrong);
}

static int end_rule(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *option, *wrong;

	now.said = true;
	if (empty_list(section))
		return fail_option(cfg, empty_list(section),
				   "is an empty list");
	wrong = policy_build_rule(&now.builder, &option);
	if (wrong)
		return fail_section(cfg, option, "rule", wrong);
	forget_seen(now.section);
	return 0;
}

static int end_titled(cfg_t *cfg, cfg_opt_t *opt,
		      const char *(*build)(struct policy_builder *b,
					   const char *name,
					   const char **option))
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *option, *wrong;

	now.said = true;
	wrong = build(&now.builder, cfg_title(section), &option);
	if (wrong)
		return fail_section(cfg, option, cfg_title(section), wrong);
	forget_seen(now.section);
	return 0;
}

static int end_class(cfg_t *cfg, cfg_opt_t *opt)
{
	return end_titled(cfg, opt, policy_build_class);
}

static int end_device(cfg_t *cfg, cfg_opt_t *opt)
{
	return end_titled(cfg, opt, policy_build_device);
}

/* To be read up to its end, and "more"; NULL if it cannot be. */
static FILE *open_source(const char *path, const char *more,
			 const char **wrong)
{
	struct policy_source *s = policy_source_read(path);
	FILE *file = NULL;

	*wrong = strerror(ENOMEM);
	if (!s)
		return NULL;
	s->next = now.sources;
	now.sources = s;
	if (s->wrong)
		*wrong = s->wrong;
	else
		file = policy_source_open(s, more);
	return file;
}

static int fail_source(const char *path, const char *wrong)
{
	const struct policy_source *s = now.sources;
	char word[PATH_MAX];

	if (!s || !s->line)
		return fail_in(path, 0, 0, NULL, wrong);
	snprintf(word, sizeof(word), "%.*s", (int)s->word.length, s->word.text);
	return fail_in(path, s->line, s->column, *word ? word : NULL, wrong);
}

/* As seen from the file that includes it. */
static int name_included(cfg_t *cfg, const char *name, char path[PATH_MAX])
{
	const char *slash = strrchr(cfg->filename, '/');
	int directory = 0;

	if (*name != '/' && slash)
		directory = slash - cfg->filename + 1;
	return snprintf(path, PATH_MAX, "%.*s%s", directory, cfg->filename,
			name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	char path[PATH_MAX], source[32];
	const char *wrong;
	FILE *text;
	int ret;

	if (argc != 1)
		return fail(cfg, "include", "takes one name");
	if (name_included(cfg, argv[0], path))
		return fail(cfg, argv[0], strerror(ENAMETOOLONG));
	text = open_source(path, "", &wrong);
	if (!text)
		return now.sources->line ? fail_source(path, wrong) :
					   fail(cfg, argv[0], wrong);
	snprintf(source, sizeof(source), "/proc/self/fd/%d", fileno(text));
	now.including = argv[0];
	argv[0] = source;
	ret = cfg_include(cfg, opt, argc, argv);
	now.including = NULL;
	fclose(text);
	if (ret)
		return ret;
	/* From here to its end errors are in this file, and so are includes. */
	free(cfg->filename);
	cfg->filename = strdup(path);
	return cfg->filename ? 0 : -1;
}

static int end(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	now.ended = true;
	return 0;
}

#define RATES(prefix)							\
	CFG_STR_CB(prefix "rate", NULL, CFGF_NODEFAULT, read_value),	\
	CFG_STR_CB(prefix "burst", NULL, CFGF_NODEFAULT, read_value),	\
	CFG_STR_CB(prefix "packet-rate", NULL, CFGF_NODEFAULT, read_value)

#define CAPS(prefix)							\
	RATES(prefix),							\
	CFG_STR_CB(prefix "memory", NULL, CFGF_NODEFAULT, read_value),	\
	CFG_STR_CB(prefix "connections", NULL, CFGF_NODEFAULT, read_value), \
	CFG_STR_CB(prefix "connection-rate", NULL, CFGF_NODEFAULT, read_value)

static cfg_opt_t class_options[] = {
	CFG_STR_CB("weight", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("priority", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("isolate", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("limit", NULL, CFGF_NODEFAULT, read_value),
	CAPS(""),
	CAPS("group-"),
	CFG_END()
};

static cfg_opt_t device_options[] = {
	CAPS(""),
	RATES("in-"),
	CFG_END()
};

static cfg_opt_t rule_options[] = {
	CFG_STR_CB("direction", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_LIST_CB("type", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("local-cid", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_LIST_CB("local-port", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("remote-cid", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_LIST_CB("remote-port", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("device", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("cgroup", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("class", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("verdict", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("log", NULL, CFGF_NODEFAULT, read_value),
	CFG_END()
};

static cfg_opt_t top_options[] = {
	CFG_STR_CB("default-in", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("default-out", NULL, CFGF_NODEFAULT, read_value),
	CFG_SEC("class", class_options,
		CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_SEC("device", device_options,
		CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_SEC("rule", rule_options, CFGF_MULTI),
	CFG_FUNC("include", include),
	CFG_FUNC(END, end),
	CFG_END()
};

static cfg_t *new_parser(const char *path)
{
	cfg_t *cfg = cfg_init(top_options, CFGF_NONE);

	if (!cfg)
		return NULL;
	cfg_set_error_function(cfg, confuse_error);
	cfg_set_validate_func(cfg, "class", end_class);
	cfg_set_validate_func(cfg, "device", end_device);
	cfg_set_validate_func(cfg, "rule", end_rule);
	cfg->filename = strdup(path);
	return cfg;
}

static void start(policy_find_t *find, struct vsfq_policy *policy,
		  struct policy_error *error)
{
	memset(error, 0, sizeof(*error));
	memset(&now, 0, sizeof(now));
	now.error = error;
	policy_build_start(&now.builder, policy);
	now.builder.find = find;
}

static int parse(FILE *text, const char *path)
{
	cfg_t *cfg = new_parser(path);
	int ret;

	if (!cfg)
		return fail_in(path, 0, 0, NULL, strerror(ENOMEM));
	ret = cfg_parse_fp(cfg, text);
	if (ret != CFG_SUCCESS)
		fail_at(cfg, cfg->line, NULL, "syntax error");
	else if (!now.ended)
		fail(cfg, END, "");
	cfg_free(cfg);
	if (!*now.error->reason && !now.said)
		fail_in(path, 0, 0, NULL, POLICY_EMPTY);
	return *now.error->reason ? -1 : 0;
}

/* Nothing of it but the error outlives the parser. */
static void finish(void)
{
	struct policy_source *s;

	forget_seen(now.top);
	forget_seen(now.section);
	while ((s = now.sources)) {
		now.sources = s->next;
		policy_source_free(s);
	}
}

int policy_parse(const char *path, policy_find_t *find,
		 struct vsfq_policy *policy, struct policy_error *error)
{
	const char *wrong;
	FILE *text;
	int ret;

	start(find, policy, error);
	text = open_source(path, END "()\n", &wrong);
	if (text) {
		ret = parse(text, path);
		fclose(text);
	} else {
		ret = fail_source(path, wrong);
	}
	finish();
	return ret;
}
