# SPDX-License-Identifier: GPL-2.0-only
"""Work in a bed of one host and one guest that emulation may lose."""

from accel import find_accel
from bed import Bed, BedError
from load import LoadError
from say import say

MAX_BOOTS = 8


def in_bed(kernel, work):
    """Return work(bed); with a new bed, from its start, if that one is lost."""
    accel = find_accel()
    for boots in range(1, MAX_BOOTS + 1):
        say("booting a host VM, and a guest in it (%s, about a minute)" % accel)
        try:
            with Bed(kernel, accel) as bed:
                try:
                    return work(bed)
                except LoadError as err:
                    if bed.emulation_failed():
                        raise BedError("emulation lost a VM") from err
                    raise
        except BedError as err:
            if boots == MAX_BOOTS:
                raise
            say("%s: booting once more" % str(err).splitlines()[0])
