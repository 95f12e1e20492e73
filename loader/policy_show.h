/* SPDX-License-Identifier: GPL-2.0-only */
/* A policy on standard output, as a file or as JSON. */
#ifndef LOADER_POLICY_SHOW_H
#define LOADER_POLICY_SHOW_H

struct options;
struct vsfq_policy;

/* NULL: none is in force. */
void policy_show(const struct options *opt, const struct vsfq_policy *policy);

#endif
