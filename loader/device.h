/* SPDX-License-Identifier: GPL-2.0-only */
/* The vsock devices of this network namespace. */
#ifndef LOADER_DEVICE_H
#define LOADER_DEVICE_H

#include <net/if.h>
#include <stdbool.h>

#define MAX_DEVICES	1024

struct device {
	int ifindex;
	bool up;
	char name[IFNAMSIZ];
	char port[32];		/* "cid42", empty if not told */
};

struct devices {
	int count;
	struct device device[MAX_DEVICES];
};

/* All of them. */
int devices_list(struct devices *list);

/* One by name: -ENODEV if there is none, -EMEDIUMTYPE if it is not vsock. */
int device_find(const char *name, struct device *dev);

#endif
