# SPDX-License-Identifier: GPL-2.0-only
"""A system that boots and shuts down in a VM, as often as one likes.

It is a real systemd, with a real udevd, in namespaces for processes and mounts:
what it knows of devices is what the VM's kernel tells, and what is pinned is
pinned in that kernel. Of this machine's units those that have nothing to do
with it are masked, and only network devices are triggered anew at boot: there
are hundreds of terminals.
"""

MASKED = """
kmod-static-nodes.service systemd-binfmt.service systemd-firstboot.service
systemd-journal-flush.service systemd-journald-audit.socket
systemd-journald-dev-log.socket systemd-journald.service
systemd-journald.socket systemd-machine-id-commit.service
systemd-modules-load.service systemd-random-seed.service
systemd-sysctl.service systemd-sysusers.service systemd-timesyncd.service
systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup.service
systemd-update-utmp.service
""".split()

BOOT = """
mount -t proc proc /proc && mount -t tmpfs tmpfs /run || exit 1
mkdir -p /run/log /run/systemd/system/systemd-udev-trigger.service.d
cd /run/systemd/system
for unit in %s; do ln -s /dev/null $unit; done
cat > systemd-udev-trigger.service.d/net.conf << EOF
[Service]
ExecStart=
ExecStart=udevadm trigger --action=add --subsystem-match=net
EOF
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --unit=sysinit.target --show-status=no
"""


class Systemd:
    def __init__(self, t, vm):
        self.t, self.vm = t, vm
        self.job = None

    def boot(self):
        """Return when everything has been started."""
        self.t.run(self.vm, "cat > /run/boot << 'END'\n%s\nEND" %
                   (BOOT % " ".join(MASKED)))
        self.job = self.t.start(
            self.vm, "unshare --mount --pid --fork --kill-child sh /run/boot",
            limit=600)
        self.t.wait_for(self.vm, self.entering("test -S /run/systemd/private"))
        said = self.run("systemctl is-system-running --wait", status=None,
                        limit=120)
        self.t.equal(said, "running\n", "the system, " + self.run(
            "systemctl --failed --no-legend", status=None))

    def entering(self, command):
        """One that is run in there."""
        return ("nsenter --mount --pid --target "
                "$(pgrep -P $(cat /run/job.%s)) %s" %
                (self.job.ident, command))

    def run(self, command, **how):
        return self.t.run(self.vm, self.entering(command), **how)

    def off(self):
        self.run("systemctl poweroff")
        self.job.wait()
