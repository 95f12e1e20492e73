# SPDX-License-Identifier: GPL-2.0-only
"""Policies on this machine, where nobody else sees them."""

import contextlib
import os
import re
import tempfile

from program import VSFQ

POLICY = """\
default-in = reject
default-out = accept
class stream { weight = 1  limit = 1000  memory = 4194304 }
class dgram { weight = 3  limit = 10  memory = 65536 }
class bulk { weight = 1000  limit = 65535  memory = 1073741824  \
rate = 4000000bps  burst = 1000000 }
class first { weight = 1  priority = 1  isolate = uid  limit = 1000  \
memory = 4194304  rate = 125000bps  burst = 65580  packet-rate = 1000000000  \
connections = 16384  connection-rate = 1000000  group-memory = 65536  \
group-rate = 1bps  group-burst = 1073741824  group-packet-rate = 1  \
group-connections = 1  group-connection-rate = 2 }
class one { weight = 1  isolate = none  limit = 1000  memory = 4194304 }
device "vhost-vsock3" { }
device "vhost-vsock*" {  memory = 65536  rate = 1bps  burst = 65580  \
packet-rate = 7  connections = 8  connection-rate = 9  in-rate = 65580bps  \
in-burst = 1073741824  in-packet-rate = 10 }
device "*" {  connections = 100 }
rule { direction = in  local-port = {22}  class = bulk }
rule { type = {stream, dgram}  local-cid = 3-9  local-port = {0, 5-7}  \
remote-cid = 2  remote-port = {4294967295}  device = vhost-vsock3  \
verdict = accept }
rule { direction = out  cgroup = "/a b/c"  verdict = drop }
rule { direction = out  cgroup = "/a\\\\x2db.scope"  verdict = reject }
rule { direction = out  cgroup = "/"  log = yes  class = stream }
rule { direction = in  type = {dgram}  verdict = drop }
rule { type = {stream, seqpacket, dgram}  class = dgram }
"""

# On any machine: not every one has cgroups of version 2.
ANYWHERE = re.sub(".*cgroup.*\n", "", POLICY)

# Caps of connections: whose it is (None: the device's), its name in what vsfq
# says, and a policy that lets one be open, or opened in a second.
OPEN_CAPS = [
    (owner, cap, "class few { %s } device \"*\" { %s } rule { class = few }" %
     tuple(cap.replace("_", "-") + " = 1" if has else ""
           for has in (owner, not owner)))
    for owner, caps in (
        (None, ("connections", "connection_rate")),
        ("few", ("connections", "connection_rate", "group_connections",
                 "group_connection_rate")))
    for cap in caps]

# Not every machine lets root look at what all other processes have open.
ALONE = "-pf --mount-proc"
# Who may read none of it.
NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups "
# The same with the capabilities: only the files are another user's.
SOMEBODY = NOBODY + "--inh-caps={0} --ambient-caps={0} ".format(
    "-all,+bpf,+net_admin")


def by_hand(tool, *maps):
    """Commands that attach the classifier to vsock0, on both hooks, without the
    loader. It has these maps of vsfq's, and those of its own in /sys/fs/bpf/c."""
    return [
        "%s prog loadall $here/build/classify.bpf.o /sys/fs/bpf/c "
        "pinmaps /sys/fs/bpf/c" % tool + "".join(
            " map name {0} pinned /sys/fs/bpf/vsfq/@{0}/{0}".format(name)
            for name in maps),
        *["%s net attach tcx_%s pinned /sys/fs/bpf/c/vsfq_%s dev vsock0" %
          (tool, way, way) for way in ("egress", "ingress")]]


def needs_tun(t):
    """Skip unless this machine can make devices, see tests/sight/fake.py."""
    if t.machine("test -w /dev/net/tun")[0]:
        t.skip("this machine has no tun")


class Policies:
    """Puts policies in force on this machine, where nothing is attached and
    nobody else sees it: in a BPF file system of its own."""

    def __init__(self, t, top):
        self.t, self.top = t, top

    def write(self, name, text):
        with open("%s/%s" % (self.top, name), "w") as f:
            f.write(text)

    def command(self, *commands, namespaces="-m"):
        """One to run shell commands in the directory; status 77 if this
        machine does not let us."""
        self.write("script", """
            mount -t bpf bpf /sys/fs/bpf || exit 77
            here=$PWD
            # Whose pins are those of that device in this namespace.
            vsock0=vsock0@$(stat -Lc %%i /proc/self/ns/net)
            vsfq() { $here/%s "$@"; }
            map_in_force() {
                cd /sys/fs/bpf/vsfq/@policy
                %s map lookup pinned policy key 0 0 0 0
                cd - > /dev/null
            }
            cd %s
            %s""" % (VSFQ, self.t.tool("bpftool"), self.top,
                     "\n".join(commands)))
        return "unshare %s sh %s/script" % (namespaces, self.top)

    def needs_maps(self):
        """Skip unless this machine lets us apply "one"."""
        if "CAP_BPF" in self.run("vsfq apply one"):
            self.t.skip("this machine does not let us make BPF maps")

    def run(self, *commands, namespaces="-m"):
        """Run shell commands in the directory; return what they say."""
        status, output = self.t.machine(
            self.command(*commands, namespaces=namespaces))
        if status == 77 or "unshare failed" in output:
            self.t.skip("this machine lets us mount no BPF file system")
        return output


@contextlib.contextmanager
def with_one(t):
    """Policies of which "one" can be applied, where NOBODY may come as well."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        p = Policies(t, top)
        p.write("one", ANYWHERE)
        p.needs_maps()
        yield p


def not_allowed(t, command, what):
    """Who may not see the pins is told so, not that nothing is attached."""
    with with_one(t) as p:
        for who, why in (
                (NOBODY, "needs CAP_BPF and CAP_NET_ADMIN"),
                (SOMEBODY, "/sys/fs/bpf/vsfq belongs to another user")):
            output = p.run("vsfq apply one", who + "$here/%s %s" %
                           (VSFQ, command))
            t.equal(output, "vsfq: %s: %s (try: root)\n" % (what, why),
                    "output")
