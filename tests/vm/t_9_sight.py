# SPDX-License-Identifier: GPL-2.0-only
"""What an administrator looks at, on real devices of both sides."""

import json

import prometheus
from findings import findings, finds
from load import GUEST_DEV, HOST_DEV, attach_all

BED = "pair"

VSFQ = "build/vsfq"
VSLOAD = "build/vsload"
PROBE = "python3 tests/load/probe.py"


def value(families, name, **found):
    """The one sample of a family without parts that has these labels."""
    return families[name].samples[name, tuple(sorted(found.items()))]


def test_metrics(t):
    """They are the figures of show, of every class and in its order of
    magnitude of time, and the file is what is printed."""
    vm = t.bed.guest
    attach_all(t, vm)
    t.serve(t.bed.host, 5060)
    t.guest("%s client --port 5060 --duration 2 --streams 2 --ping 1" %
            VSLOAD, limit=90)
    shown = json.loads(t.run(vm, VSFQ + " -j show"))[0]
    t.run(vm, "mkdir -p /run/textfile && %s metrics -t /run/textfile" % VSFQ)
    t.cleanup(vm, "rm -r /run/textfile")
    t.equal(t.run(vm, "cd /run/textfile && stat -c '%a %n' $(ls -A)"),
            "644 vsfq.prom\n", "files")
    found = prometheus.parse(t.run(vm, "cat /run/textfile/vsfq.prom"))
    t.equal(value(found, "vsfq_device_up", device=GUEST_DEV), 1, "up")
    for c in shown["classes"]:
        where = {"device": GUEST_DEV, "class": c["name"]}
        for way, name in ("in", "received"), ("out", "sent"):
            have = value(found, "vsfq_packets_total", direction=way, **where)
            t.check(have >= c[name]["packets"], "%s %s: %r" %
                    (name, c["name"], have))
        count = found["vsfq_queue_time_seconds"].samples[
            "vsfq_queue_time_seconds_count", tuple(sorted(where.items()))]
        t.check(count >= c["served"]["packets"], "histogram of %r" % where)
    check_time(t, found, shown["classes"])


def check_time(t, found, classes):
    """The mean lies between the shortest and the longest time there was."""
    for c in classes:
        if not c["served"]["packets"]:
            continue
        labels = tuple(sorted({"device": GUEST_DEV,
                               "class": c["name"]}.items()))
        samples = found["vsfq_queue_time_seconds"].samples
        mean = samples["vsfq_queue_time_seconds_sum", labels] / \
            samples["vsfq_queue_time_seconds_count", labels]
        filled = [i for i, n in enumerate(c["sojourn_us"]["buckets"]) if n]
        t.check(2 ** filled[0] / 4e6 <= mean <= 2 ** filled[-1] / 1e6,
                "a mean of %g s with %r" % (mean, c["sojourn_us"]))


def doctor(t, vm, status, program=VSFQ):
    return t.run(vm, program + " doctor", status=status)


def test_doctor(t):
    """Well, then not, then well again by what it said to do."""
    vm, dev = t.bed.guest, GUEST_DEV
    attach_all(t, vm)
    output = doctor(t, vm, 0)
    finds(t, output, "ok", "kernel", "virtio_transport has the patches")
    finds(t, output, "ok", "kernel", "has BPF qdiscs")
    finds(t, output, "ok", "qdisc", "by this version")
    finds(t, output, "ok", dev, "attached by this version")
    finds(t, output, "ok", dev, "its root qdisc is vsfq")
    t.check(("warning", dev) not in findings(output), output)
    t.run(vm, "tc qdisc replace dev %s root pfifo" % dev)
    finds(t, doctor(t, vm, 1), "problem", dev, '"pfifo"',
          "(try: vsfq attach %s)" % dev)
    t.run(vm, "%s attach %s" % (VSFQ, dev), limit=300)
    finds(t, doctor(t, vm, 0), "ok", dev, "its root qdisc is vsfq")
    t.run(vm, "%s link detach pinned /sys/fs/bpf/vsfq/%s/ingress" %
          (t.tool("bpftool"), dev))
    finds(t, doctor(t, vm, 1), "problem", dev, "not on tcx ingress",
          "vsfq detach %s, vsfq attach %s" % (dev, dev))
    t.run(vm, "%s link detach pinned /sys/fs/bpf/vsfq/%s/egress" %
          (t.tool("bpftool"), dev))
    finds(t, doctor(t, vm, 0), "warning", dev, "attached to no device",
          "vsfq detach " + dev)
    t.run(vm, VSFQ + " detach " + dev)
    finds(t, doctor(t, vm, 0), "warning", dev, "not attached")


