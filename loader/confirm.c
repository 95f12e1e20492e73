// SPDX-License-Identifier: GPL-2.0-only
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "confirm.h"
#include "delay.h"
#include "stop.h"

#define NSECS	1000000000LL

static const int ends[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, 0 };

/* A process that is stopped, or cannot speak, would never roll back. */
static const int ignored[] = { SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE };

static sigset_t waiting;	/* the mask while we wait */

void confirm_prepare(void)
{
	size_t i;

	stop_on(ends, &waiting);
	for (i = 0; ends[i]; i++)
		sigdelset(&waiting, ends[i]);
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	/* What was typed before there was anything to confirm. */
	tcflush(STDIN_FILENO, TCIFLUSH);
}

bool confirm_wait(int seconds)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	long long left, end = delay_now() + seconds * NSECS;
	char text[256];
	ssize_t size;

	while (!stopped() && (left = end - delay_now()) > 0) {
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
