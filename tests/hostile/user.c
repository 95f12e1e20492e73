// SPDX-License-Identifier: GPL-2.0-only
/* docs/interop/vhost-user.rst of QEMU, as much of it as a vsock device needs */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>

#include "user.h"

enum {
	GET_FEATURES = 1, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE,
	SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR,
	SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
	SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES,
	GET_QUEUE_NUM, SET_VRING_ENABLE, GET_CONFIG = 24,
};

#define VERSION			1u
#define REPLY			4u
#define NO_FD			0x100u	/* in the number of a ring */
#define F_PROTOCOL_FEATURES	30
#define PROTOCOL_F_CONFIG	9

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t number;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct {
			uint32_t nr, padding;
			struct {
				uint64_t guest, size, qemu, offset;
			} regions[USER_REGIONS];
		} memory;
		struct {
			uint32_t offset, size, flags;
			uint64_t cid;
		} __attribute__((packed)) config;
	};
} __attribute__((packed));

#define HEAD_SIZE	offsetof(struct message, number)

static int receive(int conn, struct message *msg, int fds[USER_REGIONS])
{
	char control[CMSG_SPACE(sizeof(int) * USER_REGIONS)];
	struct iovec iov = { .iov_base = msg, .iov_len = HEAD_SIZE };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;

	memset(fds, -1, sizeof(int) * USER_REGIONS);
	if (recvmsg(conn, &hdr, MSG_CMSG_CLOEXEC) != (ssize_t)HEAD_SIZE)
		return -ECONNRESET;
	cmsg = CMSG_FIRSTHDR(&hdr);
	if (cmsg)
		memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	if (msg->size > sizeof(*msg) - HEAD_SIZE)
		return -EPROTO;
	if (msg->size && recv(conn, &msg->number, msg->size, MSG_WAITALL) !=
			 (ssize_t)msg->size)
		return -ECONNRESET;
	return 0;
}

static int reply(int conn, struct message *msg, uint32_t size)
{
	ssize_t len = HEAD_SIZE + size;

	msg->flags = VERSION | REPLY;
	msg->size = size;
	return send(conn, msg, len, MSG_NOSIGNAL) == len ? 0 : -ECONNRESET;
}

static int reply_number(int conn, struct message *msg, uint64_t number)
{
	msg->number = number;
	return reply(conn, msg, sizeof(number));
}

static void forget_memory(struct user *user)
{
	unsigned int i;

	for (i = 0; i < user->nr_regions; i++)
		munmap(user->regions[i].map, user->regions[i].map_size);
	user->nr_regions = 0;
}

static int set_memory(struct user *user, const struct message *msg,
		      const int *fds)
{
	struct user_region *region;
	unsigned int i;

	forget_memory(user);
	for (i = 0; i < msg->memory.nr && i < USER_REGIONS; i++) {
		region = &user->regions[i];
		region->guest = msg->memory.regions[i].guest;
		region->size = msg->memory.regions[i].size;
		region->qemu = msg->memory.regions[i].qemu;
		region->offset = msg->memory.regions[i].offset;
		region->map_size = region->size + region->offset;
		region->map = mmap(NULL, region->map_size,
				   PROT_READ | PROT_WRITE, MAP_SHARED, fds[i],
				   0);
		if (region->map == MAP_FAILED)
			return -errno;
		user->nr_regions++;
	}
	return 0;
}

/* NULL where there is none, or less than @len of it */
static void *find(struct user *user, uint64_t at, uint64_t len, bool qemu)
{
	struct user_region *region = user->regions;
	uint64_t start;

	for (; region < user->regions + user->nr_regions; region++) {
		start = qemu ? region->qemu : region->guest;
		if (at >= start && at + len <= start + region->size)
			return region->map + region->offset + (at - start);
	}
	return NULL;
}

static void set_addr(struct user *user, struct vhost_vring_addr addr)
{
	struct user_ring *ring = &user->rings[addr.index];

	ring->vring.desc = find(user, addr.desc_user_addr, 1, true);
	ring->vring.avail = find(user, addr.avail_user_addr, 1, true);
	ring->vring.used = find(user, addr.used_user_addr, 1, true);
}

static void start(struct user *user, struct user_ring *ring, int kick)
{
	close(ring->kick);
	ring->kick = kick;
	ring->used = ring->taken;
	ring->on = ring->vring.desc && ring->vring.avail && ring->vring.used;
	user->starts += ring == &user->rings[USER_TX];
}

