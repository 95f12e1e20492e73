# SPDX-License-Identifier: GPL-2.0-only
"""Caps of connections, and who opened them, on a device that any kernel has,
whose classifier is attached by hand, which is why it does not know the name of
the device."""

import itertools
import json
import tempfile

from policies import Policies, by_hand, needs_tun

REQUEST, RESPONSE, RST, HALF, SHUTDOWN, RW = 1, 2, 3, "4,1", "4,3", 5
FORGET = "forget"   # the flow, as if others had taken its place
PORT = "port"       # of the device: it is told what comes after
LATER = "later"     # another CPU has heard of it, by a clock that is ahead
NOBODY = "by=mirror0"   # it is of no socket
MEMBER = "member"   # it is of a socket of CGROUP
CGROUP = "/vsfq-asks"
JOIN = "sh -c 'echo 0 >/sys/fs/cgroup%s/cgroup.procs && exec \"$@\"' - " % CGROUP
NEW, OPEN, CLOSED = 0, 1, 2     # enum vsfq_flow_state

# The name of the device comes first, of 16 bytes.
TELL_PORT = """
device="pinned /sys/fs/bpf/c/device key 0 0 0 0"
value=$(%(tool)s -j map lookup $device | python3 -c '
import json, sys
value = json.load(sys.stdin)["value"]
value[16:32] = b"%(port)-16s".replace(b" ", bytes(1))
print(*value)')
%(tool)s map update $device value $value && echo
"""
# When it was heard of comes first.
TELL_LATER = """
for port in %(ports)s; do
    c="pinned /sys/fs/bpf/c/connections key \
       3 0 0 0 $port 0 0 0 2 0 0 0 136 19 0 0 1 0 0 0"
    value=$(%(tool)s -j map lookup $c | python3 -c '
import json, sys
value = json.load(sys.stdin)["value"]
value[6] = 1
print(*value)')
    %(tool)s map update $c value $value
done && echo
"""


def asks(t, policy, *steps):
    """Steps are (operation, ports...), (PORT, "cid5") or the text of another
    policy. Returns for each the ports that came through; the counters and the
    flows at the end."""
    needs_tun(t)
    tool = t.tool("bpftool")
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        commands = []
        for i, step in enumerate((policy,) + steps):
            if isinstance(step, str):
                p.write("policy%d" % i, step)
                commands.append("vsfq apply policy%d || exit" % i)
            elif step[0] == PORT:
                commands.append(TELL_PORT % {"tool": tool, "port": step[1]})
            elif step[0] == LATER:
                commands.append(TELL_LATER % {
                    "tool": tool, "ports": " ".join(map(str, step[1:]))})
            elif step[0] == FORGET:
                commands.append(
                    "for port in %s; do echo map delete pinned "
                    "/sys/fs/bpf/c/flows key 3 0 0 0 $port 0 0 0 2 0 0 0 "
                    "136 19 0 0 1 0 0 0; done | %s batch file - > forgot && "
                    "echo || cat forgot" % (
                        " ".join(map(str, step[1:])), tool))
            else:
                commands.append(
                    (JOIN if MEMBER in step else "") +
                    "$here/tests/sight/ask.py vsock0 " +
                    " ".join(str(word) for word in step if word != MEMBER))
        commands[1:1] = [
            "$here/tests/sight/fake.py vsock0 && ip link set vsock0 up || "
            "exit 77",
            *by_hand(tool, "policy"),
            # Whatever is mirrored belongs to no socket.
            "$here/tests/sight/fake.py mirror0 && ip link set mirror0 up && "
            "tc qdisc add dev mirror0 clsact && tc filter add dev mirror0 "
            "egress protocol 0xfb u32 match u32 0 0 action mirred egress "
            "mirror dev vsock0 || exit 77"]
        commands += ["%s -j map dump pinned /sys/fs/bpf/c/%s" % (tool, name)
                     for name in ("device", "classes", "flows")]
        if any(MEMBER in step for step in steps):
            commands = ["mount -t cgroup2 none /sys/fs/cgroup || exit 77",
                        "mkdir /sys/fs/cgroup%s || exit 77" % CGROUP,
                        "trap 'rmdir /sys/fs/cgroup%s' EXIT" % CGROUP,
                        *commands]
        output = p.run(*commands, namespaces="-mn")
    if "CAP_BPF" in output:
        t.skip("this machine does not let us load BPF programs")
    # It is not pinned as what vsfq attaches.
    *through, device, classes, flows = [line for line in output.splitlines()
                                        if "not attached" not in line]
    return ([list(map(int, line.split())) for line in through],
            json.loads(device)[0]["formatted"]["value"],
            [c["formatted"]["value"] for c in json.loads(classes)],
            [f["formatted"] for f in json.loads(flows)])


