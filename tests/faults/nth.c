// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nth.h"

static int fd = -1;

int nth_open(void)
{
	fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static void set(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* What fails may be this, but only once */
	if (pwrite(fd, text, len, 0) == len || pwrite(fd, text, len, 0) == len)
		return;
	perror("fail-nth");
	exit(EXIT_FAILURE);
}

void nth_start(unsigned int n)
{
	set(n);
}

bool nth_end(void)
{
	char text[16] = "";
	bool happened = pread(fd, text, sizeof(text) - 1, 0) > 0 &&
			!atoi(text);

	set(0);
	return happened;
}
