// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>

#include "output.h"

int output_flush(void)
{
	static int err;

	if (fflush(stdout) && !err)
		err = -errno;
	/* When there was more of it than is kept back: why is lost. */
	if (ferror(stdout) && !err)
		err = -EIO;
	return err;
}
