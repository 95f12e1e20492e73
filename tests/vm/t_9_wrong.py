# SPDX-License-Identifier: GPL-2.0-only
"""What goes wrong with a real device: it goes away, another version was there,
somebody has too little privilege. A guest is who has opened /dev/vhost-vsock."""

import json
import re

from findings import findings, finds
from load import HOST_DEV, VSFQ, make_other_version

BED = "host"

NEEDS = "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (try: root)\n"
CAPABILITIES = ("bpf", "perfmon", "net_admin")
PINS = "/sys/fs/bpf/vsfq"


def start_guest(t, cid=77, inside=""):
    return t.start_server(t.bed.host, "%stests/sight/vmm.py %d" %
                          (inside, cid), "ready", 300)


def clean(t):
    """For the end of a test, to which guests may have gone."""
    t.cleanup(t.bed.host, "%s detach all; %s policy clear" % (VSFQ, VSFQ))


def with_capabilities(names):
    """Root, who owns what is pinned, with these and no others."""
    some = ",".join(["-all"] + ["+" + n for n in names])
    return "setpriv --bounding-set=%s --inh-caps=%s " % (some, some)


# Every command of "vsfq help", in an order in which all of them do something.
COMMANDS = """
attach all; show -s; show -sj -d 0.1; top -b -c 1 -d 0.1; metrics; doctor
check /run/wrong.conf; apply -n /run/wrong.conf; apply /run/wrong.conf
policy show; learn -f 1; monitor; policy clear; detach all; version; help
"""


def test_capabilities(t):
    """Nothing needs more than three; without any one of them to attach says
    what is missing, and attaches nothing."""
    vm = t.bed.host
    clean(t)
    start_guest(t)
    t.host("echo 'rule { log = yes  verdict = accept }' > /run/wrong.conf")
    t.cleanup(vm, "rm /run/wrong.conf")
    commands = [c.strip() for c in re.split("[;\n]", COMMANDS) if c.strip()]
    listed = re.findall(r"^  ([a-z]+) ", t.host(VSFQ + " help"), re.M)
    t.equal({c.split()[0] for c in commands}, set(listed), "commands")
    script = "".join("echo '@@ %s'; %s%s %s %s; echo status $?\n" % (
        c, with_capabilities(CAPABILITIES),
        "timeout -s INT -k 9 2" if c == "monitor" else "", VSFQ, c)
        for c in commands)
    for said in t.host(script, limit=180).split("@@ ")[1:]:
        want = "124" if said.startswith("monitor\n") else "0"
        t.check(said.endswith("status %s\n" % want), said)
    for missing in CAPABILITIES:
        have = [n for n in CAPABILITIES if n != missing]
        said = t.host("%s %s attach all" % (with_capabilities(have), VSFQ),
                      status=1)
        t.check(re.fullmatch('vsfq: cannot attach "(all|%s)": %s' %
                             (HOST_DEV, re.escape(NEEDS)), said),
                "without %s: %s" % (missing, said))
        t.host("ls " + PINS, status=2)


def test_other_policy(t):
    """A policy of another version stays in force, and to attach says so; one
    that is in force no more makes way."""
    vm, tool = t.bed.host, t.tool("bpftool")
    clean(t)
    t.cleanup(vm, "rm -rf " + PINS)
    start_guest(t)
    t.host("mkdir {0} {0}/@policy && cd {0}/@policy && "
           "{1} map create current type array key 4 value 64 entries 1 "
           "name vsfq_policy && {1} map create policy type array_of_maps "
           "key 4 value 4 entries 1 name policy inner_map pinned current && "
           "{1} map update pinned policy key 0 0 0 0 value pinned current"
           .format(PINS, tool))
    said = t.host(VSFQ + " attach all", status=1)
    t.equal(said, 'vsfq: cannot attach "all": made by another version '
            "(try: vsfq detach all, policy clear)\n", "what is said")
    t.equal(t.host("ls %s %s/@policy" % (PINS, PINS)),
            "/sys/fs/bpf/vsfq:\n@policy\n\n/sys/fs/bpf/vsfq/@policy:\n"
            "current\npolicy\n", "what is pinned")
    t.host("%s map delete pinned %s/@policy/policy key 0 0 0 0" %
           (tool, PINS))
    t.host("{0} attach all && echo default-in = reject > /run/wrong.conf && "
           "{0} apply /run/wrong.conf".format(VSFQ))


