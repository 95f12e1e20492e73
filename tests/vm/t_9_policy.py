# SPDX-License-Identifier: GPL-2.0-only
"""The policy: who is refused and how, who is in which class, and that one
policy takes the place of another in one step."""

import json
import re

from firewall import (AT_ONCE, BULK, CIDS, OPEN, PROBE, QUIET, REFUSED,
                      SEQ_OPEN, SEQ_REFUSED, SILENT, VSFQ, apply, classes,
                      expect, others, probe, received, refused, serve, write)
from load import GUEST_DEV, attach_all

BED = "pair"

# What a machine says to itself and to others; {open} and so on are ports.
RULES = """
class bulk { weight = 2 }
rule { direction = in   local-port = {{refused}, 6004}   verdict = reject }
rule { direction = out  remote-port = {{refused}, 6004}  verdict = drop }
rule { type = dgram     local-port = {quiet}     verdict = drop }
rule { type = dgram     remote-port = {quiet}    verdict = drop }
rule { direction = in   local-port = 6003    class = bulk }
rule { direction = out  remote-port = 6003   class = bulk }
"""


def test_verdicts(t):
    """Each of them, in both directions, on the guest and on the host; the
    policy is there before the devices are attached."""
    for vm, other in others(t):
        apply(t, vm, RULES)
        attach_all(t, vm)
        serve(t, other)
        serve(t, vm)
        before = refused(t, vm)
        have = probe(t, other, CIDS[vm.name], ("stream", OPEN),
                     ("dgram", OPEN), ("stream", REFUSED),
                     ("seqpacket", SEQ_REFUSED), ("dgram", REFUSED),
                     ("stream", QUIET), ("dgram", QUIET))
        expect(t, have, {
            ("stream", OPEN): "answered", ("dgram", OPEN): "answered",
            ("stream", REFUSED): "ECONNRESET",
            ("seqpacket", SEQ_REFUSED): "ECONNRESET",
            ("dgram", REFUSED): "silent",
            ("stream", QUIET): "answered", ("dgram", QUIET): "silent"})
        t.check(have["stream", REFUSED][1] < AT_ONCE,
                "not at once: %r" % have)
        expect(t, probe(t, vm, CIDS[other.name], ("stream", OPEN),
                        ("stream", REFUSED), ("dgram", REFUSED),
                        ("seqpacket", SEQ_OPEN), ("dgram", QUIET)), {
            ("stream", OPEN): "answered", ("stream", REFUSED): "ETIMEDOUT",
            ("dgram", REFUSED): "silent", ("seqpacket", SEQ_OPEN): "answered",
            ("dgram", QUIET): "silent"})
        after = refused(t, vm)
        t.check(after["in"] >= before["in"] + 4 and
                after["out"] >= before["out"] + 3,
                "counted %r, then %r" % (before, after))
        t.run(vm, VSFQ + " policy clear")
        for job in t.jobs:
            t.end(job)
        t.jobs.clear()


def test_classes(t):
    """Both sides of a connection are in the class of the rule that its
    request matched, and so is what the qdisc serves."""
    for vm, other in others(t):
        apply(t, vm, RULES)
        attach_all(t, vm)
        serve(t, other)
        expect(t, probe(t, vm, CIDS[other.name], ("stream", BULK),
                        ("dgram", BULK)),
               {("stream", BULK): "answered", ("dgram", BULK): "answered"})
        have = classes(t, vm)
        for way in "sent", "received", "served":
            t.check(have["bulk"][way]["packets"] >= 2,
                    "%s: %r" % (way, have["bulk"]))
        t.end(t.jobs.pop())
        serve(t, vm)
        expect(t, probe(t, other, CIDS[vm.name], ("stream", BULK)),
               {("stream", BULK): "answered"})
        asked = classes(t, vm)
        for way in "sent", "received", "served":
            t.check(asked["bulk"][way]["packets"] >=
                    have["bulk"][way]["packets"] + 2,
                    "%s: %r, then %r" % (way, have["bulk"], asked["bulk"]))
        t.end(t.jobs.pop())
        t.equal(sorted(have), ["bulk", "dgram", "stream"], "classes")
        t.run(vm, VSFQ + " policy clear")
        t.equal(sorted(classes(t, vm)), ["dgram", "stream"], "classes")


def test_connection_survives(t):
    """A policy that would refuse its request lets it be; and it is in
    another class at once."""
    for vm, other in others(t):
        attach_all(t, vm)
        serve(t, other)
        job = t.start(vm, "%s hold %d %d /run/enough" %
                      (PROBE, CIDS[other.name], OPEN), limit=300)
        t.check(job.says("connected"), job.output)
        apply(t, vm, "class old { }\ndefault-out = drop\ndefault-in = reject\n"
              "rule { direction = out remote-port = {open} class = old }")
        t.wait_for(vm, "%s -j show | grep -q '\"name\": \"old\"'" % VSFQ)
        before = classes(t, vm)["old"]["sent"]["packets"]
        t.wait_for(vm, "[ $(%s -j show | python3 -c 'import json, sys; "
                   "print([c[\"sent\"][\"packets\"] for c in json.load("
                   "sys.stdin)[0][\"classes\"] if c[\"name\"] == \"old\"][0])'"
                   ") -gt %d ]" % (VSFQ, before), limit=120)
        apply(t, vm, "default-out = drop")
        expect(t, probe(t, vm, CIDS[other.name], ("stream", OPEN)),
               {("stream", OPEN): "ETIMEDOUT"})
        t.run(vm, "touch /run/enough")
        t.cleanup(vm, "rm -f /run/enough")
        t.equal(job.wait(), 0, "status of the connection, which said " +
                job.output)
        t.run(vm, "rm /run/enough; %s policy clear" % VSFQ)


