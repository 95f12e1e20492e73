# SPDX-License-Identifier: GPL-2.0-only
"""What nobody reads costs a bounded amount of kernel memory, and for no longer
than the sockets live. vsfq is attached on both sides.

Each test compares the memory of both VMs before the first byte with that while
bytes are accepted, or wait, and after the sockets are gone; each in both
directions. HOLD_SECONDS=60 in the environment is its long form;
docs/reliability.md has the bounds in a table.
"""

import itertools
import os
import re
import time

from firewall import apply, classes
from load import VSFQ, attach_all

BED = "pair"

HOLD = "python3 tests/load/hold.py"
PORTS = itertools.count(6200, 2)
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
# What may remain when all is over: KVM keeps tables for the guest's memory, and
# lists of free pages differ by MiB. It may also be more by as much from the first
# time that it is done to the last, which is less than what would be lost by then.
REMAINS = GROWS = 12288 * KIB
SETTLE_SECONDS = 40
# Of flood, or of waiting.
SECONDS = int(os.environ.get("HOLD_SECONDS", 3))
# Of a queue that stands still there is nothing to see in a few seconds.
STILL_SECONDS = int(os.environ.get("HOLD_SECONDS", 0))

# The device stands still: after its burst, a byte or a packet in a second.
DGRAM_STILL = "class dgram { rate = 8bit }"
STREAM_STILL = "class stream { packet-rate = 1 }"


def used(t, vm):
    """Bytes that @vm could not give to somebody else, except for those of
    programs: the memory of the guest is QEMU's in the host."""
    text = t.run(vm, "cat /proc/meminfo")
    total, free, programs = (
        int(re.search(r"^%s: +(\d+) kB" % name, text, re.M).group(1))
        for name in ("MemTotal", "MemAvailable", "AnonPages"))
    return (total - free - programs) * KIB


def returns(t, vm, level, more):
    """To no @more than it was; returns how much that is."""
    end = time.monotonic() + SETTLE_SECONDS
    while used(t, vm) > level + more and time.monotonic() < end:
        time.sleep(1)
    now = used(t, vm)
    t.check(now <= level + more, "the %s still holds %d KiB" %
            (vm.name, (now - level) // KIB))
    return now


def hold(t, sender, receiver, what, bound, credit, seconds):
    """Returns what the sender said about what it sent. Prints what it cost."""
    port = next(PORTS)
    kind, _, rest = what.partition(" ")
    listener = t.start_server(receiver, "%s listen %d %d" % (HOLD, port, credit),
                              "listening")
    job = t.start_server(sender, "%s %s %d %d %s" %
                         (HOLD, kind, CIDS[receiver.name], port, rest), "ready")
    before = {vm: used(t, vm) for vm in t.vms}
    t.signal(job)
    end, sent = time.monotonic() + seconds, False
    most = dict.fromkeys(t.vms, 0)
    while not sent or time.monotonic() < end:
        sent = "sent" in job.output
        t.check(sent or time.monotonic() < end + 120,
                "it never stopped sending: " + job.output)
        for vm in t.vms:
            grown = used(t, vm) - before[vm]
            most[vm] = max(most[vm], grown)
            t.check(grown <= bound + SLACK, "the %s holds %d KiB for %s" %
                    (vm.name, grown // KIB, what))
    print("# %s from the %s: of %d KiB at most %s" % (
        what, sender.name, bound // KIB, ", ".join(
            "%d in the %s" % (grown // KIB, vm.name)
            for vm, grown in most.items())), flush=True)
    t.end(job)
    t.end(listener)
    return job.output.split("sent")[1]


def hold_still(t, sender, *how):
    """The same for a device that does not send; most of what its qdisc may hold
    has to be there, and stays until it may."""
    apply(t, sender, DGRAM_STILL)
    said = hold(t, sender, *how, STILL_SECONDS)
    waits = classes(t, sender)["dgram"]["backlog"]["memory"]
    t.check(QDISC * 3 // 4 < waits <= QDISC, "%d KiB wait in the qdisc of the %s" %
            (waits // KIB, sender.name))
    t.run(sender, VSFQ + " policy clear")
    return said


def holds(t, sender, receiver, what, bound, credit=CREDIT, times=1,
          still=False):
    """Let @sender send @what, to who grants each stream this @credit; see that
    neither VM uses more than @bound bytes for it, @times that it is done, for the
    last time no more than for the first; return the numbers in what it says about
    what it sent."""
    start = {vm: used(t, vm) for vm in t.vms}
    first = {}
    for _ in range(times):
        how = sender, receiver, what, bound, credit
        said = hold_still(t, *how) if still else hold(t, *how, SECONDS)
        for vm in t.vms:
            now = returns(t, vm, start[vm], REMAINS)
            returns(t, vm, first.setdefault(vm, now), GROWS)
    return [int(n) for n in re.findall(r"\d+", said)]


def both_ways(t, what, bound, policy=None, **how):
    """Returns what holds() does, of both."""
    for vm in t.vms:
        attach_all(t, vm)
        if policy:
            apply(t, vm, policy)
    return [holds(t, sender, receiver, what, bound, **how)
            for sender, receiver in ((t.bed.guest, t.bed.host),
                                     (t.bed.host, t.bed.guest))]


def test_streams(t):
    """All of the credit is accepted, and no byte more."""
    for sent in both_ways(t, "stream 64 65536", 64 * CREDIT * TWICE):
        t.equal(sent, [64 * CREDIT, CREDIT], "bytes that were accepted")


def test_one_byte_writes(t):
    """32,768 packets, if they did not share any: four times what is allowed."""
    both_ways(t, "stream 1 1", 32 * KIB * TWICE, credit=32 * KIB)


def test_one_byte_messages(t):
    """They cannot share: 262,144 packets, if nothing but credit bounded them. A
    slow reader would not do, who ends a connection with more than some hundred
    messages; so they wait for the device."""
    both_ways(t, "seqpacket 1 1", CREDIT * TWICE, policy=STREAM_STILL)


def test_large_datagrams(t):
    both_ways(t, "dgram 4 65536 %d" % SECONDS, QDISC + 5 * BUFFER)


def test_one_byte_datagrams(t):
    """Twice: what one of them takes is little."""
    both_ways(t, "dgram 4 1 %d" % SECONDS, QDISC + 5 * BUFFER,
              times=2)


def test_still(t):
    """6 MiB of datagrams for a qdisc that holds 4."""
    both_ways(t, "dgram 96 65536 0", QDISC + BUFFER, times=5, still=True)


def test_many_senders(t):
    # Who comes next would have all their flows to read.
    for vm in t.vms:
        t.cleanup(vm, VSFQ + " detach all")
    for sent in both_ways(t, "dgram 10000 64 0", QDISC + BUFFER, times=2):
        t.equal(sent, [10000 * 64, 64], "bytes that were accepted")
