// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netdev.h"

#define NAMES	"/sys/class/net/vhost-vsock*/phys_port_name"

/* Does this file tell the CID? */
static int tells(const char *path, uint64_t cid)
{
	char want[32], have[32] = "";
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	snprintf(want, sizeof(want), "cid%" PRIu64 "\n", cid);
	if (!fgets(have, sizeof(have), file))
		have[0] = '\0';
	fclose(file);
	return !strcmp(want, have);
}

static int set_dev(uint64_t cid)
{
	int err = -ENODEV;
	glob_t found;
	size_t i;

	if (glob(NAMES, 0, NULL, &found))
		return err;
	for (i = 0; i < found.gl_pathc && err; i++) {
		char *name = found.gl_pathv[i] + strlen("/sys/class/net/");

		if (!tells(found.gl_pathv[i], cid))
			continue;
		*strchr(name, '/') = '\0';
		err = setenv("DEV", name, 1) ? -errno : 0;
	}
	globfree(&found);
	return err;
}

int netdev_run(uint64_t cid, const char *command)
{
	int err = set_dev(cid);

	if (!err && system(command))
		err = -EIO;
	return err;
}
