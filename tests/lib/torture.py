# SPDX-License-Identifier: GPL-2.0-only
"""One round of torture: loads of all kinds and, under them, disturbances.

A seed and a round's number decide everything about it, except when things
happen to meet. It passes if every byte on both sides is what was sent, no
connection was refused or reset, none stood still for long, the ledgers of both
devices balance, and each datagram came once or was counted where it was dropped;
whether a kernel complained sees Test.finish().
"""

import itertools
import json
import os
import random
import re

from bed import PATIENCE
from case import Failed
from load import GUEST_DEV, HOST_DEV, VSFQ, VSLOAD
from situations import BLOCKS, DROPS, KEEPS, SPOILS, ledger_of

CIDS = {"host": 2, "guest": 42}
DEVS = {"host": HOST_DEV, "guest": GUEST_DEV}
# Of vsload's server, which has two, of those who close, as well, of the way back.
PORTS = itertools.count(5200, 6)

SECONDS = 10            # of load; what surrounds it takes longer in emulation
LIMIT = 400             # of a command
# A guest that checks itself takes minutes for an attach: each step of the verifier
# allocates, and what allocates leaves a trace of its stack.
DISTURB_LIMIT = LIMIT * (1 if PATIENCE == 1 else 2)
SAMPLE = 0.1

# How long nothing of a connection may move while the devices let something
# through: its kernel asks again after VSOCK_BACKOFF_MAX, 1 s, at the latest.
# The rest is for what a qdisc holds (1 s at 100 mbit/s), and for emulation. It
# may be longer than the load, for it is looked at until all is answered.
BACKOFF_MAX = 1
SLACK = 4 * PATIENCE
# A qdisc that drops may refuse a connection several times in a row. The backoff
# doubles from 1 ms on: ten refusals take a second, each one more BACKOFF_MAX. So
# often in a row is once in a million times where chance refuses every other one.
REFUSALS = 20
REFUSED = BACKOFF_MAX * (1 + REFUSALS - 10)
# Short connections pass so often, one after the other: a request, its answer,
# what is sent, and what comes back.
PASSAGES = 4
# A connection that is asking every second needs a second of open gates.
OPEN = BACKOFF_MAX + 1

# Tells for how long who receives had no CPU: he read nothing meanwhile, so that
# those who send to him had no credit, whatever the devices let through.
PULSE = """python3 -c '
import time
print("started", flush=True)
then = time.monotonic()
while True:
    time.sleep(%g)
    now = time.monotonic()
    if now - then > %d:
        print("paused %%.1f" %% (now - then), flush=True)
    then = now'""" % (SAMPLE, BACKOFF_MAX)

# In this directory each VM sees files of ours at once: they end what it does.
SHARE = "/run/vsfq"

QDISCS = {**KEEPS, **DROPS, **SPOILS}


def until_told(body):
    return "until [ -e %s/stop ]; do\n%s\necho step\ndone\n" % (SHARE, body)


def qdisc(name):
    return "tc qdisc replace dev {dev} root %s || exit\necho step\n" % \
        QDISCS[name]


def block(rng, name):
    """Nothing passes, then all of it; how long it did not is what it says."""
    on, off = BLOCKS[name]
    return until_told("""ip link set {dev} up
read from _ </proc/uptime
%s || exit
sleep %.1f
%s || exit
read to _ </proc/uptime
echo blocked $from $to
sleep %d""" % (on, rng.uniform(0.1, 2), off, OPEN))


def replace(rng, side):
    simple = [q for q in QDISCS.values() if "&&" not in q]
    return until_told("\n".join("tc qdisc replace dev {dev} root " + q
                                for q in rng.sample(simple, 5)))


def flap(rng, side):
    return "tc qdisc replace dev {dev} root %s\n" % rng.choice(
        [KEEPS["netem_delay"], KEEPS["fq"], KEEPS["pfifo"]]) + until_told(
        "ip link set {dev} down\nip link set {dev} up")


def attach(rng, side):
    return until_told("{vsfq} attach {dev}\n{vsfq} detach {dev}") + \
        "{vsfq} attach {dev}\n"


def killed(rng, side, before, command, after, seconds):
    """Whenever it is killed, the next one succeeds."""
    # It takes less than a second in an emulated host, in the guest more.
    return "RANDOM=%d\n" % rng.randrange(32768) + until_told(
        "%s\n%s & "
        "sleep $((RANDOM %% %d)).$((RANDOM %% 100)); "
        "kill -9 $! 2>/dev/null || true; wait $! || true\n%s" %
        (before, command, 1 if side == "host" else seconds, after))


def kill_attach(rng, side):
    return killed(rng, side, "", "{vsfq} attach {dev}",
                  "{vsfq} attach {dev}\n{vsfq} detach {dev}", 8)


