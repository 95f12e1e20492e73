# SPDX-License-Identifier: GPL-2.0-only
"""What goes wrong with a real device: it goes away, another version was there,
somebody has too little privilege. A guest is who has opened /dev/vhost-vsock."""

import json
import re

from findings import findings, finds
from load import HOST_DEV, VSFQ, make_other_version

BED = "host"

NEEDS = "needs CAP_BPF and CAP_NET_ADMIN (try: root)\n"
OTHERS = "/sys/fs/bpf/vsfq belongs to another user (try: root)\n"
ATTACH_NEEDS = "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (try: root)\n"
CAPABILITIES = ("bpf", "perfmon", "net_admin")
# What every command does with, but for those below.
TWO = ("bpf", "net_admin")
MORE = {
    # The kernel asks it of programs of its qdiscs and of the LSM.
    "attach": ("perfmon",),
    # Not to have what attach needs is a problem.
    "doctor": ("perfmon",),
    # It looks through the processes of all.
    "apply -S": ("sys_ptrace", "dac_read_search"),
}
NOBODY = 65534
PINS = "/sys/fs/bpf/vsfq"


def start_guest(t, cid=77, inside=""):
    return t.start_server(t.bed.host, "%stests/sight/vmm.py %s" %
                          (inside, cid), "ready", 300)


def clean(t):
    """For the end of a test, to which guests may have gone."""
    t.cleanup(t.bed.host, "%s detach all; %s policy clear" % (VSFQ, VSFQ))


def with_capabilities(names, uid=0):
    """Who has these and no others; what he attached is his."""
    some = ",".join(["-all"] + ["+" + n for n in names])
    who = "--reuid {0} --regid {0} --clear-groups --ambient-caps={1} " \
        .format(uid, some) if uid else ""
    return "setpriv %s--bounding-set=%s --inh-caps=%s " % (who, some, some)


def needed(command):
    return TWO + sum((more for begins, more in MORE.items()
                      if command.startswith(begins)), ())


# Every command of "vsfq help", in an order in which all of them do something.
COMMANDS = """
attach all; show -s; show -sj -d 0.1; top -b -c 1 -d 0.1; metrics; doctor
check /run/wrong.conf; apply -n /run/wrong.conf; apply /run/wrong.conf
policy show; learn -f 1; monitor; policy clear
apply -C 30 /run/wrong.conf <<< yes; apply -S /run/wrong.conf
policy clear; detach all; version; help
"""


def write_policy(t):
    t.host("echo 'rule { log = yes  verdict = accept }' > /run/wrong.conf")
    t.cleanup(t.bed.host, "rm /run/wrong.conf")


def test_capabilities(t):
    """Each command does with two, or with those that are listed, whoever has
    them; only who has the third finds no problem."""
    clean(t)
    start_guest(t)
    write_policy(t)
    commands = [c.strip() for c in re.split("[;\n]", COMMANDS) if c.strip()]
    listed = re.findall(r"^  ([a-z]+) ", t.host(VSFQ + " help"), re.M)
    t.equal({c.split()[0] for c in commands}, set(listed), "commands")
    for uid in 0, NOBODY:
        script = "".join("echo '@@ %s'; %s%s %s %s; echo status $?\n" % (
            c, with_capabilities(needed(c), uid),
            "timeout --foreground -s INT -k 9 2" if c == "monitor" else "", VSFQ, c)
            for c in commands)
        for said in t.host(script, limit=180).split("@@ ")[1:]:
            want = "124" if said.startswith("monitor\n") else "0"
            t.check(said.endswith("status %s\n" % want), "as %d: %s" %
                    (uid, said))
        t.host("ls " + PINS, status=2)
    finds(t, t.host(with_capabilities(TWO) + VSFQ + " doctor", status=1),
          "problem", "machine", "has no CAP_PERFMON", "root")


