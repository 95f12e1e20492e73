# SPDX-License-Identifier: GPL-2.0-only
# "make help" lists the targets.

# The kernel line that everything is built from and for.
LINE ?= 7.3
# Nothing, or what kernel-patches/LINE/config.VARIANT is for: debug, kcsan. Each
# has a kernel of its own, which takes longer for everything.
VARIANT ?=
PATIENCE ?= $(if $(VARIANT),6,1)
# Nothing, or which VM has that kernel: host, guest. The other one then has the
# plain one. Emulated, a guest that checks itself hardly boots in a host that does.
SIDE ?=
# More for the command line of all VMs: "slub_debug=FZP", say, finds some of what
# VARIANT=debug finds, with the kernel that is there.
BOOT ?=
export LINE VARIANT PATIENCE BOOT

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
SHELL := /bin/bash

KERNEL_SH := scripts/kernel.sh
# GNU make before 4.4 exports nothing to $(shell).
SOURCE := LINE='$(LINE)' LINUX_SRC='$(LINUX_SRC)' LINUX_SHA256='$(LINUX_SHA256)' \
	VSFQ_CACHE='$(VSFQ_CACHE)'
KERNEL_DIR := $(shell $(SOURCE) VARIANT='$(VARIANT)' $(KERNEL_SH) dir)
ifeq ($(KERNEL_DIR),)
$(error $(KERNEL_SH) does not know where the kernel is)
endif

KERNEL_TREE := $(KERNEL_DIR)/linux
KERNEL_VMLINUX := $(KERNEL_DIR)/vmlinux
KERNEL_VERSION := $(shell sed -n 's/^VERSION=//p' kernel-patches/$(LINE)/base)
# A bzImage of one's own to test instead of the one that is built here.
KERNEL ?= $(KERNEL_DIR)/bzImage
ifneq ($(SIDE),)
ifeq ($(and $(VARIANT),$(filter host guest,$(SIDE))),)
$(error SIDE=$(SIDE): it is host or guest, and which kernel it has is VARIANT)
endif
PLAIN := $(shell $(SOURCE) VARIANT= $(KERNEL_SH) dir)/bzImage
export HOST_KERNEL := $(if $(filter guest,$(SIDE)),$(PLAIN))
export GUEST_KERNEL := $(if $(filter host,$(SIDE)),$(PLAIN))
$(PLAIN):
	VARIANT= $(KERNEL_SH) build
endif

LIBBPF := $(KERNEL_DIR)/tools
BPFTOOL := $(KERNEL_DIR)/tools/bpftool

