// SPDX-License-Identifier: GPL-2.0-only
/*
 * Refuse what has fragments that somebody may take for its own and write to: ESP
 * decrypts in place unless they are marked as shared (esp_input()).
 *
 *	bpftool prog load build/shared.bpf.o /sys/fs/bpf/shared
 *	bpftool net attach tcx_egress pinned /sys/fs/bpf/shared dev DEV
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define TC_ACT_OK		0
#define TC_ACT_SHOT		2
#define SKBFL_SHARED_FRAG	2	/* linux/skbuff.h, a macro's value there */

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;

SEC("tc")
int shared(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(ctx);
	struct skb_shared_info *info;

	info = bpf_core_cast(skb->head + skb->end, struct skb_shared_info);
	return skb->data_len && !(info->flags & SKBFL_SHARED_FRAG) ?
	       TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
