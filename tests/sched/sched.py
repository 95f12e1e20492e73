#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler, decision by decision, on devices made of tun (see tun.py).

usage: sched.py VSFQ BPFTOOL    as root, in a VM; prints TAP
"""
import errno
import json
import os
import subprocess
import sys
import time
import traceback

from tun import (DGRAM, IDLE_CAPPED, REQUEST, RING, RW, SEQPACKET, STREAM, Tun,
                 must, run)

VSFQ, BPFTOOL = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
OVERHEAD = 16384
PINS = "/sys/fs/bpf/vsfq"
HAND, OLD = "/sys/fs/bpf/hand", "/sys/fs/bpf/old"
CGROUPS = "/sys/fs/cgroup"
SHARE = 64 + 24576      # packets: of its own, and half of what all may have
devices = []


def cost(packet):
    return OVERHEAD + packet[3]


def device(name="vsock0", attach=True):
    dev = Tun(name)
    devices.append(dev)
    if attach:
        must(VSFQ, "attach", name)
    return dev


def show(dev):
    return json.loads(must(VSFQ, "-s", "-j", "show", dev.name))[0]


def queue_class(dev, name):
    return next(c for c in show(dev)["classes"] if c["name"] == name)


def check(condition, text):
    if not condition:
        raise AssertionError(text)


class Slow(AssertionError):
    """Too little came, or too late."""


def in_time(condition, text):
    if not condition:
        raise Slow(text)


def patient(test):
    """Twice again if it was too slow, perhaps for want of CPU. What fails
    otherwise, as by too much, does so at once."""
    def repeat():
        for _ in range(2):
            try:
                return test()
            except Slow as err:
                print(f"# once more: {err}", flush=True)
            cleanup()
        return test()
    return repeat


def equal(name, value, expected):
    check(value == expected, f"{name} is {value}, not {expected}")


def near(name, value, expected, tolerance):
    check(abs(value - expected) <= tolerance,
          f"{name} is {value}, not within {tolerance} of {expected}")


def test_classes_share_time():
    """Streams and small datagrams get half of the service time each."""
    dev = device()
    dev.send(DGRAM, 1, 64, 900)
    dev.send(STREAM, 2, 60000, 100)
    sent = [dev.receive() for _ in range(500)]
    dgram = sum(cost(p) for p in sent if p[0] == DGRAM)
    stream = sum(cost(p) for p in sent if p[0] == STREAM)
    near("share of the streams", stream / (stream + dgram), 0.5, 0.02)


def test_flows_share_time():
    """Flows of one class get equal time whatever their packets' size."""
    dev = device()
    for port, size, count in (1, 60000, 100), (2, 1000, 300), (3, 0, 300):
        dev.send(STREAM, port, size, count)
    served = {1: 0, 2: 0, 3: 0}
    for _ in range(300):
        packet = dev.receive()
        served[packet[1]] += cost(packet)
    total = sum(served.values())
    for port, amount in served.items():
        near(f"share of flow {port}", amount / total, 1 / 3, 0.03)


def test_debt_outlives_the_queue():
    """Who sends more at once than a quantum and has nothing queued afterwards
    pays all the same, before he may send again."""
    dev = device()
    dev.send(STREAM, 1, 65000)
    dev.send(STREAM, 2, 64, 400)
    served = {1: 0, 2: 0}
    for _ in range(300):
        packet = dev.receive()
        served[packet[1]] += cost(packet)
        if packet[1] == 1:
            dev.send(STREAM, 1, 65000)
    share = served[1] / sum(served.values())
    check(share <= 0.52, f"the share of large packets is {share}")


def ahead_of_ping(dev):
    """Send a small packet of a flow of its own; how many come before it?"""
    dev.send(STREAM, 30, 64)
    ahead = 0
    while dev.receive()[1] != 30:
        ahead += 1
    return ahead


def ping_goes_first(dev):
    """Among eight streams that have had their turns."""
    for port in range(1, 9):
        dev.send(STREAM, port, 60000, 10)
    for _ in range(20):
        dev.receive()
    ahead = ahead_of_ping(dev)
    check(ahead <= RING, f"{ahead} packets before the ping")


