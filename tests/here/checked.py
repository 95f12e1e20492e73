# SPDX-License-Identifier: GPL-2.0-only
"""make storm-uml, for a minute: a kernel that checks itself (KASAN, lockdep,
PROVE_RCU, debugobjects, kmemleak) and is a program of this machine.

It is built by "make kernel VARIANT=uml" and for nothing else; without it these
are skipped. What the kernel says fails them.
"""

import os

from bed import TOP
from liar import lie
from storm_uml import storm_uml
from uml import UmlError

KERNEL_SH = os.path.join(TOP, "scripts/kernel.sh")
LIMIT, CPUS = 600, 1
# So few packets meet 95 % of all combinations with this seed.
SEED, PACKETS, LIES = 81, 10000, 8000
# Too few for all that tests/lib/liar.py wants: some 10 events, one half resets.
WANTED = "streams", "seqpackets", "dgrams", "events"


def checked(t, what, *how, **also):
    path = t.machine("VARIANT=uml %s dir" % KERNEL_SH)[1].strip() + "/bzImage"
    if not os.path.exists(path):
        t.skip("no such kernel: make kernel VARIANT=uml builds it")
    try:
        print("# %r" % what(path, SEED, *how, **also), flush=True)
    except UmlError as err:
        t.fail(str(err))


def test_guest_lies(t):
    """After faults in every step of a socket's life, and of a device's."""
    # Ten seconds of a crowd, of which the best counts, there are not.
    checked(t, storm_uml, PACKETS, LIMIT, CPUS, "scheduled", sweep=True,
            share=0)


def test_host_lies(t):
    """And says now and then that the guest has migrated. After faults when the
    driver is bound and lets go."""
    checked(t, lie, LIES, LIMIT, CPUS, WANTED, sweep=True)
