# SPDX-License-Identifier: GPL-2.0-only
"""The events of "vsfq monitor", on a device that any kernel has."""

import datetime
import json
import math
import re
import tempfile

from policies import OPEN_CAPS, Policies, by_hand, needs_tun
from program import VSFQ

LOGGED = """\
rule { type = stream  verdict = accept }
rule { direction = out  type = seqpacket  log = yes  verdict = drop }
rule { direction = out  local-port = 1025  log = yes  verdict = drop }
rule { log = yes  class = dgram }
"""


class Logged(Policies):
    """A device that any kernel has, with our classifier attached by hand,
    which is why it does not know the name of the device."""

    def __init__(self, t, top):
        super().__init__(t, top)
        needs_tun(t)
        self.write("policy", LOGGED)

    def listen(self, options, *commands, event=""):
        """Return what the monitor said until the commands were done."""
        output = self.run(
            "vsfq apply policy || exit",
            "$here/tests/sight/fake.py vsock0 && ip link set vsock0 up || "
            "exit 77",
            "$here/%s -v %s monitor %s > said 2> notes &" %
            (VSFQ, options, event),
            "pid=$!",
            "until grep -qs listening notes; do sleep 0.1; done",
            *by_hand(self.t.tool("bpftool"), "policy", "events"),
            "mkdir /sys/fs/bpf/vsfq/$vsock0",
            *commands,
            "kill $pid; wait $pid; echo status $?; cat said",
            namespaces="-mn")
        if "CAP_BPF" in output:
            self.t.skip("this machine does not let us load BPF programs")
        return output


def test_events(t):
    """Which rule matched what, once for each request, once for a pair of
    sockets that exchange datagrams; of no rule that does not ask for it."""
    with tempfile.TemporaryDirectory() as top:
        send = "$here/tests/sight/send.py vsock0 "
        output = Logged(t, top).listen(
            "-j", send + "stream 1", send + "data 2", send + "seqpacket 1",
            send + "dgram 2", send + "dgram 2", send + "seqpacket 1",
            "timeout --foreground 5 $here/%s -j monitor; ls /sys/fs/bpf/vsfq" % VSFQ)
    lines = output.splitlines()
    t.check("another vsfq monitor is running" in json.loads(lines[0])["error"],
            output)
    t.equal([line.partition("@4")[0] for line in lines[1:5]],
            ["@events", "@policy", "vsock0", "status 0"], "then")
    events = [json.loads(line) for line in lines[5:]]
    for e in events:
        t.check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
                             e.pop("time")), "%r" % e)
    common = {"device": "", "direction": "out", "local_cid": 3,
              "peer_cid": 2, "peer_port": 5000}
    t.equal(events, [{**common, "type": kind, "local_port": port,
                      "event": event, "rule": rule}
                     for kind, port, event, rule in (
                         ("seqpacket", 1024, "drop", 2),
                         ("dgram", 1024, "accept", 4),
                         ("dgram", 1025, "drop", 3),
                         ("seqpacket", 1024, "drop", 2))], "events")


def events_of(output):
    return [json.loads(line) for line in output.splitlines()
            if line.startswith("{")]


def without_time(output):
    return [{k: v for k, v in event.items() if k != "time"}
            for event in events_of(output)]


def test_connections(t):
    """When one is accepted and when it ends, with its bytes, whatever the
    policy; once each, and not of what was refused or is not known."""
    # Who answers was asked by the other side.
    common = {"device": "", "direction": "in", "type": "stream",
              "local_cid": 3, "local_port": 1024, "peer_cid": 2,
              "peer_port": 5000}
    send = "$here/tests/sight/send.py vsock0 "
    kinds = "stream", "accept", "accept", "reset", "reset"
    connect = {**common, "event": "connect"}
    close = {**common, "event": "close", "received": 0}
    for event, want in (
            ("", [connect, {**close, "sent": 4 * 44}, connect,
                  {**close, "sent": 3 * 44}]),
            ("close", [{**close, "sent": 4 * 44}, {**close, "sent": 3 * 44}]),
            ("reject", [])):
        with tempfile.TemporaryDirectory() as top:
            output = Logged(t, top).listen(
                "-j", *[send + kind + " 1" for kind in kinds],
                # Other sockets, that happen to have the same ports.
                *[send + kind + " 1" for kind in ("stream", "accept",
                                                  "reset")],
                send + "reset 3", event=event)
        t.equal(without_time(output), want, "events " + event)


