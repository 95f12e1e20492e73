/* SPDX-License-Identifier: GPL-2.0-only */
/* What "apply --strict" does to the connections that are there. */
#ifndef LOADER_STRICT_H
#define LOADER_STRICT_H

struct vsfq_policy;

/*
 * End the connections through attached devices whose requests this policy would
 * refuse. Returns how many, or -errno: -EACCES, there are processes or cgroups
 * that this one may not look into, whose connections stay.
 */
int strict_end(const struct vsfq_policy *policy);

#endif
