# SPDX-License-Identifier: GPL-2.0-only
"""Packets of a hostile guest, made from a seed: vshostile in the host VM."""

import re

from bed import PATIENCE

HOSTILE = "build/vshostile"
SCHEDULED = "ip link set $DEV up && tc qdisc replace dev $DEV root "
# What happens to the device before the packets come.
SETUPS = {
    "down": None,
    # Each answer asks a qdisc first.
    "scheduled": SCHEDULED + "pfifo_fast",
    # It loses, repeats and delays answers.
    "refused": SCHEDULED + "netem delay 1ms loss 20% duplicate 20%",
    # The classifier and the scheduler in BPF look at all of it.
    "bpf": "build/vsfq detach $DEV >/dev/null 2>&1; ip link set $DEV up && "
           "build/vsfq attach $DEV",
}

# The other direction (liar.py), in which the kernel is the guest.
LIAR = "a liar's"

# It waited 16 ms at worst when this was written, on 2 emulated CPUs. A host
# that is held up by the other guest lets it wait for ever.
WORST_MS = 5000 * PATIENCE


def command_of(seed, packets, setup):
    command = "%s storm --seed %d --packets %d" % (HOSTILE, seed, packets)
    return command + (" --on-open '%s'" % SETUPS[setup] if SETUPS[setup]
                      else "")


def figures_of(output):
    """What the command says in the end."""
    names = {"packets": "packets", "received": "received", "wedges": "wedges",
             "echoed": "bytes echoed"}
    figures = {name: int(re.search(r"(\d+) %s" % what, output)[1])
               for name, what in names.items()}
    figures["worst"] = int(re.search(r"worst round (\d+) ms", output)[1])
    return figures


def storm(t, seed, packets, setup="down"):
    """Returns the figures of it."""
    figures = figures_of(t.host(command_of(seed, packets, setup), limit=200))
    t.check(figures["worst"] < WORST_MS, "the other guest waited %d ms" %
            figures["worst"])
    return figures


def summary(record):
    """Print what the rounds of @record have seen."""
    print("\nseed %d: %d rounds in %d s, %d failed" % (
        record.seed, len(record.done()),
        sum(r["seconds"] for r in record.rounds), len(record.failed())))
    print("%-12s %7s %9s %9s %7s %16s %9s" % (
        "device", "rounds", "packets", "received", "wedges", "bytes echoed",
        "worst ms"))
    for setup in [*SETUPS, LIAR]:
        mine = [r for r in record.done() if r["setup"] == setup]
        if mine:
            print("%-12s %7d %9d %9d %7d %16d %9d" % (setup, len(mine), *(
                sum(r.get(name, 0) for r in mine)
                for name in ("packets", "received", "wedges", "echoed")),
                max(r.get("worst", 0) for r in mine)))
    print("%d packets" % record.used)
    for r in record.failed():
        print("\nround %d failed: %s\n%s" % (r["round"], r["what"],
                                             r["why"][:3000]))
