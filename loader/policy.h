/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy file: read into the form of the kernel's map, and written. */
#ifndef LOADER_POLICY_H
#define LOADER_POLICY_H

#include <limits.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>

#include "../bpf/policy.h"

#define POLICY_FILE	"/etc/vsfq/vsfq.conf"
#define POLICY_CGROUPS	"/sys/fs/cgroup"

/* Half a file, or an empty one, must not open what a whole one closes. */
#define POLICY_EMPTY	"says nothing (for no policy: vsfq policy clear)"

struct policy_error {
	char file[PATH_MAX];
	bool named;		/* by a word, which may be an empty one */
	char word[PATH_MAX];
	char reason[160];
	int line;		/* from 1; 0: the file as such */
	int column;
};

/* Gives a cgroup its id; returns NULL, or what is wrong with its path. */
typedef const char *policy_find_t(struct vsfq_cgroup *cgroup);

/*
 * Returns 0, or -1 with the first error. Whether there is a cgroup of some path
 * the machine must say on which the policy is applied: without "find" cgroups
 * have no id.
 */
int policy_parse(const char *path, policy_find_t *find,
		 struct vsfq_policy *policy, struct policy_error *error);

/* As a file, with every class and default spelled out. */
void policy_print(const struct vsfq_policy *policy, FILE *file);

/* "FILE:LINE:COLUMN: "WORD": REASON", as much of it as there is. */
const char *policy_error_text(const struct policy_error *error);

#endif
