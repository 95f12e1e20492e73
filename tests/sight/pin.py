#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Attach a pinned program to the egress of a device by a link, and pin that.

usage: tests/sight/pin.py PROGRAM DEVICE LINK
"""
import ctypes
import os
import socket
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_OBJ_PIN, BPF_OBJ_GET, BPF_LINK_CREATE = 6, 7, 28
BPF_TCX_EGRESS = 47

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    attributes = attributes.ljust(128, b"\0")
    result = libc.syscall(SYS_BPF, command, attributes, len(attributes))
    if result < 0:
        sys.exit("bpf(%d): %s" % (command, os.strerror(ctypes.get_errno())))
    return result


def name(text):
    """A path, which has to be kept, and its address."""
    path = ctypes.create_string_buffer(text.encode())
    return path, ctypes.addressof(path)


program, device, link = sys.argv[1:]
path, address = name(program)
fd = bpf(BPF_OBJ_GET, struct.pack("Q", address))
fd = bpf(BPF_LINK_CREATE, struct.pack(
    "III", fd, socket.if_nametoindex(device), BPF_TCX_EGRESS))
path, address = name(link)
bpf(BPF_OBJ_PIN, struct.pack("QI", address, fd))
