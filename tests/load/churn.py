#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Short-lived connections, one after the other, to a server of vsload.

usage: churn.py CID PORT SECONDS    print how many there were, their bytes and
                                    the longest time one took; fail with the
                                    first that did not get back what it sent
"""

import ctypes
import os
import random
import socket
import struct
import sys
import time

# struct hello of wire.h, of a ping: the server answers with what it gets.
HELLO = struct.Struct("=IIQIIIIQ").pack(0x76734c33, 2, *6 * [0])
PING_SIZE = 64
MOST_PINGS = 64
STALL_SECONDS = 60
SO_VM_SOCKETS_CONNECT_TIMEOUT = 6
LIBC = ctypes.CDLL(None, use_errno=True)


def received(s, size):
    data = b""
    while len(data) < size:
        more = s.recv(size - len(data))
        if not more:
            raise ConnectionResetError("ended after %d of %d bytes" %
                                       (len(data), size))
        data += more
    return data


def set_time(s, level, option, seconds):
    """Python's own setsockopt() knows no other value for a vsock than 8 bytes."""
    value = struct.pack("@ll", seconds, 0)
    if LIBC.setsockopt(s.fileno(), level, option, value, len(value)):
        raise OSError(ctypes.get_errno(), "option %d" % option)


def patient_connect(s, cid, port, seconds=STALL_SECONDS):
    """Wait as long as for everything else; the default is 2 s, for which an
    emulated guest may stand still. A datagram's socket does not wait."""
    if s.type == socket.SOCK_DGRAM:
        s.connect((cid, port))
        return
    set_time(s, socket.AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, seconds)
    s.connect((cid, port))


def listening(kind, port):
    listener = socket.socket(socket.AF_VSOCK, kind)
    listener.bind((socket.VMADDR_CID_ANY, port))
    listener.listen(128)
    return listener


def connection(cid, port):
    """One connection; returns how many bytes came back."""
    data = os.urandom(PING_SIZE * random.randint(1, MOST_PINGS))
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        patient_connect(s, cid, port)
        s.settimeout(STALL_SECONDS)
        s.sendall(HELLO + data)
        if received(s, len(data)) != data:
            raise ValueError("the answer is not what was sent")
    return len(data)


def main(cid, port, seconds):
    end = time.monotonic() + seconds
    count = total = 0
    slowest = 0
    while time.monotonic() < end:
        start = time.monotonic()
        try:
            total += connection(cid, port)
        except (OSError, ValueError) as err:
            sys.exit("connection %d: %s" % (count + 1, err))
        slowest = max(slowest, time.monotonic() - start)
        count += 1
    print(count, total, "%.3f" % slowest)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
