# SPDX-License-Identifier: GPL-2.0-only
"""What qdiscs do to grants: nothing is lost, whatever is done.

Each situation is put on the guest's device while verified streams run. In the
end every byte has arrived and the ledger of the device balances: each grant
that was made was used or is dead. Where a situation loses no packet, no grant
may be dead; and only one that strips packets of their identity (netem
corrupt) may lead to packets that the device takes for somebody else's.
"""

import load
from bed import PATIENCE
from situations import BLOCKS, DROPS, KEEPS, ledger_of

BED = "pair"

DEV = load.GUEST_DEV
PORT = 5800


def ledger(t):
    return ledger_of(t.guest("ethtool -S " + DEV))


def start_counting(t):
    load.up(t)
    return ledger(t)


def client(seconds):
    return ("build/vsload client --cid 2 --port %d --streams 4 --ping 1 "
            "--warmup 0.5 --duration %d" % (PORT, seconds))


def counted(t, start):
    """What was counted since @start; every grant's fate has to be known."""
    # Grants that a qdisc still delays are duplicates or nobody waits for them.
    t.guest("tc qdisc del dev %s root || true" % DEV)
    end = ledger(t)
    count = {k: end[k] - start[k] for k in end}
    t.equal(count["grants_used"] + count["grants_dead"], count["grants"],
            "grants used or dead, of %r" % count)
    return count


def run(t, setup):
    """Set up, load, wait for the last grants; return what was counted."""
    t.serve(t.bed.host, PORT)
    start = start_counting(t)
    t.guest("%s && %s" % (setup.format(dev=DEV), client(3)), limit=120)
    return counted(t, start)


def keeps(qdisc):
    def test(t):
        count = run(t, "tc qdisc replace dev {dev} root " + qdisc)
        t.check(count["grants_used"] > 0, "nothing was scheduled")
        t.equal(count["grants_dead"], 0, "grants dead under " + qdisc)
        t.equal(count["foreign_dropped"], 0, "packets taken for foreign")
        t.equal(count["grants_repeated"] > 0, "duplicate" in qdisc,
                "grants came twice: it")
    return test


def drops(qdisc):
    def test(t):
        # What a guest exceeds however slow it is.
        count = run(t, "tc qdisc replace dev {dev} root " +
                    qdisc.replace("100mbit", "25mbit"))
        t.check(count["grants_dead"] > 0, "nothing was dropped: %r" % count)
        t.equal(count["foreign_dropped"], 0, "packets taken for foreign")
    return test


def blocks(on, off):
    def test(t):
        t.serve(t.bed.host, PORT)
        start = start_counting(t)
        # However long these commands take, on the guest's only CPU, which is
        # busy: the load goes on until it is told to end. It understands that
        # once it has connected.
        job = t.start(t.bed.guest, client(600), limit=700)
        t.wait_for(t.bed.guest, "grep -qs 'SigCgt:.*[4-7c-f]...$' "
                   "/proc/$(cat /run/job.%s)/status" % job.ident)
        for command in (on, off):
            t.guest(command.format(dev=DEV))
        t.check(job.status is None, "the load ended too soon")
        t.equal(t.end(job), 0, "exit status of the load:\n%s\nit" % job.output)
        count = counted(t, start)
        t.check(count["grants"] > 0, "nothing was scheduled")
        if "corrupt" not in on:
            t.equal(count["foreign_dropped"], 0, "packets taken for foreign")
    return test


for name, qdisc in KEEPS.items():
    globals()["test_%s_keeps" % name] = keeps(qdisc)
for name, qdisc in DROPS.items():
    globals()["test_%s_drops" % name] = drops(qdisc)
for name, commands in BLOCKS.items():
    globals()["test_%s_passes" % name] = blocks(*commands)


def test_default_is_direct(t):
    """Up with the default qdisc that nobody touched, there are no grants."""
    t.equal(run(t, "true")["grants"], 0, "grants")


def test_noqueue_is_direct(t):
    count = run(t, "tc qdisc replace dev {dev} root noqueue")
    t.equal(count["grants"], 0, "grants")


def test_burst_below_mtu(t):
    """A bucket that never holds a grant of 64 KiB wants a smaller mtu."""
    t.cleanup(t.bed.guest, "ip link set %s mtu 65580" % DEV)
    count = run(t, "ip link set {dev} mtu 30000 && tc qdisc replace dev {dev} "
                "root tbf rate 100mbit burst 32k limit 10m")
    t.equal(count["grants_dead"], 0, "grants dead")


