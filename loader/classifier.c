// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "classifier.h"
#include "classify.skel.h"
#include "connect.h"
#include "device.h"
#include "events.h"
#include "pins.h"
#include "policy_map.h"

static const char * const directions[] = { "egress", "ingress" };

#define NR_DIRECTIONS	2
#define CID_HOST	2

static int link_info(const char *owner, const char *direction,
		     struct bpf_link_info *info)
{
	__u32 size = sizeof(*info);
	int fd, err;

	memset(info, 0, size);
	fd = pins_open(owner, direction);
	if (fd < 0)
		return fd;
	err = bpf_link_get_info_by_fd(fd, info, &size);
	close(fd);
	return err;
}

int classifier_ifindex(const char *owner)
{
	struct bpf_link_info info;
	int i, err, ifindex = -ENOENT;

	for (i = 0; ifindex <= 0 && i < NR_DIRECTIONS; i++) {
		err = link_info(owner, directions[i], &info);
		if (!err || ifindex < 0)
			ifindex = err ?: info.tcx.ifindex;
	}
	return ifindex;
}

__u32 classifier_program(const char *owner, bool egress)
{
	struct bpf_link_info info;
	int err = link_info(owner, directions[!egress], &info);

	return err ? 0 : info.prog_id;
}

/* Of how many of its hooks is it on this device? */
static int hooks_of(const struct device *dev)
{
	struct bpf_link_info info;
	int i, count = 0;

	for (i = 0; i < NR_DIRECTIONS; i++)
		count += !link_info(dev->owner, directions[i], &info) &&
			 info.tcx.ifindex == dev->ifindex;
	return count;
}

static __u64 our_build(void)
{
	const void *elf;
	size_t size;

	elf = classify__elf_bytes(&size);
	return build_of(elf, size);
}

bool classifier_is_attached(const struct device *dev)
{
	return classifier_ifindex(dev->owner) == dev->ifindex;
}

bool classifier_is_current(const char *owner)
{
	return pins_built(owner, offsetof(struct classify__rodata, build),
			  our_build());
}

int classifier_is_reached(const char *owner)
{
	if (classifier_ifindex(owner) <= 0)
		return 1;
	return policy_map_reaches(owner, "vsfq_egress");
}

__u32 classifier_overhead(const struct device *dev)
{
	__u32 overhead = 0;

	/* Another version may have its constants in other places. */
	if (hooks_of(dev) && classifier_is_current(dev->owner))
		pins_constant(dev->owner,
			      offsetof(struct classify__rodata, overhead),
			      &overhead, sizeof(overhead));
	return overhead;
}

/*
 * The attachment of one direction: that of the version before, now running our
 * program, or a new one. "old" is the program to go back to, by its pin: to get
 * it by its number would take CAP_SYS_ADMIN.
 */
static struct bpf_link *take_link(const struct device *dev, const char *way,
				  struct bpf_program *prog, int *old)
{
	struct bpf_link_info info = { };
	__u32 size = sizeof(info);
	struct bpf_link *link;
	char path[PATH_MAX];

	*old = -1;
	link = bpf_link__open(pins_path(path, dev->owner, way));
	if (!link ||
	    bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &size) ||
	    info.tcx.ifindex != dev->ifindex) {
		bpf_link__destroy(link);
		return bpf_program__attach_tcx(prog, dev->ifindex, NULL);
	}
	if (bpf_link__update_program(link, prog)) {
		bpf_link__destroy(link);
		return NULL;
	}
	*old = pins_open(dev->owner, bpf_program__name(prog));
	return link;
}

static void finish(struct bpf_link *link, int old, bool give_back)
{
	if (give_back && old >= 0)
		bpf_link_update(bpf_link__fd(link), old, NULL);
	if (old >= 0)
		close(old);
	bpf_link__destroy(link);
}

struct attaching {
	struct classify *skel;
	struct {
		struct bpf_link *link;
		int old;
	} at[NR_DIRECTIONS];
};

static int pin_all(const char *staged, void *data)
{
	struct attaching *a = data;
	char path[PATH_MAX];
	int i, err;

	err = pins_add(staged, a->skel->obj);
	/* Not bpf_link__pin(): a link taken over has a pin already. */
	for (i = 0; !err && i < NR_DIRECTIONS; i++)
		err = bpf_obj_pin(bpf_link__fd(a->at[i].link),
				  pins_path(path, staged, directions[i]));
	return err;
}

static int attach(const struct device *dev, struct classify *skel)
{
	struct bpf_program *progs[] = { skel->progs.vsfq_egress,
					skel->progs.vsfq_ingress };
	struct attaching a = { .skel = skel };
	int i, err = 0;

	for (i = 0; !err && i < NR_DIRECTIONS; i++) {
		a.at[i].link = take_link(dev, directions[i], progs[i],
					 &a.at[i].old);
		if (!a.at[i].link)
			err = -errno;
	}
	err = err ?: pins_place(dev->owner, pin_all, &a);
	for (i = 0; i < NR_DIRECTIONS; i++)
		if (a.at[i].link)
			finish(a.at[i].link, a.at[i].old, err);
	return err;
}

static struct classify *open_skeleton(__u32 overhead)
{
	struct classify *skel = classify__open();

	if (!skel)
		return NULL;
	skel->rodata->build = our_build();
	skel->rodata->overhead = overhead;
	return skel;
}

/* Which device it is, as rules see it. */
static int describe(const struct device *dev, int prog)
{
	struct vsfq_description as = { };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &as,
		    .ctx_size_in = sizeof(as));
	__u32 cid = 0;

	sscanf(dev->port, "cid%u", &cid);
	as.local_cid = dev->guest ? cid : CID_HOST;
	as.peer_cid = dev->guest ? VSFQ_ANY_CID : cid;
	strcpy(as.name, dev->name);
	strcpy(as.port, dev->port);
	return bpf_prog_test_run_opts(prog, &run);
}

