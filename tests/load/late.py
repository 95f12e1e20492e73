#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A write whose second packet comes much later than its first: the memory that
it is in is not there until somebody says so (userfaultfd).

usage: late.py count PORT       read one connection to its end; print how many
                                bytes came
       late.py send CID PORT    connect, wait for SIGUSR1, write two packets; the
                                second one at SIGUSR2, after it was "missed"
"""

import ctypes
import fcntl
import mmap
import os
import signal
import socket
import struct
import sys
import threading

from churn import listening, patient_connect

PACKET = 65536
# linux/userfaultfd.h
SYS_USERFAULTFD = 323
UFFDIO_API, UFFD_API = 0xc018aa3f, 0xaa
UFFDIO_REGISTER, UFFDIO_REGISTER_MODE_MISSING = 0xc020aa00, 1
UFFDIO_ZEROPAGE = 0xc020aa04
RANGE = struct.Struct("=QQQQ")
MESSAGE = 32


def count(port):
    with listening(socket.SOCK_STREAM, port) as listener:
        print("ready", flush=True)
        conn, _ = listener.accept()
        total = 0
        try:
            while more := conn.recv(1 << 20):
                total += len(more)
        except ConnectionResetError:
            pass
    print(total)


def missing(address, size):
    """Memory that is not there; returns who is asked for it."""
    fd = ctypes.CDLL(None).syscall(SYS_USERFAULTFD, os.O_CLOEXEC)
    fcntl.ioctl(fd, UFFDIO_API, struct.pack("=QQQ", UFFD_API, 0, 0))
    fcntl.ioctl(fd, UFFDIO_REGISTER,
                RANGE.pack(address, size, UFFDIO_REGISTER_MODE_MISSING, 0))
    return fd


def send(cid, port):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    memory = mmap.mmap(-1, 2 * PACKET, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[:PACKET] = PACKET * b"1"
    second = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + PACKET
    fd = missing(second, PACKET)
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        patient_connect(s, cid, port)
        print("connected", flush=True)
        signal.sigwait({signal.SIGUSR1})
        writer = threading.Thread(target=s.send, args=(memory,))
        writer.start()
        os.read(fd, MESSAGE)
        print("missed", flush=True)
        signal.sigwait({signal.SIGUSR2})
        fcntl.ioctl(fd, UFFDIO_ZEROPAGE, RANGE.pack(second, PACKET, 0, 0))
        writer.join()


if __name__ == "__main__":
    {"count": count, "send": send}[sys.argv[1]](*map(int, sys.argv[2:]))
