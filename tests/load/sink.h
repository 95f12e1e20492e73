/* SPDX-License-Identifier: GPL-2.0-only */
/* The receiving end of datagram floods: one socket, any number of sessions */
#ifndef SINK_H
#define SINK_H

#include "wire.h"

/* Start receiving datagrams on @port; -errno */
int sink_start(uint32_t port);
/* Serve the control connection @fd of a flood until it ends */
void sink_session(int fd, const struct hello *hello);

#endif
