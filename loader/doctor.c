// SPDX-License-Identifier: GPL-2.0-only
#include "device.h"
#include "doctor.h"
#include "finding.h"
#include "print.h"
#include "vsfq.h"

static void look_at_devices(json_t *findings)
{
	static struct devices list;
	int i, err = devices_list(&list);

	if (err) {
		finding_error(findings, FINDING_PROBLEM, "devices",
			      "cannot be listed", err);
		return;
	}
	if (!list.count) {
		finding_add(findings, FINDING_WARNING, "devices",
			    "no vsock device in this network namespace");
		finding_fix(findings,
			    "on a host start a guest with a vsock device, in a guest modprobe vmw_vsock_virtio_transport");
	}
	for (i = 0; i < list.count; i++)
		doctor_device(findings, &list.device[i]);
}

int command_doctor(const struct options *opt, char **arguments)
{
	json_t *findings = json_array();
	int ret;

	doctor_machine(findings);
	doctor_pins(findings);
	look_at_devices(findings);
	if (opt->json)
		print_json(opt, findings);
	else
		finding_print(findings);
	ret = finding_problems(findings) ? EXIT_FAILED : EXIT_DONE;
	json_decref(findings);
	return ret;
}