MANUALS := $(patsubst docs/%.scd,build/%,$(wildcard docs/*.scd))

include bpf/build.mk loader/build.mk tests/load/build.mk \
	tests/hostile/build.mk tests/faults/build.mk tests/policy/build.mk \
	tests/sight/build.mk \
	packaging/build.mk

.PHONY: all bpf
all: build/vsfq build/vsload $(MANUALS)	## vsfq, vsload and their manual pages
bpf: $(BPF_OBJS)

build/%: docs/%.scd
	@mkdir -p $(@D)
	scdoc < $< > $@

$(LIBBPF)/libbpf.a $(BPFTOOL) &:
	$(KERNEL_SH) tools

$(KERNEL_DIR)/bzImage $(KERNEL_DIR)/vmlinux &:
	$(KERNEL_SH) build

.PHONY: deps kernel kernel-tree kernel-series each-patch print-kernel libbpf \
	bpftool
deps:			## install the Debian packages that are missing (as root)
	scripts/deps.sh

kernel:			## the patched kernel (15 minutes, then cached), or VARIANT=debug
	$(KERNEL_SH) build

kernel-tree:		## its source, the series as git commits
	@$(KERNEL_SH) tree
	@echo $(KERNEL_TREE)

kernel-series:		## write the commits of that tree back to kernel-patches/
	$(KERNEL_SH) series

each-patch:		## each patch builds alone, without new warnings (5 to 8 minutes)
	@$(KERNEL_SH) tree
	scripts/each-patch.sh $(KERNEL_TREE)

print-kernel:		## the path of the bzImage (use make -s)
	@$(KERNEL_SH) image

libbpf bpftool: $(BPFTOOL)	## from the kernel's source

.PHONY: check run-check demo run-demo bench torture memory vm session storm \
	storm-uml
CHECK_PROGRAMS := $(addprefix build/,test_load test_match test_top fuzz_parse \
	print_guests print_metrics print_rates print_show vshostile vsfault \
	chance.bpf.o late.bpf.o redirect.bpf.o shared.bpf.o)
# Nothing can be built before the packages are there, whatever -j says.
check demo: deps
	@$(MAKE) --no-print-directory run-$@

check:			## all tests (30 to 50 minutes), or those of TESTS=pattern
run-check: $(KERNEL) $(PLAIN) $(BPFTOOL) all $(CHECK_PROGRAMS)
	KERNEL=$(KERNEL) KERNEL_DIR=$(KERNEL_DIR) tests/run $(TESTS)

demo:			## floods against streams, with and without vsfq (4 minutes, the first time 25)
run-demo: $(KERNEL) $(PLAIN) all
	KERNEL=$(KERNEL) KERNEL_DIR=$(KERNEL_DIR) tests/demo

vm: $(KERNEL) $(PLAIN) all	## a host VM and a guest in it; says how to get a shell in each
	KERNEL=$(KERNEL) KERNEL_DIR=$(KERNEL_DIR) tests/shell

session: $(KERNEL) $(PLAIN) all	## write docs/session.txt and docs/top.txt from a run in VMs
	KERNEL=$(KERNEL) KERNEL_DIR=$(KERNEL_DIR) tests/session

bench: $(KERNEL) $(PLAIN) all	## measure every configuration (half an hour); BASE=bzImage compares kernels
	KERNEL=$(KERNEL) KERNEL_DIR=$(KERNEL_DIR) BASE=$(BASE) tests/bench $(ROUNDS)

SECONDS ?= 3600
torture: $(KERNEL) $(PLAIN) all build/chance.bpf.o	## disturb loads for SECONDS=3600, resumable; SEED=n, ROUND=k
	KERNEL=$(KERNEL) KERNEL_DIR=$(KERNEL_DIR) tests/torture \
		seconds=$(SECONDS) $(addprefix seed=,$(SEED)) \
		$(addprefix round=,$(ROUND))

HOLD_SECONDS ?= 60
memory: $(KERNEL) $(PLAIN) all build/vshostile	## what nobody reads, for HOLD_SECONDS=60 each (half an hour)
	for tests in t_9_memory t_9_hostile.test_huge_credit \
		     t_9_hostile.test_small_writes; do \
		KERNEL=$(KERNEL) KERNEL_DIR=$(KERNEL_DIR) \
		HOLD_SECONDS=$(HOLD_SECONDS) tests/run $$tests || exit 1; \
	done

PACKETS ?= 10000000
storm: $(KERNEL) $(PLAIN) all build/vshostile	## PACKETS=10000000 of a hostile guest, resumable; SEED=n, ROUND=k
	KERNEL=$(KERNEL) KERNEL_DIR=$(KERNEL_DIR) tests/storm \
		packets=$(PACKETS) $(addprefix seed=,$(SEED)) \
		$(addprefix round=,$(ROUND))

storm-uml: build/vshostile build/vsfault	## the same without a VM, on user-mode Linux with KASAN and lockdep
	VARIANT=uml $(KERNEL_SH) build
	dir=$$(VARIANT=uml $(KERNEL_SH) dir) && \
		KERNEL=$$dir/bzImage KERNEL_DIR=$$dir tests/storm-uml \
		packets=$(PACKETS) $(addprefix seed=,$(SEED)) \
		$(addprefix round=,$(ROUND))

.PHONY: clean help
clean:			## remove build/ (the cached kernel stays)
	rm -rf build

help:			## this list
	@sed -n 's/^\([a-z -]*\):.*## /\1	/p' Makefile tests/policy/build.mk \
		packaging/build.mk | \
		expand -t 20
