/* Linux 7.3.4: made by bpf/gen-vmlinux. Do not edit. */
/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef _Bool bool;

#define true 1
#define false 0

#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)

struct sk_buff {
	struct sock *sk;
	char cb[48];
	__u32 len;
	__u32 data_len;
	__u16 tc_index;
	__u32 hash;
	__u16 protocol;
	__u32 end;
	__u8 *head;
	__u32 truesize;
};

struct skb_shared_info {
	__u8 flags;
	__u16 gso_segs;
};

struct qdisc_skb_cb {
	__u32 pkt_len;
};

struct qdisc_skb_head {
	__u32 qlen;
};

struct gnet_stats_queue {
	__u32 qlen;
	__u32 backlog;
	__u32 drops;
};

struct Qdisc {
	__u32 handle;
	__u32 parent;
	struct netdev_queue *dev_queue;
	struct qdisc_skb_head q;
	struct gnet_stats_queue qstats;
};

struct netdev_queue {
	struct net_device *dev;
	struct Qdisc *qdisc_sleeping;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	__s32 ifindex;
	possible_net_t nd_net;
	char name[16];
};

struct ns_common {
	__u32 inum;
};

struct net {
	struct ns_common ns;
};

struct bpf_sk_buff_ptr {
	struct sk_buff *skb;
};

struct Qdisc_ops {
	char id[16];
	__s32 (*enqueue)(void);
	struct sk_buff * (*dequeue)(void);
	__s32 (*init)(void);
	void (*reset)(void);
	void (*destroy)(void);
};

struct sock_common {
	__u16 skc_family;
	__u8 skc_state;
};

typedef struct {
	__u32 val;
} kuid_t;

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	kuid_t sk_uid;
	struct sock_cgroup_data sk_cgrp_data;
};

struct cgroup {
	__s32 level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[0];
};

struct kernfs_node {
	__u64 id;
};

struct socket {
	__s16 type;
	struct sock *sk;
};

struct sockaddr_vm {
	__u16 svm_family;
};

struct vsock_sock {
	struct sock sk;
	struct sockaddr_vm local_addr;
	struct sockaddr_vm remote_addr;
	void *trans;
};

struct msghdr {
	void *msg_name;
	__s32 msg_namelen;
};

struct virtio_vsock_sock {
	__u32 tx_cnt;
	__u32 peer_fwd_cnt;
	__u32 peer_buf_alloc;
};

struct __sk_buff {
	__u32 len;
	__u32 protocol;
	__u32 tc_index;
	__u32 tc_classid;
	__u64 tstamp;
	__u32 gso_segs;
	struct bpf_sock *sk;
};

struct bpf_iter_num {
	__u64 __opaque[1];
};

struct bpf_dynptr {
	__u64 __opaque[2];
};

enum bpf_map_type {
	BPF_MAP_TYPE_UNSPEC = 0,
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_STACK_TRACE = 7,
	BPF_MAP_TYPE_CGROUP_ARRAY = 8,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_HASH_OF_MAPS = 13,
	BPF_MAP_TYPE_DEVMAP = 14,
	BPF_MAP_TYPE_SOCKMAP = 15,
	BPF_MAP_TYPE_CPUMAP = 16,
	BPF_MAP_TYPE_XSKMAP = 17,
	BPF_MAP_TYPE_SOCKHASH = 18,
	BPF_MAP_TYPE_CGROUP_STORAGE_DEPRECATED = 19,
	BPF_MAP_TYPE_CGROUP_STORAGE = 19,
	BPF_MAP_TYPE_REUSEPORT_SOCKARRAY = 20,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_DEPRECATED = 21,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE = 21,
	BPF_MAP_TYPE_QUEUE = 22,
	BPF_MAP_TYPE_STACK = 23,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_DEVMAP_HASH = 25,
	BPF_MAP_TYPE_STRUCT_OPS = 26,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_INODE_STORAGE = 28,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
	BPF_MAP_TYPE_BLOOM_FILTER = 30,
	BPF_MAP_TYPE_USER_RINGBUF = 31,
	BPF_MAP_TYPE_CGRP_STORAGE = 32,
	BPF_MAP_TYPE_ARENA = 33,
	BPF_MAP_TYPE_INSN_ARRAY = 34,
	BPF_MAP_TYPE_RHASH = 35,
	__MAX_BPF_MAP_TYPE = 36,
};

#pragma clang attribute pop

#endif
