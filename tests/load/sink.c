// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/sock_diag.h>

#include "pattern.h"
#include "sink.h"
#include "sock.h"

#define BATCH		32
#define FLOW_MASK	(MAX_FLOODS - 1)
#define SEEN		65536u	/* sequence numbers that are remembered */
#define QUIET_MS	20	/* the sink's queue was empty for that long */
#define QUIET_LIMIT	30	/* seconds to wait for that */
#define LEAST_TRUESIZE	256	/* of a datagram in the queue, and less */

/* Which of a flow's datagrams have come, of the SEEN up to the newest */
struct seen {
	uint64_t newest;
	uint64_t bits[SEEN / 64];
};

struct session {
	struct session *next;
	struct hello hello;
	struct pattern pat;
	struct flood_result result;
	struct seen *seen;		/* hello.flows of them */
	uint64_t *samples;
	uint64_t strays;		/* before it began */
	uint32_t drops;
};

static struct {
	pthread_mutex_t lock;		/* everything below, and each session */
	pthread_cond_t quiet;
	struct session *sessions;
	uint64_t quiets;		/* times the queue was seen empty */
	uint64_t taken;			/* from it */
	uint64_t strays;
	int fd;
} sink = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.quiet = PTHREAD_COND_INITIALIZER,
	.fd = -1,
};

static struct session *session_find(uint64_t key)
{
	struct session *s = sink.sessions;

	while (s && s->hello.key != (key & ~(uint64_t)FLOW_MASK))
		s = s->next;
	return s;
}

/* Returns whether that bit was set */
static bool set_bit(struct seen *seen, uint64_t seq)
{
	uint64_t *word = &seen->bits[seq % SEEN / 64];
	uint64_t bit = 1ull << seq % 64, was = *word;

	*word |= bit;
	return was & bit;
}

static void see_newer(struct seen *seen, uint64_t seq)
{
	if (seq - seen->newest >= SEEN) {
		memset(seen->bits, 0, sizeof(seen->bits));
		seen->newest = seq;
	}
	for (; seen->newest < seq; seen->newest++)
		seen->bits[(seen->newest + 1) % SEEN / 64] &=
			~(1ull << (seen->newest + 1) % 64);
	set_bit(seen, seq);
}

/* Is it in order? What is older than all that is remembered counts as late */
static void see(struct seen *seen, uint64_t seq, struct flood_result *res)
{
	if (seq > seen->newest)
		see_newer(seen, seq);
	else if (seen->newest - seq < SEEN && set_bit(seen, seq))
		res->repeated++;
	else
		res->late++;
	if (seq > res->newest)
		res->newest = seq;
}

/* Those of nobody's session may be an earlier run's stragglers */
static void account(const uint8_t *data, size_t len)
{
	struct session *s = NULL;
	struct dgram_head head;

	if (len >= sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		s = session_find(head.key);
	}
	if (!s || (head.key & FLOW_MASK) >= s->hello.flows) {
		sink.strays++;
		return;
	}
	s->result.received++;
	s->result.bytes += len;
	if (len != s->hello.size ||
	    pattern_check(&s->pat, head.seq * PATTERN_STRIDE + sizeof(head),
			  data + sizeof(head), len - sizeof(head)) >= 0)
		s->result.bad++;
	see(&s->seen[head.key & FLOW_MASK], head.seq, &s->result);
}

static void sink_quiet(void)
{
	pthread_mutex_lock(&sink.lock);
	sink.quiets++;
	pthread_cond_broadcast(&sink.quiet);
	pthread_mutex_unlock(&sink.lock);
}

static void sink_account(uint8_t (*data)[MAX_DGRAM], const struct mmsghdr *msgs,
			 int nr)
{
	int i;

	pthread_mutex_lock(&sink.lock);
	for (i = 0; i < nr; i++)
		account(data[i], msgs[i].msg_len);
	sink.taken += nr;
	pthread_cond_broadcast(&sink.quiet);
	pthread_mutex_unlock(&sink.lock);
}

static void *sink_run(void *unused)
{
	static uint8_t data[BATCH][MAX_DGRAM];
	struct mmsghdr msgs[BATCH] = {};
	struct iovec iov[BATCH];
	int i, nr;

	(void)unused;
	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ data[i], sizeof(data[i]) };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		nr = recvmmsg(sink.fd, msgs, BATCH, MSG_WAITFORONE, NULL);
		if (nr < 0 && errno != EAGAIN && errno != EINTR)
			break;
		if (nr < 0) {
			sink_quiet();
			continue;
		}
		sink_account(data, msgs, nr);
	}
	fprintf(stderr, "vsload: cannot receive datagrams: %s\n",
		strerror(errno));
	return NULL;
}