def test_idle_flow_goes_first():
    """A small packet passes eight backlogged streams and a flood."""
    dev = device()
    for port in range(1, 9):
        dev.send(STREAM, port, 60000, 10)
    dev.send(DGRAM, 20, 64, 500)
    for _ in range(40):
        dev.receive()
    waits = []
    for _ in range(10):
        waits.append(ahead_of_ping(dev))
        # An answer takes as long as a few other packets.
        for _ in range(12):
            dev.receive()
    # Three go first in a round; one more than that waits for its turn.
    check(max(waits[:3]) <= RING, f"packets before the first pings: {waits}")
    check(sorted(waits)[7] <= RING, f"packets before the pings: {waits}")


def times_kept():
    """Of how many packets the time is known, of each flow that has ended."""
    dump = must(BPFTOOL, "map", "dump", "pinned", f"{PINS}/@qdisc/sojourns")
    return {e["key"]["tuple"]["src_port"]: sum(e["value"]["buckets"])
            for e in json.loads(dump)}


def test_flows_have_times():
    """How long the packets of bulk and those of a ping waited stays known when
    their flows end, as the ping's does each time, and that of one that moves to
    another group; what is dropped does not count."""
    dev = device()
    for port in range(1, 9):
        dev.send(STREAM, port, 60000, 20)
    time.sleep(0.6)
    for _ in range(10):
        ahead_of_ping(dev)
        for _ in range(12):
            dev.receive()
    dev.receive_all()
    other = in_cgroup(dev, "other")
    for sock in None, other:
        dev.send(STREAM, 50, 64, 5, sock)
        dev.receive_all()
    equal("packets of who moved", times_kept().get(50), 5)
    dev.send(STREAM, 40, 64, 50)
    shown = {f["local_port"]: f["sojourn_us"] for f in show(dev)["flows"]}
    check(shown[30]["p50"] < 600000 < shown[1]["p50"] <= shown[1]["p99"],
          f"times: {shown}")
    check(0 < times_kept()[30] <= 10, f"kept: {times_kept()}")
    # Ends all flows, one of which has packets.
    must("ip", "link", "set", dev.name, "down")
    equal("times", {f["local_port"]: f["sojourn_us"]
                    for f in show(dev)["flows"]}, shown)
    dropped = queue_class(dev, "stream")["drops"]["reset"]
    check(dropped > 0, "nothing was dropped")
    equal("packets", times_kept(), {**{port: 20 for port in range(1, 9)},
                                    30: 10, 40: 50 - dropped, 50: 10})
    other.close()
    os.rmdir(f"{CGROUPS}/other")


def test_small_overhead():
    """When bytes are nearly all that counts a small packet still goes first."""
    dev = device("vsock0", attach=False)
    must(VSFQ, "-o", "1", "attach", "vsock0")
    ping_goes_first(dev)


def test_idle_flow_may_not_starve_others():
    """A thousand new flows together get the share of their class."""
    dev = device()
    dev.send(STREAM, 1, 60000, 200)
    for port in range(100, 1000):
        dev.send(DGRAM, port, 64)
    sent = [dev.receive() for _ in range(400)]
    stream = sum(cost(p) for p in sent if p[0] == STREAM)
    near("share of the stream", stream / sum(map(cost, sent)), 0.5, 0.1)


def test_fattest_flow_is_dropped():
    """Over the limit the fattest flow loses its oldest, nobody else any."""
    dev = device()
    dev.send(DGRAM, 2, 64, 100)
    dev.send(DGRAM, 1, 64, 2000)
    dev.send(DGRAM, 3, 64, 100)
    sent = dev.receive_all()
    of_1 = [p[2] for p in sent if p[1] == 1]
    for port in 2, 3:
        equal(f"packets of flow {port}", sum(p[1] == port for p in sent), 100)
    near("packets of the flood", len(of_1), 800, RING + 1)
    equal("the newest of the flood", of_1[-1], 1999)
    drops = queue_class(dev, "dgram")["drops"]
    equal("drops", drops["packets"], 2200 - len(sent))
    equal("drops in tc", show(dev)["qdisc"]["drops"], drops["packets"])


def test_memory_limit():
    """Large datagrams are limited by the memory they take."""
    dev = device()
    dev.send(DGRAM, 1, 60000, 300)
    backlog = queue_class(dev, "dgram")["backlog"]
    check(backlog["memory"] <= 4 << 20, f"{backlog['memory']} bytes queued")
    check(backlog["packets"] > 20, f"only {backlog['packets']} packets queued")
    check(queue_class(dev, "dgram")["drops"]["memory"] > 0, "no drop counted")


