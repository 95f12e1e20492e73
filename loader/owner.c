// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "owner.h"

/* NET_NS_INIT_INO of linux/nsfs.h, which Debian 12's does not have yet. */
#define FIRST	0xeffffff9U

unsigned int owner_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

static unsigned int here(void)
{
	return owner_netns() ?: FIRST;
}

/* Where the inode begins, if it has one. */
static const char *suffix(const char *owner)
{
	const char *at = strrchr(owner, '@');

	return at && at[1] && !at[strspn(at + 1, "0123456789") + 1] ? at : NULL;
}

static unsigned int netns_of(const char *owner)
{
	const char *at = suffix(owner);

	return at ? strtoul(at + 1, NULL, 10) : FIRST;
}

void owner_name(const char *owner, char name[IFNAMSIZ])
{
	const char *at = suffix(owner);
	int length = at ? at - owner : (int)strlen(owner);

	snprintf(name, IFNAMSIZ, "%.*s", length, owner);
}

void owner_of(const char *name, char owner[OWNER_SIZE])
{
	unsigned int netns = here();

	if (netns == FIRST)
		snprintf(owner, OWNER_SIZE, "%s", name);
	else
		snprintf(owner, OWNER_SIZE, "%s@%u", name, netns);
}

bool owner_is_here(const char *owner)
{
	return netns_of(owner) == here();
}
