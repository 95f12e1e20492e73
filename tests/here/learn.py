# SPDX-License-Identifier: GPL-2.0-only
"""The policy that "vsfq learn" makes of what it sees, on a device that any
kernel has."""

import json
import os
import tempfile

from policies import Policies, needs_tun, not_allowed
from program import DONE, FAILED, VSFQ, complains

DEFAULTS = """\
default-in = reject
default-out = reject
class stream { weight = 1  limit = 1000  memory = 4194304 }
class dgram { weight = 1  limit = 1000  memory = 4194304 }
"""
RULE = "rule { direction = out  type = {%s}  local-cid = 3  remote-cid = 2  " \
    "remote-port = {5000}  verdict = accept }\n"


def learned(t, *commands, before=(), options="", stop="kill $pid", after=(),
            status=DONE):
    """What it prints of what the commands send."""
    needs_tun(t)
    tool, pins = t.tool("bpftool"), "/sys/fs/bpf/vsfq"
    with tempfile.TemporaryDirectory() as top:
        output = Policies(t, top).run(
            "$here/tests/sight/fake.py vsock0 && ip link set vsock0 up && "
            "mkdir %s || exit 77" % pins,
            "%s prog loadall $here/build/classify.bpf.o /sys/fs/bpf/c "
            "pinmaps %s/$vsock0 && %s net attach tcx_egress pinned "
            "/sys/fs/bpf/c/vsfq_egress dev vsock0" % (tool, pins, tool),
            "send() { $here/tests/sight/send.py vsock0 $*; }",
            *before,
            "$here/%s -v %s learn > said 2> notes &" % (VSFQ, options),
            "pid=$!",
            "until grep -qs watching notes; do sleep 0.1; done",
            *commands,
            stop, "wait $pid; echo status $?; cat said", *after,
            namespaces="-mn")
    if "libbpf" in output:
        t.skip("this machine does not let us load BPF programs")
    first, _, said = output.partition("\n")
    t.equal(first, "status %d" % status, "the first line of " + output)
    return said


def test_what_was_seen(t):
    """Clients' ports do not count, nor requests that nobody answered, nor what
    was there before and said nothing; the output is a policy."""
    t.equal(learned(t, "send data 3", "send dgram 5", "send stream 2",
                    before=["send accept 1"],
                    after=["vsfq check said"]),
            DEFAULTS + RULE % "seqpacket" + RULE % "dgram", "the policy")


def test_before(t):
    """Who was there before and says something is seen."""
    t.equal(learned(t, "send data 1", before=["send data 1", "send dgram 1"]),
            DEFAULTS + RULE % "seqpacket", "the policy")


def test_ports(t):
    """No port that was not seen: only neighbours become a range, and a rule has
    four."""
    rule = RULE % "dgram"
    t.equal(learned(t, "send dgram 7 1 50,12,30,10,40,11,20",
                    after=["vsfq check said"]),
            DEFAULTS + rule.replace("5000", "10-12, 20, 30, 40") +
            rule.replace("5000", "50"), "the policy")


def test_too_many_ports(t):
    """As many as a policy can say, and no policy that says less."""
    ports = "send dgram %d 1 $(seq -s, 2 2 10000)"
    said = learned(t, ports % 4096, after=["vsfq check said"])
    t.equal(said.count("\nrule"), 1024, "rules")
    said = learned(t, ports % 4097, status=FAILED, after=["tail -n 1 notes"])
    t.equal(said, "vsfq: cannot learn: what was seen takes more than 1024 "
            "rules\n", "what was said")


def test_json(t):
    t.equal(json.loads(learned(t, "send dgram 1", options="-j")),
            {"policy": DEFAULTS + RULE % "dgram"}, "output")


def test_time(t):
    """It ends by itself, with a policy that allows nothing."""
    t.equal(learned(t, options="--for 1s", stop=":",
                    after=["vsfq check said"]), DEFAULTS, "the policy")


def test_nothing_attached(t):
    if os.path.exists("/sys/fs/bpf/vsfq"):
        t.skip("something is attached on this machine")
    complains(t, VSFQ, "learn", FAILED, "no device is attached",
              "vsfq attach all")


def test_not_allowed_to_read(t):
    not_allowed(t, "learn -f 1", "cannot learn")
