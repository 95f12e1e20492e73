# SPDX-License-Identifier: GPL-2.0-only
"""What "vsfq show" adds to counters: rates, names, forms."""

import json
import re
import tempfile

from attached import JUDGED, PINS, Attached
from policies import OPEN_CAPS, Policies, needs_tun
from program import DONE, FAILED, USAGE, VSFQ, complains


def stats(packets):
    return {"packets": packets, "bytes": 100 * packets}


def flow(port, sent):
    return {"local_cid": 3, "local_port": port, "peer_cid": 2,
            "peer_port": 5000, "type": "dgram", "sent": stats(sent),
            "received": stats(0)}


def device(ifindex, sent, *flows):
    return {"ifindex": ifindex, "sent": stats(sent), "received": stats(4),
            "classes": [{"name": "dgram", "sent": stats(sent),
                         "received": stats(0)}], "flows": list(flows)}


def sent(of):
    rate = of.get("per_second")
    return rate and rate["sent"]


def test_rates(t):
    """Of what was there before, and of a flow that began since; a counter
    that went back is another one."""
    before = [device(1, 10, flow(1, 3), flow(2, 50)), {"ifindex": 2}]
    after = [device(1, 30, flow(1, 13), flow(2, 5), flow(3, 8)),
             device(2, 99), device(3, 99)]
    with tempfile.NamedTemporaryFile("w") as f:
        json.dump([before, after], f)
        f.flush()
        status, output = t.machine("build/print_rates < " + f.name)
    t.equal(status, DONE, "status")
    one, *others = json.loads(output)
    want = {"packets": 10, "bytes": 1000}
    t.equal(one["per_second"],
            {"sent": want, "received": {"packets": 0, "bytes": 0}}, "device")
    t.equal(sent(one["classes"][0]), want, "class")
    t.equal([sent(f)["packets"] for f in one["flows"]], [5, 0, 4], "flows")
    t.check("per_second" not in json.dumps(others),
            "rates of what was not attached: %r" % others)


def figures(packets, bytes_, **third):
    return {"packets": packets, "bytes": bytes_, **third}


def rates(*numbers):
    """What went out and what came in, in packets and bytes."""
    sent = figures(*map(float, numbers[:2]))
    return {"sent": sent, "received": figures(*map(float, numbers[2:]))}


# No two figures are equal: whose each line of the text is can be told.
FIGURES = [
    {"device": "v so\x1bck0", "port": "cid42", "guest": "web", "up": True,
     "attached": True, "throttled": 1, "rate": 2, "burst": 3, "packet_rate": 4,
     "memory": 88, "max_connections": 89, "connection_rate": 90,
     "in": {"rate": 95, "burst": 96, "packet_rate": 97}, "paused": 98,
     "qdisc": {"kind": "vsfq", "bytes": 5, "packets": 6, "drops": 7, "qlen": 8,
               "backlog": 9},
     "sent": figures(10, 11, cost=12), "received": figures(13, 14, cost=15),
     "connections": 16, "capped": {"connections": 17, "connection_rate": 18},
     "refused": {"in": 19, "out": 20}, "driver": {"grants": 21, "dead": 22},
     "per_second": rates(23, 24, 25, 26),
     "classes": [
         {"name": "bulk", "priority": 27, "rate": 28, "burst": 29,
          "limit": 65535, "memory": 1073741824, "max_connections": 16384,
          "connection_rate": 1000000,
          "group": {"packet_rate": 30, "memory": 91, "max_connections": 92,
                    "connection_rate": 93}, "sent": figures(31, 32, cost=33),
          "received": figures(34, 35, cost=36), "stalls": 37,
          "connections": 38, "capped": {
              "connections": 39, "connection_rate": 40,
              "group_connections": 41, "group_connection_rate": 42},
          "backlog": figures(43, 44, memory=45),
          "drops": {"packets": 46, "memory": 47, "group": 48, "device": 49,
                    "pool": 50, "reset": 51},
          "sojourn_us": {"p50": 52, "p99": 53, "sum": 54, "buckets": []},
          "served": figures(55, 56, cost=57), "throttled": 58,
          "groups_throttled": 59, "per_second": rates(60, 61, 62, 63)},
         {"name": "dgram", "connections": 0, "throttled": 0, "limit": 94,
          "capped": {"connections": 0}, "backlog": figures(0, 0, memory=0),
          "sojourn_us": {"p50": 0, "p99": 0}, "drops": {"reset": 64}}],
     "flows": [
         {"local_cid": 65, "local_port": 66, "peer_cid": 67, "peer_port": 68,
          "type": "stream", "class": "bulk", "cgroup": 69, "uid": 70,
          "sent": figures(71, 72, cost=73), "stalls": 74,
          "received": figures(75, 76, cost=77), "waited_us": 78,
          "backlog": figures(79, 80, memory=81),
          "sojourn_us": {"p50": 95, "p99": 96},
          "per_second": rates(82, 83, 84, 85)},
         {"local_cid": 86, "backlog": figures(0, 0, memory=0),
          "sojourn_us": {"p50": 0, "p99": 0}},
         {"local_cid": 97, "sojourn_us": {"p50": 98, "p99": 99}}]},
    {"device": "vsock1", "port": "", "up": False, "attached": False,
     "throttled": 87, "paused": 99, "qdisc": {"kind": "pfifo"}}]
