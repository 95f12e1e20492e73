# SPDX-License-Identifier: GPL-2.0-only
"""Caps: what a class, a group or a device with a rate sends through a real
device, by the kernel's count and clock, and what others send beside it; and
how many connections there are."""

import ast
import json
import time

from load import HOST_DEV, attach_all

BED = "pair"

VSFQ = "build/vsfq"
PROBE = "python3 tests/load/probe.py"
RATE = 4000000
WINDOW = 5          # seconds at least, of each measurement
STREAM, DGRAM, FREE = 5020, 5030, 5040
POLICY = """
class slow { rate = 4mbps }
class free { }
rule { type = stream  remote-port = %d  class = slow }
rule { type = dgram   remote-port = %d  class = slow }
rule { type = stream  remote-port = %d  class = free }
""" % (STREAM, DGRAM, FREE)


def apply(t, policy):
    """A policy for the host, which is attached."""
    t.cleanup(t.bed.host, "ip link set %s down; %s policy clear; "
              "%s detach all" % (HOST_DEV, VSFQ, VSFQ))
    t.host("cat > /run/caps.conf <<'EOF'\n%s\nEOF\n%s apply /run/caps.conf" %
           (policy, VSFQ))
    attach_all(t, t.bed.host)


def served(t, unit):
    """What each class has sent, and between which two moments that was."""
    output = t.host("read from rest < /proc/uptime; %s -j show; "
                    "read to rest < /proc/uptime; echo \"$from $to\"" % VSFQ)
    report, moments = output.rstrip().rsplit("\n", 1)
    return ({c["name"]: c["served"][unit]
             for c in json.loads(report)[0]["classes"]},
            [float(moment) for moment in moments.split()])


def measure(t, *commands, unit="bytes", rate=RATE, **loads):
    """Start what shall send, by class; return bytes per second of each, at
    least and at most. With commands each load is started once for each of them,
    which comes first."""
    jobs = [t.start(t.bed.host, "bash -c '%sexec build/vsload client "
                    "--cid 42 --duration 600 %s'" % (command, load), limit=700)
            for load in loads.values() for command in commands or [""]]
    idle, _ = served(t, unit)
    while True:
        before, start = served(t, unit)
        if all(before[name] > idle[name] + rate for name in loads):
            break
        t.check(not any(job.done.is_set() for job in jobs),
                "no load: " + "".join(job.output for job in jobs))
    time.sleep(WINDOW)
    after, end = served(t, unit)
    for job in jobs:
        t.equal(t.end(job), 0, "status of a load, which said " + job.output)
    t.jobs = [job for job in t.jobs if job not in jobs]
    # A show takes long when its process has to wait for a CPU.
    shortest, longest = end[0] - start[1], end[1] - start[0]
    have = {name: [(after[name] - before[name]) / seconds
                   for seconds in (longest, shortest)] for name in loads}
    print("# %s per second in %.2f to %.2f s: %r" %
          (unit, shortest, longest, have), flush=True)
    return have


def near(t, what, want, measurement):
    """It is within 5 % of @want, never above, and below at most for want of
    CPU: what else this machine emulates may take it."""
    for _ in range(3):
        least, most = map(sum, zip(*measurement().values()))
        t.check(least < 1.05 * want, "%s: %d" % (what, least))
        if most > 0.95 * want:
            return
    t.fail("%s: %d" % (what, most))


def test_rate(t):
    """Within 5 % of the rate, streams and datagrams alike; who has no cap does
    not wait beside it."""
    apply(t, POLICY)
    for port in STREAM, DGRAM, FREE:
        t.serve(t.bed.guest, port)
    stream = "--port %d --streams 1"
    beside = []

    def both():
        have = measure(t, free=stream % FREE, slow=stream % STREAM)
        beside.append(have.pop("free")[0])
        return have
    near(t, "stream", RATE, both)
    near(t, "datagrams", RATE, lambda: measure(
        t, slow="--port %d --dgram-flood 1 --dgram-size 16384" % DGRAM))
    # Held back it would have the capped class's rate.
    t.check(max(beside) > 2 * RATE, "%r beside a cap" % beside)


