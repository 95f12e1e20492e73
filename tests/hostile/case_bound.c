// SPDX-License-Identifier: GPL-2.0-only
/* What grows with what a guest says, and has to end somewhere */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
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
/* So many skbs of a byte are granted by a buffer of half their size */
#define LONG_CREDIT	(1u << 27)
/* A flow is half a KiB; what a batch of answers needs is far below the bound */
#define PORTS		200000
#define PORTS_BATCH	500
#define PORTS_BOUND_KB	4096
/* Packets of their own would be twice as many, of a KiB and more each */
#define RESETS		20000
#define RESETS_BATCH	100
#define RESETS_BOUND_KB	8192
/* A KiB and more each, of which a virtqueue's number may wait */
#define CREDIT_REQUESTS	40000
#define CREDIT_REQUESTS_BOUND_KB	8192
/* The default buffer of a connection, which may be exceeded as much again by
 * the overhead of small packets; the rest is what else the host allocates
 */
#define BYTES		300
#define BYTES_BOUND_KB	(2 * 256 + 2048)
#define WAKE_MS		10000

/* Connections whose peer has room for 4 GiB each, as it says; what they may
 * take is the host's own default, twice as much with overhead
 */
#define CREDULOUS	32
#define CREDIT		262144
#define CREDULOUS_BOUND_KB	(CREDULOUS * 2 * CREDIT / 1024 + 2048)
/* For what allocators keep, half of the credit; the rest may take a while */
#define LEFT_BOUND_KB	(CREDULOUS * CREDIT / 1024 / 2)
#define SETTLE_SECONDS	30

#define SCHEDULED	"ip link set $DEV up && " \
			"tc qdisc replace dev $DEV root pfifo_fast"

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

/* Free pages that wait on lists of CPUs, which MemAvailable leaves out */
static long lists_kb(void)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	long pages, sum = 0;
	char line[128];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %ld", &pages) == 1)
			sum += pages;
	fclose(file);
	return sum * sysconf(_SC_PAGESIZE) / 1024;
}

static long free_kb(void)
{
	return meminfo_kb("MemAvailable") + lists_kb();
}

static int check_bound(const char *what, long kb, long bound)
{
	printf("%s: %ld kB, at most %ld\n", what, kb, bound);
	fflush(stdout);
	return kb > bound ? -ENOBUFS : 0;
}

/* A guest, with a command for its device; what listens to it */
static int boot(struct guest *guest, const char *on_open)
{
	int listener = sock_listen(SOCK_STREAM, GUEST_PORT);
	int err = listener < 0 ? listener :
				 guest_boot(guest, GUEST_CID, 0, on_open);

	return err ?: listener;
}

/* With a connection to the listener, which is returned */
static int boot_connected(struct guest *guest, const char *on_open,
			  int *listener)
{
	*listener = boot(guest, on_open);
	return *listener < 0 ? *listener : guest_connect(guest, *listener);
}

static void end(struct guest *guest, int fd, int listener)
{
	guest_end(guest);
	close(fd);
	close(listener);
}

/* A sender of single bytes, and a receiver that takes none of them for long */
int case_long_queue(void)
{
	int listener, fd, i, err;
	uint64_t size = LONG_CREDIT;
	struct guest guest;

	listener = boot(&guest, NULL);
	if (listener < 0)
		return listener;
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
	end(&guest, fd, listener);
	return err;
}

