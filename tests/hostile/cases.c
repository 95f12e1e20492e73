// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "cases.h"

static const struct {
	const char *name, *help;
	int (*run)(void);
} cases[] = {
	{ "strays", "datagrams that must not arrive", case_strays },
	{ "no-cid", "a device that runs before it has a CID", case_no_cid },
	{ "stopped", "a device stopped while it is going to look at its ring",
	  case_stopped },
	{ "listener", "answers of a listener, all dropped by tc",
	  case_listener },
	{ "close-queued", "devices closed with packets that tc refused",
	  case_close_queued },
	{ "gave-up", "devices closed after connections that tc refused",
	  case_gave_up },
	{ "asked-again", "a request for a connection that is the host's",
	  case_asked_again },
	{ "long-queue", "more packets that wait than 32 bits of cost count",
	  case_long_queue },
	{ "many-ports", "requests from 200,000 ports that nobody listens to",
	  case_many_ports },
	{ "many-resets", "resets between bytes, to a guest that takes nothing",
	  case_many_resets },
	{ "many-credit-requests", "and nobody there to hear the answers",
	  case_many_credit_requests },
	{ "huge-credit", "a guest that takes nothing and has room for 4 GiB",
	  case_huge_credit },
	{ "small-writes", "bytes, one at a time, to a guest that takes nothing",
	  case_small_writes },
	{ "cid-change", "a guest that gets another CID in mid-conversation",
	  case_cid_change },
	{ "killed", "guests killed in mid-conversation, the next one follows",
	  case_killed },
	{ "no-memory", "a device whose every allocation fails (fail-nth)",
	  case_no_memory },
	{ "big-buffers", "single bytes in buffers of 64 KiB",
	  case_big_buffers },
};

#define NR_CASES	(sizeof(cases) / sizeof(cases[0]))

void cases_print(FILE *to)
{
	unsigned int i;

	for (i = 0; i < NR_CASES; i++)
		fprintf(to, "  %-22s  %s\n", cases[i].name, cases[i].help);
}

static unsigned int find(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_CASES && strcmp(cases[i].name, name); i++)
		;
	return i;
}

bool case_exists(const char *name)
{
	return find(name) < NR_CASES;
}

int case_run(const char *name)
{
	int err = cases[find(name)].run();

	if (err)
		fprintf(stderr, "vshostile: case %s: %s\n", name,
			strerror(-err));
	return err;
}
