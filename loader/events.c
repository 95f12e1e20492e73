// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "../bpf/event.h"
#include "events.h"
#include "pins.h"

#define PINS_EVENTS	"@events"
#define MAP		"events"

static int new_ring(void)
{
	return bpf_map_create(BPF_MAP_TYPE_RINGBUF, MAP, 0, 0,
			      VSFQ_EVENT_BYTES, NULL);
}

static int open_ring(void)
{
	return pins_open_or_make(PINS_EVENTS, MAP, new_ring);
}

int events_share(struct bpf_map *map)
{
	int err, fd = open_ring();

	if (fd < 0)
		return fd;
	err = bpf_map__reuse_fd(map, fd);
	close(fd);
	return err;
}

__u32 events_number(void)
{
	return pins_number(PINS_EVENTS, MAP);
}

static int try_lock(void)
{
	char path[PATH_MAX];
	int err, fd;

	fd = open(pins_path(path, PINS_EVENTS, NULL), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return err;
}

int events_listen(int *lock, const sigset_t *signals)
{
	int fd, changing = pins_lock_or_stop(signals);

	if (changing == -EINTR)
		return changing;
	fd = open_ring();
	if (fd >= 0)
		*lock = try_lock();
	close(changing);
	if (fd < 0 || *lock >= 0)
		return fd;
	close(fd);
	return *lock;
}

void events_forget(void)
{
	int lock;

	if (pins_sharing())
		return;
	lock = try_lock();
	if (lock < 0)
		return;
	pins_remove(PINS_EVENTS);
	close(lock);
}