/* Each answer is to another port, and costs no memory once it is sent */
int case_many_ports(void)
{
	long before, now, worst = 0;
	struct guest guest;
	struct packet pkt;
	int port, err;

	err = guest_boot(&guest, GUEST_CID, 0, SCHEDULED);
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

/* Resets between bytes that wait, to a guest that takes nothing: one tells all,
 * and would keep the bytes apart, which share a packet
 */
int case_many_resets(void)
{
	int listener, fd, i, err = 0;
	struct guest guest;
	struct packet pkt;
	long before, used;

	fd = boot_connected(&guest, SCHEDULED, &listener);
	if (fd < 0)
		return fd;
	before = free_kb();
	for (i = 0; i < RESETS && !err; i++) {
		if (send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 &&
		    errno != EAGAIN)
			err = -errno;
		/* What is of another type belongs to no connection */
		pkt = guest_packet(VIRTIO_VSOCK_OP_RW, 1024);
		pkt.hdr.type = htole16(VIRTIO_VSOCK_TYPE_SEQPACKET);
		guest_say(&guest, &pkt);
		if (!err && i % RESETS_BATCH == 0)
			err = guest_flush(&guest);
	}
	used = before - free_kb();
	end(&guest, fd, listener);
	return err ? err : check_bound("memory", used, RESETS_BOUND_KB);
}

/* Requests for credit, from a guest that hears none of the answers: in the end
 * the host does not listen to it any more
 */
int case_many_credit_requests(void)
{
	struct packet pkt = guest_packet(VIRTIO_VSOCK_OP_CREDIT_REQUEST, 1024);
	int listener, fd, i, err = 0;
	struct guest guest;
	long before, used;

	fd = boot_connected(&guest, NULL, &listener);
	if (fd < 0)
		return fd;
	before = free_kb();
	for (i = 0; i < CREDIT_REQUESTS && !err; i++) {
		guest_say(&guest, &pkt);
		if (i % RESETS_BATCH == 0)
			err = guest_flush(&guest);
	}
	used = before - free_kb();
	end(&guest, fd, listener);
	return err && err != -ETIMEDOUT ? err :
	       check_bound("memory", used, CREDIT_REQUESTS_BOUND_KB);
}

/* Bytes that come in buffers of 64 KiB to a socket that nobody reads */
int case_big_buffers(void)
{
	int listener, fd, i, err;
	struct guest guest;
	struct packet pkt;
	long before, used;

	listener = boot(&guest, NULL);
	if (listener < 0)
		return listener;
	rx_offer_all(&guest.dev);
	fd = guest_connect(&guest, listener);
	if (fd < 0)
		return fd;
	before = free_kb();
	for (i = 0; i < BYTES; i++) {
		pkt = guest_packet(VIRTIO_VSOCK_OP_RW, 1024);
		pkt.hdr.len = htole32(1);
		pkt.payload = MAX_PAYLOAD;
		guest_say(&guest, &pkt);
	}
	err = guest_flush(&guest);
	used = before - free_kb();
	end(&guest, fd, listener);
	return err ? err : check_bound("memory", used, BYTES_BOUND_KB);
}

/* The most that is used since @before, for HOLD_SECONDS of the environment */
static long held_kb(long before)
{
	int left = atoi(getenv("HOLD_SECONDS") ?: "0");
	long worst = 0, now;

	for (;; sleep(1)) {
		now = before - free_kb();
		if (now > worst)
			worst = now;
		if (left-- <= 0)
			return worst;
	}
}

/* How much the host sends before it waits, @size bytes at a time */
static long fill(int fd, size_t size)
{
	static const uint8_t data[65536];
	long sum = 0;
	ssize_t n;

	while ((n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		sum += n;
	return sum;
}

/* An epoll that tells, once it has looked at @fd, only what @fd is woken for */
static int waiter(int fd)
{
	struct epoll_event event = { .events = EPOLLOUT };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	return epoll;
}

static int is_woken(int epoll, int timeout_ms)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, timeout_ms);
}

/* Single bytes for a guest that takes nothing: each is a packet, and there is
 * credit for 262,144. When it has taken them there is room for more.
 */
int case_small_writes(void)
{
	int listener, fd, epoll, err;
	struct guest guest;
	long before, sent;

	fd = boot_connected(&guest, NULL, &listener);
	if (fd < 0)
		return fd;
	before = free_kb();
	sent = fill(fd, 1);
	err = check_bound("memory", held_kb(before), BYTES_BOUND_KB);
	epoll = waiter(fd);
	if (!err && (epoll < 0 || is_woken(epoll, 0)))
		err = -EBUSY;
	if (!err) {
		rx_offer_all(&guest.dev);
		err = guest_hear(&guest, sent);
	}
	if (!err && is_woken(epoll, WAKE_MS) != 1)
		err = -ETIMEDOUT;
	close(epoll);
	end(&guest, fd, listener);
	return err;
}

/* What is still used when all is over */
static long left_kb(long before)
{
	int looks = SETTLE_SECONDS;
	long now;

	while ((now = before - free_kb()) > LEFT_BOUND_KB && looks--)
		sleep(1);
	return now;
}

/* Connect @fds, each with all that it accepts on its way: no more than the
 * default, now or later
 */
static int hold(struct guest *guest, int listener, int *fds)
{
	long before = free_kb();
	int i, err;

	for (i = 0; i < CREDULOUS; i++) {
		fds[i] = guest_connect_from(guest, GUEST_CID, 1024 + i,
					    listener);
		if (fds[i] < 0)
			return fds[i];
		if (fill(fds[i], 65536) != CREDIT)
			return -EFBIG;
	}
	err = check_bound("memory", held_kb(before), CREDULOUS_BOUND_KB);
	for (i = 0; i < CREDULOUS && !err; i++)
		err = fill(fds[i], 65536) ? -EFBIG : 0;
	return err;
}

/* A guest that takes nothing and says that it has room for everything, on a
 * device where it waits for a qdisc, and then for the ring
 */
int case_huge_credit(void)
{
	int listener, i, err, fds[CREDULOUS];
	long start = free_kb();
	struct guest guest;

	listener = boot(&guest, SCHEDULED);
	if (listener < 0)
		return listener;
	err = hold(&guest, listener, fds);
	if (err)
		return err;
	guest_end(&guest);
	for (i = 0; i < CREDULOUS; i++)
		close(fds[i]);
	close(listener);
	return check_bound("afterwards", left_kb(start), LEFT_BOUND_KB);
}
