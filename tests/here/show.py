# SPDX-License-Identifier: GPL-2.0-only
"""What "vsfq show" adds to counters: rates, names, forms."""

import json
import re
import tempfile

from attached import Attached
from policies import Policies, needs_tun
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
