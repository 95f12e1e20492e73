// SPDX-License-Identifier: GPL-2.0-only
#include "stop.h"

static volatile sig_atomic_t signalled;

static void stop(int signal)
{
	signalled = 1;
}

void stop_on(const int *signals, sigset_t *before)
{
	struct sigaction action = { .sa_handler = stop };
	sigset_t blocked;
	int i;

	sigemptyset(&blocked);
	for (i = 0; signals[i]; i++)
		sigaddset(&blocked, signals[i]);
	sigprocmask(SIG_BLOCK, &blocked, before);
	for (i = 0; signals[i]; i++)
		sigaction(signals[i], &action, NULL);
}

static const int ends[] = { SIGHUP, SIGINT, SIGPIPE, SIGTERM, 0 };

void stop_on_signals(sigset_t *before)
{
	stop_on(ends, before);
}

bool stopped(void)
{
	return signalled;
}

void stop_no_more(const sigset_t *before)
{
	int i;

	for (i = 0; ends[i]; i++)
		signal(ends[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, before, NULL);
}
