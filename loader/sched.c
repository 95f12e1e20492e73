// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../bpf/queue.h"
#include "build.h"
#include "device.h"
#include "events.h"
#include "kernel.h"
#include "owner.h"
#include "pins.h"
#include "policy_map.h"
#include "sched.h"
#include "vsfq.skel.h"

#define LINK	"link"

/* libbpf's own error for each of these would be a bare ESRCH or EINVAL. */
static int check_kernel(void)
{
	struct kernel kernel;
	int err = kernel_read(&kernel);

	return err ?: kernel.bpf_qdisc ? 0 : -EPROTONOSUPPORT;
}

/*
 * Is what is pinned registered? Somebody may have detached it, or a run may have
 * ended between its registration and that of another version.
 */
static bool registered(void)
{
	struct bpf_link_info info = { };
	__u32 size = sizeof(info);
	int err, fd = pins_open(PINS_QDISC, LINK);

	if (fd < 0)
		return false;
	err = bpf_link_get_info_by_fd(fd, &info, &size);
	close(fd);
	return !err && info.struct_ops.map_id;
}

/*
 * Before this returns: of a link that is only unpinned the kernel lets go some
 * time later, and until then nobody can register another by the same name.
 */
static int unregister(void)
{
	int err, fd = pins_open(PINS_QDISC, LINK);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = bpf_link_detach(fd);
	close(fd);
	return err;
}

struct registering {
	struct vsfq *skel;
	struct bpf_link *link;
};

static int register_as(const char *staged, void *data)
{
	struct registering *r = data;
	char path[PATH_MAX];
	int err;

	err = pins_add(staged, r->skel->obj) ?: unregister();
	if (err)
		return err;
	r->link = bpf_map__attach_struct_ops(r->skel->maps.vsfq);
	if (!r->link)
		return -errno;
	return bpf_link__pin(r->link, pins_path(path, staged, LINK));
}

/*
 * Another version is unregistered at the last moment. If this one then fails
 * nothing is registered until the next run; the pins of the one before stay, by
 * which the qdiscs that there are count.
 */
static int register_and_pin(struct vsfq *skel)
{
	struct registering r = { .skel = skel };
	int err = pins_place(PINS_QDISC, register_as, &r);

	if (err && r.link)
		bpf_link__detach(r.link);
	/* Registered for as long as the link is pinned. */
	bpf_link__destroy(r.link);
	return err;
}

static __u64 our_build(void)
{
	const void *elf;
	size_t size;

	elf = vsfq__elf_bytes(&size);
	return build_of(elf, size);
}

static struct vsfq *open_skeleton(__u32 overhead)
{
	struct vsfq *skel = vsfq__open();

	if (!skel)
		return NULL;
	skel->rodata->build = our_build();
	skel->rodata->overhead = overhead;
	return skel;
}

/* A qdisc leaves its counters to the one that replaces it: see vsfq_destroy. */
static int keep_counters(struct vsfq *skel)
{
	int err = pins_share(PINS_QDISC, skel->maps.queues);

	return err == -EPROTO || err == -ENOENT ? 0 : err;
}

static int register_skeleton(struct vsfq *skel)
{
	bool other = pins_exist(PINS_QDISC);
	int err;

	if (other && pins_same(PINS_QDISC, skel->maps.rodata) &&
	    pins_whole(PINS_QDISC, skel->obj) && registered())
		return SCHED_BEFORE;
	err = policy_map_share(skel->maps.policy) ?:
	      events_share(skel->maps.events);
	if (!err && other)
		err = keep_counters(skel);
	/* The maps that all share may have been made just now. */
	skel->rodata->build = our_build();
	err = err ?: vsfq__load(skel);
	return err ?: register_and_pin(skel) ?:
	       other ? SCHED_BEFORE : SCHED_NEW;
}

int sched_register(__u32 overhead)
{
	struct vsfq *skel;
	int err;

	err = check_kernel();
	if (err)
		return err;
	skel = open_skeleton(overhead);
	if (!skel)
		return -errno;
	err = register_skeleton(skel);
	vsfq__destroy(skel);
	return err;
}

bool sched_is_registered(void)
{
	return sched_is_current() && registered();
}

bool sched_is_current(void)
{
	return pins_built(PINS_QDISC, offsetof(struct vsfq__rodata, build),
			  our_build());
}

int sched_is_reached(void)
{
	return policy_map_reaches(PINS_QDISC, "vsfq_enqueue");
}

/* Nothing to do if it is gone since, or the device is. */
static int rename_queue(int prog, const struct vsfq_queue_key *key)
{
	struct vsfq_rename to = { .key = *key };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &to,
		    .ctx_size_in = sizeof(to));
	struct device dev;
	int err = device_at(key->ifindex, &dev);

	/* Any device may have such a qdisc. */
	if (err && err != -EMEDIUMTYPE)
		return err == -ENODEV ? 0 : err;
	strcpy(to.name, dev.name);
	strcpy(to.port, dev.port);
	return bpf_prog_test_run_opts(prog, &run);
}

static int rename_queues(int prog, int map)
{
	struct vsfq_queue_key key, *previous = NULL;
	unsigned int here = owner_netns();
	int err = 0;

	while (!err && !bpf_map_get_next_key(map, previous, &key)) {
		if (key.netns == here)
			err = rename_queue(prog, &key);
		previous = &key;
	}
	return err;
}

/* What somebody has unpinned tells nobody anything, until it is attached again. */
int sched_refresh(void)
{
	int err, map, prog;

	if (!sched_is_current())
		return 0;
	map = pins_open_map(PINS_QDISC, "queues", sizeof(struct vsfq_queue));
	prog = pins_open(PINS_QDISC, "vsfq_rename");
	err = map < 0 ? map : prog < 0 ? prog : rename_queues(prog, map);
	close(prog);
	close(map);
	return err == -ENOENT ? 0 : err;
}

int sched_unregister(void)
{
	return unregister() ?: pins_remove(PINS_QDISC);
}

int sched_read(const struct qdisc *q, struct vsfq_queue *stats)
{
	struct vsfq_queue_key key = {
		.ifindex = q->ifindex,
		.handle = q->handle,
		.parent = q->parent,
		.netns = owner_netns(),
	};
	int fd, err;

	if (!key.netns)
		return -errno;
	fd = pins_open_map(PINS_QDISC, "queues", sizeof(*stats));
	if (fd < 0)
		return fd;
	err = bpf_map_lookup_elem(fd, &key, stats);
	close(fd);
	return err;
}

int sched_made(const struct qdisc *q, __u32 overhead)
{
	struct vsfq_queue queue;
	int err = sched_read(q, &queue);

	/* Made by who had another map, or another form of it. */
	if (err == -ENOENT || err == -EPROTO)
		return 0;
	return err ?: queue.build == our_build() &&
		      (!overhead || queue.overhead == overhead);
}

int sched_used(void)
{
	struct vsfq_queue_key key;
	int err, fd = pins_open(PINS_QDISC, "queues");

	/* Without it none can be made any more either. */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	err = bpf_map_get_next_key(fd, NULL, &key);
	close(fd);
	if (err == -ENOENT)
		return 0;
	return err ?: 1;
}
