/* SPDX-License-Identifier: GPL-2.0-only */
/* What a policy says of one device. */
#ifndef LOADER_POLICY_DEVICE_H
#define LOADER_POLICY_DEVICE_H

#include <linux/types.h>
#include <stdbool.h>

#include "../bpf/policy.h"
#include "device.h"

/*
 * Its section, the policy's own, as device_section() of the BPF programs finds
 * it; NULL if it has none.
 */
const struct vsfq_device_settings *
policy_device(const struct vsfq_policy *policy, const struct device *dev);

#endif
