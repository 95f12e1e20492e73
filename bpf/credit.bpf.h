/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Credit is what the other side of a connection has room for, less what is on
 * its way there, our queue included. Whoever has used all of it must wait until
 * some arrives and is read. The socket knows: a packet that comes here when
 * nothing is left is a stall. Not every one blocks a writer, as he may have had
 * no more to say; but who is blocked has stalled before.
 */
#ifndef CREDIT_BPF_H
#define CREDIT_BPF_H

#include "vsock.bpf.h"

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym;

static __always_inline bool credit_used_up(struct __sk_buff *skb)
{
	struct sk_buff *packet = bpf_cast_to_kern_ctx(skb);
	struct virtio_vsock_sock *vvs;
	struct sock *sk = packet->sk;

	/* The drivers may be modules that are not there. */
	if (!bpf_core_type_exists(struct virtio_vsock_sock) || !sk ||
	    sk->__sk_common.skc_family != AF_VSOCK)
		return false;
	vvs = BPF_CORE_READ((struct vsock_sock *)sk, trans);
	/* Both count modulo 2^32. */
	return vvs && BPF_CORE_READ(vvs, tx_cnt) -
		      BPF_CORE_READ(vvs, peer_fwd_cnt) >=
		      BPF_CORE_READ(vvs, peer_buf_alloc);
}

#endif
