# SPDX-License-Identifier: GPL-2.0-only
"""A VMM that filters the feature bit, and nobody who forces it."""

BED = "bare"

DGRAM = "tests/load/dgram.py"
VSLOAD = "build/vsload"


def refused(t, vm, cid):
    """By sendto() itself: a datagram lost in silence ends as "timed out"."""
    output = t.run(vm, "python3 %s send %d 1025" % (DGRAM, cid), status=1)
    t.check("not supported" in output, "the error is %r" % output)


def test_guest_is_refused(t):
    refused(t, t.bed.guest, 2)


def test_host_is_refused(t):
    refused(t, t.bed.host, 42)


def load(t, port, options, status):
    t.serve(t.bed.host, port)
    return t.guest("%s client --port %d --duration 2 %s" %
                   (VSLOAD, port, options), status=status)


def test_streams_work(t):
    load(t, 5000, "--streams 2 --ping 1", 0)


def test_load_says_why(t):
    output = load(t, 5002, "--streams 1 --dgram-flood 1", 1)
    t.equal(output, "vsload: cannot send datagrams to CID 2 port 5002: "
            "Operation not supported\n", "the message")