REQUEST, RESPONSE, RST, RW = 1, 2, 3, 5


def test_lies(t):
    """What the other side says alone makes no connection, and neither ends one
    that is there nor begins another; its request does, once it is answered."""
    talks = (
        ([], "%d in" % RESPONSE, RST),
        ([], "%d in" % REQUEST, "%d in" % RESPONSE, "%d in" % RW, RST),
        (["out connect", "out close"], REQUEST, "%d in" % RESPONSE,
         "%d in" % REQUEST, "%d in" % RESPONSE, "%d in" % RST),
        (["out connect", "in connect", "in close"], REQUEST,
         "%d in" % RESPONSE, "%d in" % REQUEST, RESPONSE, RESPONSE, RST))
    with tempfile.TemporaryDirectory() as top:
        output = Logged(t, top).listen("-j", *[
            "$here/tests/sight/ask.py vsock0 %s %d" % (word, port)
            for port, (_, *said) in enumerate(talks) for word in said])
    t.equal([(e["local_port"], "%(direction)s %(event)s" % e)
             for e in events_of(output)],
            [(port, what) for port, (told, *_) in enumerate(talks)
             for what in told], "events")


def test_refused(t):
    """What is refused is told without a rule that asks for it; "log" is for
    what is not. A rule and the default."""
    policy = "default-out = reject\n" \
        "rule { direction = out  type = seqpacket  verdict = reject }\n" \
        "rule { direction = out  local-port = 1024  verdict = accept }\n"
    send = "$here/tests/sight/send.py vsock0 "
    with tempfile.TemporaryDirectory() as top:
        p = Logged(t, top)
        p.write("policy", policy)
        output = p.listen("-j", send + "seqpacket 1", send + "dgram 2",
                          send + "dgram 2")
    t.equal([(e["event"], e["type"], e["local_port"], e["rule"])
             for e in without_time(output)],
            [("reject", "seqpacket", 1024, 1), ("reject", "dgram", 1025, 0)],
            "events")


def of_guest(t, options):
    """What is said of requests to a guest that has a name, of which each cap
    in turn refuses one."""
    with tempfile.TemporaryDirectory() as top:
        p = Logged(t, top)
        p.write("web", "NAME=web\nVSOCK_CID=42\n")
        steps = ["mount -t tmpfs none /run || exit 77",
                 "mkdir -p /run/systemd/machines",
                 "cp web /run/systemd/machines"]
        for n, (_, _, policy) in enumerate(OPEN_CAPS):
            p.write("cap%d" % n, policy)
            ask = "$here/tests/sight/ask.py vsock0 %%d peer=42 %d" % \
                (1024 + 2 * n)
            steps += ["vsfq apply cap%d" % n, "%s %d" % (ask % 1, 1025 + 2 * n),
                      ask % 3]
        return p.listen(options, *steps, event="cap")


def test_caps(t):
    """Whose cap refused a request that the policy accepts, and which; and
    which guest it is about."""
    events = without_time(of_guest(t, "-j"))
    t.equal(events, [{
        "device": "", "direction": "out", "type": "stream", "event": "cap",
        "local_cid": 3, "local_port": 1025 + 2 * n, "peer_cid": 42,
        "peer_port": 5000, "guest": "web", "cap": cap,
        **({"class": owner} if owner else {})}
        for n, (owner, cap, _) in enumerate(OPEN_CAPS)], "events")
    said = re.findall("Z  (.*)", of_guest(t, ""))
    t.equal(said, [
        "out stream cap local 3:%d peer 42:5000 %s of %s guest web" %
        (1025 + 2 * n, cap, "class " + owner if owner else "device")
        for n, (owner, cap, _) in enumerate(OPEN_CAPS)], "lines")


