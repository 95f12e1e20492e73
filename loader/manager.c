// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "manager.h"

/* Does a file of lines NAME=VALUE have this one? */
static bool has_line(const char *format, int ifindex, const char *wanted)
{
	char path[64], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), format, ifindex);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		found = !strcmp(line, wanted);
	}
	fclose(file);
	return found;
}

bool manager_networkd(int ifindex)
{
	static const char path[] = "/run/systemd/netif/links/%d";

	return has_line(path, ifindex, "ADMIN_STATE=configuring") ||
	       has_line(path, ifindex, "ADMIN_STATE=configured") ||
	       has_line(path, ifindex, "ADMIN_STATE=failed");
}

bool manager_networkmanager(int ifindex)
{
	return has_line("/run/NetworkManager/devices/%d", ifindex,
			"managed=true");
}
