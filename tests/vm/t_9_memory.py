# SPDX-License-Identifier: GPL-2.0-only
"""What nobody reads costs a bounded amount of kernel memory, and for no longer
than the sockets live. vsfq is attached on both sides.

Each test compares the memory of both VMs before the first byte with that while
bytes are accepted, or wait, and after the sockets are gone. HOLD_SECONDS=60 in
the environment is its long form.
"""

import itertools
import os
import re
import time

from load import VSFQ, attach_all

BED = "pair"

HOLD = "python3 tests/load/hold.py"
PORTS = itertools.count(6200)
CIDS = {"host": 2, "guest 42": 42}

KIB = 1024
# What a connection may have under way: the buffer that its peer announces.
CREDIT = 256 * KIB
# net.core.rmem_default and wmem_default count skb->truesize.
BUFFER = 208 * KIB
# What a qdisc holds in datagrams, also in truesize (bpf/vsfq.h).
QDISC = 4096 * KIB
# A packet's truesize may be twice its length and more, when small packets
# share nothing; and what allocators and per-CPU lists keep is nobody's.
TWICE, SLACK = 2, 8192 * KIB
# What may remain when all is over: KVM keeps tables for the guest's memory.
REMAINS = 12288 * KIB
SETTLE_SECONDS = 40
# Of flood, or of waiting.
SECONDS = int(os.environ.get("HOLD_SECONDS", 3))


def used(t, vm):
    """Bytes that @vm could not give to somebody else, except for those of
    programs: the memory of the guest is QEMU's in the host."""
    text = t.run(vm, "cat /proc/meminfo")
    total, free, programs = (
        int(re.search(r"^%s: +(\d+) kB" % name, text, re.M).group(1))
        for name in ("MemTotal", "MemAvailable", "AnonPages"))
    return (total - free - programs) * KIB


def returns(t, vm, level):
    end = time.monotonic() + SETTLE_SECONDS
    while used(t, vm) > level + REMAINS and time.monotonic() < end:
        time.sleep(1)
    t.check(used(t, vm) <= level + REMAINS, "the %s still holds %d KiB" %
            (vm.name, (used(t, vm) - level) // KIB))


def holds(t, sender, receiver, what, bound, credit=CREDIT):
    """Let @sender send @what, to who grants each stream this @credit; see that
    neither VM uses more than @bound bytes for it; return the numbers in what it
    says about what it sent."""
    for vm in t.vms:
        attach_all(t, vm)
    start = {vm: used(t, vm) for vm in t.vms}
    port = next(PORTS)
    kind, _, rest = what.partition(" ")
    listener = t.start_server(receiver, "%s listen %d %d" % (HOLD, port, credit),
                              "listening")
    job = t.start_server(sender, "%s %s %d %d %s" %
                         (HOLD, kind, CIDS[receiver.name], port, rest), "ready")
    before = {vm: used(t, vm) for vm in t.vms}
    t.run(sender, "kill -USR1 $(cat /run/job.%s)" % job.ident)
    end, sent = time.monotonic() + SECONDS, False
    while not sent or time.monotonic() < end:
        sent = "sent" in job.output
        t.check(sent or time.monotonic() < end + 120,
                "it never stopped sending: " + job.output)
        for vm in t.vms:
            grown = used(t, vm) - before[vm]
            t.check(grown <= bound + SLACK, "the %s holds %d KiB for %s" %
                    (vm.name, grown // KIB, what))
    t.end(job)
    t.end(listener)
    for vm in t.vms:
        returns(t, vm, start[vm])
    return [int(n) for n in re.findall(r"\d+", job.output.split("sent")[1])]


def from_guest(what, bound, credit=CREDIT):
    return lambda t: holds(t, t.bed.guest, t.bed.host, what, bound, credit)


def test_streams(t):
    """From both sides: all of the credit is accepted, and no byte more."""
    for sender, receiver in ((t.bed.guest, t.bed.host),
                             (t.bed.host, t.bed.guest)):
        sent = holds(t, sender, receiver, "stream 64 65536",
                     64 * CREDIT * TWICE)
        t.equal(sent, [64 * CREDIT, CREDIT], "bytes that were accepted")


# 32,768 packets, if they did not share any: four times what is allowed.
test_one_byte_writes = from_guest("stream 1 1", 32 * KIB * TWICE, 32 * KIB)
test_large_datagrams = from_guest("dgram 4 65536 %d" % SECONDS,
                                  QDISC + 5 * BUFFER)
test_one_byte_datagrams = from_guest("dgram 4 1 %d" % SECONDS,
                                     QDISC + 5 * BUFFER)


def test_many_senders(t):
    # Who comes next would have all their flows to read.
    for vm in t.vms:
        t.cleanup(vm, VSFQ + " detach all")
    holds(t, t.bed.guest, t.bed.host, "dgram 10000 64 0", QDISC + BUFFER)
