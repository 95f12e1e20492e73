# SPDX-License-Identifier: GPL-2.0-only
"""What an administrator looks at, on real devices of both sides."""

import json
import re

import prometheus
import session
from findings import findings, finds
from firewall import CIDS, others
from load import GUEST_DEV, HOST_DEV, attach_all, make_other_version

BED = "pair"

VSFQ = "build/vsfq"
PINS = "/sys/fs/bpf/vsfq"
VSLOAD = "build/vsload"
PROBE = "python3 tests/load/probe.py"


def value(families, name, **found):
    """The one sample of a family without parts that has these labels."""
    return families[name].samples[name, tuple(sorted(found.items()))]


def test_metrics(t):
    """They are the figures of show, of every class and in its order of
    magnitude of time, and the file is what is printed."""
    vm = t.bed.guest
    attach_all(t, vm)
    t.serve(t.bed.host, 5060)
    t.guest("%s client --port 5060 --duration 2 --streams 2 --ping 1" %
            VSLOAD, limit=90)
    shown = json.loads(t.run(vm, VSFQ + " -j show"))[0]
    t.run(vm, "mkdir -p /run/textfile && %s metrics -t /run/textfile" % VSFQ)
    t.cleanup(vm, "rm -r /run/textfile")
    t.equal(t.run(vm, "cd /run/textfile && stat -c '%a %n' $(ls -A)"),
            "644 vsfq.prom\n", "files")
    found = prometheus.parse(t.run(vm, "cat /run/textfile/vsfq.prom"))
    t.equal(value(found, "vsfq_device_up", device=GUEST_DEV), 1, "up")
    for c in shown["classes"]:
        where = {"device": GUEST_DEV, "class": c["name"]}
        for way, name in ("in", "received"), ("out", "sent"):
            have = value(found, "vsfq_packets_total", direction=way, **where)
            t.check(have >= c[name]["packets"], "%s %s: %r" %
                    (name, c["name"], have))
        count = found["vsfq_queue_time_seconds"].samples[
            "vsfq_queue_time_seconds_count", tuple(sorted(where.items()))]
        t.check(count >= c["served"]["packets"], "histogram of %r" % where)
    check_time(t, found, shown["classes"])


def test_owner_of_service(t):
    """The connections of a listener are its cgroup's, though they are made where
    packets are received."""
    port = 5064
    for vm, other in others(t):
        attach_all(t, vm)
        t.run(vm, "mkdir /sys/fs/cgroup/service")
        t.cleanup(vm, "rmdir /sys/fs/cgroup/service")
        job = t.start_server(
            vm, "bash -c 'echo $BASHPID > /sys/fs/cgroup/service/cgroup.procs; "
            "exec %s server --port %d'" % (VSLOAD, port), "serving")
        t.run(other, "%s client --cid %d --port %d --ping 1 --duration 0.5 "
              "--warmup 0" % (VSLOAD, CIDS[vm.name], port), limit=90)
        number = int(t.run(vm, "stat -c %i /sys/fs/cgroup/service"))
        owners = {f["cgroup"] for d in json.loads(t.run(vm, VSFQ + " -sj show"))
                  for f in d["flows"] if f["local_port"] == port}
        t.equal(owners, {number}, "owners in the " + vm.name)
        t.end(job)


def percentile(buckets, percent):
    """The upper bound of the bucket in which so many of them are reached."""
    reached = [i for i in range(len(buckets))
               if 100 * sum(buckets[:i + 1]) >= percent * sum(buckets)]
    return 2 ** reached[0]


def check_time(t, found, classes):
    """The mean lies between the shortest and the longest time there was, and
    what half and nearly all of the packets waited is where they are."""
    for c in classes:
        if not c["served"]["packets"]:
            continue
        for percent in 50, 99:
            t.equal(c["sojourn_us"]["p%d" % percent],
                    percentile(c["sojourn_us"]["buckets"], percent),
                    "p%d of %r" % (percent, c))
        labels = tuple(sorted({"device": GUEST_DEV,
                               "class": c["name"]}.items()))
        samples = found["vsfq_queue_time_seconds"].samples
        mean = samples["vsfq_queue_time_seconds_sum", labels] / \
            samples["vsfq_queue_time_seconds_count", labels]
        filled = [i for i, n in enumerate(c["sojourn_us"]["buckets"]) if n]
        # The first one is that of less than a microsecond, which counts as 0.
        least = 2 ** filled[0] / 4e6 if filled[0] else 0
        t.check(least <= mean <= 2 ** filled[-1] / 1e6,
                "a mean of %g s with %r" % (mean, c["sojourn_us"]))


