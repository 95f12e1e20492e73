/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LOADER_OUTPUT_H
#define LOADER_OUTPUT_H

/*
 * Write out what was printed on standard output. Returns 0, or -errno, then also
 * of what could not be written before; main() tells it.
 */
int output_flush(void);

#endif