int sink_start(uint32_t port)
{
	struct timeval quiet = { .tv_usec = QUIET_MS * 1000 };
	pthread_t thread;

	sink.fd = sock_bind(SOCK_DGRAM, port);
	if (sink.fd < 0)
		return sink.fd;
	if (setsockopt(sink.fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof(quiet)))
		return -errno;
	return -pthread_create(&thread, NULL, sink_run, NULL);
}

static uint32_t sink_meminfo(int which)
{
	uint32_t mem[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(mem);

	getsockopt(sink.fd, SOL_SOCKET, SO_MEMINFO, mem, &len);
	return mem[which];
}

static void session_free(struct session *s)
{
	free(s->seen);
	free(s->samples);
	free(s);
}

static struct session *session_open(const struct hello *hello)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->seen = calloc(hello->flows, sizeof(*s->seen));
	s->samples = malloc(MAX_SAMPLES * sizeof(*s->samples));
	if (!s->seen || !s->samples) {
		session_free(s);
		return NULL;
	}
	s->hello = *hello;
	pattern_init(&s->pat, hello->key);
	s->drops = sink_meminfo(SK_MEMINFO_DROPS);
	pthread_mutex_lock(&sink.lock);
	s->strays = sink.strays;
	s->next = sink.sessions;
	sink.sessions = s;
	pthread_mutex_unlock(&sink.lock);
	return s;
}

static void session_close(struct session *s)
{
	struct session **at = &sink.sessions;

	pthread_mutex_lock(&sink.lock);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	pthread_mutex_unlock(&sink.lock);
	session_free(s);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static void take_sample(struct session *s)
{
	pthread_mutex_lock(&sink.lock);
	if (s->result.samples < MAX_SAMPLES)
		s->samples[s->result.samples++] = s->result.received;
	pthread_mutex_unlock(&sink.lock);
}

/* Sample every interval until the client's second byte; -errno */
static int take_samples(int fd, struct session *s)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t next = now_us(), now;
	int ready;

	for (;;) {
		next += s->hello.interval_us;
		do {
			now = now_us();
			ready = poll(&pfd, 1, next > now ?
				     (int)((next - now + 999) / 1000) : 0);
		} while (!ready && now_us() < next);
		if (ready)
			return ready < 0 ? -errno : 0;
		take_sample(s);
	}
}

/*
 * What the client sent before its last byte is in the queue: empty it, but
 * do not wait for the end of somebody else's flood. The queue may have been seen
 * empty, and that not be told yet, before the last of it came: twice is enough.
 */
static void wait_quiet(void)
{
	uint32_t room = sink_meminfo(SK_MEMINFO_RCVBUF) / LEAST_TRUESIZE;
	uint64_t quiets, taken;
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += QUIET_LIMIT;
	pthread_mutex_lock(&sink.lock);
	quiets = sink.quiets + 2;
	taken = sink.taken + BATCH + room;
	while (sink.quiets < quiets && sink.taken < taken && !err)
		err = pthread_cond_timedwait(&sink.quiet, &sink.lock, &until);
	pthread_mutex_unlock(&sink.lock);
}

static void result_finish(struct session *s)
{
	s->result.overflow = sink_meminfo(SK_MEMINFO_DROPS) - s->drops;
	pthread_mutex_lock(&sink.lock);
	s->result.stray = sink.strays - s->strays;
	pthread_mutex_unlock(&sink.lock);
}

static int session_run(int fd, struct session *s)
{
	char byte;
	int err;

	err = recv_all(fd, &byte, 1);
	if (!err)
		err = take_samples(fd, s);
	if (!err)
		err = recv_all(fd, &byte, 1);
	if (err)
		return err;
	wait_quiet();
	result_finish(s);
	err = send_all(fd, &s->result, sizeof(s->result));
	if (!err)
		err = send_all(fd, s->samples,
			       s->result.samples * sizeof(*s->samples));
	return err;
}

void sink_session(int fd, const struct hello *hello)
{
	struct session *s;
	int err;

	if (sink.fd < 0 || !hello->flows || hello->flows > MAX_FLOODS ||
	    !hello->interval_us || hello->key & FLOW_MASK)
		return;
	s = session_open(hello);
	if (!s)
		return;
	/* Tells the client that its session is open */
	err = send_all(fd, &hello->magic, sizeof(hello->magic));
	if (!err)
		err = session_run(fd, s);
	if (err)
		fprintf(stderr, "vsload: flood ended early: %s\n",
			strerror(-err));
	session_close(s);
}
