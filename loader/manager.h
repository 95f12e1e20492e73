/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LOADER_MANAGER_H
#define LOADER_MANAGER_H

#include <stdbool.h>

/*
 * Does one of these believe that this device is its own to configure? By the
 * state that they keep in files below /run, without asking them.
 */
bool manager_networkd(int ifindex);
bool manager_networkmanager(int ifindex);

#endif
