# SPDX-License-Identifier: GPL-2.0-only
"""What "vsfq doctor" finds on this machine, and what we put in its way."""

import json
import os
import tempfile

import btf
from attached import PINS, Attached
from findings import findings, finds
from policies import ANYWHERE, NOBODY, SOMEBODY, Policies, needs_tun, with_one
from program import DONE, FAILED, VSFQ

# In the place of this machine's configuration and of what runs on it.
OWN_FILES = "mount -t tmpfs none /etc; mount -t tmpfs none /run; mkdir /etc/vsfq"


def test_forms(t):
    """Text and JSON say the same; what is not well has a fix."""
    status, output = t.machine(VSFQ + " doctor")
    status_json, as_json = t.machine(VSFQ + " -j doctor")
    found = json.loads(as_json)
    t.equal(output.splitlines(),
            ["%-8s %s: %s%s" % (f["level"], f["about"], f["finding"],
                                f["fix"] and " (try: %s)" % f["fix"] or "")
             for f in found], "the text")
    levels = {f["level"] for f in found}
    t.check(levels <= {"ok", "warning", "problem"}, "levels %r" % levels)
    want = FAILED if "problem" in levels else DONE
    t.equal((status, status_json), (want, want), "status")
    for f in found:
        t.check((f["fix"] is None) == (f["level"] == "ok"), "%r" % f)


def test_kernel(t):
    """What this kernel has, as its own files tell."""
    output = t.machine(VSFQ + " doctor")[1]
    for driver in "vmw_vsock_virtio_transport", "vhost_vsock":
        path = "/sys/module/" + driver
        if os.path.exists(path + "/parameters/dgram"):
            finds(t, output, "ok", "kernel", driver, "has the patches")
        elif os.path.exists(path):
            finds(t, output, "problem", "kernel", driver, "without")
    status, config = t.machine("zcat /proc/config.gz || "
                               "cat /boot/config-$(uname -r)")
    if status:
        t.skip("this kernel does not tell its configuration")
    for option, what in (("NET_SCH_BPF", "BPF qdiscs"),
                         ("NET_XGRESS", "tcx hooks"),
                         ("DEBUG_INFO_BTF", "BTF")):
        if "CONFIG_%s=y" % option in config:
            finds(t, output, "ok", "kernel", "has " + what)
        else:
            finds(t, output, "problem", "kernel", "has no " + what, option)
    hooks = "CONFIG_SECURITY_NETWORK=y" in config
    t.check(not hooks or "no LSM hooks" not in output, output)
    if "CONFIG_BPF_LSM=y" not in config:
        finds(t, output, "warning", "kernel", "has no BPF LSM",
              "CONFIG_BPF_LSM")
    elif "ok       kernel: has the BPF LSM\n" in output and not hooks:
        finds(t, output, "warning", "kernel", "no LSM hooks",
              "CONFIG_SECURITY_NETWORK")


def test_other_kernels(t):
    """What is told of one that has less than this one may have."""
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        finds(t, p.run(btf.NONE, "vsfq doctor"), "problem", "kernel",
              "has no BTF", "CONFIG_DEBUG_INFO_BTF")
        output = p.run(btf.NO_TYPES, "vsfq doctor")
        finds(t, output, "ok", "kernel", "has BTF")
        finds(t, output, "problem", "kernel", "no BPF qdiscs", "NET_SCH_BPF")
        finds(t, output, "problem", "kernel", "no tcx hooks", "NET_XGRESS")


def test_drivers(t):
    """None, one without the patches, one with them."""
    with tempfile.TemporaryDirectory() as top:
        none, both = Policies(t, top).run(
            "mount -t tmpfs none /sys/module || exit 77",
            "vsfq doctor; echo @@; cd /sys/module",
            "mkdir -p vmw_vsock_virtio_transport vhost_vsock/parameters",
            "touch vhost_vsock/parameters/dgram; vsfq doctor").split("@@\n")
    finds(t, none, "warning", "kernel", "no driver of vsock", "modprobe")
    finds(t, both, "problem", "kernel",
          "vmw_vsock_virtio_transport is without the patches", "with them")
    finds(t, both, "ok", "kernel", "vhost_vsock has the patches")


def test_unprivileged(t):
    """It works, and names each capability that is missing."""
    drop = "setpriv --reuid 65534 --clear-groups --inh-caps=-all " \
        if os.geteuid() == 0 else ""
    status, output = t.machine("%s $PWD/%s doctor" % (drop, VSFQ))
    t.equal(status, FAILED, "status")
    for name in "CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN":
        finds(t, output, "problem", "machine", "no " + name, "(try: root)")


