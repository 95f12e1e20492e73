// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "output.h"
#include "pins.h"
#include "vsfq.h"

#define MAX_OVERHEAD	(1 << 20)
#define MAX_COUNT	1000000000
#define MIN_DELAY	0.1		/* s; to read takes time too */
#define MAX_DELAY	86400
#define MAX_CONFIRM	86400
#define MAX_SECONDS	604800	/* a week */

const struct command commands[] = {
	{ "attach", "DEV|all", "schedule and account the packets of a device",
	  1, 1, true, "o", command_attach },
	{ "detach", "DEV|all", "undo attach; the default qdisc comes back",
	  1, 1, true, "", command_detach },
	{ "show", "[DEV]", "devices, classes, drops; with -s also flows",
	  0, 1, false, "sd", command_show },
	{ "top", "[DEV]", "who is busy and who waits, live",
	  0, 1, false, "bcd", command_top },
	{ "metrics", "", "the figures of show in the format of Prometheus",
	  0, 0, false, "t", command_metrics },
	{ "monitor", "[EVENT]",
	  "accept, reject, drop, cap, connect, close, as it happens",
	  0, 1, false, "", command_monitor },
	{ "learn", "", "watch, then print a policy that allows what was seen",
	  0, 0, false, "f", command_learn },
	{ "doctor", "", "what is missing or in the way, and what to do",
	  0, 0, false, "", command_doctor },
	{ "check", "[FILE]", "tell whether a policy file is right",
	  0, 1, false, "s", command_check },
	{ "apply", "[FILE]", "put the policy of a file in force",
	  0, 1, false, "nCS", command_apply },
	{ "policy", "show|clear", "print the policy in force, or remove it",
	  1, 1, false, "", command_policy },
	{ "version", "", "the version of this program",
	  0, 0, false, "", command_version },
	{ "help", "", "this text", 0, 0, false, "", command_help },
	{ }
};

