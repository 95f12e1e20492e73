/* SPDX-License-Identifier: GPL-2.0-only */
/* What the running kernel can, by its BTF, which anyone may read. */
#ifndef LOADER_KERNEL_H
#define LOADER_KERNEL_H

#include <stdbool.h>

struct kernel {
	bool bpf_qdisc;		/* CONFIG_NET_SCH_BPF */
	bool tcx;		/* CONFIG_NET_XGRESS */
	bool socket_hooks;	/* CONFIG_SECURITY_NETWORK, for a BPF LSM */
};

/* Returns 0, or -ENODATA if the kernel has no BTF. */
int kernel_read(struct kernel *kernel);

/* CONFIG_BPF_LSM, and "bpf" among those that were chosen at boot. */
bool kernel_has_bpf_lsm(void);

#endif