def test_connections(t):
    """No more than there may be; what is there stays, and one that ends, in
    either way and once, makes room. A request that is repeated is one. Those
    from before there was a cap are counted, not refused; ends are seen when
    there is no cap any more."""
    few = 'class few { connections = 3 } rule { class = few }'
    through, device, classes, _ = asks(
        t, few + 'device "*" { connections = 5 }',
        (REQUEST, 1, 2, 3, 4, 1), (RW, 1, 2, 3), (RST, 1), (RST, 1, 9),
        (HALF, 2), (REQUEST, 1, 4), (SHUTDOWN, 2), (REQUEST, 5, 6),
        (RW, 11, 12, 13, 14), (REQUEST, 7),
        "rule { class = stream }", (RST, 1, 3, 5, 11, 12))
    t.equal(through, [[1, 2, 3, 1], [1, 2, 3], [1], [1, 9], [2], [1], [2],
                      [5], [11, 12, 13, 14], [], [1, 3, 5, 11, 12]],
            "let through")
    t.equal((device["opens"]["open"], classes[2]["opens"]["open"]), (2, 2),
            "open")
    t.equal((device["capped"], classes[2]["capped"]),
            ([1, 0], [3, 0, 0, 0]), "refused")
    t.equal(device["refused"], [0, 4], "refused, of all")


def test_claims(t):
    """What arrives of a connection that there is not makes none, for which a cap
    would not be asked then. One that is older than the cap is counted when this
    side says something, or has, whoever does next."""
    few = "class few { connections = 2 } rule { class = few }"
    _, device, classes, _ = asks(
        t, few, (REQUEST, "in", 1, 2, 3), (RW, "in", 4, 5),
        (RESPONSE, "in", 6, 7), (REQUEST, "in", 4, 5, 6, 7))
    t.equal((device["opens"]["open"], classes[2]["capped"][0]), (2, 5), "open")
    _, device, _, _ = asks(
        t, "rule { class = stream }", (REQUEST, "in", 1, 2, 3, 4),
        (RESPONSE, 1, 2, 3), (RST, 3), few, (RESPONSE, "in", 1, 3, 4),
        (RESPONSE, 2))
    t.equal(device["opens"]["open"], 2, "open, of those from before")


def test_heard_of_meanwhile(t):
    """One that another CPU hears of while all are looked through stays."""
    through, device, _, _ = asks(
        t, 'device "*" { connections = 3 }', (REQUEST, 1, 2, 3),
        (RESPONSE, "in", 1), (LATER, 1, 2), (REQUEST, 4))
    t.equal((through, device["opens"]["open"]),
            ([[1, 2, 3], [1], [], []], 3), "let through, and open")


def test_owner_of_ours(t):
    """After another policy the class of what a socket of a cgroup has opened is
    that of the cgroup, also if the other side speaks first, which has no socket
    here: until this one does it stays where it was."""
    text = "class one { connections = 9 } class two { connections = 9 }" \
        "class rest { connections = 9 }" \
        "rule { direction = out  cgroup = %s  class = %%s }" \
        "rule { class = rest }" % CGROUP
    _, _, classes, flows = asks(
        t, text % "one", (REQUEST, MEMBER, 1, 2), (RESPONSE, "in", 1, 2),
        (RW, MEMBER, 1, 2), text % "two", (RESPONSE, "in", 1, 2),
        (RW, MEMBER, 2))
    t.equal({f["key"]["local_port"]: f["value"]["class"] - 2 for f in flows},
            {1: 0, 2: 1}, "classes of flows")
    t.equal(classes[4]["opens"]["open"], 0, "open in the class of others")


