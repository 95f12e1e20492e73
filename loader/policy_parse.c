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
#include "policy_source.h"
#include "policy_words.h"

#define ALL_DIRECTIONS	(1 << VSFQ_IN | 1 << VSFQ_OUT)
#define MAX_OPTIONS	16	/* in one section */

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
	struct vsfq_policy *policy;
	struct policy_error *error;
	bool said;		/* anything at all */
	bool ended;
	struct vsfq_class_settings class;
	struct vsfq_rule rule;
	bool has_verdict;
	bool has_class;
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

static const char *read_ports(const char *text, struct vsfq_range *ranges,
			      __u8 *count)
{
	struct vsfq_range r;
	const char *wrong;
	int i;

	wrong = policy_read_ports(text, &r);
	if (wrong)
		return wrong;
	for (i = 0; i < *count; i++)
		if (r.first <= ranges[i].last && r.last >= ranges[i].first)
			return "overlaps with another range of this rule";
	if (*count == VSFQ_MAX_RANGES)
		return "is one range too many: four is the limit";
	ranges[(*count)++] = r;
	return NULL;
}

static const char *read_type(const char *text)
{
	const char *wrong;
	__u32 type;

	wrong = policy_read_word(policy_types, text, &type);
	if (wrong)
		return wrong;
	/* All of them until one is named. */
	if (now.rule.types == 0xff)
		now.rule.types = 0;
	if (now.rule.types & 1 << type)
		return "is named twice";
	now.rule.types |= 1 << type;
	return NULL;
}

static const char *read_direction(const char *text)
{
	const char *wrong;
	__u32 direction;

	wrong = policy_read_word(policy_directions, text, &direction);
	if (!wrong)
		now.rule.directions = 1 << direction;
	return wrong;
}

static const char *read_cgroup(const char *text)
{
	struct vsfq_policy *p = now.policy;
	struct vsfq_cgroup cgroup;
	const char *wrong;
	int i;

	wrong = policy_read_cgroup(text, &cgroup);
	if (wrong)
		return wrong;
	for (i = 0; i < VSFQ_MAX_CGROUPS && *p->cgroup[i].path; i++)
		if (!strcmp(p->cgroup[i].path, cgroup.path))
			break;
	if (i == VSFQ_MAX_CGROUPS)
		return "is one cgroup too many: 64 is the limit";
	p->cgroup[i] = cgroup;
	now.rule.cgroup = i + 1;
	return NULL;
}

static int find_class(const char *name)
{
	int i;

	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		if (!strcmp(now.policy->class[i].name, name))
			return i;
	return -1;
}

static const char *read_class(const char *text)
{
	int class = *text ? find_class(text) : -1;

	if (class < 0)
		return "is no class that was described above";
	now.rule.class = class;
	now.has_class = true;
	return NULL;
}

static const char *read_verdict(const char *text)
{
	const char *wrong;
	__u32 verdict;

	wrong = policy_read_word(policy_verdicts, text, &verdict);
	now.rule.verdict = verdict;
	now.has_verdict = true;
	return wrong;
}

static const char *read_local_cid(const char *text)
{
	return policy_read_cid(text, &now.rule.local_cid);
}

static const char *read_remote_cid(const char *text)
{
	return policy_read_cid(text, &now.rule.remote_cid);
}

static const char *read_local_port(const char *text)
{
	return read_ports(text, now.rule.local_port, &now.rule.local_ports);
}

static const char *read_remote_port(const char *text)
{
	return read_ports(text, now.rule.remote_port, &now.rule.remote_ports);
}

static const char *read_device(const char *text)
{
	return policy_read_name(text, now.rule.device);
}

static const char *read_weight(const char *text)
{
	__u64 value;
	const char *wrong;

	wrong = policy_read_number(text, 1, VSFQ_MAX_WEIGHT, &value);
	now.class.weight = value;
	return wrong;
}

static const char *read_limit(const char *text)
{
	__u64 value;
	const char *wrong;

	wrong = policy_read_number(text, 1, VSFQ_MAX_LIMIT, &value);
	now.class.limit = value;
	return wrong;
}

static const char *read_memory(const char *text)
{
	return policy_read_size(text, 64 << 10, 1 << 30, &now.class.memory);
}

static const char *read_default_in(const char *text)
{
	__u32 verdict = VSFQ_ACCEPT;
	const char *wrong;

	wrong = policy_read_word(policy_verdicts, text, &verdict);
	now.policy->defaults[VSFQ_IN] = verdict;
	if (!wrong && verdict == VSFQ_DROP)
		wrong = "is not possible: a refused connection gets a RST (say reject)";
	return wrong;
}

static const char *read_default_out(const char *text)
{
	__u32 verdict = VSFQ_ACCEPT;
	const char *wrong;

	wrong = policy_read_word(policy_verdicts, text, &verdict);
	now.policy->defaults[VSFQ_OUT] = verdict;
	if (!wrong && verdict == VSFQ_REJECT)
		wrong = "is not possible: nothing can tell a caller (say drop)";
	return wrong;
}

