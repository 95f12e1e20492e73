# SPDX-License-Identifier: GPL-2.0-only
# vsload and its unit test; included by the top Makefile, runs from there.
# Packages: libjansson-dev, libcmocka-dev (the unit test alone)

VSLOAD_CFLAGS := -O2 -g -Wall -Wextra -D_GNU_SOURCE -pthread -MMD -MP
VSLOAD_OBJS := $(addprefix build/load/,vsload.o client.o server.o sink.o \
	slice.o sock.o pattern.o stats.o report.o)

build/load/%.o: tests/load/%.c
	@mkdir -p $(@D)
	$(CC) $(VSLOAD_CFLAGS) $(CFLAGS) -c -o $@ $<

build/vsload: $(VSLOAD_OBJS)
	$(CC) $(VSLOAD_CFLAGS) $(LDFLAGS) -o $@ $^ -ljansson -lm

build/test_load: $(addprefix build/load/,test_load.o pattern.o stats.o)
	$(CC) $(VSLOAD_CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka

-include $(VSLOAD_OBJS:.o=.d) build/load/test_load.d
