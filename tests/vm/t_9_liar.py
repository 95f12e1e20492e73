# SPDX-License-Identifier: GPL-2.0-only
"""A host that lies to its guest.

    host VM:   vshostile liar --- vhost-user --- QEMU
    guest VM:  its driver; vshostile serve, whose sockets take all seriously

Packets from a seed, as t_9_hostile has them in the other direction, and used
rings that make no sense. After the latter the driver does no more with that
ring, and is bound anew. What the guest's kernel reports fails the test.
"""

from liar import BIND, figures_of, problem

BED = "liar"

LIMIT = 300
# QEMU passes no events on, and datagrams are forced here.
WANTED = "streams", "seqpackets", "dgrams", "whole", "resets"


def test_liar(t):
    """It goes on, and whatever else it does is not disturbed."""
    server = t.start_server(t.bed.guest, "build/vshostile serve 2", "serving")
    liar, binds = t.bed.liar, 0
    while "\ndone," not in liar.output:
        wedged = "wedged %d," % (binds + 1)
        t.check(liar.says(wedged, "\ndone,", limit=LIMIT),
                "after %d wedges it said nothing for %d s:\n%s" %
                (binds, LIMIT, liar.output))
        if wedged in liar.output:
            t.guest("%s bind_again %d" % (BIND, binds), limit=LIMIT)
            binds += 1
    t.check(binds, "the rings were never wedged:\n" + liar.output)
    t.equal(t.end(server), 0, "the server's exit status")
    figures = figures_of(liar.output, server.output)
    print("# %r" % figures, flush=True)
    t.check(not problem(figures, WANTED), problem(figures, WANTED))