SNIFFER = """python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("%s", 0))
print("ready", flush=True)
while True:
    s.recv(100)'""" % DEV


def test_sniffer(t):
    """AF_PACKET clones what it sees; a clone's death is not the grant's."""
    load.up(t)
    job = t.start_server(t.bed.guest, SNIFFER, "ready")
    count = run(t, "tc qdisc replace dev {dev} root netem delay 20ms limit "
                "10000")
    t.equal(count["grants_dead"], 0, "grants dead while a sniffer listened")
    t.check(job.status is None, "the sniffer is gone: " + job.output)


def test_foreign_packets(t):
    """What no vsock socket sent does not reach the ring."""
    start = start_counting(t)
    t.guest("tc qdisc replace dev %s root pfifo_fast" % DEV)
    t.guest("python3 -c 'import socket\n"
            "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0xfb)\n"
            "s.bind((\"%s\", 0xfb))\n"
            "for i in range(100): s.send(b\"x\" * 100)'" % DEV)
    t.equal(ledger(t)["foreign_dropped"] - start["foreign_dropped"], 100,
            "packets of AF_PACKET that were dropped")


def refuse(dev):
    return ("tc qdisc add dev {0} clsact && tc filter add dev {0} egress "
            "matchall action drop").format(dev)


REFUSE = refuse(DEV)
ADMIT = "tc qdisc del dev %s clsact" % DEV
# The same of SO_PRIORITY 6 alone.
REFUSE_SIX = ("tc qdisc replace dev {0} root handle 1: prio bands 2 priomap 0 0 0 0 "
              "0 0 1 0 0 0 0 0 0 0 0 0 && tc qdisc add dev {0} parent 1:2 netem "
              "loss 100%").format(DEV)


def refused(t, command, program="stall.py", how=REFUSE, vm=None, dev=DEV):
    """Start a command of a program, which connects; refuse what it then sends."""
    vm = vm or t.bed.guest
    load.up(t, vm, dev)
    t.run(vm, "tc qdisc replace dev %s root pfifo_fast" % dev)
    job = t.start_server(vm, "python3 tests/load/%s %s" % (program, command),
                         "connected", limit=150)
    t.run(vm, how)
    return job


def test_refused_for_ever(t):
    """A connection that is granted nothing for 30 s fails."""
    t.start_server(t.bed.host, "python3 tests/load/stall.py serve 5801",
                   "ready")
    job = refused(t, "send 2 5801")
    t.equal(job.wait(), 0, "exit status of the sender")
    name, seconds = job.output.split()[-2:]
    t.equal(name, "ETIMEDOUT", "the sender's error")
    # At once, but for a guest that stands still.
    t.check(29 < float(seconds) < 60, "it came after %s s" % seconds)


def test_refused_when_closed(t):
    """Who sent all and closed is as refused as before, by SO_PRIORITY here, and
    in the end his peer hears of it, though the socket is gone by then."""
    peer = t.start_server(t.bed.host, "python3 tests/load/late.py count 5807",
                          "ready")
    job = refused(t, "leave 2 5807", how=REFUSE_SIX)
    t.signal(job)
    t.equal(job.wait(), 0, "status of who left, who said " + job.output)
    t.check(peer.done.wait(90 * PATIENCE), "nobody has told the peer")
    t.equal(peer.output.split()[-1], "0", "bytes that came")


def test_refused_in_mid_write(t):
    """A connection that is given up is given up as a whole: nothing that is
    written meanwhile takes the place of what was dropped."""
    late = "python3 tests/load/late.py "
    peer = t.start_server(t.bed.host, late + "count 5808", "ready")
    job = refused(t, "send 2 5808", "late.py")
    before = ledger(t)["connections_timed_out"]
    t.signal(job)
    t.check(job.says("missed"), "there is no second packet: " + job.output)
    t.wait_for(t.bed.guest, "[ $(ethtool -S %s | sed -n "
               "'s/ *connections_timed_out: //p') -gt %d ]" % (DEV, before),
               limit=90)
    t.signal(job, "USR2")
    t.equal(job.wait(), 0, "status of who writes, who said " + job.output)
    t.equal(peer.wait(), 0, "status of who reads, who said " + peer.output)
    t.equal(peer.output.split()[-1], "0", "bytes that came")


