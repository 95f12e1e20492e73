# SPDX-License-Identifier: GPL-2.0-only
"""The figures of "vsfq metrics", made up and of this machine."""

import json
import os
import tempfile

import prometheus
from policies import not_allowed
from program import DONE, FAILED, VSFQ, complains

# Of what no kernel has: a name that must be escaped, numbers of all sizes.
DEVICE = 'v"sock\\0'
STATS = {"packets": 2, "bytes": 2 ** 62, "cost": 3}

CLASS = {"name": "stream", "sent": STATS, "received": STATS, "served": STATS,
         "backlog": {"packets": 4, "bytes": 5, "memory": 6},
         "throttled": 14, "stalls": 15,
         "throttled": 14, "groups_throttled": 15, "connections": 16,
         "capped": {"connections": 17, "connection_rate": 18,
                    "group_connections": 19, "group_connection_rate": 20},
         "drops": {"packets": 7, "memory": 0, "pool": 0, "reset": 8},
         "sojourn_us": {"p50": 1, "p99": 1, "sum": 12000345,
                        "buckets": [1] * 32}}

DEVICES = [{"device": DEVICE, "port": "cid42", "guest": "web", "up": True, "attached": True,
            "qdisc": {"kind": "vsfq"}, "foreign": 9, "untracked": 10,
            "unlogged": 13, "throttled": 21, "paused": 25, "connections": 22,
            "capped": {"connections": 23, "connection_rate": 24},
            "refused": {"in": 11, "out": 12}, "classes": [CLASS]},
           {"device": "vsock1", "port": "", "up": False, "attached": False,
            "qdisc": {"kind": ""}}]


def metrics_of(t, devices):
    with tempfile.NamedTemporaryFile("w") as f:
        json.dump(devices, f)
        f.flush()
        status, output = t.machine("build/print_metrics < " + f.name)
    t.equal(status, DONE, "status")
    return prometheus.parse(output)


def test_format(t):
    """Every figure has its place, and an odd name does no harm."""
    found = metrics_of(t, DEVICES)
    for name, labels, want in (
            ("device_info", {"port": "cid42", "guest": "web",
                             "qdisc": "vsfq"}, 1),
            ("device_up", {}, 1), ("device_attached", {}, 1),
            ("packets_total", {"class": "stream", "direction": "in"}, 2),
            ("bytes_total", {"class": "stream", "direction": "out"}, 2 ** 62),
            ("refused_packets_total", {"direction": "out"}, 12),
            ("foreign_packets_total", {}, 9),
            ("unlogged_events_total", {}, 13),
            ("dropped_packets_total", {"class": "stream", "reason": "reset"},
             8),
            ("throttled_total", {"class": "stream"}, 14),
            ("credit_stalls_total", {"class": "stream"}, 15),
            ("groups_throttled_total", {"class": "stream"}, 15),
            ("device_throttled_total", {}, 21),
            ("device_paused_total", {}, 25),
            ("connections", {"class": "stream"}, 16),
            ("device_connections", {}, 22),
            ("capped_requests_total",
             {"class": "stream", "cap": "group_connections"}, 19),
            ("device_capped_requests_total", {"cap": "connection_rate"}, 24),
            ("backlog_memory_bytes", {"class": "stream"}, 6)):
        labels = {"device": DEVICE, **labels}
        have = found["vsfq_" + name].samples.get(
            ("vsfq_" + name, tuple(sorted(labels.items()))))
        t.equal(have, want, "%s of %r" % (name, labels))
    t.equal(sorted({f for f in found for _, labels in found[f].samples
                    if ("device", "vsock1") in labels}),
            ["vsfq_device_attached", "vsfq_device_info", "vsfq_device_up"],
            "what is said of a device that is not attached")


def test_histogram(t):
    """A bucket that is none of ours counts in the next larger one."""
    name = "vsfq_queue_time_seconds"
    samples = metrics_of(t, DEVICES)[name].samples
    have = {dict(labels).get("le", part[len(name):]): n
            for (part, labels), n in samples.items()}
    want = {"0.%06d" % 2 ** i if i < 20 else "%.6f" % (2 ** i / 1e6): i + 1
            for i in range(4, 26, 2)}
    t.equal(have, {**want, "+Inf": 32, "_sum": 12.000345, "_count": 32},
            "the histogram")


def test_bounded(t):
    """Whoever opens ports adds no time series."""
    one = metrics_of(t, DEVICES)
    more = metrics_of(t, [{**DEVICES[0], "flows": [{"local_port": n}
                                                   for n in range(100)]},
                          DEVICES[1]])
    t.equal({n: f.samples for n, f in more.items()},
            {n: f.samples for n, f in one.items()}, "the samples")


def test_file(t):
    """One file that all may read, made anew, and nothing beside it."""
    with tempfile.TemporaryDirectory() as top:
        for _ in range(2):
            t.equal(t.machine("umask 77; %s metrics -t %s" % (VSFQ, top)),
                    (DONE, ""), "status and output")
            t.equal(os.listdir(top), ["vsfq.prom"], "files")
        path = top + "/vsfq.prom"
        t.equal(os.stat(path).st_mode & 0o777, 0o644, "mode")
        with open(path) as f:
            t.equal(f.read(), t.machine(VSFQ + " metrics")[1], "content")
        os.remove(path)
        os.mkdir(path)
        complains(t, VSFQ, "metrics -t " + top, FAILED, path, "directory")
        t.equal(os.listdir(top), ["vsfq.prom"], "files after a failure")
    complains(t, VSFQ, "metrics -t " + top, FAILED, path, "No such file")
    t.equal(t.machine(VSFQ + " metrics > /dev/full"),
            (FAILED, 'vsfq: cannot write "standard output": '
             "No space left on device\n"), "on a full device")


def test_file_in_one_step(t):
    """Who reads the file while it is made anew has the old one to its end."""
    with tempfile.TemporaryDirectory() as top:
        path, old = top + "/vsfq.prom", "# what was there\n"
        with open(path, "w+") as f:
            f.write(old)
            f.flush()
            t.equal(t.machine("%s metrics -t %s" % (VSFQ, top)), (DONE, ""),
                    "status and output")
            f.seek(0)
            t.equal(f.read(), old, "the old file")
            t.check(os.fstat(f.fileno()).st_ino != os.stat(path).st_ino,
                    "the old file is the new one")


def test_not_allowed_to_read(t):
    not_allowed(t, "metrics", "cannot read the devices")