TEXT = """\
v?so?ck0 cid42 web up attached
  qdisc vsfq backlog 8 packets 9 bytes, dropped 7
    sent/s             23 packets               24 bytes
    recvd/s            25 packets               26 bytes
  driver   grants 21 dead 22
  refused 19 in, 20 out
  rate              2 bytes/s burst 3            4 packets/s throttled 1
  in               95 bytes/s burst 96           97 packets/s throttled 98
  connections 16 refused connections 17 connection_rate 18
  limits   memory 88 connections 89 connection_rate 90
  class bulk priority 27
    sent               31 packets               32 bytes               33 cost
    received           34 packets               35 bytes               36 cost
    sent/s             60 packets               61 bytes
    recvd/s            62 packets               63 bytes
    stalls             37 packets that used up the credit
    served             55 packets               56 bytes               57 cost
    backlog            43 packets               44 bytes               45 memory
    in queue p50 < 52us p99 < 53us
    dropped  packets 46 memory 47 group 48 device 49 pool 50 reset 51
    rate               28 bytes/s burst 29 throttled 58
    groups             30 packets/s throttled 59
    connections 38 refused connections 39 connection_rate 40 \
group_connections 41 group_connection_rate 42
    limits   packets 65535 memory 1073741824 connections 16384
    limits   connection_rate 1000000
    limits of groups memory 91 connections 92 connection_rate 93
  class dgram
    backlog             0 packets                0 bytes                0 memory
    in queue p50 - p99 -
    dropped  reset 64
    limits   packets 94
  flow 65:66 67:68 stream class bulk cgroup 69 uid 70
    sent               71 packets               72 bytes               73 cost
    received           75 packets               76 bytes               77 cost
    sent/s             82 packets               83 bytes
    recvd/s            84 packets               85 bytes
    stalls             74 packets that used up the credit
    in queue p50 < 95us p99 < 96us
    backlog            79 packets               80 bytes               81 memory
    waiting  78us so far
  flow 86:0 0:0  class  cgroup 0 uid 0
  flow 97:0 0:0  class  cgroup 0 uid 0
    in queue p50 < 98us p99 < 99us
vsock1 down not attached
  qdisc pfifo backlog 0 packets 0 bytes, dropped 0
  rate   throttled 87
  in     throttled 99
"""


def test_text(t):
    """Each figure with its own label, in its own place; nothing of what there
    is not."""
    with tempfile.NamedTemporaryFile("w") as f:
        json.dump(FIGURES, f)
        f.flush()
        t.equal(t.machine("build/print_show < " + f.name), (DONE, TEXT),
                "status and text")


