# SPDX-License-Identifier: GPL-2.0-only
"""What a packet costs, in instructions: the CPU of this bed has a clock that
goes on by a nanosecond with each, so BPF's run statistics count them."""

import json

from load import HOST_DEV, VSFQ, attach_all

BED = "counted"

PINS = "/sys/fs/bpf/vsfq/"
PACKETS = 1500
POLICIES = {
    rules: rules * "rule { direction = out remote-port = 9 verdict = drop }\n"
    for rules in (10, 1000)}


def egress(t):
    """How often the classifier has run on the way out, in how many ns."""
    shown = json.loads(t.host("%s -j prog show pinned %s%s/vsfq_egress" %
                              (t.tool("bpftool"), PINS, HOST_DEV)))
    return shown.get("run_cnt", 0), shown.get("run_time_ns", 0)


def cost(t, packets, ports):
    """Instructions for each of so many datagrams, from so many ports."""
    count, time = egress(t)
    t.host("tests/sight/send.py %s dgram %d %d" % (HOST_DEV, packets, ports))
    after, later = egress(t)
    t.equal(after - count, packets, "packets")
    return (later - time) / packets


def test_many_rules_cost_little(t):
    """A packet of a flow that was judged costs the same however long the list
    of rules is: less than a tenth more. The first one of a flow does not."""
    t.cleanup(t.bed.host, "%s detach all; %s policy clear; "
              "echo 0 >/proc/sys/kernel/bpf_stats_enabled" % (VSFQ, VSFQ))
    t.start_server(t.bed.host, "tests/sight/vmm.py 77", "ready")
    attach_all(t, t.bed.host)
    t.host("echo 1 >/proc/sys/kernel/bpf_stats_enabled")
    first, later = {}, {}
    for rules, policy in POLICIES.items():
        t.host("cat >/run/cost.conf <<'EOF'\n%sEOF\n"
               "%s apply /run/cost.conf && rm /run/cost.conf" % (policy, VSFQ))
        first[rules] = cost(t, 1, 1)
        later[rules] = cost(t, PACKETS, 1)
    print("# instructions: %r, later %r" % (first, later), flush=True)
    t.check(first[1000] > 2 * first[10], "not counted: %r" % first)
    t.check(later[1000] < 1.1 * later[10], "%r" % later)
