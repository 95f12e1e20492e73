# SPDX-License-Identifier: GPL-2.0-only
# vsload, its unit test, BPF programs; included by the top Makefile, runs from there.
# Packages: libjansson-dev, liburing-dev (linked into it: who installs vsload
# needs no library for it), libcmocka-dev (the unit test alone)

VSLOAD_CFLAGS := -O2 -g -Wall -Wextra -Wno-unused-parameter -D_GNU_SOURCE -pthread -MMD -MP
VSLOAD_OBJS := $(addprefix build/load/,vsload.o client.o server.o sink.o \
	post.o slice.o sock.o pattern.o stats.o report.o)

build/load/%.o: tests/load/%.c
	@mkdir -p $(@D)
	$(CC) $(VSLOAD_CFLAGS) $(CFLAGS) -c -o $@ $<

build/vsload: $(VSLOAD_OBJS)
	$(CC) $(VSLOAD_CFLAGS) $(LDFLAGS) -o $@ $^ -ljansson -lm -l:liburing.a

build/test_load: $(addprefix build/load/,test_load.o pattern.o stats.o)
	$(CC) $(VSLOAD_CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka

$(addprefix build/,chance.bpf.o late.bpf.o redirect.bpf.o shared.bpf.o): build/%.bpf.o: \
		tests/load/%.bpf.c | $(LIBBPF)/libbpf.a
	@mkdir -p $(@D)
	$(BPF_CLANG) $(BPF_CFLAGS) -c -o $@ $< \
		-isystem /usr/include/$(shell $(CC) -print-multiarch)

-include $(VSLOAD_OBJS:.o=.d) build/load/test_load.d
