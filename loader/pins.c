// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "capability.h"
#include "owner.h"
#include "pins.h"
#include "stop.h"

#define BPFFS		"/sys/fs/bpf"
#define TOP		BPFFS "/vsfq"
#define LOCK		"/run/vsfq.lock"
#define LOCK_NSECS	100000000
#define STAGING		"@new"
#define LEAVING		"@old"	/* what is being removed */
#define RODATA		"rodata"	/* a pin may not have a dot */
#define BSS		"bss"
#define MAX_RODATA	65536
#define MAX_MAPS	64	/* of a program */

const char *pins_path(char path[PATH_MAX], const char *owner,
		      const char *object)
{
	snprintf(path, PATH_MAX, "%s%s%s%s%s", TOP, owner ? "/" : "",
		 owner ?: "", object ? "/" : "", object ?: "");
	return path;
}

/* Who lacks the capabilities needs those first: files come second. */
static int denied(int err)
{
	if (err != -EACCES)
		return err;
	return may_use_bpf() && has_capability(CAP_NET_ADMIN) ? -EREMOTE :
								 -EPERM;
}

bool pins_denied(int err)
{
	return err == -EPERM || err == -EREMOTE;
}

int pins_open(const char *owner, const char *object)
{
	char path[PATH_MAX];

	return denied(bpf_obj_get(pins_path(path, owner, object)));
}

int pins_open_map(const char *owner, const char *object, size_t value_size)
{
	struct bpf_map_info info = { };
	__u32 size = sizeof(info);
	int fd, err = 0;

	fd = pins_open(owner, object);
	if (fd < 0)
		return fd;
	if (bpf_map_get_info_by_fd(fd, &info, &size))
		err = -errno;
	else if (info.value_size != value_size)
		err = -EPROTO;
	if (!err)
		return fd;
	close(fd);
	return err;
}

__u32 pins_number(const char *owner, const char *object)
{
	struct bpf_map_info info = { };
	__u32 size = sizeof(info);
	int fd = pins_open(owner, object);

	if (fd < 0)
		return 0;
	bpf_map_get_info_by_fd(fd, &info, &size);
	close(fd);
	return info.id;
}

int pins_uses(const char *owner, const char *program, __u32 map)
{
	__u32 i, ids[MAX_MAPS], size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {
		.nr_map_ids = MAX_MAPS,
		.map_ids = (unsigned long)ids,
	};
	int err, fd = pins_open(owner, program);

	if (fd < 0)
		return fd;
	err = bpf_prog_get_info_by_fd(fd, &info, &size);
	close(fd);
	for (i = 0; !err && i < info.nr_map_ids && i < MAX_MAPS; i++)
		if (ids[i] == map)
			return 1;
	return err;
}

static int compare(const struct bpf_map *map, int fd)
{
	struct bpf_map_info info = { };
	__u32 size = sizeof(info);

	if (bpf_map_get_info_by_fd(fd, &info, &size))
		return -errno;
	if (info.type != bpf_map__type(map) ||
	    info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) ||
	    info.max_entries != bpf_map__max_entries(map))
		return -EPROTO;
	return 0;
}

int pins_fits(const char *owner, const struct bpf_map *map)
{
	int err, fd = pins_open(owner, bpf_map__name(map));

	if (fd < 0)
		return fd;
	err = compare(map, fd);
	close(fd);
	return err;
}

int pins_share(const char *owner, struct bpf_map *map)
{
	int err, fd = pins_open(owner, bpf_map__name(map));

	if (fd < 0)
		return fd;
	err = compare(map, fd) ?: bpf_map__reuse_fd(map, fd);
	close(fd);
	return err;
}

/*
 * On a file system where everybody may make directories somebody else may have
 * made this one before us, and could move what is pinned in it out of the way.
 */
static int make_directory(const char *path)
{
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	if (lstat(path, &st))
		return -errno;
	return st.st_uid == geteuid() ? 0 : -EUSERS;
}

