# SPDX-License-Identifier: GPL-2.0-only
"""Devices that got another name since they were attached: what is pinned of them
gets it, too."""

import json
import tempfile

from attached import DESCRIBED, PINS, Attached
from policies import ANYWHERE

# What is attached as what: directories, the devices of the links in them, and
# which names these have for rules.
LOOK = """
index() { ip -o link show dev $1 | cut -d: -f1; }
rename() { ip link set dev $1 down; ip link set dev $1 name $2; }
look() {
    for d in %(pins)s/[a-z]*; do
        ifindex=$(%(tool)s -j link show pinned $d/egress |
                  sed 's/.*"ifindex":\\([0-9]*\\).*/\\1/')
        [ $ifindex = $one ] && which=one || which=two
        echo $(basename ${d%%%%@*}) $which
        %(tool)s -j map lookup pinned $d/device key 0 0 0 0 |
            sed 's/.*"name":"\\([^"]*\\)".*/'$which' \\1/'
    done
    echo @@
}
"""


class Renamed(Attached):
    """Two devices that are attached by hand, vsock0 and vsock1."""

    def looks(self, *commands):
        """What is attached as what, as often as the commands look."""
        tool = self.t.tool("bpftool")
        self.write("one", ANYWHERE)
        self.needs_maps()
        output = self.watch(
            "kill $sender",
            "$here/tests/sight/fake.py vsock1 || exit 77",
            "vsock1=$(echo $vsock0 | sed s/0/1/); mkdir %s/$vsock1" % PINS,
            "%s prog loadall $here/build/classify.bpf.o /sys/fs/bpf/d pinmaps "
            "%s/$vsock1 || exit 77" % (tool, PINS), DESCRIBED % ("d", "vsock1"),
            "$here/tests/sight/pin.py /sys/fs/bpf/d/vsfq_egress vsock1 "
            "%s/$vsock1/egress || exit 77" % PINS,
            LOOK % {"pins": PINS, "tool": tool},
            "one=$(index vsock0)", *commands, "sender=$$; trap : TERM")
        return output.split("@@\n")


def test_renamed(t):
    """One, each as the other, where one has the old name of another; and what
    cannot be pinned under its new name stays where it was."""
    with tempfile.TemporaryDirectory() as top:
        # They are down, to be renamed, which is told.
        looks = Renamed(t, top).looks(
            "apply() { vsfq apply one 2> notes || cat notes; }",
            "apply; look", "rename vsock0 a; apply; look",
            "rename vsock1 vsock0; rename a vsock1; apply; look",
            "rename vsock1 b; rename vsock0 vsock1; apply; look",
            "rename b @b; apply; look")
    t.equal(looks, ["vsock0 one\none vsock0\nvsock1 two\ntwo vsock1\n",
                    "a one\none a\nvsock1 two\ntwo vsock1\n",
                    "vsock0 two\ntwo vsock0\nvsock1 one\none vsock1\n",
                    "b one\none b\nvsock1 two\ntwo vsock1\n",
                    "b one\none b\nvsock1 two\ntwo vsock1\n", ""],
            "what is attached as what")


def test_detach(t):
    """By the name that it has, or by an old one that no device has."""
    with tempfile.TemporaryDirectory() as top:
        looks = Renamed(t, top).looks(
            "rename vsock0 a; rename vsock1 vsock0; vsfq detach vsock0; look",
            "rename a b; vsfq detach a; ls " + PINS)
    t.equal(looks, ["a one\none a\n", "ls: cannot access '%s': No such file or "
                    "directory\n" % PINS], "what is attached as what")


def test_counted_meanwhile(t):
    """What passes while it is told another name is counted like the rest."""
    with tempfile.TemporaryDirectory() as top:
        p = Attached(t, top)
        p.write("one", ANYWHERE)
        output = p.run(
            *p.attach()[:-1],
            "ip link property add dev vsock0 altname kept || exit 77",
            "$here/tests/sight/send.py kept dgram 99999999 & floods=$!; "
            "trap 'kill $floods 2> /dev/null' EXIT",
            "for n in $(seq 20); do for name in other vsock0; do "
            "ip link set kept name $name || exit 77; vsfq apply one; "
            "done; done; kill $floods; wait $floods 2> /dev/null",
            "vsfq -j show", namespaces="-mn")
    shown, = json.loads(output)
    t.check(shown["sent"]["packets"] > 1000, "sent %r" % shown["sent"])
    t.equal(shown["sent"], {
        key: sum(c["sent"][key] for c in shown["classes"])
        for key in shown["sent"]}, "what the device has sent")
