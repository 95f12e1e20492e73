// SPDX-License-Identifier: GPL-2.0-only
/* What must not arrive, next to what has to */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../load/sock.h"
#include "cases.h"
#include "guest.h"
#include "netdev.h"

#define DGRAM_LEN	100

static struct packet dgram(void)
{
	struct packet pkt = guest_packet(VIRTIO_VSOCK_OP_RW, 1024);

	pkt.hdr.type = htole16(VSOCK_TYPE_DGRAM);
	pkt.hdr.buf_alloc = 0;
	pkt.hdr.len = htole32(DGRAM_LEN);
	pkt.payload = DGRAM_LEN;
	return pkt;
}

/* Say @pkt and look what @fd has then: 0 if @want datagrams, all whole */
static int arrives(struct guest *guest, const struct packet *pkt, int fd,
		   int want)
{
	struct sockaddr_vm from;
	socklen_t len = sizeof(from);
	uint8_t bytes[DGRAM_LEN + 1];
	int err;

	guest_say(guest, pkt);
	err = guest_flush(guest);
	if (err)
		return err;
	errno = 0;
	while (recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT,
			(struct sockaddr *)&from, &len) == DGRAM_LEN) {
		if (from.svm_cid != GUEST_CID || from.svm_port != 1024 ||
		    memcmp(bytes, guest_mem(&guest->dev, PAYLOAD_AT),
			   DGRAM_LEN))
			return -EILSEQ;
		want--;
	}
	return errno == EAGAIN && !want ? 0 : -EBADMSG;
}

static int strays(struct guest *guest, int fd)
{
	struct packet pkt = dgram();
	int err;

	/* In the name of another guest, and to one; both are counted, as is
	 * what ends each flush
	 */
	pkt.hdr.src_cid = htole64(GUEST_CID + 1);
	err = arrives(guest, &pkt, fd, 0);
	pkt = dgram();
	pkt.hdr.dst_cid = htole64(GUEST_CID + 1);
	if (!err)
		err = arrives(guest, &pkt, fd, 0);
	if (!err)
		err = netdev_run(GUEST_CID, "ethtool -S $DEV | "
				 "grep -q ' rx_foreign_dropped: 5$'");
	/* An operation that datagrams do not have */
	pkt = dgram();
	pkt.hdr.op = htole16(VIRTIO_VSOCK_OP_SHUTDOWN);
	if (!err)
		err = arrives(guest, &pkt, fd, 0);
	/* Longer than it is */
	pkt = dgram();
	pkt.payload--;
	if (!err)
		err = arrives(guest, &pkt, fd, 0);
	/* Shorter, which is only waste, and a fragment, which guests do not
	 * send and the host takes for a datagram
	 */
	pkt = dgram();
	pkt.payload = MAX_PAYLOAD;
	if (!err)
		err = arrives(guest, &pkt, fd, 1);
	pkt = dgram();
	pkt.hdr.buf_alloc = htole32(UINT32_MAX);
	pkt.hdr.fwd_cnt = htole32(DGRAM_LEN);
	if (!err)
		err = arrives(guest, &pkt, fd, 1);
	return err;
}

/* The sender of each datagram is who it says, and has negotiated them */
int case_strays(void)
{
	int fd = sock_bind(SOCK_DGRAM, GUEST_PORT), err;
	struct packet honest = dgram();
	struct guest guest;

	err = fd < 0 ? fd : guest_boot(&guest, GUEST_CID, 0, NULL);
	if (err)
		return err;
	err = arrives(&guest, &honest, fd, 0);
	if (!err)
		err = netdev_run(GUEST_CID, "ethtool -S $DEV | "
				 "grep -q ' rx_dgram_dropped: 1$'");
	guest_end(&guest);
	if (!err)
		err = guest_boot(&guest, GUEST_CID, 1 << VSOCK_F_DGRAM, NULL);
	if (err)
		return err;
	err = arrives(&guest, &honest, fd, 1);
	if (!err)
		err = strays(&guest, fd);
	guest_end(&guest);
	close(fd);
	return err;
}
