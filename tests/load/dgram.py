#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Datagrams from a program that never heard of vsfq.

dgram.py serve PORT       answer each datagram with itself, until "bye"
dgram.py send CID PORT    send some of every size, both ways must be whole
dgram.py notify CID PORT  what sd_notify("READY=1") does for
                          NOTIFY_SOCKET=vsock-dgram:CID:PORT
dgram.py listen PORT      print the first datagram, as a service manager would
"""
import errno
import os
import socket
import sys

SIZES = 0, 1, 3732, 3733, 4000, 4096, 20000, 65535, 65536


def open_socket(port=None):
    """Who serves waits for ever: a client may take long to start."""
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_DGRAM)
    if port is None:
        s.settimeout(20)
    else:
        s.bind((socket.VMADDR_CID_ANY, port))
        print("ready", flush=True)
    return s


def serve(port):
    s = open_socket(int(port))
    data = None
    while data != b"bye":
        data, peer = s.recvfrom(65537)
        s.sendto(data, peer)


def send(cid, port):
    s, to = open_socket(), (int(cid), int(port))
    for size in SIZES:
        data = os.urandom(size)
        if s.sendto(data, to) != size or s.recvfrom(65537) != (data, to):
            sys.exit(f"dgram.py: {size} bytes did not come back")
    try:
        sys.exit(f"dgram.py: {s.sendto(bytes(65537), to)} bytes went out")
    except OSError as e:
        if e.errno != errno.EMSGSIZE:
            raise
    s.sendto(b"bye", to)
    print(*SIZES, "bytes: whole; 65537: EMSGSIZE")


def notify(cid, port):
    s = open_socket()
    s.sendmsg([b"READY=1"], [], socket.MSG_NOSIGNAL, (int(cid), int(port)))


def listen(port):
    print(open_socket(int(port)).recvfrom(4096)[0].decode())


if __name__ == "__main__":
    commands = {f.__name__: f for f in (serve, send, notify, listen)}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    try:
        commands[sys.argv[1]](*sys.argv[2:])
    except OSError as e:
        sys.exit(f"dgram.py: {sys.argv[1]}: {e.strerror or e}")
