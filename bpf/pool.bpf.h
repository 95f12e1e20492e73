/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists and pools of array elements. Everything a qdisc links together
 * (packets, flows, groups) is an element of a preallocated array and is named
 * by its index, 0 meaning none: no allocation can fail between two packets,
 * and memory is bounded by construction. A list belongs to one qdisc and is
 * protected by its root lock. A pool is shared by all qdiscs: what was never
 * used comes from a counter, what was given back from a stack map with a
 * lock of its own.
 */
#ifndef POOL_BPF_H
#define POOL_BPF_H

#include "vsock.bpf.h"

#define __pool(name, entries)						\
	struct {							\
		__uint(type, BPF_MAP_TYPE_STACK);			\
		__uint(max_entries, entries);				\
		__type(value, __u32);					\
	} name##_pool SEC(".maps");					\
	static __u32 name##_used

/* An index out of the pool, 0 if all are in use. */
static __always_inline __u32 pool_get(void *pool, __u32 *used, __u32 max)
{
	__u32 i;

	if (!bpf_map_pop_elem(pool, &i))
		return i;
	if (*used >= max - 1)
		return 0;
	i = __sync_fetch_and_add(used, 1) + 1;
	return i < max ? i : 0;
}

static __always_inline void pool_put(void *pool, __u32 i)
{
	bpf_map_push_elem(pool, &i, 0);
}

/* What an element needs to be on a list, anywhere inside of it. */
struct link {
	__u32 next;
};

static __always_inline struct link *link_at(void *map, __u32 i, __u32 offset)
{
	char *element = bpf_map_lookup_elem(map, &i);

	return element ? (struct link *)(element + offset) : NULL;
}

static __always_inline void list_push(struct vsfq_list *list, void *map,
				      __u32 i, __u32 offset)
{
	struct link *link = link_at(map, i, offset);

	if (!link)
		return;
	link->next = 0;
	if (!list->head) {
		list->head = i;
	} else {
		link = link_at(map, list->tail, offset);
		if (link)
			link->next = i;
	}
	list->tail = i;
}

static __always_inline void list_pop(struct vsfq_list *list, void *map,
				     __u32 offset)
{
	struct link *link = link_at(map, list->head, offset);

	list->head = link ? link->next : 0;
}

static __always_inline void list_rotate(struct vsfq_list *list, void *map,
					__u32 offset)
{
	__u32 head = list->head;

	list_pop(list, map, offset);
	list_push(list, map, head, offset);
}

#endif
