# SPDX-License-Identifier: GPL-2.0-only
"""The firewall: what a rule can say, who is told at once that he is refused,
what is learned, and what ends the connections that are there."""

import json
import re

from findings import finds
from firewall import (BULK, CIDS, DEVICES, OPEN, PROBE, QUIET, REFUSED,
                      SEQ_OPEN, SEQ_REFUSED, SILENT, VSFQ, apply, at_once,
                      classes, expect, hold, others, probe, refused, serve,
                      write)
from load import HOST_DEV, attach_all

BED = "pair"

# As a rule says it.
PEERS = {"host": "host", "guest 42": "42"}

REJECT_OUT = """
rule { direction = out  type = dgram   remote-port = {quiet}  verdict = drop }
rule { direction = out  remote-cid = 2-42  remote-port = {{refused}, 6004}
       verdict = reject }
rule { direction = out  remote-cid = 43-99  verdict = reject }
rule { direction = out  type = stream  remote-port = {quiet}
       local-port = 7700-4294967294    verdict = reject }
rule { direction = out  cgroup = /vsfq  verdict = reject }
rule { direction = out  device = cid42  remote-cid = %s  remote-port = {bulk}
       verdict = reject }
rule { direction = out  device = cid4  verdict = reject }
rule { direction = out  local-cid = 77   verdict = reject }
"""


def test_reject_out(t):
    """The caller gets its error at once, also from a socket that sends
    datagrams to anybody; each is counted and told once. What depends on a port
    that there is not yet is decided later, and others are not refused. The
    cgroup is made later than the policy, and made again."""
    for vm, other in others(t):
        t.cleanup(vm, "rmdir /sys/fs/cgroup/vsfq/child /sys/fs/cgroup/vsfq")
        apply(t, vm, REJECT_OUT % PEERS[other.name])
        attach_all(t, vm)
        t.run(vm, "mkdir -p /sys/fs/cgroup/vsfq/child")
        serve(t, other)
        job = t.start_server(vm, VSFQ + " -v -j monitor reject", "listening")
        cid, before = CIDS[other.name], refused(t, vm)["out"]
        have = probe(t, vm, cid, ("stream", OPEN), ("seqpacket", SEQ_OPEN),
                     ("dgram", OPEN), ("stream", REFUSED),
                     ("seqpacket", SEQ_REFUSED), ("dgram", REFUSED),
                     ("sendto", REFUSED), ("sendto", OPEN), ("stream", BULK),
                     ("dgram", QUIET))
        expect(t, have, {
            ("stream", OPEN): "answered", ("seqpacket", SEQ_OPEN): "answered",
            ("dgram", OPEN): "answered", ("stream", REFUSED): "ECONNREFUSED",
            ("seqpacket", SEQ_REFUSED): "ECONNREFUSED",
            ("dgram", REFUSED): "ECONNREFUSED",
            ("sendto", REFUSED): "ECONNREFUSED", ("sendto", OPEN): "answered",
            ("stream", BULK): "ECONNREFUSED", ("dgram", QUIET): "silent"})
        # One of them is the datagram that is dropped.
        t.equal(refused(t, vm)["out"] - before, 6, "counted")
        t.end(job)
        t.equal([(e["event"], e["direction"], e["type"], e["local_cid"],
                  e["peer_port"], e["rule"]) for e in
                 map(json.loads, job.output.splitlines()[1:])],
                [("reject", "out", kind, CIDS[vm.name], port, rule)
                 for kind, port, rule in (
                     ("stream", REFUSED, 2), ("seqpacket", SEQ_REFUSED, 2),
                     ("dgram", REFUSED, 2), ("dgram", REFUSED, 2),
                     ("stream", BULK, 6))], "events")
        at_once(t, vm, cid, have, "ECONNREFUSED")
        member = "echo $BASHPID > /sys/fs/cgroup/vsfq/child/cgroup.procs; " \
            "{0} try stream:{1}:{2} sendto:{1}:{2}; echo $BASHPID > " \
            "/sys/fs/cgroup/cgroup.procs".format(PROBE, cid, OPEN)
        output = t.run(vm, "{0} try stream:{1}:{2}:7700 stream:{1}:{2}:7699 "
                       "stream:{1}:{2}; {3}; (cd /sys/fs/cgroup && rmdir "
                       "vsfq/child vsfq && mkdir -p vsfq/child) && {3}".format(
                           PROBE, cid, QUIET, member))
        t.equal(re.findall(r" ([A-Za-z]+) ", output),
                ["ECONNREFUSED", "answered", "ETIMEDOUT"] +
                4 * ["ECONNREFUSED"], "what happened")


