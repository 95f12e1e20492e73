# SPDX-License-Identifier: GPL-2.0-only
"""The tool, the classifier and the qdisc on both real devices, under load."""

import json

from load import HOST_DEV, attach_all

BED = "pair"

VSFQ = "build/vsfq"
VSLOAD = "build/vsload"


def attach(t, vm):
    t.cleanup(vm, "for d in $(ls /sys/class/net | grep vsock); do"
              " ip link set $d down; done")
    t.cleanup(vm, VSFQ + " detach all")
    attach_all(t, vm)


def classes(t, vm):
    shown = json.loads(t.run(vm, VSFQ + " -j show"))
    return {c["name"]: c for c in shown[0]["classes"]}


def test_real_devices(t):
    """What a flood and streams sent went through the qdiscs of both sides."""
    for vm in t.bed.host, t.bed.guest:
        attach(t, vm)
    t.serve(t.bed.host, 5020)
    t.guest("%s client --port 5020 --duration 3 --streams 4 --ping 1"
            " --dgram-flood 1 --dgram-size 64" % VSLOAD, limit=90)
    for vm in t.bed.host, t.bed.guest:
        stream = classes(t, vm)["stream"]
        t.check(stream["served"]["packets"] > 0, "nothing was scheduled")
        t.equal(sum(stream["drops"].values()), 0, "drops of streams")
    t.check(classes(t, t.bed.guest)["dgram"]["served"]["packets"] > 0,
            "no datagram was scheduled")


def test_at_once(t):
    """Each of several that change everything finds everything whole."""
    vm = t.bed.host
    attach(t, vm)
    t.run(vm, "for n in 1 2 3 4 5 6; do %s attach -o 1000$n all & "
          "pids=\"$pids $!\"; done; "
          "for p in $pids; do wait $p || exit 1; done" % VSFQ, limit=180)
    t.run(vm, VSFQ + " doctor")
    t.equal(t.run(vm, "ls -A /sys/fs/bpf/vsfq/%s | wc -l" % HOST_DEV),
            t.run(vm, VSFQ + " attach all; ls -A /sys/fs/bpf/vsfq/%s | wc -l" %
                  HOST_DEV), "number of pins")
