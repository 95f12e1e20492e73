/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tells the policy in force that a cgroup is made, bpf/cgroup.bpf.c: it is
 * attached for as long as that policy names any, and pinned as "@cgroup".
 */
#ifndef LOADER_CGROUP_H
#define LOADER_CGROUP_H

#include <stdbool.h>

struct vsfq_policy;

#define PINS_CGROUP	"@cgroup"

/* Does the kernel let us attach it? Returns 0 or -errno, and changes nothing. */
int cgroup_can_watch(void);

/*
 * Attach, or put this version in the place of another, if the policy names any
 * cgroup: before it is in force. Returns 0 or -errno.
 */
int cgroup_watch(const struct vsfq_policy *policy);

/*
 * The same for the policy in force, and tell it what it was not told of, unless
 * it waits to be confirmed; doctor tells where that fails.
 */
void cgroup_refresh(void);

/* Detach: policy_map_forget() knows when. */
void cgroup_forget(void);

/* Did this version attach it, and is all of it still pinned? */
bool cgroup_is_current(void);

#endif
