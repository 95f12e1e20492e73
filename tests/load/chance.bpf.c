// SPDX-License-Identifier: GPL-2.0-only
/*
 * Let chance decide what becomes of a packet on its way to a device: one in two
 * passes, the others are dropped or sent to where they do not belong.
 *
 *	tc qdisc add dev DEV clsact
 *	tc filter add dev DEV egress bpf da obj build/chance.bpf.o sec tc
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define LOOPBACK	1	/* the first device of every namespace */

SEC("tc")
int chance(struct __sk_buff *skb)
{
	switch (bpf_get_prandom_u32() % 8) {
	case 0:
		return TC_ACT_SHOT;
	case 1:
		return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
	case 2:
		return bpf_redirect(LOOPBACK, 0);
	case 3:
		return bpf_redirect(skb->ifindex, 0);	/* once more */
	default:
		return TC_ACT_OK;
	}
}

char _license[] SEC("license") = "GPL";
