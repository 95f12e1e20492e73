/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vsock packet as tc shows it, and the kernel functions that both BPF
 * programs call. The packet starts with the 44-byte header; no link layer.
 */
#ifndef VSOCK_BPF_H
#define VSOCK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include "vsfq.h"

/* Macros and anonymous enums are not in the BTF. */
#define BPF_ANY			0
#define BPF_NOEXIST		1
#define BPF_F_NO_PREALLOC	1
#define ETH_P_VSOCK		0x00fb
#define AF_VSOCK		40
#define NSEC_PER_SEC		1000000000ULL

#define VSOCK_TYPE_STREAM	1
#define VSOCK_TYPE_SEQPACKET	2
#define VSOCK_TYPE_DGRAM	3

#define VSOCK_OP_INVALID	0
#define VSOCK_OP_REQUEST	1
#define VSOCK_OP_RESPONSE	2
#define VSOCK_OP_RST		3
#define VSOCK_OP_SHUTDOWN	4
#define VSOCK_OP_RW		5

#define VSOCK_SHUTDOWN_BOTH	3	/* flags */

/* As in linux/virtio_vsock.h, little endian, without padding. */
struct vsock_hdr {
	__u64 src_cid;
	__u64 dst_cid;
	__u32 src_port;
	__u32 dst_port;
	__u32 len;
	__u16 type;
	__u16 op;
	__u32 flags;
	__u32 buf_alloc;
	__u32 fwd_cnt;
} __attribute__((packed));

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define vsock_le16(x)		(x)
#define vsock_le32(x)		(x)
#define vsock_le64(x)		(x)
#else
#define vsock_le16(x)		__builtin_bswap16(x)
#define vsock_le32(x)		__builtin_bswap32(x)
#define vsock_le64(x)		__builtin_bswap64(x)
#endif

/* pahole 1.24 leaves kernel functions out of the BTF: declared by hand. */
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags,
			       struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u64 offset,
			      void *buffer, __u64 size) __ksym;

/*
 * CIDs have 32 bits in struct sockaddr_vm; the upper half of the header's
 * fields is reserved. False if the packet has no whole header.
 */
static __always_inline bool vsock_parse(struct __sk_buff *skb,
					struct vsock_tuple *tuple, __u32 *op)
{
	struct vsock_hdr buffer, *hdr;
	struct bpf_dynptr packet;

	if (bpf_dynptr_from_skb(skb, 0, &packet))
		return false;
	hdr = bpf_dynptr_slice(&packet, 0, &buffer, sizeof(buffer));
	if (!hdr)
		return false;
	tuple->src_cid = vsock_le64(hdr->src_cid);
	tuple->src_port = vsock_le32(hdr->src_port);
	tuple->dst_cid = vsock_le64(hdr->dst_cid);
	tuple->dst_port = vsock_le32(hdr->dst_port);
	tuple->type = vsock_le16(hdr->type);
	*op = vsock_le16(hdr->op);
	/* To close one direction is the end of nothing. */
	if (*op == VSOCK_OP_SHUTDOWN && ~vsock_le32(hdr->flags) &
	    VSOCK_SHUTDOWN_BOTH)
		*op = VSOCK_OP_RW;
	return true;
}

/* The default policy: two classes of equal weight. */
static __always_inline __u32 vsock_class(__u32 type)
{
	if (type == VSOCK_TYPE_STREAM || type == VSOCK_TYPE_SEQPACKET)
		return VSFQ_CLASS_STREAM;
	return VSFQ_CLASS_DGRAM;
}

/* The packets that a policy may refuse; others belong to a connection. */
static __always_inline bool vsock_opens(__u32 type, __u32 op)
{
	return op == VSOCK_OP_REQUEST || vsock_class(type) == VSFQ_CLASS_DGRAM;
}

#endif
