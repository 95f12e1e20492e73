// SPDX-License-Identifier: GPL-2.0-only
/*
 * vsload - load a vsock connection and verify what arrives
 *
 * A server answers any number of clients; a client runs bulk streams, pings
 * and datagram floods at the same time and reports what each of them got.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "client.h"
#include "server.h"

#define EXIT_USAGE 2

/* Options and help come from one table, so neither can miss the other */
enum kind { UINT, RANGE, SECONDS, FLAG, WORD, PRIO, TYPE, HOW };

struct option_def {
	const char *name, *arg, *help;
	enum kind kind;
	void *value;
	double min, max;
};

static struct options opt = {
	.port = 5000,
	.write_size = { 65536, 65536 },
	.dgram_size = 64,
	.type = SOCK_STREAM,
	.patience = 60,		/* twice what a connection may be refused */
	.duration = 10,
	.warmup = 1,
	.interval = 0.5,
	.flood_stop = -1,
};

static const char *const load_names[NR_LOADS] = { "stream", "ping", "dgram" };

static const struct option_def server_opts[] = {
	{ "port", "PORT", "stream and datagram port, seqpacket is the next (5000)",
	  UINT, &opt.port, 1, UINT32_MAX - 2 },
	{}
};

static const struct option_def client_opts[] = {
	{ "cid", "CID", "where the server is (2, the host)",
	  UINT, &opt.cid, 0, UINT32_MAX - 1 },
	{ "port", "PORT", "the server's --port (5000)",
	  UINT, &opt.port, 1, UINT32_MAX - 2 },
	{ "streams", "N", "bulk senders (0)",
	  UINT, &opt.streams, 0, MAX_STREAMS },
	{ "ping", "N", "64-byte requests, the next after each answer (0)",
	  UINT, &opt.pings, 0, MAX_STREAMS },
	{ "dgram-flood", "N", "sockets that send datagrams back to back (0)",
	  UINT, &opt.floods, 0, MAX_FLOODS },
	{ "write-size", "BYTES", "of a stream's writes, or MIN-MAX (65536)",
	  RANGE, opt.write_size, 1, MAX_WRITE },
	{ "type", "TYPE", "of the bulk senders: stream or seqpacket (stream)",
	  TYPE, &opt.type, 0, 0 },
	{ "send", "HOW", "they do it: copy, zerocopy or uring (copy)",
	  HOW, &opt.how, 0, 0 },
	{ "dgram-size", "BYTES", "of a datagram (64)",
	  UINT, &opt.dgram_size, sizeof(struct dgram_head), MAX_DGRAM },
	{ "dgram-nowait", NULL, "send datagrams with MSG_DONTWAIT and poll()",
	  FLAG, &opt.nowait, 0, 0 },
	{ "patience", "SECONDS", "for which a socket may stand still (60)",
	  UINT, &opt.patience, 1, 3600 },
	{ "duration", "SECONDS", "of the run (10)",
	  SECONDS, &opt.duration, 0.1, 86400 },
	{ "warmup", "SECONDS", "left out of the table after each switch (1)",
	  SECONDS, &opt.warmup, 0, 3600 },
	{ "interval", "SECONDS", "between samples; switches fall on one (0.5)",
	  SECONDS, &opt.interval, 0.01, 3600 },
	{ "flood-start", "SECONDS", "when the flood is switched on (0)",
	  SECONDS, &opt.flood_start, 0, 86400 },
	{ "flood-stop", "SECONDS", "when it is switched off (the end)",
	  SECONDS, &opt.flood_stop, 0, 86400 },
	{ "prio", "LOAD=N", "SO_PRIORITY of stream, ping or dgram (0)",
	  PRIO, opt.prio, 0, 0 },
	{ "json", "FILE", "write samples and results there as JSON",
	  WORD, &opt.json, 0, 0 },
	{}
};

static void print_options(FILE *to, const struct option_def *def)
{
	char left[32];

	for (; def->name; def++) {
		snprintf(left, sizeof(left), "--%s %s", def->name,
			 def->arg ? def->arg : "");
		fprintf(to, "  %-24s %s\n", left, def->help);
	}
}

static void usage(FILE *to)
{
	fprintf(to, "Usage: vsload server [OPTION]...\n");
	print_options(to, server_opts);
	fprintf(to, "\n       vsload client [OPTION]...\n");
	print_options(to, client_opts);
}

static int parse_number(const struct option_def *def, const char *text)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (errno || end == text || *end || !(value >= def->min) ||
	    value > def->max ||
	    (def->kind == UINT && value != (unsigned int)value)) {
		fprintf(stderr, "vsload: --%s \"%s\": not a%s from %.15g to %.15g\n",
			def->name, text, def->kind == UINT ?
			" whole number" : " number", def->min, def->max);
		return -EINVAL;
	}
	if (def->kind == UINT)
		*(unsigned int *)def->value = value;
	else
		*(double *)def->value = value;
	return 0;
}

