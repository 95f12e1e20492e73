/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SERVER_H
#define SERVER_H

#include <stdint.h>

/* Serves until killed; -errno when it cannot start */
int serve(uint32_t port);

#endif
