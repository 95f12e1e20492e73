/* SPDX-License-Identifier: GPL-2.0-only */
/* A policy on standard output, as a file or as JSON; why there is none. */
#ifndef LOADER_POLICY_SHOW_H
#define LOADER_POLICY_SHOW_H

struct options;
struct policy_error;
struct vsfq_policy;

/* NULL: none is in force. */
void policy_show(const struct options *opt, const struct vsfq_policy *policy);

/* As complain() does, with what it is about by itself in JSON. */
int policy_complain(const struct options *opt,
		    const struct policy_error *error);

#endif
