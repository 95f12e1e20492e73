// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "reason.h"

static const struct {
	int err;
	const char *text;
} reasons[] = {
	{ ENODEV, "no such device" },
	{ ENOMEDIUM, "no vsock device is here (try: vsfq doctor)" },
	{ EMEDIUMTYPE, "not a vsock device" },
	{ EXDEV, "in another network namespace (try: nsenter --net)" },
	{ ENOTDIR, "no BPF file system (try: mount -t bpf bpf /sys/fs/bpf)" },
	{ ENODATA, "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)" },
	{ EPROTONOSUPPORT,
	  "the kernel has no BPF qdiscs (Linux 6.16, CONFIG_NET_SCH_BPF)" },
	{ EPERM, "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (try: root)" },
	{ EUSERS,
	  "/sys/fs/bpf/vsfq belongs to somebody else (try: rm -r it)" },
	{ EPROTO, "made by another version (try: vsfq detach all, policy clear)" },
	{ EEXIST, "a qdisc named vsfq is registered, but not by this program" },
};

const char *reason(int err)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].err == -err)
			return reasons[i].text;
	return strerror(-err);
}
