// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/sockios.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "slice.h"
#include "sock.h"

#define DRAIN_STEP_MS	2
/* How often streams and pings are looked at once they end, and for how long:
 * longer than any of them waits
 */
#define DRAIN_SAMPLE_MS	100
#define DRAIN_SAMPLES	1200

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static void sleep_until(uint64_t us)
{
	struct timespec ts = {
		.tv_sec = us / 1000000,
		.tv_nsec = us % 1000000 * 1000,
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		;
}

static int new_key(uint64_t *key)
{
	if (getrandom(key, sizeof(*key), 0) != sizeof(*key))
		return -errno;
	*key &= ~(uint64_t)(MAX_FLOODS - 1);
	return 0;
}

static int greet(int fd, enum wire_kind kind, const struct options *opt,
		 uint64_t key)
{
	struct hello hello = {
		.magic = WIRE_MAGIC,
		.kind = kind,
		.key = key,
		.size = kind == WIRE_BULK ? opt->write_size[0] :
					    opt->dgram_size,
		.max_size = kind == WIRE_BULK ? opt->write_size[1] :
						opt->dgram_size,
		.flows = kind == WIRE_FLOOD ? opt->floods : 0,
		.interval_us = llround(opt->interval * 1e6),
	};

	return send_all(fd, &hello, sizeof(hello));
}

/* Streams */

static int stream_write(struct stream *s)
{
	const unsigned int *size = s->run->opt->write_size;
	struct msghdr msg = {};
	struct iovec iov[2];
	ssize_t n;

	msg.msg_iov = iov;
	msg.msg_iovlen = window_iov(&s->win, s->sent,
				    pattern_size(&s->pat, s->sent, size[0],
						 size[1]), iov);
	n = post_send(&s->post, &msg);
	if (n < 0)
		return n == -EINTR ? 0 : n;
	s->sent += n;
	return 0;
}

static void *stream_run(void *arg)
{
	struct stream *s = arg;

	while (!s->run->stop && !s->err)
		s->err = stream_write(s);
	if (!s->err)
		s->err = post_flush(&s->post);
	if (!s->err && shutdown(s->fd, SHUT_WR))
		s->err = -errno;
	if (!s->err)
		s->err = recv_all(s->fd, &s->result, sizeof(s->result));
	s->done = true;
	post_end(&s->post);
	return NULL;
}

static int stream_open(struct stream *s, struct run *run)
{
	const struct options *opt = run->opt;
	uint64_t key;
	int err;

	s->run = run;
	s->result.mismatch = NO_MISMATCH;
	err = new_key(&key);
	if (err)
		return err;
	pattern_init(&s->pat, key);
	err = window_init(&s->win, &s->pat, opt->write_size[1] +
			  post_behind(opt->how, opt->write_size[1]));
	if (err)
		return err;
	s->fd = sock_dial(opt->type, opt->cid,
			  opt->port + (opt->type == SOCK_SEQPACKET),
			  opt->prio[LOAD_STREAM], opt->patience);
	if (s->fd < 0)
		return s->fd;
	err = greet(s->fd, WIRE_BULK, opt, key);
	return err ? err : post_init(&s->post, opt->how, s->fd,
				     opt->write_size[1]);
}

/* Pings */

static int ping_once(struct ping *p, uint64_t seq)
{
	uint64_t out[PING_SIZE / 8] = { seq, ~seq }, in[PING_SIZE / 8];
	uint64_t start = now_us();
	int err;

	err = send_all(p->fd, out, sizeof(out));
	if (!err)
		err = recv_all(p->fd, in, sizeof(in));
	if (err)
		return err;
	if (memcmp(in, out, sizeof(in)))
		p->mangled = true;
	return ping_log_add(p->log, (start - p->run->start_us) / 1000,
			    now_us() - start);
}

static void *ping_run(void *arg)
{
	struct ping *p = arg;
	uint64_t seq = 0;

	slice_short();
	while (!p->run->stop && !p->err)
		p->err = ping_once(p, ++seq);
	p->done = true;
	close(p->fd);
	return NULL;
}

static int ping_open(struct ping *p, struct run *run)
{
	const struct options *opt = run->opt;

	p->run = run;
	p->log = &run->logs[p - run->pings];
	p->fd = sock_dial(SOCK_STREAM, opt->cid, opt->port,
			  opt->prio[LOAD_PING], opt->patience);
	return p->fd < 0 ? p->fd : greet(p->fd, WIRE_PING, opt, 0);
}

/* Floods */

/* Errors that mean "this one was not sent, the next one may be" */
static int flood_retry(struct flood *f, int err)
{
	struct pollfd pfd = { .fd = f->fd, .events = POLLOUT };

	if (err == EAGAIN) {
		f->eagain++;
		poll(&pfd, 1, 1000);
		return 0;
	}
	if (err == ENOBUFS || err == EINTR) {
		f->dropped += err == ENOBUFS;
		return 0;
	}
	return -err;
}

static int flood_send(struct flood *f, uint8_t *data)
{
	const struct options *opt = f->run->opt;
	int flags = opt->nowait ? MSG_DONTWAIT : 0;
	struct dgram_head head = { .key = f->key, .seq = f->sent + 1 };

	memcpy(data, &head, sizeof(head));
	pattern_fill(&f->run->flood_pat,
		     head.seq * PATTERN_STRIDE + sizeof(head),
		     data + sizeof(head), opt->dgram_size - sizeof(head));
	if (send(f->fd, data, opt->dgram_size, flags) < 0)
		return flood_retry(f, errno);
	f->sent++;
	return 0;
}

/*
 * What is sent belongs to the kernel until the device took it: wait, so that
 * "sent" and "received" count the same datagrams, though not for ever.
 */
static void flood_drain(const struct flood *f)
{
	struct timespec step = { .tv_nsec = DRAIN_STEP_MS * 1000000 };
	int left = f->run->opt->patience * 1000 / 2, queued;

	for (; left > 0; left -= DRAIN_STEP_MS) {
		if (ioctl(f->fd, SIOCOUTQ, &queued) || !queued)
			break;
		nanosleep(&step, NULL);
	}
}

static void *flood_run(void *arg)
{
	struct flood *f = arg;
	uint8_t *data = malloc(MAX_DGRAM);

	f->err = data ? 0 : -ENOMEM;
	while (!f->run->stop_flood && !f->err)
		f->err = flood_send(f, data);
	free(data);
	flood_drain(f);
	return NULL;
}

static int flood_open(struct flood *f, struct run *run)
{
	const struct options *opt = run->opt;

	f->run = run;
	f->key = run->flood_pat.key + (f - run->floods);
	f->fd = sock_dial(SOCK_DGRAM, opt->cid, opt->port,
			  opt->prio[LOAD_FLOOD], opt->patience);
	return f->fd < 0 ? f->fd : 0;
}

static int flood_ctl_open(struct run *run)
{
	const struct options *opt = run->opt;
	uint32_t magic;
	uint64_t key;
	int err;

	err = new_key(&key);
	if (err)
		return err;
	pattern_init(&run->flood_pat, key);
	run->flood_ctl = sock_dial(SOCK_STREAM, opt->cid, opt->port, 0,
				   opt->patience);
	if (run->flood_ctl < 0)
		return run->flood_ctl;
	err = greet(run->flood_ctl, WIRE_FLOOD, opt, key);
	if (!err)
		err = recv_all(run->flood_ctl, &magic, sizeof(magic));
	/* That is how a server without datagrams answers */
	return err == -ECONNRESET ? -EOPNOTSUPP : err;
}

static int flood_ctl_finish(struct run *run)
{
	size_t size;
	int err;

	err = send_all(run->flood_ctl, "", 1);
	if (!err)
		err = recv_all(run->flood_ctl, &run->flood,
			       sizeof(run->flood));
	if (err || run->flood.samples > MAX_SAMPLES)
		return err ? err : -EPROTO;
	size = run->flood.samples * sizeof(*run->received);
	run->received = malloc(size ? size : 1);
	if (!run->received)
		return -ENOMEM;
	return recv_all(run->flood_ctl, run->received, size);
}

/* The run */

static int say(const struct run *run, const char *what, int err)
{
	if (err)
		fprintf(stderr, "vsload: cannot %s CID %u port %u: %s\n", what,
			run->opt->cid, run->opt->port, strerror(-err));
	return err;
}

/* Datagrams first: whether they exist is the likeliest thing to fail */
static int open_all(struct run *run)
{
	const struct options *opt = run->opt;
	unsigned int i;
	int err = 0;

	if (opt->floods)
		err = say(run, "arrange datagrams with", flood_ctl_open(run));
	for (i = 0; !err && i < opt->floods; i++)
		err = say(run, "send datagrams to",
			  flood_open(&run->floods[i], run));
	for (i = 0; !err && i < opt->streams; i++)
		err = say(run, "open a stream to",
			  stream_open(&run->streams[i], run));
	for (i = 0; !err && i < opt->pings; i++)
		err = say(run, "open a ping to",
			  ping_open(&run->pings[i], run));
	return err;
}

static struct sample *alloc_samples(unsigned int nr, unsigned int width)
{
	uint64_t *cells = calloc((size_t)nr * width + 1, sizeof(*cells));
	struct sample *samples = calloc(nr, sizeof(*samples));
	unsigned int i;

	if (!cells || !samples)
		return NULL;
	for (i = 0; i < nr; i++)
		samples[i].streams = cells + (size_t)i * width;
	return samples;
}

static int alloc_all(struct run *run)
{
	const struct options *opt = run->opt;

	run->streams = calloc(opt->streams + 1, sizeof(*run->streams));
	run->pings = calloc(opt->pings + 1, sizeof(*run->pings));
	run->logs = calloc(opt->pings + 1, sizeof(*run->logs));
	run->floods = calloc(opt->floods + 1, sizeof(*run->floods));
	if (!run->streams || !run->pings || !run->logs || !run->floods)
		return -ENOMEM;
	run->samples = alloc_samples(run->nr_ticks + 1, opt->streams);
	run->drain = alloc_samples(DRAIN_SAMPLES, opt->streams);
	return run->samples && run->drain ? 0 : -ENOMEM;
}

static void plan(struct run *run)
{
	const struct options *opt = run->opt;
	double stop = opt->flood_stop < 0 ? opt->duration : opt->flood_stop;

	run->nr_ticks = lround(opt->duration / opt->interval);
	run->warm_ticks = lround(opt->warmup / opt->interval);
	run->start_tick = lround(opt->flood_start / opt->interval);
	run->stop_tick = lround(stop / opt->interval);
}

static void must_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	int err = pthread_create(thread, NULL, fn, arg);

	if (!err)
		return;
	fprintf(stderr, "vsload: cannot start a thread: %s\n", strerror(err));
	exit(EXIT_FAILURE);
}

