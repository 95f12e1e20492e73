/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SOCK_H
#define SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/vm_sockets.h>

/* All return -errno on failure */
/* @patience: how many seconds the socket waits for anything */
int sock_dial(int type, uint32_t cid, uint32_t port, int prio,
	      unsigned int patience);
int sock_bind(int type, uint32_t port);
int sock_listen(int type, uint32_t port);
int send_all(int fd, const void *buf, size_t len);
/* 0 only when all came; -ECONNRESET when the peer closed before */
int recv_all(int fd, void *buf, size_t len);

#endif