def test_streams_are_never_dropped():
    """Every grant comes out once and in the order of its connection."""
    dev = device()
    for n in range(100):
        for port in range(1, 41):
            dev.send(STREAM if port % 2 else SEQPACKET, port, 100)
    dev.send(DGRAM, 50, 64, 3000)
    flows = {}
    for kind, port, number, _ in dev.receive_all():
        if kind != DGRAM:
            flows.setdefault(port, []).append(number)
    for port in range(1, 41):
        equal(f"packets of flow {port}", flows[port], list(range(100)))


def test_more_flows_than_its_share():
    """Beyond 6,144 flows they share one; no grant is lost. Another device has
    flows meanwhile."""
    dev = device()
    for port in range(1, 18001):
        dev.send(STREAM, port, 10)
    equal("packets queued", show(dev)["qdisc"]["qlen"], 18000 - RING)
    ping_goes_first(device("vsock1"))
    equal("flows served", len({p[1] for p in dev.receive_all()}) + dev.lost(),
          18000)
    lost = dev.lost()
    for port in range(1, 18001):
        dev.send(STREAM, port, 10)
    again = len({p[1] for p in dev.receive_all()})
    equal("served again", again + dev.lost() - lost, 18000)
    equal("packets at the end", show(dev)["qdisc"]["qlen"], 0)


def send_anyway(dev, kind, port, count, op=RW):
    """What is dropped at once is an error to a packet socket."""
    for _ in range(count):
        try:
            dev.send(kind, port, 0, op=op)
        except OSError as err:
            equal("error", err.errno, errno.ENOBUFS)


def test_more_packets_than_its_share():
    """A grant takes the slot of a datagram; when there is none it is dropped.
    Another device has slots meanwhile."""
    dev = device()
    dev.send(STREAM, 1, 0, 24000)
    dev.send(DGRAM, 2, 0, 1000)
    dev.send(STREAM, 1, 0, 400)
    equal("grants dropped", queue_class(dev, "stream")["drops"]["pool"], 0)
    check(queue_class(dev, "dgram")["drops"]["pool"] > 0, "no drop counted")
    send_anyway(dev, STREAM, 1, 1000)
    equal("packets queued", show(dev)["qdisc"]["qlen"], SHARE)
    equal("datagrams dropped", queue_class(dev, "dgram")["drops"]["pool"],
          1000)
    equal("grants dropped", queue_class(dev, "stream")["drops"]["pool"],
          25400 - SHARE - RING)
    other = device("vsock1")
    other.send(STREAM, 1, 0, 5000)
    equal("packets of the other", len(other.receive_all()) + other.lost(),
          5000)
    sent = dev.receive_all()
    equal("packets", len(sent) + dev.lost(), SHARE + RING)


def in_cgroup(dev, name):
    """A socket that belongs to a cgroup of its own."""
    path = f"{CGROUPS}/{name}"
    os.makedirs(path, exist_ok=True)
    with open(f"{path}/cgroup.procs", "w") as f:
        f.write("0")
    s = dev.new_socket()
    with open(f"{CGROUPS}/cgroup.procs", "w") as f:
        f.write("0")
    return s


def test_groups_share_time():
    """Nine sockets of one cgroup get no more than one socket of another."""
    dev = device()
    many, one = in_cgroup(dev, "many"), in_cgroup(dev, "one")
    for port in range(1, 10):
        dev.send(STREAM, port, 30000, 30, many)
    dev.send(STREAM, 10, 30000, 100, one)
    sent = [dev.receive() for _ in range(150)]
    near("share of one", sum(p[1] == 10 for p in sent) / 150, 0.5, 0.04)
    for s in many, one:
        s.close()
    os.rmdir(f"{CGROUPS}/many")
    os.rmdir(f"{CGROUPS}/one")


def test_ping_goes_first_in_its_group():
    """A ping of the busiest group passes the other groups too."""
    dev = device()
    busy, other = in_cgroup(dev, "busy"), in_cgroup(dev, "other")
    for port in range(1, 9):
        dev.send(STREAM, port, 60000, 10, busy)
        dev.send(STREAM, port + 10, 60000, 10, other)
    for _ in range(20):
        dev.receive()
    dev.send(STREAM, 30, 64, 1, busy)
    ahead = 0
    while dev.receive()[1] != 30:
        ahead += 1
    check(ahead <= RING, f"{ahead} packets before the ping")
    for s in busy, other:
        s.close()
    os.rmdir(f"{CGROUPS}/busy")
    os.rmdir(f"{CGROUPS}/other")


