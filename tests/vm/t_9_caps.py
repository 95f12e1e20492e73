# SPDX-License-Identifier: GPL-2.0-only
"""Caps: what a class, a group or a device with a rate sends through a real
device, by the kernel's count and clock, and what others send beside it; and
how many connections there are."""

import ast
import json
import time

from bed import PATIENCE
from load import GUEST_DEV, HOST_DEV, attach_all

BED = "pair"

VSFQ = "build/vsfq"
PROBE = "python3 tests/load/probe.py"
RATE = 4000000
WINDOW = 5          # seconds at least, of each measurement
BLUR = 1.02         # how many times as long at most it may have been
STREAM, DGRAM, FREE = 5020, 5030, 5040
POLICY = """
class slow { rate = 4mbps }
class free { }
rule { type = stream  remote-port = %d  class = slow }
rule { type = dgram   remote-port = %d  class = slow }
rule { type = stream  remote-port = %d  class = free }
""" % (STREAM, DGRAM, FREE)


def replace(t, policy, vm=None):
    t.run(vm or t.bed.host, "cat > /run/caps.conf <<'EOF'\n%s\nEOF\n"
          "%s apply /run/caps.conf" % (policy, VSFQ))


def apply(t, policy, vm=None):
    """A policy for the host, or the guest, which is attached."""
    vm = vm or t.bed.host
    t.cleanup(vm, "ip link set %s down; %s policy clear; %s detach all" %
              (HOST_DEV if vm == t.bed.host else GUEST_DEV, VSFQ, VSFQ))
    replace(t, policy, vm)
    attach_all(t, vm)


def figures(t, vm, way, unit):
    """What each class has sent or received, and between which two moments
    that was."""
    output = t.run(vm, "read from rest < /proc/uptime; %s -j show; "
                   "read to rest < /proc/uptime; echo \"$from $to\"" % VSFQ)
    report, moments = output.rstrip().rsplit("\n", 1)
    return ({c["name"]: c[way][unit]
             for c in json.loads(report)[0]["classes"]},
            [float(moment) for moment in moments.split()])


def between(one, other):
    """How long it was from one show to the other, at least and at most."""
    return other[1][0] - one[1][1], other[1][1] - one[1][0]


def windows(shows):
    """From any of them to the last one, if it is known well how long that was.
    One takes long when its process has to wait for a CPU."""
    for show in shows:
        shortest, longest = between(show, shows[-1])
        if shortest >= WINDOW and longest <= BLUR * shortest:
            yield show, shortest, longest


