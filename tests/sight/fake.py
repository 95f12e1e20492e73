#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make a device that any kernel takes for a vsock device; it stays.

usage: tests/sight/fake.py NAME
"""
import fcntl
import os
import struct
import sys

TUNSETIFF = 0x400454ca
TUNSETPERSIST = 0x400454cb
TUNSETLINK = 0x400454cd
IFF_TUN = 0x0001
ARPHRD_VSOCK = 827

fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH14x", sys.argv[1].encode(),
                                       IFF_TUN))
fcntl.ioctl(fd, TUNSETLINK, ARPHRD_VSOCK)
fcntl.ioctl(fd, TUNSETPERSIST, 1)
