# SPDX-License-Identifier: GPL-2.0-only
"""The guest's device comes and goes while it is used: its driver is unbound and
bound, and unloaded where it is a module.

Connections of then end with an error; new ones work, scheduled or not, and
neither kernel says or loses anything. What a host lives through when a guest
is gone all of a sudden is in t_9_hostile.
"""

import itertools

import load

BED = "pair"

PORTS = itertools.count(6700, 2)
DRIVER = "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport"
CYCLES = 5
SCHEDULED = "ip link set {dev} up && tc qdisc replace dev {dev} root {qdisc}"
# In turn; the first one holds what is queued until the device is gone.
QDISCS = ["netem delay 60s limit 10000", "pfifo_fast", "fq_codel limit 3"]

# Loads of all kinds for as long as nobody says stop, whatever becomes of them.
LOADS = """
while [ ! -e /run/vsfq/stop ]; do
	build/vsload client --port %d --streams 2 --ping 1 --dgram-flood 1 \\
		--duration 3 --warmup 0
	echo load $?
	sleep 1
done >/run/loads 2>&1
"""


def under_load(t, cycle, qdiscs):
    """Run @cycle some times while loads run in the guest; each time what it
    leaves has to work."""
    port = next(PORTS)
    t.serve(t.bed.host, port)
    t.cleanup(t.bed.guest, load.configuring(load.GUEST_DEV, "down"))
    t.guest("rm -f /run/vsfq/stop")
    job = t.start(t.bed.guest, "bash -c '%s'" % LOADS % port, limit=400)
    for number in range(CYCLES):
        t.guest(SCHEDULED.format(dev=load.GUEST_DEV,
                                 qdisc=qdiscs[number % len(qdiscs)]))
        t.wait_for(t.bed.guest, "tc -s qdisc show dev %s | "
                   "grep -Eq '(Sent|backlog) [1-9]'" % load.GUEST_DEV)
        t.guest(cycle, limit=120)
        t.guest("python3 tests/load/churn.py 2 %d 1" % port)
    t.guest("touch /run/vsfq/stop")
    t.equal(job.wait(), 0, "exit status of the loads")


def test_unbind(t):
    under_load(t, "cd %s && dev=$(basename virtio*) && echo $dev >unbind && "
               "echo $dev >bind" % DRIVER, QDISCS)


def test_unload(t):
    """rmmod waits for sockets, which must not wait for a qdisc then."""
    if t.bed.guest.run("grep -q ^vmw_vsock_virtio_transport /proc/modules")[0]:
        t.skip("vsock is not a module")
    under_load(t, "until rmmod vmw_vsock_virtio_transport; do :; done "
               "2>/dev/null; modprobe vmw_vsock_virtio_transport", QDISCS[1:])
