# SPDX-License-Identifier: GPL-2.0-only
"""A guest sleeps while its device is used. What is queued goes with the ring,
connections end with an error, and when the guest wakes up the same net_device,
with the same qdisc, serves new ones in both directions."""

import re

import load
from sleeper import CID, Sleeper

BED = "pair"

PORT = 7000
BACK = PORT + 3         # from the host to the guest
DEV = load.GUEST_DEV
QUEUE = "/sys/class/net/%s/queues/tx-0/byte_queue_limits/inflight" % DEV
# The first one has the ring for itself; two hold what is queued.
QDISCS = [None, "pfifo_fast", "netem delay 60s limit 10000",
          "tbf rate 1mbit burst 70kb latency 60s", "vsfq"]
STANDS, ENDS = 10, 100

# As long as nobody says stop.
LOADS = ("while [ ! -e %s ]; do timeout -s KILL %d %s client --cid %d --port %d "
         "--streams 2 --ping 1 --dgram-flood 1 --duration 3 --warmup 0 "
         "--patience %d; echo load $?; done >/run/%s 2>&1")
STOP = "/run/stop"
KILLED = "137"
ONCE = (load.VSLOAD + " client --cid %d --port %d --streams 1 --ping 1 "
        "--dgram-flood 1 --duration 1 --warmup 0")


def wait_for(guest, condition):
    guest.run("until %s; do sleep 0.1; done" % condition)


def schedule(guest, qdisc):
    if not qdisc:
        guest.run("ip link set %s down" % DEV)
        return
    guest.run(load.configuring(DEV, qdisc) if qdisc == "vsfq" else
              "ip link set {0} up && tc qdisc replace dev {0} root {1}".format(
                  DEV, qdisc))
    wait_for(guest, "tc -s qdisc show dev %s | grep -Eq '(Sent|backlog) [1-9]'"
             % DEV)


def new_connections(t, guest):
    guest.run(ONCE % (2, PORT))
    t.host(ONCE % (CID, BACK))


def test_sleep(t):
    guest = Sleeper(t)
    t.serve(t.bed.host, PORT)
    guest.run("%s server --port %d >/run/server 2>&1 &" % (load.VSLOAD, BACK))
    wait_for(guest, "grep -q serving /run/server")
    new_connections(t, guest)
    guest.run("(%s; touch /run/over) &" % LOADS % (
        STOP, ENDS, load.VSLOAD, 2, PORT, STANDS, "out"))
    t.cleanup(t.bed.host, "rm -f %s /run/in" % STOP)
    job = t.start(t.bed.host, "bash -c '%s'" % LOADS % (
        STOP, ENDS, load.VSLOAD, CID, BACK, STANDS, "in"), limit=900)
    index = guest.run("cat /sys/class/net/%s/ifindex" % DEV)
    for qdisc in QDISCS:
        schedule(guest, qdisc)
        guest.run("echo freeze >/sys/power/state")
        if qdisc and qdisc != "vsfq":
            t.check(qdisc.split()[0] in guest.run("tc qdisc show dev " + DEV),
                    "%s is gone" % qdisc)
            guest.run("tc qdisc replace dev %s root pfifo_fast" % DEV)
        new_connections(t, guest)
    guest.run("touch " + STOP)
    t.host("touch " + STOP)
    t.equal(job.wait(), 0, "exit status of the host's loads")
    wait_for(guest, "[ -e /run/over ]")
    said = guest.run("cat /run/out") + t.host("cat /run/in")
    ends = re.findall(r"^load (\d+)$", said, re.M)
    t.check("1" in ends and KILLED not in ends and not load.WRONG.search(said),
            "the loads: %s\n%s" % (" ".join(ends), said[-3000:]))
    t.equal(guest.run("cat /sys/class/net/%s/ifindex" % DEV), index, "ifindex")
    wait_for(guest, "[ $(cat %s) = 0 ]" % QUEUE)
    t.equal(guest.complaint(), "", "what its kernel said")
