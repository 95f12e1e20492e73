# SPDX-License-Identifier: GPL-2.0-only
# vsfault; included by the top Makefile, runs from there.

VSFAULT_CFLAGS := -O2 -g -Wall -Wextra -D_GNU_SOURCE -MMD -MP
VSFAULT_OBJS := $(addprefix build/faults/,vsfault.o steps.o nth.o)

build/faults/%.o: tests/faults/%.c
	@mkdir -p $(@D)
	$(CC) $(VSFAULT_CFLAGS) $(CFLAGS) -c -o $@ $<

build/vsfault: $(VSFAULT_OBJS) build/load/sock.o
	$(CC) $(VSFAULT_CFLAGS) $(LDFLAGS) -o $@ $^

-include $(VSFAULT_OBJS:.o=.d)
