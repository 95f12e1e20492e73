# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler, decision by decision, on devices made of tun."""

BED = "host"


def test_decisions(t):
    """See tests/sched/, which also runs by hand."""
    t.host("PYTHONDONTWRITEBYTECODE=1 python3 tests/sched/sched.py"
           " build/vsfq %s" % t.tool("bpftool"), limit=500)
