/* SPDX-License-Identifier: GPL-2.0-only */
/* A policy from the values of its options, one after the other. */
#ifndef LOADER_POLICY_BUILD_H
#define LOADER_POLICY_BUILD_H

#include <linux/types.h>
#include <stdbool.h>

#include "policy.h"

struct policy_builder {
	struct vsfq_policy *policy;
	policy_find_t *find;			/* see policy.h; or NULL */
	struct vsfq_class_settings class;	/* that is being described */
	struct vsfq_caps caps;			/* of this class or a device */
	struct vsfq_caps in;			/* of what it receives */
	struct vsfq_rule rule;
	bool has_verdict;
	bool has_class;
};

/* The number of the class of this name, of a free one if it is empty, or -1. */
int policy_find_class(const struct vsfq_policy *policy, const char *name);

/* Begin with the defaults. */
void policy_build_start(struct policy_builder *b, struct vsfq_policy *policy);

/* These return NULL, or what is wrong. */
const char *policy_build_value(struct policy_builder *b, const char *option,
			       const char *text);

/* Here "option" is the one to blame, NULL if it is the section as such. */
const char *policy_build_class(struct policy_builder *b, const char *name,
			       const char **option);
const char *policy_build_device(struct policy_builder *b, const char *name,
				const char **option);
const char *policy_build_rule(struct policy_builder *b, const char **option);

#endif
