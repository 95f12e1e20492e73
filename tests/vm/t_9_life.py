# SPDX-License-Identifier: GPL-2.0-only
"""The package on a machine that is started, gets guests, and is started again:
systemd, udev and the kernel are real, see tests/lib/systemd.py; a guest is who
has opened /dev/vhost-vsock."""

import contextlib
import glob
import json
import os
import shutil

from bed import TOP, Bed, complaint
from findings import finds
from load import HOST_DEV, make_other_version
from systemd import Systemd

BED = "host"

VSFQ = "/usr/sbin/vsfq"
POLICY = """\
class web { weight = 3 }
default-in = reject
rule { direction = in  local-port = 80  class = web }
rule { direction = out  device = cid80  type = stream  verdict = reject }
"""


def install(t, vm):
    """The package, without dpkg, whose database takes a minute here."""
    status, output = t.machine("make -s deb")
    t.equal(status, 0, "status of make deb: " + output)
    deb, = glob.glob(os.path.join(TOP, "build/vsfq_*.deb"))
    t.cleanup(vm, "cd / && dpkg-deb --fsys-tarfile %s | tar -t | grep -v /$ | "
              "xargs rm -f; rm -rf /etc/vsfq /run/control" % deb)
    t.cleanup(vm, "/run/control/postrm remove; /run/control/postrm purge")
    t.run(vm, "dpkg-deb -x {0} / && dpkg-deb -e {0} /run/control && "
          "DPKG_MAINTSCRIPT_PACKAGE=vsfq /run/control/postinst configure"
          .format(deb))
    t.run(vm, "cat > /etc/vsfq/vsfq.conf << 'END'\n%s\nEND" % POLICY)


def start_guest(t, vm, cids):
    return t.start_server(vm, "tests/sight/vmm.py %s" % cids, "ready", 600)


def policy(t, vm):
    return t.run(vm, VSFQ + " policy show")


def wait_attached(t, vm):
    """Until the device has been set up, which is done last."""
    t.wait_for(vm, "ip -o link show up dev %s | grep -q %s" %
               (HOST_DEV, HOST_DEV), limit=120)
    shown, = json.loads(t.run(vm, "%s -j show" % VSFQ))
    t.equal((shown["attached"], shown["qdisc"]["kind"],
             [c["name"] for c in shown["classes"]]),
            (True, "vsfq", ["stream", "dgram", "web"]), "what is attached")


def other_cid(t, vm, guest):
    """The rule for its second CID holds soon after it has that."""
    refused = ("python3 tests/load/probe.py try stream:80:1 | "
               "grep -q ECONNREFUSED")
    t.run(vm, refused, status=1)
    t.signal(guest)
    t.wait_for(vm, refused, limit=120)


def sent(t, vm):
    shown, = json.loads(t.run(vm, VSFQ + " -j show"))
    return {c["name"]: c["sent"]["packets"] for c in shown["classes"]}


def upgrade(t, vm, system):
    """As dpkg does it, with another program; who says which services may be
    started while packages are installed says that all may."""
    make_other_version(t, vm)
    t.run(vm, "tests/sight/send.py %s dgram 50" % HOST_DEV)
    before = sent(t, vm)
    t.check(before["dgram"] >= 50, "nothing was counted: %r" % before)
    t.run(vm, "cp /run/other {0}.new && mv {0}.new {0}; "
          "rm -f /usr/sbin/policy-rc.d; cp -r /run/control /var/tmp/control"
          .format(VSFQ))
    t.cleanup(vm, "rm -r /var/tmp/control")
    finds(t, t.run(vm, VSFQ + " doctor"), "warning", HOST_DEV,
          "attached by another version")
    system.run("env DPKG_MAINTSCRIPT_PACKAGE=vsfq "
               "/var/tmp/control/postinst configure 0.1", limit=180)
    output = t.run(vm, VSFQ + " doctor")
    finds(t, output, "ok", HOST_DEV, "attached by this version")
    finds(t, output, "ok", "qdisc", "by this version")
    after = sent(t, vm)
    t.check(all(after[name] >= before[name] for name in before),
            "%r became %r" % (before, after))


@contextlib.contextmanager
def restarted(t, vm):
    """A VM whose kernel has just booted, with what the disk of @vm holds."""
    t.run(vm, "cd /run/rw/upper && find . -type f -o -type l | "
          "tar -cf /run/vsfq/disk.tar -T -")
    machine = Bed(t.bed.kernel, t.bed.accel, cids=(), cpus=t.bed.cpus)
    shutil.move(os.path.join(vm.share, "disk.tar"), machine.host.share)
    with machine:
        t.run(machine.host, "tar -xf /run/vsfq/disk.tar -C /")
        yield machine.host
        said = complaint(machine.host.said(0))
        t.check(not said, "its kernel said:\n" + said)


def test_boot(t):
    """The policy is in force, and again after a restart of the machine; a guest
    that comes later gets it, by its CID of then and by a later one; one that
    goes leaves nothing, and one that is there at boot is found. An upgrade takes
    over from what there is."""
    vm = t.bed.host
    install(t, vm)
    t.cleanup(vm, "%s detach all; %s policy clear; rm -rf /sys/fs/bpf/vsfq" %
              (VSFQ, VSFQ))
    t.check("no policy" in policy(t, vm), "a policy before the first boot")
    system = Systemd(t, vm)
    system.boot()
    in_force = policy(t, vm)
    t.check("default-in = reject" in in_force, in_force)
    guest = start_guest(t, vm, 77)
    wait_attached(t, vm)
    t.end(guest)
    t.wait_for(vm, "! test -e /sys/fs/bpf/vsfq/" + HOST_DEV)
    t.equal(policy(t, vm), in_force, "the policy without a guest")
    guest = start_guest(t, vm, "78 80")
    wait_attached(t, vm)
    other_cid(t, vm, guest)
    upgrade(t, vm, system)
    t.equal(policy(t, vm), in_force, "the policy after an upgrade")
    system.off()
    t.equal(policy(t, vm), in_force, "the policy when all has been stopped")
    with restarted(t, vm) as vm:
        t.check("no policy" in policy(t, vm), "a policy that outlived a kernel")
        start_guest(t, vm, 79)
        Systemd(t, vm).boot()
        t.equal(policy(t, vm), in_force, "the policy after the restart")
        wait_attached(t, vm)