static const struct {
	const char *name;
	const char *(*read)(const char *text);
} readers[] = {
	{ "default-in", read_default_in },
	{ "default-out", read_default_out },
	{ "weight", read_weight },
	{ "limit", read_limit },
	{ "memory", read_memory },
	{ "direction", read_direction },
	{ "type", read_type },
	{ "local-cid", read_local_cid },
	{ "local-port", read_local_port },
	{ "remote-cid", read_remote_cid },
	{ "remote-port", read_remote_port },
	{ "device", read_device },
	{ "cgroup", read_cgroup },
	{ "class", read_class },
	{ "verdict", read_verdict },
};

static int read_value(cfg_t *cfg, cfg_opt_t *opt, const char *value,
		      void *result)
{
	const char *wrong = NULL;
	size_t i;

	if (note(cfg, opt, value))
		return -1;
	for (i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (!strcmp(readers[i].name, opt->name))
			wrong = readers[i].read(value);
	*(const char **)result = value;
	return wrong ? fail(cfg, value, wrong) : 0;
}

/* A verdict must be one that the kernel can carry out: see vsfq.conf(5). */
static int check_verdict(cfg_t *cfg)
{
	const struct vsfq_rule *r = &now.rule;
	struct seen *verdict = find_seen(now.section, "verdict");
	struct seen *cgroup = find_seen(now.section, "cgroup");
	int connections = 1 << POLICY_TYPE_STREAM | 1 << POLICY_TYPE_SEQPACKET;

	if (r->verdict == VSFQ_REJECT && r->directions != 1 << VSFQ_IN)
		return fail_at(cfg->filename, verdict->line, verdict->word,
			       "is possible with direction = in only: nothing "
			       "can tell a caller (say drop)");
	if (r->verdict == VSFQ_DROP && r->directions & 1 << VSFQ_IN &&
	    r->types & connections)
		return fail_at(cfg->filename, verdict->line, verdict->word,
			       "is possible with direction = out or type = "
			       "dgram only: a refused connection gets a RST "
			       "(say reject)");
	if (r->cgroup && r->directions != 1 << VSFQ_OUT)
		return fail_at(cfg->filename, cgroup->line, cgroup->word,
			       "needs direction = out: what arrives has no "
			       "cgroup");
	return 0;
}

static void start_rule(void)
{
	memset(&now.rule, 0, sizeof(now.rule));
	memset(now.section, 0, sizeof(now.section));
	policy_read_cid("any", &now.rule.local_cid);
	policy_read_cid("any", &now.rule.remote_cid);
	now.rule.directions = ALL_DIRECTIONS;
	now.rule.types = 0xff;
	now.has_verdict = false;
	now.has_class = false;
}

static int end_rule(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	struct vsfq_policy *p = now.policy;

	now.said = true;
	if (empty_list(section))
		return fail(cfg, empty_list(section), "is an empty list");
	if (now.has_verdict && now.has_class)
		return fail(cfg, "rule", "has both a verdict and a class");
	if (!now.has_verdict && !now.has_class)
		return fail(cfg, "rule", "has neither a verdict nor a class");
	if (now.has_class)
		now.rule.verdict = VSFQ_CLASS;
	if (check_verdict(cfg))
		return -1;
	if (p->rules == VSFQ_MAX_RULES)
		return fail(cfg, "rule", "is one too many: 1024 is the limit");
	p->rule[p->rules++] = now.rule;
	start_rule();
	return 0;
}

static void start_class(void)
{
	memset(&now.class, 0, sizeof(now.class));
	now.class.weight = 1;
	now.class.limit = VSFQ_LIMIT_DATAGRAMS;
	now.class.memory = VSFQ_LIMIT_MEMORY;
}

static int end_class(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *name = cfg_title(section), *wrong;
	int i;

	now.said = true;
	wrong = policy_read_name(name, now.class.name);
	if (wrong)
		return fail(cfg, name, wrong);
	i = find_class(name);
	if (i < 0)
		i = find_class("");
	if (i < 0)
		return fail(cfg, name, "is one class too many: 16 is the limit, "
			    "stream and dgram included");
	now.policy->class[i] = now.class;
	start_class();
	start_rule();
	return 0;
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

static cfg_opt_t class_options[] = {
	CFG_STR_CB("weight", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("limit", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("memory", NULL, CFGF_NODEFAULT, read_value),
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
	CFG_END()
};

static cfg_opt_t top_options[] = {
	CFG_STR_CB("default-in", NULL, CFGF_NODEFAULT, read_value),
	CFG_STR_CB("default-out", NULL, CFGF_NODEFAULT, read_value),
	CFG_SEC("class", class_options,
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
	cfg_set_validate_func(cfg, "rule", end_rule);
	cfg->filename = strdup(path);
	return cfg;
}

static void start(struct vsfq_policy *policy, struct policy_error *error)
{
	memset(policy, 0, sizeof(*policy));
	memset(error, 0, sizeof(*error));
	memset(&now, 0, sizeof(now));
	now.policy = policy;
	now.error = error;
	start_rule();
	start_class();
	policy->class[VSFQ_CLASS_STREAM] = now.class;
	strcpy(policy->class[VSFQ_CLASS_STREAM].name, "stream");
	policy->class[VSFQ_CLASS_DGRAM] = now.class;
	strcpy(policy->class[VSFQ_CLASS_DGRAM].name, "dgram");
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
