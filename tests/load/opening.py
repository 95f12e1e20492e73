#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Connections whose beginning is held back.

usage: opening.py serve PORT       accept one, change its buffer at once, say so
                                   to the client
       opening.py connect CID PORT     the same on the other side: change the
                                   buffer while it connects, read one byte
       opening.py give PORT       send each who comes more than he waits for
       opening.py again CID PORT  connect, leave, and connect from the same port
       opening.py listen PORT COUNT    let so many connect, and accept none
       opening.py crowd CID PORT COUNT REFUSED     so many connect at once; say
                                   so when so many of them are refused
"""

import errno
import select
import signal
import socket
import sys
import time

from churn import patient_connect, received

# Another one than the default, which is told to the peer.
BUFFER = 65536
BIND_SECONDS = 20


def open_stream():
    return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)


def open_listener(port, backlog):
    s = open_stream()
    s.bind((socket.VMADDR_CID_ANY, port))
    s.listen(backlog)
    print("ready", flush=True)
    return s


def change_buffer(s):
    s.setsockopt(socket.AF_VSOCK, socket.SO_VM_SOCKETS_BUFFER_SIZE, BUFFER)


def serve(port):
    with open_listener(port, 1) as listener, listener.accept()[0] as s:
        change_buffer(s)
        s.sendall(b"x")
        s.recv(1)


def connect(cid, port):
    with open_stream() as s:
        # Python takes a socket with a timeout for one that does not block.
        s.setblocking(False)
        try:
            patient_connect(s, cid, port)
        except BlockingIOError:
            pass
        change_buffer(s)
        s.setblocking(True)
        select.select([], [s], [])
        if s.recv(1) != b"x":
            sys.exit("the end, early")


def give(port):
    # To close one would reset the next between the same ports.
    kept = []
    with open_listener(port, 2) as listener:
        for who in b"12":
            s = listener.accept()[0]
            kept.append(s)
            s.setblocking(False)
            try:
                while True:
                    s.send(bytes([who]) * BUFFER)
            except BlockingIOError:
                s.setblocking(True)
            s.recv(1)


def patient_bind(s, port):
    """The one before has it until his peer says that he has heard, or 8 s."""
    for _ in range(BIND_SECONDS):
        try:
            s.bind((socket.VMADDR_CID_ANY, port))
            return
        except OSError as err:
            if err.errno != errno.EADDRINUSE:
                raise
        time.sleep(1)
    sys.exit("the port is never free")


def again(cid, port):
    for who in b"12":
        with open_stream() as s:
            patient_bind(s, port)
            patient_connect(s, cid, port)
            # More than the first grant lets through: all that fits waits then.
            if set(received(s, BUFFER + 1)) != {who}:
                sys.exit("what was not for us")


def listen(port, count):
    with open_listener(port, count):
        signal.pause()


def crowd(cid, port, count, refused):
    poll = select.poll()
    sockets = {}
    for _ in range(count):
        s = open_stream()
        s.setblocking(False)
        try:
            patient_connect(s, cid, port)
        except BlockingIOError:
            sockets[s.fileno()] = s
            poll.register(s, 0)
    print("asked", flush=True)
    while refused:
        for fd, _ in poll.poll():
            poll.unregister(fd)
            err = sockets[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if err != errno.ECONNRESET:
                sys.exit("one got %s" % errno.errorcode.get(err, err))
            refused -= 1
    print("refused", flush=True)
    signal.pause()


if __name__ == "__main__":
    {"serve": serve, "connect": connect, "give": give, "again": again,
     "listen": listen, "crowd": crowd}[sys.argv[1]](*map(int, sys.argv[2:]))
