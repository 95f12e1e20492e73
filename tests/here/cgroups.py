# SPDX-License-Identifier: GPL-2.0-only
"""Rules for cgroups that come and go, on a device that any kernel has, whose
classifier is attached by hand."""

import tempfile

import btf
from findings import finds
from policies import NOBODY, Policies, by_hand, needs_tun
from program import VSFQ

PINS = "/sys/fs/bpf/vsfq"
TOP = "/sys/fs/cgroup"
GROUP = "/vsfq-comes"
RULE = "rule { direction = out  cgroup = %s  verdict = %s }\n"
NOTE = 'vsfq: cgroup "%s" is not there: its rules match nothing until it is\n'
PASSES, REFUSED = "1\n", "\n"
HELPERS = """
make() { for group; do mkdir %(top)s$group || exit 77; done; }
gone() { for group; do rmdir %(top)s$group || exit 77; done; }
again() { gone $1 && make $1; }
within() { sh -c 'echo 0 > %(top)s$0/cgroup.procs && exec "$@"' "$@"; }
# What comes through of somebody in this cgroup who asks for a connection.
asks() { within $1 $here/tests/sight/ask.py vsock0 1 1; }
# A datagram, always between the same ports.
sends() { within $1 $here/tests/sight/send.py vsock0 dgram 1; }
trap 'cd %(top)s && find vsfq-* -depth -type d -exec rmdir {} \\;' EXIT
""" % {"top": TOP}


def says(t, policies, *commands):
    """What commands say, with these {name: text} and a device that "one", which
    is in force, judges. /vsfq-stays is there."""
    needs_tun(t)
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        for name, text in policies.items():
            p.write(name, text)
        p.write("try", RULE % ("/vsfq-not-there", "drop"))
        p.needs_maps()
        start = ["mount -t cgroup2 none %s || exit 77" % TOP, HELPERS,
                 "make /vsfq-stays"]
        output = p.run(*start, "vsfq apply -n try")
        if "cannot tell when" in output or "CAP_PERFMON" in output:
            t.skip("this machine cannot tell when a cgroup is made")
        output = p.run(
            *start, "vsfq apply one",
            "$here/tests/sight/fake.py vsock0 && ip link set vsock0 up || "
            "exit 77", *by_hand(t.tool("bpftool"), "policy"), "echo @@",
            *commands, namespaces="-mn")
    before, after = output.split("@@\n")
    if GROUP in before:
        t.equal(before, NOTE % GROUP, "what is told when it is applied")
    # It is not pinned as what vsfq attaches.
    return "".join(line for line in after.splitlines(True)
                   if "not attached" not in line)


def test_made_later(t):
    """The rule holds from the moment that the cgroup is made, for those in it
    and below it, each time, and for no other."""
    steps = [("vsfq policy show | grep -c cgroup; asks /vsfq-stays",
              "1\n" + PASSES),
             ("make {0}; asks {0}", REFUSED),
             ("asks /vsfq-stays", PASSES),
             ("make {0}/child; asks {0}/child; gone {0}/child", REFUSED),
             ("again {0}; asks {0}", REFUSED),
             ("gone {0}; asks /vsfq-stays", PASSES)]
    for other in (GROUP + "x", GROUP[:-1], "/vsfq-stays" + GROUP):
        steps.append(("make %s; asks %s; gone %s" % (3 * (other,)), PASSES))
    # Version 1 has paths of its own.
    steps.append(("make {0}; mkdir v1; mount -t cgroup -o none,name=vsfq none v1"
                  " && mkdir -p v1{0} && rmdir v1{0}; umount v1; asks {0}",
                  REFUSED))
    output = says(t, {"one": RULE % (GROUP, "drop")}, *[
        step.replace("{0}", GROUP) for step, _ in steps])
    t.equal(output, "".join(want for _, want in steps), "what passed")


def test_remembered(t):
    """No answer about a datagram that a socket of another cgroup has sent from
    the same port is one for that of a new cgroup, and the other way round."""
    refused = "%s map dump pinned /sys/fs/bpf/c/device | tr -d ' \\n' | " \
        "sed 's/.*\"refused\":\\[0,\\([0-9]*\\).*/\\1\\n/'" % t.tool("bpftool")
    output = says(t, {"one": RULE % (GROUP, "drop")}, *[
        step.format(GROUP) + ";" + refused for step in (
            "sends /vsfq-stays", "make {0}; sends {0}; sends {0}",
            "sends /vsfq-stays", "again {0}; sends {0}", "sends /vsfq-stays")])
    t.equal(output, "0\n2\n2\n3\n3\n", "refused so far")


