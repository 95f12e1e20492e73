// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroup.h"
#include "policy.h"
#include "policy_build.h"
#include "policy_change.h"

#define MAX_LINES	(VSFQ_MAX_RULES + VSFQ_MAX_CLASSES +		\
			 VSFQ_MAX_SECTIONS + 2)

#define ROOT_CGROUP	1	/* its number, also that of its directory */

static bool is_cgroup2(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Why no path can be found, or NULL. */
static const char *no_cgroups(void)
{
	struct stat st;

	if (!is_cgroup2(POLICY_CGROUPS))
		return "is no cgroup to be found: cgroup v2 is not on "
		       POLICY_CGROUPS;
	/* The kernel counts levels from its own root. */
	if (stat(POLICY_CGROUPS, &st) || st.st_ino != ROOT_CGROUP)
		return "is no cgroup to be found: those of a cgroup namespace are not the machine's";
	return NULL;
}

/* The number of its directory is what the kernel calls a cgroup's id. */
__u64 policy_cgroup_id(const struct vsfq_cgroup *cgroup)
{
	char path[sizeof(POLICY_CGROUPS) + VSFQ_CGROUP_SIZE];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", POLICY_CGROUPS, cgroup->path);
	return is_cgroup2(path) && !stat(path, &st) && S_ISDIR(st.st_mode) ?
	       st.st_ino : 0;
}

/* Why one that is not there cannot be waited for, or NULL. */
static const char *no_watch(void)
{
	int err = cgroup_can_watch();

	if (!err)
		return NULL;
	return err == -EPERM ?
	       "is no cgroup that is there, and to wait for it needs CAP_BPF and CAP_PERFMON (try: root)" :
	       "is no cgroup that is there, and this kernel cannot tell when it is made (CONFIG_BPF_EVENTS)";
}

const char *policy_find_cgroup(struct vsfq_cgroup *cgroup)
{
	const char *wrong = no_cgroups();

	if (wrong)
		return wrong;
	cgroup->id = policy_cgroup_id(cgroup);
	return cgroup->id ? NULL : no_watch();
}

const char *policy_seek_cgroup(struct vsfq_cgroup *cgroup)
{
	const char *wrong = policy_find_cgroup(cgroup);

	return wrong && cgroup_can_watch() == -EPERM ? no_cgroups() : wrong;
}

bool policy_has_cgroups(const struct vsfq_policy *policy)
{
	return *policy->cgroup[0].path;
}

/*
 * One that is being made is not visible yet when what watches has seen it. Who
 * asks what is attached to a cgroup waits for the lock of who makes one.
 */
static void wait_for_mkdir(void)
{
	int fd = open(POLICY_CGROUPS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__u32 count = 0;

	bpf_prog_query(fd, BPF_CGROUP_INET_EGRESS, 0, NULL, NULL, &count);
	close(fd);
}

bool policy_find_again(struct vsfq_policy *policy)
{
	struct vsfq_cgroup *c = policy->cgroup;
	bool another = false;
	__u64 id;

	if (!policy_has_cgroups(policy) || no_cgroups())
		return false;
	wait_for_mkdir();
	for (; c < policy->cgroup + VSFQ_MAX_CGROUPS && *c->path; c++) {
		id = policy_cgroup_id(c);
		if (!id || id == c->id)
			continue;
		c->id = id;
		another = true;
	}
	return another;
}

void policy_keep_cgroups(struct vsfq_policy *p, const struct vsfq_policy *old)
{
	struct vsfq_cgroup *c = p->cgroup;
	int i;

	for (; c < p->cgroup + VSFQ_MAX_CGROUPS && *c->path; c++)
		for (i = 0; !c->id && i < VSFQ_MAX_CGROUPS; i++)
			if (!strcmp(old->cgroup[i].path, c->path))
				c->id = old->cgroup[i].id;
}

/* A number that neither has, or else one that only the old policy has. */
static int free_class(const struct vsfq_policy *kept,
		      const struct vsfq_policy *old)
{
	int i;

	for (i = 0; i < VSFQ_MAX_CLASSES; i++)
		if (!*kept->class[i].name && !*old->class[i].name)
			return i;
	return policy_find_class(kept, "");
}

void policy_keep_classes(struct vsfq_policy *p, const struct vsfq_policy *old)
{
	static struct vsfq_policy kept;
	int number[VSFQ_MAX_CLASSES], i;

	memset(&kept, 0, sizeof(kept));
	for (i = 0; i < VSFQ_MAX_CLASSES; i++) {
		number[i] = *p->class[i].name ?
			    policy_find_class(old, p->class[i].name) : -1;
		if (number[i] >= 0)
			kept.class[number[i]] = p->class[i];
	}
	for (i = 0; i < VSFQ_MAX_CLASSES; i++) {
		if (!*p->class[i].name || number[i] >= 0)
			continue;
		number[i] = free_class(&kept, old);
		kept.class[number[i]] = p->class[i];
	}
	memcpy(p->class, kept.class, sizeof(p->class));
	for (i = 0; i < p->rules; i++)
		if (p->rule[i].verdict == VSFQ_CLASS)
			p->rule[i].class = number[p->rule[i].class];
}

static bool same_part(const struct vsfq_policy *one,
		      const struct vsfq_policy *other, size_t from, size_t to)
{
	return !memcmp((const char *)one + from, (const char *)other + from,
		       to - from);
}

bool policy_same(const struct vsfq_policy *one,
		 const struct vsfq_policy *other)
{
	int i;

	/* All else about a cgroup follows from its path. */
	for (i = 0; i < VSFQ_MAX_CGROUPS; i++)
		if (strcmp(one->cgroup[i].path, other->cgroup[i].path))
			return false;
	return same_part(one, other, sizeof(one->generation),
			 offsetof(struct vsfq_policy, cgroup)) &&
	       same_part(one, other, offsetof(struct vsfq_policy, rule),
			 sizeof(*one));
}

struct lines {
	char *text;
	char *line[MAX_LINES];
	int count;
};

static int split(const struct vsfq_policy *p, struct lines *lines)
{
	size_t size;
	char *at;
	FILE *file = open_memstream(&lines->text, &size);

	lines->count = 0;
	if (!file)
		return -errno;
	if (p)
		policy_print(p, file);
	if (fclose(file))
		return -errno;
	for (at = strtok(lines->text, "\n"); at && lines->count < MAX_LINES;
	     at = strtok(NULL, "\n"))
		lines->line[lines->count++] = at;
	return 0;
}

/* The longest common subsequence of what begins at old i and new j. */
static void measure(const struct lines *old, const struct lines *new,
		    unsigned short (*common)[MAX_LINES + 1])
{
	int i, j;

	for (i = old->count - 1; i >= 0; i--)
		for (j = new->count - 1; j >= 0; j--)
			if (!strcmp(old->line[i], new->line[j]))
				common[i][j] = common[i + 1][j + 1] + 1;
			else
				common[i][j] = common[i + 1][j] >
					       common[i][j + 1] ?
					       common[i + 1][j] :
					       common[i][j + 1];
}

static void print_lines(const struct lines *old, const struct lines *new,
			unsigned short (*common)[MAX_LINES + 1], FILE *file)
{
	int i = 0, j = 0;

	while (i < old->count || j < new->count) {
		if (i < old->count && j < new->count &&
		    !strcmp(old->line[i], new->line[j])) {
			i++;
			j++;
		} else if (j == new->count || (i < old->count &&
			   common[i + 1][j] >= common[i][j + 1])) {
			fprintf(file, "-%s\n", old->line[i++]);
		} else {
			fprintf(file, "+%s\n", new->line[j++]);
		}
	}
}

int policy_print_change(const struct vsfq_policy *old,
			const struct vsfq_policy *new, FILE *file)
{
	static unsigned short common[MAX_LINES + 1][MAX_LINES + 1];
	static struct lines before, after;
	int err;

	err = split(old, &before) ?: split(new, &after);
	if (!err) {
		memset(common, 0, sizeof(common));
		measure(&before, &after, common);
		print_lines(&before, &after, common, file);
	}
	free(before.text);
	free(after.text);
	return err;
}
