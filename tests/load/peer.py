#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A socket that is connected for datagrams, whose transport goes and comes back.

usage: peer.py CID PORT UNLOAD LOAD    commands of the shell; who is there
                                       returns what it gets

Nobody else is sent to meanwhile, and the peer is heard again.
"""

import errno
import socket
import subprocess
import sys

import churn

TRIES = 100         # of 100 ms; datagrams may be lost


def answered(s, data):
    for _ in range(TRIES):
        s.send(data)
        try:
            while True:
                if s.recv(len(data)) == data:
                    return True
        except TimeoutError:
            pass
    return False


def main(cid, port, unload, load):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_DGRAM) as s:
        churn.patient_connect(s, int(cid), int(port))
        s.settimeout(0.1)
        if not answered(s, b"before"):
            sys.exit("no answer")
        subprocess.run(unload, shell=True, check=True)
        try:
            s.send(b"meanwhile")
            sys.exit("sent, to whom?")
        except OSError as err:
            if err.errno != errno.ENODEV:
                raise
        subprocess.run(load, shell=True, check=True)
        if not answered(s, b"after"):
            sys.exit("no answer any more")


if __name__ == "__main__":
    main(*sys.argv[1:])
