// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <unistd.h>

#include "capability.h"
#include "doctor.h"
#include "finding.h"
#include "kernel.h"
#include "pins.h"

static bool has_driver(const char *name, const char *parameter)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s%s", name, parameter);
	return !access(path, F_OK);
}

/* By a parameter that only the patches add. Returns whether it is loaded. */
static bool look_at_driver(json_t *findings, const char *name)
{
	if (!has_driver(name, ""))
		return false;
	if (has_driver(name, "/parameters/dgram")) {
		finding_add(findings, FINDING_OK, "kernel",
			    "%s has the patches of vsfq", name);
		return true;
	}
	finding_add(findings, FINDING_PROBLEM, "kernel",
		    "%s is without the patches of vsfq", name);
	finding_fix(findings, "a kernel with them");
	return true;
}

static void look_at_patches(json_t *findings)
{
	bool guest = look_at_driver(findings, "vmw_vsock_virtio_transport");
	bool host = look_at_driver(findings, "vhost_vsock");

	if (guest || host)
		return;
	finding_add(findings, FINDING_WARNING, "kernel",
		    "no driver of vsock is loaded, to tell whether it has the patches of vsfq");
	finding_fix(findings,
		    "modprobe vmw_vsock_virtio_transport in a guest, vhost_vsock on a host");
}

static void look_at_option(json_t *findings, bool there, const char *what,
			   const char *option)
{
	finding_add(findings, there ? FINDING_OK : FINDING_PROBLEM, "kernel",
		    "has %s%s", there ? "" : "no ", what);
	if (!there)
		finding_fix(findings, "a kernel with %s", option);
}

/* Of one without a BPF LSM that is told alone. */
static void look_at_hooks(json_t *findings, const struct kernel *kernel)
{
	if (kernel->socket_hooks || !kernel_has_bpf_lsm())
		return;
	finding_add(findings, FINDING_WARNING, "kernel",
		    "has no LSM hooks of sockets: what the policy rejects on its way out is dropped");
	finding_fix(findings, "a kernel with CONFIG_SECURITY_NETWORK");
}

static void look_at_kernel(json_t *findings)
{
	struct kernel kernel;
	bool btf = !kernel_read(&kernel);

	look_at_option(findings, btf, "BTF", "CONFIG_DEBUG_INFO_BTF");
	if (!btf)
		return;
	look_at_option(findings, kernel.bpf_qdisc, "BPF qdiscs",
		       "CONFIG_NET_SCH_BPF");
	look_at_option(findings, kernel.tcx, "tcx hooks",
		       "CONFIG_NET_XGRESS");
	look_at_hooks(findings, &kernel);
}

static void look_at_lsm(json_t *findings)
{
	if (kernel_has_bpf_lsm()) {
		finding_add(findings, FINDING_OK, "kernel", "has the BPF LSM");
		return;
	}
	finding_add(findings, FINDING_WARNING, "kernel",
		    "has no BPF LSM: what the policy rejects on its way out is dropped");
	finding_fix(findings,
		    "a kernel with CONFIG_BPF_LSM and CONFIG_SECURITY_NETWORK, and bpf in lsm= of its command line");
}

static void look_at_file_system(json_t *findings)
{
	bool there = pins_mounted();

	finding_add(findings, there ? FINDING_OK : FINDING_PROBLEM, "machine",
		    "%s BPF file system on /sys/fs/bpf", there ? "a" : "no");
	if (!there)
		finding_fix(findings, "mount -t bpf bpf /sys/fs/bpf");
}

static void look_at_capabilities(json_t *findings)
{
	static const struct {
		int number;
		const char *name;
	} needed[] = {
		{ CAP_BPF, "CAP_BPF" },
		{ CAP_PERFMON, "CAP_PERFMON" },
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
	};
	bool all = true;
	int i;

	for (i = 0; i < 3; i++) {
		if (has_capability(needed[i].number))
			continue;
		finding_add(findings, FINDING_PROBLEM, "machine",
			    "this process has no %s", needed[i].name);
		finding_fix(findings, "root");
		all = false;
	}
	if (all && may_use_bpf()) {
		finding_add(findings, FINDING_OK, "machine",
			    "this process may use BPF");
	} else if (all) {
		finding_add(findings, FINDING_PROBLEM, "machine",
			    "this process has all capabilities but may not use BPF");
		finding_fix(findings, "root outside of containers");
	}
}

void doctor_machine(json_t *findings)
{
	look_at_patches(findings);
	look_at_kernel(findings);
	look_at_lsm(findings);
	look_at_file_system(findings);
	look_at_capabilities(findings);
}
