// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "pins.h"

#define BPFFS		"/sys/fs/bpf"
#define TOP		BPFFS "/vsfq"
#define STAGING		"@new"
#define RODATA		"rodata"	/* a pin may not have a dot */
#define MAX_RODATA	65536

const char *pins_path(char path[PATH_MAX], const char *owner,
		      const char *object)
{
	snprintf(path, PATH_MAX, "%s%s%s%s%s", TOP, owner ? "/" : "",
		 owner ?: "", object ? "/" : "", object ?: "");
	return path;
}

static int make_directory(const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	return 0;
}

int pins_stage(const char **owner)
{
	char path[PATH_MAX];
	struct statfs fs;
	int err;

	if (statfs(BPFFS, &fs) || fs.f_type != BPF_FS_MAGIC)
		return -ENOTDIR;
	err = make_directory(TOP);
	if (err)
		return err;
	/* Left behind by a run that was killed. */
	err = pins_remove(STAGING);
	if (err && err != -ENOENT)
		return err;
	*owner = STAGING;
	return make_directory(pins_path(path, STAGING, NULL));
}

static bool is_rodata(struct bpf_map *map)
{
	const char *name = bpf_map__name(map), *dot = strrchr(name, '.');

	return dot && !strcmp(dot, ".rodata");
}

/* What is shared by all owners has a pin of its own: the policy. */
static int pin_map(const char *owner, struct bpf_map *map)
{
	const char *name = bpf_map__name(map);
	char path[PATH_MAX];

	if (is_rodata(map))
		name = RODATA;
	else if (bpf_map__is_internal(map) ||
		 bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS ||
		 bpf_map__type(map) == BPF_MAP_TYPE_ARRAY_OF_MAPS)
		return 0;
	return bpf_map__pin(map, pins_path(path, owner, name));
}

int pins_add(const char *owner, struct bpf_object *obj)
{
	struct bpf_program *prog;
	char path[PATH_MAX];
	struct bpf_map *map;
	int err;

	bpf_object__for_each_map(map, obj) {
		err = pin_map(owner, map);
		if (err)
			return err;
	}
	bpf_object__for_each_program(prog, obj) {
		err = bpf_program__pin(prog, pins_path(path, owner,
						bpf_program__name(prog)));
		if (err)
			return err;
	}
	return 0;
}

int pins_commit(const char *staged, const char *owner)
{
	char from[PATH_MAX], to[PATH_MAX];

	pins_path(from, staged, NULL);
	pins_path(to, owner, NULL);
	if (!rename(from, to))
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to,
		    2 /* RENAME_EXCHANGE */))
		return -errno;
	return pins_remove(staged);
}

int pins_remove(const char *owner)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int err;

	dir = opendir(pins_path(path, owner, NULL));
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlink(pins_path(path, owner, entry->d_name));
	closedir(dir);
	err = rmdir(pins_path(path, owner, NULL)) ? -errno : 0;
	return err;
}

void pins_cleanup(void)
{
	rmdir(TOP);
}

bool pins_same(const char *owner, const struct bpf_map *rodata)
{
	static char theirs[MAX_RODATA];
	char path[PATH_MAX];
	struct bpf_map_info info = { };
	__u32 zero = 0, size = sizeof(info);
	const void *ours;
	bool same = false;
	size_t length;
	int fd;

	ours = bpf_map__initial_value(rodata, &length);
	fd = bpf_obj_get(pins_path(path, owner, RODATA));
	if (fd < 0)
		return false;
	if (!bpf_map_get_info_by_fd(fd, &info, &size) &&
	    info.value_size == length && length <= MAX_RODATA)
		same = !bpf_map_lookup_elem(fd, &zero, theirs) &&
		       !memcmp(ours, theirs, length);
	close(fd);
	return same;
}

bool pins_exist(const char *owner)
{
	char path[PATH_MAX];

	return !access(pins_path(path, owner, NULL), F_OK);
}

int pins_each(int (*visit)(const char *owner, void *data), void *data)
{
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	dir = opendir(TOP);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && entry->d_name[0] != '@')
			err = visit(entry->d_name, data);
	closedir(dir);
	return err;
}

static int stop(const char *owner, void *data)
{
	return 1;
}

bool pins_any(void)
{
	return pins_each(stop, NULL) > 0;
}

__u64 pins_build(const void *elf, size_t size)
{
	const unsigned char *byte = elf;
	__u64 hash = 0xcbf29ce484222325;

	while (size--)
		hash = (hash ^ *byte++) * 0x100000001b3;
	return hash;
}
