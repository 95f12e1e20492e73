# SPDX-License-Identifier: GPL-2.0-only
"""Programs next to vsock that try what is not theirs, on the host's device.

That a guest speaks in the name of another, or to another, is tried by
t_9_hostile.test_strays, with packets that only a guest that lies can make:
vhost drops what does not come from its CID and go to the host's.
"""

import load

BED = "pair"

DEV = load.HOST_DEV
DUMMY = "vsfqdummy0"
PACKETS = 100

# Ethernet frames that claim to be vsock's, as far as the protocol goes.
SEND = ("python3 -c 'import socket\n"
        "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0xfb)\n"
        "s.bind((\"%s\", 0xfb))\n"
        "for i in range(%d): s.send(b\"x\" * 100)'")


def counters(t):
    """Packets that were foreign to the device; that went to the ring."""
    return [int(n) for n in t.host(
        "ethtool -S {0} | sed -n 's/ *foreign_dropped: //p'; "
        "cat /sys/class/net/{0}/statistics/tx_packets".format(DEV)).split()]


def redirected(t, setup, action):
    t.cleanup(t.bed.host, "ip link del %s; %s" %
              (DUMMY, load.configuring(DEV, "down")))
    load.configure(t.bed.host, DEV, setup)
    t.host("ip link add {0} type dummy && ip link set {0} up && "
           "tc qdisc add dev {0} clsact && "
           # What the dummy says by itself, for IPv6, is not counted here.
           "tc filter add dev {0} egress protocol 0xfb {1} dev {2}".format(DUMMY, action, DEV))
    foreign, sent = counters(t)
    t.host(SEND % (DUMMY, PACKETS))
    # A qdisc may still hold the last one.
    t.wait_for(t.bed.host, "ethtool -S %s | grep -q 'foreign_dropped: %d$'" %
               (DEV, foreign + PACKETS))
    t.equal(counters(t), [foreign + PACKETS, sent],
            "packets that were dropped as foreign, and that were sent")


def test_redirect(t):
    redirected(t, "pfifo_fast", "matchall action mirred egress redirect")


def test_redirect_direct(t):
    """Nobody schedules the device: sockets pass tc by, others do not."""
    redirected(t, "default", "matchall action mirred egress redirect")


def test_redirect_scheduled(t):
    redirected(t, "vsfq", "flower action mirred egress redirect")


def test_mirror(t):
    redirected(t, "pfifo_fast", "matchall action mirred egress mirror")
