# SPDX-License-Identifier: GPL-2.0-only
"""One round of torture: loads of all kinds and, under them, disturbances.

A seed and a round's number decide everything about it, except when things
happen to meet. It passes if every byte on both sides is what was sent, no
connection was refused or reset, none stood still for long, and the ledger of
the sender's device balances; whether a kernel complained sees Test.finish().
"""

import itertools
import json
import os
import random
import re

from bed import PATIENCE
from load import GUEST_DEV, HOST_DEV, VSFQ, VSLOAD
from situations import BLOCKS, DROPS, KEEPS, SPOILS, ledger_of

CIDS = {"host": 2, "guest": 42}
DEVS = {"host": HOST_DEV, "guest": GUEST_DEV}
PORTS = itertools.count(5200, 2)

SECONDS = 10            # of load; what surrounds it takes longer in emulation
LIMIT = 150             # of a command
SAMPLE = 0.1

# How long nothing of a connection may move while the devices let something
# through: its kernel asks again after VSOCK_BACKOFF_MAX, 1 s, at the latest.
# The rest is for what a qdisc holds (1 s at 100 mbit/s), and for emulation.
BACKOFF_MAX = 1
SLACK = 4 * PATIENCE
# A qdisc that drops may refuse a connection many times in a row. Only its end
# has a limit: VSOCK_REFUSED_TIMEOUT of nothing else ends it, and none may.
REFUSED_TIMEOUT = 30
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


def kill_attach(rng, side):
    """Whenever it is killed, the next one succeeds."""
    # It takes half a second in an emulated host, several in the guest.
    return "RANDOM=%d\n" % rng.randrange(32768) + until_told(
        "{vsfq} attach {dev} & "
        "sleep $((RANDOM %% %d)).$((RANDOM %% 100)); "
        "kill -9 $! 2>/dev/null || true; wait $! || true\n"
        "{vsfq} attach {dev}\n{vsfq} detach {dev}" %
        (1 if side == "host" else 8))


def chance(rng, side):
    """Half of all packets do not get through, or where they should not."""
    return """tc qdisc replace dev {dev} root pfifo_fast
tc qdisc add dev {dev} clsact
tc filter add dev {dev} egress bpf da obj build/chance.bpf.o sec tc
echo step
"""


LOOPS = {"bpf_chance": chance, "replace_loop": replace, "flap_loop": flap,
         "attach_loop": attach, "kill_attach_loop": kill_attach}
REFUSE = {*DROPS, *SPOILS, "bpf_chance", "replace_loop"}
HOWS = ["copy", "zerocopy", "uring"]
# io_uring interrupts a process to tell it that pages are free. 7.3.4 then ends
# a message that waits for credit in its middle: vsock_connectible_sendmsg().
MESSAGE_HOWS = ["copy", "zerocopy"]
NAMES = sorted([*QDISCS, *BLOCKS, *LOOPS])


def body_of(rng, side, name):
    if name in LOOPS:
        return LOOPS[name](rng, side)
    return block(rng, name) if name in BLOCKS else qdisc(name)


class Plan:
    """What one round does: who sends what, and who is disturbed by what."""

    def __init__(self, seed, number):
        rng = random.Random("%d %d" % (seed, number))
        self.sender = rng.choice(["guest", "host"])
        self.receiver = "host" if self.sender == "guest" else "guest"
        self.streams = "--streams %d --write-size %d --ping 1" % (
            rng.randint(1, 5), rng.choice([1, 63, 1021, 5003, 65536, 300007]))
        self.streams += " --send " + rng.choice(HOWS)
        self.dgrams = rng.randint(0, 2)
        if self.dgrams:
            self.streams += " --dgram-flood %d --dgram-size %d" % (
                self.dgrams, rng.choice([16, 64, 1000, 9001, 65536]))
        # Shorter ones exhaust a slow reader's memory before its credit, and
        # 7.3.4 ends such a connection: virtio_transport_inc_rx_pkt().
        self.messages = "--type seqpacket --streams %d --write-size %d" % (
            rng.randint(1, 3), rng.choice([1021, 5003, 30011, 65536]))
        self.messages += " --send " + rng.choice(MESSAGE_HOWS)
        # Every disturbance gets its turn, in an order that the seed decides.
        deck = NAMES[:]
        random.Random(seed).shuffle(deck)
        self.names = {self.sender: deck[number % len(deck)]}
        if rng.random() < 0.5:
            self.names[self.receiver] = rng.choice(NAMES)
        self.bodies = {side: body_of(rng, side, name)
                       for side, name in self.names.items()}

    def __str__(self):
        return "%s sends; %s" % (self.sender, ", ".join(
            "%s under %s" % pair for pair in self.names.items()))


def vm_of(t, side):
    return t.bed.host if side == "host" else t.bed.guest


def sending(plan, port):
    """The script of the sender: its ledger, then all loads at once.

    They are nice: each of them is busy all the time, and an emulated guest is a
    process beside those of its host.
    """
    client = "%s client --cid %d --port %d --duration %d --warmup 0 " \
        "--interval %g" % (VSLOAD, CIDS[plan.receiver], port, SECONDS, SAMPLE)
    return """
ethtool -S %s
renice -n 19 $$ >/dev/null
%s %s --json %s/streams.json & a=$!
%s %s --json %s/messages.json & b=$!
python3 tests/load/churn.py %d %d %d & c=$!
bad=0
for job in $a $b $c; do wait $job || bad=1; done
exit $bad
""" % (DEVS[plan.sender], client, plan.streams, SHARE, client, plan.messages,
       SHARE, CIDS[plan.receiver], port, SECONDS)


