# SPDX-License-Identifier: GPL-2.0-only
"""Streams lose nothing, whatever tc does to the guest's device.

vsload verifies each byte at the receiver and compares the counts at the end;
it exits with an error otherwise.
"""

import re

from load import GUEST_DEV as DEV, HOST_DEV, up
from situations import SPOILS

BED = "pair"

PORT = 5900
CLOSE_PORT = 5910
CLIENT = ("build/vsload client --cid 2 --port %d --streams 4 --ping 1 "
          "--duration " % PORT)


def load(t):
    t.guest(CLIENT + "3", limit=100)


def under(t, qdisc):
    t.serve(t.bed.host, PORT)
    up(t)
    t.guest("tc qdisc replace dev %s root %s" % (DEV, qdisc))
    load(t)


def test_pfifo_fast(t):
    under(t, "pfifo_fast")


def test_fq_codel(t):
    under(t, "fq_codel")


def test_sfq(t):
    under(t, "sfq")


def test_fq(t):
    """fq orphans what it queues: the socket is no sign of life."""
    under(t, "fq")


def test_tail_drop(t):
    under(t, "tbf rate 40mbit burst 128k latency 50ms")


def test_netem_loss(t):
    under(t, SPOILS["netem_loss_20"])


def test_netem_everything(t):
    under(t, SPOILS["netem_everything"])


def test_netem_corrupt(t):
    under(t, SPOILS["netem_corrupt_30"])


def test_replace_and_flap(t):
    """The qdisc is replaced and the device goes down and up meanwhile."""
    t.serve(t.bed.host, PORT)
    up(t)
    # The guest's only CPU is busy: each of these commands may take a second.
    shown = t.guest(CLIENT + "25 & "
                    "while kill -0 $!; do "
                    "tc qdisc replace dev {0} root pfifo limit 100; "
                    "tc qdisc replace dev {0} root netem delay 3ms; "
                    "ip link set {0} down; ip link set {0} up; echo round; "
                    "done 2>/dev/null; wait $!".format(DEV), limit=150)
    t.check(shown.count("round\n") > 1, "only one round:\n%s" % shown)


def closes(t, sender, dev, receiver, cid):
    """What waits for the device when its socket is closed arrives."""
    t.start_server(receiver, "python3 tests/load/close.py serve %d" %
                   CLOSE_PORT, "serving")
    t.cleanup(sender, "tc qdisc del dev {0} root; ip link set {0} down".format(
        dev))
    t.run(sender, "ip link set {0} up && tc qdisc replace dev {0} root netem "
          "delay 1s limit 10000".format(dev))
    said = t.run(sender, "python3 tests/load/close.py send %d %d 4" %
                 (cid, CLOSE_PORT), limit=100)
    t.check(re.search(r"^left [1-9]", said, re.M),
            "nothing waited when it was closed:\n" + said)


def test_close(t):
    closes(t, t.bed.guest, DEV, t.bed.host, 2)
    closes(t, t.bed.host, HOST_DEV, t.bed.guest, 42)


def test_direct_path_is_silent(t):
    """Up with the untouched default qdisc, tc sees nothing."""
    t.serve(t.bed.host, PORT)
    up(t)
    load(t)
    shown = t.guest("tc -s qdisc show dev %s" % DEV)
    t.check("pfifo_fast 0:" in shown, "default qdisc: %s" % shown)
    t.check("Sent 0 bytes 0 pkt" in shown, "tc saw packets: %s" % shown)
