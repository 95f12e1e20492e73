# SPDX-License-Identifier: GPL-2.0-only
"""A vsock device made of a tun: what the test sends with AF_PACKET goes
through the qdisc, what it reads from the tun is what the qdisc chose to send.
The tun stops its queue when it holds two packets, as a full virtqueue would.

    packet socket -> classifier -> vsfq -> tun (2 packets) -> read()
"""
import fcntl
import os
import select
import socket
import struct
import subprocess

TUNSETIFF = 0x400454ca
TUNSETLINK = 0x400454cd
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
IFF_BACKPRESSURE = 0x0080
ARPHRD_VSOCK = 827
ETH_P_VSOCK = 0x00fb
SO_SNDBUFFORCE = 32
RING = 2
# Seconds without a packet: nothing is queued any more. A cap may be why the
# next one is not there yet, and a VM that stands still why it is later.
IDLE, IDLE_CAPPED = 0.5, 2

STREAM, SEQPACKET, DGRAM = 1, 2, 3
REQUEST, RESPONSE, RST, SHUTDOWN, RW = range(1, 6)
HEADER = struct.Struct("<QQIIIHHIII")


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)


def must(*command):
    done = run(*command)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}")
    return done.stdout


class Tun:
    """One device; sends and receives packets as (type, port, number)."""

    def __init__(self, name, link_type=ARPHRD_VSOCK):
        self.name = name
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = IFF_TUN | IFF_NO_PI | IFF_BACKPRESSURE
        fcntl.ioctl(self.fd, TUNSETIFF,
                    struct.pack("16sH14x", name.encode(), flags))
        fcntl.ioctl(self.fd, TUNSETLINK, link_type)
        must("ip", "link", "set", name, "txqueuelen", str(RING), "mtu",
             "65535", "up")
        self.socket = self.new_socket()
        self.numbers = {}

    def new_socket(self):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 30)
        return s

    def send(self, kind, port, size=64, count=1, sock=None, peer=2,
             op=RW, flags=0):
        """Packets that stand for "size" bytes of payload each."""
        for _ in range(count):
            n = self.numbers.get((kind, port), 0)
            self.numbers[kind, port] = n + 1
            header = HEADER.pack(3, peer, port, 5000, size, kind, op, flags,
                                 n, 0)
            (sock or self.socket).sendto(header + bytes(size),
                                         (self.name, ETH_P_VSOCK))

    def receive(self, idle=IDLE):
        """The next packet: (type, port, number, length), None if none."""
        while True:
            # A read wakes the device's queue; another CPU may fill the ring.
            if not select.select([self.fd], [], [], idle)[0]:
                return None
            data = os.read(self.fd, 1 << 17)
            if len(data) >= HEADER.size and data[0] == 3:
                break
        h = HEADER.unpack_from(data)
        return h[5], h[2], h[8], len(data)

    def receive_all(self):
        packets = []
        while True:
            packet = self.receive()
            if packet is None:
                return packets
            packets.append(packet)

    def lost(self):
        """What the tun itself lost: it takes packets without a lock, and two
        CPUs may find room for one."""
        path = f"/sys/class/net/{self.name}/statistics/tx_dropped"
        if not os.path.exists(path):
            return 0        # a test has removed or renamed it
        with open(path) as f:
            return int(f.read())

    def close(self):
        os.close(self.fd)
        self.socket.close()
