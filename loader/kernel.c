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

static bool has_struct(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT) > 0;
}

int kernel_read(struct kernel *kernel)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return -ENODATA;
	kernel->bpf_qdisc = has_struct(btf, "bpf_struct_ops_Qdisc_ops");
	kernel->tcx = has_struct(btf, "tcx_link");
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
