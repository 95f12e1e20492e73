// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/libbpf.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/event.h"
#include "events.h"
#include "guest.h"
#include "output.h"
#include "pins.h"
#include "policy_words.h"
#include "printable.h"
#include "reason.h"
#include "report.h"
#include "stop.h"
#include "vsfq.h"

#define NSECS	1000000000LL

static long long nsecs(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NSECS + now.tv_nsec;
}

/* As in RFC 3339, in UTC. */
static void print_time(const struct vsfq_event *e, char *text, size_t size)
{
	long long at = nsecs(CLOCK_REALTIME) - nsecs(CLOCK_MONOTONIC) +
		       (long long)e->time;
	time_t seconds = at / NSECS;
	char date[32];
	struct tm tm;

	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S",
		 gmtime_r(&seconds, &tm));
	snprintf(text, size, "%s.%06lldZ", date, at % NSECS / 1000);
}

/* As the user says it and reads it; one word may stand for two events. */
static const struct policy_word events[] = {
	{ "accept", VSFQ_ACCEPT },
	{ "accept", VSFQ_CLASS },
	{ "reject", VSFQ_REJECT },
	{ "drop", VSFQ_DROP },
	{ "connect", VSFQ_CONNECT },
	{ "close", VSFQ_CLOSE },
	{ "cap", VSFQ_CAPPED },
	{ "drop", VSFQ_DROPPED },
	{ }
};

static const char *what(const struct vsfq_event *e)
{
	return policy_word(events, e->what);
}

static const char *cap(const struct vsfq_event *e)
{
	return report_cap(*e->class ? e->cap - VSFQ_CAP_CLASS : e->cap);
}

static void print_text(const struct vsfq_event *e, const char *time)
{
	const struct vsfq_flow_key *f = &e->flow;
	const char *guest = guest_name(f->peer_cid);
	char device[sizeof(e->device)];

	printable_copy(device, sizeof(device), e->device);
	printf("%s %s %s %s %s local %u:%u peer %u:%u", time, device,
	       policy_word(policy_directions, e->direction),
	       policy_word(policy_types, f->type), what(e), f->local_cid,
	       f->local_port, f->peer_cid, f->peer_port);
	if (e->rule)
		printf(" rule %u", e->rule);
	else if (e->what < VSFQ_NR_VERDICTS)
		printf(" default");
	if (e->what == VSFQ_CLOSE)
		printf(" sent %llu received %llu", e->sent, e->received);
	if (e->what == VSFQ_CAPPED)
		printf(" %s of %s%s", cap(e), *e->class ? "class " : "device",
		       e->class);
	if (e->what == VSFQ_DROPPED)
		printf(" class %s reason %s drops %llu",
		       *e->class ? e->class : "unknown",
		       report_drop(e->reason), e->drops);
	if (guest)
		printf(" guest %s", guest);
	putchar('\n');
}

static void print_json(const struct vsfq_event *e, const char *time)
{
	const struct vsfq_flow_key *f = &e->flow;
	json_t *event = json_pack(
		"{s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s*}",
		"time", time, "device", printable(e->device),
		"direction", policy_word(policy_directions, e->direction),
		"type", policy_word(policy_types, f->type),
		"event", what(e),
		"local_cid", (json_int_t)f->local_cid,
		"local_port", (json_int_t)f->local_port,
		"peer_cid", (json_int_t)f->peer_cid,
		"peer_port", (json_int_t)f->peer_port,
		"guest", guest_name(f->peer_cid));

	if (e->what < VSFQ_NR_VERDICTS)
		json_object_set_new(event, "rule", json_integer(e->rule));
	if (e->what == VSFQ_CLOSE) {
		json_object_set_new(event, "sent", json_integer(e->sent));
		json_object_set_new(event, "received",
				    json_integer(e->received));
	}
	if (e->what == VSFQ_CAPPED)
		json_object_set_new(event, "cap", json_string(cap(e)));
	if (*e->class)
		json_object_set_new(event, "class", json_string(e->class));
	if (e->what == VSFQ_DROPPED) {
		json_object_set_new(event, "reason",
				    json_string(report_drop(e->reason)));
		json_object_set_new(event, "drops", json_integer(e->drops));
	}
	json_dumpf(event, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(event);
}

struct monitor {
	const struct options *opt;
	const char *only;	/* what it shows, NULL: everything */
	bool listening;		/* what came before is old */
};

static int print_event(void *data, void *event, size_t size)
{
	struct monitor *m = data;
	char time[48];

	/* Another size is another version's, still attached to a device. */
	if (!m->listening || size != sizeof(struct vsfq_event) ||
	    (m->only && strcmp(m->only, what(event))))
		return 0;
	print_time(event, time, sizeof(time));
	if (m->opt->json)
		print_json(event, time);
	else
		print_text(event, time);
	return output_flush();
}

/* Until a signal, what was sent before it included, or an error. */
static int follow(struct ring_buffer *ring, const sigset_t *signals)
{
	struct epoll_event ready;
	int ret = 0;

	while (ret >= 0 && !stopped()) {
		if (epoll_pwait(ring_buffer__epoll_fd(ring), &ready, 1, -1,
				signals) < 0 && errno != EINTR)
			return -errno;
		ret = ring_buffer__consume(ring);
	}
	return ret < 0 ? ret : 0;
}

static int print_events(const struct options *opt, const char *only, int fd,
			const sigset_t *signals)
{
	struct monitor m = { .opt = opt, .only = only };
	struct ring_buffer *ring;
	int err;

	ring = ring_buffer__new(fd, print_event, &m, NULL);
	if (!ring)
		return -errno;
	ring_buffer__consume(ring);
	m.listening = true;
	if (opt->verbose)
		fprintf(stderr, "vsfq: listening\n");
	err = follow(ring, signals);
	ring_buffer__free(ring);
	return err;
}

int command_monitor(const struct options *opt, char **arguments)
{
	int fd, lock, err;
	sigset_t signals;
	__u32 value;

	if (arguments[0] && policy_read_word(events, arguments[0], &value)) {
		complain(opt, "not an event \"%s\" (try: vsfq help)",
			 arguments[0]);
		return EXIT_USAGE;
	}
	stop_on_signals(&signals);
	fd = events_listen(&lock, &signals);
	if (fd == -EINTR)
		return EXIT_DONE;
	if (fd < 0)
		return complain(opt, "cannot monitor: %s", fd == -EBUSY ?
				"another vsfq monitor is running" :
				reason(fd));
	err = print_events(opt, arguments[0], fd, &signals);
	close(fd);
	close(lock);
	/* Who asks twice does not want to wait for what others are doing. */
	stop_no_more(&signals);
	pins_lock();
	events_forget();
	pins_cleanup();
	return err && !output_flush() ?
	       complain(opt, "cannot monitor any more: %s", strerror(-err)) :
	       EXIT_DONE;
}
