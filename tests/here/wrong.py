# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong: one clear line each, and nothing is changed by it."""

import json
import tempfile

import btf
from attached import JUDGED, PINS, Attached
from policies import ANYWHERE, needs_tun, with_one
from program import FAILED, VSFQ

# A line that makes a policy wrong, and words of what is said of it.
WRONG = (
    ("rule { class = nosuch }", '"nosuch"'),
    ("frob = 1", '"frob"'),
    ("class bulk { }", '"bulk"', "twice"),
    ("rule { local-port = {1-10, 5-20} verdict = accept }", '"5-20"',
     "overlaps"),
    ("class c { rate = 0 }", '"0"'),
    ("class c { rate = 18446744073709551616 }", '"18446744073709551616"'),
    ("class c { weight = 0 }", '"0"'),
    ("class c { limit = 18446744073709551616 }", "between 1 and 65535"),
    ("rule { local-port = 18446744073709551616 verdict = accept }",
     '"18446744073709551616"'),
    ("rule { direction = out cgroup = /no verdict = drop }",
     ':%d:33: "/no" is no cgroup' % (ANYWHERE.count("\n") + 1)),
    ("include(nosuch)", '"nosuch"', "No such file"),
)
# Instead of a file.
NO_FILES = (("nosuch", "No such file"), (".", "Is a directory"),
            ("/dev/zero", "too large"), ("secret", "Permission denied"))


def test_apply(t):
    """The policy that was in force still is, in the same map."""
    with with_one(t) as p:
        commands = ["mount -t tmpfs none /sys/fs/cgroup || exit 77",
                    "vsfq apply one; map_in_force"]
        for n, (line, *_) in enumerate(WRONG):
            p.write(str(n), ANYWHERE + line + "\n")
            commands.append("echo @@; vsfq apply %d; echo $?; map_in_force" %
                            n)
        # Root may read everything: without that privilege he may not.
        p.write("secret", ANYWHERE)
        commands.append("chown 65534 secret; chmod 0 secret")
        for name, _ in NO_FILES:
            commands.append(
                "echo @@; setpriv --bounding-set=-dac_override,"
                "-dac_read_search $here/%s apply %s; echo $?; map_in_force" %
                (VSFQ, name))
        before, *said = p.run(*commands).split("@@\n")
    for output, (what, *words) in zip(said, WRONG + NO_FILES):
        lines = output.splitlines(True)
        t.check(lines[0].startswith("vsfq: ") and lines[1] == "1\n" and
                "".join(lines[2:]) == before, "%s: %s" % (what, output))
        for word in words:
            t.check(word in lines[0], "%s: no %r in %s" % (what, word, lines))
    t.equal(len(said), len(WRONG + NO_FILES), "answers")


# Directories, but no device's.
NO_DEVICES = ("@policy", ".", "..", "../vsfq/@policy", "")


def test_detach(t):
    """What is pinned beside devices, ours or not, is not unpinned as one."""
    with with_one(t) as p:
        look = "map_in_force; ls /sys/fs/bpf"
        before, *said = p.run(
            "vsfq apply one",
            "%s map pin pinned %s/@policy/policy /sys/fs/bpf/another" %
            (t.tool("bpftool"), PINS), look,
            *["echo @@; vsfq detach '%s'; echo $?; %s" % (name, look)
              for name in NO_DEVICES]).split("@@\n")
    t.check("another\n" in before, before)
    for output, name in zip(said, NO_DEVICES):
        t.equal(output, 'vsfq: cannot detach "%s": not attached\n1\n%s' %
                (name, before), "output for %r" % name)
    t.equal(len(said), len(NO_DEVICES), "answers")