def test_show(t):
    """With -d there are rates of the device, classes and flows, without there
    are none; text and JSON."""
    with tempfile.TemporaryDirectory() as top:
        output = Attached(t, top).watch(
            "show=\"$here/%s show -s\"" % VSFQ, "$show -j", "$show -jd 3",
            "$show -d 0.5 vsock0")
    plain, timed, text = output.split("\n", 2)
    t.check("per_second" not in plain, plain)
    shown = json.loads(timed)[0]
    t.check(sent(shown)["packets"] > 0, "%r" % shown)
    rate = {c["name"]: sent(c)["packets"] for c in shown["classes"]}
    t.check(rate["dgram"] > 0 and rate["stream"] == 0, "%r" % rate)
    t.check(any(sent(f)["packets"] > 0 for f in shown["flows"]),
            "%r" % shown["flows"])
    t.equal(len(re.findall(r"^    sent/s +\d+ packets +\d+ bytes$", text,
                           re.M)),
            1 + text.count("\n    sent  "), "rates in\n" + text)


def test_odd_type(t):
    """What the other side calls a type that there is not is none of ours."""
    with tempfile.TemporaryDirectory() as top:
        output = Attached(t, top).watch(
            "$here/tests/sight/send.py vsock0 odd 1", "vsfq -j show -s")
    t.equal({f["type"] for f in json.loads(output)[0]["flows"]},
            {"dgram", "unknown"}, "types")


CAPS = """
class few { rate = 80001bps  burst = 70002  packet-rate = 3  connections = 4
	connection-rate = 5  priority = 6  group-rate = 7bps  group-burst = 70008
	group-packet-rate = 9  group-connections = 10  group-connection-rate = 11
	group-memory = 70012  limit = 19  memory = 70020 }
device "*" { rate = 13bps  burst = 70014  packet-rate = 15  connections = 16
	connection-rate = 17  memory = 70018  in-rate = 70021bps
	in-burst = 70022  in-packet-rate = 23 }
"""


def caps(rate, burst, packet_rate, connections, connection_rate, memory):
    return {"rate": rate, "burst": burst, "packet_rate": packet_rate,
            "max_connections": connections, "connection_rate": connection_rate,
            "memory": memory}


def test_caps(t):
    """Those of the policy; and by which cap how many requests were refused, of
    which here the first refuses one, the second two, and so on."""
    with tempfile.TemporaryDirectory() as top:
        p, steps = Attached(t, top), []
        for n, (_, _, policy) in enumerate(OPEN_CAPS):
            p.write("cap%d" % n, policy)
            ports = " ".join(map(str, range(100 * n, 101 * n + 2)))
            steps += ["vsfq apply cap%d" % n] + [
                "$here/tests/sight/ask.py vsock0 %d %s" % (op, ports)
                for op in (1, 3)]
        p.write("caps", CAPS)
        output = p.run("vsfq apply cap0", *p.attach(JUDGED)[:-1], *steps,
                       "vsfq apply caps", "vsfq -j show", namespaces="-mn")
    shown = json.loads(output.splitlines()[-1])[0]
    few = shown["classes"][-1]
    t.equal([(owner, cap, n) for owner, of in ((None, shown), ("few", few))
             for cap, n in of["capped"].items()],
            [(owner, cap, n + 1)
             for n, (owner, cap, _) in enumerate(OPEN_CAPS)], "refused")
    for of, want in ((few, {**caps(80001, 70002, 3, 4, 5, 70020),
                            "priority": 6, "limit": 19}),
                     (few["group"], caps(7, 70008, 9, 10, 11, 70012)),
                     (shown, caps(13, 70014, 15, 16, 17, 70018)),
                     (shown["in"], {"rate": 70021, "burst": 70022,
                                    "packet_rate": 23}),
                     # What a class has that nobody gave a cap.
                     (shown["classes"][0], {"limit": 1000,
                                            "memory": 4 << 20})):
        t.equal({k: v for k, v in of.items() if k in want}, want, "caps")
    t.check("rate" not in shown["classes"][0], "a cap of %r" % shown)


