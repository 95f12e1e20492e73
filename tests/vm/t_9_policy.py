# SPDX-License-Identifier: GPL-2.0-only
"""The policy: who is refused and how, who is in which class, and that one
policy takes the place of another in one step."""

import re

from firewall import (BULK, CIDS, OPEN, PROBE, QUIET, REFUSED, SEQ_OPEN,
                      SEQ_REFUSED, SILENT, VSFQ, apply, at_once, classes,
                      expect, hold, others, probe, received, refused, serve,
                      write)
from load import HOST_DEV, attach_all

BED = "pair"

# What a machine says to itself and to others; {open} and so on are ports.
RULES = """
class bulk { weight = 2 }
rule { direction = in   local-port = {{refused}, 6004}   verdict = reject }
rule { direction = out  remote-port = {{refused}, 6004}  verdict = drop }
rule { type = dgram     local-port = {quiet}     verdict = drop }
rule { type = dgram     remote-port = {quiet}    verdict = drop }
rule { direction = in   local-port = {{bulk}, 6005}   class = bulk }
rule { direction = out  remote-port = {{bulk}, 6005}  class = bulk }
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
        at_once(t, other, CIDS[vm.name], have, "ECONNRESET")
        expect(t, probe(t, vm, CIDS[other.name], ("stream", OPEN),
                        ("stream", REFUSED), ("seqpacket", SEQ_REFUSED),
                        ("dgram", REFUSED), ("seqpacket", SEQ_OPEN),
                        ("dgram", QUIET)), {
            ("stream", OPEN): "answered", ("stream", REFUSED): "ETIMEDOUT",
            ("seqpacket", SEQ_REFUSED): "ETIMEDOUT",
            ("dgram", REFUSED): "silent", ("seqpacket", SEQ_OPEN): "answered",
            ("dgram", QUIET): "silent"})
        after = refused(t, vm)
        t.check(after["in"] >= before["in"] + 4 and
                after["out"] >= before["out"] + 4,
                "counted %r, then %r" % (before, after))
        t.run(vm, VSFQ + " policy clear")
        for job in t.jobs:
            t.end(job)
        t.jobs.clear()


def bulk(t, vm):
    class_ = classes(t, vm)["bulk"]
    return [class_[way]["packets"] for way in ("sent", "served", "received")]


def test_classes(t):
    """Both sides of a connection are in the class of the rule that its
    request matched, and so is what the qdisc serves; of datagrams those that
    match, not their answers."""
    connection = [2, 2, 2]
    for vm in t.vms:
        serve(t, vm)
    for vm, other in others(t):
        apply(t, vm, RULES)
        attach_all(t, vm)
        for asks, cid, dgram in ((vm, CIDS[other.name], [1, 1, 0]),
                                 (other, CIDS[vm.name], [0, 0, 1])):
            for key, least in ((("stream", BULK), connection),
                               (("seqpacket", SEQ_OPEN), connection),
                               (("dgram", BULK), dgram)):
                before = bulk(t, vm)
                expect(t, probe(t, asks, cid, key), {key: "answered"})
                after = bulk(t, vm)
                t.check(all(a >= b + n for a, b, n in
                            zip(after, before, least)), "%r from %s: %r, then "
                        "%r" % (key, asks.name, before, after))
        t.equal(sorted(classes(t, vm)), ["bulk", "dgram", "stream"], "classes")
        t.run(vm, VSFQ + " policy clear")
        t.equal(sorted(classes(t, vm)), ["dgram", "stream"], "classes")


def test_connection_survives(t):
    """A policy that would refuse its request lets it be, whoever asked and of
    both types; and it is in another class at once."""
    for vm in t.vms:
        serve(t, vm)
        t.cleanup(vm, "rm -f /run/enough")
    for vm, other in others(t):
        attach_all(t, vm)
        jobs = [hold(t, vm, other, OPEN),
                hold(t, vm, other, SEQ_OPEN, kind="seqpacket"),
                hold(t, other, vm, OPEN),
                hold(t, other, vm, SEQ_OPEN, kind="seqpacket")]
        apply(t, vm, "class old { }\ndefault-out = drop\ndefault-in = reject\n"
              "rule { direction = out remote-port = {open} class = old }")
        t.wait_for(vm, "%s -j show | grep -q '\"name\": \"old\"'" % VSFQ)
        before = classes(t, vm)["old"]["sent"]["packets"]
        t.wait_for(vm, "[ $(%s -j show | python3 -c 'import json, sys; "
                   "print([c[\"sent\"][\"packets\"] for c in json.load("
                   "sys.stdin)[0][\"classes\"] if c[\"name\"] == \"old\"][0])'"
                   ") -gt %d ]" % (VSFQ, before), limit=120)
        apply(t, vm, "default-out = drop\ndefault-in = reject")
        for asks, cid, what in ((vm, CIDS[other.name], "ETIMEDOUT"),
                                (other, CIDS[vm.name], "ECONNRESET")):
            keys = ("stream", OPEN), ("seqpacket", SEQ_OPEN)
            expect(t, probe(t, asks, cid, *keys), {key: what for key in keys})
        for side in vm, other:
            t.run(side, "touch /run/enough")
        for job in jobs:
            t.equal(job.wait(), 0, "status of a connection, which said " +
                    job.output)
        t.run(vm, VSFQ + " policy clear")
        for side in vm, other:
            t.run(side, "rm /run/enough")


def test_cgroup_and_device(t):
    """A rule for a cgroup holds for its children, also when a datagram comes
    from a port that was another's before, and if it is made after the policy,
    each time; one for a device that is not this one does not hold."""
    vm, other = others(t)[0]
    t.cleanup(vm, "rmdir /sys/fs/cgroup/vsfq/child /sys/fs/cgroup/vsfq")
    apply(t, vm, "rule { direction = out device = other0 verdict = drop }\n"
          "rule { direction = out cgroup = /vsfq verdict = drop }")
    attach_all(t, vm)
    serve(t, other)
    stream = "stream:%d:%d" % (CIDS[other.name], OPEN)
    dgram = "dgram:%d:%d:7777" % (CIDS[other.name], OPEN)
    t.run(vm, "mkdir -p /sys/fs/cgroup/vsfq/child")
    for group, *want in (("", "answered", "answered"),
                         ("/vsfq/child", "ETIMEDOUT", "silent"),
                         ("", "answered", "answered"),
                         ("/vsfq/child", "ETIMEDOUT", "silent"),
                         ("", "answered", "answered")):
        output = t.run(vm, "echo $BASHPID > /sys/fs/cgroup%s/cgroup.procs && "
                       "%s try %s %s" % (group, PROBE, stream, dgram))
        t.equal(re.findall(r" (\w+) ", output), want,
                "what happened in " + (group or "/"))
        if not group:
            t.run(vm, "(cd /sys/fs/cgroup && rmdir vsfq/child vsfq && "
                  "mkdir -p vsfq/child)")


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


def take_turns(t, vm, other, port, one=ONE, two=OTHER):
    """Both policies, again and again, while new connections to @port are asked
    for both ways; returns what became of these, {outcome: count} for each."""
    for side in vm, other:
        serve(t, side)
        t.cleanup(side, "rm -f /run/enough")
    write(t, vm, one, "/run/one.conf")
    apply(t, vm, two, "/run/other.conf")
    jobs = [t.start(side, "%s repeat %d %d /run/enough" % (PROBE, cid, port),
                    limit=450) for side, cid in ((other, 2), (vm, 42))]
    for job in jobs:
        t.check(job.says("started"), job.output)
    t.run(vm, "for i in $(seq 30); do %s apply /run/one.conf && "
          "%s apply /run/other.conf || exit 1; done" % (VSFQ, VSFQ),
          limit=400)
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
    t.start(other, "%s flood 2 %d 1000000000" % (PROBE, SILENT), limit=450)
    for outcomes in take_turns(t, vm, other, OPEN):
        t.equal(list(outcomes), ["answered"], "outcomes")
        t.check(int(outcomes["answered"]) >= 5, "%r" % outcomes)
    t.check(received(t, vm) - passed > 2000, "the flood did not flow")
    t.equal(refused(t, vm), before, "refused")


ACCEPTS = "rule { remote-port = 7000  verdict = reject }"
REJECTS = """rule { direction = in   local-port = {open}   verdict = reject }
rule { direction = out  remote-port = {open}  verdict = reject }"""


def test_never_a_third(t):
    """Whoever one policy accepts and the other rejects gets what one of them
    says, while they take turns: no request is judged by both."""
    vm, other = t.bed.host, t.bed.guest
    attach_all(t, vm)
    for refusal, outcomes in zip(("ECONNRESET", "ECONNREFUSED"), take_turns(
            t, vm, other, OPEN, ACCEPTS, REJECTS)):
        print("# %r" % outcomes, flush=True)
        t.check(outcomes and set(outcomes) <= {"answered", refusal},
                "%r" % outcomes)


LATER = "rule { direction = out  local-port = 1024-4294967294  verdict = %s }"
ANSWERS = ((ACCEPTS, REJECTS, "answered"),
           (ACCEPTS, "default-out = drop", "answered"),
           (None, REJECTS, "answered"),
           ("default-out = drop", ACCEPTS, "ETIMEDOUT"),
           ("default-out = drop", None, "ETIMEDOUT"),
           # Without a port it has to be a packet first.
           (LATER % "drop", ACCEPTS, "ETIMEDOUT"),
           (LATER % "accept", REJECTS, "answered"))
# Behind our program, which has judged by then.
BLOCK = ("tc qdisc add dev {0} clsact && tc filter add dev {0} egress "
         "matchall action drop").format(HOST_DEV)
ADMIT = "tc qdisc del dev %s clsact" % HOST_DEV


def putting(t, vm, text, path):
    """The command that puts a policy in force, or none."""
    if not text:
        return VSFQ + " policy clear"
    write(t, vm, text, path)
    return "%s apply %s" % (VSFQ, path)


# How often what asks for something was refused, by the policy or that.
DEAD = "$(ethtool -S %s | sed -n 's/ *grants_dead: //p')" % HOST_DEV


def test_one_answer(t):
    """A request that is repeated, since something else loses it, hears to its
    end what the policy said that was in force when connect() was called."""
    vm, other = t.bed.host, t.bed.guest
    serve(t, other)
    attach_all(t, vm)
    t.cleanup(vm, "%s policy clear; %s" % (VSFQ, ADMIT))
    for before, after, what in ANSWERS:
        first, then = (putting(t, vm, text, "/run/%d.conf" % number)
                       for number, text in enumerate((before, after)))
        # Who hears nothing is not waited for for long.
        patience = 30 if what == "answered" else 6
        asks = "PROBE_PATIENCE=%d %s try stream:42:%d" % (patience, PROBE, OPEN)
        said = t.run(vm, "%s && %s && dead=%s && { %s & } && "
                     "until [ %s -gt $dead ]; do :; done && %s && %s && wait" %
                     (first, BLOCK, DEAD, asks, DEAD, then, ADMIT))
        t.equal(said.split()[1], what,
                "what happened under %r, then %r" % (before, after))


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