/* Of every command. */
#define COMMON_OPTIONS	"jpvh"

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "pretty", no_argument, NULL, 'p' },
	{ "statistics", no_argument, NULL, 's' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "batch", no_argument, NULL, 'b' },
	{ "count", required_argument, NULL, 'c' },
	{ "delay", required_argument, NULL, 'd' },
	{ "confirm", required_argument, NULL, 'C' },
	{ "for", required_argument, NULL, 'f' },
	{ "overhead", required_argument, NULL, 'o' },
	{ "strict", no_argument, NULL, 'S' },
	{ "textfile", required_argument, NULL, 't' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

#define LETTERS	":jpsnbc:C:d:f:o:St:vVh"

static bool given[UCHAR_MAX + 1];	/* which of them, by their letters */

static int usage_error(const struct options *opt, const char *reason,
		       const char *object)
{
	complain(opt, "%s \"%s\" (try: vsfq help)", reason, object);
	return EXIT_USAGE;
}

/* Of two or more: it is the beginning of all of them. */
static bool is_ambiguous(const char *word)
{
	size_t length = strcspn(word, "=") - 2;
	const struct option *o;
	int count = 0;

	for (o = long_options; o->name; o++)
		count += !strncmp(o->name, word + 2, length);
	return count > 1;
}

static bool is_known(int letter)
{
	const struct option *o;

	for (o = long_options; o->name; o++)
		if (o->val == letter)
			return true;
	return false;
}

/*
 * What getopt_long() did not take, for which it returned this. The word before
 * the next one is not the one to blame while letters of that are left.
 */
static int option_error(const struct options *opt, int returned,
			const char *word)
{
	char letter[] = { '-', optopt, '\0' };

	if (returned == ':')
		return usage_error(opt, "missing value for",
				   strncmp(word, "--", 2) ? letter : word);
	if (!optopt)
		return usage_error(opt, is_ambiguous(word) ?
				   "ambiguous option" : "unknown option", word);
	if (is_known(optopt))
		return usage_error(opt, "surplus value in", word);
	return usage_error(opt, "unknown option", letter);
}

static const struct command *find_command(const char *name)
{
	const struct command *c;

	for (c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* One that was given and would do nothing, or NULL. */
static const struct option *surplus_option(const struct command *c)
{
	const struct option *o;

	for (o = long_options; o->name; o++)
		if (given[o->val] && !strchr(COMMON_OPTIONS, o->val) &&
		    !strchr(c->options, o->val))
			return o;
	return NULL;
}

static int run_command(const struct options *opt, char **arguments, int count)
{
	const struct option *surplus;
	const struct command *c;

	if (!count) {
		complain(opt, "no command given (try: vsfq help)");
		return EXIT_USAGE;
	}
	c = find_command(arguments[0]);
	if (!c)
		return usage_error(opt, "unknown command", arguments[0]);
	surplus = surplus_option(c);
	if (surplus) {
		complain(opt, "\"%s\" has no option \"-%c\" or \"--%s\" (try: vsfq help)",
			 c->name, surplus->val, surplus->name);
		return EXIT_USAGE;
	}
	if (count - 1 < c->min_arguments)
		return usage_error(opt, "missing argument for", c->name);
	if (count - 1 > c->max_arguments)
		return usage_error(opt, "surplus argument",
				   arguments[c->max_arguments + 1]);
	if (c->changes)
		pins_lock();
	return c->run(opt, arguments + 1);
}

static bool parse_number(const char *text, unsigned long most,
			 unsigned int *number)
{
	unsigned long value;
	char *end;

	value = strtoul(text, &end, 10);
	*number = value;
	return *text >= '0' && *text <= '9' && !*end && value > 0 &&
	       value <= most;
}

static bool parse_delay(const char *text, double *delay)
{
	char *end;

	*delay = strtod(text, &end);
	return !text[strspn(text, "0123456789.")] && !*end &&
	       *delay >= MIN_DELAY && *delay <= MAX_DELAY;
}

/* A number, of seconds unless "s", "m" or "h" follows it. */
static bool parse_duration(const char *text, unsigned int *seconds)
{
	static const struct {
		char unit;
		unsigned int seconds;
	} units[] = { { '\0', 1 }, { 's', 1 }, { 'm', 60 }, { 'h', 3600 } };
	char number[16];
	size_t digits = strspn(text, "0123456789"), i;

	if (digits >= sizeof(number) || (text[digits] && text[digits + 1]))
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].unit == text[digits])
			break;
	if (i == sizeof(units) / sizeof(units[0]) ||
	    !parse_number(number, MAX_SECONDS / units[i].seconds, seconds))
		return false;
	*seconds *= units[i].seconds;
	return true;
}

/* What is wrong with an option is told as JSON, too, if a later one asks for it. */
static bool asks_for_json(int argc, char **argv)
{
	char *copy[argc + 1];	/* their order is changed */
	bool json = false;
	int c;

	memcpy(copy, argv, sizeof(copy));
	while ((c = getopt_long(argc, copy, LETTERS, long_options, NULL)) != -1)
		json |= c == 'j' || c == 'p';
	optind = 0;	/* begin anew */
	return json;
}

static int run(int argc, char **argv)
{
	struct options opt = { };
	int c;

	opterr = 0;
	opt.json = asks_for_json(argc, argv);
	while ((c = getopt_long(argc, argv, LETTERS, long_options, NULL)) != -1) {
		given[c] = true;
		switch (c) {
		case 'j':
			break;
		case 'p':
			opt.pretty = true;
			break;
		case 's':
			opt.statistics = true;
			break;
		case 'n':
			opt.dry_run = true;
			break;
		case 'b':
			opt.batch = true;
			break;
		case 'c':
			if (!parse_number(optarg, MAX_COUNT, &opt.count))
				return usage_error(&opt, "not a count",
						   optarg);
			break;
		case 'd':
			if (!parse_delay(optarg, &opt.delay))
				return usage_error(&opt, "not a delay",
						   optarg);
			break;
		case 'C':
			if (!parse_number(optarg, MAX_CONFIRM, &opt.confirm))
				return usage_error(&opt,
						   "not a number of seconds",
						   optarg);
			break;
		case 'f':
			if (!parse_duration(optarg, &opt.seconds))
				return usage_error(&opt, "not a duration",
						   optarg);
			break;
		case 'S':
			opt.strict = true;
			break;
		case 'o':
			if (!parse_number(optarg, MAX_OVERHEAD,
					  &opt.overhead))
				return usage_error(&opt, "not an overhead",
						   optarg);
			break;
		case 't':
			if (!*optarg)
				return usage_error(&opt, "not a directory",
						   optarg);
			opt.textfile = optarg;
			break;
		case 'v':
			opt.verbose++;
			break;
		case 'V':
			return command_version(&opt, NULL);
		case 'h':
			return command_help(&opt, NULL);
		default:
			return option_error(&opt, c, argv[optind - 1]);
		}
	}
	log_start(&opt);
	return run_command(&opt, argv + optind, argc - optind);
}

/* What could not be written, on a full disk say, is told where it can be. */
static int finish_output(int ret)
{
	int err = output_flush();

	if (!err)
		return ret;
	fprintf(stderr, "vsfq: cannot write \"standard output\": %s\n",
		strerror(-err));
	return ret == EXIT_DONE ? EXIT_FAILED : ret;
}

int main(int argc, char **argv)
{
	return finish_output(run(argc, argv));
}
