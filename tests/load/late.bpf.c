// SPDX-License-Identifier: GPL-2.0-only
/*
 * Say of each packet that arrives that it does so in an hour: to receive nothing
 * else before would be as good as to hang whoever sends.
 *
 *	tc qdisc add dev DEV clsact
 *	tc filter add dev DEV ingress bpf da obj build/late.bpf.o sec tc
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define HOUR	3600000000000ULL

SEC("tc")
int late(struct __sk_buff *skb)
{
	skb->tstamp += HOUR;
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