def test_cgroup_and_device(t):
    """A rule for a cgroup holds for its children, also when a datagram comes
    from a port that was another's before; one for a device that is not this
    one does not hold."""
    vm, other = others(t)[0]
    t.run(vm, "mkdir -p /sys/fs/cgroup/vsfq/child")
    t.cleanup(vm, "rmdir /sys/fs/cgroup/vsfq/child /sys/fs/cgroup/vsfq")
    apply(t, vm, "rule { direction = out device = other0 verdict = drop }\n"
          "rule { direction = out cgroup = /vsfq verdict = drop }")
    attach_all(t, vm)
    serve(t, other)
    stream = "stream:%d:%d" % (CIDS[other.name], OPEN)
    dgram = "dgram:%d:%d:7777" % (CIDS[other.name], OPEN)
    for group, *want in (("", "answered", "answered"),
                         ("/vsfq/child", "ETIMEDOUT", "silent"),
                         ("", "answered", "answered")):
        output = t.run(vm, "echo $BASHPID > /sys/fs/cgroup%s/cgroup.procs && "
                       "%s try %s %s" % (group, PROBE, stream, dgram))
        t.equal(re.findall(r" (\w+) ", output), want,
                "what happened in " + (group or "/"))
    t.run(vm, "rmdir /sys/fs/cgroup/vsfq/child")
    t.run(vm, "%s policy show > /run/shown && rmdir /sys/fs/cgroup/vsfq && "
          "%s apply /run/shown" % (VSFQ, VSFQ), status=1)


# Rules of the one with the default of the other would refuse everybody.
ONE = """default-in = reject
default-out = reject
rule { direction = in   local-port = {{open}, {silent}}  verdict = accept }
rule { direction = out  remote-port = {open}  verdict = accept }"""
OTHER = """default-in = reject
default-out = reject
rule { local-port = 7000   verdict = reject }
rule { remote-port = 7000  verdict = reject }
rule { direction = out  remote-port = {open}  class = stream }
rule { direction = in   local-port = {{open}, {silent}}  class = stream }"""


def take_turns(t, vm, other, port):
    """Both policies, again and again, while new connections to @port are asked
    for both ways; returns what became of these, {outcome: count} for each."""
    for side in vm, other:
        serve(t, side)
        t.cleanup(side, "rm -f /run/enough")
    write(t, vm, ONE, "/run/one.conf")
    apply(t, vm, OTHER, "/run/other.conf")
    jobs = [t.start(side, "%s repeat %d %d /run/enough" % (PROBE, cid, port),
                    limit=150) for side, cid in ((other, 2), (vm, 42))]
    for job in jobs:
        t.check(job.says("started"), job.output)
    t.run(vm, "for i in $(seq 30); do %s apply /run/one.conf && "
          "%s apply /run/other.conf || exit 1; done" % (VSFQ, VSFQ),
          limit=120)
    for side in vm, other:
        t.run(side, "touch /run/enough")
    for job in jobs:
        t.equal(job.wait(), 0, "status")
    return [dict(re.findall(r"'(\w+)': (\d+)", job.output)) for job in jobs]


def test_never_a_mixture(t):
    """Whoever both policies accept is accepted while they take turns: new
    connections both ways, and a flood, whose datagrams see each moment."""
    vm, other = t.bed.host, t.bed.guest
    attach_all(t, vm)
    before, passed = refused(t, vm), received(t, vm)
    t.start(other, "%s flood 2 %d 1000000000" % (PROBE, SILENT), limit=150)
    for outcomes in take_turns(t, vm, other, OPEN):
        t.equal(list(outcomes), ["answered"], "outcomes")
        t.check(int(outcomes["answered"]) >= 5, "%r" % outcomes)
    t.check(received(t, vm) - passed > 2000, "the flood did not flow")
    t.equal(refused(t, vm), before, "refused")


def test_never_without(t):
    """Whoever both policies refuse is refused while they take turns."""
    vm, other = t.bed.host, t.bed.guest
    attach_all(t, vm)
    for outcomes in take_turns(t, vm, other, REFUSED):
        t.check(outcomes and "answered" not in outcomes, "%r" % outcomes)


def test_rollback(t):
    """A policy that nobody confirms is in force for so long, and then the one
    before it again."""
    vm, other = others(t)[0]
    apply(t, vm, "rule { local-port = {refused} verdict = reject }")
    attach_all(t, vm)
    serve(t, vm)
    write(t, vm, "default-in = reject", "/run/other.conf")
    shown = t.run(vm, VSFQ + " policy show")
    # What it reads says nothing, and does not end.
    t.run(vm, "mkfifo /run/silent")
    t.cleanup(vm, "rm /run/silent")
    job = t.start(vm, "%s apply -C 30 /run/other.conf <> /run/silent" % VSFQ,
                  limit=120)
    t.check(job.says("press Enter"), job.output)
    expect(t, probe(t, other, CIDS[vm.name], ("stream", OPEN)),
           {("stream", OPEN): "ECONNRESET"})
    t.equal(job.wait(), 1, "status of apply, which said " + job.output)
    t.equal(t.run(vm, VSFQ + " policy show"), shown, "the policy")
    expect(t, probe(t, other, CIDS[vm.name], ("stream", OPEN),
                    ("stream", REFUSED)),
           {("stream", OPEN): "answered", ("stream", REFUSED): "ECONNRESET"})
