// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "reason.h"

static const struct known {
	int err;
	const char *text;
	const char *fix;
} reasons[] = {
	{ ENODEV, "no such device", NULL },
	{ ENOMEDIUM, "no vsock device is here", "vsfq doctor" },
	{ EMEDIUMTYPE, "not a vsock device", NULL },
	{ E2BIG, "more than 1024 vsock devices", NULL },
	{ EXDEV, "in another network namespace", "nsenter --net" },
	{ ENOTDIR, "no BPF file system", "mount -t bpf bpf /sys/fs/bpf" },
	{ ENODATA, "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)", NULL },
	{ EPROTONOSUPPORT,
	  "the kernel has no BPF qdiscs (Linux 6.16, CONFIG_NET_SCH_BPF)", NULL },
	{ EPERM, "needs CAP_BPF and CAP_NET_ADMIN", "root" },
	{ EREMOTE, "/sys/fs/bpf/vsfq belongs to another user", "root" },
	{ EUSERS, "/sys/fs/bpf/vsfq belongs to somebody else", "rm -r it" },
	{ EPROTO, "made by another version", "vsfq detach all, policy clear" },
	{ EEXIST, "a qdisc named vsfq is registered, but not by this program",
	  NULL },
};

static const struct known *find(int err)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].err == -err)
			return &reasons[i];
	return NULL;
}

const char *reason_text(int err)
{
	const struct known *known = find(err);

	return known ? known->text : strerror(-err);
}

const char *reason_fix(int err)
{
	const struct known *known = find(err);

	return known ? known->fix : NULL;
}

const char *reason(int err)
{
	static char text[128];
	const char *fix = reason_fix(err);

	if (!fix)
		return reason_text(err);
	snprintf(text, sizeof(text), "%s (try: %s)", reason_text(err), fix);
	return text;
}
