# SPDX-License-Identifier: GPL-2.0-only
"""tests/shell as a person uses it, on a terminal."""

import os
import pty
import select
import tempfile
import time

from bed import TOP
from shells import Shells

BED = "pair"


class Person:
    """Types, and reads until something stands there."""

    def __init__(self, t, name, path):
        self.t = t
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ["VM_SOCKET"] = path
            shell = os.path.join(TOP, "tests/shell")
            os.execv(shell, [shell, name])

    def types(self, text):
        os.write(self.fd, text.encode())

    def reads(self, until, limit=60):
        seen, end = "", time.monotonic() + limit
        while until not in seen:
            self.t.check(select.select([self.fd], [], [],
                                       max(end - time.monotonic(), 0))[0],
                         "no %r in %r" % (until, seen))
            seen += os.read(self.fd, 4096).decode()

    def leaves(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def visit(t, name, hostname, path):
    person = Person(t, name, path)
    try:
        person.reads(hostname + ":")
        # What is typed is echoed, so look for what only a shell makes of it.
        person.types("echo $((6 * 7))=$(hostname)=$(tty)\n")
        person.reads("42=%s=/dev/hvc0" % hostname)
        # Job control: Ctrl-Z stops what has the terminal.
        person.types("bash -c 'echo $((3 + 4)); sleep 1000'\n")
        person.reads("7\r\n")
        person.types("\x1a")
        person.reads("Stopped")
        person.types("exit\nexit\n")  # The first time bash objects.
        t.equal(person.leaves(), 0, "exit status of tests/shell")
    finally:
        os.close(person.fd)


def check(t, name, hostname):
    """Twice: the second one finds the terminal free and clean."""
    with tempfile.TemporaryDirectory() as place:
        shells = Shells(t.bed, os.path.join(place, "sock"))
        try:
            visit(t, name, hostname, shells.path)
            visit(t, name, hostname, shells.path)
        finally:
            shells.close()


def test_host(t):
    check(t, "host", "host")


def test_guest(t):
    check(t, "guest", "guest42")