def test_two_devices():
    """Each device has queues, limits and figures of its own."""
    a, b = device("vsock0"), device("vsock1")
    a.send(DGRAM, 1, 64, 900)
    b.send(DGRAM, 1, 64, 600)
    b.send(STREAM, 1, 64, 5)
    equal("backlog of one", show(a)["qdisc"]["qlen"], 900 - RING)
    equal("backlog of the other", show(b)["qdisc"]["qlen"], 605 - RING)
    equal("packets of one", len(a.receive_all()), 900)
    equal("packets of the other", len(b.receive_all()), 605)


def test_backlog_is_true():
    """tc, vsfq show and the number of packets agree, also when empty."""
    dev = device()
    dev.send(STREAM, 1, 1000, 10)
    dev.send(DGRAM, 2, 200, 10)
    shown = show(dev)
    queued = sum(c["backlog"]["packets"] for c in shown["classes"])
    equal("packets by class", queued, 20 - RING)
    equal("packets in tc", shown["qdisc"]["qlen"], queued)
    equal("bytes in tc", shown["qdisc"]["backlog"],
          sum(c["backlog"]["bytes"] for c in shown["classes"]))
    dev.receive_all()
    shown = show(dev)
    equal("packets at the end", shown["qdisc"]["qlen"], 0)
    equal("bytes at the end", shown["qdisc"]["backlog"], 0)
    for c in shown["classes"]:
        equal("memory at the end", c["backlog"]["memory"], 0)
        equal("served", c["served"]["packets"], c["sent"]["packets"])


def test_flow_table():
    """One entry per pair of sockets, with what it sent."""
    dev = device()
    dev.send(STREAM, 7, 1000, 3)
    flow = show(dev)["flows"][0]
    equal("local", (flow["local_cid"], flow["local_port"]), (3, 7))
    equal("peer", (flow["peer_cid"], flow["peer_port"]), (2, 5000))
    equal("sent", flow["sent"], {"packets": 3, "bytes": 3 * 1044,
                                 "cost": 3 * (1044 + OVERHEAD)})
    dump = must(BPFTOOL, "map", "dump", "pinned", f"{PINS}/vsock0/flows")
    equal("port in bpftool", json.loads(dump)[0]["key"]["local_port"], 7)


def test_flows_of_another_overhead():
    """What waits of each flow is told of the qdiscs that were made last; of
    others nothing is, rather than that nothing waits."""
    before, last = device("vsock0"), device("vsock1", attach=False)
    must(VSFQ, "-o", "1", "attach", "vsock1")
    for dev in before, last:
        dev.send(STREAM, 1, 1000, 10)
        equal("packets of the class",
              queue_class(dev, "stream")["backlog"]["packets"], 10 - RING)
    flow, = show(last)["flows"]
    equal("packets", flow["backlog"]["packets"], 10 - RING)
    flow, = show(before)["flows"]
    check(not {"backlog", "waited_us", "sojourn_us"} & set(flow), f"{flow}")


def test_without_classifier():
    """tc alone attaches the qdisc, which then classifies by itself."""
    registered = device("vsock1")
    dev = device("vsock0", attach=False)
    must("tc", "qdisc", "replace", "dev", "vsock0", "root", "vsfq")
    dev.send(DGRAM, 1, 64, 500)
    dev.send(STREAM, 2, 60000, 50)
    sent = [dev.receive() for _ in range(200)]
    stream = sum(cost(p) for p in sent if p[0] == STREAM)
    near("share of the stream", stream / sum(map(cost, sent)), 0.5, 0.03)
    must("tc", "qdisc", "replace", "dev", "vsock0", "root", "vsfq")
    equal("qdisc", show(dev)["qdisc"]["kind"], "vsfq")
    equal("attached", show(dev)["attached"], False)
    equal("the other one", show(registered)["attached"], True)