def test_text(t):
    """The same in a line, and what came before is not shown."""
    with tempfile.TemporaryDirectory() as top:
        send = "$here/tests/sight/send.py vsock0 "
        output = Logged(t, top).listen(
            "", "kill $pid; wait $pid; " + send + "seqpacket 1",
            "$here/%s -v monitor > said 2> notes & pid=$!" % VSFQ,
            "until grep -qs listening notes; do sleep 0.1; done",
            send + "dgram 1")
    t.check(re.fullmatch(r"status 0\n\S+Z  out dgram accept local 3:1024"
                         r" peer 2:5000 rule 4\n", output), output)
    with tempfile.TemporaryDirectory() as top:
        p = Logged(t, top)
        p.write("policy", "default-out = drop\n"
                "rule { type = stream  verdict = accept }\n")
        output = p.listen("", *[send + kind + " 1" for kind in (
            "dgram", "accept", "reset")])
    where = " local 3:1024 peer 2:5000"
    t.equal([line.split("Z  ")[1] for line in output.splitlines()[1:]],
            ["out dgram drop%s default" % where,
             "in stream connect" + where,
             "in stream close%s sent 88 received 0" % where], "lines")


def test_alone(t):
    """With nothing attached it waits, and leaves nothing behind."""
    with tempfile.TemporaryDirectory() as top:
        output = Policies(t, top).run(
            "timeout --foreground -s INT 2 $here/%s -v monitor; echo $?" % VSFQ,
            "ls /sys/fs/bpf | grep -c vsfq")
    if "CAP_BPF" in output:
        t.skip("this machine does not let us make BPF maps")
    t.equal(output, "vsfq: listening\n124\n0\n", "output")


def refused(t, policy, *commands):
    """Let somebody try 3000 ports; return the events and how many the device
    has counted instead."""
    with tempfile.TemporaryDirectory() as top:
        p = Logged(t, top)
        p.write("policy", policy)
        output = p.listen(
            "-j", "$here/tests/sight/send.py vsock0 seqpacket 3000", *commands,
            "%s -j map dump pinned /sys/fs/bpf/c/device" % t.tool("bpftool"))
    counted = re.search(r'"unlogged": *(\d+)', output).group(1)
    return events_of(output), int(counted)


def limited(t, events):
    """The first hundred, and as many in each second that begins meanwhile."""
    t.equal([e["local_port"] for e in events[:100]],
            list(range(1024, 1124)), "the ports of the first hundred")
    first, last = (datetime.datetime.fromisoformat(e["time"].rstrip("Z"))
                   for e in (events[0], events[-1]))
    seconds = 1 + math.ceil((last - first).total_seconds())
    t.check(len(events) <= 100 * seconds, "%d events in %d seconds" %
            (len(events), seconds))


def test_limit(t):
    """A guest that tries port after port is told of a hundred times a second.
    The rest of what a rule asks for is counted; what nobody asked for does not
    take its place."""
    events, unlogged = refused(t, LOGGED)
    limited(t, events)
    t.equal(len(events) + unlogged, 3000, "events, told and counted")
    events, unlogged = refused(
        t, LOGGED.replace("seqpacket  log = yes", "seqpacket"),
        "$here/tests/sight/send.py vsock0 dgram 1")
    limited(t, events[:-1])
    t.equal((events[-1]["event"], events[-1]["rule"]), ("accept", 4),
            "what a rule asked for")
    t.equal(unlogged, 0, "events that were counted")
