// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the text of a policy to the verdict of the BPF code, which is run by the
 * kernel of this machine on packets that do not exist.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy.h"
/* Its types are those of policy.h. */
#include "match_test.skel.h"

#define STREAM		1
#define SEQPACKET	2
#define DGRAM		3

#define ACCEPT(class)	VSFQ_JUDGED(VSFQ_ACCEPT, VSFQ_CLASS_##class)
#define REJECT(class)	VSFQ_JUDGED(VSFQ_REJECT, VSFQ_CLASS_##class)
#define DROP(class)	VSFQ_JUDGED(VSFQ_DROP, VSFQ_CLASS_##class)
#define CLASS(n)	VSFQ_JUDGED(VSFQ_CLASS, n)

static struct match_test *skel;
static struct vsfq_policy policy;
static __u64 duration;		/* of the last question, in ns */
static __u32 judged;		/* the whole answer to it */

static void parse(const char *text)
{
	char path[] = "/tmp/test_match.XXXXXX";
	struct policy_error error;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	if (policy_parse(path, NULL, &policy, &error))
		fail_msg("%s", policy_error_text(&error));
	unlink(path);
}

/* As the loader does, without pins. */
static void put_in_force(void)
{
	int outer = bpf_map__fd(skel->maps.policy), inner;
	__u32 zero = 0;

	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, sizeof(zero),
			       sizeof(policy), 1, NULL);
	assert_true(inner >= 0);
	assert_int_equal(bpf_map_update_elem(inner, &zero, &policy, 0), 0);
	assert_int_equal(bpf_map_update_elem(outer, &zero, &inner, 0), 0);
	close(inner);
}

static void apply(const char *text)
{
	parse(text);
	put_in_force();
}

/* Returns the answer to what the program asks about this device. */
static __u32 run(const struct bpf_program *prog, int repeat)
{
	char packet[64] = "";
	LIBBPF_OPTS(bpf_test_run_opts, opts,
		    .data_in = packet,
		    .data_size_in = sizeof(packet),
		    .repeat = repeat,
	);

	strcpy(skel->bss->dev.name, "vhost-vsock10");
	strcpy(skel->bss->dev.port, "cid3");
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(prog), &opts),
			 0);
	duration = opts.duration;
	return opts.retval;
}

static __u32 ask(int direction, __u32 type, __u32 local_cid, __u32 local_port,
		 __u32 peer_cid, __u32 peer_port, int repeat)
{
	struct vsfq_flow_key key = {
		.local_cid = local_cid,
		.local_port = local_port,
		.peer_cid = peer_cid,
		.peer_port = peer_port,
		.type = type,
	};

	skel->bss->key = key;
	skel->bss->direction = direction;
	judged = run(skel->progs.ask, repeat);
	return judged & 0xffff;
}

/* Guest 3 and its host; the port that is asked for is what matters. */
static __u32 in(__u32 type, __u32 port)
{
	return ask(VSFQ_IN, type, 2, port, 3, 1024, 1);
}

static __u32 out(__u32 type, __u32 port)
{
	return ask(VSFQ_OUT, type, 2, 1024, 3, port, 1);
}

static void test_defaults(void **state)
{
	apply("rule { local-port = 1 verdict = accept }");
	assert_int_equal(in(STREAM, 5), ACCEPT(STREAM));
	assert_int_equal(in(SEQPACKET, 5), ACCEPT(STREAM));
	assert_int_equal(in(DGRAM, 5), ACCEPT(DGRAM));
	assert_int_equal(out(STREAM, 5), ACCEPT(STREAM));
	apply("default-in = reject default-out = drop");
	assert_int_equal(in(STREAM, 5), REJECT(STREAM));
	assert_int_equal(in(DGRAM, 5), REJECT(DGRAM));
	assert_int_equal(out(SEQPACKET, 5), DROP(STREAM));
}

