#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send packets of connections out of a vsock device, from CID 3 to port 5000
of CID 2 or another one, and print those that come through.

usage: tests/sight/ask.py DEVICE OP [peer=CID] [uid=UID] PORT...
	OP as a number, or a number of OP and flags, 4,3
	uid: as if the socket were that user's
"""
import os
import socket
import struct
import sys

ETH_P_VSOCK = 0x00fb
HEADER = struct.Struct("<QQIIIHHIII")

name, op, *rest = sys.argv[1:]
op, flags = map(int, (op + ",0").split(",")[:2])
options = dict(word.split("=") for word in rest if "=" in word)
peer = int(options.get("peer", 2))
ports = [int(word) for word in rest if "=" not in word]
through = []
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as s:
    if "uid" in options:
        os.fchown(s.fileno(), int(options["uid"]), -1)
    for port in ports:
        try:
            s.sendto(HEADER.pack(3, peer, port, 5000, 0, 1, op, flags, 0, 0),
                     (name, ETH_P_VSOCK))
            through.append(port)
        except OSError:
            pass    # a program on the way has dropped it
print(*through)
