// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vhost.h>

#include "device.h"

static int set_memory(struct device *dev)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region regions[2];
	} table = { .head.nregions = 2 };
	int i;

	for (i = 0; i < 2; i++) {
		table.regions[i].guest_phys_addr = i * MEM_SLOT;
		table.regions[i].memory_size = MEM_SLOT;
		table.regions[i].userspace_addr =
			(uintptr_t)guest_mem(dev, i * MEM_SLOT);
	}
	return ioctl(dev->fd, VHOST_SET_MEM_TABLE, &table) ? -errno : 0;
}

static int set_file(struct device *dev, unsigned long request, int index,
		    int fd)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };

	return ioctl(dev->fd, request, &file) ? -errno : 0;
}

/* The ring as after a reset: nothing offered, nothing used */
static int clear_ring(struct device *dev, struct ring *ring)
{
	struct vhost_vring_state base = { .index = ring == &dev->tx };

	memset(ring->vring.desc, 0, vring_size(RING_NUM, 4096));
	ring->avail = 0;
	ring->used = 0;
	return ioctl(dev->fd, VHOST_SET_VRING_BASE, &base) ? -errno : 0;
}

static int set_ring(struct device *dev, struct ring *ring, uint32_t at)
{
	int index = ring == &dev->tx, err;
	struct vhost_vring_state num = { .index = index, .num = RING_NUM };
	struct vhost_vring_addr addr = { .index = index };

	vring_init(&ring->vring, RING_NUM, guest_mem(dev, at), 4096);
	addr.desc_user_addr = (uintptr_t)ring->vring.desc;
	addr.avail_user_addr = (uintptr_t)ring->vring.avail;
	addr.used_user_addr = (uintptr_t)ring->vring.used;
	if (ioctl(dev->fd, VHOST_SET_VRING_NUM, &num))
		return -errno;
	err = clear_ring(dev, ring);
	if (err)
		return err;
	if (ioctl(dev->fd, VHOST_SET_VRING_ADDR, &addr))
		return -errno;

	ring->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ring->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ring->err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (ring->kick < 0 || ring->call < 0 || ring->err < 0)
		return -errno;
	err = set_file(dev, VHOST_SET_VRING_KICK, index, ring->kick);
	if (!err)
		err = set_file(dev, VHOST_SET_VRING_CALL, index, ring->call);
	if (!err)
		err = set_file(dev, VHOST_SET_VRING_ERR, index, ring->err);
	return err;
}

int device_set_cid(struct device *dev, uint64_t cid)
{
	if (ioctl(dev->fd, VHOST_VSOCK_SET_GUEST_CID, &cid))
		return -errno;
	dev->cid = cid;
	return 0;
}

static int set_up(struct device *dev, uint64_t cid, uint64_t features)
{
	int err;

	if (ioctl(dev->fd, VHOST_SET_OWNER) ||
	    ioctl(dev->fd, VHOST_GET_FEATURES, &dev->offered))
		return -errno;
	dev->features = features & dev->offered;
	if (ioctl(dev->fd, VHOST_SET_FEATURES, &dev->features))
		return -errno;
	err = set_memory(dev);
	if (!err)
		err = set_ring(dev, &dev->rx, RX_RING_AT);
	if (!err)
		err = set_ring(dev, &dev->tx, TX_RING_AT);
	if (!err && cid)
		err = device_set_cid(dev, cid);
	return err;
}

int device_open(struct device *dev, uint64_t cid, uint64_t features)
{
	int err;

	*dev = (struct device){
		.fd = -1,
		.rx = { .kick = -1, .call = -1, .err = -1 },
		.tx = { .kick = -1, .call = -1, .err = -1 },
	};
	/* Slot, hole, slot */
	dev->mem = mmap(NULL, 3 * MEM_SLOT, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (dev->mem == MAP_FAILED)
		return -errno;
	dev->fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
	err = dev->fd < 0 ? -errno : set_up(dev, cid, features);
	if (err)
		device_close(dev);
	return err;
}

static void close_ring(struct ring *ring)
{
	close(ring->kick);
	close(ring->call);
	close(ring->err);
}

void device_close(struct device *dev)
{
	if (dev->fd >= 0)
		close(dev->fd);
	close_ring(&dev->rx);
	close_ring(&dev->tx);
	munmap(dev->mem, 3 * MEM_SLOT);
}

static int set_running(struct device *dev, int running)
{
	return ioctl(dev->fd, VHOST_VSOCK_SET_RUNNING, &running) ? -errno : 0;
}

int device_start(struct device *dev)
{
	return set_running(dev, 1);
}

int device_stop(struct device *dev)
{
	return set_running(dev, 0);
}

int device_restart(struct device *dev)
{
	int err = device_stop(dev);

	if (!err)
		err = clear_ring(dev, &dev->rx);
	if (!err)
		err = clear_ring(dev, &dev->tx);
	if (!err)
		err = device_start(dev);
	return err;
}

void ring_offer(struct ring *ring, uint16_t head)
{
	ring->vring.avail->ring[ring->avail++ % RING_NUM] = head;
}

void ring_kick(struct ring *ring)
{
	uint64_t one = 1;
	ssize_t n;

	__atomic_store_n(&ring->vring.avail->idx, ring->avail,
			 __ATOMIC_SEQ_CST);
	/* Fails only if the counter is full, and then it is not zero */
	n = write(ring->kick, &one, sizeof(one));
	(void)n;
}

bool ring_used(struct ring *ring, struct vring_used_elem *elem)
{
	uint16_t idx = __atomic_load_n(&ring->vring.used->idx,
				       __ATOMIC_ACQUIRE);

	if (idx == ring->used)
		return false;
	*elem = ring->vring.used->ring[ring->used++ % RING_NUM];
	return true;
}

/* With EVENT_IDX: a signal for the next one, please */
static bool ring_arm(struct ring *ring)
{
	__atomic_store_n(&vring_used_event(&ring->vring), ring->used,
			 __ATOMIC_SEQ_CST);
	return __atomic_load_n(&ring->vring.used->idx, __ATOMIC_SEQ_CST) ==
	       ring->used;
}

int device_wait(struct device *dev, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = dev->rx.call, .events = POLLIN },
		{ .fd = dev->tx.call, .events = POLLIN },
		{ .fd = dev->rx.err, .events = POLLIN },
		{ .fd = dev->tx.err, .events = POLLIN },
	};
	uint64_t count;
	int i, n;

	if (!ring_arm(&dev->rx) || !ring_arm(&dev->tx))
		return 0;
	n = poll(fds, 4, timeout_ms);
	if (n <= 0)
		return n ? -errno : -ETIMEDOUT;
	for (i = 0; i < 4; i++) {
		if (fds[i].revents && read(fds[i].fd, &count, 8) < 0)
			return -errno;
	}
	return 0;
}

void rx_offer(struct device *dev, uint16_t head, uint32_t len)
{
	dev->rx.vring.desc[head] = (struct vring_desc){
		.addr = RX_BUFS_AT + head * RX_BUF_SIZE,
		.len = len,
		.flags = VRING_DESC_F_WRITE,
	};
	ring_offer(&dev->rx, head);
}

void rx_offer_all(struct device *dev)
{
	unsigned int i;

	for (i = 0; i < RING_NUM; i++)
		rx_offer(dev, i, RX_BUF_SIZE);
	ring_kick(&dev->rx);
}

struct virtio_vsock_hdr *rx_packet(struct device *dev, uint32_t head)
{
	return guest_mem(dev, RX_BUFS_AT + head * RX_BUF_SIZE);
}