def test_names(t):
    """A device cannot speak to a terminal by its name; to a program it is told
    as it is."""
    with tempfile.TemporaryDirectory() as top:
        p = Attached(t, top)
        name = 'e=$(printf "v\\033[2J\\303\\274")'
        rename = 'ip link set dev vsock0 down; ip link set dev vsock0 name "$e"'
        # Which does what attach does with a name.
        adopt = "echo default-in = accept > none; vsfq apply none"
        output = p.watch(
            name, rename, adopt, "vsfq show; vsfq top -b -c 1 -d 0.1",
            'vsfq doctor | grep -v "kernel\\|machine"; vsfq show "x$e"',
            "vsfq -j show | grep -ci 'v.u001b.2J'")
    t.check("\x1b" not in output, repr(output))
    for line in (r"v\?\[2J\?\? down attached", r"v\?\[2J\?\? .*",
                 r"warning  v\?\[2J.*: down.*",
                 r'vsfq: cannot show "xv\?\[2J.*": no such device', "1"):
        t.check(re.search("^%s$" % line, output, re.M), "no %r in %s" %
                (line, output))


# While a device comes and goes, and there are more than fit in one answer.
CHURN = """
import fcntl, os, struct
while True:
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH14x", b"other", 2))
    os.close(fd)
"""


def test_meanwhile(t):
    """Devices that come and go do not keep it from telling of the others."""
    needs_tun(t)
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        p.write("churn.py", CHURN)
        output = p.run(
            "$here/tests/sight/fake.py vsock0 || exit 77",
            "for n in $(seq 100); do echo tuntap add v$n mode tap; done |"
            " ip -batch - || exit 77",
            "python3 churn.py & for n in $(seq 300); do vsfq show; done |"
            " sed 's/^vsock0 down.*/seen/' | sort | uniq -c; kill $!",
            namespaces="-mn")
    lines = [line.split(None, 1) for line in output.splitlines()]
    t.check(["300", "seen"] in lines and "vsfq: " not in output, output)


# Entries of a pinned table are removed and put back, one after the other.
FORGET = """
import ctypes, os, random, struct, sys
libc = ctypes.CDLL(None)
number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
LOOKUP, UPDATE, DELETE, NEXT, GET = 1, 2, 3, 4, 7
def bpf(command, *fields):
    attributes = struct.pack("4Q", *fields, *(4 - len(fields)) * [0])
    return libc.syscall(number, command, attributes, len(attributes))
def place(text=bytes(4096)):
    return ctypes.create_string_buffer(text, 4096)
path = place(sys.argv[1].encode())
table = bpf(GET, ctypes.addressof(path))
entries, key = [], None
while True:
    after, value = place(), place()
    if bpf(NEXT, table, ctypes.addressof(key) if key else 0,
           ctypes.addressof(after)):
        break
    key = after
    bpf(LOOKUP, table, ctypes.addressof(key), ctypes.addressof(value))
    entries.append((key, value))
print("forgets", flush=True)
while True:
    key, value = map(ctypes.addressof, random.choice(entries))
    bpf(DELETE, table, key)
    bpf(UPDATE, table, key, value)
"""


def test_flow_once(t):
    """A flow is told of once, also while the table forgets others."""
    with tempfile.TemporaryDirectory() as top:
        p = Attached(t, top)
        p.write("forget.py", FORGET)
        output = p.watch(
            "$here/tests/sight/send.py vsock0 dgram 300 300",
            "python3 forget.py %s/$vsock0/flows > said & forgets=$!" % PINS,
            "until grep -q forgets said; do kill -0 $forgets || exit; "
            "sleep 0.1; done",
            "for n in $(seq 100); do vsfq -j show -s; done; kill $forgets; "
            "wait $forgets 2>/dev/null")
    most = 0
    for line in output.splitlines():
        t.check(line.startswith("["), line)
        flows = [(f["local_port"], f["peer_port"])
                 for f in json.loads(line)[0]["flows"]]
        t.equal(len(flows), len(set(flows)), "flows, of which are different")
        most = max(most, len(flows))
    t.check(most >= 300, "%d flows at most" % most)


def test_show_errors(t):
    """Nobody waits for a device that is not there, nor gets it."""
    complains(t, VSFQ, "show -d 20000 nosuchdev0", FAILED, '"nosuchdev0"',
              "no such device")
    complains(t, VSFQ, "show -d 0", USAGE, '"0"', "not a delay")
    with tempfile.TemporaryDirectory() as top:
        output = Attached(t, top).watch(
            "(sleep 0.5; ip link del vsock0) & "
            "$here/%s show -d 2 vsock0; echo $?" % VSFQ)
    t.equal(output, 'vsfq: cannot show "vsock0": no such device\n1\n',
            "of a device that goes away meanwhile")


