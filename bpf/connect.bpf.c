// SPDX-License-Identifier: GPL-2.0-only
/*
 * What refuses at once: connect() of a vsock socket, and what a datagram socket
 * sends, where the policy says "reject" for the way out.
 *
 * THE IDEA. By the time that the classifier sees a connection request the caller
 * is asleep in connect(), and all that can be done to the request is to lose it,
 * until the caller's patience ends. The hooks of a BPF LSM are asked before:
 * these programs ask the policy about the socket and the address, and an error
 * is what the caller gets. Rules, counters and events are those of the device
 * that would be used, so that it is all the same who refused.
 *
 * AN EXAMPLE. On a host with guest 42 and
 *
 *	rule { direction = out  remote-cid = 42  remote-port = 22  verdict = reject }
 *
 * connect() to 42:22 finds the device in the map "devices" under 42, asks the
 * rules about (2:unknown, 42:22), and fails with ECONNREFUSED. To 2:22, which
 * is loopback, there is no device, and nothing is asked.
 *
 * ONE ANSWER. Another policy may be in force before the request is a packet, or
 * before a packet of it gets through. What connect() was told is kept by the
 * name of the socket (request.bpf.h), and the classifier goes by that.
 *
 * LIMITS. A socket that is not bound has no local port yet: if a rule that
 * names some comes before the answer, the classifier has to give it, and what
 * it rejects is lost in silence. The same goes for connections that the kernel
 * itself makes. Which device it would be is judged by its CID, up or down. A
 * datagram socket remembers the answers about the ANSWERS destinations that it
 * asked about last, with the generation of the policy; one that sends to more in
 * turn is judged anew each time. A policy that rejects nothing on the way out
 * costs a datagram a look at the socket's family, the device and the policy.
 */
#include "event.bpf.h"
#include "match.h"
#include "request.bpf.h"
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

/* Macros and anonymous enums are not in the BTF. */
#define BPF_SK_STORAGE_GET_F_CREATE	1
#define SOCK_STREAM		1
#define SOCK_DGRAM		2
#define SOCK_SEQPACKET		5
#define TCP_CLOSE		7	/* sk_state, whatever the family */
#define VMADDR_CID_LOCAL	1
#define VMADDR_CID_ANY		0xffffffff
#define VMADDR_PORT_ANY		0xffffffff
#define ECONNREFUSED		111

#define ANSWERS			4	/* that a datagram socket remembers */

const volatile __u64 build;	/* tells the loader one version from another */

/* The map "device" of each classifier, by the CID that it leads to. */
struct device_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vsfq_device_stats);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, VSFQ_MAX_DEVICES);
	__type(key, __u32);
	__array(values, struct device_map);
} devices SEC(".maps");

/* struct sockaddr_vm of linux/vm_sockets.h */
struct address {
	__u16 family;
	__u16 reserved;
	__u32 port;
	__u32 cid;
	__u32 flags;
};

/* What a datagram socket was told about one destination. */
struct answer {
	__u64 judged;			/* as in struct vsfq_flow_stats */
	__u32 cid;
	__u32 port;
};

struct answers {
	struct answer of[ANSWERS];
	__u64 next;			/* to be forgotten */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct answers);
} answers SEC(".maps");

static __always_inline struct vsfq_device_stats *device_at(__u32 cid)
{
	void *map = bpf_map_lookup_elem(&devices, &cid);
	__u32 zero = 0;

	return map ? bpf_map_lookup_elem(map, &zero) : NULL;
}

/* NULL: loopback, or no device that is attached. */
static __always_inline struct vsfq_device_stats *device_to(__u32 cid)
{
	struct vsfq_device_stats *dev = device_at(cid);

	if (!dev)
		dev = device_at(VSFQ_ANY_CID);
	if (!dev || cid == dev->local_cid || cid == VMADDR_CID_LOCAL)
		return NULL;
	return dev;
}

static __always_inline bool sock_in(void *of, const struct vsfq_cgroup *c)
{
	struct cgroup *cgroup = BPF_CORE_READ((struct sock *)of,
					      sk_cgrp_data.cgroup);
	struct cgroup **ancestors, *ancestor = NULL;

	if (!c->id || !cgroup || c->level > BPF_CORE_READ(cgroup, level))
		return false;
	ancestors = (void *)cgroup +
		    bpf_core_field_offset(struct cgroup, ancestors);
	bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
			      ancestors + c->level);
	return BPF_CORE_READ(ancestor, kn, id) == c->id;
}

/* As match() of the classifier; 0 if that must give the answer. */
__noinline __u32 match(struct sock *sk __arg_untrusted,
		       struct vsfq_policy *p __arg_nonnull,
		       struct vsfq_flow_key *key __arg_nonnull,
		       struct vsfq_device_stats *dev __arg_nonnull)
{
	struct match_owner owner = { .of = sk, .in = sock_in };

	return match_rules(p, key, VSFQ_OUT, vsock_class(key->type), dev,
			   &owner, key->local_port == VMADDR_PORT_ANY);
}

static __always_inline __u32 packet_type(__u32 type)
{
	switch (type) {
	case SOCK_STREAM:
		return VSOCK_TYPE_STREAM;
	case SOCK_SEQPACKET:
		return VSOCK_TYPE_SEQPACKET;
	default:
		return VSOCK_TYPE_DGRAM;
	}
}