def kill_detach(rng, side):
    return killed(rng, side, "{vsfq} attach {dev}", "{vsfq} detach {dev}",
                  "{vsfq} attach {dev}\n{vsfq} detach {dev}", 2)


def kill_apply(rng, side):
    """Each policy is another one, and none refuses anything."""
    apply = "{vsfq} apply /run/torture.conf"
    return "{vsfq} attach {dev}\n" + killed(
        rng, side, "echo \"class bulk {{ weight = $((1 + RANDOM % 1000)) }}\" "
        ">/run/torture.conf", apply, apply, 2)


def chance(rng, side):
    """Half of all packets do not get through, or where they should not."""
    return """tc qdisc replace dev {dev} root pfifo_fast
tc qdisc add dev {dev} clsact
tc filter add dev {dev} egress bpf da obj build/chance.bpf.o sec tc
echo step
"""


def late(rng, side):
    """The other side has to wait now and then, whatever it sends."""
    return """tc qdisc add dev {dev} clsact
tc filter add dev {dev} ingress bpf da obj build/late.bpf.o sec tc/sometimes
echo step
"""


LOOPS = {"bpf_chance": chance, "bpf_late": late, "replace_loop": replace,
         "flap_loop": flap, "attach_loop": attach,
         "kill_attach_loop": kill_attach,
         "kill_detach_loop": kill_detach, "kill_apply_loop": kill_apply}
# What ends with them.
UNDO = {"attach_loop": "{vsfq} detach {dev}",
        "kill_attach_loop": "{vsfq} detach {dev}",
        "kill_detach_loop": "{vsfq} detach {dev}",
        "kill_apply_loop": "{vsfq} detach {dev}; {vsfq} policy clear"}
REFUSE = {*DROPS, *SPOILS, "bpf_chance", "replace_loop"}
# The queue is so short that of very many some are refused again and again, since
# whoever just had his turn takes the next one, too.
NARROW = {*DROPS, "pfifo", "sfq", "tbf", "replace_loop", "flap_loop"}
HOWS = ["copy", "zerocopy", "uring"]
# io_uring interrupts a process to tell it that pages are free. 7.3.4 then ends
# a message that waits for credit in its middle: vsock_connectible_sendmsg().
MESSAGE_HOWS = ["copy", "zerocopy"]
NAMES = sorted([*QDISCS, *BLOCKS, *LOOPS])

FEW, MANY = 5, 64 if PATIENCE == 1 else 16
SIZES = ["1", "63", "1021", "5003", "65536", "300007", "1-300007"]
# What moves is seen when a write is done: none of many is to take long.
SIZES_OF_MANY = ["1021", "5003", "65536", "1-65536"]

# The counters of those datagrams that are not delivered, at the device that sends
# and at the one that receives; not every kernel has all. What ingress refuses is a
# datagram, or a request, without which the load fails.
NOT_SENT = ("dgram_dropped_by_tc", "dgram_dropped_queue_full",
            "dgram_dropped_no_memory")
NOT_RECEIVED = "ingress_refused", "rx_dgram_dropped"


def body_of(rng, side, name):
    if name in LOOPS:
        return LOOPS[name](rng, side)
    return block(rng, name) if name in BLOCKS else qdisc(name)


def bulk(rng, many):
    return "--streams %d --write-size %s --ping 1 --send %s" % (
        MANY if many else rng.randint(1, FEW),
        rng.choice(SIZES_OF_MANY if many else SIZES), rng.choice(HOWS))


class Plan:
    """What one round does: who sends what, and who is disturbed by what."""

    def __init__(self, seed, number):
        rng = random.Random("%d %d" % (seed, number))
        self.sender = rng.choice(["guest", "host"])
        self.receiver = "host" if self.sender == "guest" else "guest"
        # Every disturbance gets its turn, in an order that the seed decides.
        deck = NAMES[:]
        random.Random(seed).shuffle(deck)
        self.names = {self.sender: deck[number % len(deck)]}
        if rng.random() < 0.5:
            self.names[self.receiver] = rng.choice(NAMES)
        self.bodies = {side: body_of(rng, side, name)
                       for side, name in self.names.items()}
        self.many = rng.random() < 0.3 and not self.under(NARROW)
        self.streams = bulk(rng, self.many)
        self.back = bulk(rng, False) if rng.random() < 0.5 else None
        self.churns = rng.choice([1, 1, 4])
        self.dgrams = rng.randint(0, 2)
        if self.dgrams:
            self.streams += " --dgram-flood %d --dgram-size %d" % (
                self.dgrams, rng.choice([16, 64, 1000, 9001, 65536]))
        # Shorter ones exhaust a slow reader's memory before its credit, and
        # 7.3.4 ends such a connection: virtio_transport_inc_rx_pkt().
        self.messages = "--type seqpacket --streams %d --write-size %s" % (
            rng.randint(1, 3),
            rng.choice(["1021", "5003", "30011", "65536", "1021-65536"]))
        self.messages += " --send " + rng.choice(MESSAGE_HOWS)

    def under(self, names):
        return bool(names & set(self.names.values()))

    def __str__(self):
        return "%s sends%s%s; %s" % (
            self.sender, " much" if self.many else "",
            ", as does the other" if self.back else "", ", ".join(
                "%s under %s" % pair for pair in self.names.items()))


