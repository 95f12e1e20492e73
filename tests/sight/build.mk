# SPDX-License-Identifier: GPL-2.0-only
# The tests of what administrators look at; included by the top Makefile after
# loader/build.mk, runs from there.
# Packages: libcmocka-dev

build/print_metrics: tests/sight/print_metrics.c build/loader/metrics_text.o
	$(CC) $(LOADER_CFLAGS) -Iloader $(CFLAGS) $(LDFLAGS) -o $@ $^ -ljansson

build/print_show: tests/sight/print_show.c build/loader/show_text.o \
		build/loader/printable.o
	$(CC) $(LOADER_CFLAGS) -Iloader $(CFLAGS) $(LDFLAGS) -o $@ $^ -ljansson

build/test_top: tests/sight/test_top.c build/loader/top_rate.o \
		build/loader/top_text.o build/loader/printable.o
	$(CC) $(LOADER_CFLAGS) -Iloader $(CFLAGS) $(LDFLAGS) -o $@ $^ \
		-lcmocka -ljansson

build/print_rates: tests/sight/print_rates.c build/loader/rate.o
	$(CC) $(LOADER_CFLAGS) -Iloader $(CFLAGS) $(LDFLAGS) -o $@ $^ -ljansson

build/print_guests: tests/sight/print_guests.c build/loader/guest.o \
		build/loader/guest_file.o build/loader/printable.o
	$(CC) $(LOADER_CFLAGS) -Iloader $(CFLAGS) $(LDFLAGS) -o $@ $^ \
		-lexpat -ljansson
