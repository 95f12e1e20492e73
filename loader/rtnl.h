/* SPDX-License-Identifier: GPL-2.0-only */
/* One request to rtnetlink at a time. Everything returns 0 or -errno. */
#ifndef LOADER_RTNL_H
#define LOADER_RTNL_H

#include <libmnl/libmnl.h>

#define RTNL_BUFFER	8192

/*
 * Send a request; cb, if any, sees each message of the answer. -EINTR: what a
 * dump is of changed meanwhile, so that some of it may have been left out. Who
 * dumps forgets then what cb has seen, and asks again.
 */
int rtnl_talk(struct nlmsghdr *nlh, mnl_cb_t cb, void *data);

#endif
