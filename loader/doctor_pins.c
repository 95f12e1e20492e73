// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "classifier.h"
#include "connect.h"
#include "doctor.h"
#include "finding.h"
#include "kernel.h"
#include "pins.h"
#include "policy.h"
#include "policy_change.h"
#include "policy_map.h"
#include "sched.h"

#define ABOUT	"policy"
#define SYSTEMD	"/run/systemd/system"	/* there if it runs */
#define WANTED	"sysinit.target.wants/vsfq.service"

/* The text is good, and the cgroups are there or can be waited for. */
static bool read_file(json_t *findings, struct vsfq_policy *policy)
{
	static struct policy_error error;

	if (!policy_parse(POLICY_FILE, policy_seek_cgroup, policy, &error))
		return true;
	finding_add(findings, FINDING_PROBLEM, ABOUT, "%s",
		    policy_error_text(&error));
	finding_fix(findings, "correct it, then vsfq apply");
	return false;
}

/* Of a service that is not running, or a slip of the pen. */
static void look_at_cgroups(json_t *findings, const struct vsfq_policy *file)
{
	const struct vsfq_cgroup *c = file->cgroup;

	for (; c < file->cgroup + VSFQ_MAX_CGROUPS && *c->path; c++) {
		if (c->id)
			continue;
		finding_add(findings, FINDING_WARNING, ABOUT,
			    "cgroup \"%s\" is not there: its rules match nothing until it is",
			    c->path);
		finding_fix(findings, "ls %s", POLICY_CGROUPS);
	}
}

/* Is a policy that names some told of cgroups that are made? */
static void look_at_watch(json_t *findings)
{
	if (cgroup_is_current()) {
		finding_add(findings, FINDING_OK, ABOUT,
			    "told of new cgroups by this version of vsfq");
		return;
	}
	if (pins_exist(PINS_CGROUP)) {
		finding_add(findings, FINDING_WARNING, ABOUT,
			    "told of new cgroups by another version of vsfq");
		finding_fix(findings, "vsfq apply");
		return;
	}
	finding_add(findings, FINDING_WARNING, ABOUT,
		    "not told of new cgroups: one that is made again is another to it");
	finding_fix(findings, "vsfq -v apply, which says why");
}

static void look_at_cgroups_in_force(json_t *findings,
				     struct vsfq_policy *current)
{
	if (!policy_has_cgroups(current))
		return;
	look_at_watch(findings);
	if (policy_find_again(current)) {
		finding_add(findings, FINDING_WARNING, ABOUT,
			    "a cgroup was made that it was not told of");
		finding_fix(findings, "vsfq apply");
	}
}

static void compare(json_t *findings, const struct vsfq_policy *current)
{
	static struct vsfq_policy file;

	if (access(POLICY_FILE, F_OK) || !read_file(findings, &file))
		return;
	look_at_cgroups(findings, &file);
	policy_keep_classes(&file, current);
	if (policy_same(&file, current))
		return;
	finding_add(findings, FINDING_WARNING, ABOUT,
		    "%s is not what is in force", POLICY_FILE);
	finding_fix(findings, "vsfq apply");
}

/* Where systemd looks for what is enabled, and who administers enables. */
static bool is_enabled(void)
{
	static const char * const links[] = {
		"/etc/systemd/system/" WANTED,
		"/run/systemd/system/" WANTED,
		"/usr/lib/systemd/system/" WANTED,
	};
	int i;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (!access(links[i], F_OK))
			return true;
	return false;
}

/* Will what is in force be there again when the machine was restarted? */
static void look_at_boot(json_t *findings)
{
	if (access(POLICY_FILE, F_OK)) {
		finding_add(findings, FINDING_WARNING, ABOUT,
			    "%s is not there: after a reboot none is in force",
			    POLICY_FILE);
		finding_fix(findings, "vsfq policy show > %s", POLICY_FILE);
	}
	/* Something else than systemd may apply it. */
	if (!access(SYSTEMD, F_OK) && !is_enabled()) {
		finding_add(findings, FINDING_WARNING, ABOUT,
			    "vsfq.service is not enabled: after a reboot none is in force");
		finding_fix(findings, "systemctl enable vsfq.service");
	}
}

static void look_at_policy(json_t *findings)
{
	static struct vsfq_policy policy;
	int ret = policy_map_read(&policy);

	if (ret < 0) {
		finding_error(findings, ret == -EPROTO ? FINDING_PROBLEM :
			      FINDING_WARNING, ABOUT, "cannot be read", ret);
		return;
	}
	if (ret)
		finding_add(findings, FINDING_OK, ABOUT,
			    "one of %u rules is in force", policy.rules);
	else
		finding_add(findings, FINDING_OK, ABOUT,
			    "none is in force: everything passes");
	compare(findings, &policy);
	look_at_cgroups_in_force(findings, &policy);
	if (ret)
		look_at_boot(findings);
}

static void look_at_qdisc(json_t *findings)
{
	if (!pins_exist(PINS_QDISC))
		return;
	if (sched_is_current()) {
		finding_add(findings, FINDING_OK, "qdisc",
			    "registered by this version of vsfq");
		return;
	}
	finding_add(findings, FINDING_WARNING, "qdisc",
		    "registered by another version of vsfq");
	finding_fix(findings, "vsfq attach all");
}

/* Without a BPF LSM it cannot be there, which the machine's part tells. */
static void look_at_connect(json_t *findings)
{
	if (pins_any() <= 0 || !kernel_has_bpf_lsm())
		return;
	if (connect_is_current()) {
		finding_add(findings, FINDING_OK, "connect",
			    "refused by this version of vsfq");
		return;
	}
	if (pins_exist(PINS_CONNECT)) {
		finding_add(findings, FINDING_WARNING, "connect",
			    "refused by another version of vsfq");
		finding_fix(findings, "vsfq attach all");
		return;
	}
	finding_add(findings, FINDING_WARNING, "connect",
		    "what the policy rejects on its way out is dropped");
	finding_fix(findings, "vsfq -v attach all, which says why");
}

static int look_for_gone(const char *owner, void *data)
{
	json_t *findings = data;

	if (!classifier_ifindex(owner)) {
		finding_add(findings, FINDING_WARNING, owner,
			    "what is pinned under this name is attached to no device");
		finding_fix(findings, "vsfq detach %s", owner);
	}
	return 0;
}

void doctor_pins(json_t *findings)
{
	look_at_policy(findings);
	look_at_qdisc(findings);
	look_at_connect(findings);
	pins_each(look_for_gone, findings);
}