/* A number, or two with a dash: each write is between them */
static int parse_range(const struct option_def *def, const char *text)
{
	unsigned int *value = def->value;
	int end = 0, n;

	n = sscanf(text, "%7u%n-%7u%n", &value[0], &end, &value[1], &end);
	if (n == 1)
		value[1] = value[0];
	if (n < 1 || text[end] || value[0] < def->min ||
	    value[1] > def->max || value[0] > value[1]) {
		fprintf(stderr, "vsload: --%s \"%s\": not a whole number from %.15g to %.15g, or MIN-MAX\n",
			def->name, text, def->min, def->max);
		return -EINVAL;
	}
	return 0;
}

static int parse_prio(const struct option_def *def, const char *text)
{
	int i, len, prio;
	char rest;

	for (i = 0; i < NR_LOADS; i++) {
		len = strlen(load_names[i]);
		if (!strncmp(text, load_names[i], len) && text[len] == '=' &&
		    sscanf(text + len + 1, "%d%c", &prio, &rest) == 1 &&
		    prio >= 0) {
			((int *)def->value)[i] = prio;
			return 0;
		}
	}
	fprintf(stderr, "vsload: --%s \"%s\": not stream=N, ping=N or dgram=N\n",
		def->name, text);
	return -EINVAL;
}

static int parse_type(const struct option_def *def, const char *text)
{
	if (!strcmp(text, "stream")) {
		*(int *)def->value = SOCK_STREAM;
	} else if (!strcmp(text, "seqpacket")) {
		*(int *)def->value = SOCK_SEQPACKET;
	} else {
		fprintf(stderr, "vsload: --%s \"%s\": not stream or seqpacket\n",
			def->name, text);
		return -EINVAL;
	}
	return 0;
}

static int parse_how(const struct option_def *def, const char *text)
{
	static const char *const names[] = {
		[POST_COPY] = "copy",
		[POST_ZEROCOPY] = "zerocopy",
		[POST_URING] = "uring",
	};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(text, names[i])) {
			*(enum post_how *)def->value = i;
			return 0;
		}
	}
	fprintf(stderr, "vsload: --%s \"%s\": not copy, zerocopy or uring\n",
		def->name, text);
	return -EINVAL;
}

static int parse_one(const struct option_def *def, const char *text)
{
	switch (def->kind) {
	case FLAG:
		*(bool *)def->value = true;
		return 0;
	case WORD:
		*(const char **)def->value = text;
		return 0;
	case RANGE:
		return parse_range(def, text);
	case PRIO:
		return parse_prio(def, text);
	case TYPE:
		return parse_type(def, text);
	case HOW:
		return parse_how(def, text);
	default:
		return parse_number(def, text);
	}
}

static int parse(int argc, char **argv, const struct option_def *defs)
{
	struct option longs[32] = {};
	int i, which, c;

	for (i = 0; defs[i].name; i++) {
		longs[i].name = defs[i].name;
		longs[i].has_arg = defs[i].arg ? required_argument :
						 no_argument;
	}
	/* What getopt's messages begin with. */
	argv[0] = "vsload";
	while ((c = getopt_long(argc, argv, "", longs, &which)) != -1) {
		if (c == '?' || parse_one(&defs[which], optarg))
			return -EINVAL;
	}
	if (optind < argc) {
		fprintf(stderr, "vsload: unexpected \"%s\"\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static int check_client(void)
{
	const char *bad = NULL;

	if (!opt.streams && !opt.pings && !opt.floods)
		bad = "nothing to do: give --streams, --ping or --dgram-flood";
	else if (opt.interval > opt.duration)
		bad = "--interval is longer than --duration";
	else if (opt.warmup >= opt.duration)
		bad = "--warmup leaves nothing of --duration";
	else if (opt.duration / opt.interval > MAX_SAMPLES)
		bad = "--interval is too short for this --duration";
	else if (opt.flood_stop > opt.duration)
		bad = "--flood-stop is later than the end";
	else if (opt.flood_start >= (opt.flood_stop < 0 ? opt.duration :
						       opt.flood_stop))
		bad = "--flood-start is not before the flood's end";
	if (bad)
		fprintf(stderr, "vsload: %s\n", bad);
	return bad ? -EINVAL : 0;
}

static int main_server(int argc, char **argv)
{
	int err;

	if (parse(argc, argv, server_opts))
		return EXIT_USAGE;
	err = serve(opt.port);
	fprintf(stderr, "vsload: cannot serve port %u: %s\n", opt.port,
		strerror(-err));
	return EXIT_FAILURE;
}

static int main_client(int argc, char **argv)
{
	struct run run = { .opt = &opt };

	opt.cid = VMADDR_CID_HOST;
	if (parse(argc, argv, client_opts) || check_client())
		return EXIT_USAGE;
	if (client_run(&run))
		return EXIT_FAILURE;
	report_table(&run);
	if (opt.json && report_json(&run, opt.json)) {
		fprintf(stderr, "vsload: cannot write \"%s\"\n", opt.json);
		return EXIT_FAILURE;
	}
	return run_verified(&run) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (!strcmp(command, "server"))
		return main_server(argc - 1, argv + 1);
	if (!strcmp(command, "client"))
		return main_client(argc - 1, argv + 1);
	if (!strcmp(command, "help") || !strcmp(command, "--help")) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	usage(stderr);
	return EXIT_USAGE;
}
