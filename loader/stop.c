// SPDX-License-Identifier: GPL-2.0-only
#include "stop.h"

static volatile sig_atomic_t signalled;

static void stop(int signal)
{
	signalled = 1;
}

void stop_on_signals(sigset_t *before)
{
	struct sigaction action = { .sa_handler = stop };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, before);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool stopped(void)
{
	return signalled;
}
