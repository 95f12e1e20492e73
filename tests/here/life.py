# SPDX-License-Identifier: GPL-2.0-only
"""vsfq on a machine: installation, package, boot, completion, manuals."""

import configparser
import fnmatch
import glob
import os
import pty
import re
import select
import shutil
import tempfile
import time

from bed import TOP
from policies import needs_tun

VSFQ = "build/vsfq"

# What make install puts where, below PREFIX.
PROGRAMS = {"sbin/vsfq", "bin/vsload"}
DATA = {
    "lib/systemd/network/10-vsfq.network",
    "lib/systemd/system/vsfq-attach@.service",
    "lib/systemd/system/vsfq.service",
    "lib/udev/rules.d/85-vsfq.rules",
    "share/bash-completion/completions/vsfq",
    "share/doc/vsfq/examples/vsfq.conf",
    "share/doc/vsfq/fairness.md",
    "share/doc/vsfq/grants.md",
    "share/doc/vsfq/reliability.md",
    "share/doc/vsfq/session.txt",
    "share/doc/vsfq/top.txt",
    "share/man/man5/vsfq.conf.5",
    "share/man/man7/vsfq.7",
    "share/man/man8/vsfq.8",
    "share/man/man8/vsload.8",
    "share/zsh/site-functions/_vsfq",
}
NETWORK_MANAGER = "NetworkManager/conf.d/vsfq.conf"

# Their calls, by the package's scripts, are written to $CALLS.
STUBS = ("systemctl", "deb-systemd-helper", "deb-systemd-invoke", "udevadm",
         "vsfq")


def text(path):
    with open(os.path.join(TOP, path)) as f:
        return f.read()


def done(t, command, limit=600):
    """Run a command that has to succeed; return what it says."""
    status, output = t.machine(command, limit)
    t.check(status == 0, "%s: status %d\n%s" % (command, status, output))
    return output


def listing(t, top):
    """{path: mode} of what is below @top, as find says it."""
    return {path: mode for mode, path in
            (line.split(" ", 1) for line in
             done(t, "find %s -mindepth 1 -printf '%%M %%P\\n'" % top)
             .splitlines())}


def tree(files):
    """The listing that these files and their directories have."""
    found = {}
    for path, mode in files.items():
        found[path] = mode
        while os.path.dirname(path):
            path = os.path.dirname(path)
            found[path] = "drwxr-xr-x"
    return found


def installed(prefix, manager):
    """The listing of an installation into @prefix."""
    files = {prefix + "/" + p: "-rwxr-xr-x" for p in PROGRAMS}
    files.update({prefix + "/" + p: "-rw-r--r--" for p in DATA})
    files[manager + "/" + NETWORK_MANAGER] = "-rw-r--r--"
    files["etc/vsfq"] = "drwxr-xr-x"
    return tree(files)


def test_install(t):
    """All that is expected, by its modes, whatever the umask."""
    for options, listed in {
            "": installed("usr/local", "etc"),
            "PREFIX=/usr": installed("usr", "usr/lib"),
            "PREFIX=/opt/v": installed("opt/v", "etc")}.items():
        with tempfile.TemporaryDirectory() as top:
            done(t, "umask 077; make -s install DESTDIR=%s %s" %
                 (top, options))
            have = listing(t, top)
            t.equal(set(have), set(listed), "what %r installs" % options)
            t.equal(have, listed, "the modes")


def test_install_says_the_rest(t):
    """What it does not do, as vsfq(7) has it, unless it is for a package."""
    page = text("docs/vsfq.7.scd").replace("++\n", "\n")
    with tempfile.TemporaryDirectory() as top:
        said = done(t, "make -s install PREFIX={0} SYSCONFDIR={0}/etc".format(
            top)).splitlines()
        t.equal(done(t, "make -s install DESTDIR=" + top), "", "of a package")
    commands = "\n".join(line.strip() for line in said[1:])
    t.check(len(said) == 4 and "\n\t%s\n" % commands in page, said)


def test_install_nothing_outside(t):
    """Of DESTDIR; the files are those of test_install."""
    names = re.findall(r"install (?:-\S+ |\d+ )+(?:\S+ )?(\S+)$",
                       done(t, "make -n install DESTDIR=/below"), re.M)
    t.equal(len(names), len(PROGRAMS | DATA) + 2, "destinations")
    for name in names:
        t.check(name.startswith("/below/"), name)


