// SPDX-License-Identifier: GPL-2.0-only
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "confirm.h"

#define NSECS	1000000000LL

static const int ends[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

/* A process that is stopped, or cannot speak, would never roll back. */
static const int ignored[] = { SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE };

static volatile sig_atomic_t stopped;
static sigset_t waiting;	/* the mask while we wait */

static void stop(int signal)
{
	stopped = 1;
}

void confirm_prepare(void)
{
	struct sigaction action = { .sa_handler = stop };
	sigset_t blocked;
	size_t i;

	sigemptyset(&blocked);
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaddset(&blocked, ends[i]);
	sigprocmask(SIG_BLOCK, &blocked, &waiting);
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		sigdelset(&waiting, ends[i]);
		sigaction(ends[i], &action, NULL);
	}
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	/* What was typed before there was anything to confirm. */
	tcflush(STDIN_FILENO, TCIFLUSH);
}

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSECS + ts.tv_nsec;
}

bool confirm_wait(int seconds)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	long long left, end = now() + seconds * NSECS;
	char text[256];
	ssize_t size;

	while (!stopped && (left = end - now()) > 0) {
		struct timespec ts = { left / NSECS, left % NSECS };

		if (ppoll(&in, 1, &ts, &waiting) <= 0)
			continue;
		size = read(STDIN_FILENO, text, sizeof(text));
		if (size <= 0)
			return false;
		if (memchr(text, '\n', size))
			return true;
	}
	return false;
}
