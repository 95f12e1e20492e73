# SPDX-License-Identifier: GPL-2.0-only
"""A device on this machine that counts what passes."""

from policies import Policies, needs_tun

PINS = "/sys/fs/bpf/vsfq"
# To be judged by the policy that is in force by then.
JUDGED = "map name policy pinned %s/@policy/policy" % PINS
# To be told by apply what the device is called.
DESCRIBED = "mv /sys/fs/bpf/%%s/vsfq_describe %s/$%%s" % PINS
DETACH = "rm -r %s/$vsock0" % PINS


class Attached(Policies):
    """A device that any kernel has, with our classifier attached by hand on
    its way out, and somebody who sends."""

    def __init__(self, t, top):
        super().__init__(t, top)
        needs_tun(t)

    def attach(self, judge=""):
        """Commands for it; by @judge it may have a policy."""
        return (
            "$here/tests/sight/fake.py vsock0 && ip link set vsock0 up || "
            "exit 77",
            "mkdir -p %s/$vsock0" % PINS,
            "%s prog loadall $here/build/classify.bpf.o /sys/fs/bpf/c "
            "pinmaps %s/$vsock0 %s || exit 77" % (self.t.tool("bpftool"), PINS,
                                                  judge),
            DESCRIBED % ("c", "vsock0"),
            "$here/tests/sight/pin.py /sys/fs/bpf/c/vsfq_egress vsock0 "
            "%s/$vsock0/egress || exit 77" % PINS,
            "while :; do $here/tests/sight/send.py vsock0 dgram 12; done "
            "2> /dev/null & sender=$!")

    def watch(self, *commands):
        return self.run(*self.attach(), *commands, "kill $sender",
                        namespaces="-mn")
