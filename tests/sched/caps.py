#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Caps of devices, classes and groups, priority and isolation, on devices made
of tun.

usage: caps.py VSFQ BPFTOOL    as root, in a VM; prints TAP
"""
import errno
import json
import os
import sys
import time

from sched import (BPFTOOL, BURST, CGROUPS, check, device, drops_told, equal,
                   in_cgroup, in_time, main, near, patient, PINS, policy,
                   queue_class, show, VSFQ)
from tun import DGRAM, IDLE_CAPPED, REQUEST, RING, RST, STREAM, must

# Within 5 % of a rate, over 5 s.
SECONDS = 6


def leave(**sockets):
    """Close the sockets and remove their cgroups."""
    for name, s in sockets.items():
        s.close()
        os.rmdir(f"{CGROUPS}/{name}")


def arrivals(dev):
    """All that comes, as (seconds since now, packet)."""
    start = time.monotonic()
    return [(time.monotonic() - start, p)
            for p in iter(lambda: dev.receive(IDLE_CAPPED), None)]


def paced(what, got, rate, burst, amount=lambda p: 1):
    """What arrived is not more than the rate allows, nor 5 % less."""
    # The first ones were in the ring before the clock was started.
    sent, took = sum(amount(p) for _, p in got[RING:]), got[-1][0]
    said = f"{what}: {sent} in {took:.3f} s"
    print(f"# {said}")
    check(sent <= rate * took + burst, said)
    in_time(sent >= 0.95 * rate * took, said)


def length(packet):
    return packet[3]


def of_port(got, port):
    return [(when, p) for when, p in got if p[1] == port]


@patient
def test_policy_packet_rate():
    """As many packets as the class may, however small."""
    dev = device()
    policy("class slow { packet-rate = 200 }"
           "rule { local-port = 1 class = slow }")
    for kind in STREAM, DGRAM:
        dev.send(kind, 1, 64, 500)
        dev.send(kind, 2, 64, 100)
        got = arrivals(dev)
        paced("packets", of_port(got, 1), 200, 6)
        in_time(of_port(got, 2)[-1][0] < 1, "others waited")
    equal("rate", queue_class(dev, "slow")["packet_rate"], 200)
    check(queue_class(dev, "slow")["throttled"] > 100, "not counted")


@patient
def test_policy_device():
    """Of all classes together, on the devices that it names; they share it
    by weight. The first section that names a device counts."""
    dev, other = device("vsock0"), device("vsock1")
    policy('device vsock1 { }  device "vsock*" { rate = 2mbps }'
           "class a { weight = 3 } rule { local-port = 1 class = a }")
    dev.send(DGRAM, 1, 5000, 800)
    dev.send(DGRAM, 2, 5000, 800)
    other.send(DGRAM, 1, 5000, 800)
    in_time(arrivals(other)[-1][0] < 1, "the other device waited")
    got = arrivals(dev)
    paced("bytes", got, 2e6, BURST + 5044, length)
    near("share of a", len(of_port(got[:600], 1)) / 600, 0.75, 0.05)
    check(show(dev)["throttled"] > 100, "not counted")
    equal("rates", (show(dev).get("rate"), show(other).get("rate")),
          (2000000, None))
    policy('device "*" { packet-rate = 200 }')
    dev.send(DGRAM, 1, 64, 100 * SECONDS)
    dev.send(STREAM, 1, 64, 100 * SECONDS)
    paced("packets", arrivals(dev), 200, 6)


def rename(dev, name):
    must("ip", "link", "set", dev.name, "down")
    must("ip", "link", "set", dev.name, "name", name)
    dev.name = name
    must("ip", "link", "set", dev.name, "up")


@patient
def test_policy_device_renamed():
    """It is the name that it has when it is attached, however long the one
    before was."""
    dev = device("vsock-of-guest1", attach=False)
    rename(dev, "vsock0")
    must(VSFQ, "attach", dev.name)
    policy("device vsock0 { packet-rate = 200 }")
    equal("rate", show(dev).get("packet_rate"), 200)
    dev.send(DGRAM, 1, 64, 300)
    paced("packets", arrivals(dev), 200, 6)


@patient
def test_policy_device_renamed_since():
    """Also for what it sends, and for the monitor, it is the name that it had
    when vsfq looked last, be it for a policy that is in force already."""
    dev = device("capped0")
    policy("device capped0 { packet-rate = 200 }")
    rename(dev, "vsock0")
    equal("names told", {e["device"] for e in drops_told(dev)}, {"capped0"})
    must(VSFQ, "attach", dev.name)
    equal("names told", {e["device"] for e in drops_told(dev)}, {"vsock0"})
    in_time(arrivals(dev)[-1][0] < 2, "it waited")
    rename(dev, "capped0")
    policy("device capped0 { packet-rate = 200 }")
    dev.send(DGRAM, 1, 64, 300)
    paced("packets", arrivals(dev), 200, 6)


@patient
def test_policy_group_rate():
    """Of each group its own, also by packets; what is not of the class does
    not wait."""
    dev = device()
    a, b = in_cgroup(dev, "a"), in_cgroup(dev, "b")
    policy("class each { group-rate = 1mbps }"
           "rule { local-port = 1-9 class = each }")
    for port in 1, 2:
        dev.send(STREAM, port, 5000, 200, a)
    dev.send(STREAM, 3, 5000, 400, b)
    dev.send(DGRAM, 10, 5000, 100)
    got = arrivals(dev)
    in_time(of_port(got, 10)[-1][0] < 0.5, "others waited")
    paced("a", sorted(of_port(got, 1) + of_port(got, 2)), 1e6, BURST + 5044,
          length)
    paced("b", of_port(got, 3), 1e6, BURST + 5044, length)
    # Each time that one waited it sent a packet then.
    waits = queue_class(dev, "each")["groups_throttled"]
    check(50 < waits <= 800, f"groups throttled {waits} times")
    equal("throttled", queue_class(dev, "each")["throttled"], 0)
    policy("class each { group-packet-rate = 100  limit = 2000 }"
           "rule { local-port = 1-9 class = each }")
    dev.send(DGRAM, 1, 64, 100 * SECONDS, a)
    dev.send(DGRAM, 3, 64, 100 * SECONDS, b)
    got = arrivals(dev)
    for port in 1, 3:
        paced(f"packets of {port}", of_port(got, port), 100, 4)
    leave(a=a, b=b)


def test_policy_group_has_memory():
    """To pause after each burst, until one is forgotten, gains nothing."""
    dev = device()
    a, b = in_cgroup(dev, "a"), in_cgroup(dev, "b")
    policy("class each { group-rate = 1mbps }"
           "rule { local-port = 1 class = each }")
    # So many flows that idle ones are not remembered.
    for port in range(100, 300):
        dev.send(STREAM, port, 64, 40, b)
    start, got = time.monotonic(), 0
    while time.monotonic() < start + 2:
        dev.send(STREAM, 1, 5000, 4, a)
        left = 4
        while left:
            packet = dev.receive()
            if packet and packet[1] == 1:
                left, got = left - 1, got + packet[3]
            if packet:
                dev.send(STREAM, packet[1] % 200 + 100, 64, 1, b)
    took = time.monotonic() - start
    check(got <= 1e6 * took + 2 * BURST, f"{got} bytes in {took} s")
    leave(a=a, b=b)


def test_policy_group_earns_no_claim():
    """While all its groups wait for credit a class has no claim to time, and
    nobody else gets one from it."""
    dev = device()
    a, b = in_cgroup(dev, "a"), in_cgroup(dev, "b")
    policy("class each { group-rate = 8bit } class other { }"
           "rule { local-port = 1-9 class = each }"
           "rule { local-port = 20 class = other }")
    dev.send(STREAM, 1, 60000, 10, a)
    dev.send(STREAM, 20, 60000, 150)
    for _ in range(60):
        dev.receive()
    dev.send(STREAM, 2, 100, 1, b)
    dev.receive()       # now that of "b" was chosen
    dev.send(STREAM, 30, 60000, 100)
    near("share of who was there",
         sum(dev.receive()[1] == 20 for _ in range(60)) / 60, 0.5, 0.07)
    leave(a=a, b=b)


def test_policy_limit_of_many_flows():
    """Also where connections and datagrams of a class share the flow of those
    for which there is none any more."""
    dev = device()
    policy("class mix { limit = 100 } rule { class = mix }")
    streams = 6170
    for port in range(1, streams + 1):
        dev.send(STREAM, port, 10)
    for port in range(7001, 7401):
        dev.send(DGRAM, port, 10)
    queued = queue_class(dev, "mix")["backlog"]["packets"] - streams + RING
    check(queued <= 102, f"{queued} datagrams wait")


def test_policy_group_reset():
    """What waits with its group goes with the qdisc, or as soon as there is
    another cap, or none."""
    dev = device()
    policy("class each { group-rate = 8bit }"
           "rule { local-port = 1 class = each }")
    dev.send(STREAM, 1, 60000, 10)
    sent = len(dev.receive_all())
    check(sent < 10, "no cap")
    must("ip", "link", "set", dev.name, "down")
    equal("dropped", queue_class(dev, "each")["drops"]["reset"], 10 - sent)
    must("ip", "link", "set", dev.name, "up")
    dev.send(STREAM, 1, 60000, 10)
    sent = len(dev.receive_all())
    for rate in "group-rate = 1gbps", "rate = 1gbps", "":
        policy("class each { %s } rule { local-port = 1 class = each }" % rate)
        equal(f"packets with {rate}", len(dev.receive_all()), 10 - sent)
        policy("class each { group-rate = 8bit }"
               "rule { local-port = 1 class = each }")
        dev.send(STREAM, 1, 60000, 10)
        sent = len(dev.receive_all())


def test_policy_memory():
    """Of a device and of each group: datagrams pay, their senders first."""
    dev = device()
    a, b = in_cgroup(dev, "a"), in_cgroup(dev, "b")
    policy("class each { group-memory = 1M }"
           "rule { type = dgram class = each }")
    dev.send(DGRAM, 1, 60000, 30, a)
    dev.send(DGRAM, 2, 60000, 10, b)
    dev.send(DGRAM, 4, 30000, 5, a)
    got = dev.receive_all()
    equal("packets of b", sum(p[1] == 2 for p in got), 10)
    equal("packets of the few of a", sum(p[1] == 4 for p in got), 5)
    drops = queue_class(dev, "each")["drops"]["group"]
    check(drops > 5, f"{drops} dropped")
    equal("packets of a", sum(p[1] == 1 for p in got), 30 - drops)
    policy('device "*" { memory = 1M } class each { }'
           "rule { local-port = 1 class = each }")
    dev.send(STREAM, 3, 64, 10)
    dev.send(DGRAM, 1, 60000, 30)
    dev.send(DGRAM, 2, 60000, 5)
    memory = sum(c["backlog"]["memory"] for c in show(dev)["classes"])
    check(memory <= 1 << 20, f"{memory} bytes queued")
    got = dev.receive_all()
    equal("packets of the stream", sum(p[0] == STREAM for p in got), 10)
    equal("packets of the few", sum(p[1] == 2 for p in got), 5)
    check(queue_class(dev, "each")["drops"]["device"] > 5, "not counted")
    leave(a=a, b=b)


def test_policy_priority():
    """It goes before all others, the lower number first; over its rate it
    waits, and others have the device."""
    dev = device()
    text = "class second { priority = 2 rate = %s burst = 128K }" \
        "class first { priority = 1 rate = %s burst = 128K }" \
        "class heavy { weight = 1000 }" \
        "rule { local-port = 1 class = first }" \
        "rule { local-port = 2 class = second }" \
        "rule { local-port = 3 class = heavy }"
    # At so low a rate a bucket would take a day to be full.
    policy(text % ("1gbps", "1gbps"))
    dev.send(DGRAM, 1, 64)
    dev.send(DGRAM, 2, 64)
    dev.receive_all()
    policy(text % ("8bit", "8bit"))
    dev.send(DGRAM, 3, 1000, 200)
    dev.send(STREAM, 9, 1000, 200)
    for port in 2, 1:
        dev.send(DGRAM, port, 1000, 200)
    order = [p[1] for p in dev.receive_all()][RING:]
    first = order.count(1)
    near("packets of the first", first, (128 << 10) // 1044, 2)
    near("packets of the second", order.count(2), first, 2)
    equal("who goes first", order[:first], first * [1])
    equal("who goes then", set(order[first:first + order.count(2)]), {2})
    near("others", len(order) - first - order.count(2), 400, RING)


def test_policy_isolate():
    """Nine flows against one in a class: by what they are told apart."""
    dev = device()
    many, one = in_cgroup(dev, "many"), in_cgroup(dev, "one")
    os.fchown(one.fileno(), 1000, -1)
    for isolate, peer, share in (("cgroup", 2, 0.5), ("uid", 2, 0.5),
                                 ("none", 2, 0.1), ("cid", 2, 0.1),
                                 ("cid", 3, 0.5)):
        policy("class c { isolate = %s } rule { class = c }" % isolate)
        for port in range(1, 10):
            dev.send(STREAM, port, 30000, 30, many)
        dev.send(STREAM, 10, 30000, 100, one, peer)
        sent = [dev.receive() for _ in range(150)]
        near(f"share of one by {isolate}",
             sum(p[1] == 10 for p in sent) / 150, share, 0.04)
        dev.receive_all()
    leave(many=many, one=one)


def test_policy_regroup():
    """A port that comes back with another owner is in that one's group."""
    dev = device()
    a, b = in_cgroup(dev, "a"), in_cgroup(dev, "b")
    dev.send(STREAM, 1, 64, 1, a)
    dev.receive_all()
    for port in range(1, 10):
        dev.send(STREAM, port, 30000, 30, b)
    dev.send(STREAM, 10, 30000, 100, a)
    near("share of one by its new owner",
         sum(p[1] == 10 for p in (dev.receive() for _ in range(150))) / 150,
         0.5, 0.04)
    dev.receive_all()
    leave(a=a, b=b)


