# SPDX-License-Identifier: GPL-2.0-only
# The tool; included by the top Makefile after bpf/build.mk, runs from there.
# Packages: libmnl-dev, libconfuse-dev, libjansson-dev, libelf-dev, zlib1g-dev,
# libncurses-dev, libexpat1-dev

LOADER_CFLAGS := -O2 -g -Wall -Wextra -Wno-unused-parameter \
	-Wno-sign-compare -Wno-missing-field-initializers -D_GNU_SOURCE -MMD -MP \
	-Ibuild -Ibuild/uapi -isystem $(LIBBPF)/usr/include
LOADER_OBJS := $(patsubst loader/%.c,build/loader/%.o,$(wildcard loader/*.c))

# Debian's linux/bpf.h is that of its own kernel: take the tree's, and only it.
LOADER_UAPI := $(addprefix build/uapi/linux/,bpf.h bpf_common.h btf.h)

$(LOADER_UAPI): build/uapi/linux/%.h: | $(LIBBPF)/libbpf.a
	@mkdir -p $(@D)
	cp $(KERNEL_TREE)/tools/include/uapi/linux/$*.h $@

build/loader/%.o: loader/%.c | $(LOADER_UAPI) build/vsfq.skel.h \
		build/classify.skel.h build/connect.skel.h build/cgroup.skel.h
	@mkdir -p $(@D)
	$(CC) $(LOADER_CFLAGS) $(CFLAGS) -c -o $@ $<

build/vsfq: $(LOADER_OBJS)
	$(CC) $(LOADER_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBBPF)/libbpf.a \
		-lmnl -lconfuse -ljansson -lelf -lz -lncurses -ltinfo -lexpat

-include $(LOADER_OBJS:.o=.d)