def doctor(t, vm, status, program=VSFQ):
    return t.run(vm, program + " doctor", status=status)


def test_doctor(t):
    """Well, then not, then well again by what it said to do."""
    vm, dev = t.bed.guest, GUEST_DEV
    attach_all(t, vm)
    output = doctor(t, vm, 0)
    finds(t, output, "ok", "kernel", "virtio_transport has the patches")
    finds(t, output, "ok", "kernel", "has BPF qdiscs")
    finds(t, output, "ok", "kernel", "has the BPF LSM")
    finds(t, output, "ok", "qdisc", "by this version")
    finds(t, output, "ok", "connect", "by this version")
    finds(t, output, "ok", dev, "attached by this version")
    finds(t, output, "ok", dev, "its root qdisc is vsfq")
    t.check(("warning", dev) not in findings(output), output)
    t.run(vm, "tc qdisc replace dev %s root pfifo" % dev)
    finds(t, doctor(t, vm, 1), "problem", dev, '"pfifo"',
          "(try: vsfq attach %s)" % dev)
    t.run(vm, "%s attach %s" % (VSFQ, dev), limit=300)
    finds(t, doctor(t, vm, 0), "ok", dev, "its root qdisc is vsfq")
    detach = t.tool("bpftool") + " link detach pinned %s/%s/" % (PINS, dev)
    for hook in "ingress", "egress":
        t.run(vm, detach + hook)
        output = doctor(t, vm, 1)
        finds(t, output, "problem", dev, "not on tcx " + hook,
              "(try: vsfq attach %s)" % dev)
        t.check(("warning", dev) not in findings(output), output)
        t.run(vm, "%s attach %s" % (VSFQ, dev), limit=300)
        output = doctor(t, vm, 0)
        t.check(("warning", dev) not in findings(output), output)
    t.run(vm, "%singress && %segress" % (detach, detach))
    finds(t, doctor(t, vm, 0), "warning", dev, "attached to no device",
          "vsfq detach " + dev)
    t.run(vm, VSFQ + " detach " + dev)
    finds(t, doctor(t, vm, 0), "warning", dev, "not attached")
    # Though its programs, by which it is known, had gone before.
    t.check("vsfq" not in t.run(vm, "tc qdisc show dev " + dev),
            "the device still has the qdisc")
    t.run(vm, "ls %s/@qdisc" % PINS, status=2)


def test_doctor_other_version(t):
    vm = t.bed.guest
    attach_all(t, vm)
    make_other_version(t, vm)
    output = doctor(t, vm, 0, "/run/other")
    finds(t, output, "warning", "qdisc", "another version", "vsfq attach all")
    for what in "attached by another version", "its qdisc is of another":
        finds(t, output, "warning", GUEST_DEV, what,
              "vsfq attach " + GUEST_DEV)


def counters(value, path=""):
    """{path: number} of all in a device of "show -j" that may only grow."""
    if isinstance(value, list):
        return {k: n for i, v in enumerate(value)
                for k, n in counters(v, "%s.%d" % (path, i)).items()}
    if not isinstance(value, dict):
        return {path: value}
    grow = {"sent", "received", "served", "drops", "sum", "buckets",
            "sojourn_us", "packets", "bytes", "cost", "throttled", "stalls",
            "classes", "flows", "foreign", "untracked"}
    return {k: n for key, v in value.items() if key in grow or "drops" in path
            for k, n in counters(v, path + "." + key).items()}


def by_flow(device):
    """Flows come in no order."""
    flows = {(f["local_port"], f["peer_port"], f["type"]): f
             for f in device.pop("flows")}
    return counters(device), {k: counters(f) for k, f in flows.items()}