def test_forms(t):
    """JSON is one line for programs, and with -p indented for readers."""
    lines = {option: t.machine("%s %s doctor" % (VSFQ, option))[1]
             for option in ("-j", "-p", "-jp", "--pretty")}
    t.equal(lines["-j"].count("\n"), 1, "lines of -j")
    t.check('[\n  {\n    "level": "' in lines["-p"], lines["-p"])
    t.equal(json.loads(lines["-p"]), json.loads(lines["-j"]), "what -p says")
    for option in "-jp", "--pretty":
        t.equal(lines[option], lines["-p"], option)
    status, output = t.machine(VSFQ + " -p show nosuchdev0")
    t.equal((status, list(json.loads(output))), (FAILED, ["error"]), "errors")


# What /run holds, as systemd 257 and libvirt 9 write it; and what nobody may.
MACHINE = """\
# This is private data. Do not parse.
NAME=%s
SCOPE=machine-x.scope
LEADER=17
CLASS=vm
VSOCK_CID=%s
"""
DOMAIN = """\
<!--
WARNING: THIS IS AN AUTO-GENERATED FILE.
-->
<domstatus state='running' reason='booted' pid='4711'>
  <monitor path='/var/lib/libvirt/qemu/domain-1/monitor.sock' type='unix'/>
  <domain type='kvm' id='1'>
    <name>%s</name>
    <metadata><vsock><cid address='77'/></vsock><name>not</name></metadata>
    <devices>
      <vsock model='virtio'>
        <cid auto='yes' address='%s'/>
        <address type='pci' domain='0x0000' bus='0x05'/>
      </vsock>
    </devices>
  </domain>
</domstatus>
"""


def guests(t, files, *cids):
    """The names that are found with these files below /run."""
    with tempfile.TemporaryDirectory() as top:
        script = ["mount -t tmpfs none /run || exit 77",
                  "mkdir -p /run/systemd/machines /run/libvirt/qemu"]
        for n, (path, text) in enumerate(files.items()):
            with open("%s/%d" % (top, n), "w") as f:
                f.write(text)
            script.append("cp %s/%d '/run/%s'" % (top, n, path))
        script.append("build/print_guests " + " ".join(map(str, cids)))
        with open(top + "/script", "w") as f:
            f.write("\n".join(script))
        status, output = t.machine("unshare -m sh %s/script" % top)
    if status == 77 or "unshare failed" in output:
        t.skip("this machine lets us mount nothing")
    t.equal(status, DONE, "status: " + output)
    return output.splitlines()


def test_guests(t):
    """By machined and by libvirt; who has no CID is nobody's guest."""
    machines, domains = "systemd/machines/", "libvirt/qemu/"
    found = guests(t, {
        machines + "web": MACHINE % ("web", 42),
        machines + "box": MACHINE % ("box", 4294967295),
        machines + "old": "NAME=old\n", machines + "odd": MACHINE % ("", 47),
        domains + "db.xml": DOMAIN % ("d&amp;b", 43),
        domains + "db.log": DOMAIN % ("log", 44),
        domains + "cut.xml": (DOMAIN % ("cut", 45))[:-200],
        domains + "junk.xml": "\0\xff<<<"}, 42, 43, 44, 45, 47, 77,
                   4294967295, 2, 0)
    t.equal(found, ["web", "d&b"] + 7 * ["-"], "names")


def test_guests_printable(t):
    """A name cannot speak to a terminal, nor be longer than there is room."""
    found = guests(t, {
        "systemd/machines/a": MACHINE % ("a\x1b[2Jb c", 42),
        "systemd/machines/b": MACHINE % ("n" * 400, 43),
        "libvirt/qemu/c.xml": DOMAIN % ("\u00fc&#10;&#127;", 44)},
                   42, 43, 44)
    t.equal(found, ["a?[2Jb?c", "n" * 63, "????"], "names")


def test_guests_none(t):
    t.equal(guests(t, {}, 3), ["-"], "names")
