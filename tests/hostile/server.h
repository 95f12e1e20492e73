/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's side: sockets that take the hostile guest seriously. They accept,
 * read, write, wait and close without regard to what they got; and an echo for
 * the guest that behaves.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdint.h>

/* Serve from @port on, see ports.h; connect to and send to @cid, too. Threads
 * that end with the process.
 */
int server_start(uint32_t port, uint32_t cid);
/* Say what has come from @cid */
void server_report(void);

#endif
