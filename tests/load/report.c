// SPDX-License-Identifier: GPL-2.0-only
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"

/* A stretch of the run in which nothing was switched, in ticks */
struct phase {
	const char *name;
	unsigned int from, to;
};

struct figures {
	double seconds;
	double stream_mbps;
	double each[MAX_STREAMS];
	double jain;
	struct ping_summary ping;
	double sent_per_s, received_per_s;
};

/* The server's clock started a little later: not more than was sent by then */
static uint64_t received_until(const struct run *run, unsigned int tick)
{
	uint64_t received, sent = run->samples[tick].dgrams;

	if (!tick || !run->flood.samples)
		return 0;
	received = tick > run->flood.samples ? run->flood.received :
					       run->received[tick - 1];
	return received < sent ? received : sent;
}

static void figures_get(const struct run *run, unsigned int from,
			unsigned int to, struct figures *fig)
{
	const struct sample *a = &run->samples[from], *b = &run->samples[to];
	unsigned int i, nr = run->opt->streams;

	memset(fig, 0, sizeof(*fig));
	fig->seconds = (b->ms - a->ms) / 1e3;
	for (i = 0; i < nr; i++) {
		fig->each[i] = (b->streams[i] - a->streams[i]) /
			       fig->seconds / 1e6;
		fig->stream_mbps += fig->each[i];
	}
	fig->jain = jain(fig->each, nr);
	fig->sent_per_s = (b->dgrams - a->dgrams) / fig->seconds;
	fig->received_per_s =
		(received_until(run, to) - received_until(run, from)) /
		((to - from) * run->opt->interval);
	if (ping_summarize(run->logs, run->opt->pings, a->ms, b->ms,
			   &fig->ping))
		fprintf(stderr, "vsload: no memory for percentiles\n");
}

/* The warm-up after each switch belongs to no phase */
static unsigned int phases_get(const struct run *run, struct phase *ph)
{
	unsigned int warm = run->warm_ticks, end = run->nr_ticks, i, nr = 0;
	unsigned int start = run->start_tick, stop = run->stop_tick;
	struct phase all[] = {
		{ "before", warm, start },
		{ "flood", start + warm, stop },
		{ "after", stop + warm, end },
	};

	if (!run->opt->floods)
		all[0] = (struct phase){ "all", warm, end };
	for (i = 0; i < (run->opt->floods ? 3 : 1); i++)
		if (all[i].from < all[i].to)
			ph[nr++] = all[i];
	return nr;
}

/* NULL when every byte arrived as it was sent */
static const char *stream_fault(const struct stream *s)
{
	if (s->err)
		return strerror(-s->err);
	if (s->result.mismatch != NO_MISMATCH)
		return "wrong content";
	if (s->result.bad_bounds)
		return "wrong message bounds";
	if (s->result.received != s->sent)
		return "wrong length";
	return NULL;
}

static const char *ping_fault(const struct ping *p)
{
	if (p->err)
		return strerror(-p->err);
	return p->mangled ? "wrong answer" : NULL;
}

/* Is every datagram that came as it was sent, and was it, once? */
static bool flood_verified(const struct run *run)
{
	const struct flood_result *res = &run->flood;
	uint64_t newest = 0;
	unsigned int i;

	for (i = 0; i < run->opt->floods; i++)
		if (run->floods[i].sent > newest)
			newest = run->floods[i].sent;
	return !res->bad && !res->repeated && res->newest <= newest;
}

bool run_verified(const struct run *run)
{
	const struct options *opt = run->opt;
	bool good = flood_verified(run);
	unsigned int i;

	for (i = 0; i < opt->streams; i++)
		good = good && !stream_fault(&run->streams[i]);
	for (i = 0; i < opt->pings; i++)
		good = good && !ping_fault(&run->pings[i]);
	for (i = 0; i < opt->floods; i++)
		good = good && !run->floods[i].err;
	return good;
}

/* Text */

static void print_phase(const struct run *run, const struct phase *ph)
{
	const struct options *opt = run->opt;
	struct figures f;

	figures_get(run, ph->from, ph->to, &f);
	printf("%-7s %7.1f", ph->name, f.seconds);
	if (opt->streams)
		printf(" %9.2f %6.4f", f.stream_mbps, f.jain);
	else
		printf(" %9s %6s", "-", "-");
	if (f.ping.count)
		printf(" %9u %9u", f.ping.p50, f.ping.p99);
	else
		printf(" %9s %9s", "-", "-");
	if (opt->floods)
		printf(" %9.0f %9.0f\n", f.sent_per_s, f.received_per_s);
	else
		printf(" %9s %9s\n", "-", "-");
}