def vm_of(t, side):
    return t.bed.host if side == "host" else t.bed.guest


def at_once(*commands):
    """They are nice: each of them is busy all the time, and an emulated guest is
    a process beside those of its host."""
    return """renice -n 19 $BASHPID >/dev/null
jobs=
%s
bad=0
for job in $jobs; do wait $job || bad=1; done
exit $bad
""" % "\n".join("%s & jobs=\"$jobs $!\"" % c for c in commands)


def client(to, port, options, name):
    return "%s client --cid %d --port %d --duration %d --warmup 0 " \
        "--interval %g %s --json %s/%s.json" % (
            VSLOAD, CIDS[to], port, SECONDS, SAMPLE, options, SHARE, name)


def sending(plan, port):
    """The script of the sender."""
    to = CIDS[plan.receiver]
    return at_once(
        client(plan.receiver, port, plan.streams, "streams"),
        client(plan.receiver, port, plan.messages, "messages"),
        *["python3 tests/load/churn.py %d %d %d" % (to, port, SECONDS)] *
        plan.churns,
        "python3 tests/load/close.py send %d %d %d" % (to, port + 2, SECONDS))


def disturbing(plan, side):
    return "set -e\nip link set {dev} up\n".format(dev=DEVS[side]) + \
        plan.bodies[side].format(dev=DEVS[side], vsfq=VSFQ)


def ledger(t, side):
    return ledger_of(t.run(vm_of(t, side), "ethtool -S " + DEVS[side],
                           limit=LIMIT))


def clean(t, plan, side):
    """Nothing of the disturbance remains; returns the ledger."""
    if side in plan.names:
        undo = UNDO.get(plan.names[side], ":")
        t.run(vm_of(t, side), (undo + "; tc qdisc del dev {dev} root; "
                               "tc qdisc del dev {dev} clsact; "
                               "ip link set {dev} down").format(
                                   dev=DEVS[side], vsfq=VSFQ), limit=LIMIT)
    return ledger(t, side)


def moves(result):
    """What of the streams, by number, and the ping has moved, for each sample;
    of those in the end, what had left a socket or was answered."""
    for sample in result["samples"]:
        moved = {n: mbps > 0 for n, mbps in enumerate(sample["stream_each"])}
        yield sample, {**moved, "ping": sample["ping"]["count"] > 0}
    for sample in result["drain"]:
        yield sample, {**dict(enumerate(sample["streams"])),
                       "ping": sample["pings"]}


def stalls(result):
    """The longest that any stream, and the ping, stood still, in seconds.

    A sample that came late tells that the sampler did not run: of it only
    counts what it was to take.
    """
    worst, still = 0, {}
    for sample, moved in moves(result):
        spent = min(sample["to"] - sample["from"], 2 * SAMPLE)
        if not result["pings"]:
            del moved["ping"]
        for who, has_moved in moved.items():
            still[who] = 0 if has_moved else still.get(who, 0) + spent
            worst = max(worst, still[who])
    return worst


def stop(vm):
    return os.path.join(vm.share, "stop")


def serve(t, plan, port):
    """Returns the jobs of those who receive, and that tell if they cannot."""
    sender, receiver = vm_of(t, plan.sender), vm_of(t, plan.receiver)
    servers = [t.serve(receiver, port),
               t.start_server(receiver, "python3 tests/load/close.py serve %d" %
                              (port + 2), "serving")]
    pulses = [t.start_server(receiver, PULSE, "started")]
    if plan.back:
        servers.append(t.serve(sender, port + 4))
        pulses.append(t.start_server(sender, PULSE, "started"))
    return servers, pulses


def start_loads(t, plan, port):
    loads = [vm_of(t, plan.sender).start(sending(plan, port), LIMIT)]
    if plan.back:
        loads.append(vm_of(t, plan.receiver).start(
            at_once(client(plan.sender, port + 4, plan.back, "back")), LIMIT))
    return loads