bool pins_mounted(void)
{
	struct statfs fs;

	return !statfs(BPFFS, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/*
 * Who shares the file system shares the lock: it is its directory. But who may
 * read that may lock it, and where everybody may somebody could keep us waiting
 * for ever: there it is a file of root's.
 */
static int open_lock(void)
{
	struct stat st;
	int fd = -1;

	if (!stat(BPFFS, &st) && st.st_mode & (S_IRGRP | S_IROTH))
		fd = open(LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			  0600);
	return fd >= 0 ? fd : open(BPFFS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int pins_lock(void)
{
	int fd = open_lock();

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

/* Not flock() with the signals let in: one could come just before. */
int pins_lock_or_stop(const sigset_t *signals)
{
	const struct timespec moment = { .tv_nsec = LOCK_NSECS };
	int fd = open_lock();

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		ppoll(NULL, 0, &moment, signals);
		if (stopped()) {
			close(fd);
			return -EINTR;
		}
	}
	return fd;
}

/* Step by step: of a directory that nobody takes for an owner's any more. */
static int unpin(const char *owner)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	dir = opendir(pins_path(path, owner, NULL));
	if (!dir)
		return denied(-errno);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlink(pins_path(path, owner, entry->d_name));
	closedir(dir);
	return rmdir(pins_path(path, owner, NULL)) ? -errno : 0;
}

/* What a run left behind that was killed. */
static int unpin_left(const char *owner)
{
	int err = unpin(owner);

	return err == -ENOENT ? 0 : err;
}

/* Make an empty staging directory; returns its owner name. */
static int stage(const char **owner)
{
	char path[PATH_MAX];
	int err;

	if (!pins_mounted())
		return -ENOTDIR;
	err = make_directory(TOP);
	if (err)
		return err;
	err = unpin_left(STAGING) ?: unpin_left(LEAVING);
	if (err)
		return err;
	*owner = STAGING;
	return make_directory(pins_path(path, STAGING, NULL));
}

/* Of an internal map: the part behind the dot, if we look into such a map. */
static const char *section_of(struct bpf_map *map)
{
	const char *dot = strrchr(bpf_map__name(map), '.');

	return dot && (!strcmp(dot + 1, RODATA) || !strcmp(dot + 1, BSS)) ?
	       dot + 1 : NULL;
}

/*
 * The pin of a map, or NULL: what is shared by all owners, the policy and the
 * events, has one of its own.
 */
static const char *pin_of(struct bpf_map *map)
{
	if (bpf_map__is_internal(map))
		return section_of(map);
	return bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS ||
	       bpf_map__type(map) == BPF_MAP_TYPE_ARRAY_OF_MAPS ||
	       bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF ?
	       NULL : bpf_map__name(map);
}

int pins_add(const char *owner, struct bpf_object *obj)
{
	struct bpf_program *prog;
	char path[PATH_MAX];
	struct bpf_map *map;
	int err;

	bpf_object__for_each_map(map, obj) {
		err = pin_of(map) ? bpf_map__pin(map, pins_path(path, owner,
							pin_of(map))) : 0;
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

bool pins_whole(const char *owner, const struct bpf_object *obj)
{
	struct bpf_program *prog;
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
		if (pin_of(map) && !pins_has(owner, pin_of(map)))
			return false;
	bpf_object__for_each_program(prog, obj)
		if (!pins_has(owner, bpf_program__name(prog)))
			return false;
	return true;
}

int pins_move(const char *owner, const char *other)
{
	char from[PATH_MAX], to[PATH_MAX];

	pins_path(from, owner, NULL);
	pins_path(to, other, NULL);
	if (!rename(from, to))
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return denied(-errno);
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) ?
	       -errno : 1;
}

/* The staging directory becomes the owner's; what was there goes away. */
static int commit(const char *staged, const char *owner)
{
	int ret = pins_move(staged, owner);

	return ret > 0 ? unpin(staged) : ret;
}

int pins_place(const char *owner, int (*fill)(const char *staged, void *data),
	       void *data)
{
	const char *staged;
	int err;

	err = stage(&staged);
	if (err)
		return err;
	err = fill(staged, data) ?: commit(staged, owner);
	if (err)
		pins_remove(staged);
	return err;
}

int pins_remove(const char *owner)
{
	char from[PATH_MAX], to[PATH_MAX];
	int err = unpin_left(LEAVING);

	if (err)
		return err;
	/* In one step as well: half of it would count as attached. */
	if (rename(pins_path(from, owner, NULL), pins_path(to, LEAVING, NULL)))
		return denied(-errno);
	return unpin(LEAVING);
}

struct alone {
	const char *object;
	int fd;
};

static int pin_alone(const char *staged, void *data)
{
	const struct alone *alone = data;
	char path[PATH_MAX];

	return bpf_obj_pin(alone->fd, pins_path(path, staged, alone->object));
}

int pins_open_or_make(const char *owner, const char *object, int (*make)(void))
{
	struct alone alone = { .object = object };
	int err, fd = pins_open(owner, object);

	if (fd != -ENOENT)
		return fd;
	alone.fd = make();
	if (alone.fd < 0)
		return alone.fd;
	err = pins_place(owner, pin_alone, &alone);
	if (!err)
		return alone.fd;
	close(alone.fd);
	return err;
}

void pins_cleanup(void)
{
	unpin_left(STAGING);
	unpin_left(LEAVING);
	rmdir(TOP);
}

static int read_value(int fd, char value[MAX_RODATA])
{
	struct bpf_map_info info = { };
	__u32 zero = 0, size = sizeof(info);

	if (bpf_map_get_info_by_fd(fd, &info, &size))
		return -errno;
	if (info.value_size > MAX_RODATA)
		return -E2BIG;
	return bpf_map_lookup_elem(fd, &zero, value) ?: info.value_size;
}

/* How many bytes of constants there are, or -errno. */
static int read_constants(const char *owner, char value[MAX_RODATA])
{
	int ret, fd = pins_open(owner, RODATA);

	if (fd < 0)
		return fd;
	ret = read_value(fd, value);
	close(fd);
	return ret;
}

int pins_constant(const char *owner, size_t offset, void *value, size_t size)
{
	static char theirs[MAX_RODATA];
	int ret = read_constants(owner, theirs);

	if (ret < 0)
		return ret;
	if (ret < (int)(offset + size))
		return -EPROTO;
	memcpy(value, theirs + offset, size);
	return 0;
}

bool pins_built(const char *owner, size_t offset, __u64 build)
{
	__u64 theirs;

	return !pins_constant(owner, offset, &theirs, sizeof(theirs)) &&
	       theirs == build;
}

bool pins_same(const char *owner, const struct bpf_map *rodata)
{
	static char theirs[MAX_RODATA];
	const void *ours;
	size_t size;

	ours = bpf_map__initial_value(rodata, &size);
	return read_constants(owner, theirs) == (int)size &&
	       !memcmp(ours, theirs, size);
}

bool pins_has(const char *owner, const char *object)
{
	char path[PATH_MAX];

	return !access(pins_path(path, owner, object), F_OK);
}

bool pins_exist(const char *owner)
{
	return pins_has(owner, NULL);
}

bool pins_names_device(const char *owner)
{
	return *owner && *owner != '@' && !strpbrk(owner, "./");
}

bool pins_can_name(const char *name, const char *owner)
{
	char back[IFNAMSIZ];

	owner_name(owner, back);
	return pins_names_device(owner) && !strcmp(back, name);
}

int pins_each(int (*visit)(const char *owner, void *data), void *data)
{
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	dir = opendir(TOP);
	if (!dir)
		return errno == ENOENT ? 0 : denied(-errno);
	while (!err && (entry = readdir(dir)))
		if (pins_names_device(entry->d_name))
			err = visit(entry->d_name, data);
	closedir(dir);
	return err;
}

static int stop(const char *owner, void *data)
{
	return 1;
}

int pins_any(void)
{
	return pins_each(stop, NULL);
}

bool pins_sharing(void)
{
	return pins_any() || pins_exist(PINS_QDISC);
}
