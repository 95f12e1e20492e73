# SPDX-License-Identifier: GPL-2.0-only
"""Memory and copies that the kernel is refused, in vsock's code and nowhere
else; on a kernel with fault injection (VARIANT=debug).

An error reaches who caused it or is made good, no byte is lost by it, and the
runner sees that nothing is leaked and nothing said.
"""

import faults
import load

BED = "pair"

PORT = 5700


def can_fail(vm):
    return vm.run("test -e /proc/self/fail-nth")[0] == 0


def confine(t, vm, names="vsock", to="any"):
    """Let faults be possible where such functions are among the callers."""
    if not can_fail(vm):
        t.skip("no fault injection")
    t.cleanup(vm, faults.FUNCTIONS + "no_faults")
    t.run(vm, faults.FUNCTIONS + "confined %s && possible %s" % (names, to))


def sweep(side, config):
    """Each step of a socket's life, each point at which it may fail."""
    def test(t):
        here, there, cid, dev = {
            "guest": (t.bed.guest, t.bed.host, 2, load.GUEST_DEV),
            "host": (t.bed.host, t.bed.guest, 42, load.HOST_DEV)}[side]
        confine(t, here)
        t.cleanup(here, load.configuring(dev, "down"))
        t.run(here, load.configuring(dev, config))
        t.start_server(there, "build/vsfault echo %d" % PORT, "echoing")
        said = t.run(here, "build/vsfault sweep %d %d" % (cid, PORT), limit=200)
        print("# " + said.replace("\n", "\n# "), flush=True)
    return test


for side in "guest", "host":
    for config in "down", "pfifo_fast":
        globals()["test_%s_%s" % (side, config)] = sweep(side, config)


def works(t):
    t.serve(t.bed.host, PORT + 10)
    t.guest("build/vsload client --port %d --streams 2 --ping 1 --duration 1 "
            "--warmup 0" % (PORT + 10))


def sweep_driver(t, command):
    device = t.guest("basename %s/virtio*" % faults.DRIVER).strip()
    t.cleanup(t.bed.guest, "[ -e {0}/{1} ] || echo {1} >{0}/bind".format(
        faults.DRIVER, device))
    confine(t, t.bed.guest)
    t.guest(command.format(device), limit=600)
    works(t)


def test_probe(t):
    sweep_driver(t, faults.PROBE)


def test_remove(t):
    sweep_driver(t, faults.REMOVE)


def test_vhost(t):
    """So is a device of the host."""
    confine(t, t.bed.host, "vhost")
    t.host("build/vshostile case no-memory", limit=200)


def by_chance(t, vm, percent, to):
    confine(t, vm, to=to)
    t.run(vm, faults.FUNCTIONS + "by_chance %d" % percent)


def test_atomic(t):
    """What may not sleep for memory does without it; nobody notices."""
    for vm, dev in ((t.bed.guest, load.GUEST_DEV), (t.bed.host, load.HOST_DEV)):
        t.cleanup(vm, load.configuring(dev, "down"))
        t.run(vm, load.configuring(dev, "pfifo_fast"))
    t.serve(t.bed.host, PORT)
    for vm in [vm for vm in t.vms if can_fail(vm)] or t.vms:
        by_chance(t, vm, 20, "atomic")
    t.guest("build/vsload client --port %d --streams 4 --ping 1 --dgram-flood 1 "
            "--duration 5 --warmup 0" % PORT, limit=120)


def test_workers(t):
    """A guest that is short of memory loses connections, not its device.

    Not the host: there vhost keeps the buffer of a packet that it has no memory
    for, as it always did.
    """
    t.serve(t.bed.host, PORT)
    by_chance(t, t.bed.guest, 5, "any")
    said = t.guest("build/vsload client --port %d --streams 4 --ping 1 "
                   "--dgram-flood 1 --duration 5 --warmup 0; "
                   "python3 tests/load/churn.py 2 %d 5" % (PORT, PORT),
                   limit=200, status=None)
    t.guest(faults.FUNCTIONS + "no_faults")
    t.check(not load.WRONG.search(said), said)
    works(t)
