// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capability.h"

bool has_capability(int capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { };

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(capability)].effective &
	       CAP_TO_MASK(capability);
}

bool may_use_bpf(void)
{
	int fd;

	if (!has_capability(CAP_BPF))
		return false;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "vsfq_may",
			    sizeof(__u32), sizeof(__u32), 1, NULL);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}