static void print_stream_fault(unsigned int i, const struct stream *s)
{
	const char *fault = stream_fault(s);

	if (!fault)
		return;
	printf("stream %u: %s: %llu bytes sent, %llu received", i, fault,
	       (unsigned long long)s->sent,
	       (unsigned long long)s->result.received);
	if (s->result.mismatch != NO_MISMATCH)
		printf(", byte %llu is 0x%02x, expected 0x%02x",
		       (unsigned long long)s->result.mismatch, s->result.got,
		       s->result.want);
	putchar('\n');
}

static void print_faults(const struct run *run)
{
	const struct options *opt = run->opt;
	const char *fault;
	unsigned int i;

	for (i = 0; i < opt->streams; i++)
		print_stream_fault(i, &run->streams[i]);
	for (i = 0; i < opt->pings; i++) {
		fault = ping_fault(&run->pings[i]);
		if (fault)
			printf("ping %u: %s\n", i, fault);
	}
	for (i = 0; i < opt->floods; i++)
		if (run->floods[i].err)
			printf("flood %u: %s\n", i,
			       strerror(-run->floods[i].err));
}

static uint64_t stream_bytes(const struct run *run)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < run->opt->streams; i++)
		sum += run->streams[i].result.received;
	return sum;
}

static void flood_totals(const struct run *run, struct flood *sum)
{
	unsigned int i;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < run->opt->floods; i++) {
		sum->sent += run->floods[i].sent;
		sum->eagain += run->floods[i].eagain;
		sum->dropped += run->floods[i].dropped;
	}
}

static void print_totals(const struct run *run)
{
	const struct flood_result *res = &run->flood;
	struct flood sum;

	if (run->opt->streams)
		printf("streams: %llu bytes received\n",
		       (unsigned long long)stream_bytes(run));
	if (!run->opt->floods)
		return;
	flood_totals(run, &sum);
	printf("datagrams: %llu sent (%llu EAGAIN, %llu ENOBUFS), ",
	       (unsigned long long)sum.sent, (unsigned long long)sum.eagain,
	       (unsigned long long)sum.dropped);
	printf("%llu received, %llu verified, %llu bad, %llu late, ",
	       (unsigned long long)res->received,
	       (unsigned long long)(res->received - res->bad),
	       (unsigned long long)res->bad, (unsigned long long)res->late);
	printf("%llu repeated, %llu stray, %llu without room\n",
	       (unsigned long long)res->repeated,
	       (unsigned long long)res->stray,
	       (unsigned long long)res->overflow);
}

void report_table(const struct run *run)
{
	struct phase phases[3];
	unsigned int i, nr = phases_get(run, phases);

	printf("%-7s %7s %9s %6s %9s %9s %9s %9s\n", "phase", "seconds",
	       "stream", "jain", "ping p50", "ping p99", "sent", "received");
	printf("%-7s %7s %9s %6s %9s %9s %9s %9s\n", "", "", "MB/s", "", "us",
	       "us", "dgrams/s", "dgrams/s");
	for (i = 0; i < nr; i++)
		print_phase(run, &phases[i]);
	print_totals(run);
	print_faults(run);
	printf("verified: %s\n", run_verified(run) ? "yes" : "no");
}

/* JSON */

static json_t *json_each(const struct figures *f, unsigned int nr)
{
	json_t *each = json_array();
	unsigned int i;

	for (i = 0; i < nr; i++)
		json_array_append_new(each, json_real(f->each[i]));
	return each;
}

static json_t *json_ping(const struct ping_summary *p)
{
	if (!p->count)
		return json_pack("{s:i, s:n, s:n, s:n, s:n}", "count", 0,
				 "p50_us", "p90_us", "p99_us", "max_us");
	return json_pack("{s:I, s:i, s:i, s:i, s:i}",
			 "count", (json_int_t)p->count, "p50_us", p->p50,
			 "p90_us", p->p90, "p99_us", p->p99, "max_us", p->max);
}