def test_replace_under_load():
    """Qdiscs that go away take their packets along: the pools fill again."""
    dev = device()
    for _ in range(30):
        for port in range(1, 1001):
            dev.send(STREAM, port, 100, 4)
        must("tc", "qdisc", "replace", "dev", "vsock0", "root", "pfifo_fast")
        must("tc", "qdisc", "replace", "dev", "vsock0", "root", "vsfq")
    dump = json.loads(must(BPFTOOL, "map", "dump", "pinned",
                           f"{PINS}/@qdisc/queues"))
    equal("queues", len(dump), 1)
    dev.receive_all()
    dev.send(STREAM, 1, 100, SHARE)
    sent = dev.receive_all()
    equal("packets", [p[2] for p in sent][-1], SHARE + 30 * 4 - 1)


def test_replace_counts():
    """One that takes another's place goes on counting, and what that one had
    queued was dropped."""
    dev = device()
    dev.send(DGRAM, 1, 64, 300)
    dev.send(STREAM, 2, 64, 50)
    for _ in range(100):
        dev.receive()
    must("tc", "qdisc", "replace", "dev", "vsock0", "root", "handle", "7:",
         "vsfq")
    dev.send(DGRAM, 1, 64, 10)
    shown = {c["name"]: c for c in show(dev)["classes"]}
    check(shown["dgram"]["drops"]["reset"] > 100, f"{shown['dgram']}")
    for name, c in shown.items():
        equal(f"packets of {name}", c["served"]["packets"] +
              sum(c["drops"].values()) + c["backlog"]["packets"],
              c["sent"]["packets"])
        equal(f"times of {name}", sum(c["sojourn_us"]["buckets"]),
              c["served"]["packets"])


def tree():
    return sorted(os.path.join(d, f) for d, _, files in os.walk(PINS)
                  for f in files)


def programs():
    return json.loads(must(BPFTOOL, "-j", "net", "show"))[0]["tc"]


def test_attach_is_idempotent():
    """To attach again changes neither programs nor figures."""
    dev = device()
    dev.send(STREAM, 1, 100, 5)
    before = programs(), tree(), show(dev)["classes"]
    must(VSFQ, "attach", "vsock0")
    must(VSFQ, "attach", "all")
    equal("what is attached", (programs(), tree(), show(dev)["classes"]),
          before)


def test_detach():
    """Only ours goes, the default qdisc comes back, nothing is left."""
    dev = device("vsock0", attach=False)
    kind = show(dev)["qdisc"]["kind"]
    others = programs()
    must(VSFQ, "attach", "vsock0")
    check(programs() != others, "nothing was attached")
    must(VSFQ, "detach", "vsock0")
    equal("programs", programs(), others)
    equal("qdisc", show(dev)["qdisc"]["kind"], kind)
    check(not os.path.exists(PINS), f"{PINS} is left")
    check(run("tc", "qdisc", "add", "dev", "vsock0", "root",
              "vsfq").returncode, "the qdisc is still registered")


def test_others_root_stays():
    """A root qdisc that somebody else put in the place of ours stays."""
    dev = device()
    must("tc", "qdisc", "replace", "dev", "vsock0", "root", "sfq")
    must(VSFQ, "detach", "vsock0")
    equal("qdisc", show(dev)["qdisc"]["kind"], "sfq")


def test_device_gone():
    """The pins of a device that went away are tidied up."""
    dev = device()
    devices.remove(dev)
    dev.send(STREAM, 1, 100, 100)
    dev.close()
    check(tree(), "nothing was pinned")
    must(VSFQ, "detach", "all")
    check(not os.path.exists(PINS), f"{PINS} is left")


def test_device_comes_back():
    """A new device of the same name is attached like any other."""
    dev = device()
    devices.remove(dev)
    dev.close()
    dev = device()
    dev.send(STREAM, 1, 100, 3)
    equal("packets", show(dev)["sent"]["packets"], 3)


def refused(expected, *arguments):
    before = programs(), tree()
    done = run(VSFQ, *arguments)
    equal("exit status", done.returncode, 2 if "help" in expected else 1)
    equal("message", done.stdout.strip(), f"vsfq: {expected}")
    equal("what is attached", (programs(), tree()), before)


def test_errors():
    """One line that names the object and the reason; nothing changed."""
    refused('cannot attach "no0": no such device', "attach", "no0")
    refused('cannot attach "lo": not a vsock device', "attach", "lo")
    refused('cannot attach "all": no vsock device is here '
            "(try: vsfq doctor)", "attach", "all")
    refused('cannot detach "lo": not attached', "detach", "lo")
    refused('unknown command "atach" (try: vsfq help)', "atach", "vsock0")
    refused('missing argument for "attach" (try: vsfq help)', "attach")
    refused('surplus argument "b" (try: vsfq help)', "attach", "a", "b")
    refused('unknown option "-x" (try: vsfq help)', "-x")
    refused('no command given (try: vsfq help)')
    done = run(VSFQ, "-j", "attach", "no0")
    equal("error as JSON", json.loads(done.stdout),
          {"error": 'cannot attach "no0": no such device'})
    must(VSFQ, "detach", "all")


