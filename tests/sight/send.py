#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send connection requests, datagrams, or what else passes between the sockets
of a connection out of a vsock device, to port 5000 of CID 2, or to some of its
ports in turn. They come from PORTS ports in turn, from 1024 on, or each from
another one.

usage: tests/sight/send.py DEVICE KIND COUNT [PORTS [in|TO,...]]
	stream, seqpacket	requests
	accept, reset		answers to those of streams
	data			of seqpacket connections
	dgram
	odd			data of a type that there is not
	in: they arrive at a device that tests/sight/fake.py has made
"""
import fcntl
import os
import socket
import struct
import sys

TUNSETIFF = 0x400454ca
IFF_TUN = 0x0001
ETH_P_VSOCK = 0x00fb
HEADER = struct.Struct("<QQIIIHHIII")
REQUEST, RESPONSE, RST, RW = 1, 2, 3, 5
KINDS = {"stream": (1, REQUEST), "seqpacket": (2, REQUEST), "dgram": (3, RW),
         "data": (2, RW), "odd": (5, RW), "accept": (1, RESPONSE),
         "reset": (1, RST)}


def outward(device, uid=-1):
    """What sends a packet out of the device, as a socket of this user's."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    os.fchown(s.fileno(), uid, -1)
    return lambda packet: s.sendto(packet, (device, ETH_P_VSOCK))


def inward(device):
    """What lets one arrive there."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH14x", device.encode(), IFF_TUN))
    about = struct.pack("!HH", 0, ETH_P_VSOCK)
    return lambda packet: os.write(fd, about + packet)


def main():
    name, kind, count, ports = (sys.argv[1:5] + sys.argv[3:4])[:4]
    where = (sys.argv[5:] + ["5000"])[0]
    send = (inward if where == "in" else outward)(name)
    to = [5000] if where == "in" else [int(port) for port in where.split(",")]
    for number in range(int(count)):
        port, peer = 1024 + number % int(ports), to[number % len(to)]
        try:
            send(HEADER.pack(3, 2, port, peer, 0, *KINDS[kind], 0, 0, 0))
        except OSError:
            pass    # a program on the way has dropped it


if __name__ == "__main__":
    main()