static void take_sample(struct run *run, unsigned int tick)
{
	struct sample *s = &run->samples[tick];
	unsigned int i;

	s->ms = (now_us() - run->start_us) / 1000;
	for (i = 0; i < run->opt->streams; i++)
		s->streams[i] = run->streams[i].sent;
	for (i = 0; i < run->opt->floods; i++)
		s->dgrams += run->floods[i].sent;
}

/* Of what the kernel took it has some still */
static uint64_t stream_left(const struct stream *s)
{
	int queued;

	if (s->done)
		return STREAM_DONE;
	if (ioctl(s->fd, SIOCOUTQ, &queued))
		queued = 0;
	return s->sent - queued;
}

/* Returns whether all are done */
static bool drain_sample(struct run *run, struct sample *s)
{
	bool done = true;
	unsigned int i;

	s->ms = (now_us() - run->start_us) / 1000;
	for (i = 0; i < run->opt->streams; i++) {
		s->streams[i] = stream_left(&run->streams[i]);
		done = done && s->streams[i] == STREAM_DONE;
	}
	for (i = 0; i < run->opt->pings; i++)
		s->pings += !run->pings[i].done;
	return done && !s->pings;
}

static void drain(struct run *run)
{
	uint64_t next = now_us();
	bool done;

	do {
		sleep_until(next);
		next += DRAIN_SAMPLE_MS * 1000;
		done = drain_sample(run, &run->drain[run->nr_drain++]);
	} while (!done && run->nr_drain < DRAIN_SAMPLES);
}