/*
 * All of them or, if one has another form now, none: a connection that one table
 * has and another one does not would never be counted down there.
 */
static int share_all(const char *owner, struct bpf_map **maps, int count)
{
	int i, err = 0;

	for (i = 0; !err && i < count; i++)
		err = pins_fits(owner, maps[i]);
	for (i = 0; !err && i < count; i++)
		err = pins_share(owner, maps[i]);
	return err == -EPROTO || err == -ENOENT ? 0 : err;
}

/*
 * What the version before has counted goes on, and so does what it knows of
 * flows. What has another form now begins anew.
 */
static int keep_counters(const struct device *dev, struct classify *skel)
{
	struct bpf_map *counted[] = { skel->maps.device, skel->maps.classes,
				      skel->maps.connections,
				      skel->maps.groups };

	if (!hooks_of(dev))
		return 0;
	return share_all(dev->owner, counted,
			 sizeof(counted) / sizeof(counted[0])) ?:
	       share_all(dev->owner, &skel->maps.flows, 1);
}

static int load(const struct device *dev, struct classify *skel)
{
	int err = policy_map_share(skel->maps.policy) ?:
		  events_share(skel->maps.events) ?:
		  connect_share(skel->maps.requests) ?:
		  keep_counters(dev, skel);

	if (err)
		return err;
	/* These maps may have been made just now. */
	skel->rodata->build = our_build();
	return classify__load(skel) ?:
	       describe(dev, bpf_program__fd(skel->progs.vsfq_describe));
}

/* Is it as it would be if it was attached now? Somebody may have been there. */
static bool is_whole(const struct device *dev, struct classify *skel)
{
	return hooks_of(dev) == NR_DIRECTIONS &&
	       pins_same(dev->owner, skel->maps.rodata) &&
	       pins_whole(dev->owner, skel->obj) &&
	       connect_shares(dev->owner, skel->maps.requests);
}

int classifier_attach(const struct device *dev, __u32 overhead)
{
	int hooks = hooks_of(dev);
	struct classify *skel;
	int err = 0;

	skel = open_skeleton(overhead);
	if (!skel)
		return -errno;
	if (!is_whole(dev, skel))
		err = load(dev, skel) ?: attach(dev, skel);
	classify__destroy(skel);
	return err ?: hooks > 0;
}

/*
 * A device may have been renamed since: its pins go with it, before a device
 * that has its old name now is attached there, and before its new name is
 * attached beside it.
 */
static int follow(const char *owner, void *data)
{
	char name[IFNAMSIZ], now[OWNER_SIZE];
	int ifindex, ret = 1;

	/* Again for what was there and is here now: names may be exchanged. */
	while (ret > 0 && owner_is_here(owner)) {
		ifindex = classifier_ifindex(owner);
		if (ifindex <= 0 || !if_indextoname(ifindex, name))
			return 0;
		owner_of(name, now);
		if (!pins_can_name(name, now) ||
		    classifier_ifindex(now) == ifindex)
			return 0;
		ret = pins_move(owner, now);
	}
	return ret < 0 ? ret : 0;
}

/*
 * What another version attached that could not be told, or is no longer pinned,
 * is described when it is attached again.
 */
static int refresh(const char *owner, void *data)
{
	char name[IFNAMSIZ];
	struct device dev;
	int err, prog;

	owner_name(owner, name);
	if (!owner_is_here(owner) || device_find(name, &dev) || !hooks_of(&dev))
		return 0;
	prog = pins_open(owner, "vsfq_describe");
	if (prog < 0)
		return prog == -ENOENT ? 0 : prog;
	err = describe(&dev, prog);
	close(prog);
	/* A later version's may want to be told more. */
	return err == -EINVAL ? 0 : err;
}

int classifier_refresh(void)
{
	return pins_each(follow, NULL) ?: pins_each(refresh, NULL);
}

int classifier_detach(const char *owner)
{
	return pins_remove(owner);
}

static int read_array(const char *owner, const char *map, int count,
		      void *values, int size)
{
	int err = 0, fd = pins_open_map(owner, map, size);
	__u32 i;

	if (fd < 0)
		return fd;
	for (i = 0; !err && i < count; i++)
		err = bpf_map_lookup_elem(fd, &i, (char *)values + i * size);
	close(fd);
	return err;
}

int classifier_read(const char *owner, struct classifier_stats *stats)
{
	int err;

	err = read_array(owner, "device", 1, &stats->device,
			 sizeof(stats->device));
	return err ?: read_array(owner, "classes", VSFQ_MAX_CLASSES,
				 stats->class, sizeof(stats->class[0]));
}

int classifier_flows(const char *owner,
		     void (*visit)(const struct vsfq_flow_key *key,
				   const struct vsfq_flow_stats *stats,
				   void *data),
		     void *data)
{
	struct vsfq_flow_key key, *previous = NULL;
	struct vsfq_flow_stats stats;
	int i, fd = pins_open_map(owner, "flows", sizeof(stats));

	if (fd < 0)
		return fd;
	/* A table in use never need come to its end: look at no more. */
	for (i = 0; i < VSFQ_FLOW_TABLE; i++) {
		if (bpf_map_get_next_key(fd, previous, &key))
			break;
		if (!bpf_map_lookup_elem(fd, &key, &stats))
			visit(&key, &stats, data);
		previous = &key;
	}
	close(fd);
	return 0;
}
