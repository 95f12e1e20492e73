#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A stream that is cut off in mid-flight.

usage: stall.py serve PORT        read and forget
       stall.py send CID PORT     send until an error; print its name and how
                                  long nothing had moved, in seconds
       stall.py leave CID PORT    connect, wait for SIGUSR1, send, and close; the
                                  socket has SO_PRIORITY 6
       stall.py give PORT SIZE    send so many bytes to one connection
       stall.py take CID PORT SIZE    connect, wait for SIGUSR1, read them, and
                                  send a byte after each read
       stall.py wait CID PORT      connect, wait for SIGUSR1, read, answer once,
                                   and then wait for more than a byte at once
       stall.py vain CID PORT COUNT   connect, and close before there is an answer
"""

import errno
import select
import signal
import socket
import sys
import time

from churn import patient_connect, received

CHUNK = 16384
PIECE = 10007
PACKET = 65536
MOST_SECONDS = 20       # without a byte; after 30 who is refused fails


def go():
    print("connected", flush=True)
    signal.sigwait({signal.SIGUSR1})


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


def leave(cid, port):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 6)
        patient_connect(s, cid, port)
        go()
        s.sendall(bytes(CHUNK))


def give(port, size):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listener:
        listener.bind((socket.VMADDR_CID_ANY, port))
        listener.listen(1)
        print("ready", flush=True)
        conn, _ = listener.accept()
        conn.sendall(bytes(size))
        while conn.recv(size):
            pass


def take(cid, port, size):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        patient_connect(s, cid, port)
        go()
        s.settimeout(MOST_SECONDS)
        while size:
            size -= len(s.recv(min(size, PIECE)) or sys.exit("the end, early"))
            s.send(b"x")


def wait(cid, port):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        patient_connect(s, cid, port)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 20000)
        go()
        received(s, PACKET)
        s.send(b"x")
        # Less is left than is waited for, of a packet that counts as a whole.
        received(s, 2 * PACKET + 60000)
        if not select.select([s], [], [], MOST_SECONDS)[0]:
            sys.exit("no more came")


def vain(cid, port, count):
    for _ in range(count):
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
            s.setblocking(False)
            s.connect_ex((cid, port))


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    {"serve": serve, "send": send, "leave": leave, "give": give, "take": take,
     "wait": wait, "vain": vain}[sys.argv[1]](*map(int, sys.argv[2:]))
