# SPDX-License-Identifier: GPL-2.0-only
"""Caps: what a class with a rate sends through a real device, by the kernel's
count and clock, and what another class sends beside it."""

import json
import time

from load import attach_all

BED = "pair"

VSFQ = "build/vsfq"
RATE = 4000000
WINDOW = 5          # seconds at least, of each measurement
STREAM, DGRAM, FREE = 5020, 5030, 5040
POLICY = """
class slow { rate = 4mbps }
class free { }
rule { type = stream  remote-port = %d  class = slow }
rule { type = dgram   remote-port = %d  class = slow }
rule { type = stream  remote-port = %d  class = free }
""" % (STREAM, DGRAM, FREE)


def served(t):
    """Bytes that each class has sent, and when that was."""
    output = t.host("%s -j show; read up rest < /proc/uptime; "
                    "echo \"$up\"" % VSFQ)
    report, up = output.rstrip().rsplit("\n", 1)
    return ({c["name"]: c["served"]["bytes"]
             for c in json.loads(report)[0]["classes"]}, float(up))


def measure(t, **loads):
    """Start what shall send, by class; return bytes per second of each."""
    jobs = [t.start(t.bed.host, "build/vsload client --cid 42 --duration 20 "
                    + load, limit=120) for load in loads.values()]
    idle, _ = served(t)
    while True:
        before, start = served(t)
        if all(before[name] > idle[name] + RATE for name in loads):
            break
        t.check(not any(job.done.is_set() for job in jobs),
                "no load: " + "".join(job.output for job in jobs))
    time.sleep(WINDOW)
    after, end = served(t)
    t.check(not any(job.done.is_set() for job in jobs), "ended too early")
    for job in jobs:
        t.equal(job.wait(), 0, "status of a load, which said " + job.output)
    t.jobs = [job for job in t.jobs if job not in jobs]
    have = {name: (after[name] - before[name]) / (end - start)
            for name in loads}
    print("# bytes per second in %.2f s: %r" % (end - start, have), flush=True)
    return have


def test_rate(t):
    """Within 5 % of the rate, streams and datagrams alike; who has no cap has
    what the device can do beside it."""
    t.cleanup(t.bed.host, "ip link set vhost-vsock0 down; %s policy clear; "
              "%s detach all" % (VSFQ, VSFQ))
    t.host("cat > /run/caps.conf <<'EOF'%sEOF\n%s apply /run/caps.conf" %
           (POLICY, VSFQ))
    attach_all(t, t.bed.host)
    for port in STREAM, DGRAM, FREE:
        t.serve(t.bed.guest, port)
    stream = "--port %d --streams 1"
    alone = measure(t, free=stream % FREE)["free"]
    both = measure(t, free=stream % FREE, slow=stream % STREAM)
    dgram = measure(t, slow="--port %d --dgram-flood 1 --dgram-size 16384" %
                    DGRAM)["slow"]
    for what, have in ("stream", both["slow"]), ("datagrams", dgram):
        t.check(abs(have - RATE) < 0.05 * RATE, "%s: %d" % (what, have))
    # Held back it would have the capped class's rate, a tenth of this. The
    # CPUs that both share take their part: 54 to 82 % were left.
    t.check(both["free"] > 0.25 * alone and both["free"] > 2 * RATE,
            "%d beside a cap, %d alone" % (both["free"], alone))
