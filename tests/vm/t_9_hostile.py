# SPDX-License-Identifier: GPL-2.0-only
"""A guest that lies, and another one that must not suffer from it.

    host VM:  vshostile, both VMM and guest    CID 50: lies, see gen.c
                                               CID 51: behaves and checks
              its sockets                      ports 7000 to 7005

No guest VM runs: the program has opened /dev/vhost-vsock and has rings of its
own. What a kernel reports meanwhile fails a test, see tests/lib/case.py. The
bed negotiates datagrams, so some boots of the guest have them and some send
them without.
"""

import json
import os
import re
import time

from firewall import VSFQ, apply
from storm import HOSTILE, storm

BED = "host"

# What may be missing after 200,000 packets, in kB. Measured: 130, and 500 to
# 7,000; the allocators keep some, pages above all on lists of each CPU, which do
# not count as available. A leak of the smallest skb (1 KiB) in 0.5 % of packets
# exceeds the first, one of 64 KiB in 0.13 % the second.
BOUNDS = {"Slab": 1024, "MemAvailable": 16384}
# Sockets that were closed wait 8 s for their peer's answer.
SETTLE_SECONDS = 30
# How long huge-credit looks at what it holds, see t_9_memory.
HOLD_SECONDS = int(os.environ.get("HOLD_SECONDS", 3))


def memory(t):
    """What is used of each, in kB."""
    lines = t.host("echo 3 >/proc/sys/vm/drop_caches; cat /proc/meminfo")
    have = dict(re.findall(r"^(\w+): +(\d+) kB", lines, re.M))
    return {"Slab": int(have["Slab"]),
            "MemAvailable": -int(have["MemAvailable"])}


def excess(t, before):
    """By how much each exceeds what it was before and may be more, if so."""
    now = memory(t)
    over = {k: now[k] - before[k] - BOUNDS[k] for k in BOUNDS}
    return {k: v for k, v in over.items() if v > 0}


def test_storm(t):
    """Served meanwhile, and afterwards nothing is left of it."""
    storm(t, 1, 100000)     # what is allocated once
    before = memory(t)
    storm(t, 2, 200000)
    end = time.monotonic() + SETTLE_SECONDS
    while (over := excess(t, before)) and time.monotonic() < end:
        time.sleep(1)
    t.check(not over, "too much memory is used, by %r kB" % over)


def stormy(seed, setup):
    return lambda t: storm(t, seed, 60000, setup)


for number, setup in enumerate(["scheduled", "refused", "bpf"]):
    globals()["test_storm_" + setup] = stormy(3 + number, setup)


def regression(name):
    def test(t):
        t.host("HOLD_SECONDS=%d %s case %s" % (HOLD_SECONDS, HOSTILE, name),
               limit=100 + HOLD_SECONDS)
    return test


for name in ["strays", "no-cid", "stopped", "listener", "close-queued",
             "gave-up", "long-queue", "many-ports", "many-resets",
             "many-credit-requests", "big-buffers", "huge-credit",
             "small-writes", "cid-change", "killed"]:
    globals()["test_" + name.replace("-", "_")] = regression(name)


ASKED = """
default-in = %s
class ours { connections = 9 }
rule { direction = out  class = ours }
"""


def test_asked_again(t):
    """A connection of the host's that its guest asks for stays what it is, for
    the kernel and for vsfq: it counts, and is in the class of who opened it."""
    vm = t.bed.host
    t.cleanup(vm, VSFQ + " detach all")
    for verdict, refused in ("reject", "REFUSED=1 "), ("accept", ""):
        apply(t, vm, ASKED % verdict)
        for line in t.host("%s%s case asked-again" % (refused, HOSTILE),
                           limit=100).splitlines():
            shown, = json.loads(line)
            flow, = [f for f in shown["flows"] if f["peer_port"] == 7100]
            t.equal((shown["connections"], flow["class"]), (1, "ours"),
                    "connections and class where the default is " + verdict)
        t.host(VSFQ + " detach all")
