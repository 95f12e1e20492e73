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

# It waited 16 ms at worst when this was written, on 2 emulated CPUs. A host
# that is held up by the other guest lets it wait for ever.
WORST_MS = 5000 * PATIENCE


def storm(t, seed, packets, setup="down"):
    """Returns the figures of it."""
    command = "%s storm --seed %d --packets %d" % (HOSTILE, seed, packets)
    if SETUPS[setup]:
        command += " --on-open '%s'" % SETUPS[setup]
    output = t.host(command, limit=200)
    figures = {name: int(re.search(r"(\d+) %s" % what, output).group(1))
               for name, what in {
                   "packets": "packets", "received": "received",
                   "wedges": "wedges", "echoed": "bytes echoed"}.items()}
    figures["worst"] = int(re.search(r"worst round (\d+) ms", output).group(1))
    t.check(figures["worst"] < WORST_MS, "the other guest waited %d ms" %
            figures["worst"])
    return figures
