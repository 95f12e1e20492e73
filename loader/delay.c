// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <time.h>

#include "delay.h"

#define NSECS	1000000000ULL

__u64 delay_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSECS + now.tv_nsec;
}

void delay_wait(double seconds)
{
	struct timespec left = { .tv_sec = seconds };

	left.tv_nsec = (seconds - left.tv_sec) * NSECS;
	while (nanosleep(&left, &left) && errno == EINTR)
		;
}