def try_send(dev, port, op, flags=0, sock=None):
    """What the classifier refuses is an error to a packet socket."""
    try:
        dev.send(STREAM, port, 0, 1, sock, op=op, flags=flags)
        return True
    except OSError as err:
        equal("error", err.errno, errno.ENOBUFS)
        return False


def ask(dev, *ports, op=REQUEST, flags=0, sock=None):
    """Send one packet for each port; return those that came through."""
    sent = sum(try_send(dev, port, op, flags, sock) for port in ports)
    through = [p[1] for p in dev.receive_all()]
    equal("packets", len(through), sent)
    return through


def opened(dev, name):
    """Connections of the device and of a class."""
    shown = show(dev)
    return (shown["connections"], next(
        c["connections"] for c in shown["classes"] if c["name"] == name))


def test_policy_group_connections():
    """Of each group its own; other groups have room."""
    dev = device()
    a, b = in_cgroup(dev, "a"), in_cgroup(dev, "b")
    policy("class each { group-connections = 2 } rule { class = each }")
    equal("let through of a", ask(dev, 1, 2, 3, sock=a), [1, 2])
    equal("let through of b", ask(dev, 4, 5, 6, sock=b), [4, 5])
    ask(dev, 1, op=RST, sock=a)
    equal("let through of a", ask(dev, 7, 8, sock=a), [7])
    equal("refused", queue_class(dev, "each")["capped"]["group_connections"],
          3)
    leave(a=a, b=b)


