# SPDX-License-Identifier: GPL-2.0-only
"""Memory and copies that the kernel is refused, in vsock's code and nowhere
else; on a kernel with fault injection and vsock as modules (VARIANT=debug).

An error reaches who caused it or is made good, no byte is lost by it, and the
runner sees that nothing is leaked and nothing said.
"""

import load

BED = "pair"

VSFAULT = "build/vsfault"
PORT = 5700
FAULTS = "failslab", "fail_page_alloc", "fail_usercopy"
DRIVER = "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport"

# To everything, also what may sleep, or those settings that are there.
SET = """
cd /sys/kernel/debug
set_all() { for d in %s; do [ ! -e $d/$1 ] || echo $2 >$d/$1 || exit; done; }
""" % " ".join(FAULTS)
CONFINED = SET + """
set_all verbose 0
set_all require-start %d
set_all require-end %d
set_all min-order 0
set_all ignore-gfp-highmem N
"""
OFF = SET + "set_all probability 0; set_all require-start 0; exit 0"


def modules_of(t, vm):
    """Those of vsock where faults can be injected, each as fields of a line."""
    return [line.split() for line in t.run(
        vm, "test -e /proc/self/fail-nth && "
        "grep -E '^(vsock|vhost|vmw_vsock)' /proc/modules || true").splitlines()]


def confine(t, vm, may_sleep="Y"):
    """Let faults be possible where vsock's modules are among the callers."""
    modules = modules_of(t, vm)
    if not modules:
        t.skip("no fault injection, or vsock is not a module")
    start = min(int(m[5], 16) for m in modules)
    end = max(int(m[5], 16) + int(m[1]) for m in modules)
    t.cleanup(vm, OFF)
    t.run(vm, CONFINED % (start, end) + "set_all ignore-gfp-wait " +
          {"Y": "N", "N": "Y"}[may_sleep])


def sweep(side, config):
    """Each step of a socket's life, each point at which it may fail."""
    def test(t):
        here, there, cid, dev = {
            "guest": (t.bed.guest, t.bed.host, 2, load.GUEST_DEV),
            "host": (t.bed.host, t.bed.guest, 42, load.HOST_DEV)}[side]
        confine(t, here)
        t.cleanup(here, load.configuring(dev, "down"))
        t.run(here, load.configuring(dev, config))
        t.start_server(there, "%s echo %d" % (VSFAULT, PORT), "echoing")
        said = t.run(here, "%s sweep %d %d" % (VSFAULT, cid, PORT), limit=200)
        print("# " + said.replace("\n", "\n# "), flush=True)
    return test


for side in "guest", "host":
    for config in "down", "pfifo_fast":
        globals()["test_%s_%s" % (side, config)] = sweep(side, config)


def works(t):
    t.serve(t.bed.host, PORT + 10)
    t.guest("build/vsload client --port %d --streams 2 --ping 1 --duration 1 "
            "--warmup 0" % (PORT + 10))


def device_of(t):
    return t.guest("basename %s/virtio*" % DRIVER).strip()


def in_the_end_bound(t, device):
    t.cleanup(t.bed.guest, "[ -e {0}/{1} ] || echo {1} >{0}/bind".format(
        DRIVER, device))


def test_probe(t):
    """The driver is bound, or it is not; in the end it is, and works."""
    device = device_of(t)
    in_the_end_bound(t, device)
    confine(t, t.bed.guest)
    t.guest("{0} write {1}/bind {1}/unbind {2}".format(VSFAULT, DRIVER, device),
            limit=600)
    works(t)


def test_remove(t):
    """Whatever is refused then, the driver lets go: nobody could be told."""
    device = device_of(t)
    in_the_end_bound(t, device)
    confine(t, t.bed.guest)
    t.guest("echo {2} >{1}/unbind && {0} write {1}/unbind {1}/bind {2} && "
            "echo {2} >{1}/bind".format(VSFAULT, DRIVER, device), limit=600)
    works(t)


def test_vhost(t):
    """So is a device of the host."""
    confine(t, t.bed.host)
    t.host("build/vshostile case no-memory", limit=200)


def probable(t, vm, percent, may_sleep):
    confine(t, vm, may_sleep)
    t.run(vm, SET + "set_all times -1; set_all probability %d; "
          "echo 0 >fail_usercopy/probability" % percent)


def test_atomic(t):
    """What may not sleep for memory does without it; nobody notices."""
    for vm, dev in ((t.bed.guest, load.GUEST_DEV), (t.bed.host, load.HOST_DEV)):
        t.cleanup(vm, load.configuring(dev, "down"))
        t.run(vm, load.configuring(dev, "pfifo_fast"))
    t.serve(t.bed.host, PORT)
    for vm in [vm for vm in t.vms if modules_of(t, vm)] or t.vms:
        probable(t, vm, 20, "N")
    t.guest("build/vsload client --port %d --streams 4 --ping 1 --dgram-flood 1 "
            "--duration 5 --warmup 0" % PORT, limit=120)


def test_workers(t):
    """A guest that is short of memory loses connections, not its device.

    Not the host: there vhost keeps the buffer of a packet that it has no memory
    for, as it always did.
    """
    t.serve(t.bed.host, PORT)
    probable(t, t.bed.guest, 5, "Y")
    said = t.guest("build/vsload client --port %d --streams 4 --ping 1 "
                   "--dgram-flood 1 --duration 5 --warmup 0; "
                   "python3 tests/load/churn.py 2 %d 5" % (PORT, PORT),
                   limit=200, status=None)
    t.guest(OFF)
    t.check(not load.WRONG.search(said), said)
    works(t)
