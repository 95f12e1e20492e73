# SPDX-License-Identifier: GPL-2.0-only
"""A kernel without a BPF LSM: what the policy rejects on its way out is
dropped."""

import json

from findings import finds
from firewall import (CIDS, OPEN, REFUSED, SEQ_REFUSED, VSFQ, apply, expect,
                      others, probe, refused, serve)
from load import attach_all

BED = "bare"


def test_reject_out(t):
    """As vsfq.conf(5) says, and doctor: the caller waits in vain, nobody else
    does, each try is counted and told. This bed has no datagrams."""
    for vm, other in others(t):
        apply(t, vm, "rule { direction = out  remote-port = {{refused}, %d}  "
              "verdict = reject }" % SEQ_REFUSED)
        attach_all(t, vm)
        t.run(vm, "ls /sys/fs/bpf/vsfq/@connect", status=2)
        finds(t, t.run(vm, VSFQ + " doctor"), "warning", "kernel",
              "no BPF LSM", "lsm=")
        serve(t, other)
        job = t.start_server(vm, VSFQ + " -v -j monitor reject", "listening")
        wants = {("stream", OPEN): "answered",
                 ("stream", REFUSED): "ETIMEDOUT",
                 ("seqpacket", SEQ_REFUSED): "ETIMEDOUT"}
        expect(t, probe(t, vm, CIDS[other.name], *wants, together=True), wants)
        t.end(job)
        events = [json.loads(line) for line in job.output.splitlines()[1:]]
        t.equal({(e["type"], e["peer_port"], e["rule"]) for e in events},
                {("stream", REFUSED, 1), ("seqpacket", SEQ_REFUSED, 1)},
                "events")
        t.equal(refused(t, vm), {"in": 0, "out": len(events)}, "counted")
