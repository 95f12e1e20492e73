# SPDX-License-Identifier: GPL-2.0-only
"""What of a kernel's console fails a test."""

from bed import complaint

LINE = "[   12.345678] ================================================\n"
RACE = LINE + """[   12.345679] BUG: KCSAN: data-race in %s / %s

[   12.345680] write to 0xffff888003a5b2c8 of 8 bytes by task 71 on cpu 0:
[   12.345681]  %s+0x1a2/0x3f0
""" + LINE
THEIRS = RACE % ("tick_nohz", "tick_sched", "tick_nohz")
OURS = RACE % ("memcpy", "__skb_queue_tail", "vhost_transport_send_pkt")


def test_kinds(t):
    for said in ("WARNING: CPU: 0 PID: 1 at net/core/dev.c:1",
                 "BUG: KASAN: slab-use-after-free in foo",
                 "BUG kmalloc-64 (Not tainted): Poison overwritten",
                 "WARNING: possible circular locking dependency detected"):
        t.equal(complaint("[    1.0] %s\n" % said) != "", True,
                "%r is a complaint: it" % said)
    t.equal(complaint("[    1.0] virtio-vsock0: link up\n"), "", "a complaint")


def test_races(t):
    """Those of the rest of the kernel hide nothing."""
    t.equal(complaint(THEIRS), "", "a race of others")
    t.equal(complaint(THEIRS + OURS + THEIRS), OURS, "the race of ours")
    t.equal(complaint(THEIRS + "BUG: bad\n"), "BUG: bad\n",
            "what comes after a race")
