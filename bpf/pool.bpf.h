/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists and pools of array elements. Everything a qdisc links together
 * (packets, flows, groups) is an element of an array of fixed size and is
 * named by its index, 0 meaning none: no allocation can fail between two
 * packets, and memory is bounded by construction. A list belongs to one qdisc
 * and is protected by its root lock. A pool is shared by all qdiscs: what was
 * never used comes from a counter, what was given back from a stack map with
 * a lock of its own. The elements are not static so that the loader finds them.
 */
#ifndef POOL_BPF_H
#define POOL_BPF_H

#include "vsock.bpf.h"

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

/* The sizes are powers of two: no index can be out of bounds. */
#define __pool(element, name, size)					\
	element name##s[size];						\
	static __u32 name##_used;					\
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
	static __always_inline __u32 name##_get(void)			\
	{								\
		return pool_get(&name##_pool, &name##_used, size);	\
	}								\
									\
	static __always_inline void name##_put(__u32 i)			\
	{								\
		bpf_map_push_elem(&name##_pool, &i, 0);			\
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