def test_device_goes(t):
    """Whatever a command is doing when the guest goes: it is done, or it has
    one line to say; and nothing stays that detach does not remove."""
    vm = t.bed.host
    clean(t)
    start_guest(t)
    t.host(VSFQ + " attach all")    # from here on the qdisc is registered
    said = t.host("""
        for delay in 0 0.5 1 1.5 2.5 5; do
            rm -f /run/vmm      # which says that the last one was ready
            tests/sight/vmm.py 78 > /run/vmm & pid=$!
            until grep -qs ready /run/vmm; do sleep 0.05; done
            dev=$(grep -l cid78 /sys/class/net/vhost-vsock*/phys_port_name |
                  cut -d/ -f5)
            (sleep $delay; kill $pid) &
            for command in attach show detach; do
                echo "@@ $delay $command $dev"
                %s $command $dev; echo status $?
            done
            wait
        done""" % VSFQ, limit=180)
    ends = set()
    for part in said.split("@@ ")[1:]:
        first, *lines, status = part.splitlines()
        _, command, dev = first.split()
        ends.add((command, status))
        if command == "show" and status == "status 0":
            continue
        t.check(lines in ([], ['vsfq: cannot %s "%s": no such device' %
                               (command, dev)],
                          ['vsfq: cannot detach "%s": not attached' % dev]) and
                (status == "status 0") == (not lines), part)
    t.check({("attach", "status 0"), ("attach", "status 1")} <= ends,
            "no guest went too early, or none too late: %r" % ends)
    t.equal(json.loads(t.host(VSFQ + " -j show"))[0]["attached"], True,
            "the other guest's device")
    t.host("%s detach all && ! ls %s" % (VSFQ, PINS))


def two_guests(t):
    """Return the names of their devices."""
    for cid in 77, 78:
        start_guest(t, cid)
    return t.host("ls /sys/class/net | grep vhost-vsock").split()


def well(t, dev, program=VSFQ):
    """What doctor says of a device that is attached, but down."""
    output = t.host(program + " doctor")
    finds(t, output, "ok", dev, "attached by this version")
    finds(t, output, "ok", dev, "its root qdisc is vsfq")
    said = findings(output)["warning", dev]
    t.check(len(said) == 1 and "down" in said[0], output)


def test_device_by_device(t):
    """Each gets the code of the version that attaches it, in its classifier
    and its qdisc, also when another one had it already."""
    clean(t)
    one, two = two_guests(t)
    make_other_version(t, t.bed.host)
    t.host(VSFQ + " attach all")
    t.host("/run/other attach " + one)
    well(t, one, "/run/other")
    for what in "attached by another", "its qdisc is of another version":
        finds(t, t.host("/run/other doctor"), "warning", two, what,
              "(try: vsfq attach %s)" % two)
    t.host("/run/other attach " + two)
    for dev in one, two:
        well(t, dev, "/run/other")


def overheads(t):
    """Those of the qdiscs that are there."""
    return sorted(re.findall(r'"overhead": *(\d+)', t.host(
        "%s map dump pinned %s/@qdisc/queues" % (t.tool("bpftool"), PINS))))


def test_overhead(t):
    """A device keeps the one it was given until it is given another."""
    clean(t)
    one, two = two_guests(t)
    t.host("{0} attach -o 5000 {1}; {0} attach {2}".format(VSFQ, one, two))
    t.equal(overheads(t), ["16384", "5000"], "overheads")
    before = t.host("tc qdisc show")
    t.host(VSFQ + " attach all")
    t.equal(t.host("tc qdisc show"), before, "qdiscs")
    for dev in one, two:
        well(t, dev)
    # By what was registered last, which was for the other one.
    t.host("%s attach %s; tc qdisc del dev %s root; "
           "tc qdisc add dev %s root vsfq" % (VSFQ, two, one, one))
    t.equal(overheads(t), ["16384", "16384"], "overheads")
    finds(t, t.host(VSFQ + " doctor"), "warning", one, "another overhead",
          "(try: vsfq attach %s)" % one)
    t.host("%s attach all" % VSFQ)
    t.equal(overheads(t), ["16384", "5000"], "overheads")
    t.host("%s attach -o 16384 all" % VSFQ)
    t.equal(overheads(t), ["16384", "16384"], "overheads")


def tables(t):
    """The numbers of the maps with which the device counts."""
    return {name: json.loads(t.host("%s -j map show pinned %s/%s/%s" % (
        t.tool("bpftool"), PINS, HOST_DEV, name)))["id"] for name in
            ("device", "classes", "connections", "groups", "flows")}


