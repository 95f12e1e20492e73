# SPDX-License-Identifier: GPL-2.0-only
"""Interactive shells in the VMs of a bed.

A client connects to a Unix socket and sends one line, "VM ROWS COLUMNS TERM",
where VM is "host" or "guest". Then the connection is the terminal of a new
bash in that VM. Whoever ends first, client or bash, ends the other one.
"""

import os
import re
import select
import socket
import threading

from bed import BedError

REQUEST = re.compile(r"(host|guest) (\d+) (\d+) ([\w.+-]+)")
# A session of its own, which the first of a process group cannot begin, gives it
# job control. The start-up files are those of the machine's root, which may take
# an emulated VM minutes: leave them out.
SHELL = r"""
stty -F /dev/hvc0 sane rows {rows} cols {columns}
export TERM={term} PATH=$PWD/build:{tools}:$PATH PS1='\h:\w\$ '
(echo $BASHPID > /run/shell; exec setsid -c bash --norc -i <>/dev/hvc0 >&0 2>&1)
"""
FOREVER = 86400


def splice(one, other, done):
    """Pass on everything both ways, until an end or until done()."""
    peer = {one: other, other: one}
    while True:
        ready = select.select(list(peer), [], [], 0.2)[0]
        if not ready and done():
            return
        for end in ready:
            data = end.recv(65536)
            if not data:
                return
            peer[end].sendall(data)


class Terminal:
    """That of one VM; it has one user at a time."""

    def __init__(self, vm):
        self.vm = vm
        self.lock = threading.Lock()

    def serve(self, client, rows, columns, term):
        if not self.lock.acquire(blocking=False):
            client.sendall(b"vsfq: this terminal is in use\r\n")
            return
        try:
            self.shell(client, SHELL.format(
                rows=rows, columns=columns, term=term,
                tools=os.path.join(os.environ["KERNEL_DIR"], "tools")))
        except BedError as err:
            client.sendall(("vsfq: %s\r\n" % err).encode())
        finally:
            self.lock.release()

    def shell(self, client, command):
        job = self.vm.start(command, FOREVER)
        try:
            splice(client, self.vm.terminal, job.done.is_set)
        except OSError:
            pass        # The client went away in the middle of something.
        if not job.done.is_set():
            self.vm.run("kill -HUP $(cat /run/shell)")
            job.wait()


class Shells:
    """Serves clients at @path until it is closed."""

    def __init__(self, bed, path):
        self.terminals = {"host": Terminal(bed.host),
                          "guest": Terminal(bed.guest)}
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,),
                             daemon=True).start()

    def _serve(self, client):
        with client, client.makefile("rb", buffering=0) as lines:
            request = REQUEST.fullmatch(lines.readline().decode().strip())
            if request:
                name, *rest = request.groups()
                self.terminals[name].serve(client, *rest)

    def close(self):
        os.unlink(self.path)
        self.listener.close()
