# SPDX-License-Identifier: GPL-2.0-only
"""Programs that never heard of vsfq, and vsload, which has."""

import itertools
import json
import re

BED = "pair"

HOST_CID, LOCAL_CID, GUEST_CID = 2, 1, 42
DGRAM = "tests/load/dgram.py"
VSLOAD = "build/vsload"

# Nobody waits for a killed server to let go of its ports.
PORTS = itertools.count(5000, 2)


def python_both_ways(t, server, client, cid):
    """Sizes from 0 to 65,536 bytes, each echoed whole."""
    port = next(PORTS)
    job = t.start_server(server, "python3 %s serve %d" % (DGRAM, port),
                         "ready")
    t.run(client, "python3 %s send %d %d" % (DGRAM, cid, port))
    t.equal(job.wait(), 0, "exit status of the echoing server")


def test_python_guest_to_host(t):
    python_both_ways(t, t.bed.host, t.bed.guest, HOST_CID)


def test_python_host_to_guest(t):
    python_both_ways(t, t.bed.guest, t.bed.host, GUEST_CID)


def test_python_loopback(t):
    python_both_ways(t, t.bed.guest, t.bed.guest, LOCAL_CID)


def test_credit(t):
    t.guest("python3 tests/load/credit.py")


def notified(t, command):
    """The host listens as a VMM's user does, the guest notifies."""
    port = next(PORTS)
    job = t.start_server(t.bed.host, "python3 %s listen %d" % (DGRAM, port),
                         "ready")
    t.guest(command % (HOST_CID, port))
    t.equal(job.wait(), 0, "exit status of the listener")
    t.check("READY=1" in job.output, "heard %r" % job.output)


def test_notify_by_hand(t):
    notified(t, "python3 " + DGRAM + " notify %d %d")


def test_notify_systemd(t):
    """systemd-notify knows vsock-dgram since version 254."""
    version = re.search(r"^systemd (\d+)",
                        t.guest("systemd-notify --version", status=None))
    if not version or int(version.group(1)) < 254:
        t.skip("systemd-notify is missing or older than 254")
    notified(t, "NOTIFY_SOCKET=vsock-dgram:%d:%d systemd-notify --ready")


def load(t, server, client, cid, options):
    """Run vsload, which fails by itself when content is wrong."""
    port = next(PORTS)
    t.serve(server, port)
    t.run(client, "%s client --cid %d --port %d --duration 4 "
          "--json /run/load.json %s" % (VSLOAD, cid, port, options), limit=120)
    return json.loads(t.run(client, "cat /run/load.json"))


def directions(t):
    return [(t.bed.host, t.bed.guest, HOST_CID),
            (t.bed.guest, t.bed.host, GUEST_CID)]


def check_load(t, options, what):
    for server, client, cid in directions(t):
        result = load(t, server, client, cid, options)
        t.check(result["verified"], "not verified")
        for r in result["stream_results"]:
            t.check(r["received"] > 0, "a stream moved nothing")
        if what == "datagrams":
            t.check(result["dgram_results"]["received"] > 0,
                    "no datagram arrived")


def test_load_streams(t):
    check_load(t, "--streams 8 --ping 1", "streams")


def test_load_odd_writes(t):
    check_load(t, "--streams 3 --write-size 5003", "streams")


def test_load_seqpacket(t):
    check_load(t, "--streams 3 --type seqpacket --write-size 30011", "streams")


def test_load_everything(t):
    check_load(t, "--streams 2 --ping 1 --dgram-flood 2 --dgram-size 200",
               "datagrams")


def test_load_large_datagrams(t):
    """Host to guest, these take several receive buffers each."""
    check_load(t, "--dgram-flood 1 --dgram-size 65536", "datagrams")


def test_load_nonblocking_datagrams(t):
    check_load(t, "--dgram-flood 2 --dgram-size 1000 --dgram-nowait",
               "datagrams")


def test_pieces(t):
    """What cannot be sent without copying it is copied."""
    for server, client, cid in [*directions(t),
                                (t.bed.guest, t.bed.guest, LOCAL_CID)]:
        port, other = next(PORTS), next(PORTS)
        t.start_server(server, "python3 tests/load/probe.py serve stream:%d "
                       "seqpacket:%d" % (port, other), "serving")
        t.run(client, "python3 tests/load/pieces.py stream %d %d && "
              "python3 tests/load/pieces.py seqpacket %d %d" %
              (cid, port, cid, other))


def test_tap(t):
    """The tap sees every byte, and harms nobody."""
    for server, client, cid in [*directions(t),
                                (t.bed.guest, t.bed.guest, LOCAL_CID)]:
        port = next(PORTS)
        t.run(client, "ip link add vsockmon0 type vsockmon && "
              "ip link set vsockmon0 up")
        t.cleanup(client, "ip link del vsockmon0")
        t.start_server(server, "python3 tests/load/probe.py serve stream:%d "
                       "dgram:%d" % (port, port), "serving")
        t.run(client, "python3 tests/load/tap.py %d %d" % (cid, port),
              limit=90)
        t.run(client, "ip link del vsockmon0")
