# SPDX-License-Identifier: GPL-2.0-only
# The BPF programs and vmlinux.h; included by the top Makefile, runs from there.
# Needs of it: BPFTOOL (the program), LIBBPF (a directory with libbpf.a and
# usr/include/bpf), KERNEL_TREE, KERNEL_VMLINUX and KERNEL_VERSION (of the
# kernel that is built, for vmlinux.h alone).
# Packages: clang-19, python3

BPF_CLANG ?= clang-19
BPF_CFLAGS := -g -O2 -Wall -Werror -target bpf -mcpu=v3 \
	-D__TARGET_ARCH_x86 -I. -isystem $(LIBBPF)/usr/include
BPF_OBJS := $(addprefix build/,vsfq.bpf.o classify.bpf.o connect.bpf.o \
	cgroup.bpf.o)

build/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) vmlinux.h | $(LIBBPF)/libbpf.a
	@mkdir -p $(@D)
	$(BPF_CLANG) $(BPF_CFLAGS) -c -o $@ $<

build/%.skel.h: build/%.bpf.o | $(BPFTOOL)
	$(BPFTOOL) gen skeleton $< name $* > $@.new
	mv $@.new $@

# Checked in. Only when asked for by name it is made again, from the kernel
# that is built: a plain "make" does not need one.
ifneq ($(filter vmlinux.h,$(MAKECMDGOALS)),)
.PHONY: vmlinux.h
vmlinux.h: | $(BPFTOOL) $(KERNEL_VMLINUX)
	@mkdir -p build
	bpf/gen-vmlinux $(BPFTOOL) $(KERNEL_VMLINUX) $(KERNEL_VERSION) \
		bpf/vmlinux.types > build/vmlinux.h
	mv build/vmlinux.h vmlinux.h
endif