def test_install_names_itself(t):
    """The units run what was installed with them."""
    with tempfile.TemporaryDirectory() as top:
        done(t, "make -s install DESTDIR=%s PREFIX=/opt/v" % top)
        for unit in glob.glob(top + "/opt/v/lib/systemd/system/*"):
            have = text(unit)
            t.check("@POLICY" not in have and "@SBIN" not in have, have)
            t.check("=/opt/v/sbin/vsfq " in have, "other programs: " + have)


def test_install_unbuilt(t):
    """It builds nothing and says what to do."""
    with tempfile.TemporaryDirectory() as top:
        status, output = t.machine(
            "make -s install DESTDIR=%s EXAMPLE=/nonexistent" % top)
        t.check(status and "run make first" in output, output)
        t.equal(listing(t, top), {}, "what was installed")


def test_uninstall(t):
    """Everything but the administrator's policy, which nothing touches."""
    with tempfile.TemporaryDirectory() as top:
        make = "make -s %%s DESTDIR=%s" % top
        done(t, make % "install")
        with open(top + "/etc/vsfq/vsfq.conf", "w") as f:
            f.write("default-in = reject\n")
        done(t, make % "install")
        done(t, make % "uninstall")
        files = [p for p, mode in listing(t, top).items() if mode[0] != "d"]
        t.equal(files, ["etc/vsfq/vsfq.conf"], "files left")
        t.equal(text(top + "/" + files[0]), "default-in = reject\n",
                "the policy")


def test_example_installed(t):
    done(t, "make -s build/packaging/vsfq.conf && "
         "%s check build/packaging/vsfq.conf" % VSFQ)


def package(t):
    """Build it; return its path."""
    done(t, "make -s deb")
    found = glob.glob(os.path.join(TOP, "build/vsfq_*.deb"))
    t.equal(len(found), 1, "packages")
    return found[0]


def test_deb_contents(t):
    """What make install installs, where Debian wants it; nothing of it is
    a conffile, so that no upgrade asks or overwrites."""
    deb = package(t)
    files = installed("usr", "usr/lib")
    for path, mode in list(files.items()):
        if "/man/" in path and mode[0] != "d":
            files[path + ".gz"] = files.pop(path)
        if "/zsh/" in path:
            del files[path]
    files.update(tree({"usr/share/zsh/vendor-completions/_vsfq": "-rw-r--r--",
                       "usr/share/doc/vsfq/copyright": "-rw-r--r--",
                       "usr/share/doc/vsfq/changelog.gz": "-rw-r--r--"}))
    have = {}
    for line in done(t, "dpkg-deb -c " + deb).splitlines():
        mode, owner, _, _, _, path = line.split()
        t.equal(owner, "root/root", "owner of " + path)
        have[path.removeprefix("./").rstrip("/")] = mode
    del have[""]
    t.equal(have, files, "contents")
    t.equal(sorted(done(t, "dpkg-deb --ctrl-tarfile %s | tar -t" % deb)
                   .split()),
            ["./", "./control", "./md5sums", "./postinst", "./postrm",
             "./prerm"], "control files")


def test_deb_fields(t):
    deb = package(t)
    fields = dict(re.findall(r"^(\S+): (.*)$",
                             done(t, "dpkg-deb -f " + deb), re.M))
    t.equal("vsfq %s\n" % fields["Version"], done(t, VSFQ + " version"),
            "version")
    t.equal({word.split()[0] for word in fields["Depends"].split(", ")},
            {"iproute2", "libc6", "libconfuse2", "libelf1", "libexpat1",
             "libjansson4",
             "libmnl0", "libncurses6", "libtinfo6", "zlib1g"}, "dependencies")


def test_deb_lintian(t):
    done(t, "lintian --fail-on error,warning " + package(t))


def test_deb_reproducible(t):
    first = done(t, "sha256sum < " + package(t))
    t.equal(done(t, "sha256sum < " + package(t)), first, "a second build")


