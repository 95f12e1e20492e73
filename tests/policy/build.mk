# SPDX-License-Identifier: GPL-2.0-only
# The tests of policies; included by the top Makefile after loader/build.mk,
# runs from there.
# Packages: libcmocka-dev, libconfuse-dev, libclang-rt-19-dev (the fuzzer)

POLICY_OBJS := $(patsubst %,build/loader/policy_%.o,parse build source place \
	hint words print error)

build/match_test.bpf.o: tests/policy/match_test.bpf.c $(wildcard bpf/*.h) \
		vmlinux.h | $(LIBBPF)/libbpf.a
	@mkdir -p $(@D)
	$(BPF_CLANG) $(BPF_CFLAGS) -Ibpf -c -o $@ $<

build/test_match: tests/policy/test_match.c build/match_test.skel.h \
		$(POLICY_OBJS)
	$(CC) $(LOADER_CFLAGS) -Iloader $(CFLAGS) $(LDFLAGS) -o $@ $< \
		$(POLICY_OBJS) $(LIBBPF)/libbpf.a -lcmocka -lconfuse -lelf -lz

# Coverage guides it through our code; libconfuse is Debian's, and as it leaks
# what it read before an error, leaks are not looked for.
FUZZ_RUNS ?= 1000000
FUZZ_SEEDS := build/fuzz.seeds
FUZZ_SOURCES := $(patsubst %,loader/policy_%.c,build place hint words print \
	error)

build/fuzz_parse: tests/policy/fuzz_parse.c loader/policy_source.c \
		loader/policy_parse.c $(FUZZ_SOURCES) \
		$(wildcard loader/policy*.h) bpf/policy.h
	@mkdir -p $(@D)
	$(BPF_CLANG) $(LOADER_CFLAGS) -MF $@.d \
		-fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $< $(FUZZ_SOURCES) -lconfuse

.PHONY: fuzz
fuzz: build/fuzz_parse	## the policy parser, FUZZ_RUNS executions (a million)
	@mkdir -p $(FUZZ_SEEDS)
	sed -n '/^```/,/^```/p' docs/vsfq.conf.5.scd | grep -v '```' \
		> $(FUZZ_SEEDS)/manual
	split -l 1 $(FUZZ_SEEDS)/manual $(FUZZ_SEEDS)/statement.
	cd build && ASAN_OPTIONS=detect_leaks=0 ./fuzz_parse \
		-runs=$(FUZZ_RUNS) -max_len=2048 -detect_leaks=0 \
		-artifact_prefix=fuzz. -dict=../tests/policy/fuzz.dict \
		-verbosity=0 -print_final_stats=1 fuzz.seeds
