// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "build.h"
#include "classifier.h"
#include "connect.h"
#include "connect.skel.h"
#include "events.h"
#include "kernel.h"
#include "pins.h"
#include "policy_map.h"

#define DEVICES	"devices"
#define CONNECT	"connect"	/* the attachments */
#define SENDMSG	"sendmsg"

/* The map of devices, and the keys that belong there. */
struct devices_map {
	int fd;
	int count;
	__u32 cid[VSFQ_MAX_DEVICES];
};

/* One that another version attached is not there, until it is attached again. */
static int add_device(const char *name, void *data)
{
	struct devices_map *map = data;
	struct vsfq_device_stats stats;
	int err, fd = pins_open_map(name, "device", sizeof(stats));
	__u32 zero = 0;

	if (fd < 0 || classifier_ifindex(name) <= 0 ||
	    map->count == VSFQ_MAX_DEVICES) {
		close(fd);
		return 0;
	}
	err = bpf_map_lookup_elem(fd, &zero, &stats) ?:
	      bpf_map_update_elem(map->fd, &stats.peer_cid, &fd, BPF_ANY);
	map->cid[map->count++] = stats.peer_cid;
	close(fd);
	return err;
}

static bool belongs(const struct devices_map *map, __u32 cid)
{
	int i;

	for (i = 0; i < map->count; i++)
		if (map->cid[i] == cid)
			return true;
	return false;
}

static int fill(int fd)
{
	static struct devices_map map;
	__u32 cid, *previous = NULL, last;
	int err;

	map.fd = fd;
	map.count = 0;
	err = pins_each(add_device, &map);
	while (!err && !bpf_map_get_next_key(fd, previous, &cid)) {
		if (!belongs(&map, cid)) {
			bpf_map_delete_elem(fd, &cid);
			continue;
		}
		last = cid;
		previous = &last;
	}
	return err;
}

static int pin_all(const char *staged, void *data)
{
	struct connect *skel = data;
	char path[PATH_MAX];

	return pins_add(staged, skel->obj) ?:
	       bpf_link__pin(skel->links.vsfq_connect,
			     pins_path(path, staged, CONNECT)) ?:
	       bpf_link__pin(skel->links.vsfq_sendmsg,
			     pins_path(path, staged, SENDMSG));
}

/* Another version may have it in another form, in which nobody finds ours. */
int connect_share(struct bpf_map *map)
{
	int err = pins_share(PINS_CONNECT, map);

	return err == -EPROTO || err == -ENOENT ? 0 : err;
}

/* If somebody unpinned what refuses connect(), the one since has a new map. */
bool connect_shares(const char *owner, const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	return pins_fits(PINS_CONNECT, map) ||
	       pins_number(owner, name) == pins_number(PINS_CONNECT, name);
}

static __u64 our_build(void)
{
	const void *elf;
	size_t size;

	elf = connect__elf_bytes(&size);
	return build_of(elf, size);
}

/*
 * For a moment there are two of them: better twice than not at all. A kernel
 * that does not take it, as one without CONFIG_SECURITY_NETWORK or one that is
 * locked down, has the classifier still: doctor tells what that cannot do.
 */
static int attach(struct connect *skel)
{
	int err = policy_map_share(skel->maps.policy) ?:
		  events_share(skel->maps.events) ?:
		  connect_share(skel->maps.requests);

	if (err)
		return err;
	skel->rodata->build = our_build();
	if (connect__load(skel))
		return 0;
	return fill(bpf_map__fd(skel->maps.devices)) ?:
	       connect__attach(skel) ?:
	       pins_place(PINS_CONNECT, pin_all, skel);
}

static struct connect *open_skeleton(void)
{
	struct connect *skel = connect__open();

	if (!skel)
		return NULL;
	skel->rodata->build = our_build();
	return skel;
}

static bool is_whole(const struct connect *skel)
{
	return pins_same(PINS_CONNECT, skel->maps.rodata) &&
	       pins_whole(PINS_CONNECT, skel->obj) &&
	       pins_has(PINS_CONNECT, CONNECT) &&
	       pins_has(PINS_CONNECT, SENDMSG);
}

int connect_attach(void)
{
	struct connect *skel;
	int err = 0;

	if (!kernel_has_bpf_lsm())
		return 0;
	skel = open_skeleton();
	if (!skel)
		return -errno;
	if (!is_whole(skel))
		err = attach(skel);
	connect__destroy(skel);
	return err;
}

int connect_refresh(void)
{
	int err, fd = pins_open(PINS_CONNECT, DEVICES);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = fill(fd);
	close(fd);
	return err;
}

void connect_forget(void)
{
	if (!pins_any())
		pins_remove(PINS_CONNECT);
}

bool connect_is_current(void)
{
	return pins_built(PINS_CONNECT, offsetof(struct connect__rodata, build),
			  our_build());
}