def test_doctor_other_version(t):
    """A program with other BPF code in it, though it does the same."""
    vm = t.bed.guest
    attach_all(t, vm)
    t.run(vm, "sed 's/return map ? bpf_map_lookup/return mop ? bpf_map_lookup/'"
          " %s > /run/other && chmod +x /run/other" % VSFQ)
    t.cleanup(vm, "rm /run/other")
    output = doctor(t, vm, 0, "/run/other")
    finds(t, output, "warning", "qdisc", "another version", "vsfq attach all")
    finds(t, output, "warning", GUEST_DEV, "another version",
          "vsfq attach " + GUEST_DEV)


LOGGED = """\
class logged { }
rule { direction = in   local-port = 5061   log = yes  verdict = reject }
rule { direction = out  remote-port = 5062  log = yes  verdict = drop }
rule { direction = in   local-port = 5063   log = yes  class = logged }
"""


def test_monitor(t):
    """Each verdict on the guest, in both directions: who asked and what he
    got, and no word of others."""
    vm, other = t.bed.guest, t.bed.host
    t.run(vm, "cat > /run/logged.conf <<'EOF'\n%s\nEOF" % LOGGED)
    t.cleanup(vm, VSFQ + " policy clear")
    t.run(vm, VSFQ + " apply /run/logged.conf")
    attach_all(t, vm)
    t.start_server(vm, PROBE + " serve stream:5063 stream:5064", "serving")
    job = t.start_server(vm, "%s -v -j monitor" % VSFQ, "listening")
    t.run(other, "%s try stream:42:5061 stream:42:5063 stream:42:5064" % PROBE)
    t.run(vm, PROBE + " try stream:2:5062 dgram:2:5062")
    t.run(vm, "kill $(cat /run/job.%s)" % job.ident)
    t.equal(job.wait(), 0, "status of the monitor")
    events = [json.loads(line) for line in job.output.splitlines()
              if line.startswith("{")]
    t.equal({e["device"] for e in events}, {GUEST_DEV}, "devices")
    t.equal({(e["direction"], e["type"], e["verdict"], e["rule"],
              e["local_port"] if e["direction"] == "in" else e["peer_port"])
             for e in events},
            {("in", "stream", "reject", 1, 5061),
             ("out", "stream", "drop", 2, 5062),
             ("out", "dgram", "drop", 2, 5062),
             ("in", "stream", "accept", 3, 5063)}, "events")
    t.run(vm, "%s detach all; ls /sys/fs/bpf/vsfq" % VSFQ)
    t.run(vm, "%s policy clear; ls /sys/fs/bpf | grep vsfq" % VSFQ, status=1)


def test_top(t):
    """Real packets have rates, a share of the cost and a time in the queue,
    and the flow has an owner."""
    vm = t.bed.host
    attach_all(t, vm)
    t.serve(t.bed.guest, 5065)
    t.start(vm, "%s client --cid 42 --port 5065 --duration 60 --streams 2 "
            "--ping 1 --dgram-flood 1 --dgram-size 64" % VSLOAD, limit=120)
    # There is a moment before it sends.
    t.wait_for(vm, "%s top -b -c 1 -d 2 > /run/top; "
               "grep -q ':5065 stream .* uid 0 cgroup' /run/top" % VSFQ)
    lines = [line.split() for line in
             t.run(vm, "cat /run/top; rm /run/top").splitlines()]
    columns = lines[1]
    t.equal(columns[-1], "OWNER", "the last column")
    device = dict(zip(columns, lines[2][-len(columns) + 1:]))
    t.equal(lines[2][0], HOST_DEV, "the device")
    t.equal(device["COST%"], "100.0", "its share")
    for name in "OUT/s", "OUTB":
        t.check(device[name] not in ("0", "-"), "%s of %r" % (name, device))
    t.check(device["WAIT"].endswith("s"), "the time in %r" % device)
    t.equal({line[0] for line in lines[3:5]}, {"stream", "dgram"}, "classes")
