#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the tap (vsockmon0, up) shows is what was sent and what came back, of
packets that lie in one piece and of those that do not.

usage: tap.py CID PORT          to who echoes streams and datagrams (probe.py)
"""

import socket
import struct
import sys

from churn import patient_connect

SO_RCVBUFFORCE, SO_ZEROCOPY, MSG_ZEROCOPY = 33, 60, 0x4000000
ETH_P_ALL = 3
OP_RW = 5
# struct af_vsockmon_hdr, then struct virtio_vsock_hdr.
MON = struct.Struct("<QQIIHHH2x")
VSOCK = struct.Struct("<QQIIIHHIII")
DATA = bytes(range(251)) * 262          # 65,762 bytes: two packets
DATAGRAM = DATA[:20000]


def tap():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    s.bind(("vsockmon0", ETH_P_ALL))
    s.settimeout(20)
    return s


def shown(s, port, size):
    """The payload of so many bytes to that port, and of as many from it."""
    to = from_ = b""
    while len(to) < size or len(from_) < size:
        packet = s.recv(1 << 17)
        hdr = VSOCK.unpack_from(packet, MON.size)
        payload = packet[MON.size + VSOCK.size:]
        if hdr[4] != len(payload):
            sys.exit("tap.py: %d bytes of payload, the header says %d" %
                     (len(payload), hdr[4]))
        if hdr[6] == OP_RW and hdr[3] == port:
            to += payload
        elif hdr[6] == OP_RW and hdr[2] == port:
            from_ += payload
    return to, from_


def talk(kind, cid, port, data, flags=0):
    with tap() as watch, socket.socket(socket.AF_VSOCK, kind) as s:
        patient_connect(s, cid, port)
        if flags:
            s.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        rest = memoryview(data)
        while rest:
            rest = rest[s.send(rest, flags):]
        left = len(data)
        while left:
            left -= len(s.recv(left) or sys.exit("tap.py: the end, early"))
        if shown(watch, port, len(data)) != (data, data):
            sys.exit("tap.py: the tap shows something else")


def main(cid, port):
    talk(socket.SOCK_STREAM, cid, port, DATA)
    talk(socket.SOCK_STREAM, cid, port, DATA, MSG_ZEROCOPY)
    talk(socket.SOCK_DGRAM, cid, port, DATAGRAM)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
