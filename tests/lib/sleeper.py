# SPDX-License-Identifier: GPL-2.0-only
"""A guest that can sleep, next to those of the bed (tests/vm/sleeper)."""

import os
import re
import shlex
import subprocess

from bed import GUEST_MIB, PATIENCE, QEMU, TOP, VSOCK_DEVICE, complaint, kernel_of
from load import VSFQ, VSLOAD

CID = 77
INIT = os.path.join(TOP, "tests/vm/sleeper")
PIPE = "/run/sleeper"

# What it says until a command is done, and how that ended.
HEAR = """
while read -r -t %%d line; do
	case $line in "did "*) exit ${line#did };; esac
	echo "$line"
done <%s.out
exit 124
""" % PIPE


def libraries(program):
    said = subprocess.run(["ldd", program], text=True, capture_output=True)
    return re.findall(r"(/\S+) \(0x", said.stdout)


def make_initramfs(path):
    programs = [VSFQ, VSLOAD, "/sbin/tc", "/sbin/ip"]
    files = {INIT, "/bin/busybox", *programs}
    for program in programs:
        files.update(libraries(program))
    names = set()
    for name in files:
        while name != "/":
            names.add(name[1:])
            name = os.path.dirname(name)
    # What stands for a directory or a library becomes one.
    with open(path, "wb") as f:
        subprocess.run(["cpio", "-o", "-L", "-H", "newc", "--quiet"], cwd="/",
                       input="\n".join(sorted(names)).encode(), stdout=f,
                       check=True)


class Sleeper:
    """It ends with the test."""

    def __init__(self, t):
        self.t = t
        kernel, modules = kernel_of("guest", t.bed.kernel)
        if modules:
            t.skip("vsock is not in the kernel itself")
        share = "/run/vsfq/sleeper"
        self.dir = os.path.join(t.bed.host.share, "sleeper")
        os.makedirs(self.dir, exist_ok=True)
        make_initramfs(os.path.join(self.dir, "initrd"))
        t.cleanup(t.bed.host, "rm -r %s.in %s.out %s" % (PIPE, PIPE, share))
        t.host("mkfifo %s.in %s.out" % (PIPE, PIPE))
        self.job = t.start(t.bed.host, " ".join([
            QEMU, "-nodefaults", "-no-user-config", "-no-reboot",
            "-display", "none", "-m", str(GUEST_MIB),
            "-accel", "kvm", "-cpu", "host,-tsc-deadline,-svm", "-smp", "1",
            "-kernel", kernel, "-initrd", share + "/initrd",
            "-append", shlex.quote("%s noxsave rdinit=%s" %
                                   (t.bed.cmdline, INIT)),
            "-serial", "file:%s/console" % share, "-serial", "pipe:" + PIPE,
            "-device", VSOCK_DEVICE % CID]), 3600)
        self.hear("to start", 300)

    def run(self, command, limit=60):
        """Run a command of one line; return its output."""
        self.t.host("echo %s >%s.in" % (shlex.quote(command), PIPE))
        return self.hear(command, limit)

    def hear(self, command, limit):
        status, output = self.t.bed.host.run(HEAR % (limit * PATIENCE), limit + 10)
        if status:
            self.t.fail("in the guest that sleeps, exit status %d: %s\n%s\n%s"
                        % (status, command, output[-2000:], self.said()[-3000:]))
        return output

    def said(self):
        with open(os.path.join(self.dir, "console"), errors="replace") as f:
            return f.read()

    def complaint(self):
        return complaint(self.said())