def test_many(t):
    """Each of as many as there may be, and none of what is longer than a path
    may be; the numbers of those that are there stay."""
    last = "/vsfq-" + 233 * "a"
    names = ["/vsfq-stays"] + ["/vsfq-%d" % n for n in range(62)] + [last]
    output = says(t, {"one": "".join(RULE % (name, "drop") for name in names)},
                  "asks /vsfq-stays",
                  "make {0}a {0}b; asks {0}a; asks {0}b".format(last),
                  "make {0}; asks {0}; make {1}; asks {1}".format(
                      last, names[62]), "asks /vsfq-stays; asks /")
    t.equal(output, REFUSED + 2 * PASSES + 3 * REFUSED + PASSES, "what passed")


# An apply waits until $holds is killed.
HELD = ("chmod 700 /sys/fs/bpf; mkfifo held; exec 3<>held",
        "flock -F /sys/fs/bpf sh -c 'echo > held; exec sleep 60' & "
        "holds=$!; read line <&3",
        "$here/%s apply two 2> /dev/null & applies=$!" % VSFQ,
        'until grep -q "[-]>.*FLOCK.* $applies " /proc/locks; do :; done')
# One of two minutes, unless it is confirmed.
PENDING = ("mkfifo fifo; exec 3<>fifo",
           "$here/%s -C 120 apply two <&3 2> /dev/null & applies=$!" % VSFQ)


def test_between(t):
    """One that is made, or made again, after it was looked for and before the
    policy is in force, which others delay."""
    for before, then in ("make {0}", "again {0}"), (":", "make {0}"):
        output = says(
            t, {"one": "class stream { limit = 2 }",
                "two": RULE % (GROUP, "drop")}, before.format(GROUP),
            *HELD, then.format(GROUP), "kill $holds; wait $applies; echo $?",
            "asks " + GROUP, "again %s" % GROUP, "asks " + GROUP)
        t.equal(output, "0\n" + 2 * REFUSED, "after " + then)


def test_rolled_back(t):
    """The policy that comes back knows what was made while it was not in force,
    whether the one that was had the cgroup in it or not."""
    for two in "class stream { limit = 2 }", RULE % (GROUP, "accept"):
        output = says(
            t, {"one": RULE % (GROUP, "drop"), "two": two}, "make " + GROUP,
            *PENDING, "until vsfq policy show | grep -Eq 'limit = 2 |accept }'; do :; "
            "done", "again {0}; asks {0}".format(GROUP),
            "kill $applies; wait $applies; echo $?",
            "asks {0}; again {0}; asks {0}".format(GROUP))
        t.equal(output, PASSES + "1\n" + 2 * REFUSED, "with " + two)


def test_meanwhile(t):
    """Nothing passes of somebody whom both policies refuse while one takes the
    place of the other, which does not know yet that his cgroup was made anew."""
    refused = "$(%s -j map dump pinned /sys/fs/bpf/c/device | python3 -c '" \
        "import json, sys; print(json.load(sys.stdin)[0][\"formatted\"]" \
        "[\"value\"][\"refused\"][1])')" % t.tool("bpftool")
    for wait, end in ((HELD, "kill $holds"),
                      (PENDING + ("until vsfq policy show | "
                                  "grep -q 'limit = 2 '; do :; done",),
                       "kill $applies")):
        output = says(
            t, {"one": RULE % (GROUP, "drop"),
                "two": "class stream { limit = 2 }" + RULE % (GROUP, "drop")},
            "make " + GROUP, *wait, "again " + GROUP,
            "sh -c 'echo 0 > %s%s/cgroup.procs && exec \"$@\"' - "
            "$here/tests/sight/send.py vsock0 stream 99999999 & floods=$!" %
            (TOP, GROUP), "until [ %s -gt 100 ]; do :; done" % refused,
            end + "; wait $applies; kill $floods",
            "wait $floods 2> /dev/null",
            t.tool("bpftool") + " map dump pinned /sys/fs/bpf/c/flows")
        t.equal(output, "[]\n", "what passed")


# When the policy takes its place something happens.
HOOK = """
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int rename(const char *from, const char *to)
{
	int ret = syscall(SYS_renameat2, -100, from, -100, to, 0);

	if (strstr(to, "/current"))
		system(getenv("THEN"));
	return ret;
}
"""


