# SPDX-License-Identifier: GPL-2.0-only
"""What a packet costs, in instructions: the CPU of this bed has a clock that
goes on by a nanosecond with each, so BPF's run statistics count them."""

import json

from load import HOST_DEV, VSFQ, attach_all

BED = "counted"

PINS = "/sys/fs/bpf/vsfq/"
CID, FAKE = 77, "vsock0"
POLICIES = {rules: rules * "rule { remote-port = 9  verdict = reject }\n"
            for rules in (10, 1000)}
EGRESS, INGRESS = HOST_DEV + "/vsfq_egress", FAKE + "/vsfq_ingress"
SEND = "tests/sight/send.py "
# What is sent: the program that runs, the command, how many, the policy's end.
# Refused first: later there is a flow that remembers it.
SENT = {
    "refused datagrams": (EGRESS, SEND + HOST_DEV + " dgram %d 1", 1500,
                          "default-out = drop"),
    "datagrams": (EGRESS, SEND + HOST_DEV + " dgram %d 1", 1500, ""),
    "data of connections": (EGRESS, SEND + HOST_DEV + " data %d 1", 1500, ""),
    "datagrams that arrive": (INGRESS, SEND + FAKE + " dgram %d 1 in", 1500,
                              ""),
    "data that arrives": (INGRESS, SEND + FAKE + " data %d 1 in", 1500, ""),
    # Each run of the command is another socket, which asks four times.
    "sockets": ("@connect/vsfq_sendmsg", "tests/sight/turns.py %d %%d" % CID,
                15000, ""),
}


def ran(t, program):
    """How often a program has run, in how many ns."""
    shown = json.loads(t.host("%s -j prog show pinned %s%s" %
                              (t.tool("bpftool"), PINS, program)))
    return shown.get("run_cnt", 0), shown.get("run_time_ns", 0)


def cost(t, program, command, packets):
    """Instructions for each of so many packets."""
    count, time = ran(t, program)
    t.host(command % packets, limit=300)
    after, later = ran(t, program)
    # A socket of another kind may send something meanwhile.
    t.check(0 <= after - count - packets < 10, "%d runs for %d packets" %
            (after - count, packets))
    return (later - time) / packets


def test_many_rules_cost_little(t):
    """What was judged costs the same however long the list of rules is: less
    than a tenth more. The first packet of a flow, or of a socket, does not."""
    t.cleanup(t.bed.host, "%s detach all; %s policy clear; ip link del %s; "
              "echo 0 >/proc/sys/kernel/bpf_stats_enabled" %
              (VSFQ, VSFQ, FAKE))
    t.start_server(t.bed.host, "tests/sight/vmm.py %d" % CID, "ready")
    t.host("tests/sight/fake.py " + FAKE)
    attach_all(t, t.bed.host)
    t.host("echo 1 >/proc/sys/kernel/bpf_stats_enabled")
    for what, (program, command, packets, end) in SENT.items():
        first, later = {}, {}
        for rules, policy in POLICIES.items():
            t.host("cat >/run/cost.conf <<'EOF'\n%s%s\nEOF\n"
                   "%s apply /run/cost.conf && rm /run/cost.conf" %
                   (policy, end, VSFQ))
            first[rules] = cost(t, program, command, 1)
            later[rules] = cost(t, program, command, packets)
        said = "%s: %r, later %r" % (what, first, later)
        print("# instructions of " + said, flush=True)
        t.check(first[1000] > 2 * first[10], "not counted: " + said)
        t.check(later[1000] < 1.1 * later[10], said)
