#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send connection requests, datagrams, or what else passes between the sockets
of a connection out of a vsock device, to port 5000 of CID 2. They come from
PORTS ports in turn, from 1024 on, or each from another one.

usage: tests/sight/send.py DEVICE KIND COUNT [PORTS]
	stream, seqpacket	requests
	accept, reset		answers to those of streams
	data			of seqpacket connections
	dgram
"""
import socket
import struct
import sys

ETH_P_VSOCK = 0x00fb
HEADER = struct.Struct("<QQIIIHHIII")
REQUEST, RESPONSE, RST, RW = 1, 2, 3, 5
KINDS = {"stream": (1, REQUEST), "seqpacket": (2, REQUEST), "dgram": (3, RW),
         "data": (2, RW), "accept": (1, RESPONSE), "reset": (1, RST)}

name, kind, count, ports = (sys.argv[1:] + sys.argv[3:4])[:4]
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as s:
    for number in range(int(count)):
        port = 1024 + number % int(ports)
        try:
            s.sendto(HEADER.pack(3, 2, port, 5000, 0, *KINDS[kind], 0, 0, 0),
                     (name, ETH_P_VSOCK))
        except OSError:
            pass    # a program on the way has dropped it