def test_deb_scripts(t):
    """What they have systemd and udev do."""
    with tempfile.TemporaryDirectory() as top:
        done(t, "dpkg-deb -e %s %s" % (package(t), top))
        for stub in STUBS:
            with open("%s/%s" % (top, stub), "w") as f:
                f.write("#!/bin/sh\necho %s $* >> $CALLS\n" % stub)
            os.chmod(f.name, 0o755)

        def calls(script, systemd=True):
            status, output = t.machine(
                "CALLS=%s/calls PATH=%s:$PATH unshare -m sh -ec '"
                "mount -t tmpfs none /run; mkdir -p /run%s; : > $CALLS; "
                "%s/%s; cat $CALLS'" %
                (top, top, "/systemd/system" * systemd, top, script))
            if "unshare failed" in output or "permission denied" in output:
                t.skip("this machine lets us mount nothing")
            t.equal(status, 0, "status of %s: %s" % (script, output))
            return output.splitlines()

        install = calls("postinst configure")
        for call in ("deb-systemd-helper enable vsfq.service",
                     "deb-systemd-invoke start vsfq.service",
                     "deb-systemd-invoke reload vsfq-attach@*.service",
                     "udevadm trigger --subsystem-match=net "
                     "--attr-match=type=827"):
            t.check(call in install, "no %r in %s" % (call, install))
        t.check(not any(" stop " in c or "clear" in c for c in install),
                "an upgrade lets go: %s" % install)
        t.equal(calls("prerm upgrade 0.2"), [], "what an upgrade ends")
        t.equal(calls("prerm remove"),
                ["deb-systemd-invoke stop vsfq-attach@*.service vsfq.service",
                 "vsfq detach all", "vsfq policy clear"], "a removal")
        t.check("deb-systemd-helper purge vsfq.service" in
                calls("postrm purge"), "the unit's state stays")
        for script in "postinst configure", "prerm remove", "postrm remove":
            t.check(not any(c.startswith(("systemctl", "deb-systemd-invoke",
                                          "udevadm"))
                            for c in calls(script, systemd=False)),
                    "%s asks a systemd that is not there" % script)


def test_units(t):
    """systemd understands them, installed as they are."""
    with tempfile.TemporaryDirectory() as top:
        done(t, "make -s install PREFIX=%s/usr SYSCONFDIR=%s/etc" %
             (top, top))
        units = top + "/usr/lib/systemd/system"
        done(t, "cd %s && ln -s vsfq-attach@.service "
             "'vsfq-attach@virtio\\x2dvsock0.service'" % units)
        output = done(t, "cd %s && systemd-analyze verify --man=no "
                      "./vsfq.service ./vsfq-attach@virtio*.service" % units)
        t.check("vsfq" not in output, output)
        # Of several commands in a row systemd asks for the first only.
        commands = re.findall(r"^Exec\w+=-?(\S+)", "".join(
            text(p) for p in glob.glob(units + "/*.service")), re.M)
        for command in set(commands):
            t.check(shutil.which(command), "there is no " + command)


def udev(t, device_type, name):
    """What udev does with a network device of this type and name."""
    loopback = 772
    with tempfile.TemporaryDirectory() as top:
        rule = text("packaging/network/85-vsfq.rules")
        with open(top + "/85-vsfq.rules", "w") as f:
            # The only device that every machine can make has another type.
            f.write(rule.replace('"%d"' % device_type, '"%d"' % loopback))
        status, output = t.machine(
            "unshare -m -n sh -ec 'ip link set lo name %s; "
            "mount -t sysfs none /sys; mount -t tmpfs none /run; "
            "mkdir -p /run/udev/rules.d; "
            "cp %s/85-vsfq.rules /run/udev/rules.d; "
            "udevadm test /sys/class/net/%s'" % (name, top, name))
    if "unshare failed" in output or "permission denied" in output:
        t.skip("this machine lets us mount nothing")
    t.equal(status, 0, "status of udevadm: " + output)
    t.equal(re.findall(r"85-vsfq\.rules:\d+ (?!Running PROGRAM).*", output),
            [], "what udev says of the rule")
    return output


def test_udev(t):
    """A vsock device gets its unit; the name survives the escaping."""
    output = udev(t, 827, "vhost-vsock12")
    t.check("SYSTEMD_WANTS=vsfq-attach@vhost\\x2dvsock12.service\n" in output
            and re.search(r"^TAGS=.*:systemd:", output, re.M), output)
    t.equal(done(t, "systemd-escape -u --instance "
                 "'vsfq-attach@vhost\\x2dvsock12.service'"),
            "vhost-vsock12\n", "what the unit makes of it")
    t.check("vsfq-attach" not in udev(t, 1, "vhost-vsock12"),
            "a device that is no vsock device gets a unit")


