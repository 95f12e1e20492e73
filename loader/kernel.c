// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/btf.h>
#include <errno.h>

#include "kernel.h"

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
