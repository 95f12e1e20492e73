#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send packets of connections out of a vsock device, from CID 3 to port 5000
of CID 2, and print those that come through.

usage: tests/sight/ask.py DEVICE OP PORT...    OP as a number, or a number of
                                               OP and flags, 4,3
"""
import socket
import struct
import sys

ETH_P_VSOCK = 0x00fb
HEADER = struct.Struct("<QQIIIHHIII")

name, op, *ports = sys.argv[1:]
op, flags = map(int, (op + ",0").split(",")[:2])
through = []
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as s:
    for port in map(int, ports):
        try:
            s.sendto(HEADER.pack(3, 2, port, 5000, 0, 1, op, flags, 0, 0),
                     (name, ETH_P_VSOCK))
            through.append(port)
        except OSError:
            pass    # a program on the way has dropped it
print(*through)
