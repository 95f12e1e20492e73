// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel has no way to end the vsock connection of somebody else, and no
 * program on a device could: what belongs to a connection passes. But who may
 * trace a process may have its descriptors, and shut down what is behind them.
 * Both sides then see what they see when the other one has closed: the end of
 * the data, and EPIPE.
 */
#include <bpf/bpf.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "pins.h"
#include "policy.h"
#include "policy_words.h"
#include "strict.h"

#define bpf_for(i, start, end)	for (i = (start); i < (end); i++)
#ifndef __always_inline
#define __always_inline		inline __attribute__((always_inline))
#endif
#include "../bpf/match.h"

#define PROC		"/proc"
#define HANDLE_CGROUP	0xfe	/* FILEID_KERNFS of linux/exportfs.h */

struct search {
	const struct vsfq_policy *policy;
	struct vsfq_flow_key key;	/* without the local CID */
	bool refused;			/* the answer about it */
	bool denied;			/* some could not be found out */
	bool other;			/* another version's, in another form */
	int ended;
};

/* Who has a connection. */
struct owner {
	__u64 cgroup;			/* 0: unknown */
	bool unknown;			/* a rule asked in vain */
	bool denied;			/* because we may not */
};

/* The path of the cgroup of this number, below the mount point; or -errno. */
static int cgroup_path(__u64 id, char path[PATH_MAX])
{
	struct {
		struct file_handle handle;
		__u64 id;
	} h = { { .handle_bytes = sizeof(id), .handle_type = HANDLE_CGROUP } };
	int top = open(POLICY_CGROUPS, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	char link[32];
	ssize_t length;

	memcpy(h.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(top, &h.handle, O_PATH | O_CLOEXEC);
	close(top);
	if (fd < 0)
		return -errno;
	snprintf(link, sizeof(link), PROC "/self/fd/%d", fd);
	length = readlink(link, path, PATH_MAX - 1);
	close(fd);
	if (length < (ssize_t)strlen(POLICY_CGROUPS))
		return -ENOENT;
	path[length] = '\0';
	memmove(path, path + strlen(POLICY_CGROUPS),
		length - strlen(POLICY_CGROUPS) + 1);
	return 0;
}

static bool in_cgroup_of(void *of, const struct vsfq_cgroup *cgroup)
{
	size_t length = strlen(cgroup->path);
	struct owner *owner = of;
	char path[PATH_MAX];
	int err;

	err = owner->cgroup ? cgroup_path(owner->cgroup, path) : -ENOENT;
	if (err) {
		owner->unknown = true;
		owner->denied |= err == -EPERM;
		return false;
	}
	return !strcmp(cgroup->path, "/") ||
	       (!strncmp(path, cgroup->path, length) &&
		(path[length] == '/' || !path[length]));
}

/* Where a rule might be about it, or not, it is not for us to end it. */
static bool refuses(struct search *s, const struct vsfq_device_stats *dev,
		    const struct vsfq_flow_key *key,
		    const struct vsfq_flow_stats *stats)
{
	struct owner owner = { .cgroup = stats->cgroup };
	struct match_owner match = { .of = &owner, .in = in_cgroup_of };
	__u32 judged = match_rules(s->policy, key, stats->opened,
				   VSFQ_CLASS_STREAM, dev, &match, false);

	s->denied |= owner.denied;
	return !owner.unknown && VSFQ_JUDGED_VERDICT(judged) >= VSFQ_REJECT;
}

/*
 * What is known of a connection: its flow or, if that was forgotten, who opened
 * it, as long as a cap counts it. Returns 0 or an error.
 */
static int read_flow(const char *name, const struct vsfq_flow_key *key,
		     struct vsfq_flow_stats *stats)
{
	struct vsfq_connection c = { };
	int flows = pins_open_map(name, "flows", sizeof(*stats));
	int opens = pins_open_map(name, "connections", sizeof(c));
	int err = bpf_map_lookup_elem(flows, key, stats);

	if (err) {
		err = bpf_map_lookup_elem(opens, key, &c);
		*stats = (struct vsfq_flow_stats){ .opened = c.opened };
	}
	close(flows);
	close(opens);
	return err;
}

/* Does a connection pass this device, and is it refused? */
static int ask_device(const char *name, void *data)
{
	struct search *s = data;
	struct vsfq_flow_key key = s->key;
	struct vsfq_device_stats dev;
	struct vsfq_flow_stats stats;
	int fd = pins_open_map(name, "device", sizeof(dev));
	__u32 zero = 0;

	s->other |= fd == -EPROTO;
	if (fd >= 0 && !bpf_map_lookup_elem(fd, &zero, &dev)) {
		key.local_cid = dev.local_cid;
		if (!read_flow(name, &key, &stats))
			s->refused |= refuses(s, &dev, &key, &stats);
	}
	close(fd);
	return 0;
}

/* Both addresses of a connection; false if this is none. */
static bool read_key(int fd, struct vsfq_flow_key *key)
{
	struct sockaddr_vm local, peer;
	socklen_t size = sizeof(int);
	int domain = 0, type = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) ||
	    domain != AF_VSOCK ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) ||
	    type == SOCK_DGRAM)
		return false;
	size = sizeof(local);
	if (getsockname(fd, (struct sockaddr *)&local, &size) ||
	    getpeername(fd, (struct sockaddr *)&peer, &size))
		return false;
	memset(key, 0, sizeof(*key));
	key->local_port = local.svm_port;
	key->peer_cid = peer.svm_cid;
	key->peer_port = peer.svm_port;
	key->type = type == SOCK_STREAM ? POLICY_TYPE_STREAM :
					  POLICY_TYPE_SEQPACKET;
	return true;
}

static int look_at_socket(struct search *s, int pidfd, int number)
{
	int fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);

	/* It may be gone, or have become another one: that is no error. */
	if (fd < 0)
		return errno == EPERM ? -EACCES : 0;
	s->refused = false;
	if (read_key(fd, &s->key))
		pins_each(ask_device, s);
	if (s->refused && !shutdown(fd, SHUT_RDWR))
		s->ended++;
	close(fd);
	return 0;
}

/* Or may it be one? Who may not see that gets no descriptor of it either. */
static bool is_socket(int directory, const char *name)
{
	char target[8] = "";

	if (readlinkat(directory, name, target, sizeof(target)) < 0)
		return errno == EACCES;
	return !strncmp(target, "socket:", 7);
}

static int look_at_process(struct search *s, const char *pid)
{
	int err = 0, pidfd = syscall(SYS_pidfd_open, atoi(pid), 0);
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *fds;

	snprintf(path, sizeof(path), PROC "/%s/fd", pid);
	fds = pidfd < 0 ? NULL : opendir(path);
	if (!fds)
		err = errno == EACCES ? -EACCES : 0;
	while (!err && fds && (entry = readdir(fds)))
		if (is_socket(dirfd(fds), entry->d_name))
			err = look_at_socket(s, pidfd, atoi(entry->d_name));
	if (fds)
		closedir(fds);
	close(pidfd);
	return err;
}

int strict_end(const struct vsfq_policy *policy)
{
	struct search s = { .policy = policy };
	DIR *processes = opendir(PROC);
	struct dirent *entry;
	int err = 0;

	if (!processes)
		return -errno;
	while ((entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]))
			err = look_at_process(&s, entry->d_name) ?: err;
	closedir(processes);
	if (!err)
		err = s.denied ? -EACCES : s.other ? -EPROTO : 0;
	return err ?: s.ended;
}
