# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tests of AF_VSOCK, from tools/testing/vsock.

    guest (CID 42)                        host (CID 2)
      vsock_test ---- AF_VSOCK, tested ---- vsock_test
      192.168.42.2 -- TCP, for control -- 192.168.42.1

One side serves, the other one is the client; both ways, with the devices in
each of the three configurations, in which no program may notice a difference.
Loopback, which has no device, goes through the host.
"""

import itertools
import re

import load

BED = "pair"

HOST, GUEST, LOCAL = ("192.168.42.1", 2), ("192.168.42.2", 42), ("127.0.0.1", 1)
CONTROL_PORTS = itertools.count(7000)
# What one side may take, emulated.
LIMIT = 400
# Once in some 40 runs. io_uring interrupts a process to tell it that pages it
# sent are free. If that hits the next connect(), which starts over then, the
# peer's answer finds the socket closed, and the peer is reset: vsock_connect()
# as 7.3.4 has it. The server's read says 0 for ever, and the server reads.
INTERRUPTED = "MSG_ZEROCOPY test...connect: Connection reset by peer"


def configure(t, config):
    for vm, dev in ((t.bed.guest, load.GUEST_DEV), (t.bed.host, load.HOST_DEV)):
        t.cleanup(vm, load.configuring(dev, "down"))
        t.run(vm, load.configuring(dev, config), limit=180)


def check_subtests(t, side, output):
    """Each one is named and ends with "ok", before the next or the end."""
    subtests = re.split(r"^\d+ - ", output, flags=re.M)[1:]
    t.check(subtests, "the %s ran nothing:\n%s" % (side, output))
    for subtest in subtests:
        name = subtest.split("...")[0]
        t.check(re.search(r"(^|\.\.\.)ok$", subtest, re.M),
                "the %s's \"%s\" is not ok:\n%s" % (side, name, subtest))
        if "skipped" in subtest:
            print("# the %s skipped \"%s\"" % (side, name), flush=True)


def ask(t, program, server, at, client, to):
    """Run the server in a VM as address @at, the client as @to sees it."""
    port = next(CONTROL_PORTS)
    common = "%s --control-port=%d " % (t.tool(program), port)
    served = t.start_server(
        server, common + "--mode=server --peer-cid=%d" % to[1], "listening",
        limit=LIMIT)
    asked = t.start(client, common + "--mode=client --control-host=%s "
                    "--peer-cid=%d" % at, limit=LIMIT)
    asked.wait()
    return asked, served


def suite(t, program, server, at, client, to):
    for _ in range(4):
        asked, served = ask(t, program, server, at, client, to)
        if INTERRUPTED not in asked.output:
            break
        print("# a connect() was interrupted, once more", flush=True)
        t.end(served)
    statuses = asked.wait(), served.wait()
    for side, job, status in zip(("client", "server"), (asked, served),
                                 statuses):
        t.check(status == 0, "client and server ended with %s, %s; the client "
                "said last:\n%s\nthe server:\n%s" %
                (*statuses, asked.output[-2000:], served.output[-2000:]))
        check_subtests(t, side, job.output)


def between(program, config, server):
    def test(t):
        configure(t, config)
        host, guest = (t.bed.host, HOST), (t.bed.guest, GUEST)
        server_side, client_side = \
            (host, guest) if server == "host" else (guest, host)
        suite(t, program, *server_side, *client_side)
    return test


def loopback(program):
    return lambda t: suite(t, program, t.bed.host, LOCAL, t.bed.host, LOCAL)


for name in "vsock_test", "vsock_uring_test":
    for config in load.CONFIGS:
        for side in "host", "guest":
            globals()["test_%s_%s_serves_%s" % (name, side, config)] = \
                between(name, config, side)
    globals()["test_%s_loopback" % name] = loopback(name)
# It counts the sockets of one side, and no configuration changes them.
test_vsock_diag_test_host_serves = \
    between("vsock_diag_test", "down", "host")