def test_reject_out_default(t):
    """By default, on the way to attached devices alone: loopback is not one,
    and a connection that is there, or is being made, stays."""
    for vm in t.vms:
        serve(t, vm)
    for vm, other in others(t):
        attach_all(t, vm)
        job = hold(t, vm, other, OPEN)
        apply(t, vm, "default-out = reject")
        try_ = "%s try stream:%%d:%d sendto:%%d:%d" % (PROBE, OPEN, OPEN)
        wants = {CIDS[other.name]: "ECONNREFUSED", 1: "answered"}
        # A kernel with a guest's driver too does not know itself as CID 2.
        if vm == t.bed.guest:
            wants[CIDS[vm.name]] = "answered"
        for cid, want in wants.items():
            output = t.run(vm, try_ % (cid, cid))
            t.equal(re.findall(r" ([A-Za-z]+) ", output), 2 * [want],
                    "what happened at CID %d" % cid)
        t.cleanup(vm, "rm -f /run/enough")
        t.run(vm, "touch /run/enough")
        t.equal(job.wait(), 0, "status of the connection, which said " +
                job.output)
        t.run(vm, VSFQ + " detach all")
        expect(t, probe(t, vm, CIDS[other.name], ("stream", OPEN)),
               {("stream", OPEN): "answered"})
        t.run(vm, "ls /sys/fs/bpf/vsfq/@connect", status=2)
        t.run(vm, "rm -f /run/enough; %s policy clear" % VSFQ)


def test_other_version(t):
    """It takes over what the one before has attached, and it alone refuses;
    doctor tells them apart."""
    vm, other = t.bed.host, t.bed.guest
    serve(t, other)
    apply(t, vm, "default-out = reject")
    attach_all(t, vm)
    t.run(vm, "sed 's/return map ? bpf_map_lookup/return mop ? bpf_map_lookup/'"
          " %s > /run/other && chmod +x /run/other" % VSFQ)
    t.cleanup(vm, "%s detach all; rm /run/other" % VSFQ)
    t.run(vm, "/run/other attach all", limit=120)
    have = probe(t, vm, 42, ("stream", OPEN), ("sendto", OPEN))
    expect(t, have, {("stream", OPEN): "ECONNREFUSED",
                     ("sendto", OPEN): "ECONNREFUSED"})
    t.wait_for(vm, "[ $(%s prog show | grep -c ' lsm .*vsfq_connect') = 1 ]" %
               t.tool("bpftool"))
    finds(t, t.run(vm, VSFQ + " doctor"), "warning", "connect",
          "another version", "vsfq attach all")


def test_connect_removed(t):
    """Who unpins what refuses connect() has it back by attach, and devices then
    look for its answers where it leaves them."""
    vm = t.bed.host
    attach_all(t, vm)
    t.run(vm, "rm -r /sys/fs/bpf/vsfq/@connect && %s attach all" % VSFQ,
          limit=120)
    tables = [json.loads(line)["id"] for line in t.run(
        vm, "for d in @connect %s; do %s -j map show pinned "
        "/sys/fs/bpf/vsfq/$d/requests && echo; done" % (
            HOST_DEV, t.tool("bpftool"))).split("\n") if line]
    t.equal((len(tables), len(set(tables))), (2, 1), "tables of %r" % tables)
    before = t.run(vm, "ls -i /sys/fs/bpf/vsfq/" + HOST_DEV)
    t.run(vm, VSFQ + " attach all", limit=120)
    t.equal(t.run(vm, "ls -i /sys/fs/bpf/vsfq/" + HOST_DEV), before,
            "what is pinned after the next")


REJECT_IN = """
rule { direction = in  type = stream   local-cid = 2-42
       local-port = {{refused}, 6005}  verdict = reject }
rule { direction = in  type = seqpacket  local-port = {{quiet}, 6004}
       verdict = reject }
rule { direction = in  local-cid = 43-99  verdict = reject }
rule { direction = in  remote-cid = %s type = dgram  local-port = {quiet}
       verdict = reject }
rule { direction = in  remote-cid = 77  verdict = reject }
rule { direction = in  remote-port = 7700-7709  type = stream
       verdict = reject }
rule { direction = in  device = %s  local-port = {bulk}  verdict = reject }
rule { direction = in  device = other0  verdict = reject }
"""