def test_killed(t):
    """What a run that was killed had begun to pin, or to unpin, is nobody's;
    the next one that changes something removes it."""
    with with_one(t) as p:
        leave = "mkdir {0}/@new {0}/@old; for d in @new @old; do {1} map " \
            "create {0}/$d/m type array key 4 value 4 entries 1 name left; " \
            "done".format(PINS, t.tool("bpftool"))
        output = p.run("vsfq apply one", leave, "ls %s/*" % PINS,
                       "echo @@; vsfq detach all; ls " + PINS, leave,
                       "vsfq policy clear; ls -d %s" % PINS)
    before, after = output.split("@@\n")
    t.equal(before.count("\nm\n"), 2, "what is left in " + before)
    t.equal(after, "@policy\nls: cannot access '%s': No such file or "
            "directory\n" % PINS, "what is pinned")


def test_other_kernel(t):
    """One without BTF, and one without BPF qdiscs, as all are before Linux
    6.16."""
    needs_tun(t)
    with with_one(t) as p:
        for kernel, what in (
                (btf.NONE, "BTF (CONFIG_DEBUG_INFO_BTF)"),
                (btf.NO_TYPES,
                 "BPF qdiscs (Linux 6.16, CONFIG_NET_SCH_BPF)")):
            output = p.run(
                kernel, "$here/tests/sight/fake.py vsock0 || exit 77",
                "vsfq attach vsock0; echo $?; ls " + PINS, namespaces="-mn")
            t.equal(output, 'vsfq: cannot attach "vsock0": the kernel has no '
                    "%s\n1\nls: cannot access '%s': No such file or "
                    "directory\n" % (what, PINS), "output")


def test_names(t):
    """A device that no pins could be told of is refused for its name, before
    anything is done."""
    needs_tun(t)
    with with_one(t) as p:
        names = "@qdisc", "@3", "vsock.5", ".vsock"
        for name in names:
            output = p.run("$here/tests/sight/fake.py %s || exit 77" % name,
                           "vsfq attach all; echo $?; vsfq attach %s; "
                           "echo $?; vsfq detach %s; echo $?; ls %s" %
                           (name, name, PINS), namespaces="-mn")
            said = 'vsfq: cannot attach "%s": no device of such a name can ' \
                "be pinned (try: ip link set it name ...)\n1\n" % name
            t.equal(output, 2 * said + 'vsfq: cannot detach "%s": not '
                    "attached\n1\nls: cannot access '%s': No such file or "
                    "directory\n" % (name, PINS), "output for " + name)


def test_passing_by(t):
    """Whose packets a policy that is put in force does not judge is no error,
    and told."""
    note = "vsfq: devices that pass everything, for they are down or not " \
        "attached: %d of %d (try: vsfq doctor)\n0\n"
    apply = "vsfq apply one; echo $?"
    with tempfile.TemporaryDirectory() as top:
        p = Attached(t, top)
        p.write("one", ANYWHERE)
        output = p.run(
            apply, *p.attach()[:-1], apply, "ip link set vsock0 down", apply,
            "ip link set vsock0 up",
            "$here/tests/sight/fake.py vsock1 || exit 77", apply,
            "vsfq apply -n one", namespaces="-mn")
    t.equal(output, "0\n0\n" + note % (1, 1) + note % (1, 2), "output")


def elsewhere(what, fix):
    """What is said of who would not see a policy, by apply and a dry run."""
    return 2 * ('vsfq: cannot apply "two": %s looks for a policy elsewhere '
                "(try: vsfq attach %s)\n1\n" % (what, fix))


