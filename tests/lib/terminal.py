# SPDX-License-Identifier: GPL-2.0-only
"""A program on a terminal, and who sits at it."""

import fcntl
import os
import pty
import select
import struct
import termios
import time

from bed import TOP


class Terminal:
    """Runs a shell command on a terminal of this type and size."""

    def __init__(self, t, command, term="xterm", lines=24, columns=80):
        self.t, self.seen = t, ""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            fcntl.ioctl(0, termios.TIOCSWINSZ,
                        struct.pack("HHHH", lines, columns, 0, 0))
            os.chdir(TOP)
            os.environ["TERM"] = term
            for name in "LINES", "COLUMNS":
                os.environ.pop(name, None)
            os.execvp("sh", ["sh", "-c", command])

    def types(self, keys):
        """What was written before is not what comes next."""
        self.seen = ""
        os.write(self.fd, keys.encode())

    def reads(self, word, limit=60):
        end = time.monotonic() + limit
        while word not in self.seen:
            left = max(end - time.monotonic(), 0)
            self.t.check(select.select([self.fd], [], [], left)[0] and
                         self.read(), "no %r in %r" % (word, self.seen))

    def read(self):
        """Returns False when the other side is closed."""
        try:
            text = os.read(self.fd, 4096).decode()
        except OSError:
            return False
        self.seen += text
        return bool(text)

    def leaves(self):
        """Read to the end; return the exit status."""
        while self.read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