def test_credit_does_not_wait(t):
    """Who answers what he reads, and is refused, still hears all of it: that he
    has room is told apart from what waits."""
    t.start_server(t.bed.host, "python3 tests/load/stall.py give 5803 2000000",
                   "ready")
    job = refused(t, "take 2 5803 2000000")
    t.signal(job)
    t.equal(job.wait(), 0, "status of the reader, who said " + job.output)


def test_credit_does_not_wait_for_a_few(t):
    """Nor if he waits for so much that he has to tell of each byte. Packets to
    the host are large: a part of one is not counted as read."""
    t.start_server(t.bed.guest, "python3 tests/load/stall.py give 5809 2000000",
                   "ready")
    job = refused(t, "wait 42 5809", how=refuse(load.HOST_DEV), vm=t.bed.host,
                  dev=load.HOST_DEV)
    t.signal(job)
    t.equal(job.wait(), 0, "status of the reader, who said " + job.output)


def test_refused_long_ago(t):
    """The 30 s count from the first refusal since something passed, though it
    passed directly."""
    t.serve(t.bed.host, PORT)
    load.up(t)
    up = "tc qdisc replace dev %s root pfifo_fast" % DEV
    more = ("until [ $(ethtool -S %s | sed -n 's/ *grants_%%s: //p') -gt %%d "
            "]; do sleep 0.1; done" % DEV)
    t.guest(up)
    used = ledger(t)["grants_used"]
    job = t.start(t.bed.guest, "build/vsload client --cid 2 --port %d --ping 1 "
                  "--duration 600" % PORT, limit=700)
    t.guest(more % ("used", used + 9))
    dead = ledger(t)["grants_dead"]
    t.guest("%s; %s; ip link set %s down; %s" % (REFUSE, more % ("dead", dead),
                                                 DEV, ADMIT))
    # So long it sends directly, without a moment's rest.
    t.guest("sleep 31", limit=90)
    dead = ledger(t)["grants_dead"]
    t.guest("%s; ip link set %s up; %s; %s" % (REFUSE, DEV, up,
                                               more % ("dead", dead)))
    t.guest(ADMIT)
    t.equal(t.end(job), 0, "status of the load, which said " + job.output)


def test_held_for_long(t):
    """What a qdisc holds for longer than that it does not refuse, though the
    grants before had been refused."""
    t.serve(t.bed.host, PORT)
    load.up(t)
    hold = "tc qdisc replace dev %s root netem delay 200s" % DEV
    job = t.start(t.bed.guest, "build/vsload client --cid 2 --port %d --ping 1 "
                  "--patience 300 --duration 600" % PORT, limit=700)
    t.wait_for(t.bed.guest, "ss --vsock state established | grep -q :%d" % PORT)
    before = ledger(t)
    t.guest("%s; until [ $(ethtool -S %s | sed -n 's/ *grants_dead: //p') -gt "
            "%d ]; do sleep 0.1; done; %s; %s" %
            (REFUSE, DEV, before["grants_dead"], hold, ADMIT))
    t.guest("sleep 31", limit=90)
    t.guest("tc qdisc replace dev %s root pfifo_fast" % DEV)
    used = ledger(t)["grants_used"]
    t.guest("until [ $(ethtool -S %s | sed -n 's/ *grants_used: //p') -gt %d "
            "]; do sleep 0.1; done" % (DEV, used + 9))
    t.equal(t.end(job), 0, "status of the load, which said " + job.output)


def test_no_queue_length(t):
    """txqueuelen 0 stands for the default, as for qdiscs that need one."""
    t.serve(t.bed.host, PORT)
    for vm, dev in ((t.bed.guest, DEV), (t.bed.host, load.HOST_DEV)):
        t.cleanup(vm, "ip link set %s txqueuelen 1000" % dev)
        t.run(vm, "ip link set %s txqueuelen 0" % dev)
    t.guest("build/vsload client --port %d --streams 2 --ping 1 --dgram-flood 1 "
            "--duration 1 --warmup 0" % PORT)