def test_policy_group_forgotten():
    """Connections of a group that was taken for idle while they came."""
    dev = device()
    policy("class each { group-connections = 2 } rule { class = each }")
    equal("let through", ask(dev, 1, 2), [1, 2])
    path = f"{PINS}/{dev.name}/groups"
    groups = json.loads(must(BPFTOOL, "-j", "map", "dump", "pinned", path))
    equal("groups", len(groups), 1)
    must(BPFTOOL, "map", "delete", "pinned", path, "key", *groups[0]["key"])
    equal("let through", ask(dev, 3), [3])
    ask(dev, 1, 2, 3, op=RST)
    equal("let through", ask(dev, 4, 5, 6), [4, 5])
    ask(dev, 4, 5, op=RST)
    equal("open", opened(dev, "each"), (0, 0))


def class_c(dev):
    return queue_class(dev, "c")


@patient
def test_policy_connection_rate():
    """New ones as fast as the device, the class, a group lets them; each that
    it does not is counted."""
    dev = device()
    for text, of, cap in (
            ('device "*" { connection-rate = 100 } class c { }', show,
             "connection_rate"),
            ("class c { connection-rate = 100 }", class_c, "connection_rate"),
            ("class c { group-connection-rate = 100 }", class_c,
             "group_connection_rate")):
        policy(text + "rule { class = c }")
        got, asked, start = 0, 0, time.monotonic()
        while time.monotonic() < start + SECONDS:
            asked += 1
            if try_send(dev, asked, REQUEST):
                got += 1
                try_send(dev, asked, RST)
        took = time.monotonic() - start
        said = f"{got} of {asked} in {took:.3f} s"
        print(f"# {said}")
        check(got <= 100 * took + 11, said)
        equal("refused", of(dev)["capped"][cap], asked - got)
        equal("open", opened(dev, "c"), (0, 0))
        in_time(got >= 95 * took, said)
        dev.receive_all()


if __name__ == "__main__":
    sys.exit(main(globals()))