def test_failed_attach_leaves_nothing():
    """An attach that fails half way is undone."""
    dev = device("vsock0", attach=False)
    others = programs()
    # Nobody can make a qdisc whose name is taken.
    obj = os.path.join(os.path.dirname(VSFQ), "vsfq.bpf.o")
    os.mkdir(HAND)
    must(BPFTOOL, "struct_ops", "register", obj, HAND)
    done = run(VSFQ, "attach", "vsock0")
    must("rm", "-r", HAND)
    equal("exit status", done.returncode, 1)
    equal("programs", programs(), others)
    check(not tree(), f"{tree()} is left")
    equal("qdisc", show(dev)["qdisc"]["kind"] != "vsfq", True)


def policy(text):
    with open("/run/sched.conf", "w") as f:
        f.write(text)
    must(VSFQ, "apply", "/run/sched.conf")


def test_policy_weights():
    """Classes of a policy share by weight; another one counts at once."""
    dev = device()
    classes = "class a {{ weight = {} }} class b {{ }}" \
        "rule {{ local-port = 1 class = a }}" \
        "rule {{ local-port = 2 class = b }}"
    for weight, share in (3, 0.75), (1, 0.5):
        policy(classes.format(weight))
        dev.send(DGRAM, 1, 1000, 600)
        dev.send(DGRAM, 2, 1000, 600)
        sent = [dev.receive() for _ in range(400)]
        near(f"share of weight {weight}",
             sum(p[1] == 1 for p in sent) / len(sent), share, 0.04)
        dev.receive_all()
    equal("classes", [c["name"] for c in show(dev)["classes"]],
          ["stream", "dgram", "a", "b"])
    equal("packets of the default class",
          queue_class(dev, "dgram")["sent"]["packets"], 0)


def test_policy_more_groups_than_its_share():
    """Beyond 2,048 they share one, also those of a class that had none before.
    Another device has groups meanwhile."""
    dev = device()
    policy("class each { isolate = cid } class late { isolate = cid }"
           "rule { local-port = 1-10 class = each }"
           "rule { local-port = 11 class = late }")
    for cid in range(10, 10 + 4200):
        dev.send(STREAM, 1, 10, peer=cid)
    dev.send(STREAM, 11, 10, 2)
    equal("packets queued", show(dev)["qdisc"]["qlen"], 4202 - RING)
    other = device("vsock1")
    for port in range(1, 10):
        other.send(STREAM, port, 30000, 30, peer=2)
    other.send(STREAM, 10, 30000, 100, peer=3)
    sent = [other.receive() for _ in range(150)]
    near("share of one", sum(p[1] == 10 for p in sent) / 150, 0.5, 0.04)
    sent = [p[1] for p in dev.receive_all()]
    equal("packets sent", len(sent) + dev.lost(), 4202)
    check(11 in sent, "none of the late class")
    equal("packets at the end", show(dev)["qdisc"]["qlen"], 0)


def test_policy_limits():
    """Of each class its own, in packets and in memory."""
    dev = device()
    policy("class few { limit = 50 } class small { memory = 1M }"
           "rule { local-port = 1 class = few }"
           "rule { local-port = 2 class = small }")
    dev.send(DGRAM, 1, 64, 300)
    dev.send(DGRAM, 2, 60000, 100)
    dev.send(DGRAM, 3, 64, 300)
    few, small, other = (queue_class(dev, name)
                         for name in ("few", "small", "dgram"))
    equal("packets queued", few["backlog"]["packets"], 50)
    near("drops", few["drops"]["packets"], 250, RING)
    check(small["backlog"]["memory"] <= 1 << 20 and
          small["drops"]["memory"] > 50, f"{small}")
    near("packets queued of others", other["backlog"]["packets"], 300, RING)