static void test_first_match_wins(void **state)
{
	apply("class a { } class b { }"
	      "rule { local-port = 10-20  class = a }"
	      "rule { local-port = 15-25  class = b }"
	      "rule { direction = in  verdict = reject }");
	assert_int_equal(in(STREAM, 10), CLASS(2));
	assert_int_equal(in(STREAM, 15), CLASS(2));
	assert_int_equal(in(STREAM, 20), CLASS(2));
	assert_int_equal(in(STREAM, 21), CLASS(3));
	assert_int_equal(in(STREAM, 25), CLASS(3));
	assert_int_equal(in(STREAM, 26), REJECT(STREAM));
	assert_int_equal(in(STREAM, 9), REJECT(STREAM));
	assert_int_equal(out(STREAM, 26), ACCEPT(STREAM));
}

/* Which rule it was, if that wants to be told. */
static void test_log(void **state)
{
	apply("rule { local-port = 1 verdict = accept }"
	      "rule { local-port = 2 log = yes direction = in"
	      "       verdict = reject }"
	      "rule { local-port = 3 log = no verdict = accept }"
	      "rule { log = yes class = dgram }");
	assert_int_equal(in(STREAM, 1), ACCEPT(STREAM));
	assert_int_equal(judged & VSFQ_JUDGED_LOG, 0);
	assert_int_equal(in(STREAM, 2), REJECT(STREAM));
	assert_int_equal(judged & VSFQ_JUDGED_LOG, VSFQ_JUDGED_LOG);
	assert_int_equal(VSFQ_JUDGED_RULE(judged), 2);
	assert_int_equal(in(STREAM, 3), ACCEPT(STREAM));
	assert_int_equal(judged & VSFQ_JUDGED_LOG, 0);
	assert_int_equal(in(STREAM, 4), CLASS(1));
	assert_int_equal(judged & VSFQ_JUDGED_LOG, VSFQ_JUDGED_LOG);
	assert_int_equal(VSFQ_JUDGED_RULE(judged), 4);
	apply("default-in = reject");
	assert_int_equal(in(STREAM, 1), REJECT(STREAM));
	assert_int_equal(VSFQ_JUDGED_RULE(judged), VSFQ_BY_DEFAULT);
}

static void test_types(void **state)
{
	apply("default-in = reject  rule { type = stream verdict = accept }");
	assert_int_equal(in(STREAM, 5), ACCEPT(STREAM));
	assert_int_equal(in(SEQPACKET, 5), REJECT(STREAM));
	assert_int_equal(in(DGRAM, 5), REJECT(DGRAM));
	apply("default-in = reject"
	      " rule { type = {dgram, seqpacket} verdict = accept }");
	assert_int_equal(in(STREAM, 5), REJECT(STREAM));
	assert_int_equal(in(SEQPACKET, 5), ACCEPT(STREAM));
	assert_int_equal(in(DGRAM, 5), ACCEPT(DGRAM));
}

static void test_ports(void **state)
{
	static const __u32 match[] = { 0, 7, 100, 150, 200, ~0U };
	static const __u32 miss[] = { 1, 6, 8, 99, 201, ~0U - 1 };
	int i;

	apply("default-out = drop"
	      " rule { remote-port = {0, 7, 100-200, 4294967295}"
	      "        verdict = accept }");
	for (i = 0; i < sizeof(match) / sizeof(match[0]); i++)
		assert_int_equal(out(STREAM, match[i]), ACCEPT(STREAM));
	for (i = 0; i < sizeof(miss) / sizeof(miss[0]); i++)
		assert_int_equal(out(STREAM, miss[i]), DROP(STREAM));
	apply("default-out = drop"
	      " rule { local-port = 1024 remote-port = 9 verdict = accept }");
	assert_int_equal(out(STREAM, 9), ACCEPT(STREAM));
	assert_int_equal(out(STREAM, 1024), DROP(STREAM));
	assert_int_equal(ask(VSFQ_OUT, STREAM, 2, 1025, 3, 9, 1),
			 DROP(STREAM));
}