def test_reject_in(t):
    """Each thing that a rule can say of what arrives, true and not true."""
    for vm, other in others(t):
        cid = CIDS[vm.name]
        apply(t, vm, REJECT_IN % (PEERS[other.name], DEVICES[vm.name]))
        attach_all(t, vm)
        serve(t, vm)
        have = probe(t, other, cid, ("stream", REFUSED), ("dgram", REFUSED),
                     ("stream", QUIET), ("dgram", QUIET), ("stream", BULK),
                     ("seqpacket", SEQ_REFUSED), ("seqpacket", SEQ_OPEN))
        expect(t, have, {
            ("stream", REFUSED): "ECONNRESET", ("dgram", REFUSED): "answered",
            ("stream", QUIET): "answered", ("dgram", QUIET): "silent",
            ("stream", BULK): "ECONNRESET",
            ("seqpacket", SEQ_REFUSED): "ECONNRESET",
            ("seqpacket", SEQ_OPEN): "answered"})
        at_once(t, other, cid, have, "ECONNRESET")
        output = t.run(other, "{0} try stream:{1}:{2}:7709 stream:{1}:{2}:7710 "
                       "dgram:{1}:{2}:7709".format(PROBE, cid, OPEN))
        t.equal(re.findall(r" ([A-Za-z]+) ", output),
                ["ECONNRESET", "answered", "answered"], "what happened")
        t.run(vm, VSFQ + " policy clear")


LEARNED = """\
default-in = reject
default-out = reject
class stream { weight = 1  limit = 1000  memory = 4194304 }
class dgram { weight = 1  limit = 1000  memory = 4194304 }
rule { direction = in  type = {stream}  local-cid = %(own)d  \
local-port = {6000}  remote-cid = %(peer)d  verdict = accept }
rule { direction = in  type = {dgram}  local-cid = %(own)d  \
local-port = {6000}  remote-cid = %(peer)d  verdict = accept }
rule { direction = out  type = {seqpacket}  local-cid = %(own)d  \
remote-cid = %(peer)d  remote-port = {6005}  verdict = accept }
rule { direction = out  type = {dgram}  local-cid = %(own)d  \
local-port = {6000}  remote-cid = %(peer)d  verdict = accept }
"""


def test_learn(t):
    """The policy is what was seen: applied, the same passes and other things
    do not. A request that nobody answered was not seen."""
    for vm in t.vms:
        serve(t, vm)
    for vm, other in others(t):
        own, peer = CIDS[vm.name], CIDS[other.name]
        attach_all(t, vm)
        job = t.start_server(vm, "%s -v learn > /run/learned" % VSFQ,
                             "watching")
        t.cleanup(vm, "rm -f /run/learned")
        arriving = ("stream", OPEN), ("dgram", OPEN)
        leaving = ("seqpacket", SEQ_OPEN),
        for _ in range(2):
            expect(t, probe(t, other, own, *arriving),
                   {key: "answered" for key in arriving})
            expect(t, probe(t, vm, peer, *leaving),
                   {key: "answered" for key in leaving})
            if job.status is not None:
                break
            expect(t, probe(t, vm, peer, ("stream", 6999)),
                   {("stream", 6999): "ECONNRESET"})
            t.equal(t.end(job), 0, "status of learn")
            t.equal(t.run(vm, "cat /run/learned"),
                    LEARNED % {"own": own, "peer": peer}, "what was learned")
            t.cleanup(vm, VSFQ + " policy clear")
            t.run(vm, "{0} check /run/learned && {0} apply /run/learned".
                  format(VSFQ))
        expect(t, probe(t, other, own, ("stream", BULK), ("dgram", BULK)),
               {("stream", BULK): "ECONNRESET", ("dgram", BULK): "silent"})
        expect(t, probe(t, vm, peer, ("seqpacket", SEQ_REFUSED),
                        ("stream", OPEN), ("dgram", OPEN)),
               {("seqpacket", SEQ_REFUSED): "ECONNREFUSED",
                ("stream", OPEN): "ECONNREFUSED",
                ("dgram", OPEN): "ECONNREFUSED"})
        t.run(vm, VSFQ + " policy clear")


STRICT = """
rule { direction = in   local-port = {refused}  verdict = reject }
rule { direction = out  cgroup = /vsfq          verdict = reject }
"""