def series():
    return "".join(text(p) for p in sorted(glob.glob(os.path.join(
        TOP, "kernel-patches", os.environ.get("LINE", "7.3"), "*.patch"))))


def test_device_type(t):
    """All who look for devices look for the number that the series has."""
    number = re.search(r"^\+#define ARPHRD_VSOCK\s+(\d+)", series(),
                       re.M).group(1)
    for path in ("network/85-vsfq.rules", "completion/vsfq.bash",
                 "completion/_vsfq", "debian/postinst"):
        t.equal(set(re.findall(r"\b[78]\d\d\b", text("packaging/" + path))),
                {number}, "types in " + path)


def test_unmanaged(t):
    """The network managers' files mean the devices of the series."""
    names = [n % 3 for n in set(re.findall(r'"(\w+-vsock%d)"', series()))]
    t.equal(len(names), 2, "names of devices")
    for path, section, key, rest in (
            ("10-vsfq.network", "Match", "Name", ("Link", "Unmanaged", "yes")),
            ("NetworkManager.conf", "device-vsfq", "match-device",
             ("device-vsfq", "managed", "0"))):
        config = configparser.ConfigParser()
        config.read_string(text("packaging/network/" + path))
        t.equal(config.get(*rest[:2]), rest[2], path)
        patterns = [p.removeprefix("interface-name:") for p in
                    re.split("[ ,]", config.get(section, key))]
        for name in names + ["eth0", "vsockmon0"]:
            t.equal(any(fnmatch.fnmatchcase(name, p) for p in patterns),
                    name in names, "%s in %s" % (name, path))


NETWORKD = "/lib/systemd/systemd-networkd"
# It waits for udev unless /sys is read-only.
MANAGING = """
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /run
[ ! -d /etc/systemd/network ] || mount -t tmpfs tmpfs /etc/systemd/network
mkdir -p /run/systemd/network
cp packaging/network/10-vsfq.network /run/systemd/network
printf '[Match]\\nName=*\\n[Network]\\nLinkLocalAddressing=no\\n' \\
	> /run/systemd/network/99-all.network
names="virtio-vsock0 vhost-vsock12 other0"
for name in $names; do tests/sight/fake.py $name; done
%s > /dev/null 2>&1 &
for name in $names; do
	state=/run/systemd/netif/links/$(cat /sys/class/net/$name/ifindex)
	until grep -Eqs 'ADMIN_STATE=(configured|unmanaged)' $state; do
		sleep 0.1
	done
	sed -n "s/ADMIN_STATE=/$name /p" $state
done
kill $!
""" % NETWORKD


def test_networkd(t):
    """systemd-networkd, told to manage all devices, leaves ours alone."""
    if not os.path.exists(NETWORKD):
        t.skip("this machine has no systemd-networkd")
    needs_tun(t)
    with tempfile.TemporaryDirectory() as top:
        with open(top + "/script", "w") as f:
            f.write(MANAGING)
        status, output = t.machine("timeout 120 unshare -mn sh -e %s/script" %
                                   top)
    if "unshare failed" in output or "permission denied" in output:
        t.skip("this machine lets us mount nothing")
    t.equal((status, output), (
        0, "virtio-vsock0 unmanaged\nvhost-vsock12 unmanaged\n"
        "other0 configured\n"), "status and output")


def known(t):
    """From "vsfq help": {command: its argument} and the options."""
    commands, options = done(t, VSFQ + " help").split("\noptions:\n")
    return ({name: argument.strip() for name, argument in re.findall(
                r"^  (\w+) +(\[[^]]*\]|\S*\|\S*|[A-Z]+|) ", commands, re.M)},
            re.findall(r"(?<!\S)(--?[A-Za-z][\w-]*)", options))


def events(t):
    """What "vsfq help" says that EVENT is."""
    return re.search(r"\[EVENT\] +(.*), as it happens",
                     done(t, VSFQ + " help")).group(1).split(", ")


def bash(t, *words):
    """What bash offers in the place of the last word."""
    # Devices of the type of the only one that is on every machine.
    return done(t, "source <(sed s/827/772/ packaging/completion/vsfq.bash); "
                "COMP_WORDS=(%s) COMP_CWORD=%d; "
                "_vsfq %s '%s' '%s' && printf '%%s\\n' \"${COMPREPLY[@]}\"" %
                (" ".join("'%s'" % w for w in (VSFQ,) + words), len(words),
                 VSFQ, words[-1], ((VSFQ,) + words)[-2])).split()


