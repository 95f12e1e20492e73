// SPDX-License-Identifier: GPL-2.0-only
/* Asks the policy in force about a flow or a device, as the classifier does. */
#include "match.bpf.h"

char _license[] SEC("license") = "GPL";

struct vsfq_flow_key key;
struct vsfq_device_stats dev;
__u32 direction;

SEC("tc")
int ask(struct __sk_buff *skb)
{
	struct vsfq_policy *p = policy_in_force();

	return p ? match(skb, p, &key, direction, &dev) : -1;
}

SEC("tc")
int ask_section(struct __sk_buff *skb)
{
	struct vsfq_policy *p = policy_in_force();

	return p ? device_section(p, (void *)dev.name, (void *)dev.port) : -1;
}
