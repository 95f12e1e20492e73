# SPDX-License-Identifier: GPL-2.0-only
"""Policies in VMs, and who may talk to whom under them."""

import json
import re

from load import GUEST_DEV, HOST_DEV

VSFQ = "build/vsfq"
PROBE = "python3 tests/load/probe.py"
FILE = "/run/policy.conf"
CIDS = {"host": 2, "guest 42": 42}
OPEN, REFUSED, QUIET, BULK = 6000, 6001, 6002, 6003
SILENT = 6009       # nobody listens there
# Seconds: a connect() that waits in vain does so for 2 at least.
AT_ONCE = 1
# Streams and seqpacket connections share their ports, datagrams have others.
SEQ_REFUSED, SEQ_OPEN = 6004, 6005
SERVED = " ".join(["%s:%d" % (kind, port) for kind in ("stream", "dgram")
                   for port in (OPEN, REFUSED, QUIET, BULK)] +
                  ["seqpacket:%d" % port for port in (SEQ_REFUSED, SEQ_OPEN)])
DEVICES = {"host": HOST_DEV, "guest 42": GUEST_DEV}


def filled(text):
    for name, port in (("open", OPEN), ("refused", REFUSED),
                       ("quiet", QUIET), ("silent", SILENT), ("bulk", BULK)):
        text = text.replace("{%s}" % name, str(port))
    return text


def write(t, vm, text, path=FILE):
    t.run(vm, "cat > %s <<'EOF'\n%s\nEOF" % (path, filled(text)))


def apply(t, vm, text, path=FILE):
    write(t, vm, text, path)
    t.cleanup(vm, VSFQ + " policy clear")
    t.run(vm, "%s apply %s" % (VSFQ, path))


def serve(t, vm):
    t.start_server(vm, "%s serve %s" % (PROBE, SERVED), "serving")


def probe(t, vm, cid, *probes, together=False):
    """Returns {(type, port): (what happened, seconds)}. Those that wait in vain
    may do it together."""
    words = ["%s:%d:%d" % (kind, cid, port) for kind, port in probes]
    separator = " & %s try " % PROBE if together else " "
    output = t.run(vm, "%s try %s && wait" % (PROBE, separator.join(words)),
                   limit=90)
    found = re.findall(r"^(\w+):\d+:(\d+) (\w+) ([\d.]+)$", output, re.M)
    return {(kind, int(port)): (what, float(seconds))
            for kind, port, what, seconds in found}


def expect(t, have, want):
    t.equal({key: what for key, (what, _) in have.items()}, want,
            "what happened")


def at_once(t, vm, cid, have, error):
    """Those who got this error got it at once. A VM may stand still: of two
    more tries one has to be."""
    slow = [key for key, (what, seconds) in have.items()
            if what == error and seconds >= AT_ONCE]
    for _ in range(2 if slow else 0):
        again = probe(t, vm, cid, *slow)
        expect(t, again, {key: error for key in slow})
        slow = [key for key in slow if again[key][1] >= AT_ONCE]
        if not slow:
            break
    t.check(not slow, "not at once: %r" % slow)


def hold(t, vm, other, port, before="", kind="stream"):
    """Have a connection of @vm to @other used until there is /run/enough."""
    job = t.start(vm, "bash -c '%s exec %s hold %d %d /run/enough %s'" %
                  (before, PROBE, CIDS[other.name], port, kind), limit=300)
    t.check(job.says("connected"), job.output)
    return job


def others(t):
    return [(t.bed.guest, t.bed.host), (t.bed.host, t.bed.guest)]


def classes(t, vm):
    shown = json.loads(t.run(vm, VSFQ + " -j show"))
    return {c["name"]: c for c in shown[0]["classes"]}


def received(t, vm):
    return json.loads(t.run(vm, VSFQ + " -j show"))[0]["received"]["packets"]


def refused(t, vm):
    return json.loads(t.run(vm, VSFQ + " -j show"))[0]["refused"]
