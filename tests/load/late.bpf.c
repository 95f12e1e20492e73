// SPDX-License-Identifier: GPL-2.0-only
/*
 * Say of packets that they arrive later than they do, so that the driver receives
 * no other ones before: of each that it does so in an hour, which would be as good
 * as to hang whoever sends, or of one in eight that it does in up to 4 ms.
 *
 *	tc qdisc add dev DEV clsact
 *	tc filter add dev DEV ingress bpf da obj build/late.bpf.o sec tc/hour
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define HOUR	3600000000000ULL

SEC("tc/hour")
int hour(struct __sk_buff *skb)
{
	skb->tstamp += HOUR;
	return TC_ACT_OK;
}

SEC("tc/sometimes")
int sometimes(struct __sk_buff *skb)
{
	if (bpf_get_prandom_u32() % 8 == 0)
		skb->tstamp += bpf_get_prandom_u32() >> 10;
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
