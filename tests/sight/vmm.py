#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Be a VMM as far as the host's device is concerned, until killed: a guest of
this CID has come, and says nothing. Each SIGUSR1 gives it the next one.

usage: tests/sight/vmm.py CID...
"""
import fcntl
import os
import signal
import struct
import sys

VHOST_SET_OWNER = 0xaf01
VHOST_VSOCK_SET_GUEST_CID = 0x4008af60

fd = os.open("/dev/vhost-vsock", os.O_RDWR)
fcntl.ioctl(fd, VHOST_SET_OWNER)
signal.signal(signal.SIGUSR1, lambda *_: None)
for cid in sys.argv[1:]:
    fcntl.ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, struct.pack("Q", int(cid)))
    print("ready", flush=True)
    signal.pause()
