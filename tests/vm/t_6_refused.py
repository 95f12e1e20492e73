# SPDX-License-Identifier: GPL-2.0-only
"""A VMM that filters the feature bit, and nobody who forces it."""

BED = "auto"

DGRAM = "tests/load/dgram.py"
VSLOAD = "build/vsload"


def refused(t, vm, cid):
    output = t.run(vm, "timeout 5 python3 %s send %d 1025" % (DGRAM, cid),
                   status=1)
    t.check("not supported" in output, "the error is %r" % output)


def test_guest_is_refused(t):
    refused(t, t.bed.guest, 2)


def test_host_is_refused(t):
    refused(t, t.bed.host, 42)


def test_streams_work(t):
    job = t.start(t.bed.host, VSLOAD + " server")
    t.wait_for(t.bed.host, "grep -q serving /run/vsfq/%s.out" % job.ident)
    t.guest(VSLOAD + " client --streams 2 --ping 1 --duration 2")


def test_load_says_why(t):
    job = t.start(t.bed.host, VSLOAD + " server")
    t.wait_for(t.bed.host, "grep -q serving /run/vsfq/%s.out" % job.ident)
    output = t.guest(VSLOAD + " client --streams 1 --dgram-flood 1", status=1)
    t.equal(output, "vsload: cannot send datagrams to CID 2 port 5000: "
            "Operation not supported\n", "the message")