def test_policy_replaced_under_load():
    """What is queued in a class that goes is sent, as of little weight."""
    dev = device()
    policy("class gone { weight = 9 } rule { local-port = 1 class = gone }")
    dev.send(DGRAM, 1, 64, 200)
    dev.send(STREAM, 2, 64, 200)
    policy("rule { local-port = 9 verdict = accept }")
    sent = dev.receive_all()
    for port in 1, 2:
        equal(f"packets of flow {port}", sum(p[1] == port for p in sent), 200)


def test_policy_passed_on():
    """What has a class keeps it behind another program that lets it pass."""
    dev = device()
    policy("class a { } rule { local-port = 1 class = a }")
    obj = os.path.join(os.path.dirname(VSFQ), "shared.bpf.o")
    must(BPFTOOL, "prog", "load", obj, HAND)
    must(BPFTOOL, "net", "attach", "tcx_egress", "pinned", HAND, "dev",
         dev.name)
    dev.send(DGRAM, 1, 64, 20)
    dev.send(DGRAM, 2, 64, 10)
    equal("packets", len(dev.receive_all()) + dev.lost(), 30)
    for name, count in ("a", 20), ("dgram", 10):
        c = queue_class(dev, name)
        equal(f"packets of {name}, sent and served",
              (c["sent"]["packets"], c["served"]["packets"]), 2 * (count,))


def by_hand(dev, policy_pin):
    """Another classifier behind ours, that goes by a policy of its own."""
    obj = os.path.join(os.path.dirname(VSFQ), "classify.bpf.o")
    must(BPFTOOL, "prog", "loadall", obj, HAND, "pinmaps", HAND)
    must(BPFTOOL, "map", "update", "pinned", f"{HAND}/policy", "key", "0", "0",
         "0", "0", "value", "pinned", policy_pin)
    must(BPFTOOL, "net", "attach", "tcx_egress", "pinned",
         f"{HAND}/vsfq_egress", "dev", dev.name)