def test_given_up(t):
    """Of a request that is refused, and whose socket is closed, nothing is
    left to be asked for again."""
    t.start_server(t.bed.host, "python3 tests/load/stall.py serve 5804",
                   "ready")
    job = refused(t, "send 2 5804")
    count = "awk '$1 == \"AF_VSOCK\" { print $2 }' /proc/slabinfo"
    before = int(t.guest(count))
    t.guest("python3 tests/load/stall.py vain 2 5802 3000", limit=120)
    # The time-out of connect(), of 2 s, keeps sockets; refusal does so for 30 s.
    t.wait_for(t.bed.guest, "[ $(%s) -lt %d ]" % (count, before + 300),
               limit=15)
    t.end(job)


OPENING = "python3 tests/load/opening.py "
LATE = "tc qdisc replace dev %s root netem delay 300ms" % DEV


def test_credit_after_answer(t):
    """Who accepts and changes his buffer tells the peer after the answer, which
    waits, and not before."""
    load.up(t)
    t.guest(LATE)
    t.start_server(t.bed.guest, OPENING + "serve 5805", "ready")
    t.host(OPENING + "connect 42 5805")


def test_credit_after_request(t):
    load.up(t)
    t.guest(LATE)
    t.start_server(t.bed.host, OPENING + "serve 5805", "ready")
    t.guest(OPENING + "connect 2 5805")


def test_answers_that_wait(t):
    """They do not stop reception, and are as many as the queue is long."""
    t.cleanup(t.bed.guest, "ip link set %s txqueuelen 1000" % DEV)
    start = start_counting(t)
    t.guest("ip link set {0} txqueuelen 150 && tc qdisc replace dev {0} root "
            "pfifo_fast && {1}".format(DEV, REFUSE))
    t.start_server(t.bed.guest, OPENING + "listen 5806 300", "ready")
    dgram = t.start_server(t.bed.guest, "python3 tests/load/dgram.py listen "
                           "5806", "ready")
    t.start_server(t.bed.host, OPENING + "crowd 42 5806 200 50", "refused")
    t.host("python3 tests/load/dgram.py notify 42 5806")
    t.equal(dgram.wait(), 0, "status of who reads datagrams")
    t.equal(ledger(t)["requests_refused_queue_full"] -
            start["requests_refused_queue_full"], 50, "requests refused")


def hold_back(t, group, port, connections, credit):
    """Have a sender in @group send more than is let through: return the peer and
    the sender, and what tells that it is charged for so many bytes."""
    load.up(t)
    t.guest("tc qdisc replace dev %s root pfifo_fast; mkdir %s; "
            "echo +memory > /sys/fs/cgroup/cgroup.subtree_control" %
            (DEV, group))
    t.cleanup(t.bed.guest, "echo -memory > /sys/fs/cgroup/"
              "cgroup.subtree_control; rmdir " + group)
    hold = "python3 tests/load/hold.py "
    peer = t.start_server(t.bed.host, hold + "listen %d %d" % (port, credit),
                          "listening")
    job = t.start_server(t.bed.guest, "bash -c 'echo $$ > %s/cgroup.procs && "
                         "exec %s'" % (group, hold + "stream 2 %d %d 65536" %
                                       (port, connections)), "ready")
    t.guest(REFUSE)
    t.signal(job)
    charged = ("[ $(awk '$1 == \"kernel\" { print $2 }' %s/memory.stat) -gt %d ]"
               % (group, connections * credit))
    t.wait_for(t.bed.guest, charged)
    return peer, job, charged


def test_charged(t):
    """What waits is charged to the cgroup that sent it, though its sockets be
    closed."""
    group = "/sys/fs/cgroup/sender"
    _, job, charged = hold_back(t, group, 5807, 32, 262144)
    t.end(job)
    t.guest("[ ! -s %s/cgroup.procs ] && %s" % (group, charged))


def test_peer_left(t):
    """What waits for a peer that has closed is freed, and not when it is given
    up after 30 s."""
    peer, _, charged = hold_back(t, "/sys/fs/cgroup/sender", 5811, 32, 262144)
    t.end(peer)
    t.wait_for(t.bed.guest, "! " + charged, limit=15)


def test_same_port(t):
    """Who leaves and comes again from the same port gets no answer that was
    for him who left."""
    load.up(t)
    t.guest("tc qdisc replace dev %s root tbf rate 100kbit burst 70kb "
            "latency 900s" % DEV)
    t.start_server(t.bed.guest, OPENING + "give 5812", "ready")
    t.host(OPENING + "again 42 5812", limit=120)