static void test_cids(void **state)
{
	apply("default-in = reject"
	      " rule { local-cid = host remote-cid = 3-5 verdict = accept }");
	assert_int_equal(ask(VSFQ_IN, STREAM, 2, 1, 3, 1, 1), ACCEPT(STREAM));
	assert_int_equal(ask(VSFQ_IN, STREAM, 2, 1, 5, 1, 1), ACCEPT(STREAM));
	assert_int_equal(ask(VSFQ_IN, STREAM, 2, 1, 6, 1, 1), REJECT(STREAM));
	assert_int_equal(ask(VSFQ_IN, STREAM, 3, 1, 3, 1, 1), REJECT(STREAM));
}

static void test_device(void **state)
{
	apply("default-in = reject"
	      " rule { device = vhost-vsock1 verdict = accept }");
	assert_int_equal(in(STREAM, 1), REJECT(STREAM));
	apply("default-in = reject"
	      " rule { device = vhost-vsock10 verdict = accept }");
	assert_int_equal(in(STREAM, 1), ACCEPT(STREAM));
}

/* The whole of it counts. */
static void test_port(void **state)
{
	apply("default-in = reject"
	      " rule { device = cid30 verdict = accept }"
	      " rule { device = cid verdict = accept }");
	assert_int_equal(in(STREAM, 1), REJECT(STREAM));
	apply("default-in = reject rule { device = cid3 verdict = accept }");
	assert_int_equal(in(STREAM, 1), ACCEPT(STREAM));
}

/* The first that its name or its port matches. */
static void test_section(void **state)
{
	static const struct {
		const char *sections;
		__u32 first;
	} of[] = {
		{ "device cid30 { } device cid { } device \"cid30*\" { }"
		  "device vhost-vsock1 { }", 0 },
		{ "device cid30 { } device cid3 { }", 2 },
		{ "device vhost-vsock1 { } device \"cid*\" { }", 2 },
		{ "device cid3 { } device vhost-vsock10 { }", 1 },
		{ "device \"vhost*\" { } device cid3 { }", 1 },
		{ "device cid30 { } device \"*\" { }", 2 },
	};
	int i;

	for (i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		apply(of[i].sections);
		assert_int_equal(run(skel->progs.ask_section, 1), of[i].first);
	}
}

static void test_cgroup(void **state)
{
	apply("default-out = drop"
	      " rule { direction = out cgroup = / verdict = accept }");
	/* No cgroup has this number. */
	policy.cgroup[0].id = ~0ULL;
	put_in_force();
	assert_int_equal(out(STREAM, 1), VSFQ_JUDGED_OWNER | DROP(STREAM));
	assert_int_equal(in(STREAM, 1), ACCEPT(STREAM));
}

static void test_none(void **state)
{
	__u32 zero = 0;

	apply("default-in = reject");
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(skel->maps.policy),
					     &zero), 0);
	in(STREAM, 1);
	assert_int_equal(judged, (__u32)-1);
}

/* The last of all that there may be; told, not judged: what it takes. */
static void test_many_rules(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *file;
	int i;

	file = open_memstream(&text, &size);
	for (i = 0; i < VSFQ_MAX_RULES; i++)
		fprintf(file, "rule { direction = in  local-port = %d"
			"  verdict = %s }\n", i, i < VSFQ_MAX_RULES - 1 ?
			"accept" : "reject");
	fclose(file);
	apply(text);
	free(text);
	assert_int_equal(in(STREAM, VSFQ_MAX_RULES - 1), REJECT(STREAM));
	assert_int_equal(in(STREAM, VSFQ_MAX_RULES), ACCEPT(STREAM));
	ask(VSFQ_IN, STREAM, 2, VSFQ_MAX_RULES, 3, 1, 1000);
	print_message("%d rules: %llu ns\n", VSFQ_MAX_RULES, duration);
}

static int start(void **state)
{
	skel = match_test__open_and_load();
	return skel ? 0 : -1;
}

static int end(void **state)
{
	match_test__destroy(skel);
	return 0;
}

/* With --load it only tells whether the kernel takes the program. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_first_match_wins),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_cids),
		cmocka_unit_test(test_device),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_section),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_many_rules),
	};

	if (argc > 1 && !strcmp(argv[1], "--load"))
		return start(NULL) ? 1 : 0;
	return cmocka_run_group_tests(tests, start, end);
}
