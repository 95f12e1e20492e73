// SPDX-License-Identifier: GPL-2.0-only
/* What grows with what a guest says, and has to end somewhere */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <endian.h>
#include <linux/vm_sockets.h>

#include "../load/sock.h"
#include "cases.h"
#include "guest.h"

/* A packet costs 16 KiB and its length: just so many that 32 bits do not hold
 * their sum
 */
#define LONG_QUEUE	262200
#define LONG_CREDIT	(1u << 20)
/* A flow is half a KiB; what a batch of answers needs is far below the bound */
#define PORTS		200000
#define PORTS_BATCH	500
#define PORTS_BOUND_KB	4096
/* The default buffer of a connection, which may be exceeded as much again by
 * the overhead of small packets; the rest is what else the host allocates
 */
#define BYTES		300
#define BYTES_BOUND_KB	(2 * 256 + 2048)

/* Connections whose peer has room for 4 GiB each, as it says; what they may
 * take is the host's own default, twice as much with overhead
 */
#define CREDULOUS	32
#define CREDIT		262144
#define CREDULOUS_BOUND_KB	(CREDULOUS * 2 * CREDIT / 1024 + 2048)

static long meminfo_kb(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	long kb = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			kb = atol(line + strlen(name) + 1);
	fclose(file);
	return kb;
}

static int check_bound(const char *what, long kb, long bound)
{
	printf("%s: %ld kB, at most %ld\n", what, kb, bound);
	fflush(stdout);
	return kb > bound ? -ENOBUFS : 0;
}

/* A sender of single bytes, and a receiver that takes none of them for long */
int case_long_queue(void)
{
	int listener = sock_listen(SOCK_STREAM, GUEST_PORT), fd, i, err;
	uint64_t size = LONG_CREDIT;
	struct guest guest;

	err = listener < 0 ? listener :
			     guest_boot(&guest, GUEST_CID, 0, NULL);
	if (err)
		return err;
	/* What it accepts inherits this */
	if (setsockopt(listener, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE,
		       &size, sizeof(size)) ||
	    setsockopt(listener, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size,
		       sizeof(size)))
		return -errno;
	fd = guest_connect(&guest, listener);
	if (fd < 0)
		return fd;
	for (i = 0; i < LONG_QUEUE; i++)
		if (send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
			return -errno;
	rx_offer_all(&guest.dev);
	err = guest_hear(&guest, LONG_QUEUE);
	guest_end(&guest);
	close(fd);
	close(listener);
	return err;
}

/* Each answer is to another port, and costs no memory once it is sent */
int case_many_ports(void)
{
	long before, now, worst = 0;
	struct guest guest;
	struct packet pkt;
	int port, err;

	err = guest_boot(&guest, GUEST_CID, 0, "ip link set $DEV up && "
			 "tc qdisc replace dev $DEV root pfifo_fast");
	if (err)
		return err;
	rx_offer_all(&guest.dev);
	before = meminfo_kb("SUnreclaim");
	for (port = 1; port <= PORTS && !err; port++) {
		pkt = guest_packet(VIRTIO_VSOCK_OP_REQUEST, port);
		guest_say(&guest, &pkt);
		if (port % PORTS_BATCH)
			continue;
		err = guest_flush(&guest);
		if (!err)
			err = guest_hear(&guest, PORTS_BATCH);
		now = meminfo_kb("SUnreclaim") - before;
		if (now > worst)
			worst = now;
	}
	guest_end(&guest);
	return err ? err : check_bound("slab", worst, PORTS_BOUND_KB);
}

/* Bytes that come in buffers of 64 KiB to a socket that nobody reads */
int case_big_buffers(void)
{
	int listener = sock_listen(SOCK_STREAM, GUEST_PORT), fd, i, err;
	struct guest guest;
	struct packet pkt;
	long before, used;

	err = listener < 0 ? listener :
			     guest_boot(&guest, GUEST_CID, 0, NULL);
	if (err)
		return err;
	rx_offer_all(&guest.dev);
	fd = guest_connect(&guest, listener);
	if (fd < 0)
		return fd;
	before = meminfo_kb("MemAvailable");
	for (i = 0; i < BYTES; i++) {
		pkt = guest_packet(VIRTIO_VSOCK_OP_RW, 1024);
		pkt.hdr.len = htole32(1);
		pkt.payload = MAX_PAYLOAD;
		guest_say(&guest, &pkt);
	}
	err = guest_flush(&guest);
	used = before - meminfo_kb("MemAvailable");
	guest_end(&guest);
	close(fd);
	close(listener);
	return err ? err : check_bound("memory", used, BYTES_BOUND_KB);
}

/* How much the host sends before it waits */
static long fill(int fd)
{
	static const uint8_t data[65536];
	long sum = 0;
	ssize_t n;

	while ((n = send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL)) >
	       0)
		sum += n;
	return sum;
}

/* A guest that takes nothing and says that it has room for everything, on a
 * device where it waits for a qdisc, and then for the ring
 */
int case_huge_credit(void)
{
	int listener = sock_listen(SOCK_STREAM, GUEST_PORT), i, err;
	int fds[CREDULOUS];
	struct guest guest;
	long before, used;

	err = listener < 0 ? listener :
	      guest_boot(&guest, GUEST_CID, 0, "ip link set $DEV up && "
			 "tc qdisc replace dev $DEV root pfifo_fast");
	if (err)
		return err;
	before = meminfo_kb("MemAvailable");
	for (i = 0; i < CREDULOUS && !err; i++) {
		fds[i] = guest_connect_from(&guest, GUEST_CID, 1024 + i,
					    listener);
		if (fds[i] < 0)
			err = fds[i];
		else if (fill(fds[i]) != CREDIT)
			err = -EFBIG;
	}
	used = before - meminfo_kb("MemAvailable");
	if (!err)
		err = check_bound("memory", used, CREDULOUS_BOUND_KB);
	guest_end(&guest);
	while (i--)
		close(fds[i]);
	close(listener);
	return err;
}
