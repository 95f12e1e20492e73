#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send a message in more pieces than a packet holds pages, without copying.

usage: pieces.py TYPE CID PORT            to who echoes (probe.py serve)
"""

import mmap
import socket
import sys

from churn import patient_connect

SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000
MAX_SKB_FRAGS = 17
TYPES = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET}


def pieces(count):
    """Each in a page of its own."""
    memory = mmap.mmap(-1, count * mmap.PAGESIZE)
    for i in range(count):
        memory[i * mmap.PAGESIZE] = i
    view = memoryview(memory)
    return [view[i * mmap.PAGESIZE:][:1] for i in range(count)]


def main(kind, cid, port):
    with socket.socket(socket.AF_VSOCK, TYPES[kind]) as s:
        patient_connect(s, int(cid), int(port))
        s.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        for count in MAX_SKB_FRAGS, MAX_SKB_FRAGS + 1, 100:
            sent = s.sendmsg(pieces(count), [], MSG_ZEROCOPY)
            have = b""
            while sent == count and len(have) < count:
                have += s.recv(count) or exit("pieces.py: the end, early")
            if have != bytes(range(count)):
                exit("pieces.py: %d pieces: %d sent, %r came back" %
                     (count, sent, have))


if __name__ == "__main__":
    main(*sys.argv[1:])
