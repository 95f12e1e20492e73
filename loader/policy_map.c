// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cgroup.h"
#include "delay.h"
#include "pins.h"
#include "policy_change.h"
#include "policy_map.h"

#define PINS_POLICY	"@policy"
#define MAP		"policy"
#define CURRENT		"current"
#define GENERATION_SHIFT 16
#define TRIES		8	/* of which nearly always the first is enough */
#define NEXT		"next"	/* about to be current, or what a kill left */

static int open_pin(const char *object)
{
	return pins_open(PINS_POLICY, object);
}

static int new_inner(void)
{
	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "vsfq_policy", sizeof(__u32),
			      sizeof(struct vsfq_policy), 1, NULL);
}

/* The kernel does not tell how large a policy a map takes: its name does. */
static void outer_name(char name[BPF_OBJ_NAME_LEN])
{
	snprintf(name, BPF_OBJ_NAME_LEN, "policy_%zx",
		 sizeof(struct vsfq_policy));
}

static int new_outer(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int fd, inner = new_inner();
	char name[BPF_OBJ_NAME_LEN];

	if (inner < 0)
		return inner;
	opts.inner_map_fd = inner;
	outer_name(name);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, name, sizeof(__u32),
			    sizeof(__u32), 1, &opts);
	close(inner);
	return fd;
}

static int open_outer(void)
{
	return pins_open_or_make(PINS_POLICY, MAP, new_outer);
}

/* -EPROTO if its policies are of another version's size. */
static int check_outer(int fd)
{
	char name[BPF_OBJ_NAME_LEN];
	struct bpf_map_info info = { };
	__u32 size = sizeof(info);

	if (bpf_map_get_info_by_fd(fd, &info, &size))
		return -errno;
	outer_name(name);
	return strcmp(info.name, name) ? -EPROTO : 0;
}

/* One that another version made makes way if no policy is in force. */
static int open_or_replace_outer(void)
{
	int err, fd = open_outer();
	__u32 id, zero = 0;

	if (fd < 0)
		return fd;
	err = check_outer(fd);
	if (err == -EPROTO &&
	    bpf_map_lookup_elem(fd, &zero, &id) == -ENOENT)
		err = pins_remove(PINS_POLICY) ?: 1;
	if (!err)
		return fd;
	close(fd);
	return err < 0 ? err : open_outer();
}

int policy_map_share(struct bpf_map *map)
{
	int err, fd = open_or_replace_outer();

	if (fd < 0)
		return fd;
	err = bpf_map__reuse_fd(map, fd);
	close(fd);
	return err;
}

int policy_map_join(struct bpf_map *map)
{
	int err, fd = open_outer();

	if (fd < 0)
		return fd;
	err = check_outer(fd);
	close(fd);
	return err == -EPROTO && pins_sharing() ? err : policy_map_share(map);
}

__u32 policy_map_number(void)
{
	return pins_number(PINS_POLICY, MAP);
}

int policy_map_reaches(const char *owner, const char *program)
{
	int ret = pins_uses(owner, program, policy_map_number());

	return ret == -ENOENT ? 1 : ret;
}

static int check_in_force(int fd, __u32 id)
{
	struct bpf_map_info info = { };
	__u32 size = sizeof(info);

	if (bpf_map_get_info_by_fd(fd, &info, &size))
		return -errno;
	if (info.id != id)
		return -ENOENT;
	return info.value_size == sizeof(struct vsfq_policy) ? 0 : -EPROTO;
}

/*
 * The pinned map of this name, if it is the one in force; -EPROTO if another
 * version of this program made it.
 */