def test_completion_bash(t):
    """All commands and options of "vsfq help", and no others."""
    commands, options = known(t)
    t.equal(bash(t, ""), list(commands), "commands")
    t.equal(bash(t, "-"), options, "options")
    t.equal(bash(t, "-s", "--js"), ["--json"], "an option")
    t.equal(bash(t, "policy", "--"), ["--json", "--pretty", "--verbose",
                                      "--version", "--help"], "options of one command")
    t.equal(bash(t, "apply", "--s"), ["--strict"], "options of another one")
    t.equal(bash(t, "-o", "5", "app"), ["apply"], "after an option's value")
    t.equal(bash(t, "-o", ""), [], "an option's value")
    for name, argument in commands.items():
        words = argument.strip("[]").split("|") if argument else []
        want = [w for w in words if w.islower()]
        if "EVENT" in words:
            want += events(t)
        if "DEV" in words:
            want.append("lo")
        if "FILE" in words:
            t.equal(bash(t, name, "Makef"), ["Makefile"], "files of " + name)
        else:
            t.equal(sorted(bash(t, name, "")), sorted(want), name)
    t.equal(bash(t, "attach", "all", ""), [], "a second argument")
    t.check("-F _vsfq vsfq" in done(
        t, "source packaging/completion/vsfq.bash; complete -p vsfq"),
        "bash is not told to use it")


class Zsh:
    """One on a terminal, with our completion."""

    def __init__(self, t, directory):
        self.t = t
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(TOP)
            os.environ.update(TERM="dumb", COLUMNS="200", PS1="ready: ",
                              PATH=TOP + "/build:" + os.environ["PATH"])
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.types("fpath=(%s $fpath) && autoload -Uz compinit && "
                   "compinit -u -D && echo $((6 * 7))\n" % directory)
        self.reads("42\r\n")

    def types(self, keys):
        os.write(self.fd, keys.encode())

    def reads(self, *words, limit=60):
        seen, end = "", time.monotonic() + limit
        while not all(word in seen for word in words):
            left = max(end - time.monotonic(), 0)
            self.t.check(select.select([self.fd], [], [], left)[0],
                         "no %s in %r" % (words, seen))
            seen += os.read(self.fd, 4096).decode()
        return seen

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def zsh(t, line, *words):
    """Type @line and a tab; all of @words appear."""
    with tempfile.TemporaryDirectory() as top:
        done(t, "sed s/827/772/ packaging/completion/_vsfq > %s/_vsfq" % top)
        shell = Zsh(t, top)
        try:
            shell.types(line + "\t")
            shell.reads(*words)
        finally:
            shell.close()


def test_completion_zsh(t):
    commands, options = known(t)
    zsh(t, "vsfq ", *("\n%s " % c for c in commands))
    # One that has a long form comes after it.
    zsh(t, "vsfq -", *(("\n%s" if o[1] == "-" else " %s ") % o
                       for o in options))
    zsh(t, "vsfq -s pol", "policy")
    # The other one that begins so is not for it.
    zsh(t, "vsfq apply --st", "rict")
    zsh(t, "vsfq -o 7 app", "apply")
    for name, argument in commands.items():
        words = argument.strip("[]").split("|") if argument else []
        if "FILE" in words:
            zsh(t, "vsfq %s Makef" % name, "Makefile")
        elif "EVENT" in words:
            zsh(t, "vsfq %s " % name, *events(t))
        elif words:
            zsh(t, "vsfq %s " % name,
                *("lo" if w == "DEV" else w for w in words))


def test_manuals(t):
    """Every page is one that man shows without complaints."""
    pages = [os.path.basename(p)[:-4] for p in glob.glob(TOP + "/docs/*.scd")]
    t.check("vsfq.7" in pages, "pages: %s" % pages)
    for page in pages:
        done(t, "make -s build/" + page)
        t.equal(t.machine("LC_ALL=C.UTF-8 man --warnings -E UTF-8 "
                          "-Tutf8 -Z -l build/%s > /dev/null" %
                          page), (0, ""), "what man says of " + page)
