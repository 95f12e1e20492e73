/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LOADER_CHOOSE_H
#define LOADER_CHOOSE_H

struct devices;
struct options;

/*
 * The devices that an argument names: one, or with "all" every one there is.
 * Complains that it "cannot verb" and returns EXIT_FAILED if there is none.
 */
int choose_devices(const struct options *opt, const char *verb,
		   const char *argument, struct devices *list);

#endif
