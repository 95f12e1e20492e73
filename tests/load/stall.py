#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A stream that is cut off in mid-flight.

usage: stall.py serve PORT        read and forget
       stall.py send CID PORT     send until an error; print its name and how
                                  long nothing had moved, in seconds
"""

import errno
import socket
import sys
import time

from churn import patient_connect

CHUNK = 16384


def serve(port):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listener:
        listener.bind((socket.VMADDR_CID_ANY, port))
        listener.listen(1)
        print("ready", flush=True)
        conn, _ = listener.accept()
        try:
            while conn.recv(1 << 20):
                pass
        except OSError as err:
            print(errno.errorcode[err.errno], flush=True)


def send(cid, port):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        patient_connect(s, cid, port)
        print("connected", flush=True)
        moved = time.monotonic()
        try:
            while True:
                s.send(bytes(CHUNK))
                moved = time.monotonic()
        except OSError as err:
            print(errno.errorcode[err.errno], time.monotonic() - moved,
                  flush=True)


if __name__ == "__main__":
    {"serve": serve, "send": send}[sys.argv[1]](*map(int, sys.argv[2:]))
