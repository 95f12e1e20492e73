/* SPDX-License-Identifier: GPL-2.0-only */
/* The classifier of a device: attached to tcx, pinned under the owner's name. */
#ifndef LOADER_CLASSIFIER_H
#define LOADER_CLASSIFIER_H

#include <linux/types.h>
#include <stdbool.h>

#include "../bpf/vsfq.h"

struct device;

/*
 * Attach, or put this version in the place of another without a packet in
 * between that no classifier sees; the counters go on. So it does where it is on
 * one of its hooks alone. Returns 1 if any version was attached to this device
 * before, 0 if none was, or -errno; on error nothing has changed.
 */
int classifier_attach(const struct device *dev, __u32 overhead);

/*
 * Devices may have another name, or a guest another CID, than when they were
 * attached: so has then what is pinned of them. connect_refresh() is due.
 */
int classifier_refresh(void);

/* Detach what is pinned there. */
int classifier_detach(const char *owner);

/* The device it is attached to, by one hook at least; 0 if that is gone. */
int classifier_ifindex(const char *owner);

/* Is it this one? */
bool classifier_is_attached(const struct device *dev);

/* Did this version attach it? With whatever overhead. */
bool classifier_is_current(const char *owner);

/*
 * Does a policy that is put in force reach it? Returns 1, 0 or -errno. Also 1
 * if it is attached to no device, or if somebody has unpinned its program.
 */
int classifier_is_reached(const char *owner);

/* By which it goes on this device, 0 unless this version attached it there. */
__u32 classifier_overhead(const struct device *dev);

/* The id of the program that it has on this hook, 0 if that is unknown. */
__u32 classifier_program(const char *owner, bool egress);

struct classifier_stats {
	struct vsfq_device_stats device;
	struct vsfq_class_stats class[VSFQ_MAX_CLASSES];
};

int classifier_read(const char *owner, struct classifier_stats *stats);

/* Call for each flow; the order is the table's. */
int classifier_flows(const char *owner,
		     void (*visit)(const struct vsfq_flow_key *key,
				   const struct vsfq_flow_stats *stats,
				   void *data),
		     void *data);

#endif