/* Floods are switched on the tick, so that no sample has half of one */
static void tick_run(struct run *run, unsigned int tick)
{
	unsigned int i;

	sleep_until(run->start_us + llround(tick * run->opt->interval * 1e6));
	take_sample(run, tick);
	if (tick == run->start_tick)
		for (i = 0; i < run->opt->floods; i++)
			must_start(&run->floods[i].thread, flood_run,
				   &run->floods[i]);
	if (tick == run->stop_tick)
		run->stop_flood = true;
}

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = 1;
}

/* The next signal ends the program as usual: the server may not answer */
static void interrupt_on_signals(void)
{
	struct sigaction action = {
		.sa_handler = interrupt,
		.sa_flags = SA_RESETHAND | SA_RESTART,
	};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* A run that is ended early has something to report, and its floods started */
static void end_early(struct run *run, unsigned int tick)
{
	if (!interrupted || tick <= run->warm_ticks || tick < run->start_tick)
		return;
	run->nr_ticks = tick;
	if (run->stop_tick > tick)
		run->stop_tick = tick;
}

static void run_loads(struct run *run)
{
	const struct options *opt = run->opt;
	unsigned int i;

	interrupt_on_signals();
	run->start_us = now_us();
	for (i = 0; i < opt->streams; i++)
		must_start(&run->streams[i].thread, stream_run,
			   &run->streams[i]);
	for (i = 0; i < opt->pings; i++)
		must_start(&run->pings[i].thread, ping_run, &run->pings[i]);
	for (i = 0; i <= run->nr_ticks; i++) {
		tick_run(run, i);
		end_early(run, i);
	}
	run->stop = true;
	run->stop_flood = true;
	drain(run);
	for (i = 0; i < opt->floods; i++)
		pthread_join(run->floods[i].thread, NULL);
	for (i = 0; i < opt->streams; i++)
		pthread_join(run->streams[i].thread, NULL);
	for (i = 0; i < opt->pings; i++)
		pthread_join(run->pings[i].thread, NULL);
}

int client_run(struct run *run)
{
	int err;

	plan(run);
	err = say(run, "prepare loads for", alloc_all(run));
	if (!err)
		err = open_all(run);
	if (!err && run->opt->floods)
		err = say(run, "start datagrams to",
			  send_all(run->flood_ctl, "", 1));
	if (err)
		return err;
	run_loads(run);
	if (run->opt->floods)
		err = say(run, "learn about datagrams from",
			  flood_ctl_finish(run));
	return err;
}
