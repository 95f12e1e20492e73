#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Connections that are closed as soon as all was sent: all of it arrives.

usage: close.py serve PORT            read them, each to its end; streams, and at
                                      the next port connections of messages
       close.py send CID PORT SECONDS make them, one after the other, of each kind
                                      in turn; print how many there were, their
                                      bytes and the longest time one took, then how
                                      many had bytes left in their socket when they
                                      were closed; fail if the server has not got
                                      all of each
"""

import array
import fcntl
import random
import socket
import struct
import sys
import termios
import threading
import time

from churn import (STALL_SECONDS, listening, patient_connect, received,
                   set_time)

# What the rest is made from, and how long it is; 0: so many were sent, how many
# of them came?
HEAD = struct.Struct("=QQ")
# More than the credit of a connection: the last 256 KiB of it wait at most.
MOST = 300007
# Of a write, which is a message where there are some.
PIECE = 50021
KINDS = socket.SOCK_STREAM, socket.SOCK_SEQPACKET


def content(seed, size):
    return random.Random(seed).randbytes(size)


def limit_send(s):
    """Fail when so long nothing can be sent. With settimeout() a message would
    be sent without blocking, and 7.3.4 sends a part of one that has no credit:
    what is sent again follows that."""
    set_time(s, socket.SOL_SOCKET, socket.SO_SNDTIMEO, STALL_SECONDS)


def send_pieces(s, data):
    for i in range(0, len(data), PIECE):
        s.sendall(data[i:i + PIECE])


def unsent(s):
    """Bytes that the device has not taken yet."""
    left = array.array("i", [0])
    fcntl.ioctl(s, termios.TIOCOUTQ, left)
    return left[0]


class Server:
    def __init__(self):
        self.ended = threading.Condition()
        self.count, self.faults = 0, []

    def take(self, conn):
        """Returns what is wrong with what came, or who asked."""
        head = received(conn, HEAD.size)
        seed, size = HEAD.unpack(head)
        if not size:
            self.answer(conn, seed)
            return None
        data = b""
        while more := conn.recv(1 << 20):
            data += more
        if data == content(seed, size):
            return ""
        return "%d of %d bytes came, or others" % (len(data), size)

    def answer(self, conn, count):
        with self.ended:
            self.ended.wait_for(lambda: self.count >= count, STALL_SECONDS)
            said = "%d ended\n%s" % (self.count, "\n".join(self.faults))
        conn.sendall(said.encode())

    def serve(self, conn):
        with conn:
            conn.settimeout(STALL_SECONDS)
            try:
                fault = self.take(conn)
            except OSError as err:
                fault = str(err)
        if fault is None:
            return
        with self.ended:
            self.count += 1
            self.faults += [fault] if fault else []
            self.ended.notify_all()


def accept(server, listener):
    while True:
        threading.Thread(target=server.serve, args=listener.accept()[:1],
                         daemon=True).start()


def serve(port):
    server = Server()
    streams, messages = (listening(kind, port + i)
                         for i, kind in enumerate(KINDS))
    print("serving", flush=True)
    threading.Thread(target=accept, args=(server, messages),
                     daemon=True).start()
    accept(server, streams)


def connection(kind, cid, port, seed, size):
    """Returns whether something was left in the socket."""
    with socket.socket(socket.AF_VSOCK, kind) as s:
        patient_connect(s, cid, port)
        limit_send(s)
        s.sendall(HEAD.pack(seed, size))
        send_pieces(s, content(seed, size))
        return unsent(s) > 0


def ask(cid, port, count):
    """What the server says that came of so many connections."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        patient_connect(s, cid, port)
        s.settimeout(2 * STALL_SECONDS)
        s.sendall(HEAD.pack(count, 0))
        said = b""
        while more := s.recv(4096):
            said += more
    return said.decode()


def send(cid, port, seconds):
    end = time.monotonic() + seconds
    count = total = left = 0
    slowest = 0
    while time.monotonic() < end:
        start, size = time.monotonic(), random.randint(1, MOST)
        turn = count % len(KINDS)
        left += connection(KINDS[turn], cid, port + turn,
                           random.getrandbits(64), size)
        slowest = max(slowest, time.monotonic() - start)
        count += 1
        total += size
    said = ask(cid, port, count)
    if said != "%d ended\n" % count:
        sys.exit("close.py: %d were closed; %s" % (count, said))
    print(count, total, "%.3f" % slowest)
    print("left", left)


if __name__ == "__main__":
    {"serve": serve, "send": send}[sys.argv[1]](*map(int, sys.argv[2:]))