static int open_in_force(int outer, const char *object)
{
	__u32 id, zero = 0;
	int fd, err;

	err = bpf_map_lookup_elem(outer, &zero, &id);
	if (err)
		return err;
	fd = open_pin(object);
	if (fd < 0)
		return fd;
	err = check_in_force(fd, id);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* Two of us at a time would mix up the pins. */
static int lock(void)
{
	char path[PATH_MAX];
	int fd;

	fd = open(pins_path(path, PINS_POLICY, NULL), O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && !flock(fd, LOCK_EX))
		return fd;
	return -errno;
}

/* Of what "outer" opened, an error or the lock that goes with it. */
static int acquire(int outer, int *locked)
{
	if (outer < 0)
		return outer;
	*locked = lock();
	if (*locked >= 0)
		return 0;
	close(outer);
	return *locked;
}

static int release(int outer, int locked, int ret)
{
	close(outer);
	close(locked);
	return ret;
}

static int read_in_force(int outer, struct vsfq_policy *policy)
{
	int fd = open_in_force(outer, CURRENT), err;
	__u32 zero = 0;

	if (fd == -ENOENT)
		fd = open_in_force(outer, NEXT);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = bpf_map_lookup_elem(fd, &zero, policy);
	close(fd);
	return err ?: 1;
}

int policy_map_read(struct vsfq_policy *policy)
{
	int ret, locked, outer = open_pin(MAP);

	if (outer < 0)
		return outer == -ENOENT ? 0 : outer;
	locked = lock();
	/* It was cleared, and the directory with it, since we opened it. */
	if (locked == -ENOENT)
		ret = 0;
	else
		ret = locked < 0 ? locked : read_in_force(outer, policy);
	close(outer);
	if (locked >= 0)
		close(locked);
	return ret;
}

/* Generations tell policies apart, also across one that was removed. */
static __u64 new_generation(void)
{
	return delay_now() / 1000 << GENERATION_SHIFT;
}

static void rename_pin(const char *from, const char *to)
{
	char old[PATH_MAX], new[PATH_MAX];

	rename(pins_path(old, PINS_POLICY, from),
	       pins_path(new, PINS_POLICY, to));
}

/* Finish or forget what was going on when this program was killed. */
static void tidy(int outer)
{
	int fd = open_in_force(outer, NEXT);
	char path[PATH_MAX];

	if (fd < 0) {
		unlink(pins_path(path, PINS_POLICY, NEXT));
		return;
	}
	close(fd);
	rename_pin(NEXT, CURRENT);
}

static int put(int outer, int inner)
{
	char path[PATH_MAX];
	__u32 zero = 0;
	int err;

	err = bpf_obj_pin(inner, pins_path(path, PINS_POLICY, NEXT));
	if (err)
		return err;
	/* The kernel waits here until no program has the old one in hand. */
	err = bpf_map_update_elem(outer, &zero, &inner, BPF_ANY);
	if (err) {
		unlink(path);
		/* So it says of a map unlike those of the version before. */
		return err == -EINVAL ? -EPROTO : err;
	}
	/* It is in force. If this fails the next one does it, see tidy(). */
	rename_pin(NEXT, CURRENT);
	return 0;
}

static int write_once(int outer, struct vsfq_policy *policy)
{
	__u64 before = policy->generation;
	int err, inner = new_inner();
	__u32 zero = 0;

	if (inner < 0)
		return inner;
	tidy(outer);
	policy_find_again(policy);
	policy->generation = new_generation();
	err = bpf_map_update_elem(inner, &zero, policy, BPF_ANY) ?:
	      put(outer, inner);
	close(inner);
	/* The one that it has in force, if it is. */
	if (err)
		policy->generation = before;
	return err;
}

/*
 * A cgroup that was made after it was looked for, and before this policy was in
 * force, nobody has told it of. From then on it is told, see bpf/cgroup.bpf.c.
 */
static int write_policy(int outer, struct vsfq_policy *policy)
{
	int tries, err = write_once(outer, policy);

	if (err)
		return err;
	for (tries = 1; policy_find_again(policy); tries++)
		if (tries == TRIES || write_once(outer, policy))
			return 1;
	return 0;
}

int policy_map_write(struct vsfq_policy *policy)
{
	int locked, outer = open_outer(), err = acquire(outer, &locked);

	return err ?: release(outer, locked, write_policy(outer, policy));
}

static int clear(int outer)
{
	char path[PATH_MAX];
	__u32 zero = 0;
	int err;

	err = bpf_map_delete_elem(outer, &zero);
	if (err && err != -ENOENT)
		return err;
	unlink(pins_path(path, PINS_POLICY, CURRENT));
	unlink(pins_path(path, PINS_POLICY, NEXT));
	return 0;
}

int policy_map_clear(void)
{
	int err, locked, outer = open_pin(MAP);

	if (outer == -ENOENT)
		return 0;
	err = acquire(outer, &locked);
	return err ?: release(outer, locked, clear(outer));
}

static int keep(int outer)
{
	tidy(outer);
	return open_in_force(outer, CURRENT);
}

int policy_map_keep(void)
{
	int locked, outer = open_pin(MAP), err = acquire(outer, &locked);

	return err ?: release(outer, locked, keep(outer));
}

/*
 * Nor was it told of what was made while it was not in force: then one like it
 * comes back, rather than none.
 */
static int put_back(int outer, int kept)
{
	static struct vsfq_policy policy;
	__u32 zero = 0;
	int ret = -ENOENT;

	if (!bpf_map_lookup_elem(kept, &zero, &policy) &&
	    policy_has_cgroups(&policy))
		ret = write_policy(outer, &policy);
	return ret < 0 ? put(outer, kept) : ret;
}

static int restore(int outer, int kept, __u64 generation)
{
	static struct vsfq_policy current;
	int ret = read_in_force(outer, &current);

	if (ret < 0 && ret != -EPROTO)
		return ret;
	if (ret <= 0 || current.generation != generation)
		return -ESTALE;
	tidy(outer);
	return kept < 0 ? clear(outer) : put_back(outer, kept);
}

int policy_map_restore(int kept, __u64 generation)
{
	int err, locked, outer = open_pin(MAP);

	if (outer == -ENOENT)
		return -ESTALE;
	err = acquire(outer, &locked);
	return err ?: release(outer, locked, restore(outer, kept, generation));
}

/*
 * The lock of a descriptor of its own, on what is there for as long as a policy
 * is, and nobody else's business.
 */
static int open_pending(void)
{
	char path[PATH_MAX];

	return open(pins_path(path, NULL, NULL),
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Of one byte, at an offset that only this policy has. */
static struct flock pending_lock(__u64 generation, short type)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = generation >> GENERATION_SHIFT,
		.l_len = 1,
	};
}

int policy_map_pend(__u64 generation)
{
	struct flock lock = pending_lock(generation, F_RDLCK);
	int fd = open_pending();

	if (fd < 0 || !fcntl(fd, F_OFD_SETLK, &lock))
		return fd;
	close(fd);
	return -1;
}

bool policy_map_pending(__u64 generation)
{
	struct flock lock = pending_lock(generation, F_WRLCK);
	int fd = open_pending();
	bool pending = fd >= 0 && !fcntl(fd, F_OFD_GETLK, &lock) &&
		       lock.l_type != F_UNLCK;

	close(fd);
	return pending;
}

void policy_map_forget(void)
{
	static struct vsfq_policy policy;
	int in_force = policy_map_read(&policy);

	if (!in_force || (in_force > 0 && !policy_has_cgroups(&policy)))
		cgroup_forget();
	if (!in_force && !pins_sharing())
		pins_remove(PINS_POLICY);
}
