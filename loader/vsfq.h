/* SPDX-License-Identifier: GPL-2.0-only */
/* What every command knows: its options, its table entry, how to complain. */
#ifndef LOADER_VSFQ_H
#define LOADER_VSFQ_H

#include <stdbool.h>

#define VSFQ_VERSION	"0.1"

enum exit_code {
	EXIT_DONE,
	EXIT_FAILED,
	EXIT_USAGE,
};

struct options {
	bool json;
	bool pretty;			/* and then also json */
	bool statistics;
	bool dry_run;
	bool batch;
	int verbose;
	unsigned int overhead;		/* 0: as compiled */
	unsigned int count;		/* 0: no end */
	double delay;			/* seconds, 0: not said */
	unsigned int confirm;		/* seconds, 0: not asked for */
	unsigned int seconds;		/* to watch, 0: no end */
	bool strict;
	const char *textfile;		/* a directory, NULL: to stdout */
};

struct command {
	const char *name;
	const char *arguments;
	const char *help;
	int min_arguments;
	int max_arguments;
	bool changes;			/* all it does is done one at a time */
	const char *options;		/* by letter, beside those of all */
	int (*run)(const struct options *opt, char **arguments);
};

extern const struct command commands[];

int command_attach(const struct options *opt, char **arguments);
int command_detach(const struct options *opt, char **arguments);
int command_show(const struct options *opt, char **arguments);
int command_top(const struct options *opt, char **arguments);
int command_metrics(const struct options *opt, char **arguments);
int command_doctor(const struct options *opt, char **arguments);
int command_learn(const struct options *opt, char **arguments);
int command_monitor(const struct options *opt, char **arguments);
int command_check(const struct options *opt, char **arguments);
int command_apply(const struct options *opt, char **arguments);
int command_policy(const struct options *opt, char **arguments);
int command_version(const struct options *opt, char **arguments);
int command_help(const struct options *opt, char **arguments);

/* One message: what failed, on which object, why. Returns EXIT_FAILED. */
int complain(const struct options *opt, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
