# SPDX-License-Identifier: GPL-2.0-only
"""The session of docs/session.txt: a policy is written, tried, put in force,
seen to act, and taken back. Played in the bed "pair", by tests/session, which
writes the file, and by a test, which compares."""

import re

from load import attach_all

PROBE = "python3 tests/load/probe.py"

LOGS = """python3 -c '
import socket, time
with socket.socket(socket.AF_VSOCK, socket.SOCK_DGRAM) as s:
    while True:
        s.sendto(b"<13>a message", (socket.VMADDR_CID_HOST, 514))
        time.sleep(0.02)'"""

INTRODUCTION = """\
A session on a host with one guest, CID 42, which systemd-machined knows as
"web"; both are emulated, about twenty times slower than hardware. Written by
tests/session from a real run. "probe" is tests/load/probe.py. When it is done
the host sends two streams, its backup, and the guest log messages.
"""

POLICY = """\
# Who may reach this host's services, and how much a backup may take.
class ssh { weight = 4 }
class backup { rate = 40mbit }
class logs { limit = 200  memory = 1M }
default-in = reject
rule { direction = in   local-port = 22  class = ssh }
rule { direction = in   type = dgram  local-port = 514  class = logs }
rule { direction = in   log = yes  verdict = reject }
rule { direction = out  remote-port = 5000  class = backup }
rule { direction = out  remote-port = 23  log = yes  verdict = drop }
"""


class Session:
    def __init__(self, t):
        self.t, self.text, self.top = t, INTRODUCTION, ""
        self.names = {t.bed.host: "host", t.bed.guest: "guest"}

    def record(self, vm, command, output):
        self.text += "\n%s# %s\n%s" % (self.names[vm], command, output)
        return output

    def types(self, command, vm=None, after=""):
        """Run it, with "vsfq" in the path, and show it; @after is not."""
        vm = vm or self.t.bed.host
        return self.record(vm, command, self.t.run(
            vm, "PATH=$PWD/build:$PATH; here=$PWD; cd /run/session; %s %s" %
            (command.replace("probe", "$here/tests/load/probe.py"), after),
            limit=100))


def prepare(t):
    host, guest = t.bed.host, t.bed.guest
    attach_all(t, host)
    for vm in host, guest:
        t.run(vm, "mkdir -p /run/session")
        t.cleanup(vm, "rm -r /run/session")
    t.run(host, "mkdir -p /run/systemd/machines && cd /run/systemd/machines &&"
          " printf 'NAME=web\\nVSOCK_CID=42\\n' > web")
    t.cleanup(host, "rm -r /run/systemd/machines; build/vsfq policy clear")
    t.run(host, "cat > /run/session/vsfq.conf << 'END'\n%sEND" % POLICY)
    t.start_server(host, PROBE + " serve stream:22 stream:80", "serving")
    t.serve(guest, 5000)


def load(t):
    """Until the end; returns when all of it flows. The log messages first: in
    an emulated guest the streams would leave their sender no time to begin."""
    for vm, command, line in (
            (t.bed.guest, LOGS, "2:514 .* dgram"),
            (t.bed.host, "build/vsload client --cid 42 --port 5000 "
             "--duration 600 --streams 2", ":5000 stream .* uid 0")):
        t.start(vm, command, limit=700)
        t.wait_for(t.bed.host, "build/vsfq top -b -c 1 | grep -q '%s'" % line)


def watch(s):
    """The guest tries what it may and what it may not."""
    t, host, guest = s.t, s.t.bed.host, s.t.bed.guest
    monitor = t.start_server(host, "build/vsfq -v monitor", "listening")
    s.types("probe try stream:2:22 stream:2:80", guest)
    s.types("probe try stream:42:23")
    t.signal(monitor, "INT")
    monitor.wait()
    s.record(host, "vsfq monitor",
             monitor.output.removeprefix("vsfq: listening\n"))


def play(t):
    """Returns the session's text, and a screen of top."""
    prepare(t)
    s = Session(t)
    s.types("cat vsfq.conf")
    s.types("vsfq check vsfq.conf && echo right")
    s.types("vsfq apply -n vsfq.conf")
    s.types("vsfq apply -C 60 vsfq.conf", after="<<< yes")
    watch(s)
    load(t)
    s.types("vsfq show -s -d 2")
    top = s.types("vsfq top -b -c 1 -d 2")
    s.types("vsfq policy clear")
    s.types("vsfq policy show")
    return s.text, top


def shape(text):
    """[(command, what its lines begin with)]: numbers and what depends on
    them, and how many lines of a kind there are, differ from run to run."""
    parts = re.split(r"^(?=(?:host|guest)# )", text, flags=re.M)[1:]
    shapes = []
    for part in parts:
        command, *lines = part.rstrip("\n").split("\n")
        first = {re.sub(r"\d+", "#", line.split()[0])
                 for line in lines if line.strip()}
        shapes.append((command, first - {"stalls", "refused"}))
    return shapes
