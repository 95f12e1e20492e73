# SPDX-License-Identifier: GPL-2.0-only
"""What of a kernel's console fails a test."""

import os

from accel import find_accel
from bed import MISEMULATED, Bed, BedError, complaint

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


REMOVED = """[   75.1] WARNING: fs/proc/generic.c:742 at remove_proc_entry+0x265/0x460
[   75.2]  %s+0x10b/0x260
[   75.3] ---[ end trace 0000000000000000 ]---
"""


def test_interrupts_without_memory(t):
    t.equal(complaint(REMOVED % "unregister_irq_proc"), "", "what IRQs lack")
    ours = REMOVED % "virtio_vsock_remove"
    t.equal(complaint(REMOVED % "unregister_irq_proc" + ours), ours,
            "what vsock has forgotten")


# Where an interrupt was taken, and with which flags.
TAKEN = """[    3.0] Oops: general protection fault [#1] SMP
[    3.1]  asm_exc_general_protection+0x26/0x30
[    3.2] RIP: 0010:irqentry_enter+0x17/0x30
[    3.3]  sysvec_apic_timer_interrupt+0xe/0x80
[    3.4]  asm_sysvec_apic_timer_interrupt+0x1a/0x20
[    3.5] RIP: 0010:%s
[    3.6] Code: e6 c8 85 00 <f3> 0f 1e fa
[    3.7] RSP: 0000:fffffe0000002fd8 EFLAGS: %s
"""
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
    for where in ("asm_sysvec_apic_timer_interrupt+0x0/0x20",
                  "do_raw_spin_lock+0x9e/0x250"):
        for flags, ours in (("00000046", False), ("00000002", False),
                            ("00000246", True), ("00010202", True)):
            t.equal(not MISEMULATED.search(TAKEN % (where, flags)), ours,
                    "an interrupt at %s with flags %s is ours: it" %
                    (where, flags))
    # An exception may come at any time.
    t.check(not MISEMULATED.search(FAULT % "vhost_poll_func+0x0/0x20" +
                                   "[    2.5] RSP: 0018:1 EFLAGS: 00010046"),
            "a fault with interrupts disabled is not ours")


def test_nobody_waits(t):
    """For a VM that was misemulated and may hang."""
    if find_accel() != "tcg":
        t.skip("nothing is emulated here")
    said = TAKEN % ("do_raw_spin_lock+0x9e/0x250", "00000046")
    with Bed(os.environ["KERNEL"], "tcg", cids=()) as bed:
        try:
            bed.host.run("while read -r line; do echo \"<1>$line\" >/dev/kmsg; "
                         "done << END\n%sEND\nsleep 600" % said, limit=600)
            t.fail("it was waited for")
        except BedError as err:
            t.check("is gone" in str(err), str(err))
        t.check(bed.emulation_failed(), "the host is to blame")
