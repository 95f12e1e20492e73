# SPDX-License-Identifier: GPL-2.0-only
"""Tests of tests/here that make BPF maps and load programs: not every machine
lets us, a VM does."""

import importlib
import os
import sys
import tempfile

from bed import TOP

BED = "host"

TESTS = {
    "policy": ["match", "apply", "confirm", "confirm_not",
               "confirm_meanwhile", "confirm_twice", "clear"],
    "wrong": ["apply", "detach"],
    "monitor": ["events", "lies", "refused", "caps", "text", "limit"],
    "learn": ["what_was_seen", "before", "ports", "json", "time"],
    "connections": ["connections", "connection_moves", "group_connections",
                    "who_opened", "who_opened_counted", "refused_again"],
}


def in_vm(test):
    """The same test, with the VM as its machine."""
    def run(t):
        vm, share = t.bed.host, t.bed.host.share
        # Copies, in the same place: on the share itself not everybody may
        # give files away.
        t.run(vm, "mount -t tmpfs tmpfs " + share)
        t.cleanup(vm, "umount -l " + share)
        t.machine = lambda command, limit=600: vm.run(
            "cp -r /run/vsfq/tmp* %s 2>/dev/null; %s" % (share, command), limit)
        t.skip = t.fail
        tempfile.tempdir = share
        try:
            test(t)
        finally:
            tempfile.tempdir = None
    return run


sys.path.append(os.path.join(TOP, "tests/here"))
for name, tests in TESTS.items():
    for test in tests:
        globals()["test_%s_%s" % (name, test)] = in_vm(
            getattr(importlib.import_module(name), "test_" + test))
