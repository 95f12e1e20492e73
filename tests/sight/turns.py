#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send datagrams from one socket to four addresses in turn, whether anybody
takes them or not.

usage: tests/sight/turns.py CID COUNT
"""
import socket
import sys

with socket.socket(socket.AF_VSOCK, socket.SOCK_DGRAM) as s:
    s.setblocking(False)
    for number in range(int(sys.argv[2])):
        try:
            s.sendto(b"", (int(sys.argv[1]), 5000 + number % 4))
        except OSError:
            pass    # its buffer is full