def disturbing(plan, side):
    return "set -e\nip link set {dev} up\n".format(dev=DEVS[side]) + \
        plan.bodies[side].format(dev=DEVS[side], vsfq=VSFQ)


def clean(t, plan, side):
    """Nothing of the disturbance remains; returns the ledger."""
    dev = DEVS[side]
    shown = t.run(vm_of(t, side), "{detach}; tc qdisc del dev {dev} root; "
                  "tc qdisc del dev {dev} clsact; ethtool -S {dev}; "
                  "ip link set {dev} down".format(
                      dev=dev, detach="%s detach %s" % (VSFQ, dev)
                      if "attach" in plan.names[side] else ":"), limit=LIMIT)
    return ledger_of(shown[shown.index("NIC statistics"):])


def stalls(result):
    """The longest that any stream, and the ping, stood still, in seconds.

    A sample that came late tells that the sampler did not run: of it only
    counts what it was to take.
    """
    worst, still = 0, {}
    for sample in result["samples"]:
        spent = min(sample["to"] - sample["from"], 2 * SAMPLE)
        moved = {n: mbps > 0 for n, mbps in enumerate(sample["stream_each"])}
        if result["pings"]:
            moved["ping"] = sample["ping"]["count"] > 0
        for who, has_moved in moved.items():
            still[who] = 0 if has_moved else still.get(who, 0) + spent
            worst = max(worst, still[who])
    return worst


def stop(vm):
    return os.path.join(vm.share, "stop")


def disturb_and_load(t, plan):
    """Returns the outputs of the sender and of all who disturbed it."""
    port = next(PORTS)
    server = t.serve(vm_of(t, plan.receiver), port)
    pulse = t.start_server(vm_of(t, plan.receiver), PULSE, "started")
    vms = {side: vm_of(t, side) for side in plan.names}
    for vm in vms.values():
        if os.path.exists(stop(vm)):
            os.remove(stop(vm))
    sender = vm_of(t, plan.sender)
    load = sender.start(sending(plan, port), LIMIT)
    # The ledger is what the sender tells first, before any grant.
    load.says("ingress_refused", LIMIT)
    jobs = {side: vm.start(disturbing(plan, side), LIMIT)
            for side, vm in vms.items()}
    status = load.wait()
    t.end(pulse)
    for vm in vms.values():
        open(stop(vm), "w").close()
    for side, job in jobs.items():
        t.equal(job.wait(), 0, "exit status of the disturbance of the %s:\n%s\n"
                "it" % (side, job.output[-2000:]))
    t.equal(status, 0, "exit status of the load:\n%s\nthe server:\n%s\nit" %
            (load.output[-3000:], server.output[-1000:]))
    return load.output, "".join(job.output for job in [*jobs.values(), pulse])


def results(t, plan):
    for name in "streams", "messages":
        with open(os.path.join(vm_of(t, plan.sender).share,
                               name + ".json")) as f:
            yield json.load(f)


def torture(t, plan):
    """Run the round; returns its figures, fails if it did not pass."""
    try:
        said, steps = disturb_and_load(t, plan)
    finally:
        ledgers = {side: clean(t, plan, side) for side in plan.names}
    start = ledger_of(said[said.index("NIC statistics"):
                           re.search(r"ingress_refused: \d+\n", said).end()])
    end = ledgers[plan.sender]
    count = {name: end[name] - start[name] for name in end}
    streams, messages = results(t, plan)
    blocked = [float(to) - float(from_) for from_, to in
               re.findall(r"^blocked (\S+) (\S+)$", steps, re.M)]
    paused = map(float, re.findall(r"^paused (\S+)$", steps, re.M))
    conns, churned, slowest = re.search(r"^(\d+) (\d+) ([\d.]+)$", said,
                                        re.M).groups()
    dgrams = streams["dgram_results"] or {"sent": 0, "received": 0}
    figures = {
        "bytes": int(churned) + sum(s["received"] for r in (streams, messages)
                                    for s in r["stream_results"]),
        "connections": int(conns),
        "sent": dgrams["sent"], "received": dgrams["received"],
        "dropped": count["dgram_dropped_by_tc"],
        "overflow": count["dgram_dropped_queue_full"],
        "foreign": count["foreign_dropped"],
        "grants": count["grants"], "dead": count["grants_dead"],
        "steps": steps.count("step\n"), "blocked": max(blocked, default=0),
        "paused": max(paused, default=0),
        "stall": max(stalls(streams), stalls(messages)),
    }
    bound = REFUSED_TIMEOUT if REFUSE & set(plan.names.values()) else \
        figures["blocked"] + figures["paused"] + BACKOFF_MAX + SLACK
    t.check(streams["verified"] and messages["verified"], "not verified")
    t.check(figures["steps"], "nothing disturbed the load")
    t.equal(count["grants_used"] + count["grants_dead"], count["grants"],
            "grants used or dead, of %r" % count)
    t.equal(count["connections_timed_out"], 0, "connections that timed out")
    t.check(figures["stall"] <= bound, "a connection stood still for %.1f s, "
            "%.1f are allowed" % (figures["stall"], bound))
    return figures
