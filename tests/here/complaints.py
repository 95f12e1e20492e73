# SPDX-License-Identifier: GPL-2.0-only
"""What of a kernel's console fails a test."""

from bed import MISEMULATED, complaint

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


FAULT = """[    2.0] Oops: double fault: 0000 [#1] SMP
[    2.1] CPU: 0 UID: 0 PID: 1435 Comm: vsload Not tainted 7.3.4+ #5
[    2.2] RIP: 0010:%s
[    2.3] Call Trace:
[    2.4] RIP: 0010:entry_SYSCALL_64+0x0/0x17
"""


def test_emulation(t):
    """What no kernel does by itself is not this one's fault."""
    for where, ours in (("entry_SYSCALL_64+0x0/0x17", False),
                        ("entry_SYSCALL_64+0x3/0x17", True),
                        ("virtio_vsock_rx_fill+0x0/0x90", True)):
        t.equal(not MISEMULATED.search(FAULT % where), ours,
                "a fault at %s is ours: it" % where)
