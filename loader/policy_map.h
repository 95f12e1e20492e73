/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy in force, /sys/fs/bpf/vsfq/@policy/: "policy" is the map of one
 * place that every program looks into, "current" the map in that place.
 */
#ifndef LOADER_POLICY_MAP_H
#define LOADER_POLICY_MAP_H

#include <linux/types.h>
#include <stdbool.h>

#include "../bpf/policy.h"

struct bpf_map;

/*
 * Let the map of an object that is not loaded yet be the one of all. -EPROTO if
 * a policy of another version is in force, of which ours would see nothing.
 */
int policy_map_share(struct bpf_map *map);

/*
 * The same for who has to look into what the devices that are attached do:
 * -EPROTO if that is of another form, whether a policy is in force or not.
 */
int policy_map_join(struct bpf_map *map);

/* The number of that map, 0 if it is not there. */
__u32 policy_map_number(void);

/*
 * Does this pinned program look there? Returns 1, 0 or -errno. Not if another
 * version of this program attached it, whose map had policies of another size,
 * or if somebody has removed that map since. Also 1 if it is not pinned.
 */
int policy_map_reaches(const char *owner, const char *program);

/* Returns 1 and the policy, 0 if none is in force, or -errno. */
int policy_map_read(struct vsfq_policy *policy);

/*
 * Put a policy in force, in one step. When this returns no program runs that
 * still goes by the one before. Returns 0, 1 if it is in force but may not
 * know a cgroup that was made meanwhile, or -errno, and then it is not.
 */
int policy_map_write(struct vsfq_policy *policy);

/* The map of the policy in force, -ENOENT if there is none. */
int policy_map_keep(void);

/*
 * Put a policy that was kept, or none if that is negative, in the place of the
 * one of this generation: returns as much, and -ESTALE if that is no longer the
 * one in force.
 */
int policy_map_restore(int kept, __u64 generation);

/*
 * Somebody waits for the policy of this generation to be confirmed, until the
 * descriptor is closed; so it is -1 where that cannot be told. Does anybody?
 */
int policy_map_pend(__u64 generation);
bool policy_map_pending(__u64 generation);

/* From now on there is none. */
int policy_map_clear(void);

/*
 * Remove the pins, unless a policy is in force or a program looks for one, and
 * what tells of cgroups, unless a policy is in force that names any.
 */
void policy_map_forget(void);

#endif