/* The figures of one phase or of one sample */
static json_t *json_figures(const struct run *run, unsigned int from,
			    unsigned int to)
{
	struct figures f;

	figures_get(run, from, to, &f);
	return json_pack("{s:f, s:f, s:f, s:o, s:f, s:o, s:f, s:f}",
			 "from", run->samples[from].ms / 1e3,
			 "to", run->samples[to].ms / 1e3,
			 "stream_mbps", f.stream_mbps,
			 "stream_each", json_each(&f, run->opt->streams),
			 "jain", f.jain,
			 "ping", json_ping(&f.ping),
			 "dgram_sent_per_s", f.sent_per_s,
			 "dgram_received_per_s", f.received_per_s);
}

static json_t *json_phases(const struct run *run)
{
	struct phase phases[3];
	unsigned int i, nr = phases_get(run, phases);
	json_t *all = json_object();

	for (i = 0; i < nr; i++)
		json_object_set_new(all, phases[i].name,
				    json_figures(run, phases[i].from,
						 phases[i].to));
	return all;
}

static json_t *json_samples(const struct run *run)
{
	json_t *all = json_array();
	unsigned int i;

	for (i = 0; i < run->nr_ticks; i++)
		json_array_append_new(all, json_figures(run, i, i + 1));
	return all;
}

/* Has anything of it moved, or was there nothing left to move? */
static json_t *json_drained(const struct run *run, unsigned int tick)
{
	const struct sample *a = &run->drain[tick - 1], *b = a + 1;
	json_t *streams = json_array();
	unsigned int i;

	for (i = 0; i < run->opt->streams; i++)
		json_array_append_new(streams, json_boolean(
			b->streams[i] == STREAM_DONE ||
			b->streams[i] != a->streams[i]));
	return json_pack("{s:f, s:f, s:o, s:b}", "from", a->ms / 1e3,
			 "to", b->ms / 1e3, "streams", streams,
			 "pings", !b->pings || b->pings < a->pings);
}

static json_t *json_drain(const struct run *run)
{
	json_t *all = json_array();
	unsigned int i;

	for (i = 1; i < run->nr_drain; i++)
		json_array_append_new(all, json_drained(run, i));
	return all;
}

static json_t *json_streams(const struct run *run)
{
	json_t *all = json_array();
	unsigned int i;

	for (i = 0; i < run->opt->streams; i++) {
		const struct stream *s = &run->streams[i];
		const struct bulk_result *res = &s->result;
		json_t *at = res->mismatch == NO_MISMATCH ? json_null() :
			     json_integer(res->mismatch);

		json_array_append_new(all, json_pack(
			"{s:I, s:I, s:o, s:s?}", "sent", (json_int_t)s->sent,
			"received", (json_int_t)res->received, "mismatch", at,
			"fault", stream_fault(s)));
	}
	return all;
}

static json_t *json_dgrams(const struct run *run)
{
	const struct flood_result *res = &run->flood;
	struct flood sum;

	if (!run->opt->floods)
		return json_null();
	flood_totals(run, &sum);
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "size", run->opt->dgram_size,
			 "sent", (json_int_t)sum.sent,
			 "eagain", (json_int_t)sum.eagain,
			 "enobufs", (json_int_t)sum.dropped,
			 "received", (json_int_t)res->received,
			 "bad", (json_int_t)res->bad,
			 "late", (json_int_t)res->late,
			 "repeated", (json_int_t)res->repeated,
			 "stray", (json_int_t)res->stray,
			 "overflow", (json_int_t)res->overflow);
}

static json_t *json_run(const struct run *run)
{
	const struct options *opt = run->opt;

	return json_pack("{s:i, s:i, s:s, s:i, s:i, s:i, s:f, s:b, "
			 "s:o, s:o, s:o, s:o, s:o}",
			 "cid", opt->cid, "port", opt->port,
			 "type", opt->type == SOCK_SEQPACKET ?
				 "seqpacket" : "stream",
			 "streams", opt->streams, "pings", opt->pings,
			 "floods", opt->floods, "interval", opt->interval,
			 "verified", run_verified(run),
			 "phases", json_phases(run),
			 "samples", json_samples(run),
			 "drain", json_drain(run),
			 "stream_results", json_streams(run),
			 "dgram_results", json_dgrams(run));
}

int report_json(const struct run *run, const char *path)
{
	json_t *all = json_run(run);
	int err;

	if (!all)
		return -1;
	err = json_dump_file(all, path, JSON_INDENT(1) |
			     JSON_REAL_PRECISION(6));
	json_decref(all);
	return err;
}
