# SPDX-License-Identifier: GPL-2.0-only
"""Caps of connections, on a device that any kernel has, whose classifier is
attached by hand, which is why it does not know the name of the device."""

import json
import tempfile

from policies import Policies, needs_tun

REQUEST, RESPONSE, RST, HALF, SHUTDOWN, RW = 1, 2, 3, "4,1", "4,3", 5


def asks(t, policy, *steps):
    """Steps are (operation, ports...) or the text of another policy. Returns
    for each the ports that came through; and the counters at the end."""
    needs_tun(t)
    tool, pins = t.tool("bpftool"), "/sys/fs/bpf/vsfq"
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        commands = []
        for i, step in enumerate((policy,) + steps):
            if isinstance(step, str):
                p.write("policy%d" % i, step)
                commands.append("vsfq apply policy%d || exit" % i)
            else:
                commands.append("$here/tests/sight/ask.py vsock0 " +
                                " ".join(map(str, step)))
        commands[1:1] = [
            "$here/tests/sight/fake.py vsock0 && ip link set vsock0 up || "
            "exit 77",
            "%s prog loadall $here/build/classify.bpf.o /sys/fs/bpf/c "
            "pinmaps /sys/fs/bpf/c map name policy pinned %s/@policy/policy" %
            (tool, pins),
            "%s net attach tcx_egress pinned /sys/fs/bpf/c/vsfq_egress dev "
            "vsock0" % tool]
        commands += ["%s -j map dump pinned /sys/fs/bpf/c/%s" % (tool, name)
                     for name in ("device", "classes")]
        output = p.run(*commands, namespaces="-mn")
    if "CAP_BPF" in output:
        t.skip("this machine does not let us load BPF programs")
    # It is not pinned as what vsfq attaches.
    *through, device, classes = [line for line in output.splitlines()
                                 if "not attached" not in line]
    return ([list(map(int, line.split())) for line in through],
            json.loads(device)[0]["formatted"]["value"],
            [c["formatted"]["value"] for c in json.loads(classes)])


def test_connections(t):
    """No more than there may be; what is there stays, and one that ends, in
    either way and once, makes room. A request that is repeated is one. Those
    from before there was a cap are counted, not refused; ends are seen when
    there is no cap any more."""
    few = 'class few { connections = 3 } rule { class = few }'
    through, device, classes = asks(
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


def test_connection_moves(t):
    """To another class, with the connection."""
    text = "class a { connections = 2 } class b { connections = 2 }" \
        "rule { class = %s }"
    through, device, classes = asks(
        t, text % "a", (REQUEST, 1, 2, 3), text % "b", (RESPONSE, 1, 2),
        (REQUEST, 3))
    t.equal(through, [[1, 2], [1, 2], []], "let through")
    t.equal([device["opens"]["open"]] + [c["opens"]["open"] for c in classes
                                         [2:4]], [2, 0, 2], "open")


def test_group_connections(t):
    """Of each group, be it by the user or by the CID on the other side, its
    own."""
    through, _, classes = asks(
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
            through, device, classes = asks(
                t, text + "rule { class = c }", (REQUEST, *range(1, 31)))
            if len(through[0]) <= 5:
                break
        t.check(2 <= len(through[0]) <= 5, "%s: %r" % (text, through))
        t.equal((device["capped"] + classes[2]["capped"])[cap],
                30 - len(through[0]), "refused by " + text)