def datagrams(t, vm):
    """What became of those that were sent, in numbers that add up when nothing
    is sent: counted, sent on, and dropped by reason or, as the driver sees it,
    on the way to it."""
    shown, = json.loads(t.run(vm, VSFQ + " -sj show"))
    class_, = [c for c in shown["classes"] if c["name"] == "dgram"]
    t.equal(class_["backlog"]["packets"], 0, "datagrams that wait")
    return {"counted": class_["sent"]["packets"],
            "served": class_["served"]["packets"], **class_["drops"],
            "driver": shown["driver"]["dgram_dropped_by_tc"]}


def check_datagrams(t, before, after):
    """Each was sent on, or was queued when the qdisc was replaced, or came when
    there was none: then the driver alone counts it."""
    grown = {k: after[k] - before[k] for k in before if after[k] != before[k]}
    said = "datagrams: %r" % grown
    t.check(set(grown) <= {"counted", "served", "reset", "driver"}, said)
    lost = grown["counted"] - grown["served"] - grown.get("reset", 0)
    t.check(0 <= lost <= grown.get("driver", 0), said)


def test_upgrade(t):
    """Another version takes over from the one that is attached while streams
    and datagrams flow: no byte of a stream is lost, no counter goes back, no
    flow is forgotten, and of each datagram it is known what became of it."""
    vm = t.bed.host
    attach_all(t, vm)
    make_other_version(t, vm)
    at_first = datagrams(t, vm)
    t.serve(t.bed.guest, 5070)
    job = t.start(vm, "%s client --cid 42 --port 5070 --duration 600 "
                  "--streams 3 --ping 1 --dgram-flood 1" % VSLOAD, limit=700)
    t.wait_for(vm, "%s top -b -c 1 | grep -q ':5070 stream .* uid 0'" % VSFQ)
    show = VSFQ + " -sj show; "
    before, after = t.run(vm, show + "/run/other attach all && " + show,
                          limit=100).splitlines()
    t.check(job.status is None, "the load was over before the upgrade")
    finds(t, doctor(t, vm, 0, "/run/other"), "ok", HOST_DEV,
          "attached by this version")
    finds(t, doctor(t, vm, 0, "/run/other"), "ok", "qdisc", "by this version")
    old, old_flows = by_flow(json.loads(before)[0])
    new, new_flows = by_flow(json.loads(after)[0])
    t.check(old[".classes.0.served.packets"] and
            old[".classes.0.sojourn_us.sum"], "nothing was counted: %r" % old)
    t.equal({k for k in old if new.get(k, -1) < old[k]}, set(),
            "counters that went back")
    t.check(set(old_flows) <= set(new_flows), "flows that were forgotten")
    for flow, had in old_flows.items():
        t.check(all(new_flows[flow][k] >= had[k] for k in had),
                "%r: %r became %r" % (flow, had, new_flows[flow]))
    moved = ".classes.0.served.packets"
    t.wait_for(vm, "[ $(%s -j show | python3 -c 'import json, sys; "
               "print(json.load(sys.stdin)[0][\"classes\"][0][\"served\"]"
               "[\"packets\"])') -gt %d ]" % (VSFQ, new[moved] + 20))
    t.equal(t.end(job), 0, "status of the load: " + job.output)
    t.wait_for(vm, "tc -s qdisc show dev %s | grep -q 'backlog 0b 0p'" %
               HOST_DEV)
    check_datagrams(t, at_first, datagrams(t, vm))
    t.run(vm, VSFQ + " attach all", limit=100)