def drops_told(dev):
    """More datagrams than a class may have queued; what the monitor says."""
    with subprocess.Popen((VSFQ, "-v", "-j", "monitor", "drop"), text=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as monitor:
        while "listening" not in monitor.stderr.readline():
            equal("status of the monitor", monitor.poll(), None)
        dev.send(DGRAM, 1, 64, 1010)
        monitor.terminate()
        events = [json.loads(line) for line in monitor.communicate()[0]
                  .splitlines()]
    check(events, "no drop was told")
    return events


def test_policy_race():
    """A datagram that was classified when the policy before was in force
    takes with it none of those that are queued in its class."""
    dev = device()
    policy("class gone { } rule { local-port = 1 class = gone }")
    must(BPFTOOL, "map", "pin", "pinned", f"{PINS}/@policy/current", OLD)
    dev.send(DGRAM, 1, 64, 200)
    policy("rule { local-port = 9 verdict = accept }")
    by_hand(dev, OLD)
    dev.send(DGRAM, 1, 64)
    equal("packets", len(dev.receive_all()) + dev.lost(), 201)


def test_policy_cleared_race():
    """Of a class that no policy names any more the drops have no class."""
    dev = device()
    policy("class gone { } rule { local-port = 1 class = gone }")
    must(BPFTOOL, "map", "pin", "pinned", f"{PINS}/@policy/current", OLD)
    must(VSFQ, "policy", "clear")
    by_hand(dev, OLD)
    equal("classes told", {e.get("class") for e in drops_told(dev)}, {None})


def test_policy_refused_has_no_flow():
    """Nothing that is refused takes the place of a flow that is not."""
    dev = device()
    policy("rule { local-port = 1 verdict = accept } default-out = drop")
    dev.send(DGRAM, 1)
    send_anyway(dev, DGRAM, 2, 3)
    send_anyway(dev, STREAM, 3, 2, op=REQUEST)
    shown = show(dev)
    equal("ports", [f["local_port"] for f in shown["flows"]], [1])
    equal("refused", shown["refused"], {"in": 0, "out": 5})
    policy("rule { local-port = 2 verdict = accept } default-out = drop")
    dev.send(DGRAM, 2)
    send_anyway(dev, DGRAM, 1, 1)
    equal("refused", show(dev)["refused"]["out"], 6)


CAPPED = "class slow {{ rate = {} }} class other {{ }}" \
    "rule {{ local-port = 1 class = slow }}" \
    "rule {{ local-port = 2 class = other }}"
UNCAPPED = CAPPED.replace("rate = {}", "")
BURST = 65580


@patient
def test_policy_rate():
    """A class sends what its rate allows, be it streams or datagrams; another
    one has the rest of the device meanwhile."""
    dev = device()
    policy(CAPPED.format("2mbps"))
    for kind, size, count in (STREAM, 60000, 50), (DGRAM, 2000, 900):
        dev.send(kind, 1, size, count)
        dev.send(DGRAM, 2, 64, 200)
        start, slow, other = time.monotonic(), [], 0
        for packet in iter(lambda: dev.receive(IDLE_CAPPED), None):
            if packet[1] == 1:
                slow.append((time.monotonic() - start, packet[3]))
            else:
                other = time.monotonic() - start
        # The first ones were in the ring before the clock was started.
        sent = sum(length for _, length in slow[RING:])
        took = slow[-1][0]
        print(f"# {sent} bytes in {took:.3f} s, others in {other:.3f} s")
        check(sent <= 2e6 * took + BURST + size + 44, f"{sent} bytes in {took}")
        equal("packets", len(slow), count)
        in_time(sent >= 1.9e6 * took, f"{sent} bytes in {took}")
        in_time(other < took / 4, f"another class took {other} of {took} s")
    shown = queue_class(dev, "slow")
    equal("rate", (shown["rate"], shown["burst"]), (2000000, BURST))
    check(shown["throttled"] >= 40, f"throttled {shown['throttled']} times")
    check(" throttled " in must(VSFQ, "show"), "not in the text")
    equal("others throttled", queue_class(dev, "other")["throttled"], 0)


def test_policy_rate_reached():
    """What waits for credit is backlog; datagrams over the limit are dropped,
    streams are not; a reset takes along what waits."""
    dev = device()
    policy(CAPPED.format("8bit"))
    dev.send(STREAM, 1, 60000, 10)
    sent = len(dev.receive_all())
    dev.send(DGRAM, 1, 64, 1500)
    dev.send(DGRAM, 2, 64, 10)
    equal("packets of the other", len(dev.receive_all()), 10)
    slow = queue_class(dev, "slow")
    equal("packets", slow["backlog"]["packets"], 1010 - sent)
    equal("drops", slow["drops"]["packets"], 500)
    must("ip", "link", "set", dev.name, "down")
    slow = queue_class(dev, "slow")
    equal("packets", slow["backlog"]["packets"], 0)
    equal("dropped by the reset", slow["drops"]["reset"], 1010 - sent)


def test_policy_rate_lifted():
    """What waits for an hour's credit goes as soon as there is no cap, and
    has not saved up time that would starve the others."""
    dev = device()
    policy(CAPPED.format("8bit"))
    dev.send(STREAM, 1, 60000, 10)
    sent = len(dev.receive_all())
    policy(UNCAPPED.format())
    equal("packets", len(dev.receive_all()), 10 - sent)
    policy(CAPPED.format("8bit"))
    dev.send(STREAM, 1, 1000, 600)
    dev.send(STREAM, 2, 1000, 600)
    for _ in range(400):
        dev.receive()
    policy(UNCAPPED.format())
    sent = [dev.receive() for _ in range(200)]
    near("share", sum(p[1] == 1 for p in sent) / len(sent), 0.5, 0.04)


def cleanup():
    run(VSFQ, "policy", "clear")
    run(VSFQ, "detach", "all")
    run("rm", "-rf", HAND, OLD)
    while devices:
        devices.pop().close()


def attempt(test):
    """Returns how it failed, or nothing. Any test may miss a packet that a tun
    lost by itself: then it is tried again."""
    for left in 2, 1, 0:
        try:
            test()
            return None
        except Exception:
            text = traceback.format_exc()
        lost = sum(dev.lost() for dev in devices)
        if not lost or not left:
            return text
        print(f"# once more: {lost} packets were lost by the tun", flush=True)
        cleanup()


def main(found):
    """Run the functions named test_*, or those that the command line names."""
    tests = [(n, t) for n, t in found.items() if n.startswith("test_")]
    chosen = [(n, t) for n, t in tests if not sys.argv[3:] or n in sys.argv]
    failed = 0
    print(f"1..{len(chosen)}")
    for i, (name, test) in enumerate(chosen, 1):
        wrong = attempt(test)
        failed += wrong is not None
        print(f"{'not ok' if wrong else 'ok'} {i} - {name[5:]}", flush=True)
        for line in (wrong or "").splitlines():
            print(f"# {line}", flush=True)
        cleanup()
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(globals()))