def test_not_allowed_to_read(t):
    """What it cannot see has a fix as well, told once."""
    with with_one(t) as p:
        needs_tun(t)
        output = p.run(
            "$here/tests/sight/fake.py vsock0 || exit 77", "vsfq apply one",
            NOBODY + "$here/%s doctor" % VSFQ,
            namespaces="-mn")
        for about, what in (("policy", "cannot be read"),
                            ("vsock0", "cannot tell whether it is attached")):
            finds(t, output, "warning", about, what + ": needs CAP_BPF",
                  " (try: root)")
        t.check("(try: root) (try" not in output, output)
        for who, why in (NOBODY, "CAP_BPF"), (SOMEBODY, "to another user"):
            said = p.run("vsfq apply one",
                         who + "$here/%s -j doctor" % VSFQ)
            t.equal({f["fix"] for f in json.loads(said)
                     if why in f["finding"]}, {"root"}, "fixes")


def test_user_namespace(t):
    """All capabilities of a container are none."""
    if t.machine("unshare -rm mount -t tmpfs none /mnt")[0]:
        t.skip("this machine lets us make no user namespace")
    finds(t, t.machine("unshare -r %s doctor" % VSFQ)[1], "problem",
          "machine", "has all capabilities but", "outside")


def test_policy(t):
    """In force or not, and whether the file says the same."""
    with with_one(t) as p:
        about = "policy"
        conf = "/etc/vsfq/vsfq.conf"
        output = p.run("umount /sys/fs/bpf; vsfq doctor")
        finds(t, output, "problem", "machine", "no BPF file system", "mount")
        output = p.run(OWN_FILES, "vsfq doctor")
        finds(t, output, "ok", "machine", "a BPF file system")
        finds(t, output, "ok", about, "none is in force")
        output = p.run(OWN_FILES, "cp one " + conf, "vsfq doctor")
        finds(t, output, "warning", about, conf, "(try: vsfq apply)")
        output = p.run(OWN_FILES, "cp one " + conf, "vsfq apply", "vsfq doctor")
        finds(t, output, "ok", about, "%d rules" % ANYWHERE.count("\nrule"))
        t.check(("warning", about) not in findings(output), output)
        p.write("two", ANYWHERE.replace("65535", "65534"))
        output = p.run(OWN_FILES, "cp one " + conf, "vsfq apply two", "vsfq doctor")
        finds(t, output, "warning", about, conf, "(try: vsfq apply)")
        output = p.run(OWN_FILES, "echo rubbish > " + conf, "vsfq doctor")
        finds(t, output, "problem", about, conf + ":1:", "vsfq apply")
        output = p.run(OWN_FILES, "echo 'rule { direction = out cgroup = /no "
                       "verdict = drop }' > " + conf,
                       "mount -t tmpfs none /sys/fs/cgroup; vsfq doctor")
        finds(t, output, "problem", about, conf + ':1:33: "/no" is no cgroup')


def test_boot(t):
    """A policy that would not be there again once the machine was restarted."""
    with with_one(t) as p:
        booted = "mkdir -p /run/systemd/system"
        enable = "cd /etc; mkdir -p systemd/system/sysinit.target.wants; " \
            "touch systemd/system/sysinit.target.wants/vsfq.service; cd -"
        copy = "cp one /etc/vsfq/vsfq.conf"
        no_file = "/etc/vsfq/vsfq.conf is not there: after a reboot none is " \
            "in force (try: vsfq policy show > /etc/vsfq/vsfq.conf)"
        not_enabled = "vsfq.service is not enabled: after a reboot none is " \
            "in force (try: systemctl enable vsfq.service)"
        for steps, want in (
                ([booted], []),
                (["vsfq apply one"], [no_file]),
                (["vsfq apply one", booted], [no_file, not_enabled]),
                ([copy, "vsfq apply", booted], [not_enabled]),
                ([copy, "vsfq apply", booted, enable], []),
                # Somebody else may apply it then.
                ([copy, "vsfq apply"], [])):
            output = p.run(OWN_FILES, *steps, "vsfq doctor")
            t.equal(findings(output).get(("warning", "policy"), []), want,
                    "warnings after %s" % steps)


def test_missing_cgroup(t):
    """One that is not there, or not there yet."""
    with with_one(t) as p:
        groups = "/", "/vsfqtest.slice", "/vsfqtest.slice/a.service", "/vsfqtes"
        p.write("cgroups", "".join(
            "rule { direction = out cgroup = %s verdict = drop }\n" % group
            for group in groups))
        output = p.run(
            "mount -t cgroup2 none /sys/fs/cgroup || exit 77",
            OWN_FILES, "cp cgroups /etc/vsfq/vsfq.conf",
            "mkdir /sys/fs/cgroup/vsfqtest.slice || exit 77; vsfq doctor",
            "rmdir /sys/fs/cgroup/vsfqtest.slice")
    if "cannot tell when" in output:
        t.skip("this machine cannot tell when a cgroup is made")
    said = [rest for rest in findings(output)["warning", "policy"]
            if "not there" in rest]
    t.equal(said, ['cgroup "%s" is not there: its rules match nothing until it '
                   "is (try: ls /sys/fs/cgroup)" % group
                   for group in groups[2:]], "warnings")


