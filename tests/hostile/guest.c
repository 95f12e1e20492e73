// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <linux/virtio_config.h>
#include <linux/vm_sockets.h>

#include "guest.h"
#include "netdev.h"

int guest_boot(struct guest *guest, uint64_t cid, uint64_t features,
	       const char *on_open)
{
	int err = device_open(&guest->dev, cid, features |
			      UINT64_C(1) << VIRTIO_F_VERSION_1);

	if (err)
		return err;
	guest->batch = (struct batch){ .dev = &guest->dev };
	lay_payload(&guest->dev);
	if (on_open)
		err = netdev_run(cid, on_open);
	if (!err)
		err = device_start(&guest->dev);
	if (err)
		device_close(&guest->dev);
	return err;
}

void guest_end(struct guest *guest)
{
	device_close(&guest->dev);
}

struct packet guest_packet(uint16_t op, uint32_t port)
{
	return (struct packet){ .hdr = {
		.src_cid = htole64(GUEST_CID),
		.dst_cid = htole64(VMADDR_CID_HOST),
		.src_port = htole32(port),
		.dst_port = htole32(GUEST_PORT),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16(op),
		.buf_alloc = htole32(UINT32_MAX),
	} };
}

void guest_say(struct guest *guest, const struct packet *pkt)
{
	lay_packet(&guest->batch, pkt);
}

int guest_used(struct guest *guest)
{
	struct vring_used_elem elem;
	int err = 0;

	while (!err && !ring_used(&guest->dev.tx, &elem))
		err = device_wait(&guest->dev, PATIENCE_MS);
	return err;
}

int guest_flush(struct guest *guest)
{
	uint16_t marker = lay_marker(&guest->batch);
	struct vring_used_elem elem;
	int err;

	ring_kick(&guest->dev.tx);
	guest->batch.taken = 0;
	do {
		while (!ring_used(&guest->dev.tx, &elem)) {
			err = device_wait(&guest->dev, PATIENCE_MS);
			if (err)
				return err;
		}
	} while (elem.id != marker);
	return 0;
}

int guest_accept(int listener)
{
	struct pollfd pfd = { .fd = listener, .events = POLLIN };
	int fd;

	if (poll(&pfd, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int guest_connect_from(struct guest *guest, uint64_t cid, uint32_t port,
		       int listener)
{
	struct packet pkt = guest_packet(VIRTIO_VSOCK_OP_REQUEST, port);
	int err;

	pkt.hdr.src_cid = htole64(cid);
	guest_say(guest, &pkt);
	err = guest_flush(guest);
	return err ?: guest_accept(listener);
}

int guest_connect(struct guest *guest, int listener)
{
	return guest_connect_from(guest, GUEST_CID, 1024, listener);
}

int guest_hear_one(struct guest *guest, struct virtio_vsock_hdr *hdr)
{
	struct vring_used_elem elem;
	int err;

	while (!ring_used(&guest->dev.rx, &elem)) {
		ring_kick(&guest->dev.rx);
		err = device_wait(&guest->dev, PATIENCE_MS);
		if (err)
			return err;
	}
	*hdr = *rx_packet(&guest->dev, elem.id);
	rx_offer(&guest->dev, elem.id, RX_BUF_SIZE);
	return 0;
}

int guest_hear(struct guest *guest, unsigned int n)
{
	struct virtio_vsock_hdr hdr;
	int err;

	while (n--) {
		err = guest_hear_one(guest, &hdr);
		if (err)
			return err;
	}
	ring_kick(&guest->dev.rx);
	return 0;
}
