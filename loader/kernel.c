// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/btf.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"

/* Since Linux 6.8, the same number everywhere; Debian 12 has older headers. */
#ifndef SYS_lsm_list_modules
#define SYS_lsm_list_modules	461
#endif
#define LSM_ID_BPF		109
#define MAX_LSMS		32

static bool has(const struct btf *btf, __u32 kind, const char *name)
{
	return btf__find_by_name_kind(btf, name, kind) > 0;
}

int kernel_read(struct kernel *kernel)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return -ENODATA;
	kernel->bpf_qdisc = has(btf, BTF_KIND_STRUCT,
				"bpf_struct_ops_Qdisc_ops");
	kernel->tcx = has(btf, BTF_KIND_STRUCT, "tcx_link");
	kernel->socket_hooks = has(btf, BTF_KIND_FUNC,
				   "bpf_lsm_socket_connect");
	btf__free(btf);
	return 0;
}

bool kernel_has_bpf_lsm(void)
{
	__u64 ids[MAX_LSMS];
	__u32 size = sizeof(ids);
	int i, count = syscall(SYS_lsm_list_modules, ids, &size, 0);

	for (i = 0; i < count; i++)
		if (ids[i] == LSM_ID_BPF)
			return true;
	return false;
}
