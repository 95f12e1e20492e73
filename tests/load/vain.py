#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Connect in vain: 50 attempts a second, each given up after 1.1 s, which is
when who refuses them is asked again once a second.

usage: vain.py CID PORT FILE    until FILE exists
"""

import collections
import os
import socket
import struct
import sys
import time

from churn import LIBC, SO_VM_SOCKETS_CONNECT_TIMEOUT

PATIENCE = struct.pack("@ll", 1, 100000)
ATTEMPTS = 100      # that exist at a time


def attempt(cid, port):
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    s.setblocking(False)
    LIBC.setsockopt(s.fileno(), socket.AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT,
                    PATIENCE, len(PATIENCE))
    try:
        s.connect_ex((cid, port))
    except OSError:
        pass    # no device at the moment
    return s


def main(cid, port, path):
    attempts = collections.deque()
    while not os.path.exists(path):
        attempts.append(attempt(int(cid), int(port)))
        if len(attempts) > ATTEMPTS:
            attempts.popleft().close()
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
