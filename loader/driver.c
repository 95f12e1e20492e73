// SPDX-License-Identifier: GPL-2.0-only
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver.h"

#define MAX_STATS	256

/* Netlink has no such counters: they are asked for by ioctl alone. */
static int ask(int fd, const char *device, void *data)
{
	struct ifreq ifr = { .ifr_data = data };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	return ioctl(fd, SIOCETHTOOL, &ifr);
}

static __u32 count_stats(int fd, const char *device)
{
	struct {
		struct ethtool_sset_info info;
		__u32 count;
	} sset = {
		.info.cmd = ETHTOOL_GSSET_INFO,
		.info.sset_mask = 1 << ETH_SS_STATS,
	};

	if (ask(fd, device, &sset) || !sset.info.sset_mask ||
	    sset.count > MAX_STATS)
		return 0;
	return sset.count;
}

static void add_stats(json_t *stats, const struct ethtool_gstrings *names,
		      const struct ethtool_stats *values)
{
	char name[ETH_GSTRING_LEN + 1];
	__u32 i;

	for (i = 0; i < values->n_stats; i++) {
		snprintf(name, sizeof(name), "%.*s", ETH_GSTRING_LEN,
			 names->data + i * ETH_GSTRING_LEN);
		json_object_set_new(stats, name, json_integer(values->data[i]));
	}
}

static void read_stats(int fd, const char *device, json_t *stats)
{
	__u32 count = count_stats(fd, device);
	struct ethtool_gstrings *names;
	struct ethtool_stats *values;

	names = calloc(1, sizeof(*names) + count * ETH_GSTRING_LEN);
	values = calloc(1, sizeof(*values) + count * sizeof(__u64));
	if (names && values) {
		names->cmd = ETHTOOL_GSTRINGS;
		names->string_set = ETH_SS_STATS;
		names->len = count;
		values->cmd = ETHTOOL_GSTATS;
		values->n_stats = count;
		if (count && !ask(fd, device, names) &&
		    !ask(fd, device, values))
			add_stats(stats, names, values);
	}
	free(names);
	free(values);
}

json_t *driver_stats(const char *device)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	json_t *stats = json_object();

	if (fd < 0)
		return stats;
	read_stats(fd, device, stats);
	close(fd);
	return stats;
}
