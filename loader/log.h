/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LOADER_LOG_H
#define LOADER_LOG_H

struct options;

/* From now on libbpf says as much as -v asks for, and no more. */
void log_start(const struct options *opt);

#endif
