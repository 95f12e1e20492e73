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
# Of what it has echoed alone, in percent, in the best of each ten seconds in a
# row: the CPUs are shared with what comes from the other guest, and on a busy
# machine a single second may be next to nothing, or more than it had alone. Of
# five seconds it was 26 at worst when this was written, beside a load of 5.
SHARE = 20
ENOUGH = 5              # of these seconds, with fewer it says nothing
# Of the combinations of a packet's fields, in percent; 98 after 16,000 packets.
MET = 95


def command_of(seed, packets, setup):
    command = "%s storm --seed %d --packets %d" % (HOSTILE, seed, packets)
    return command + (" --on-open '%s'" % SETUPS[setup] if SETUPS[setup]
                      else "")


def figures_of(output):
    """What the command says in the end."""
    names = {"packets": "packets", "received": "received", "wedges": "wedges",
             "echoed": "bytes echoed", "share": "% of its rate alone",
             "windows": "windows"}
    figures = {name: int(re.search(r"(\d+) %s" % what, output)[1])
               for name, what in names.items()}
    figures["worst"] = int(re.search(r"worst round (\d+) ms", output)[1])
    figures["met"] = met_of(output)
    return figures


def met_of(output):
    met, combinations = re.search(r"met (\d+) of (\d+)", output).groups()
    return 100 * int(met) // int(combinations)


def problem(figures, worst=WORST_MS, share=SHARE):
    """What is wrong with them, or nothing."""
    if figures["worst"] >= worst:
        return "the other guest waited %d ms" % figures["worst"]
    if figures["windows"] >= ENOUGH and figures["share"] < share:
        return "the other guest had %d %% of its rate" % figures["share"]
    if figures["met"] < MET:
        return "%d %% of all combinations were met" % figures["met"]
    return None


def storm(t, seed, packets, setup="down"):
    """Returns the figures of it."""
    figures = figures_of(t.host(command_of(seed, packets, setup), limit=400))
    t.check(not problem(figures), problem(figures))
    return figures


def total(rounds, name):
    return sum(r.get(name, 0) for r in rounds)


def summary(record):
    """Print what the rounds of @record have seen."""
    print("\nseed %d: %d rounds in %d s, %d failed" % (
        record.seed, len(record.done()),
        sum(r["seconds"] for r in record.rounds), len(record.failed())))
    print("%-12s %7s %9s %9s %7s %14s %9s %7s %5s" % (
        "device", "rounds", "packets", "received", "wedges", "bytes echoed",
        "worst ms", "share %", "met %"))
    for setup in [*SETUPS, LIAR]:
        mine = [r for r in record.done() if r["setup"] == setup]
        if mine:
            print("%-12s %7d %9d %9d %7d %14d %9d %7d %5d" % (
                setup, len(mine), *(total(mine, name) for name in (
                    "packets", "received", "wedges", "echoed")),
                max(r.get("worst", 0) for r in mine),
                min(r.get("share", 100) for r in mine),
                min(r.get("met", 100) for r in mine)))
    print("%d packets" % record.used)
    if total(record.done(), "whole"):
        print("the liar's guest: %d streams, %d seqpackets, %d datagrams, %d "
              "put together, %d connections ended by another CID" % tuple(
                  total(record.done(), name) for name in (
                      "streams", "seqpackets", "dgrams", "whole", "moved")))
    for r in record.failed():
        print("\nround %d failed: %s\n%s\nto repeat it: the same with SEED=%d "
              "ROUND=%d" % (r["round"], r["what"], r["why"][:3000],
                            record.seed, r["round"]))
