#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make the kernel hold as much as it accepts, and keep it.

usage: hold.py listen PORT BUFFER streams and datagrams come, seqpackets to the
                                  next port, nothing is read; BUFFER is the
                                  credit of each, in bytes
       hold.py stream CID PORT COUNT SIZE      COUNT connections, writes of SIZE
       hold.py seqpacket CID PORT COUNT SIZE   the same in messages
       hold.py dgram CID PORT COUNT SIZE SECONDS    COUNT sockets in turn; after
                                               a round goes on until SECONDS are
                                               over

The senders say "ready", wait for SIGUSR1, send without blocking as long as the
kernel takes something, say "sent BYTES, at most BYTES by each", and stay.
"""

import resource
import select
import signal
import socket
import sys
import time

from churn import listening, patient_connect

# How long a socket that takes nothing is asked again: who makes room may stand
# still for seconds.
FULL_SECONDS = 10
MAX_FILES = 16384


def listener(kind, port, credit):
    """What it accepts inherits the credit."""
    s = listening(kind, port)
    s.setsockopt(socket.AF_VSOCK, socket.SO_VM_SOCKETS_BUFFER_SIZE, credit)
    return s


def listen(port, credit):
    dgram_socket = socket.socket(socket.AF_VSOCK, socket.SOCK_DGRAM)
    dgram_socket.bind((socket.VMADDR_CID_ANY, port))
    kept = [dgram_socket]
    listeners = [listener(socket.SOCK_STREAM, port, credit),
                 listener(socket.SOCK_SEQPACKET, port + 1, credit)]
    print("listening", flush=True)
    while True:
        ready, _, _ = select.select(listeners, [], [])
        kept += [s.accept()[0] for s in ready]


def go():
    print("ready", flush=True)
    signal.sigwait({signal.SIGUSR1})


def stay(sent):
    print("sent %d, at most %d by each" % (sum(sent), max(sent)), flush=True)
    signal.pause()


def sockets(kind, address, count):
    opened = []
    for _ in range(count):
        s = socket.socket(socket.AF_VSOCK, kind)
        patient_connect(s, *address)
        s.setblocking(False)
        opened.append(s)
    return opened


def connected(kind, address, count, size):
    opened = sockets(kind, address, count)
    sent = dict.fromkeys(opened, 0)
    go()
    while True:
        _, room, _ = select.select([], opened, [], FULL_SECONDS)
        if not room:
            break
        for s in room:
            try:
                while True:
                    sent[s] += s.send(bytes(size))
            except BlockingIOError:
                pass
    stay(sent.values())


def stream(cid, port, count, size):
    connected(socket.SOCK_STREAM, (cid, port), count, size)


def seqpacket(cid, port, count, size):
    connected(socket.SOCK_SEQPACKET, (cid, port + 1), count, size)


def dgram(cid, port, count, size, seconds):
    opened = sockets(socket.SOCK_DGRAM, (cid, port), count)
    sent = [0] * count
    go()
    end = time.monotonic() + seconds
    while True:
        for i, s in enumerate(opened):
            try:
                sent[i] += s.send(bytes(size))
            except BlockingIOError:
                select.select([], [s], [], FULL_SECONDS)
        if time.monotonic() > end:
            break
    stay(sent)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))
    {"listen": listen, "stream": stream, "seqpacket": seqpacket,
     "dgram": dgram}[sys.argv[1]](*map(int, sys.argv[2:]))