def measure(t, *commands, unit="bytes", rate=RATE, ends=None, **loads):
    """Start what shall send, by class; return bytes per second of each, at
    least and at most. With commands each load is started once for each of them,
    which comes first. Ends are who sends and who counts, the host twice unless
    they are given."""
    sender, counter = ends or (t.bed.host, t.bed.host)
    way = "served" if counter == sender else "received"
    cid = 42 if sender == t.bed.host else 2
    jobs = [t.start(sender, "bash -c '%sexec build/vsload client "
                    "--cid %d --duration 600 %s'" % (command, cid, load),
                    limit=700)
            for load in loads.values() for command in commands or [""]]
    idle, _ = figures(t, counter, way, unit)
    shows, found = [], None
    while not found:
        time.sleep(1)
        shows.append(figures(t, counter, way, unit))
        if any(shows[0][0][name] <= idle[name] + rate for name in loads):
            shows.clear()
        t.check(not any(job.done.is_set() for job in jobs),
                "no load: " + "".join(job.output for job in jobs))
        found = next(windows(shows), None)
    for job in jobs:
        t.equal(t.end(job), 0, "status of a load, which said " + job.output)
    t.jobs = [job for job in t.jobs if job not in jobs]
    (before, _), shortest, longest = found
    have = {name: [(shows[-1][0][name] - before[name]) / seconds
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
    # Whichever number it has, it is the guest's.
    apply(t, POLICY.replace("rate = 4mbps", "") +
          'device "cid42" { rate = 4mbps }  device "vhost*" { }')
    t.equal(json.loads(t.host(VSFQ + " -j show"))[0].get("rate"), RATE,
            "the rate of the device")
    near(t, "device", RATE, lambda: measure(t, free=stream % FREE,
                                            slow=stream % STREAM))


def paused(t, vm, dev):
    """After how many packets the driver was told to receive no other."""
    return int(t.run(vm, "ethtool -S %s | sed -n 's/^ *ingress_paused: //p'" %
                     dev))


def test_in_rate(t):
    """A host caps what a guest sends, whatever that is; without the cap it goes
    as fast as it can."""
    before = paused(t, t.bed.host, HOST_DEV)
    ends = t.bed.guest, t.bed.host
    stream = "--port %d --streams 1" % STREAM
    flood = "--port %d --dgram-flood 1 --dgram-size " % DGRAM
    for port in STREAM, DGRAM:
        t.serve(t.bed.host, port)
    apply(t, 'device "cid42" { in-rate = 4mbps }')
    near(t, "both", RATE, lambda: measure(t, ends=ends, stream=stream,
                                          dgram=flood + "16384"))
    replace(t, 'device "cid42" { in-packet-rate = 400 }')
    near(t, "packets", 400, lambda: measure(
        t, ends=ends, unit="packets", rate=400, dgram=flood + "64"))
    count = paused(t, t.bed.host, HOST_DEV)
    told = json.loads(t.host(VSFQ + " -j show"))[0]["paused"]
    t.check(100 < count - before <= told, "paused %d times, told %d times" %
            (count - before, told))
    t.host(VSFQ + " policy clear")
    have = measure(t, ends=ends, stream=stream)["stream"]
    t.check(have[0] > 2 * RATE, "%r without a rate" % have)
    t.equal(paused(t, t.bed.host, HOST_DEV), count, "pauses in the end")


def test_in_rate_guest(t):
    """So does a guest what its host sends; emulated in an emulated host, its
    timers are late by more than the default burst."""
    t.serve(t.bed.guest, STREAM)
    apply(t, "device \"%s\" { in-rate = 4mbps  in-burst = 1M }" % GUEST_DEV,
          t.bed.guest)
    near(t, "stream", RATE, lambda: measure(
        t, ends=(t.bed.host, t.bed.guest),
        stream="--port %d --streams 1" % STREAM))


def test_late_hook(t):
    """No program hangs the other side: each packet gets through after a second,
    and once it is gone all is as before."""
    for sender, receiver, cid, dev in (
            (t.bed.guest, t.bed.host, 2, HOST_DEV),
            (t.bed.host, t.bed.guest, 42, GUEST_DEV)):
        t.run(receiver, "ip link set {0} up && tc qdisc add dev {0} clsact && "
              "tc filter add dev {0} ingress bpf da obj build/late.bpf.o "
              "sec tc/hour".format(dev))
        t.cleanup(receiver, "tc qdisc del dev {0} clsact; "
                  "ip link set {0} down".format(dev))
        t.serve(receiver, STREAM)
        before = paused(t, receiver, dev)
        client = "build/vsload client --cid %d --port %d --ping 1" % (
            cid, STREAM)
        t.run(sender, client + " --duration 3", limit=200)
        t.run(receiver, "tc qdisc del dev %s clsact" % dev)
        late = paused(t, receiver, dev)
        t.check(late >= before + 3, "%d packets were late" % (late - before))
        t.run(sender, client + " --duration 2", limit=200)
        t.equal(paused(t, receiver, dev), late, "late without the program")


# Caps of a class and of its device, and what counts that one was reached.
UNBROKEN = (
    ("packet-rate = 100", "", lambda device, c: c["throttled"]),
    ("group-packet-rate = 100", "", lambda device, c: c["groups_throttled"]),
    ("", "packet-rate = 100", lambda device, c: device["throttled"]),
    ("packet-rate = 100  memory = 64K", "",
     lambda device, c: c["drops"]["memory"]),
    ("packet-rate = 100  group-memory = 64K", "",
     lambda device, c: c["drops"]["group"]),
    ("packet-rate = 100", "memory = 64K",
     lambda device, c: c["drops"]["device"]),
)
MOVES = 512 << 10   # bytes: more than was on its way when a cap came
SHARED = """
class shared { %s }
rule { class = shared }
device "vhost*" { %s }
"""


def reached(t, count):
    """How often a cap was, and how much the stream has sent by then."""
    device = json.loads(t.host(VSFQ + " -sj show"))[0]
    class_, = [c for c in device["classes"] if c["name"] == "shared"]
    return count(device, class_), sum(
        f["sent"]["bytes"] for f in device["flows"]
        if (f["type"], f["peer_port"]) == ("stream", STREAM))


def test_unbroken(t):
    """A stream beside a flood goes on while one cap after the other is reached
    in their class, and arrives as it was sent."""
    apply(t, SHARED % ("", ""))
    t.serve(t.bed.guest, STREAM)
    job = t.start(t.bed.host, "nice -n 19 build/vsload client --cid 42 "
                  "--port %d --duration 900 --streams 1 --dgram-flood 1" %
                  STREAM, limit=1000)
    for class_, device, count in UNBROKEN:
        replace(t, SHARED % (class_, device))
        times, bytes_ = reached(t, count)
        end = time.monotonic() + 120 * PATIENCE
        while True:
            after, sent = reached(t, count)
            if after > times and sent > bytes_ + MOVES:
                break
            t.check(not job.done.is_set() and time.monotonic() < end,
                    "under %s%s: reached %d times, %d bytes: %s" %
                    (class_, device, after - times, sent - bytes_, job.output))
    t.host(VSFQ + " policy clear")
    t.equal(t.end(job), 0, "status of the load, which said " + job.output)


# Policies, and the class whose cap is reached at three; None: the device's is.
OPENS = (
    ("class c { connections = 3 }  rule { class = c }"
     'device "vhost-vsock*" { connections = 4 }', "c"),
    ('device "cid4*" { connections = 3 }', None),
)


def opened(t):
    return json.loads(t.host(VSFQ + " -j show"))[0]["connections"]


def capped(t, class_, cap="connections"):
    """How many requests have been refused by a cap of the class, None: of
    the device."""
    shown, = json.loads(t.host(VSFQ + " -j show"))
    for c in shown["classes"]:
        if c["name"] == class_:
            shown = c
    return shown["capped"][cap]


def one_too_many(t, class_):
    """It is refused from both sides; both are counted, and told."""
    before = capped(t, class_)
    monitor = t.start_server(t.bed.host, VSFQ + " -v -j monitor cap",
                             "listening")
    for vm, cid, what in ((t.bed.guest, 2, "ECONNRESET"),
                          (t.bed.host, 42, "ETIMEDOUT")):
        output = t.run(vm, "%s try stream:%d:%d" % (PROBE, cid, FREE))
        t.equal(output.split()[1], what, "what happened in " + vm.name)
    t.equal(t.end(monitor), 0, "status of the monitor")
    t.check(capped(t, class_) >= before + 2, "not counted")
    events = [json.loads(line) for line in monitor.output.splitlines()[1:]]
    t.equal({(e["device"], e["direction"], e["type"], e["event"], e["cap"],
              e.get("class"),
              e["local_port" if e["direction"] == "in" else "peer_port"])
             for e in events},
            {(HOST_DEV, direction, "stream", "cap", "connections", class_,
              FREE) for direction in ("in", "out")}, "events")


def test_connections(t):
    """Whoever opens them; one too many is refused, those that are there stay,
    and when all are closed none is counted."""
    for vm in t.bed.host, t.bed.guest:
        t.start_server(vm, PROBE + " serve stream:%d" % FREE, "serving")
        t.cleanup(vm, "rm -f /run/enough")
    for policy, class_ in OPENS:
        apply(t, policy)
        jobs = [t.start(vm, "%s hold %d %d /run/enough" % (PROBE, cid, FREE),
                        limit=200)
                for vm, cid in ((t.bed.guest, 2), (t.bed.host, 42),
                                (t.bed.guest, 2))]
        for job in jobs:
            t.check(job.says("connected"), job.output)
        t.equal(opened(t), 3, "connections")
        one_too_many(t, class_)
        for vm in t.bed.host, t.bed.guest:
            t.run(vm, "touch /run/enough")
        for job in jobs:
            t.equal(job.wait(), 0, "status of one, which said " + job.output)
        t.wait_for(t.bed.host, "%s show | grep -q 'connections 0 refused'" %
                   VSFQ)
        output = t.guest("%s try stream:2:%d" % (PROBE, FREE))
        t.equal(output.split()[1], "answered", "what happens then")
        for vm in t.bed.host, t.bed.guest:
            t.run(vm, "rm /run/enough")


def test_connection_rate(t):
    """As many new ones as there may be, of those that a guest tries; fewer at
    most for want of CPU. Those that are refused are counted."""
    apply(t, 'device "*" { connection-rate = 8 }')
    t.start_server(t.bed.host, PROBE + " serve stream:%d" % FREE, "serving")
    for _ in range(3):
        before = capped(t, None, "connection_rate")
        output = t.guest("%s often 2 %d 8" % (PROBE, FREE), limit=60)
        counts, took = output.rstrip().rsplit(" ", 1)
        said = "%s in %s s" % (counts, took)
        print("# " + said, flush=True)
        counts, want = ast.literal_eval(counts), 8 * float(took)
        new = counts.get("answered", 0)
        t.check(new < 1.05 * want, said)
        t.equal(capped(t, None, "connection_rate") - before,
                counts.get("ECONNRESET", 0), "refused, of " + said)
        # Without one that was refused there were too few.
        if new > 0.95 * want and "ECONNRESET" in counts:
            return
    t.fail(said)
