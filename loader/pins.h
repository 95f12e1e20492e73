/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What outlives this program is pinned:
 *
 *	/sys/fs/bpf/vsfq/@qdisc/	the qdisc: its registration (link), its
 *					programs, the map "queues"
 *	/sys/fs/bpf/vsfq/@policy/	the policy in force, see policy_map.h
 *	/sys/fs/bpf/vsfq/@cgroup/	what tells it of cgroups, see cgroup.h
 *	/sys/fs/bpf/vsfq/@events/	the ring of events, see events.h
 *	/sys/fs/bpf/vsfq/DEV/		the classifier of a device: its two
 *					attachments, programs and maps; for
 *					which DEV that is see owner.h
 *
 * A directory is filled under another name ("@" is no device's) and then
 * takes its place in one step, so it is whole or not there; and it is moved away
 * before it is emptied. The next run removes what one that was killed left.
 */
#ifndef LOADER_PINS_H
#define LOADER_PINS_H

#include <limits.h>
#include <linux/types.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct bpf_map;
struct bpf_object;

#define PINS_QDISC	"@qdisc"

/* The path of "object" in the directory of "owner"; either may be NULL. */
const char *pins_path(char path[PATH_MAX], const char *owner,
		      const char *object);

/*
 * Open a pinned object: a descriptor or -errno. -EREMOTE: the directories are
 * another user's, which to who lacks the capabilities too is -EPERM. A map that
 * another version made may have values of another size: it is -EPROTO to who
 * names the size.
 */
int pins_open(const char *owner, const char *object);
int pins_open_map(const char *owner, const char *object, size_t value_size);

/* The number of a pinned map, 0 if it is not there. */
__u32 pins_number(const char *owner, const char *object);

/*
 * Does a pinned program use the map of this number? Returns 1, 0 or -errno. By
 * the pin: to get a program by its number would take CAP_SYS_ADMIN.
 */
int pins_uses(const char *owner, const char *program, __u32 map);

/* Does this error say that the pins are not ours to look into? */
bool pins_denied(int err);

/*
 * Let a map of an object that is not loaded yet be the one that is pinned under
 * its name: -EPROTO if that is of another kind or size. Or only ask.
 */
int pins_share(const char *owner, struct bpf_map *map);
int pins_fits(const char *owner, const struct bpf_map *map);

/* Is there a file system to pin in? */
bool pins_mounted(void);

/*
 * One of us at a time changes what is pinned: wait for the others. Returns a
 * descriptor, whose end, or that of the process, is the end of the lock; or -1
 * to who may not even look, and cannot change anything either.
 */
int pins_lock(void);

/* The same, but -EINTR if a signal of stop.h comes that this mask lets in. */
int pins_lock_or_stop(const sigset_t *signals);

/* Pin every program and map of an object. */
int pins_add(const char *owner, struct bpf_object *obj);

/* Is all of that still pinned? Somebody may have been there. */
bool pins_whole(const char *owner, const struct bpf_object *obj);

/*
 * Have "fill" pin what shall be the owner's in an empty staging directory, which
 * then takes its place; what was there goes away. After an error all is as before.
 */
int pins_place(const char *owner, int (*fill)(const char *staged, void *data),
	       void *data);

/*
 * The directory gets the name of another one. Returns 1 if there was one, which
 * then has the name of this, 0 if there was none, or -errno.
 */
int pins_move(const char *owner, const char *other);

/* Unpin everything of an owner. */
int pins_remove(const char *owner);

/* Remove what was left behind, and the top directory if that was all. */
void pins_cleanup(void);

/*
 * Are the pinned programs those that these constants belong to? Answered from
 * the constants alone, before anything is loaded: "build" is one of them, see
 * build.h.
 */
bool pins_same(const char *owner, const struct bpf_map *rodata);

/* One of these constants: what is at "offset". Returns 0 or -errno. */
int pins_constant(const char *owner, size_t offset, void *value, size_t size);

/*
 * Are the pinned programs of this build, whatever their other constants? "offset"
 * is where "build" is among these.
 */
bool pins_built(const char *owner, size_t offset, __u64 build);

bool pins_exist(const char *owner);
bool pins_has(const char *owner, const char *object);

/*
 * Can it be a device's? What is given by a user may be one of the directories
 * above, or lead out of them, or have a dot, which the file system refuses.
 */
bool pins_names_device(const char *owner);

/* Can a device of this name be pinned there? See owner.h: not if it reads so. */
bool pins_can_name(const char *name, const char *owner);

/*
 * Does any device have pins? Returns -errno where that cannot be told, which is
 * as true as yes: nothing that may be in use is removed.
 */
int pins_any(void);

/*
 * Does a device or the qdisc, which outlives the last device if another one has
 * it: are there programs that use what is shared by all?
 */
bool pins_sharing(void);

/*
 * Open what is shared by all owners; if it is not there, make it with this
 * function, which returns a descriptor or -errno, and pin it.
 */
int pins_open_or_make(const char *owner, const char *object,
		      int (*make)(void));

/* Call for each device with pins; stops at the first error. */
int pins_each(int (*visit)(const char *owner, void *data), void *data);

#endif
