// SPDX-License-Identifier: GPL-2.0-only
/*
 * vshostile - play a hostile guest on this host's /dev/vhost-vsock, or the
 * hostile host of a guest that QEMU runs
 *
 * No VM is needed: the program is VMM and guest at once. "storm" sends packets
 * made from a seed while sockets of the host take them seriously and a second
 * guest, which behaves, checks that it is still served. "case" does one thing
 * that a host once did not survive. "liar" is the other way round: the device
 * of a real guest, by vhost-user, in which "serve" takes it seriously.
 *
 * By hand, in the host of "make vm", as long as it may take:
 *
 *	build/vshostile storm --packets 10000000 --on-open \
 *		'ip link set $DEV up && tc qdisc replace dev $DEV root sfq'
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"
#include "liar.h"
#include "polite.h"
#include "ports.h"
#include "server.h"
#include "storm.h"
#include "witness.h"

#define EXIT_USAGE	2
#define HOSTILE_CID	50
#define POLITE_CID	51
#define PORT		7000
#define ALONE_SECONDS	4

static const char usage_text[] =
"Usage: vshostile storm [OPTION]...\n"
"  --seed N            what the packets are made from (the time)\n"
"  --packets N         to send (100000)\n"
"  --first-boot N      of the device, to begin with (0)\n"
"  --on-open COMMAND   run after each boot with the device's name in $DEV\n"
"\n"
"       vshostile liar PATH CID [--seed N] [--packets N]\n"
"       vshostile serve CID\n"
"       vshostile case NAME\n";

static void usage(FILE *to)
{
	fputs(usage_text, to);
	cases_print(to);
}

static int parse_number(const char *name, const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (!errno && end != text && !*end && *text != '-')
		return 0;
	fprintf(stderr, "vshostile: %s \"%s\": not a whole number\n", name,
		text);
	return -EINVAL;
}

static int parse_storm(int argc, char **argv, struct storm *storm)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "packets", required_argument, NULL, 'p' },
		{ "first-boot", required_argument, NULL, 'b' },
		{ "on-open", required_argument, NULL, 'o' },
		{}
	};
	int c, which, err = 0;

	/* What getopt's messages begin with */
	argv[0] = "vshostile";
	while (!err &&
	       (c = getopt_long(argc, argv, "", options, &which)) != -1) {
		if (c == 'o')
			storm->on_open = optarg;
		else
			err = c == '?' ? -EINVAL :
			      parse_number(options[which].name, optarg,
					   c == 's' ? &storm->seed :
					   c == 'p' ? &storm->packets :
						      &storm->first_boot);
	}
	if (!err && optind < argc) {
		fprintf(stderr, "vshostile: unexpected \"%s\"\n",
			argv[optind]);
		err = -EINVAL;
	}
	return err;
}

static void report(const struct storm *storm, const struct polite *polite,
		   time_t seconds)
{
	printf("seed %" PRIu64 ": %" PRIu64 " packets in %" PRIu64
	       " boots, %ld s; %" PRIu64 " received, %" PRIu64
	       " wedges, %" PRIu64 " boots stuck by their own buffers\n",
	       storm->seed, storm->sent, storm->boot - storm->first_boot,
	       (long)seconds, storm->received, storm->wedges, storm->stuck);
	printf("the other guest: %" PRIu64
	       " bytes echoed and verified, worst round %.0f ms, %.0f %% of"
	       " its rate alone, %u windows\n", polite->echoed,
	       polite->worst_ms, 100 * polite_share(polite), polite->windows);
	met_print(&storm->met, MET_LENGTHS);
	server_report();
}

static int storm_command(int argc, char **argv)
{
	struct storm storm = {
		.seed = time(NULL),
		.cid = HOSTILE_CID,
		.victim = POLITE_CID,
		.server = PORT,
		.packets = 100000,
	};
	static struct polite polite;
	time_t start = time(NULL);
	int err, worse;

	if (parse_storm(argc, argv, &storm))
		return EXIT_USAGE;
	printf("seed %" PRIu64 "\n", storm.seed);
	fflush(stdout);
	err = server_start(PORT, HOSTILE_CID);
	if (!err)
		err = polite_start(&polite, POLITE_CID, PORT);
	if (err) {
		fprintf(stderr, "vshostile: cannot start: %s\n",
			strerror(-err));
		return EXIT_FAILURE;
	}
	sleep(ALONE_SECONDS);
	polite_crowd(&polite);
	err = storm_run(&storm);
	worse = polite_stop(&polite);
	report(&storm, &polite, time(NULL) - start);
	if (worse)
		fprintf(stderr, "vshostile: the other guest, %s: %s\n",
			polite.what, strerror(-worse));
	if (err)
		fprintf(stderr, "vshostile: boot %" PRIu64 ": %s\n",
			storm.boot, strerror(-err));
	if (!polite.echoed)
		fprintf(stderr, "vshostile: the other guest got nothing\n");
	if (!err && !worse && polite.echoed)
		return EXIT_SUCCESS;
	fprintf(stderr, "vshostile: once more from there: vshostile storm "
		"--seed %" PRIu64 " --first-boot %" PRIu64 "\n", storm.seed,
		storm.boot);
	return EXIT_FAILURE;
}

static int liar_command(int argc, char **argv)
{
	struct storm options = { .seed = time(NULL), .packets = 100000 };
	struct liar liar = { .server = PORT };
	int err;

	/* Beyond the two words that it is about */
	if (argc < 3 || parse_number("CID", argv[2], &liar.cid) ||
	    parse_storm(argc - 2, argv + 2, &options))
		return EXIT_USAGE;
	liar.path = argv[1];
	liar.seed = options.seed;
	liar.packets = options.packets;
	printf("seed %" PRIu64 "\n", liar.seed);
	err = liar_run(&liar);
	if (err)
		fprintf(stderr, "vshostile: liar: %s\n", strerror(-err));
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int serve_command(const char *text)
{
	int err, signal;
	uint64_t cid;
	sigset_t end;

	if (parse_number("CID", text, &cid))
		return EXIT_USAGE;
	/* Threads inherit what is blocked */
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	err = server_start(PORT, cid);
	if (!err)
		err = witness_start(PORT + PORT_WITNESS);
	if (err) {
		fprintf(stderr, "vshostile: cannot serve: %s\n",
			strerror(-err));
		return EXIT_FAILURE;
	}
	puts("serving");
	fflush(stdout);
	sigwait(&end, &signal);
	server_report();
	witness_report();
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (!strcmp(command, "storm"))
		return storm_command(argc - 1, argv + 1);
	if (!strcmp(command, "liar"))
		return liar_command(argc - 1, argv + 1);
	if (!strcmp(command, "serve") && argc == 3)
		return serve_command(argv[2]);
	if (!strcmp(command, "case") && argc == 3 && case_exists(argv[2]))
		return case_run(argv[2]) ? EXIT_FAILURE : EXIT_SUCCESS;
	if (!strcmp(command, "help") || !strcmp(command, "--help")) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	usage(stderr);
	return EXIT_USAGE;
}
