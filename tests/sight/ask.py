#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send packets of connections out of a vsock device, from CID 3 to port 5000
of CID 2 or another one, and print those that come through.

usage: tests/sight/ask.py DEVICE OP [in] [by=DEVICE] [peer=CID] [uid=UID]
                          PORT...
	OP as a number, or a number of OP and flags, 4,3
	in: they arrive from there, see tests/sight/send.py
	by: out of that one, which mirrors them to a tun
	uid: as if the socket were that user's
"""
import sys

from send import HEADER, inward, outward

name, op, *rest = sys.argv[1:]
op, flags = map(int, (op + ",0").split(",")[:2])
options = dict(word.split("=") for word in rest if "=" in word)
peer = int(options.get("peer", 2))
ports = [int(word) for word in rest if word != "in" and "=" not in word]
# Nothing is mirrored to a tun that nobody has open.
arrive = inward(name) if "in" in rest or "by" in options else None
send = arrive if "in" in rest else outward(options.get("by", name),
                                           int(options.get("uid", -1)))
through = []
for port in ports:
    ends = (peer, 3, 5000, port) if "in" in rest else (3, peer, port, 5000)
    try:
        send(HEADER.pack(*ends, 0, 1, op, flags, 0, 0))
        through.append(port)
    except OSError:
        pass    # a program on the way has dropped it
print(*through)
