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

# Coverage guides it through our code, from the manual's example and what it has
# found before; libconfuse is Debian's, and as it leaks what it read before an
# error, leaks are not looked for. A seed repeats all of it: the order of a
# directory, and addresses, which it takes for values to try, would not.
FUZZ_RUNS ?= 1000000
# 0: another one each time.
FUZZ_SEED ?= 0
FUZZ_CORPUS := build/fuzz.corpus
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
fuzz: build/fuzz_parse	## the policy parser, FUZZ_RUNS executions (a million); FUZZ_SEED=n
	@rm -rf $(FUZZ_CORPUS) && mkdir -p $(FUZZ_CORPUS)
	cp tests/policy/found/* $(FUZZ_CORPUS)
	sed -n '/^```/,/^```/p' docs/vsfq.conf.5.scd | grep -v '```' \
		> $(FUZZ_CORPUS)/manual
	split -l 1 $(FUZZ_CORPUS)/manual $(FUZZ_CORPUS)/statement.
	ls $(FUZZ_CORPUS)/* | LC_ALL=C sort | paste -sd, > $(FUZZ_CORPUS).list
	ASAN_OPTIONS=detect_leaks=0 setarch -R build/fuzz_parse \
		-runs=$(FUZZ_RUNS) -seed=$(FUZZ_SEED) -max_len=2048 \
		-detect_leaks=0 -artifact_prefix=build/fuzz. \
		-dict=tests/policy/fuzz.dict -verbosity=0 -print_final_stats=1 \
		-seed_inputs=@$(FUZZ_CORPUS).list