def test_not_again(t):
    """A policy that is in force, and cannot be put there once more for a cgroup
    that was made meanwhile, is no error, and -C takes it back."""
    note = "vsfq: the policy is in force, but may not know a cgroup that was " \
        "made meanwhile (try: vsfq apply)\n"
    hook = "cc -shared -fPIC -o hook.so hook.c || exit 77; export THEN='" \
        "unset LD_PRELOAD; mkdir -p %s%s; mount -o remount,bind,ro " \
        "/sys/fs/bpf'" % (TOP, GROUP)
    apply = "LD_PRELOAD=$PWD/hook.so $here/%s apply two" % VSFQ
    again = "mount -o remount,bind,rw /sys/fs/bpf"
    in_force = "vsfq policy show | grep -c " + GROUP
    output = says(
        t, {"one": "class stream { limit = 2 }",
            "two": RULE % (GROUP, "drop"), "hook.c": HOOK},
        hook, apply + "; echo $?", in_force, again, "vsfq apply two",
        "asks " + GROUP, "vsfq apply one; gone " + GROUP,
        ": > said; (timeout 60 bash -c 'until grep -Eq \"Enter|cannot\" said; do "
        "sleep 0.1; done'; %s) | "
        "%s -C 100 2>> said; echo $?; grep -v Enter said" % (again, apply),
        again, in_force)
    t.equal(output, note + "0\n1\n" + REFUSED + "1\n" + note + "vsfq: not "
            "confirmed: the policy before is in force again\n0\n", "output")


def test_told(t):
    """Of what is not there, also by a dry run and if nothing changes; what told
    the policy of cgroups is there as long as it names any."""
    note = NOTE % GROUP
    pins = "ls %s" % PINS
    output = says(t, {"one": RULE % (GROUP, "drop"),
                      "two": "class stream { limit = 2 }"},
                  "vsfq apply one; vsfq apply -n one", pins,
                  "make {0}; vsfq apply one; gone {0}".format(GROUP),
                  "vsfq apply two", pins, "vsfq apply one", pins,
                  "vsfq policy clear; vsfq detach all; ls /sys/fs/bpf | grep vs")
    both = "@cgroup\n@policy\n"
    t.equal(output, 2 * note + both + "@policy\n" + note + both, "output")


def test_not_told(t):
    """To apply the same policy again puts right what nobody has told it of, and
    puts back what should have; doctor knows, and another version's from ours."""
    pins = PINS + "/@cgroup"
    number = "%s -j prog show pinned %s/vsfq_mkdir | tr , '\\n' | " \
        "grep '\"id\"'" % (t.tool("bpftool"), pins)
    output = says(
        t, {"one": RULE % (GROUP, "drop")}, "make {0}; asks {0}".format(GROUP),
        number, "vsfq doctor; echo @", "rm -r %s; again %s" % (pins, GROUP),
        "asks %s; vsfq doctor; vsfq apply one" % GROUP,
        "asks {0}; again {0}; asks {0}; echo @".format(GROUP),
        "rm {0}/rodata; {1} map create {0}/rodata type array key 4 value 8 "
        "entries 1 name rodata; vsfq doctor; echo @".format(
            pins, t.tool("bpftool")),
        number, "vsfq apply one;" + number, "vsfq apply one;" + number)
    before, none, other, numbers = output.split("@\n")
    t.check(before.startswith(REFUSED), before)
    t.check(none.startswith(PASSES) and none.endswith("\n" + 2 * REFUSED), none)
    finds(t, before, "ok", "policy", "told of new cgroups by this version")
    finds(t, none, "warning", "policy", "not told of new cgroups", "vsfq -v")
    finds(t, none, "warning", "policy", "was not told of", "vsfq apply")
    finds(t, other, "warning", "policy", "by another version", "vsfq apply")
    old, new, same = numbers.splitlines()
    t.check(old != new and new == same, "programs: " + numbers)


def test_cannot_tell(t):
    """Where nobody can tell that a cgroup is made it has to be there, or the
    whole policy is refused; nor can who lacks the privilege. Who only checks a
    policy may be on another machine."""
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        p.write("one", RULE % (GROUP, "drop"))
        p.needs_maps()
        mount = "mount -t cgroup2 none %s || exit 77" % TOP
        refused = 'vsfq: one:1:34: "%s" is no cgroup that is there, and ' % GROUP
        kernel = refused + "this kernel cannot tell when it is made " \
            "(CONFIG_BPF_EVENTS)\n1\n"
        output = p.run(
            mount, HELPERS, btf.NONE, "vsfq check one; vsfq apply one; echo $?",
            "vsfq apply -n one; echo $?; vsfq policy show",
            "make %s; vsfq apply one; echo $?; ls %s" % (GROUP, PINS))
        t.equal(output, 2 * kernel + "# no policy is in force\n"
                "vsfq: the policy is not told of new cgroups: one that is made "
                "again is another to it (try: vsfq doctor)\n0\n@policy\n",
                "without BTF")
        output = p.run(mount, "chmod 755 . one",
                       NOBODY + "$here/%s apply -n one; echo $?" % VSFQ)
        t.equal(output, refused + "to wait for it needs CAP_BPF and "
                "CAP_PERFMON (try: root)\n1\n", "without privilege")