def test_out_of_reach(t):
    """A policy is not put in force where a device, of whichever namespace, or
    the qdisc would not see it; who is gone does not matter."""
    with tempfile.TemporaryDirectory() as top:
        p = Attached(t, top)
        p.write("one", "default-in = accept")
        p.write("two", "default-in = reject")
        apply = "vsfq apply two; echo $?"
        look = apply + "; vsfq apply -n two; echo $?"
        tool = t.tool("bpftool")
        pin = tool + " prog pin pinned /sys/fs/bpf/%s/vsfq_egress " + PINS
        output = p.run(
            "vsfq apply one", *p.attach(JUDGED)[:-1],
            pin % "c" + "/$vsock0/vsfq_egress",
            tool + " prog loadall $here/build/classify.bpf.o /sys/fs/bpf/d",
            "mkdir %s/@qdisc" % PINS, pin % "d" + "/@qdisc/vsfq_enqueue",
            look, "vsfq policy show | grep default-in; rm -r %s/@qdisc" % PINS,
            apply, "rm -r %s/@policy" % PINS, look,
            "ip link set vsock0 down; ip link set vsock0 name moved0", look,
            "mv %s/$vsock0 %s/vsock0@1" % (PINS, PINS), look,
            "ls " + PINS, "ip link del moved0", apply, namespaces="-mn")
    there = "what is attached to "
    t.equal(output, elsewhere("the qdisc", "all") + "default-in = accept\n0\n" +
            elsewhere(there + '"vsock0"', "vsock0") +
            elsewhere(there + '"moved0"', "moved0") +
            elsewhere(there + '"vsock0@1"', "vsock0 in its network namespace") +
            "vsock0@1\n0\n", "output")


def test_no_device(t):
    """None of this kind is there, as on a kernel without the patches."""
    for command in "attach all", "show", "show -sd 0.1":
        status, output = t.machine("unshare -n %s %s" % (VSFQ, command))
        if "unshare failed" in output:
            t.skip("this machine lets us make no network namespace")
        t.equal((status, output), (
            FAILED, 'vsfq: cannot %s "all": no vsock device is here '
            "(try: vsfq doctor)\n" % command.split()[0]), command)


# Of commands that print JSON: how it is called, and what it then is.
JSON = {"version": dict, "doctor": list, "policy show": dict, "show": dict,
        "attach nosuch0": dict, "detach nosuch0": dict, "top -b nosuch0": dict,
        "check /nosuch": dict, "apply /nosuch": dict, "metrics -t /nosuch": dict,
        "policy nosuch": dict, "nosuch": dict, "-x": dict}


def test_not_utf8(t):
    """A name that JSON cannot tell is told as far as it can, whole or cut."""
    for name, said in ((b"\xe4.conf", "?.conf"),
                       ("\u00e4\u20ac\U0001f600".encode() + b"\xff\xe2\x82.",
                        "\u00e4\u20ac\U0001f600???.")):
        status, output = t.machine("%s -j check $'/no/%s'" % (
            VSFQ, "".join("\\x%02x" % b for b in name)))
        t.equal((status, json.loads(output)["error"]), (
            FAILED, "/no/%s: No such file or directory" % said), "%r" % name)
    for length in range(480, 520):
        status, output = t.machine("%s -j attach %s" % (
            VSFQ, "\u20ac" * (length // 3) + "a" * (length % 3)))
        t.check("attach" in json.loads(output)["error"], output)


def test_cgroup_not_utf8(t):
    """Nor does the name of a cgroup keep a policy from being shown."""
    with with_one(t) as p:
        output = p.run(
            "mount -t cgroup2 none /sys/fs/cgroup || exit 77",
            "name=$(printf 'vsfq\\344'); mkdir /sys/fs/cgroup/$name || exit 77",
            "echo \"rule { direction = out cgroup = '/$name' verdict = drop }\""
            " > odd; vsfq apply odd; vsfq -j policy show",
            "vsfq doctor | grep -c 'policy: one of 1 rules'; "
            "rmdir /sys/fs/cgroup/$name")
    shown, found = output.splitlines()
    t.check('cgroup = "/vsfq?"' in json.loads(shown)["policy"], output)
    t.equal(found, "1", "what doctor found")


def test_json(t):
    """Output and errors are each one line of JSON, and nothing besides."""
    for command, kind in JSON.items():
        for option in "-j", "-p":
            output = t.machine("unshare -n %s %s %s" % (VSFQ, option,
                                                        command))[1]
            if "unshare failed" in output:
                t.skip("this machine lets us make no network namespace")
            t.check(isinstance(json.loads(output), kind), command)