def test_connections_of_port(t):
    """By its port a device has the same caps as by its name, and rules."""
    through, device, _, _ = asks(
        t, "rule { device = cid5  local-port = 9  verdict = reject }"
        "device cid42 { } device cid5 { connections = 2 }",
        (REQUEST, 1, 2, 3, 9), (RST, 1, 2, 3, 9), (PORT, "cid5"),
        (REQUEST, 1, 2, 3, 9), (RST, 1, 2), (PORT, "cid42"),
        (REQUEST, 1, 2, 3, 9))
    t.equal(through, [[1, 2, 3, 9], [1, 2, 3, 9], [], [1, 2], [1, 2], [],
                      [1, 2, 3, 9]], "let through")
    t.equal((device["capped"], device["refused"]), ([1, 0], [0, 2]), "refused")


def test_connection_moves(t):
    """To another class, with the connection."""
    text = "class a { connections = 2 } class b { connections = 2 }" \
        "rule { class = %s }"
    through, device, classes, _ = asks(
        t, text % "a", (REQUEST, 1, 2, 3), text % "b", (RESPONSE, 1, 2),
        (REQUEST, 3))
    t.equal(through, [[1, 2], [1, 2], []], "let through")
    t.equal([device["opens"]["open"]] + [c["opens"]["open"] for c in classes
                                         [2:4]], [2, 0, 2], "open")


def test_group_connections(t):
    """Of each group, be it by the user or by the CID on the other side, its
    own."""
    through, _, classes, _ = asks(
        t, "class u { isolate = uid  group-connections = 2 }"
        "class c { isolate = cid  group-connections = 2 }"
        "rule { local-port = 1-9  class = u } rule { class = c }",
        (REQUEST, 1, 2, 3), (RESPONSE, 1, 2), (REQUEST, "peer=4", 4),
        (REQUEST, "uid=1000", 4, 5, 6), (RST, 1), (REQUEST, 3, 7),
        (REQUEST, 11, 12, 13), (RESPONSE, 11, 12), (REQUEST, "uid=1000", 14),
        (REQUEST, "peer=4", 14, 15, 16), (RST, 11), (REQUEST, 13, 17))
    t.equal(through, [[1, 2], [1, 2], [], [4, 5], [1], [3],
                      [11, 12], [11, 12], [], [14, 15], [11], [13]],
            "let through")
    t.equal([c["capped"] for c in classes[2:4]], 2 * [[0, 0, 4, 0]], "refused")


def test_connection_rate(t):
    """Of a burst of requests a tenth of a second's worth passes."""
    for text, cap in (('device "*" { connection-rate = 20 } class c { }', 1),
                      ("class c { connection-rate = 20 }", 3),
                      ("class c { group-connection-rate = 20 }", 5)):
        # More pass if to ask them all takes longer than a moment.
        for _ in range(3):
            through, device, classes, _ = asks(
                t, text + "rule { class = c }", (REQUEST, *range(1, 31)))
            if len(through[0]) <= 5:
                break
        t.check(2 <= len(through[0]) <= 5, "%s: %r" % (text, through))
        t.equal((device["capped"] + classes[2]["capped"])[cap],
                30 - len(through[0]), "refused by " + text)


