// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../bpf/queue.h"
#include "backlog.h"
#include "delay.h"
#include "pins.h"
#include "sched.h"
#include "vsfq.skel.h"

/*
 * Which flow has which place, what those had counted that have none any more,
 * and the places: NULL if they are not open.
 */
static int flow_index, sojourns;
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

static int open_all(void)
{
	int err = -ENOENT;

	flow_index = pins_open_map(PINS_QDISC, "flow_index", sizeof(__u32));
	if (flow_index < 0)
		return flow_index;
	sojourns = pins_open_map(PINS_QDISC, "sojourns",
				 sizeof(struct sojourn));
	if (sojourns < 0) {
		err = sojourns;
		goto close_index;
	}
	memory = map_memory();
	if (memory)
		return 0;
	close(sojourns);
close_index:
	close(flow_index);
	return err;
}

/* One that an older version made has no number. */
static bool is_in_memory(const struct vsfq_queue *queue)
{
	return queue->instance && queue->instance == memory->instance;
}

int backlog_open(const struct vsfq_queue *queue)
{
	int err;

	if (!sched_is_current())
		return pins_exist(PINS_QDISC) ? -ESTALE : -ENOENT;
	err = open_all();
	if (err || is_in_memory(queue))
		return err;
	backlog_close();
	return -ESTALE;
}

void backlog_close(void)
{
	if (!memory)
		return;
	munmap((void *)memory, sizeof(*memory));
	close(sojourns);
	close(flow_index);
	memory = NULL;
}

static void add_sojourn(struct backlog *backlog,
			const volatile struct sojourn *sojourn)
{
	int i;

	for (i = 0; i < VSFQ_NR_BUCKETS; i++)
		backlog->sojourn[i] += sojourn->buckets[i];
}

static void read_flow(const volatile struct flow *f, struct backlog *backlog)
{
	__u64 queued_at;

	add_sojourn(backlog, &f->sojourn);
	backlog->packets = f->packets;
	if (!backlog->packets)
		return;
	backlog->bytes = f->bytes;
	backlog->memory = f->memory;
	queued_at = memory->slots[f->slots.head % VSFQ_MAX_PACKETS].queued_at;
	if (queued_at)
		backlog->waited = delay_now() - queued_at;
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
	struct sojourn kept;
	__u32 i;

	*backlog = (struct backlog){ };
	if (!memory)
		return;
	if (!bpf_map_lookup_elem(flow_index, &wanted, &i)) {
		f = &memory->flows[i % VSFQ_MAX_FLOWS];
		read_flow(f, backlog);
		/* It ended meanwhile, and another one has its place. */
		if (memcmp((void *)&f->key, &wanted, sizeof(wanted)))
			*backlog = (struct backlog){ };
	}
	if (!bpf_map_lookup_elem(sojourns, &wanted, &kept))
		add_sojourn(backlog, &kept);
}
