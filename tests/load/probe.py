#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Who may talk to whom: connections and datagrams, and what becomes of them.

usage: probe.py serve TYPE:PORT...       answer there
       probe.py try TYPE:CID:PORT[:FROM]...
                                         one line each: what was tried
                                         ("sendto": a datagram from a socket
                                         that is not connected), then
                                         "answered", an error's name or
                                         "silent", then seconds
       probe.py hold CID PORT FILE [TYPE]
                                         use a stream until FILE exists
       probe.py speak PORT FILE          serve one stream: say nothing until
                                         FILE exists, then speak to its end
       probe.py hear CID PORT            connect to that, listen to its end
       probe.py repeat CID PORT FILE     connect again and again until then;
                                         print how often, and what went wrong
       probe.py often CID PORT SECONDS   the same for so long; and how long
       probe.py flood CID PORT COUNT [SIZE]
                                         so many datagrams from one socket
"""

import errno
import os
import select
import socket
import sys
import time

from churn import patient_connect

TYPES = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET,
         "dgram": socket.SOCK_DGRAM, "sendto": socket.SOCK_DGRAM}
# Seconds for a connection, or the answer to a datagram
PATIENCE = int(os.environ.get("PROBE_PATIENCE", 6))


def vsock(kind):
    return socket.socket(socket.AF_VSOCK, TYPES[kind])


def bound(kind, port):
    s = vsock(kind)
    s.bind((socket.VMADDR_CID_ANY, int(port)))
    if kind != "dgram":
        s.listen(64)
    return s


def answer(s):
    """Return a new socket to watch, or whether to watch this one on."""
    if s.type == socket.SOCK_DGRAM:
        data, peer = s.recvfrom(65536)
        s.sendto(data, peer)
        return None
    try:
        if s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return s.accept()[0]
        data = s.recv(65536)
        s.sendall(data)
    except OSError:
        data = b""
    if not data:
        s.close()
    return None


def serve(*ports):
    sockets = [bound(*port.split(":")) for port in ports]
    print("serving", flush=True)
    while True:
        for s in select.select(sockets, [], [])[0]:
            new = answer(s)
            if new:
                sockets.append(new)
        sockets = [s for s in sockets if s.fileno() >= 0]


def outcome(kind, cid, port, local=None):
    with vsock(kind) as s:
        try:
            if local:
                s.bind((socket.VMADDR_CID_ANY, int(local)))
            s.settimeout(PATIENCE if s.type == socket.SOCK_DGRAM else None)
            if kind == "sendto":
                s.sendto(b"hello", (int(cid), int(port)))
            else:
                patient_connect(s, int(cid), int(port), PATIENCE)
                s.send(b"hello")
            return "answered" if s.recv(64) == b"hello" else "closed"
        except OSError as err:
            # A timeout of Python's own has no number.
            return errno.errorcode[err.errno] if err.errno else "silent"


def try_(*probes):
    for probe in probes:
        start = time.monotonic()
        print(probe, outcome(*probe.split(":")),
              "%.2f" % (time.monotonic() - start), flush=True)


def hold(cid, port, path, kind="stream"):
    with vsock(kind) as s:
        patient_connect(s, int(cid), int(port), PATIENCE)
        print("connected", flush=True)
        while not os.path.exists(path):
            s.send(b"still here")
            if not s.recv(64):
                sys.exit("probe.py: the other side is gone")
            time.sleep(0.05)
    print("done", flush=True)


def speak(port, path):
    with bound("stream", port) as listener:
        print("serving", flush=True)
        s, _ = listener.accept()
        while not os.path.exists(path):
            time.sleep(0.05)
        try:
            while s.send(b"still here"):
                time.sleep(0.05)
        except BrokenPipeError:
            print("ended", flush=True)


def hear(cid, port):
    with vsock("stream") as s:
        patient_connect(s, int(cid), int(port), PATIENCE)
        print("connected", flush=True)
        while s.recv(64):
            pass
    print("ended", flush=True)


def repeat(cid, port, path):
    print("started", flush=True)
    counts = {}
    while not os.path.exists(path):
        result = outcome("stream", cid, port)
        counts[result] = counts.get(result, 0) + 1
    print(counts, flush=True)


def often(cid, port, seconds):
    counts, start = {}, time.monotonic()
    while time.monotonic() < start + float(seconds):
        result = outcome("stream", cid, port)
        counts[result] = counts.get(result, 0) + 1
    print(counts, "%.3f" % (time.monotonic() - start), flush=True)


def flood(cid, port, count, size=64):
    with vsock("dgram") as s:
        for _ in range(int(count)):
            s.sendto(bytes(int(size)), (int(cid), int(port)))


if __name__ == "__main__":
    {"serve": serve, "try": try_, "hold": hold, "speak": speak, "hear": hear,
     "repeat": repeat, "often": often,
     "flood": flood}[sys.argv[1]](*sys.argv[2:])