/* What is about a ring, whose number is where all of these have it */
static int answer_ring(struct user *user, struct message *msg, const int *fds)
{
	unsigned int index = msg->state.index & ~NO_FD;
	struct user_ring *ring;

	if (index >= USER_RINGS)
		return -EPROTO;
	ring = &user->rings[index];
	switch (msg->request) {
	case SET_VRING_NUM:
		ring->vring.num = msg->state.num;
		break;
	case SET_VRING_ADDR:
		set_addr(user, msg->addr);
		break;
	case SET_VRING_BASE:
		ring->taken = msg->state.num;
		break;
	case GET_VRING_BASE:
		ring->on = false;
		msg->state.num = ring->taken;
		return reply(user->conn, msg, sizeof(msg->state));
	case SET_VRING_KICK:
		start(user, ring, fds[0]);
		break;
	case SET_VRING_CALL:
		close(ring->call);
		ring->call = fds[0];
		break;
	case SET_VRING_ERR:
		close(fds[0]);
		break;
	case SET_VRING_ENABLE:
		/* It is the kick that starts a ring */
		ring->on = ring->on && msg->state.num;
		break;
	}
	return 0;
}

int user_answer(struct user *user)
{
	int fds[USER_REGIONS], err;
	struct message msg = {};

	err = receive(user->conn, &msg, fds);
	if (err)
		return err;
	switch (msg.request) {
	case GET_FEATURES:
		return reply_number(user->conn, &msg, user->offered);
	case SET_FEATURES:
		user->features = msg.number;
		return 0;
	case GET_PROTOCOL_FEATURES:
		return reply_number(user->conn, &msg,
				    UINT64_C(1) << PROTOCOL_F_CONFIG);
	case GET_QUEUE_NUM:
		return reply_number(user->conn, &msg, USER_RINGS);
	case GET_CONFIG:
		msg.config.cid = user->cid;
		return reply(user->conn, &msg, sizeof(msg.config));
	case SET_MEM_TABLE:
		return set_memory(user, &msg, fds);
	case SET_VRING_NUM ... SET_VRING_ERR:
	case SET_VRING_ENABLE:
		return answer_ring(user, &msg, fds);
	default:
		return 0;
	}
}

int user_listen(struct user *user, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), i;

	*user = (struct user){ .listener = fd, .conn = -1 };
	for (i = 0; i < USER_RINGS; i++) {
		user->rings[i].kick = -1;
		user->rings[i].call = -1;
	}
	if (fd < 0 || strlen(path) >= sizeof(at.sun_path))
		return fd < 0 ? -errno : -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1))
		return -errno;
	puts("waiting for QEMU");
	fflush(stdout);
	return 0;
}

int user_accept(struct user *user, uint64_t cid, uint64_t features)
{
	user->cid = cid;
	user->offered = features | UINT64_C(1) << F_PROTOCOL_FEATURES;
	user->conn = accept4(user->listener, NULL, NULL, SOCK_CLOEXEC);
	return user->conn < 0 ? -errno : 0;
}

void user_forget(struct user *user)
{
	struct user_ring *ring = user->rings;

	for (; ring < user->rings + USER_RINGS; ring++) {
		close(ring->kick);
		close(ring->call);
		*ring = (struct user_ring){ .kick = -1, .call = -1 };
	}
	forget_memory(user);
	close(user->conn);
	user->conn = -1;
}

bool user_runs(const struct user *user)
{
	return user->rings[USER_RX].on && user->rings[USER_TX].on;
}

bool user_take(struct user *user, struct user_ring *ring, struct user_buf *buf)
{
	struct vring_desc *desc;

	if (ring->taken == __atomic_load_n(&ring->vring.avail->idx,
					   __ATOMIC_ACQUIRE))
		return false;
	buf->head = ring->vring.avail->ring[ring->taken++ % ring->vring.num];
	desc = &ring->vring.desc[buf->head % ring->vring.num];
	if (desc->flags & VRING_DESC_F_INDIRECT)
		desc = find(user, desc->addr, sizeof(*desc), false);
	buf->data = desc ? find(user, desc->addr, desc->len, false) : NULL;
	buf->len = buf->data ? desc->len : 0;
	return true;
}

void user_give(struct user_ring *ring, uint32_t id, uint32_t len)
{
	ring->vring.used->ring[ring->used++ % ring->vring.num] =
		(struct vring_used_elem){ .id = id, .len = len };
}

void user_call(struct user_ring *ring)
{
	uint64_t one = 1;
	ssize_t n;

	__atomic_store_n(&ring->vring.used->idx, ring->used, __ATOMIC_SEQ_CST);
	n = write(ring->call, &one, sizeof(one));
	(void)n;
}
