/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring of events, /sys/fs/bpf/vsfq/@events/events: one for all devices, so
 * that who listens also hears those that come later. Everything returns
 * -errno when it fails.
 */
#ifndef LOADER_EVENTS_H
#define LOADER_EVENTS_H

#include <linux/types.h>
#include <signal.h>

struct bpf_map;

/* Let the map of an object that is not loaded yet be the one of all. */
int events_share(struct bpf_map *map);

/* The number of that map, 0 if it is not there. */
__u32 events_number(void);

/*
 * A descriptor of the ring; it has one reader at a time: -EBUSY if there is
 * another. The ring is kept for the reader until *lock is closed. -EINTR: a
 * signal that this mask lets in came before.
 */
int events_listen(int *lock, const sigset_t *signals);

/* Remove the pin, unless programs use the ring or somebody listens. */
void events_forget(void);

#endif
