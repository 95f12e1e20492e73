// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../bpf/queue.h"
#include "backlog.h"
#include "delay.h"
#include "pins.h"
#include "sched.h"
#include "vsfq.skel.h"

/* Which flow has which place, and the places: NULL if they are not open. */
static int flow_index;
static const struct vsfq__bss *memory;

static const struct vsfq__bss *map_memory(void)
{
	int fd = pins_open(PINS_QDISC, "bss");
	void *map;

	if (fd < 0)
		return NULL;
	map = mmap(NULL, sizeof(*memory), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

int backlog_open(void)
{
	if (!sched_is_current())
		return pins_exist(PINS_QDISC) ? -ESTALE : -ENOENT;
	flow_index = pins_open_map(PINS_QDISC, "flow_index", sizeof(__u32));
	if (flow_index < 0)
		return flow_index;
	memory = map_memory();
	if (memory)
		return 0;
	close(flow_index);
	return -ENOENT;
}

void backlog_close(void)
{
	if (!memory)
		return;
	munmap((void *)memory, sizeof(*memory));
	close(flow_index);
	memory = NULL;
}

void backlog_read(__u32 queue, __u32 class, const struct vsfq_flow_key *key,
		  struct backlog *backlog)
{
	const struct flow_key wanted = { queue, class, {
		.src_cid = key->local_cid, .src_port = key->local_port,
		.dst_cid = key->peer_cid, .dst_port = key->peer_port,
		.type = key->type,
	} };
	const volatile struct flow *f;
	__u64 queued_at;
	__u32 i;

	*backlog = (struct backlog){ };
	if (!memory || bpf_map_lookup_elem(flow_index, &wanted, &i))
		return;
	f = &memory->flows[i % VSFQ_MAX_FLOWS];
	backlog->packets = f->packets;
	if (!backlog->packets)
		return;
	backlog->bytes = f->bytes;
	backlog->memory = f->memory;
	queued_at = memory->slots[f->slots.head % VSFQ_MAX_PACKETS].queued_at;
	if (queued_at)
		backlog->waited = delay_now() - queued_at;
}
