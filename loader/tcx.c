// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>

#include "tcx.h"

int tcx_read(int ifindex, bool egress, struct tcx_programs *programs)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts,
		.prog_ids = programs->id,
		.prog_cnt = TCX_MAX_PROGRAMS);
	int err;

	err = bpf_prog_query_opts(ifindex,
				  egress ? BPF_TCX_EGRESS : BPF_TCX_INGRESS,
				  &opts);
	programs->count = err ? 0 : opts.prog_cnt;
	return err;
}
