// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/libbpf.h>
#include <errno.h>

#include "build.h"
#include "cgroup.h"
#include "cgroup.skel.h"
#include "pins.h"
#include "policy_change.h"
#include "policy_map.h"

#define LINK	"link"

static int try(void)
{
	struct cgroup *skel = cgroup__open_and_load();
	int err = skel ? cgroup__attach(skel) : -errno;

	cgroup__destroy(skel);
	return err;
}

int cgroup_can_watch(void)
{
	static bool known;
	static int err;

	if (!known)
		err = try();
	known = true;
	return err;
}

static int pin_all(const char *staged, void *data)
{
	struct cgroup *skel = data;
	char path[PATH_MAX];

	return pins_add(staged, skel->obj) ?:
	       bpf_link__pin(skel->links.vsfq_mkdir,
			     pins_path(path, staged, LINK));
}

/* Of the maps that all share it has one: events may come and go. */
static __u64 our_build(void)
{
	__u32 map = policy_map_number();
	const void *elf;
	size_t size;

	elf = cgroup__elf_bytes(&size);
	return build_with(elf, size, &map, 1);
}

static struct cgroup *open_skeleton(void)
{
	struct cgroup *skel = cgroup__open();

	if (!skel)
		return NULL;
	skel->rodata->build = our_build();
	return skel;
}

static bool is_whole(const struct cgroup *skel)
{
	return pins_same(PINS_CGROUP, skel->maps.rodata) &&
	       pins_whole(PINS_CGROUP, skel->obj) &&
	       pins_has(PINS_CGROUP, LINK);
}

/* For a moment there are two of them, which write the same. */
static int attach(struct cgroup *skel)
{
	int err = policy_map_join(skel->maps.policy);

	if (err)
		return err;
	/* This map may have been made just now. */
	skel->rodata->build = our_build();
	return cgroup__load(skel) ?: cgroup__attach(skel) ?:
	       pins_place(PINS_CGROUP, pin_all, skel);
}

int cgroup_watch(const struct vsfq_policy *policy)
{
	struct cgroup *skel;
	int err = 0;

	if (!policy_has_cgroups(policy))
		return 0;
	skel = open_skeleton();
	if (!skel)
		return -errno;
	if (!is_whole(skel))
		err = attach(skel);
	cgroup__destroy(skel);
	return err;
}

void cgroup_refresh(void)
{
	static struct vsfq_policy policy;

	if (policy_map_read(&policy) <= 0 || cgroup_watch(&policy) ||
	    policy_map_pending(policy.generation))
		return;
	if (policy_find_again(&policy))
		policy_map_write(&policy);
}

void cgroup_forget(void)
{
	pins_remove(PINS_CGROUP);
}

bool cgroup_is_current(void)
{
	struct cgroup *skel = open_skeleton();
	bool whole = skel && is_whole(skel);

	cgroup__destroy(skel);
	return whole;
}
