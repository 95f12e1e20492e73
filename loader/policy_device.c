// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "policy_device.h"

const struct vsfq_device_settings *
policy_device(const struct vsfq_policy *policy, const struct device *dev)
{
	const struct vsfq_device_settings *d = policy->device;

	for (; d < policy->device + policy->devices; d++)
		if (!strncmp(dev->name, d->name, d->length) ||
		    !strncmp(dev->port, d->name, d->length))
			return d;
	return NULL;
}