def test_show(t):
    """The guest's name, rates, the grants, and who waits for the other side
    rather than for the device."""
    vm = t.bed.host
    attach_all(t, vm)
    t.run(vm, "mkdir -p /run/systemd/machines && printf 'NAME=web\\n"
          "VSOCK_CID=42\\n' > /run/systemd/machines/web")
    t.cleanup(vm, "rm -r /run/systemd/machines")
    t.start_server(t.bed.guest, "python3 tests/load/hold.py listen 5072 262144",
                   "listening")
    t.serve(t.bed.guest, 5074)
    t.start(vm, "%s client --cid 42 --port 5074 --duration 600 --streams 1" %
            VSLOAD, limit=700)
    job = t.start_server(vm, "python3 tests/load/hold.py stream 42 5072 1 "
                         "65536", "ready")
    t.signal(job)
    t.check(job.says("sent"), job.output)
    shown, = json.loads(t.run(vm, "%s -j show -s -d 2" % VSFQ))
    t.equal((shown["port"], shown["guest"]), ("cid42", "web"), "the guest")
    t.check(shown["per_second"]["sent"]["bytes"] > 0, "%r" % shown)
    driver = t.run(vm, "ethtool -S %s" % HOST_DEV)
    t.equal(list(shown["driver"]), re.findall(r"^ +(\w+): ", driver, re.M),
            "what the driver counts")
    t.check(shown["driver"]["grants_used"] > 0, "%r" % shown["driver"])
    stalls = {f["peer_port"]: f["stalls"] for f in shown["flows"]
              if f["peer_port"] in (5072, 5074)}
    t.check(stalls[5072] >= 1, "stalls of who is not read: %r" % stalls)
    class_, = [c for c in shown["classes"] if c["name"] == "stream"]
    # Of the other one there may be more, since flows are read last.
    t.check(class_["stalls"] >= stalls[5072], "%r" % class_)
    pretty, = json.loads(t.run(vm, VSFQ + " -jp show -s"))
    t.equal(set(pretty), set(shown) - {"per_second"}, "what -p shows")
    text = t.run(vm, "%s show -s; %s top -b -c 1; %s metrics" % (3 * (VSFQ,)))
    for line in ("%s cid42 web up attached\n" % HOST_DEV,
                 "\n%s cid42 web " % HOST_DEV, 'guest="web"',
                 "\n  driver   grants ", " packets that used up the credit\n"):
        t.check(line in text, "no %r in\n%s" % (line, text))


def test_session(t):
    """docs/session.txt is what happens: the same commands succeed, and say
    lines of the same kinds."""
    with open("docs/session.txt") as f:
        recorded = f.read()
    t.check(session.POLICY in recorded, "another policy: run make session")
    t.equal(session.shape(session.play(t)[0]), session.shape(recorded),
            "the session (if it has to differ, run make session)")


LOGGED = """\
class logged { }
rule { direction = in   local-port = 5061   log = yes  verdict = reject }
rule { direction = out  remote-port = 5062  log = yes  verdict = drop }
rule { direction = in   local-port = 5063   log = yes  class = logged }
"""


def test_monitor(t):
    """Each verdict on the guest, in both directions, and each connection: who
    asked and what he got, and that it ended."""
    vm, other = t.bed.guest, t.bed.host
    t.run(vm, "cat > /run/logged.conf <<'EOF'\n%s\nEOF" % LOGGED)
    t.cleanup(vm, VSFQ + " policy clear")
    t.run(vm, VSFQ + " apply /run/logged.conf")
    attach_all(t, vm)
    t.start_server(vm, PROBE + " serve stream:5063 stream:5064", "serving")
    t.start_server(other, PROBE + " serve stream:5068", "serving")
    job = t.start_server(vm, "%s -v -j monitor" % VSFQ, "listening")
    t.run(other, "%s try stream:42:5061 stream:42:5063 stream:42:5064" % PROBE)
    t.run(vm, PROBE + " try stream:2:5068 stream:2:5062 dgram:2:5062")
    t.equal(t.end(job), 0, "status of the monitor")
    events = [json.loads(line) for line in job.output.splitlines()
              if line.startswith("{")]
    t.equal({e["device"] for e in events}, {GUEST_DEV}, "devices")
    t.equal({(e["direction"], e["type"], e["event"], e.get("rule"),
              e["local_port"] if e["direction"] == "in" else e["peer_port"])
             for e in events},
            {("in", "stream", "reject", 1, 5061),
             ("out", "stream", "drop", 2, 5062),
             ("out", "dgram", "drop", 2, 5062),
             ("in", "stream", "accept", 3, 5063),
             ("in", "stream", "connect", None, 5063),
             ("in", "stream", "close", None, 5063),
             ("in", "stream", "connect", None, 5064),
             ("in", "stream", "close", None, 5064),
             ("out", "stream", "connect", None, 5068),
             ("out", "stream", "close", None, 5068)}, "events")
    # A request, "hello" and what closes, and their answers.
    for e in events:
        t.check(e["event"] != "close" or
                min(e["sent"], e["received"]) >= 2 * 44 + 5, "%r" % e)
    t.run(vm, "%s detach all; ls /sys/fs/bpf/vsfq" % VSFQ)
    t.run(vm, "%s policy clear; ls /sys/fs/bpf | grep vsfq" % VSFQ, status=1)


