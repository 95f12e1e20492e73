/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NETDEV_H
#define NETDEV_H

#include <stdint.h>

/* Run a shell command with the guest's device in $DEV; -EIO if it fails */
int netdev_run(uint64_t cid, const char *command);

#endif
