# SPDX-License-Identifier: GPL-2.0-only
# Where things go on a machine; included by the top Makefile, runs from there.
# Packages: dpkg-dev (make deb)

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
SBINDIR ?= $(PREFIX)/sbin
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
DOCDIR ?= $(DATADIR)/doc/vsfq
UNITDIR ?= $(LIBDIR)/systemd/system
ZSHDIR ?= $(DATADIR)/zsh/site-functions
# NetworkManager looks into /usr/lib and /etc, and into no /usr/local.
NMDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/lib,$(SYSCONFDIR))/NetworkManager
# The policy itself is the administrator's: only its directory is made.
POLICY_DIR := $(SYSCONFDIR)/vsfq

EXAMPLE := build/packaging/vsfq.conf

# What is installed: source:destination.
PROGRAMS := build/vsfq:$(SBINDIR)/vsfq build/vsload:$(BINDIR)/vsload
UNITS := $(foreach u,vsfq.service vsfq-attach@.service,\
		packaging/systemd/$u.in:$(UNITDIR)/$u)
DATA := $(foreach m,$(MANUALS),\
		$m:$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m)) \
	$(foreach d,$(wildcard docs/*.md docs/*.txt),$d:$(DOCDIR)/$(notdir $d)) \
	$(EXAMPLE):$(DOCDIR)/examples/vsfq.conf \
	packaging/network/85-vsfq.rules:$(LIBDIR)/udev/rules.d/85-vsfq.rules \
	packaging/network/10-vsfq.network:$(LIBDIR)/systemd/network/10-vsfq.network \
	packaging/network/NetworkManager.conf:$(NMDIR)/conf.d/vsfq.conf \
	packaging/completion/vsfq.bash:$(DATADIR)/bash-completion/completions/vsfq \
	packaging/completion/_vsfq:$(ZSHDIR)/_vsfq

define newline


endef
source = $(firstword $(subst :, ,$1))
destination = $(DESTDIR)$(lastword $(subst :, ,$1))

# One line of shell for each file.
install_programs = $(foreach f,$(PROGRAMS),\
	install -D -m 755 $(call source,$f) $(call destination,$f)$(newline))
install_data = $(foreach f,$(DATA),\
	install -D -m 644 $(call source,$f) $(call destination,$f)$(newline))
install_units = $(foreach f,$(UNITS),\
	sed -e 's|@SBINDIR@|$(SBINDIR)|g' -e 's|@POLICY_DIR@|$(POLICY_DIR)|g' \
		$(call source,$f) | \
		install -D -m 644 /dev/stdin $(call destination,$f)$(newline))

# The example is that of the manual.
all: $(EXAMPLE)
$(EXAMPLE): docs/vsfq.conf.5.scd
	@mkdir -p $(@D)
	sed -n '/^# EXAMPLE/,/^# ERRORS/{/^```/,/^```/{/^```/!p}}' $< > $@

# What vsfq(7) says is to be done then; not of a tree that is to be packed.
define say_enable
	@printf '%s\n' 'Installed. For udev and systemd to act, run:' \
		'  systemctl enable --now vsfq.service' \
		'  udevadm control --reload' \
		'  udevadm trigger --subsystem-match=net --attr-match=type=827'
endef

# Builds nothing: root has another cache, and would build a kernel there.
.PHONY: install uninstall deb
install:		## what make has built; DESTDIR= PREFIX=/usr/local
	@test -e $(EXAMPLE) || { echo "vsfq: run make first" >&2; exit 1; }
	$(install_programs)
	$(install_units)
	$(install_data)
	install -d -m 755 $(DESTDIR)$(POLICY_DIR)
	$(if $(DESTDIR),,$(say_enable))

uninstall:		## remove it again; a policy in /etc/vsfq stays
	rm -f $(foreach f,$(PROGRAMS) $(UNITS) $(DATA),$(call destination,$f))

deb: all		## a Debian package, in build/
	packaging/deb.sh