# What leaves and what arrives of a connection, and whose it then is.
WE_ASK, WE_ANSWER, WE_RESET = (REQUEST,), (RESPONSE,), (RST,)
THEY_ASK, THEY_ANSWER = (REQUEST, "in"), (RESPONSE, "in")
TALKS = (
    # They lie: nobody has asked them, or they have.
    ("ours", WE_ASK, THEY_ANSWER, THEY_ASK),
    ("ours", WE_ASK, THEY_ANSWER, THEY_ASK, THEY_ANSWER),
    ("ours", WE_ASK, THEY_ASK, THEY_ANSWER),
    ("theirs", THEY_ASK, WE_ANSWER, THEY_ANSWER),
    ("theirs", THEY_ASK, THEY_ANSWER, WE_ANSWER),
    ("theirs", THEY_ASK, WE_ANSWER, THEY_ASK, THEY_ANSWER),
    # Another one, after an end that nobody saw, or everybody.
    ("theirs", WE_ASK, THEY_ANSWER, THEY_ASK, WE_ANSWER),
    ("theirs", WE_ASK, THEY_ANSWER, WE_RESET, THEY_ASK, WE_ANSWER),
    ("ours", THEY_ASK, WE_ANSWER, WE_ASK, THEY_ANSWER),
    ("ours", THEY_ASK, WE_ANSWER, WE_RESET, WE_ASK, THEY_ANSWER),
    # Nobody answered the first request.
    ("theirs", WE_ASK, THEY_ASK, WE_ANSWER),
    ("ours", THEY_ASK, WE_ASK, THEY_ANSWER),
)
WHOSE = "class ours { %s } class theirs { %s }" \
    "rule { direction = out  class = ours }" \
    "rule { direction = in  class = theirs }"


def whose(t, talks, caps, *then):
    """Have the talks, each at a port, each thing that is said followed by these
    steps, and look which class has what leaves in the end. Returns how many are
    counted."""
    steps = []
    for said in itertools.zip_longest(*[talk[1:] for talk in talks]):
        for step in sorted(set(said) - {None}, key=str):
            ports = tuple(n for n, one in enumerate(said) if one == step)
            steps += [one + ports for one in (step, *then)]
    steps.append((RW, *range(len(talks))))
    _, device, _, flows = asks(t, WHOSE % (caps, caps), *steps)
    t.equal({f["key"]["local_port"]: ("ours", "theirs")[f["value"]["class"] - 2]
             for f in flows}, {port: who for port, (who, *_) in
                               enumerate(talks)}, "whose each is")
    return device["opens"]["open"]


def test_who_opened(t):
    """What leaves of a connection is in the class of who opened it, which is
    nothing that the other side could tell, also after a RST that may have been
    for another request of theirs."""
    whose(t, TALKS + (("ours", WE_ASK, THEY_ANSWER, WE_RESET, THEY_ASK),), "")


def test_who_opened_counted(t):
    """The same of those that a cap counts, when their flows are forgotten."""
    t.equal(whose(t, TALKS, "connections = 100", (FORGET,)), len(TALKS),
            "open")


def test_refused_again(t):
    """The RST that refuses a request for a connection that is there does not end
    it, neither for who counts nor for its flow. Others do."""
    here = [(REQUEST, 1, 2, 3, 4), (RESPONSE, "in", 1, 2, 3, 4)]
    again = [(REQUEST, "in", 1, 2, 3, 4), (RST, NOBODY, 1, 2), (RST, 3),
             (RST, "in", 4)]
    for steps, states, counted in (
            (here + again, [OPEN, OPEN, CLOSED, CLOSED], 2),
            (here + [(FORGET, 1)] + again, [OPEN, OPEN, CLOSED, CLOSED], 2),
            (here + again[1:], 4 * [CLOSED], 0),
            # Not answered yet.
            (here[:1] + again, 4 * [NEW], 2)):
        _, device, classes, flows = asks(
            t, "default-in = reject\nclass c { connections = 9 }"
            "rule { direction = out  class = c }", *steps)
        t.equal((device["opens"]["open"], classes[2]["opens"]["open"]),
                2 * (counted,), "open")
        t.equal({f["key"]["local_port"]: f["value"]["state"] for f in flows},
                dict(enumerate(states, 1)), "states")
