// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "rtnl.h"

/* The type that vsfq's kernel patches give to vsock devices, beside 826. */
#define ARPHRD_VSOCK	827

static int read_attribute(const struct nlattr *attr, void *data)
{
	struct device *dev = data;
	int length = mnl_attr_get_payload_len(attr);

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		snprintf(dev->name, sizeof(dev->name), "%s",
			 mnl_attr_get_str(attr));
		break;
	case IFLA_PARENT_DEV_NAME:
		/* virtio's; that of a host is software. */
		dev->guest = true;
		break;
	case IFLA_PHYS_PORT_NAME:
		snprintf(dev->port, sizeof(dev->port), "%.*s", length,
			 mnl_attr_get_str(attr));
		break;
	}
	return MNL_CB_OK;
}

static int read_device(const struct nlmsghdr *nlh, struct device *dev)
{
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	memset(dev, 0, sizeof(*dev));
	dev->ifindex = ifi->ifi_index;
	dev->up = ifi->ifi_flags & IFF_UP;
	mnl_attr_parse(nlh, sizeof(*ifi), read_attribute, dev);
	if (ifi->ifi_type == ARPHRD_VSOCK)
		owner_of(dev->name, dev->owner);
	return ifi->ifi_type;
}

static int add_device(const struct nlmsghdr *nlh, void *data)
{
	struct devices *list = data;
	struct device dev;

	if (read_device(nlh, &dev) != ARPHRD_VSOCK)
		return MNL_CB_OK;
	if (list->count == MAX_DEVICES) {
		errno = E2BIG;
		return MNL_CB_ERROR;
	}
	list->device[list->count++] = dev;
	return MNL_CB_OK;
}

static struct nlmsghdr *link_request(char *buffer, int flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = flags;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	return nlh;
}

int devices_list(struct devices *list)
{
	char buffer[RTNL_BUFFER];
	int err;

	do {
		list->count = 0;
		err = rtnl_talk(link_request(buffer, NLM_F_DUMP), add_device,
				list);
	} while (err == -EINTR);
	return err;
}

struct found {
	struct device *dev;
	int type;
};

static int found_device(const struct nlmsghdr *nlh, void *data)
{
	struct found *found = data;

	found->type = read_device(nlh, found->dev);
	return MNL_CB_OK;
}

static int find(struct nlmsghdr *nlh, struct device *dev)
{
	struct found found = { .dev = dev };
	int err = rtnl_talk(nlh, found_device, &found);

	if (err)
		return err;
	return found.type == ARPHRD_VSOCK ? 0 : -EMEDIUMTYPE;
}

int device_find(const char *name, struct device *dev)
{
	char buffer[RTNL_BUFFER];
	struct nlmsghdr *nlh;

	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	nlh = link_request(buffer, 0);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return find(nlh, dev);
}

int device_at(int ifindex, struct device *dev)
{
	char buffer[RTNL_BUFFER];
	struct nlmsghdr *nlh = link_request(buffer, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_index = ifindex;
	return find(nlh, dev);
}
