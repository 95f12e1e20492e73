# SPDX-License-Identifier: GPL-2.0-only
"""When the reader of a stream tells the sender that there is room again.

usage: credit.py, as root, where vsock_loopback is available
"""

import os
import select
import socket
import sys
import threading

CID_LOCAL = 1
OP_CREDIT_UPDATE = 6
PACKET = 65536
BUFFER = 4 * PACKET
TRACE = "/sys/kernel/tracing/instances/credit"


def write(name, text):
    with open(os.path.join(TRACE, name), "w") as f:
        f.write(text)


class Updates:
    """Counts the updates of credit that are sent meanwhile."""

    EVENT = "events/vsock/virtio_transport_alloc_pkt/"

    def __enter__(self):
        os.mkdir(TRACE)
        write(self.EVENT + "filter", "op == %d" % OP_CREDIT_UPDATE)
        write(self.EVENT + "enable", "1")
        return self

    def __exit__(self, *_):
        with open(os.path.join(TRACE, "trace")) as f:
            self.count = sum("alloc_pkt" in line for line in f)
        os.rmdir(TRACE)


def pair(sender_buffer=BUFFER):
    """A connection to ourselves: the sender, the reader."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listener:
        listener.bind((CID_LOCAL, socket.VMADDR_PORT_ANY))
        listener.listen(1)
        sender = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        sender.setsockopt(socket.AF_VSOCK, socket.SO_VM_SOCKETS_BUFFER_SIZE,
                          sender_buffer)
        sender.connect((CID_LOCAL, listener.getsockname()[1]))
        reader = listener.accept()[0]
    for s in sender, reader:
        s.settimeout(10)
    return sender, reader


def read(reader, size):
    while size:
        data = reader.recv(size)
        if not data:
            sys.exit("the stream ended")
        size -= len(data)


def keep_up():
    """A reader that empties its queue with each packet need not say so."""
    sender, reader = pair()
    with Updates() as updates:
        for _ in range(16):
            sender.sendall(bytes(PACKET))
            read(reader, PACKET)
    if not 4 <= updates.count <= 8:
        sys.exit("%d updates for 16 packets" % updates.count)


def low_water(lowat=190000, left=16 * PACKET):
    """A reader that waits for all but a packet of its buffer gets it."""
    sender, reader = pair()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, lowat)
    thread = threading.Thread(target=sender.sendall, args=(bytes(left),),
                              daemon=True)
    thread.start()
    while left >= lowat:
        if not select.select([reader], [], [], 10)[0]:
            sys.exit("SO_RCVLOWAT is never reached, %d bytes to come" % left)
        left -= len(reader.recv(10007))
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
    read(reader, left)


def small_sender():
    """A reader whose buffer is the larger one tells in time, too."""
    for buffer in PACKET, 2 * PACKET, 3 * PACKET:
        sender, reader = pair(buffer)
        threading.Thread(target=sender.sendall, args=(bytes(16 * PACKET),),
                         daemon=True).start()
        read(reader, 16 * PACKET)


def shrunk_sender(sent=3 * PACKET - 1):
    """One whose buffer gets smaller than what it has not been told of waits for
    that; nothing is left to be read then."""
    sender, reader = pair()
    sender.sendall(bytes(sent))
    read(reader, sent)
    sender.setsockopt(socket.AF_VSOCK, socket.SO_VM_SOCKETS_BUFFER_SIZE,
                      2 * PACKET)
    threading.Thread(target=sender.sendall, args=(bytes(PACKET),),
                     daemon=True).start()
    read(reader, PACKET)


keep_up()
low_water()
small_sender()
shrunk_sender()