OTHERS = """
class slow { packet-rate = 400 }
class each { group-rate = 2mbps }
rule { type = dgram   remote-port = %d  class = slow }
rule { type = stream  remote-port = %d  class = each }
""" % (DGRAM, STREAM)


def test_other_rates(t):
    """The same of packets, of two cgroups, and of a device."""
    apply(t, OTHERS)
    for port in STREAM, DGRAM, FREE:
        t.serve(t.bed.guest, port)
    near(t, "packets", 400, lambda: measure(
        t, unit="packets", rate=400,
        slow="--port %d --dgram-flood 1 --dgram-size 64" % DGRAM))
    t.host("mkdir /sys/fs/cgroup/one /sys/fs/cgroup/two")
    t.cleanup(t.bed.host, "rmdir /sys/fs/cgroup/one /sys/fs/cgroup/two")
    stream = "--port %d --streams 1"
    near(t, "two groups", RATE, lambda: measure(
        t, *["echo $BASHPID > /sys/fs/cgroup/%s/cgroup.procs; " % name
             for name in ("one", "two")], each=stream % STREAM))
    apply(t, POLICY.replace("rate = 4mbps", "") +
          'device "vhost*" { rate = 4mbps }')
    near(t, "device", RATE, lambda: measure(t, free=stream % FREE,
                                            slow=stream % STREAM))


OPENS = """
class c { connections = 3 }
rule { class = c }
device "vhost-vsock*" { connections = 4 }
"""


def opened(t):
    return json.loads(t.host(VSFQ + " -j show"))[0]["connections"]


def test_connections(t):
    """Whoever opens them; one too many is refused, those that are there stay,
    and when all are closed none is counted."""
    apply(t, OPENS)
    for vm in t.bed.host, t.bed.guest:
        t.start_server(vm, PROBE + " serve stream:%d" % FREE, "serving")
    jobs = [t.start(vm, "%s hold %d %d /run/enough" % (PROBE, cid, FREE),
                    limit=120)
            for vm, cid in ((t.bed.guest, 2), (t.bed.host, 42),
                            (t.bed.guest, 2))]
    for job in jobs:
        t.check(job.says("connected"), job.output)
    t.equal(opened(t), 3, "connections")
    for vm, cid, what in ((t.bed.guest, 2, "ECONNRESET"),
                          (t.bed.host, 42, "ETIMEDOUT")):
        output = t.run(vm, "%s try stream:%d:%d" % (PROBE, cid, FREE))
        t.equal(output.split()[1], what, "what happened in " + vm.name)
    capped = json.loads(t.host(VSFQ + " -j show"))[0]["classes"]
    t.check(sum(c["capped"]["connections"] for c in capped) >= 2,
            "counted: %r" % capped)
    for vm in t.bed.host, t.bed.guest:
        t.cleanup(vm, "rm -f /run/enough")
        t.run(vm, "touch /run/enough")
    for job in jobs:
        t.equal(job.wait(), 0, "status of one, which said " + job.output)
    t.wait_for(t.bed.host, "%s show | grep -q 'connections 0 refused'" % VSFQ)
    output = t.guest("%s try stream:2:%d" % (PROBE, FREE))
    t.equal(output.split()[1], "answered", "what happens then")


def test_connection_rate(t):
    """As many new ones as there may be, of those that a guest tries; fewer at
    most for want of CPU."""
    apply(t, 'device "*" { connection-rate = 8 }')
    t.start_server(t.bed.host, PROBE + " serve stream:%d" % FREE, "serving")
    for _ in range(3):
        output = t.guest("%s often 2 %d 8" % (PROBE, FREE), limit=60)
        counts, took = output.rstrip().rsplit(" ", 1)
        said = "%s in %s s" % (counts, took)
        print("# " + said, flush=True)
        counts, want = ast.literal_eval(counts), 8 * float(took)
        new = counts.get("answered", 0)
        t.check(new < 1.05 * want, said)
        # Without one that was refused there were too few.
        if new > 0.95 * want and "ECONNRESET" in counts:
            return
    t.fail(said)
