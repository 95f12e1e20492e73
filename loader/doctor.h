/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of "doctor"; each adds what it finds, see finding.h. */
#ifndef LOADER_DOCTOR_H
#define LOADER_DOCTOR_H

#include <jansson.h>

struct device;

/* The kernel, the file system of pins, what this process may do. */
void doctor_machine(json_t *findings);

/* The policy in force, the qdisc as it is registered, what nobody needs. */
void doctor_pins(json_t *findings);

/* One vsock device. */
void doctor_device(json_t *findings, const struct device *dev);

#endif
