/* SPDX-License-Identifier: GPL-2.0-only */
/* From a policy that was read to one that can follow the one in force. */
#ifndef LOADER_POLICY_CHANGE_H
#define LOADER_POLICY_CHANGE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>

#include "policy.h"

/* For policy_parse(): as it is on this machine. */
policy_find_t policy_find_cgroup;

/* The same without the privilege to wait for one that is not there. */
policy_find_t policy_seek_cgroup;

/* 0 if it is not there. */
__u64 policy_cgroup_id(const struct vsfq_cgroup *cgroup);

bool policy_has_cgroups(const struct vsfq_policy *policy);

/*
 * Give those of its cgroups that are there the ids that they have now: sockets may
 * outlive the others. Returns whether one is another than it was.
 */
bool policy_find_again(struct vsfq_policy *policy);

/* For the same reason, those that are not there the ids that they had. */
void policy_keep_cgroups(struct vsfq_policy *policy,
			 const struct vsfq_policy *old);

/*
 * Classes are numbers to the kernel, and packets are queued under them: give
 * each class the number that it has in the old policy, or one that is free.
 */
void policy_keep_classes(struct vsfq_policy *policy,
			 const struct vsfq_policy *old);

/* Whatever its cgroups are now. */
bool policy_same(const struct vsfq_policy *one,
		 const struct vsfq_policy *other);

/* Lines of the old one with a "-", of the new one with a "+". */
int policy_print_change(const struct vsfq_policy *old,
			const struct vsfq_policy *new, FILE *file);

#endif