def test_device(t):
    """A device that somebody else has been at, before and after."""
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        fake = "$here/tests/sight/fake.py vsock0 || exit 77"
        if os.access("/dev/net/tun", os.W_OK):
            output = p.run(fake, "vsfq doctor", namespaces="-mn")
        else:
            t.skip("this machine has no tun")
        finds(t, output, "warning", "vsock0", "down", "ip link set vsock0 up")
        finds(t, output, "warning", "vsock0", "not attached", "vsfq attach")
        t.equal(len(findings(output)["warning", "vsock0"]), 2, "warnings")
        with with_one(t) as one:
            output = one.run(fake, "vsfq apply one", "vsfq doctor",
                             namespaces="-mn")
        finds(t, output, "problem", "vsock0", "not attached", "policy",
              "(try: vsfq attach vsock0)")
        run = "mount -t tmpfs none /run; mkdir -p /run/%s /run/%s"
        state = "systemd/netif/links", "NetworkManager/devices"
        number = "i=$(ip -o link show vsock0 | cut -d: -f1)"
        output = p.run(
            fake, "ip link set vsock0 up", run % state, number,
            "tc qdisc add dev vsock0 root handle 5: pfifo",
            "tc qdisc add dev vsock0 clsact",
            "echo ADMIN_STATE=configured > /run/%s/$i" % state[0],
            "echo managed=true > /run/%s/$i" % state[1],
            "vsfq doctor", namespaces="-mn")
        finds(t, output, "ok", "vsock0", "up")
        for words in (('"pfifo"', "tc qdisc del dev vsock0 root"),
                      ("clsact", "lost its class", "tc filter"),
                      ("systemd-networkd", "Unmanaged=yes"),
                      ("NetworkManager", "nmcli device set vsock0")):
            finds(t, output, "warning", "vsock0", *words)
        output = p.run(
            fake, run % state, number,
            "echo ADMIN_STATE=unmanaged > /run/%s/$i" % state[0],
            "echo managed=false > /run/%s/$i" % state[1],
            "vsfq doctor", namespaces="-mn")
        t.check("anage" not in output, output)


def test_pauses(t):
    """A rate of what arrives, for a driver that cannot hold it back."""
    needs_tun(t)
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        for name, words in ("in", "in-rate = 1mbps"), ("out", "rate = 1mbps"):
            p.write(name, "device vsock0 { %s }\n" % words)
        told = [findings(p.run("$here/tests/sight/fake.py vsock0 || exit 77",
                               "vsfq apply " + name, "vsfq doctor",
                               namespaces="-mn")).get(("problem", "vsock0"), [])
                for name in ("in", "out")]
    said = [any("cannot hold it back" in line for line in lines)
            for lines in told]
    t.equal(said, [True, False], "so told in %s" % told)


def test_hook(t):
    """A classifier on one of its hooks alone is attached; attach makes good
    for the other one."""
    with tempfile.TemporaryDirectory() as top:
        a = Attached(t, top)
        output = a.watch("vsfq doctor")
        finds(t, output, "warning", "vsock0", "attached by")
        finds(t, output, "problem", "vsock0", "pinned, but not on tcx ingress",
              "(try: vsfq attach vsock0)")
        output = a.watch("cd %s/$vsock0; mv egress ingress; cd -" % PINS,
                         "vsfq doctor")
        finds(t, output, "warning", "vsock0", "attached by")
        output = a.watch("%s link detach pinned %s/$vsock0/egress" %
                         (t.tool("bpftool"), PINS), "vsfq doctor")
        finds(t, output, "warning", "vsock0", "not attached")


def test_other_programs(t):
    """Somebody's program on either hook that vsfq uses."""
    needs_tun(t)
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        tool = t.tool("bpftool")
        for hook, other in ("ingress", "egress"), ("egress", "ingress"):
            output = p.run(
                "$here/tests/sight/fake.py vsock0 || exit 77",
                "%s prog loadall $here/build/classify.bpf.o /sys/fs/bpf/c "
                "|| echo CAP_BPF" % tool,
                "%s net attach tcx_%s pinned /sys/fs/bpf/c/vsfq_%s dev vsock0" %
                (tool, hook, hook), "vsfq doctor", namespaces="-mn")
            if "CAP_BPF" in output:
                t.skip("this machine does not let us load BPF programs")
            finds(t, output, "warning", "vsock0", "tcx " + hook,
                  "bpftool net")
            t.check("tcx " + other not in output, output)
