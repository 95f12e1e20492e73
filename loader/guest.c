// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest.h"
#include "guest_file.h"
#include "printable.h"

#define MAX_GUESTS	1024
#define MAX_AGE		1	/* s */

static const struct {
	const char *directory;
	const char *suffix;
	bool (*read)(const char *path, struct guest *guest);
} sources[] = {
	{ "/run/systemd/machines", "", guest_read_machine },
	{ "/run/libvirt/qemu", ".xml", guest_read_domain },
};

static struct guest guests[MAX_GUESTS];
static int count;

static bool ends_with(const char *name, const char *suffix)
{
	size_t length = strlen(name), tail = strlen(suffix);

	return length >= tail && !strcmp(name + length - tail, suffix);
}

static void add_guest(const char *path, int source)
{
	struct guest *guest = &guests[count];

	memset(guest, 0, sizeof(*guest));
	if (!sources[source].read(path, guest))
		return;
	printable_name(guest->name);
	count++;
}

static void read_directory(int source)
{
	const char *directory = sources[source].directory;
	struct dirent *entry;
	char path[512];
	DIR *dir;

	dir = opendir(directory);
	if (!dir)
		return;
	while (count < MAX_GUESTS && (entry = readdir(dir))) {
		/* Not a second name of one that is there: a link. */
		if (entry->d_type != DT_REG ||
		    !ends_with(entry->d_name, sources[source].suffix))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory,
			 entry->d_name);
		add_guest(path, source);
	}
	closedir(dir);
}

static void read_guests(void)
{
	static time_t read_at;
	struct timespec now;
	size_t i;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (read_at && now.tv_sec <= read_at + MAX_AGE)
		return;
	read_at = now.tv_sec ?: 1;
	count = 0;
	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		read_directory(i);
}

const char *guest_name(unsigned int cid)
{
	int i;

	read_guests();
	for (i = 0; i < count; i++)
		if (guests[i].cid == cid)
			return guests[i].name;
	return NULL;
}

const char *guest_of_port(const char *port)
{
	unsigned int cid;

	return sscanf(port, "cid%u", &cid) == 1 ? guest_name(cid) : NULL;
}
