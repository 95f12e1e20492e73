// SPDX-License-Identifier: GPL-2.0-only
/*
 * libconfuse splits the file into options and sections and knows the lines;
 * each value comes here the moment it is read, so that whatever is wrong with
 * it is reported where it stands. libconfuse hands its callbacks no pointer of
 * ours: what is being read is in one static variable.
 */
#include <confuse.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy.h"
#include "policy_build.h"
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
	int line;
	char word[64];		/* the last of its values */
};

static struct parser {
	struct policy_builder builder;
	struct policy_error *error;
	bool said;		/* anything at all */
	bool ended;
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

/* The first error is the one that counts. */
static int fail_at(const char *file, int line, const char *word,
		   const char *reason)
{
	struct policy_error *e = now.error;
	bool end = !strcmp(word, END);

	if (*e->reason)
		return -1;
	snprintf(e->file, sizeof(e->file), "%s", file ?: "");
	copy_printable(e->word, sizeof(e->word), end ? "" : word);
	copy_printable(e->reason, sizeof(e->reason),
		       end ? "ends in the middle" : reason);
	e->line = line;
	return -1;
}

static int fail(cfg_t *cfg, const char *word, const char *reason)
{
	return fail_at(cfg->filename, cfg->line, word, reason);
}

/* libconfuse's own errors have the word, if any, in single quotes. */
static void confuse_error(cfg_t *cfg, const char *format, va_list ap)
{
	char text[160], word[64] = "", *from, *to;

	vsnprintf(text, sizeof(text), format, ap);
	from = strchr(text, '\'');
	to = from ? strchr(from + 1, '\'') : NULL;
	if (to && to - from <= sizeof(word)) {
		memcpy(word, from + 1, to - from - 1);
		/* The word is named by itself: leave the sentence without. */
		if (from > text)
			from--;
		memmove(from, to + 1, strlen(to));
	}
	fail(cfg, word, text);
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
	if (s->line && opt->nvalues == 1)
		return fail(cfg, opt->name, "is set twice");
	s->name = opt->name;
	s->line = cfg->line;
	snprintf(s->word, sizeof(s->word), "%s", value);
	return 0;
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

static int read_value(cfg_t *cfg, cfg_opt_t *opt, const char *value,
		      void *result)
{
	const char *wrong;

	if (note(cfg, opt, value))
		return -1;
	wrong = policy_build_value(&now.builder, opt->name, value);
	*(const char **)result = value;
	return wrong ? fail(cfg, value, wrong) : 0;
}

/* The value of an option is to blame, or else the section, by its name. */
static int fail_section(cfg_t *cfg, const char *option, const char *name,
			const char *wrong)
{
	struct seen *s;

	if (!option)
		return fail(cfg, name, wrong);
	s = find_seen(now.section, option);
	return fail_at(cfg->filename, s->line, s->word, wrong);
}

static int end_rule(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *option, *wrong;

	now.said = true;
	if (empty_list(section))
		return fail(cfg, empty_list(section), "is an empty list");
	wrong = policy_build_rule(&now.builder, &option);
	if (wrong)
		return fail_section(cfg, option, "rule", wrong);
	memset(now.section, 0, sizeof(now.section));
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
	memset(now.section, 0, sizeof(now.section));
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

/* As seen from the file that includes it. */
static int include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	const char *slash = strrchr(cfg->filename, '/'), *reason;
	char path[PATH_MAX], source[32];
	int directory = 0, fd, line, ret;

	if (argc != 1)
		return fail(cfg, "include", "takes one name");
	if (*argv[0] != '/' && slash)
		directory = slash - cfg->filename + 1;
	if (snprintf(path, sizeof(path), "%.*s%s", directory, cfg->filename,
		     argv[0]) >= sizeof(path))
		return fail(cfg, argv[0], strerror(ENAMETOOLONG));
	fd = policy_source(path, "", &line, &reason);
	if (fd < 0)
		return line ? fail_at(path, line, "", reason) :
			      fail(cfg, argv[0], reason);
	snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
	argv[0] = source;
	ret = cfg_include(cfg, opt, argc, argv);
	close(fd);
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

#define CAPS(prefix)							\
	CFG_STR_CB(prefix "rate", NULL, CFGF_NODEFAULT, read_value),	\
	CFG_STR_CB(prefix "burst", NULL, CFGF_NODEFAULT, read_value),	\
	CFG_STR_CB(prefix "packet-rate", NULL, CFGF_NODEFAULT, read_value), \
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

static void start(struct vsfq_policy *policy, struct policy_error *error)
{
	memset(error, 0, sizeof(*error));
	memset(&now, 0, sizeof(now));
	now.error = error;
	policy_build_start(&now.builder, policy);
}

static int parse(FILE *text, const char *path)
{
	cfg_t *cfg = new_parser(path);
	int ret;

	if (!cfg)
		return fail_at(path, 0, "", strerror(ENOMEM));
	ret = cfg_parse_fp(cfg, text);
	if (ret != CFG_SUCCESS)
		fail(cfg, "", "syntax error");
	else if (!now.ended)
		fail(cfg, END, "");
	cfg_free(cfg);
	if (!*now.error->reason && !now.said)
		fail_at(path, 0, "", "says nothing");
	return *now.error->reason ? -1 : 0;
}

int policy_parse(const char *path, struct vsfq_policy *policy,
		 struct policy_error *error)
{
	const char *reason;
	int fd, line, ret;
	FILE *text;

	start(policy, error);
	fd = policy_source(path, END "()\n", &line, &reason);
	if (fd < 0)
		return fail_at(path, line, "", reason);
	text = fdopen(fd, "r");
	if (!text) {
		close(fd);
		return fail_at(path, 0, "", strerror(ENOMEM));
	}
	ret = parse(text, path);
	fclose(text);
	return ret;
}
