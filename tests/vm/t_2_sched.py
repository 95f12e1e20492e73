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


def check_times(t, vm):
    """Each flow that sent anything has a time in the queue."""
    shown, = json.loads(t.run(vm, VSFQ + " -j show -s"))
    times = [(f["peer_port"], f["type"], f["sojourn_us"])
             for f in shown["flows"] if f["sent"]["packets"]]
    t.check(times and all(time["p50"] for _, _, time in times),
            "times: %r" % times)


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
    check_times(t, t.bed.guest)


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


RX_WORKS = ["virtio_transport_rx_prompt_work", "virtio_transport_rx_work"]
TRACE = "/sys/kernel/tracing"


def rx_runs(t, vm, options):
    """How often the guest's driver received at high and at normal priority
    while a client in @vm talked to a server in the other."""
    t.cleanup(t.bed.guest, "cd %s; echo nop > current_tracer;"
              " echo > set_ftrace_filter" % TRACE)
    t.guest("cd %s && echo %s > set_ftrace_filter &&"
            " echo function > current_tracer" % (TRACE, " ".join(RX_WORKS)))
    t.run(vm, "%s client --cid %d --port 5021 --duration 3 --warmup 0.5 %s" %
          (VSLOAD, 2 if vm is t.bed.guest else 42, options), limit=120)
    count = t.guest("cd %s && for f in %s; do grep -c \" $f <-\" trace; done;"
                    " echo nop > current_tracer" % (TRACE, " ".join(RX_WORKS)))
    return [int(n) for n in count.split()]


def test_prompt_reception(t):
    """Who is scheduled gets answers promptly, but bulk is received at the
    priority of its readers; a device that is down works as it always did."""
    t.serve(t.bed.host, 5021)
    prompt, normal = rx_runs(t, t.bed.guest, "--ping 1")
    t.check(not prompt and normal, "DOWN: %d prompt, %d normal" %
            (prompt, normal))
    attach(t, t.bed.guest)
    prompt, _ = rx_runs(t, t.bed.guest, "--ping 1")
    t.check(prompt, "attached: nothing was received promptly")
    t.serve(t.bed.guest, 5021)
    prompt, normal = rx_runs(t, t.bed.host, "--streams 4")
    t.check(prompt and normal, "bulk: %d prompt, %d normal" % (prompt, normal))
