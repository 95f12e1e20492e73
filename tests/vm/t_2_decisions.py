# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler, decision by decision, on devices made of tun."""

BED = "host"


def run(t, name):
    t.host("PYTHONDONTWRITEBYTECODE=1 python3 tests/sched/%s.py"
           " build/vsfq %s" % (name, t.tool("bpftool")), limit=2400)


def test_decisions(t):
    """See tests/sched/, which also runs by hand."""
    run(t, "sched")


def test_caps(t):
    """Who waits when there is a cap, and for how long."""
    run(t, "caps")
