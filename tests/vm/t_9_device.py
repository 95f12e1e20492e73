# SPDX-License-Identifier: GPL-2.0-only
"""The guest's device comes and goes while it is used: its driver is unbound and
bound, and unloaded where it is a module; the VMM unplugs the device itself.

Connections of then end with an error, before which nothing wrong came; new ones
work in both directions at once, scheduled or not, and neither kernel says or loses
anything. What a host lives through when a guest is gone all of a sudden is in
t_9_hostile.
"""

import itertools
import os
import re

import load
from bed import CHECKED, MONITOR, PATIENCE, VSOCK_DEVICE

BED = "pair"

PORTS = itertools.count(6700, 4)
DRIVER = "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport"
REBIND = ("cd %s && dev=$(basename virtio*) && echo $dev >unbind && "
          "echo $dev >bind" % DRIVER)
UNLOAD = "until rmmod vmw_vsock_virtio_transport; do :; done 2>/dev/null"
LOAD = "modprobe vmw_vsock_virtio_transport"
CYCLES = int(os.environ.get("CYCLES", 6))
# In turn; the first and the third hold what is queued until the device is gone.
QDISCS = ["netem delay 60s limit 10000", "pfifo_fast",
          "tbf rate 1mbit burst 70kb latency 60s", "fq_codel limit 3",
          "netem loss 50%", "vsfq"]

# Nobody tells a connect() whose request went with the device: it is not to take
# long. In one load five sockets are opened one after the other, two wait for what
# they are told then, and in the end one socket or the other for its last bytes.
STANDS = 10 * PATIENCE
ENDS = 10 * STANDS

# Loads of all kinds for as long as nobody says stop, whatever becomes of them; but
# each ends by itself.
LOADS = """
while [ ! -e /run/vsfq/stop ]; do
	timeout -k %d %d build/vsload client --port %%d --streams 2 --ping 1 \\
		--dgram-flood 1 --duration 3 --warmup 0 --patience %d
	echo load $?
	sleep 1
done >/run/loads 2>&1
""" % (STANDS, ENDS, STANDS)
TIMED_OUT, KILLED = "124", "137"


def new_connections(t, port):
    t.guest("python3 tests/load/churn.py 2 %d 1" % port, limit=120)
    t.host("python3 tests/load/churn.py 42 %d 1" % (port + 2), limit=120)


def schedule(t, qdisc, seen):
    """Put @qdisc to work; @seen of it has to show in its statistics."""
    if qdisc == "vsfq":
        t.guest(load.configuring(load.GUEST_DEV, qdisc), limit=300)
        return
    t.guest("ip link set {0} up && tc qdisc replace dev {0} root {1}".format(
        load.GUEST_DEV, qdisc))
    t.wait_for(t.bed.guest, "tc -s qdisc show dev %s | grep -Eq '%s'" %
               (load.GUEST_DEV, seen), limit=120)


def servers(t, port):
    t.cleanup(t.bed.guest, load.configuring(load.GUEST_DEV, "down"))
    t.serve(t.bed.host, port)
    t.serve(t.bed.guest, port + 2)
    t.guest("rm -f /run/vsfq/stop")


def in_guest(command):
    return lambda t: t.guest(command, limit=120)


def plug(t):
    """As a VMM does: the host's half goes and comes, too."""
    cid = t.bed.cids[0]
    driver = "[ -e %s/virtio* ]" % DRIVER
    monitor = "echo '%s' >" + MONITOR % cid + ".in"
    t.host(monitor % "device_del vsock")
    t.wait_for(t.bed.guest, "! " + driver, limit=120)
    t.wait_for(t.bed.host, "[ ! -e /sys/class/net/%s ]" % load.HOST_DEV)
    t.host(monitor % ("device_add " + VSOCK_DEVICE % cid))
    t.wait_for(t.bed.guest, driver, limit=120)


def under_load(t, cycle, qdiscs, cycles=CYCLES):
    """Do @cycle so many times while loads run in the guest; each time what it
    leaves has to work."""
    port = next(PORTS)
    servers(t, port)
    job = t.start(t.bed.guest, "bash -c '%s'" % LOADS % port, limit=1800)
    for number in range(cycles):
        # A bulk of them flows before the qdisc of this turn takes over.
        schedule(t, "pfifo_fast", "Sent [0-9]{6}")
        new_connections(t, port)
        schedule(t, qdiscs[number % len(qdiscs)], "(Sent|backlog) [1-9]")
        cycle(t)
        new_connections(t, port)
    t.guest("touch /run/vsfq/stop")
    t.equal(job.wait(), 0, "exit status of the loads")
    said = t.guest("cat /run/loads")
    ends = re.findall(r"^load (\d+)$", said, re.M)
    t.check(ends and not {TIMED_OUT, KILLED} & set(ends),
            "the loads ended with %s:\n%s" % (" ".join(ends), said[-3000:]))
    t.check(not load.WRONG.search(said), said[-3000:])


def test_unbind(t):
    under_load(t, in_guest(REBIND), QDISCS)


def test_unbind_refused(t):
    """Whom a qdisc refused, who gave up and who was forgotten has no work left
    that would run when the device is gone."""
    port = next(PORTS)
    servers(t, port)
    job = t.start(t.bed.guest, "python3 tests/load/vain.py 2 %d "
                  "/run/vsfq/stop" % port, limit=600)
    for _ in range(CYCLES):
        schedule(t, "netem loss 100%", "dropped [0-9]{4}")
        t.guest(REBIND, limit=120)
    t.guest("touch /run/vsfq/stop")
    t.equal(job.wait(), 0, "exit status of those who connect in vain")
    new_connections(t, port)


def wants_modules(t):
    if t.bed.guest.run("grep -q ^vmw_vsock_virtio_transport /proc/modules")[0]:
        t.skip("vsock is not a module")


def test_unload(t):
    """rmmod waits for sockets, which must not wait for a qdisc then."""
    wants_modules(t)
    under_load(t, in_guest(UNLOAD + "; " + LOAD), QDISCS[1:])


def test_unload_peer(t):
    """It does not wait for datagrams' sockets, which do not forget their peer."""
    wants_modules(t)
    t.cleanup(t.bed.guest, LOAD)
    port = next(PORTS)
    t.start_server(t.bed.host, "build/vsfault echo %d" % port, "echoing")
    t.guest("python3 tests/load/peer.py 2 %d '%s' '%s'" % (port, UNLOAD, LOAD),
            limit=120)


def test_plug(t):
    if CHECKED:
        t.skip("this guest has no ACPI, which tells it of that")
    under_load(t, plug, QDISCS[::2], CYCLES // 2)
