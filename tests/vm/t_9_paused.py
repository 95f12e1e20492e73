# SPDX-License-Identifier: GPL-2.0-only
"""The VMM stops its guest for a while, as for a snapshot, and the host's programs
go on: their connections must not be worse for it.
"""

import contextlib

import load
from bed import MONITOR, PATIENCE

BED = "pair"

DEV = load.HOST_DEV
# An emulated guest that goes on may find its clock minutes ahead, which would end
# a job there: so this machine's clock limits it.
UNLIMITED = 86400
SECONDS = 60 * PATIENCE


def monitor(t, command, state):
    """Have QEMU do @command; return when the guest is in this @state."""
    path = MONITOR % t.bed.cids[0]
    t.host("{ echo %s; echo info status; } >%s.in && "
           "timeout 20 grep -qm1 'VM status: %s' <%s.out" %
           (command, path, state, path), limit=30)


@contextlib.contextmanager
def paused(t):
    try:
        monitor(t, "stop", "paused")
        yield
    finally:
        monitor(t, "cont", "running")


def what_is_said(t, port):
    """Credit and the end of a connection reach the guest when it goes on."""
    host = t.start_server(t.bed.host, "python3 tests/load/paused.py host %d" %
                          port, "ready")
    guest = t.start_server(t.bed.guest, "python3 tests/load/paused.py guest 2 %d"
                           % port, "full", limit=UNLIMITED)
    with paused(t):
        t.signal(host)
        t.check(host.says("read", limit=20),
                "the host's program said " + host.output)
    t.check(guest.done.wait(SECONDS), "the guest's said only " + guest.output)
    t.equal(guest.wait(), 0, "status in the guest, which said " + guest.output)
    t.equal(host.wait(), 0, "status in the host, which said " + host.output)


def test_direct(t):
    what_is_said(t, 6900)


def test_scheduled(t):
    t.cleanup(t.bed.host, load.configuring(DEV, "down"))
    load.configure(t.bed.host, DEV, "pfifo_fast")
    what_is_said(t, 6901)


def test_full(t):
    """Who is refused because a qdisc is full, and stays so, has done nothing
    for which to give up on him."""
    hold = "python3 tests/load/hold.py "
    timed_out = "ethtool -S %s | grep connections_timed_out" % DEV
    load.up(t, t.bed.host, DEV)
    t.host("tc qdisc replace dev %s root pfifo limit 4" % DEV)
    before = t.host(timed_out)
    t.start_server(t.bed.guest, hold + "listen 6902 262144", "listening")
    job = t.start_server(t.bed.host, hold + "stream 42 6902 8 65536", "ready")
    with paused(t):
        t.signal(job)
        t.wait_for(t.bed.host, "tc -s qdisc show dev %s | "
                   "grep -q 'dropped [1-9]'" % DEV)
        # As long as whom somebody refuses on purpose is asked for, and a moment.
        t.host("sleep 33", limit=60)
    t.equal(t.host(timed_out), before, "connections that gave up")