def test_top(t):
    """Real packets have rates, a share of the cost and a time in the queue,
    and the flow has an owner."""
    vm = t.bed.host
    attach_all(t, vm)
    t.serve(t.bed.guest, 5065)
    t.start(vm, "%s client --cid 42 --port 5065 --duration 600 --streams 2 "
            "--ping 1 --dgram-flood 1 --dgram-size 64" % VSLOAD, limit=700)
    # There is a moment before it sends, and some in which it has no CPU; the
    # first of eight figures is what goes out.
    t.wait_for(vm, "%s top -b -c 1 -d 2 > /run/top; "
               "grep -q ':5065 stream .* uid 0 cgroup' /run/top && "
               "grep -qE '^%s .* [^ ]*[1-9][^ ]*( +[^ ]+){7}$' /run/top" %
               (VSFQ, HOST_DEV))
    lines = [line.split() for line in
             t.run(vm, "cat /run/top; rm /run/top").splitlines()]
    columns = lines[1]
    t.equal(columns[-1], "OWNER", "the last column")
    device = dict(zip(columns, lines[2][-len(columns) + 1:]))
    t.equal(lines[2][0], HOST_DEV, "the device")
    t.equal(device["COST%"], "100.0", "its share")
    for name in "OUT/s", "OUTB":
        t.check(device[name] not in ("0", "-"), "%s of %r" % (name, device))
    t.check(device["WAIT"].endswith("s"), "the time in %r" % device)
    t.equal({line[0] for line in lines[3:5]}, {"stream", "dgram"}, "classes")


FULL = """
class slow { rate = 8bit  limit = 5 }
rule { direction = out  type = dgram  class = slow }
"""


def test_full_queue(t):
    """A queue that is full tells whose datagram it dropped, and why, a hundred
    times a second; who waits there, how much of his and for how long, is
    shown."""
    vm, sent = t.bed.guest, 1000
    t.run(vm, "cat > /run/full.conf <<'EOF'\n%s\nEOF" % FULL)
    t.cleanup(vm, VSFQ + " policy clear")
    t.run(vm, VSFQ + " apply /run/full.conf")
    attach_all(t, vm)
    # The qdisc stays for another device, and with it what it writes to.
    t.run(vm, "ip link add vsfqdummy0 type dummy && "
          "tc qdisc add dev vsfqdummy0 root vsfq")
    t.cleanup(vm, "ip link del vsfqdummy0")
    t.run(vm, "%s detach all && ls -d %s/@qdisc" % (VSFQ, PINS))
    attach_all(t, vm)
    t.start_server(t.bed.host, PROBE + " serve dgram:5065", "serving")
    job = t.start_server(vm, "%s -v -j monitor drop" % VSFQ, "listening")
    # The first one uses up the credit of the next hours.
    t.run(vm, "%s flood 2 5066 1 65536 && %s flood 2 5065 %d" %
          (PROBE, PROBE, sent))
    shown, = json.loads(t.run(vm, VSFQ + " -sj show"))
    text = t.run(vm, "%s show -s; %s top -b -c 1" % (VSFQ, VSFQ))
    t.equal(t.end(job), 0, "status of the monitor")
    flow, = [f for f in shown["flows"] if f["peer_port"] == 5065]
    class_, = [c for c in shown["classes"] if c["name"] == "slow"]
    t.equal((flow["backlog"]["packets"], flow["backlog"]),
            (5, class_["backlog"]), "what waits")
    t.check(flow["waited_us"] > 0, "%r" % flow)
    t.check(re.search(r"\n    waiting  \d+us so far\n", text), text)
    t.equal({f["peer_port"]: bool(f["sojourn_us"]["p50"])
             for f in shown["flows"] if f["peer_port"] in (5065, 5066)},
            {5065: False, 5066: True}, "which has sent anything")
    t.check(re.search(r":5065 dgram .* 5 +- +[\d.]+(us|ms|s)  uid", text), text)
    t.equal(class_["drops"]["packets"], sent - 5, "drops counted")
    events = [json.loads(line) for line in job.output.splitlines()
              if line.startswith("{")]
    t.equal({(e["event"], e["device"], e["type"], e["peer_port"],
              e["local_port"], e["class"], e["reason"]) for e in events},
            {("drop", GUEST_DEV, "dgram", 5065, flow["local_port"], "slow",
              "packets")}, "events of %r" % job.output)
    told = [e["drops"] for e in events]
    t.equal(told[:100], list(range(1, 101)), "the drops told first")
    t.check(len(told) < sent - 5, "all of %d drops were told" % len(told))


