/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy file: read into the form of the kernel's map, and written. */
#ifndef LOADER_POLICY_H
#define LOADER_POLICY_H

#include <limits.h>
#include <linux/types.h>
#include <stdio.h>

#include "../bpf/policy.h"

#define POLICY_FILE	"/etc/vsfq/vsfq.conf"

struct policy_error {
	char file[PATH_MAX];
	char word[64];		/* empty: none is to blame */
	char reason[160];
	int line;		/* 0: the file as such */
};

/*
 * Returns 0, or -1 with the first error. Cgroups have no id yet: whether there
 * is one of that path, the machine must say on which the policy is applied.
 */
int policy_parse(const char *path, struct vsfq_policy *policy,
		 struct policy_error *error);

/* As a file, with every class and default spelled out. */
void policy_print(const struct vsfq_policy *policy, FILE *file);

/* "FILE:LINE:COLUMN: "WORD": REASON", as much of it as there is. */
const char *policy_error_text(const struct policy_error *error);

#endif
