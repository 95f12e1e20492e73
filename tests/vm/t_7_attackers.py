# SPDX-License-Identifier: GPL-2.0-only
"""Programs next to vsock that try what is not theirs, on the host's device.

That a guest speaks in the name of another, or to another, is tried by
t_9_hostile.test_strays, with packets that only a guest that lies can make:
vhost drops what does not come from its CID and go to the host's.
"""

import load

BED = "pair"

PORT = 5900
DEV = load.HOST_DEV
VSFQ = load.VSFQ
DUMMY = "vsfqdummy0"
PACKETS = 100

# Ethernet frames that claim to be vsock's, as far as the protocol goes. Their
# mark tells build/redirect.bpf.o where to.
SEND = ("python3 -c 'import socket\n"
        "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0xfb)\n"
        "device = socket.if_nametoindex(\"" + DEV + "\")\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, device)\n"
        "s.bind((\"%s\", 0xfb))\n"
        "for i in range(%d): s.send(b\"x\" * 100)'")

NOBODY = ("setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "
          "--bounding-set=-all ")
# Root, but in a user namespace of its own.
NOBODYS_ROOT = NOBODY + "unshare --user --map-root-user "
# With a network of its own, too.
NOBODYS_NET = NOBODYS_ROOT + "--net "

NEEDS = "needs CAP_BPF and CAP_NET_ADMIN"
MAY_NOT = "Operation not permitted"
DENIED = "Permission denied"
PINS = "/sys/fs/bpf/vsfq"
# What each is answered.
REFUSED = {
    "ip link set %s down" % DEV: MAY_NOT,
    "ip link set %s mtu 1000" % DEV: MAY_NOT,
    "tc qdisc replace dev %s root pfifo" % DEV: MAY_NOT,
    "tc qdisc add dev %s clsact" % DEV: MAY_NOT,
    "ls " + PINS: DENIED,
    "rm -r " + PINS: MAY_NOT,
    "mv %s /sys/fs/bpf/other" % PINS: MAY_NOT,
    "sh -c 'echo off > /sys/module/vhost_vsock/parameters/dgram'": DENIED,
    "sh -c ': < /dev/vhost-vsock'": DENIED,
    SEND % (DEV, 1): MAY_NOT,
    "%s attach %s" % (VSFQ, DEV): "needs CAP_BPF, CAP_PERFMON and",
    "%s detach %s" % (VSFQ, DEV): NEEDS,
    "%s show %s" % (VSFQ, DEV): NEEDS,
    "%s top -b -c 1" % VSFQ: NEEDS,
    "%s metrics" % VSFQ: NEEDS,
    "%s monitor" % VSFQ: NEEDS,
    "%s learn -f 1" % VSFQ: NEEDS,
    "%s apply /run/attackers.conf" % VSFQ: NEEDS,
    "%s policy show" % VSFQ: NEEDS,
    "%s policy clear" % VSFQ: NEEDS,
}


REDIRECT = "matchall action mirred egress redirect dev " + DEV


def counters(t):
    """Packets that were foreign to the device; that went to the ring."""
    return [int(n) for n in t.host(
        "ethtool -S {0} | sed -n 's/^ *foreign_dropped: //p'; "
        "cat /sys/class/net/{0}/statistics/tx_packets".format(DEV)).split()]


def redirected(t, setup, action):
    t.cleanup(t.bed.host, "ip link del %s; %s" %
              (DUMMY, load.configuring(DEV, "down")))
    load.configure(t.bed.host, DEV, setup)
    t.host("ip link add {0} type dummy && ip link set {0} up && "
           "tc qdisc add dev {0} clsact && "
           # What the dummy says by itself, for IPv6, is not counted here.
           "tc filter add dev {0} egress protocol 0xfb {1}".format(
               DUMMY, action))
    foreign, sent = counters(t)
    t.host(SEND % (DUMMY, PACKETS))
    # A qdisc may still hold the last one.
    t.wait_for(t.bed.host, "ethtool -S %s | grep -q ' foreign_dropped: %d$'" %
               (DEV, foreign + PACKETS))
    t.equal(counters(t), [foreign + PACKETS, sent],
            "packets that were dropped as foreign, and that were sent")


def test_redirect(t):
    redirected(t, "pfifo_fast", REDIRECT)


def test_redirect_direct(t):
    """Nobody schedules the device: sockets pass tc by, others do not."""
    redirected(t, "default", REDIRECT)


def test_redirect_scheduled(t):
    redirected(t, "vsfq", REDIRECT.replace("matchall", "flower"))


def test_redirect_bpf(t):
    redirected(t, "pfifo_fast", "bpf da obj build/redirect.bpf.o sec tc")


def test_mirror(t):
    redirected(t, "pfifo_fast", REDIRECT.replace("redirect", "mirror"))


def state(t):
    return t.host("ip link show {0}; tc qdisc show dev {0}; ls -lR {1}; "
                  "grep . /sys/module/*vsock*/parameters/*; {2} policy show"
                  .format(DEV, PINS, VSFQ))


def test_shared_pages(t):
    """What stands for payload is not the stand-in's own, and says so."""
    pin, bpftool = "/sys/fs/bpf/shared", t.tool("bpftool")
    both = "for hook in tcx_egress tcx_ingress; do %s || exit; done; "
    for vm, dev in ((t.bed.guest, load.GUEST_DEV), (t.bed.host, DEV)):
        t.cleanup(vm, (both % "{0} net detach $hook dev {2}" + "rm {1}; ip link "
                       "set {2} down").format(bpftool, pin, dev))
        t.run(vm, ("{0} prog load build/shared.bpf.o {1} && ip link set {2} up; " +
                   both % "{0} net attach $hook pinned {1} dev {2}").format(
                       bpftool, pin, dev))
    t.serve(t.bed.host, PORT)
    t.guest("build/vsload client --port %d --streams 2 --ping 1 --dgram-flood 1 "
            "--dgram-size 20000 --duration 1 --warmup 0" % PORT)


def test_nobody(t):
    """Without privilege nothing is changed, and what is pinned not read."""
    t.cleanup(t.bed.host, "%s policy clear; %s" %
              (VSFQ, load.configuring(DEV, "down")))
    load.configure(t.bed.host, DEV, "vsfq")
    t.host("echo 'rule { log = yes verdict = accept }' >/run/attackers.conf; "
           "%s apply /run/attackers.conf; "
           "echo 'default-in = reject' >/run/attackers.conf" % VSFQ)
    before = state(t)
    wrong = ""
    for who in NOBODY, NOBODYS_ROOT:
        # All in one go: each program takes its time in an emulated VM.
        said = t.host("\n".join(
            "echo @@; %s %s; echo status $?" % (who, command)
            for command in REFUSED), limit=180).split("@@\n")[1:]
        for (command, answer), output in zip(REFUSED.items(), said):
            if "status 0" in output or answer not in output:
                wrong += "%s:\n%s" % (who + command, output)
    t.check(not wrong, "answered wrongly:\n" + wrong)
    t.equal(state(t), before, "the state")


def test_tap(t):
    """What everybody says is not shown to who has a network of his own."""
    output = t.host(NOBODYS_NET + "sh -c 'ip link add mon0 type vsockmon && "
                    "ip link set mon0 up'", status=2)
    t.check(MAY_NOT in output, "the answer is " + output)