# Why else a queue drops, and for which caps of a class and of its device.
REASONS = {
    "memory": ("memory = 64K", ""),
    "group": ("group-memory = 64K", ""),
    "device": ("", "memory = 64K"),
}
HELD = """
class slow { rate = 8bit  %s }
rule { direction = out  type = dgram  class = slow }
device "virtio-vsock*" { %s }
"""


def test_drop_reasons(t):
    """The other caps that make it drop are told by their names, too."""
    vm = t.bed.guest
    t.cleanup(vm, "rm -f /run/held.conf; %s policy clear" % VSFQ)
    attach_all(t, vm)
    job = t.start_server(vm, "%s -v -j monitor drop" % VSFQ, "listening")
    drops = {}
    for port, (reason, caps) in enumerate(REASONS.items(), 5071):
        t.run(vm, "echo '{1}' > /run/held.conf && {0} apply /run/held.conf && "
              "{2} flood 2 {3} 30 4096".format(VSFQ, HELD % caps, PROBE, port))
        shown, = json.loads(t.run(vm, VSFQ + " -j show"))
        class_, = [c for c in shown["classes"] if c["name"] == "slow"]
        drops[port, "slow", reason] = class_["drops"][reason]
        # What waits for credit goes.
        t.run(vm, VSFQ + " policy clear")
        t.wait_for(vm, "tc -s qdisc show dev %s | grep -q 'backlog 0b 0p'" %
                   GUEST_DEV)
    t.equal(t.end(job), 0, "status of the monitor")
    told = [(e["peer_port"], e["class"], e["reason"], e["drops"]) for e in
            map(json.loads, job.output.splitlines()[1:])]
    t.check(all(drops.values()), "no drops: %r" % drops)
    for what, count in drops.items():
        t.check((*what, count) in told, "%r, %d times, is not in %r" %
                (what, count, told))
    t.equal({event[:3] for event in told}, set(drops), "what was told")


# What leaves the guest waits, whatever its class.
STOPPED = 'device "virtio-vsock*" { rate = 8bit }'
GONE = "class gone { } rule { direction = out  type = dgram  class = gone }"


def test_removed_class(t):
    """What waits in a class that the policy no longer has is shown; there is no
    time that nothing has waited."""
    vm = t.bed.guest
    t.cleanup(vm, "rm -f /run/gone.conf; %s policy clear" % VSFQ)
    # A class takes over the counters of one that earlier tests had.
    t.run(vm, VSFQ + " detach all", limit=100)
    attach_all(t, vm)
    apply = "echo '%s' > /run/gone.conf && " + VSFQ + " apply /run/gone.conf"
    t.run(vm, apply % (STOPPED + GONE))
    text = t.run(vm, VSFQ + " show")
    t.check(re.search(r"class gone(\n    .*)*\n    in queue p50 - p99 -\n", text),
            text)
    # The first one uses up the credit of the next hours.
    t.run(vm, "{0} flood 2 5081 1 65536 && {0} flood 2 5081 5".format(PROBE))
    t.run(vm, apply % STOPPED)
    shown, = json.loads(t.run(vm, VSFQ + " -j show"))
    t.equal([(c["name"][0], c["backlog"]["packets"]) for c in shown["classes"]
             if c["name"] not in ("stream", "dgram")], [("#", 5)], "classes")
    t.check(re.search(r'vsfq_backlog_packets{device="%s",class="#\d+"} 5\n' %
                      GUEST_DEV, t.run(vm, VSFQ + " metrics")), "the metrics")
    t.run(vm, VSFQ + " policy clear")
    t.wait_for(vm, "! %s show | grep -q '#'" % VSFQ)
