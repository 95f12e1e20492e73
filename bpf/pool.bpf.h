/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists and pools of array elements. Everything a qdisc links together
 * (packets, flows, groups) is an element of an array of fixed size and is
 * named by its index, 0 meaning none: no allocation can fail between two
 * packets, and memory is bounded by construction. A list belongs to one qdisc
 * and is protected by its root lock. A pool is shared by all qdiscs of an
 * object: what was never used comes from a counter, what was given back from a
 * stack map with a lock of its own. The elements are not static so that the
 * loader finds them.
 *
 * SHARES. A qdisc whose device stands still, as that of a guest that is
 * suspended does, gives nothing back, and must not keep others from working. So
 * each has some elements of its own, that are free for it whatever others do.
 * Of the rest it gets one while it has no more of them than are left ("dynamic
 * threshold", Choudhury and Hahne 1998): alone at most half, beside one that
 * has this a quarter, and so on.
 *
 * AN EXAMPLE. Of 65,535 packets 256 qdiscs have 64 each of their own, 49,151
 * are left. One gets up to 24,640 = 64 + 24,576, the next 64 + 12,288.
 */
#ifndef POOL_BPF_H
#define POOL_BPF_H

#include "vsock.bpf.h"

/* One more of a pool for a qdisc that has "mine" so far? "lent" is of all. */
static __always_inline bool share_take(__u32 *lent, __s32 most, __s32 own,
				       __u32 *mine)
{
	__s32 more = *mine - own;

	/* Counted before it is looked at: several CPUs may want the last. */
	if (more >= 0 &&
	    more >= most - (__s32)__sync_fetch_and_add(lent, 1)) {
		__sync_fetch_and_sub(lent, 1);
		return false;
	}
	(*mine)++;
	return true;
}

static __always_inline void share_give(__u32 *lent, __s32 own, __u32 *mine)
{
	(*mine)--;
	if ((__s32)*mine >= own)
		__sync_fetch_and_sub(lent, 1);
}

/* An index out of the pool, 0 if all are in use. */
static __always_inline __u32 pool_get(void *pool, __u32 *used, __u32 size)
{
	__u32 i;

	if (!bpf_map_pop_elem(pool, &i))
		return i;
	if (*used >= size - 1)
		return 0;
	i = __sync_fetch_and_add(used, 1) + 1;
	return i < size ? i : 0;
}

/*
 * The sizes are powers of two: no index can be out of bounds. Each qdisc has
 * "own" ones of its own; "mine" is its counter of those that it has.
 */
#define __pool(element, name, size, own)				\
	element name##s[size];						\
	static __u32 name##_used;					\
	static __u32 name##_lent;					\
	struct {							\
		__uint(type, BPF_MAP_TYPE_STACK);			\
		__uint(max_entries, size);				\
		__type(value, __u32);					\
	} name##_pool SEC(".maps");					\
									\
	static __always_inline element *name##_at(__u32 i)		\
	{								\
		return &name##s[i & ((size) - 1)];			\
	}								\
									\
	static __always_inline __u32 name##_get(__u32 *mine)		\
	{								\
		__u32 i;						\
									\
		if (!share_take(&name##_lent,				\
				(size) - 1 - (own) * VSFQ_MAX_QUEUES,	\
				own, mine))				\
			return 0;					\
		i = pool_get(&name##_pool, &name##_used, size);		\
		if (!i)							\
			share_give(&name##_lent, own, mine);		\
		return i;						\
	}								\
									\
	static __always_inline void name##_put(__u32 i, __u32 *mine)	\
	{								\
		bpf_map_push_elem(&name##_pool, &i, 0);			\
		share_give(&name##_lent, own, mine);			\
	}

/* "at" finds an element of the list, "next" is its link for this list. */
#define list_push(list, at, next, i)					\
	do {								\
		at(i)->next = 0;					\
		if ((list)->head)					\
			at((list)->tail)->next = (i);			\
		else							\
			(list)->head = (i);				\
		(list)->tail = (i);					\
	} while (0)

#define list_pop(list, at, next)					\
	((list)->head = at((list)->head)->next)

#define list_rotate(list, at, next)					\
	do {								\
		__u32 first = (list)->head;				\
									\
		list_pop(list, at, next);				\
		list_push(list, at, next, first);			\
	} while (0)

#endif