def test_strict(t):
    """It ends those that the policy refuses, of both types and on both sides,
    and no others."""
    for vm in t.vms:
        serve(t, vm)
    for vm, other in others(t):
        attach_all(t, vm)
        t.run(vm, "mkdir -p /sys/fs/cgroup/vsfq/child")
        t.cleanup(vm, "rmdir /sys/fs/cgroup/vsfq/child /sys/fs/cgroup/vsfq")
        for side in vm, other:
            t.cleanup(side, "rm -f /run/enough")
        ends = [hold(t, other, vm, REFUSED),
                hold(t, vm, other, SEQ_OPEN, "echo $BASHPID > "
                     "/sys/fs/cgroup/vsfq/child/cgroup.procs;", "seqpacket")]
        stays = [hold(t, other, vm, SEQ_OPEN, kind="seqpacket"),
                 hold(t, vm, other, OPEN)]
        apply(t, vm, STRICT)
        t.check(not any(job.done.is_set() for job in ends), "ended too early")
        # The same policy again, which is in force already.
        t.equal(t.run(vm, VSFQ + " -v -S apply /run/policy.conf"),
                "vsfq: ended 2 connections\n", "output")
        for job in ends:
            t.check(job.done.wait(60), "not ended: " + job.output)
            t.equal(job.status, 1, "status of one that ends")
        for side in vm, other:
            t.run(side, "touch /run/enough")
        for job in stays:
            t.equal(job.wait(), 0, "status of one that stays: " + job.output)
        t.run(vm, VSFQ + " policy clear")
        for side in vm, other:
            t.run(side, "rm /run/enough")


def test_strict_confirmed(t):
    """Nor does it end them before the policy is confirmed, or if it is not."""
    vm, other = others(t)[0]
    serve(t, vm)
    attach_all(t, vm)
    t.cleanup(vm, VSFQ + " policy clear; rm -f /run/silent")
    write(t, vm, "rule { direction = in  local-port = {refused}  "
          "verdict = reject }")
    job = hold(t, other, vm, REFUSED)
    # What it reads says nothing, and does not end.
    t.run(vm, "mkfifo /run/silent")
    asks = VSFQ + " -v -S -C %d apply /run/policy.conf <> /run/silent"
    said = t.run(vm, asks % 3, status=1)
    t.check("not confirmed" in said and "ended" not in said, said)
    asking = t.start(vm, asks % 120, limit=200)
    t.check(asking.says("press Enter"), asking.output)
    t.check(not job.done.is_set(), "ended too early: " + job.output)
    t.run(vm, "echo > /run/silent")
    t.equal(asking.wait(), 0, "status of apply, which said " + asking.output)
    t.check("ended 1 connections" in asking.output, asking.output)
    t.check(job.done.wait(60), "not ended: " + job.output)
    t.equal(job.status, 1, "status of one that ends")


def test_strict_unknown(t):
    """Who is accepted for a cgroup is not ended by who may not ask for it."""
    vm, other = t.bed.host, t.bed.guest
    serve(t, other)
    attach_all(t, vm)
    t.run(vm, "mkdir -p /sys/fs/cgroup/vsfq/child")
    t.cleanup(vm, "rmdir /sys/fs/cgroup/vsfq/child /sys/fs/cgroup/vsfq")
    t.cleanup(vm, "rm -f /run/enough")
    job = hold(t, vm, other, OPEN, "echo $BASHPID > "
               "/sys/fs/cgroup/vsfq/child/cgroup.procs;")
    apply(t, vm, "default-out = reject\n"
          "rule { direction = out  cgroup = /vsfq  verdict = accept }")
    strict = VSFQ + " -v -S apply /run/policy.conf"
    said = t.run(vm, "setpriv --bounding-set=-dac_read_search,-sys_admin " +
                 strict, status=1)
    t.check("CAP_DAC_READ_SEARCH" in said, said)
    t.equal(t.run(vm, strict), "vsfq: ended 0 connections\n", "output")
    t.run(vm, "touch /run/enough")
    t.equal(job.wait(), 0, "status of the connection: " + job.output)
    t.run(vm, VSFQ + " policy clear")


