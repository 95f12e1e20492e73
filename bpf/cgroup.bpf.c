// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tells the policy that a cgroup which it names is made: at boot after the
 * policy, and anew each time that a service starts.
 *
 * THE IDEA. A rule names a path, but what the kernel knows of a socket is the
 * number of its cgroup, and a cgroup that is removed and made again has another
 * one. So the policy holds a number beside each path, 0 for a cgroup that is not
 * there, and this program, which the kernel calls for each cgroup that is made,
 * writes it.
 *
 * AN EXAMPLE. At boot a policy is applied with
 *
 *	rule { direction = out  cgroup = /system.slice/a.service  verdict = drop }
 *
 * and its number is 0: the rule matches nothing. When a.service starts systemd
 * makes the directory, of number 4711, and that is what the rule has before
 * anybody can be in it. After a restart it is 4790.
 *
 * IN TIME. The tracepoint is passed before mkdir() makes the directory visible:
 * nobody can move a process there, or start one in it, and no socket can belong
 * to it, before its number is written. mkdir() holds cgroup_mutex meanwhile, so
 * that one cgroup is made at a time and none is missed. It is one store: who asks
 * the rules sees the old number or the new one.
 *
 * WHAT IS REMEMBERED stays right, and the policy keeps its generation. Flows,
 * refusals and datagram sockets remember answers, each about a socket in a
 * cgroup, or a pair of ports that goes with the number of the owner's cgroup if
 * a rule asked for it. A socket belongs for ever to the cgroup of who created
 * it, and cgroups are not moved or renamed. So all answers that are there are
 * about sockets outside of the new cgroup, whose rule did not match them and
 * does not now. What the new cgroup's sockets send is another owner's, of a
 * number that was never used before, and is judged anew. A connection request
 * is judged each time.
 *
 * Sockets that outlive their cgroup, as others have them, are no longer matched
 * once there is another one of its path, but for what is remembered of them.
 *
 * LIMITS. Only the policy in force is written to. Who puts one in force looks
 * for its cgroups afterwards, see policy_find_again() in the loader; who puts an
 * older one back does, too. Cgroups of version 1 are other hierarchies, with
 * numbers and paths of their own.
 */
#include "policy.bpf.h"
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

/* One word more: a path that is cut is none that a policy can have. */
#define PATH_WORDS	(VSFQ_CGROUP_SIZE / 8)

const volatile __u64 build;	/* tells the loader one version from another */

/* Members that vmlinux.h does not have. */
struct cgroup_root___made {
	int hierarchy_id;		/* 0: version 2 */
} __attribute__((preserve_access_index));

struct cgroup___made {
	struct cgroup_root___made *root;
} __attribute__((preserve_access_index));

/* Both are filled up with zeros. */
static __always_inline bool same_path(const struct vsfq_cgroup *c,
				      const __u64 *path)
{
	const __u64 *ours = (const __u64 *)c->path;
	__u32 i;

	for (i = 0; i < PATH_WORDS; i++)
		if (ours[i] != path[i])
			return false;
	return true;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(vsfq_mkdir, struct cgroup *cgroup, const char *name)
{
	struct vsfq_policy *p = policy_in_force();
	__u64 path[PATH_WORDS + 1] = { };
	struct vsfq_cgroup *c;
	int i;

	if (!p || ((struct cgroup___made *)cgroup)->root->hierarchy_id)
		return 0;
	bpf_probe_read_kernel_str(path, sizeof(path), name);
	/* What is not used has the level of the root, which is never made. */
	bpf_for(i, 0, VSFQ_MAX_CGROUPS) {
		c = &p->cgroup[i % VSFQ_MAX_CGROUPS];
		if (c->level != cgroup->level || !same_path(c, path))
			continue;
		*(volatile __u64 *)&c->id = cgroup->kn->id;
		break;
	}
	return 0;
}
