// SPDX-License-Identifier: GPL-2.0-only
/*
 * Send a packet to the device whose index is its mark.
 *
 *	tc qdisc add dev DEV clsact
 *	tc filter add dev DEV egress bpf da obj build/redirect.bpf.o sec tc
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int redirect(struct __sk_buff *skb)
{
	return bpf_redirect(skb->mark, 0);
}

char _license[] SEC("license") = "GPL";