def test_other_form(t):
    """Tables that count the same connections are kept together or not."""
    clean(t)
    start_guest(t)
    t.host(VSFQ + " attach all")
    before = tables(t)
    t.host(VSFQ + " attach -o 5000 all")
    t.equal(tables(t), before, "tables")
    groups = "%s/%s/groups" % (PINS, HOST_DEV)
    t.host("rm {0} && {1} map create {0} type hash key 16 value 4 entries 4 "
           "name groups && {2} attach -o 6000 all".format(
               groups, t.tool("bpftool"), VSFQ))
    after = tables(t)
    t.equal([name for name in after if after[name] == before[name]], ["flows"],
            "what was kept")


def test_no_room(t):
    """A device whose qdisc cannot be replaced stays attached as it was."""
    vm = t.bed.host
    clean(t)
    start_guest(t)
    t.host(VSFQ + " attach all")
    each = "for n in $(seq 255); do echo %s; done | "
    t.cleanup(vm, "ip link del group 77")
    t.host(each % "link add vsfqd$n group 77 type dummy" + "ip -batch - && " +
           each % "qdisc add dev vsfqd$n root vsfq" + "tc -batch -", limit=300)
    said = t.host(VSFQ + " attach -o 5000 all", status=1)
    t.check(said.startswith('vsfq: cannot attach "%s": ' % HOST_DEV) and
            said.count("\n") == 1, said)
    t.equal(attached(t, ""), {HOST_DEV: (True, "vsfq")}, "what is attached")


def test_name(t):
    """A device whose name reads like one in another namespace is refused."""
    clean(t)
    start_guest(t)
    t.cleanup(t.bed.host, "ip link set dev vsock@5 name " + HOST_DEV)
    t.host("ip link set dev %s name vsock@5" % HOST_DEV)
    for argument in "vsock@5", "all":
        t.check(t.host("%s attach %s" % (VSFQ, argument), status=1).startswith(
            'vsfq: cannot attach "vsock@5": no device of such a name'),
                argument)
    t.host("ls " + PINS, status=2)


def attached(t, inside):
    """Of each device of a namespace: is it, and what is its root qdisc?"""
    return {d["device"]: (d["attached"], d["qdisc"]["kind"]) for d in
            json.loads(t.host(inside + VSFQ + " -j show"))}


def test_qdisc_elsewhere(t):
    """The qdisc stays registered for one that somebody made in another network
    namespace, until that is gone."""
    vm = t.bed.host
    clean(t)
    start_guest(t)
    t.host("ip netns add a")
    t.cleanup(vm, "ip netns del a")
    inside = "nsenter --net=/run/netns/a "
    t.host("{0} attach all && {1}ip link add vsfqd0 type dummy && "
           "{1}tc qdisc add dev vsfqd0 root vsfq && {0} detach all".format(
               VSFQ, inside))
    t.equal(t.host("ls " + PINS), "@events\n@policy\n@qdisc\n",
            "what is pinned")
    t.host("{1}ip link del vsfqd0 && {0} detach all".format(VSFQ, inside))
    t.host("ls " + PINS, status=2)


def test_namespaces(t):
    """Two network namespaces have a device of one name, as two pods do: each is
    attached and detached by itself, and what is left of one by any."""
    vm = t.bed.host
    clean(t)
    one, two = ("nsenter --net=/run/netns/%s " % name for name in "ab")
    for inside, name, cid in (one, "a", 77), (two, "b", 78):
        t.host("ip netns add " + name)
        t.cleanup(vm, "ip netns del " + name)
        job = start_guest(t, cid, inside)
        t.host("%s%s attach all" % (inside, VSFQ))
    there = {HOST_DEV: (True, "vsfq")}
    t.equal((attached(t, one), attached(t, two)), (there, there), "devices")
    t.host(VSFQ + " detach all")
    t.host("%s%s detach all" % (one, VSFQ))
    t.check(attached(t, one)[HOST_DEV][0] is False and
            attached(t, one)[HOST_DEV][1] != "vsfq", "the one detached")
    t.equal(attached(t, two), there, "the other one")
    owner = "%s@%s" % (HOST_DEV, t.host("stat -Lc %i /run/netns/b").strip())
    t.equal(t.host("%s detach %s" % (VSFQ, owner), status=1),
            'vsfq: cannot detach "%s": in another network namespace '
            "(try: nsenter --net)\n" % owner, "what is said")
    t.end(job)
    t.wait_for(vm, "! %sip link show %s" % (two, HOST_DEV))
    finds(t, t.host(VSFQ + " doctor", status=None), "warning", owner,
          "attached to no device", "vsfq detach " + owner)
    t.host("%s detach %s" % (VSFQ, owner))
    t.host("ls " + PINS, status=2)