def test_many_flows(t):
    """A hundred thousand pairs of sockets: the table forgets the oldest, sums
    are right, and who is new is counted, judged and answered."""
    vm, other = t.bed.host, t.bed.guest
    # Who comes next would have all these flows to read.
    t.cleanup(vm, VSFQ + " detach all")
    attach_all(t, vm)
    serve(t, other)
    apply(t, vm, "rule { type = dgram  remote-port = {quiet}  verdict = drop"
          " }")
    before = classes(t, vm)["dgram"]["sent"]["packets"]
    # Not packets of ours: the device will not send them, but it counts them.
    t.run(vm, "tests/sight/send.py %s dgram 100000" % HOST_DEV, limit=600)
    t.equal(classes(t, vm)["dgram"]["sent"]["packets"] - before, 100000,
            "packets in the class")
    expect(t, probe(t, vm, CIDS[other.name], ("stream", OPEN), ("dgram", OPEN),
                    ("dgram", QUIET)),
           {("stream", OPEN): "answered", ("dgram", OPEN): "answered",
            ("dgram", QUIET): "silent"})
    shown = json.loads(t.run(vm, VSFQ + " -j -s show", limit=180))[0]
    flows = shown["flows"]
    t.check(8192 <= len(flows) <= 16384, "%d flows" % len(flows))
    for kind in "stream", "dgram":
        t.equal([f["sent"]["packets"] > 0 and f["received"]["packets"] > 0
                 for f in flows if f["type"] == kind and
                 f["peer_port"] == OPEN][-1:], [True], "the new " + kind)
    t.equal(shown["untracked"], 0, "packets without a flow")


COUNTED = """
class counted { connections = 2 }
rule { direction = in  local-port = {{bulk}, {silent}}  class = counted }
"""
REFUSING = COUNTED.replace("class = counted", "verdict = reject")
OUTWARD = "rule { direction = out  type = stream  verdict = reject }"


def flows_of(t, vm, *ports):
    shown, = json.loads(t.run(vm, VSFQ + " -j -s show", limit=180))
    return [f for f in shown["flows"] if f["local_port"] in ports]


MOST_FLOODS = 5


def test_forgotten_connection(t):
    """Connections whose flows had to make room are what they were: one of which
    the first word since comes from the side that did not open it, and one that
    says nothing."""
    vm, other, ports = t.bed.host, t.bed.guest, (BULK, SILENT)
    t.cleanup(vm, VSFQ + " detach all; rm -f /run/enough")
    apply(t, vm, COUNTED)
    attach_all(t, vm)
    heard = []
    for port, path in zip(ports, ("/run/enough", "/run/not-at-all")):
        t.start_server(vm, "%s speak %d %s" % (PROBE, port, path), "serving")
        heard.append(t.start_server(other, "%s hear 2 %d" % (PROBE, port),
                                    "connected"))
    monitor = t.start_server(vm, VSFQ + " -v -j monitor close", "listening")
    t.equal([f["class"] for f in flows_of(t, vm, *ports)], 2 * ["counted"],
            "classes")
    # The table forgets about whom it has heard of longest ago, not exactly; and
    # what a CPU has put there last, not before the same CPU puts more there.
    for _ in range(MOST_FLOODS):
        t.run(vm, "for cpu in $(seq 0 $(($(nproc) - 1))); do taskset -c $cpu "
              "tests/sight/send.py %s dgram 25000 || exit; done" % HOST_DEV,
              limit=180)
        if not flows_of(t, vm, *ports):
            break
    t.equal(flows_of(t, vm, *ports), [], "flows after the floods")
    t.run(vm, "touch /run/enough")
    while not flows_of(t, vm, BULK):
        t.check(heard[0].status is None, "not heard: " + heard[0].output)
    flow, = flows_of(t, vm, *ports)
    t.equal((flow["class"], flow["cgroup"] > 0, flow["uid"]),
            ("counted", True, 0), "class and owner")
    expect(t, probe(t, other, 2, ("stream", BULK)),
           {("stream", BULK): "ECONNRESET"})
    have = classes(t, vm)
    t.equal({name: c["connections"] for name, c in have.items()},
            {"stream": 0, "dgram": 0, "counted": 2}, "connections")
    t.check(have["counted"]["capped"]["connections"], "refused by another cap")
    for policy, count in (COUNTED + OUTWARD, 0), (REFUSING, 2):
        write(t, vm, policy)
        t.equal(t.run(vm, VSFQ + " -v -S apply /run/policy.conf"),
                "vsfq: ended %d connections\n" % count, "output")
    for job in heard:
        t.equal(job.wait(), 0, "status of who listens: " + job.output)
    t.end(monitor)
    t.equal(sorted((e["local_port"], e["direction"]) for e in
                   map(json.loads, monitor.output.splitlines()[1:])
                   if e["local_port"] in ports),
            [(port, "in") for port in ports], "events")
