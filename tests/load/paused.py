#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Connections of a guest that the VMM stops while the host goes on.

usage: paused.py host PORT        accept two; at SIGUSR1 read what came of the
                                  first, which is all that its sender may send,
                                  and close the second; then read on
       paused.py guest CID PORT   open two; fill the first, say so and send as much
                                  again; wait for the end of the second
"""

import signal
import socket
import sys

from churn import listening, patient_connect, received

# The default credit of a connection.
FULL = 262144


def host(port):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    with listening(socket.SOCK_STREAM, port) as listener:
        print("ready", flush=True)
        first, second = [listener.accept()[0] for _ in range(2)]
    signal.sigwait({signal.SIGUSR1})
    received(first, FULL)
    second.close()
    print("read", flush=True)
    received(first, FULL)


def guest(cid, port):
    first, second = [socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
                     for _ in range(2)]
    for s in first, second:
        patient_connect(s, cid, port)
    first.sendall(bytes(FULL))
    print("full", flush=True)
    first.sendall(bytes(FULL))
    print("sent all", flush=True)
    if second.recv(1):
        sys.exit("what nobody sent")


if __name__ == "__main__":
    {"host": host, "guest": guest}[sys.argv[1]](*map(int, sys.argv[2:]))