def test_capability_missing(t):
    """Who lacks one that a command needs is told which there are to be, and no
    more, and changes nothing."""
    clean(t)
    start_guest(t)
    write_policy(t)
    for missing in CAPABILITIES:
        have = [n for n in CAPABILITIES if n != missing]
        said = t.host("%s %s attach all" % (with_capabilities(have), VSFQ),
                      status=1)
        t.check(re.fullmatch('vsfq: cannot attach "(all|%s)": %s' %
                             (HOST_DEV, re.escape(ATTACH_NEEDS)), said),
                "without %s: %s" % (missing, said))
        t.host("ls " + PINS, status=2)
    t.host(VSFQ + " attach all")
    look = "%s policy show; ls -R %s; tc qdisc show" % (VSFQ, PINS)
    before = t.host(look)
    apply = "apply /run/wrong.conf"
    for command, said, why, *who in (
            (apply, 'cannot apply "/run/wrong.conf"', NEEDS,
             ("perfmon", "net_admin")),
            ("detach all", 'cannot detach "%s"' % HOST_DEV, NEEDS,
             ("bpf", "perfmon")),
            # What is pinned is for who attached it.
            ("learn -f 1", "cannot learn", OTHERS, CAPABILITIES, NOBODY)):
        t.equal(t.host("%s %s %s" % (with_capabilities(*who), VSFQ, command),
                       status=1), "vsfq: %s: %s" % (said, why), "output")
        t.equal(t.host(look), before, "what there is after " + command)
    said = t.host("%s %s -S %s" % (with_capabilities(
        (*TWO, "dac_read_search")), VSFQ, apply), status=1)
    t.check("is in force, but" in said and "CAP_SYS_PTRACE" in said, said)


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
        for delay in early 0 0.5 1 1.5 2.5 5 late; do
            rm -f /run/vmm      # which says that the last one was ready
            tests/sight/vmm.py 78 > /run/vmm & pid=$!
            until grep -qs ready /run/vmm; do sleep 0.05; done
            dev=$(grep -l cid78 /sys/class/net/vhost-vsock*/phys_port_name |
                  cut -d/ -f5)
            case $delay in
            early) kill $pid; wait $pid ;;
            late) ;;
            *) (sleep $delay; kill $pid) & ;;
            esac
            for command in attach show detach; do
                echo "@@ $delay $command $dev"
                %s $command $dev; echo status $?
            done
            [ $delay != late ] || kill $pid
            wait
        done""" % VSFQ, limit=400)
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


# What looks at a device for a while, or at all of them: how it may end when one
# of them goes meanwhile. Only who named it hears that it is gone.
LOOKS = {"show -s -d 0.5": "0", "show -s -d 2 $dev": "01",
         "top -b -c 2 -d 0.5": "0", "top -b -c 2 -d 0.5 $dev": "01",
         "metrics": "0", "doctor": "01", "learn -f 1": "0",
         "-S apply /run/wrong.conf": "0", "monitor": "0"}


def test_device_goes_meanwhile(t):
    """Nobody fails, or stays, for a device of others that is there no more."""
    vm = t.bed.host
    clean(t)
    start_guest(t)
    t.cleanup(vm, "rm /run/wrong.conf")
    t.host("echo 'rule { log = yes  verdict = accept }' > /run/wrong.conf; "
           "%s attach all" % VSFQ)
    said = t.host("""
        goes() {
            rm -f /run/vmm      # which says that the last one was ready
            tests/sight/vmm.py 78 > /run/vmm & pid=$!
            until grep -qs ready /run/vmm; do sleep 0.05; done
            dev=$(grep -l cid78 /sys/class/net/vhost-vsock*/phys_port_name |
                  cut -d/ -f5)
            %s attach $dev
            (sleep $1; kill $pid) &
        }
        """ % VSFQ + "".join("""
        goes %s; echo "@@ $dev %s"
        %s %s %s; echo status $?; wait
        """ % (delay, command,
               # Once: it would tell all of its group, too.
               "timeout --foreground --preserve-status -s INT -k 9 8"
               if command == "monitor" else "", VSFQ, command)
            for command in LOOKS for delay in (0, 0.5, 1)), limit=900)
    ends = set()
    for part in said.split("@@ ")[1:]:
        first, *lines, status = part.splitlines()
        dev, command = first.split(" ", 1)
        command = command.replace(dev, "$dev")
        ends.add((command, status))
        gone = 'vsfq: cannot show "%s": no such device' % dev
        # Nobody has set these devices up.
        wrong = [line for line in lines if line.startswith("vsfq: ") and
                 "for they are down" not in line]
        t.check(status.removeprefix("status ") in LOOKS[command] and
                wrong == ([gone] if "$dev" in command and
                          status == "status 1" else []), part)
    t.check(("show -s -d 2 $dev", "status 1") in ends,
            "no guest went too early: %r" % ends)
    t.equal({command for command, _ in ends}, set(LOOKS), "commands")
    t.host("{0} policy clear; {0} detach all && ! ls {1}".format(VSFQ, PINS))


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
    # Whose port tc does not tell.
    t.host("tc qdisc del dev {0} root; tc qdisc add dev {0} root vsfq".format(
        one))
    finds(t, t.host(VSFQ + " doctor"), "warning", one, "another name or port",
          "(try: vsfq attach %s)" % one)
    t.host("%s attach %s" % (VSFQ, one))
    well(t, one)


def test_register(t):
    """The name of the qdisc is free as soon as another one takes its place, or
    the last device is detached; who detaches it alone has it back."""
    clean(t)
    start_guest(t)
    t.host(VSFQ + " attach all")
    before = t.host("ls %s/@qdisc" % PINS)
    t.host("for n in 1 2 3 4 5; do %s attach -o $((5000 + n)) all || exit; done"
           % VSFQ, limit=300)
    t.equal((overheads(t), t.host("ls %s/@qdisc" % PINS)), (["5005"], before),
            "overheads, and what is pinned")
    t.host("for n in 1 2 3; do {0} detach all && {0} attach all || exit; done"
           .format(VSFQ), limit=300)
    t.host("{0} link detach pinned {1}/@qdisc/link && tc qdisc del dev {2} root "
           "&& {3} attach all".format(t.tool("bpftool"), PINS, HOST_DEV, VSFQ))
    t.equal(attached(t, ""), {HOST_DEV: (True, "vsfq")}, "what is attached")
    well(t, HOST_DEV)


def number(t, path):
    return json.loads(t.host("%s -j map show pinned %s/%s" % (
        t.tool("bpftool"), PINS, path)))["id"]


def test_put_back(t):
    """What somebody has removed is in the way of no command, but for a policy
    that would not reach what is attached; and attach puts it back. Programs with
    a map of all that is no longer that of all go, too."""
    clean(t)
    start_guest(t)
    write_policy(t)
    apply = VSFQ + " apply /run/wrong.conf"
    t.host("%s attach all && %s" % (VSFQ, apply))
    before = t.host("ls -R " + PINS)
    for gone in [HOST_DEV + "/" + name for name in (
            "device", "flows", "vsfq_egress", "ingress")] + [
                "@qdisc/queues", "@connect/connect", "@connect/devices",
                "@policy", "@events"]:
        t.host("rm -r %s/%s" % (PINS, gone))
        if gone == "@policy":
            output = t.host(apply, status=1)
            t.check("(try: vsfq attach " in output, output)
            t.host("%s attach all" % VSFQ)
        t.host("%s && %s attach all" % (apply, VSFQ))
        t.equal(t.host("ls -R " + PINS), before, "pins after no " + gone)
        well(t, HOST_DEV)
        for program in HOST_DEV + "/vsfq_egress", "@qdisc/vsfq_dequeue", \
                "@connect/vsfq_connect":
            maps = json.loads(t.host("%s -j prog show pinned %s/%s" % (
                t.tool("bpftool"), PINS, program)))["map_ids"]
            t.check(number(t, "@policy/policy") in maps,
                    "%s has another policy after no %s" % (program, gone))
    t.host("rm {0}/{1}/device && {2} detach {1}".format(PINS, HOST_DEV, VSFQ))


def tables(t):
    """The numbers of the maps with which the device counts."""
    return {name: number(t, HOST_DEV + "/" + name) for name in
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
    """A device whose qdisc cannot be replaced stays attached as it was, and one
    that can have none is not attached; both are told why."""
    vm = t.bed.host
    clean(t)
    one, two = two_guests(t)
    t.host("%s attach %s" % (VSFQ, one))
    each = "for n in $(seq 255); do echo %s; done | "
    t.cleanup(vm, "ip link del group 77")
    t.host(each % "link add vsfqd$n group 77 type dummy" + "ip -batch - && " +
           each % "qdisc add dev vsfqd$n root vsfq" + "tc -batch -", limit=300)
    before = attached(t, "")
    for command, dev in ("attach -o 5000 ", one), ("attach ", two):
        t.equal(t.host(VSFQ + " " + command + dev, status=1), 'vsfq: cannot '
                'attach "%s": this machine has 256 vsfq qdiscs already\n' % dev,
                "what is said")
        t.equal(attached(t, ""), before, "what is attached")
    t.equal((before[one], before[two][0]), ((True, "vsfq"), False),
            "what was attached")


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


def queues_told(t, what="device"):
    """Which name, or port, the qdiscs take their devices to have."""
    return re.findall(r'"%s": *"([^"]*)"' % what, t.host(
        "%s map dump pinned %s/@qdisc/queues" % (t.tool("bpftool"), PINS)))


def test_another_cid(t):
    """A guest that is given another one is known by it as soon as anything is
    attached, or a policy is applied; what was counted stays."""
    vm = t.bed.host
    clean(t)
    start_guest(t, "77 78 79")
    look = "%s -j map lookup pinned %s/%s/device key 0 0 0 0" % (
        t.tool("bpftool"), PINS, HOST_DEV)
    t.host(VSFQ + " attach all; echo default-in = accept > /run/wrong.conf")
    before = t.host(look)
    t.check('"peer_cid":77' in before, before)
    t.equal(queues_told(t, "port"), ["cid77"], "ports of queues")
    for cid, command in (78, "attach all"), (79, "apply /run/wrong.conf"):
        t.host("pkill -USR1 -f sight/vmm.py")
        t.wait_for(vm, "grep -q cid%d /sys/class/net/%s/phys_port_name" %
                   (cid, HOST_DEV))
        t.host("%s %s" % (VSFQ, command))
        after = t.host(look)
        t.equal(after.count('"peer_cid":%d,' % cid), 1, after)
        t.equal(after.count('"port":"cid%d"' % cid), 1, after)
        t.equal(queues_told(t, "port"), ["cid%d" % cid], "ports of queues")
        t.equal(re.findall(r'"(?:sent|received)".*', after),
                re.findall(r'"(?:sent|received)".*', before), "counters")
    well(t, HOST_DEV)


def test_renamed(t):
    """What is attached goes with the device to its new name, when vsfq looks;
    the qdisc is only deleted with it."""
    vm = t.bed.host
    clean(t)
    start_guest(t)
    t.host(VSFQ + " attach all")
    before = tables(t), t.host("tc qdisc show dev " + HOST_DEV).split()[:3]
    t.cleanup(vm, "ip link set dev renamed0 name " + HOST_DEV)
    t.host("ip link set dev %s name renamed0" % HOST_DEV)
    t.equal(queues_told(t), [HOST_DEV], "names of queues before vsfq looks")
    t.host(VSFQ + " attach renamed0")
    t.equal(attached(t, ""), {"renamed0": (True, "vsfq")}, "what is attached")
    t.equal(queues_told(t), ["renamed0"], "names of queues")
    t.equal(t.host("%s detach %s" % (VSFQ, HOST_DEV), status=1),
            'vsfq: cannot detach "%s": not attached\n' % HOST_DEV, "an old name")
    t.host("ip link set dev renamed0 name {1} && {0} attach all".format(
        VSFQ, HOST_DEV))
    t.equal(queues_told(t), [HOST_DEV], "names of queues")
    t.equal((tables(t), t.host("tc qdisc show dev " + HOST_DEV).split()[:3]),
            before, "tables and qdisc")


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
