# SPDX-License-Identifier: GPL-2.0-only
# vshostile; included by the top Makefile, runs from there.

VSHOSTILE_CFLAGS := -O2 -g -Wall -Wextra -D_GNU_SOURCE -pthread -MMD -MP
VSHOSTILE_OBJS := $(addprefix build/hostile/,vshostile.o storm.o gen.o lay.o \
	device.o netdev.o server.o polite.o guest.o cases.o \
	user.o liar.o met.o witness.o case_reach.o case_life.o case_change.o case_bound.o)

build/hostile/%.o: tests/hostile/%.c
	@mkdir -p $(@D)
	$(CC) $(VSHOSTILE_CFLAGS) $(CFLAGS) -c -o $@ $<

build/vshostile: $(VSHOSTILE_OBJS) build/load/sock.o build/faults/nth.o
	$(CC) $(VSHOSTILE_CFLAGS) $(LDFLAGS) -o $@ $^

-include $(VSHOSTILE_OBJS:.o=.d)