/* The answer that this socket got before, as long as it holds; or its place. */
static __always_inline struct answer *remembered(struct sock *sk,
						 struct vsfq_policy *p,
						 struct address *to)
{
	struct answers *all = bpf_sk_storage_get(&answers, sk, NULL,
						 BPF_SK_STORAGE_GET_F_CREATE);
	struct answer *a;
	__u32 i;

	if (!all)
		return NULL;
	for (i = 0; i < ANSWERS; i++) {
		a = &all->of[i];
		if (a->cid == to->cid && a->port == to->port &&
		    (a->judged & ~VSFQ_JUDGED_MASK) == p->generation)
			return a;
	}
	a = &all->of[all->next++ % ANSWERS];
	a->judged = 0;
	return a;
}

static __always_inline int refuse(struct vsfq_device_stats *dev, __u32 judged)
{
	if (VSFQ_JUDGED_VERDICT(judged) != VSFQ_REJECT)
		return 0;
	__sync_fetch_and_add(&dev->refused[VSFQ_OUT], 1);
	return -ECONNREFUSED;
}

/* What is not refused here tells of itself as a packet. */
static __always_inline __u32 ask(struct sock *sk, __u32 type,
				 struct address *to, struct vsfq_policy *p,
				 struct vsfq_device_stats *dev)
{
	struct vsock_sock *vsk = (struct vsock_sock *)sk;
	struct vsfq_flow_key key = { };
	struct address local = { };
	__u32 judged;

	key.local_cid = dev->local_cid;
	bpf_probe_read_kernel(&local, sizeof(local), &vsk->local_addr);
	key.local_port = local.port;
	key.peer_cid = to->cid;
	key.peer_port = to->port;
	key.type = packet_type(type);
	judged = match(sk, p, &key, dev);
	if (VSFQ_JUDGED_VERDICT(judged) == VSFQ_REJECT)
		event_judged(dev, &key, VSFQ_OUT, judged);
	return judged;
}

/* Also where there is nothing to ask: the answer of before is none any more. */
static __always_inline int judge_request(struct sock *sk, __u32 type,
					 struct address *to)
{
	struct vsfq_device_stats *dev = device_to(to->cid);
	struct vsfq_policy *p = policy_in_force();
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct request r = { .judged = REQUEST_PASSES };

	if (!dev) {
		bpf_map_delete_elem(&requests, &cookie);
		return 0;
	}
	if (p)
		r.judged = ask(sk, type, to, p, dev);
	r.generation = generation_of(p);
	r.device[0] = ((__u64 *)dev->name)[0];
	r.device[1] = ((__u64 *)dev->name)[1];
	r.local_cid = dev->local_cid;
	r.peer_cid = to->cid;
	r.peer_port = to->port;
	bpf_map_update_elem(&requests, &cookie, &r, BPF_ANY);
	return refuse(dev, r.judged);
}

static __always_inline int judge_datagram(struct sock *sk, struct address *to)
{
	struct vsfq_device_stats *dev;
	struct vsfq_policy *p = policy_in_force();
	struct answer *a;
	__u32 judged;

	/* For datagrams that is this machine (vsock_dgram_get_transport()). */
	if (to->cid == VMADDR_CID_ANY)
		return 0;
	dev = device_to(to->cid);
	if (!dev || !p || !p->rejects_out)
		return 0;
	a = remembered(sk, p, to);
	if (a && a->judged)
		return refuse(dev, a->judged);
	judged = ask(sk, SOCK_DGRAM, to, p, dev);
	if (a && judged) {
		a->cid = to->cid;
		a->port = to->port;
		a->judged = p->generation | (judged & VSFQ_JUDGED_MASK);
	}
	return refuse(dev, judged);
}

/* NULL: it belongs to another family. */
static __always_inline struct sock *vsock_of(struct socket *sock)
{
	struct sock *sk = sock->sk;

	return sk && sk->__sk_common.skc_family == AF_VSOCK ? sk : NULL;
}

/* Another than a vsock address is for the socket to refuse. */
static __always_inline bool read_address(struct address *to, const void *from,
					 int length)
{
	return length >= (int)sizeof(*to) &&
	       !bpf_probe_read_kernel(to, sizeof(*to), from) &&
	       to->family == AF_VSOCK;
}

SEC("lsm/socket_connect")
int BPF_PROG(vsfq_connect, struct socket *sock, struct sockaddr *address,
	     int length, int ret)
{
	struct address to;
	struct sock *sk;

	if (ret)
		return ret;
	sk = vsock_of(sock);
	if (!sk || !read_address(&to, address, length))
		return 0;
	/* It may connect again, at any time. */
	if (sock->type == SOCK_DGRAM)
		return judge_datagram(sk, &to);
	/* Only what begins. */
	return sk->__sk_common.skc_state == TCP_CLOSE ?
	       judge_request(sk, sock->type, &to) : 0;
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(vsfq_sendmsg, struct socket *sock, struct msghdr *msg, int size,
	     int ret)
{
	struct vsock_sock *vsk;
	struct address to;
	struct sock *sk;

	if (ret || sock->type != SOCK_DGRAM)
		return ret;
	sk = vsock_of(sock);
	if (!sk)
		return 0;
	vsk = (struct vsock_sock *)sk;
	if (msg->msg_name ?
	    !read_address(&to, msg->msg_name, msg->msg_namelen) :
	    !read_address(&to, &vsk->remote_addr, sizeof(to)))
		return 0;
	return judge_datagram(sk, &to);
}