def disturb_and_load(t, plan):
    """Returns what those said who send, who disturbed them, and who felt it."""
    port = next(PORTS)
    servers, pulses = serve(t, plan, port)
    vms = {side: vm_of(t, side) for side in plan.names}
    for vm in vms.values():
        if os.path.exists(stop(vm)):
            os.remove(stop(vm))
    loads = start_loads(t, plan, port)
    jobs = {side: vm.start(disturbing(plan, side), DISTURB_LIMIT)
            for side, vm in vms.items()}
    statuses = [load.wait() for load in loads]
    for pulse in pulses:
        t.end(pulse)
    for vm in vms.values():
        open(stop(vm), "w").close()
    for side, job in jobs.items():
        t.equal(job.wait(), 0, "exit status of the disturbance of the %s:\n%s\n"
                "it" % (side, job.output[-2000:]))
    t.check(not any(statuses), "the loads ended with %s:\n%s\nthe servers:\n%s" %
            (statuses, "\n".join(load.output[-3000:] for load in loads),
             "\n".join(server.output[-1000:] for server in servers)))
    return [[job.output for job in group]
            for group in (loads, jobs.values(), pulses)]


def results(t, plan):
    """Of streams, messages, and what came back, if anything did."""
    for side, name in ((plan.sender, "streams"), (plan.sender, "messages"),
                       (plan.receiver, "back")):
        if name != "back" or plan.back:
            with open(os.path.join(vm_of(t, side).share, name + ".json")) as f:
                yield json.load(f)


def longest_block(output):
    return max((float(to) - float(from_) for from_, to in
                re.findall(r"^blocked (\S+) (\S+)$", output, re.M)), default=0)


def total(counts, *names):
    return sum(counts.get(name, 0) for name in names)


def check_ledger(t, side, count):
    t.equal(count["grants_used"] + count["grants_dead"], count["grants"],
            "the %s's grants used or dead, of %r" % (side, count))
    t.equal(count["connections_timed_out"], 0,
            "the %s's connections that timed out" % side)


def check_datagrams(t, dgrams, sender, receiver):
    """Each was received, or is in a counter of who dropped it."""
    t.equal(dgrams["stray"], 0, "datagrams that nobody sent")
    t.equal(dgrams["received"] + dgrams["overflow"] + total(sender, *NOT_SENT) +
            total(receiver, *NOT_RECEIVED), dgrams["sent"],
            "datagrams received, or dropped by the receive buffer or as the "
            "ledgers say, %r and %r, of %r: it" % (sender, receiver, dgrams))


class Late(Failed):
    """All came, but not in time."""


def check_times(plan, figures):
    held = figures["blocked"] + figures["paused"]
    refused = REFUSED if plan.under(REFUSE) else BACKOFF_MAX
    for what, have, bound in (
            ("a connection stood still", figures["stall"],
             held + refused + SLACK),
            # It is held up, and has to wait for who is slow, several times.
            ("a short connection took", figures["slowest"],
             PASSAGES * (held + BACKOFF_MAX) + refused + 2 * SLACK)):
        if have > bound:
            raise Late("%s for %.1f s, %.1f are allowed" % (what, have, bound))


def torture(t, plan):
    """Run the round; returns its figures, fails if it did not pass."""
    start = {side: ledger(t, side) for side in DEVS}
    try:
        said, steps, pulses = disturb_and_load(t, plan)
    finally:
        end = {side: clean(t, plan, side) for side in DEVS}
    count = {side: {name: end[side][name] - start[side][name]
                    for name in end[side]} for side in DEVS}
    both = list(count.values())
    sender, receiver = count[plan.sender], count[plan.receiver]
    loads = list(results(t, plan))
    dgrams = loads[0]["dgram_results"]
    paused = re.findall(r"^paused (\S+)$", "".join(pulses), re.M)
    short = re.findall(r"^(\d+) (\d+) ([\d.]+)$", "".join(said), re.M)
    figures = {
        "bytes": sum(int(churned) for _, churned, _ in short) + sum(
            s["received"] for r in loads for s in r["stream_results"]),
        "connections": sum(int(conns) for conns, _, _ in short),
        "sent": 0, "received": 0, "unread": 0,
        "dropped": total(sender, "dgram_dropped_by_tc"),
        "overflow": total(sender, "dgram_dropped_queue_full"),
        "foreign": sum(c["foreign_dropped"] for c in both),
        "grants": sum(c["grants"] for c in both),
        "dead": sum(c["grants_dead"] for c in both),
        "steps": "".join(steps).count("step\n"),
        # One side may let nothing pass as soon as the other one does.
        "blocked": sum(map(longest_block, steps)),
        "paused": max(map(float, paused), default=0),
        "stall": max(map(stalls, loads)),
        "slowest": max(float(slowest) for _, _, slowest in short),
    }
    if dgrams:
        figures.update(sent=dgrams["sent"], received=dgrams["received"],
                       unread=dgrams["overflow"])
        check_datagrams(t, dgrams, sender, receiver)
    t.check(all(r["verified"] for r in loads), "not verified")
    t.equal(len(short), plan.churns + 1, "reports of short connections")
    t.check(figures["steps"], "nothing disturbed the load")
    for side in DEVS:
        check_ledger(t, side, count[side])
    check_times(plan, figures)
    return figures
