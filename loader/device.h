/* SPDX-License-Identifier: GPL-2.0-only */
/* The vsock devices of this network namespace. */
#ifndef LOADER_DEVICE_H
#define LOADER_DEVICE_H

#include <linux/types.h>
#include <net/if.h>
#include <stdbool.h>

#include "../bpf/vsfq.h"
#include "owner.h"

#define MAX_DEVICES	VSFQ_MAX_DEVICES

struct device {
	int ifindex;
	bool up;
	char name[IFNAMSIZ];
	char owner[OWNER_SIZE];	/* of its pins */
	bool guest;		/* it leads to a host, not to a guest */
	char port[VSFQ_NAME_SIZE];	/* "cid42", the guest's; or empty */
};

struct devices {
	int count;
	struct device device[MAX_DEVICES];
};

/* All of them. */
int devices_list(struct devices *list);

/* One by name: -ENODEV if there is none, -EMEDIUMTYPE if it is not vsock. */
int device_find(const char *name, struct device *dev);

/* The same by its number. What is told of one that is not vsock is read, too. */
int device_at(int ifindex, struct device *dev);

#endif
