# SPDX-License-Identifier: GPL-2.0-only
"""Our programs on this machine, which needs no vsock device for it."""

import json
import os
import re
import tempfile

import prometheus
from findings import findings, finds

VSFQ = "build/vsfq"
VSLOAD = "build/vsload"
DONE, FAILED, USAGE = 0, 1, 2


def complains(t, program, arguments, status, *words):
    """It fails with @status and one line of its own that has all @words."""
    have, output = t.machine("%s %s" % (program, arguments), limit=20)
    t.equal(have, status, "status of %s %s" % (program, arguments))
    t.check(output.startswith(program.split("/")[-1] + ": ") and
            output.count("\n") == 1,
            "%s: not one line of its own: %r" % (arguments, output))
    for word in words:
        t.check(word in output, "%s: not a word of %s: %s" %
                (arguments, word, output))


def test_load_unit(t):
    """The pattern and the statistics of vsload."""
    status, output = t.machine("build/test_load")
    t.check(status == 0, output)


def test_vsfq_usage(t):
    for arguments, word in {
            "": "no command",
            "frobnicate": '"frobnicate"',
            "sho": '"sho"',
            "attach": '"attach"',
            "detach": '"detach"',
            "show one two": '"two"',
            "version now": '"now"',
            "check one two": '"two"',
            "apply one two": '"two"',
            "policy": '"policy"',
            "policy frobnicate": '"frobnicate"',
            "--frobnicate show": '"--frobnicate"',
            "-x show": '"-x"',
            "-o": '"-o"',
            "-o 0 attach lo": '"0"',
            "-o 16k attach lo": '"16k"',
            "-o -1 attach lo": '"-1"',
            "-o 1048577 attach lo": '"1048577"',
            "metrics now": '"now"',
            "doctor now": '"now"',
            "monitor now": '"now"',
            "metrics -t": '"-t"',
            "metrics -t ''": '""'}.items():
        complains(t, VSFQ, arguments, USAGE, word, "try: vsfq help")


def test_vsfq_no_device(t):
    for command in "attach", "show":
        complains(t, VSFQ, command + " nosuchdev0", FAILED,
                  "cannot %s" % command, '"nosuchdev0"', "no such device")
    complains(t, VSFQ, "show longer-than-any-device", FAILED,
              '"longer-than-any-device"', "no such device")


def test_vsfq_not_attached(t):
    complains(t, VSFQ, "detach nosuchdev0", FAILED, '"nosuchdev0"',
              "not attached")


def test_vsfq_other_device(t):
    for command in "attach", "show":
        complains(t, VSFQ, command + " lo", FAILED, '"lo"',
                  "not a vsock device")


def test_vsfq_error_as_json(t):
    status, output = t.machine(VSFQ + " -j show nosuchdev0")
    t.equal(status, FAILED, "exit status")
    t.check("nosuchdev0" in json.loads(output)["error"], output)


def test_vsfq_help(t):
    """Asked for, it is no error."""
    status, output = t.machine(VSFQ + " help")
    t.equal(status, DONE, "exit status")
    for option in "-h", "--help":
        t.equal(t.machine("%s %s" % (VSFQ, option)), (DONE, output), option)


def test_vsfq_version(t):
    status, output = t.machine(VSFQ + " version")
    t.equal(status, DONE, "exit status")
    status, as_json = t.machine(VSFQ + " -j version")
    t.equal("vsfq %s\n" % json.loads(as_json)["version"], output, "version")


# Of what no kernel has: a name that must be escaped, numbers of all sizes.
DEVICE = 'v"sock\\0'
STATS = {"packets": 2, "bytes": 2 ** 62, "cost": 3}
CLASS = {"name": "stream", "sent": STATS, "received": STATS, "served": STATS,
         "backlog": {"packets": 4, "bytes": 5, "memory": 6},
         "drops": {"packets": 7, "memory": 0, "pool": 0, "reset": 8},
         "sojourn_us": {"p50": 1, "p99": 1, "sum": 12000345,
                        "buckets": [1] * 32}}
DEVICES = [{"device": DEVICE, "port": "cid42", "up": True, "attached": True,
            "qdisc": {"kind": "vsfq"}, "foreign": 9, "untracked": 10,
            "unlogged": 13,
            "refused": {"in": 11, "out": 12}, "classes": [CLASS]},
           {"device": "vsock1", "port": "", "up": False, "attached": False,
            "qdisc": {"kind": ""}}]


def metrics_of(t, devices):
    with tempfile.NamedTemporaryFile("w") as f:
        json.dump(devices, f)
        f.flush()
        status, output = t.machine("build/print_metrics < " + f.name)
    t.equal(status, DONE, "status")
    return prometheus.parse(output)


def test_metrics_format(t):
    """Every figure has its place, and an odd name does no harm."""
    found = metrics_of(t, DEVICES)
    for name, labels, want in (
            ("device_info", {"port": "cid42", "qdisc": "vsfq"}, 1),
            ("device_up", {}, 1), ("device_attached", {}, 1),
            ("packets_total", {"class": "stream", "direction": "in"}, 2),
            ("bytes_total", {"class": "stream", "direction": "out"}, 2 ** 62),
            ("refused_packets_total", {"direction": "out"}, 12),
            ("foreign_packets_total", {}, 9),
            ("unlogged_events_total", {}, 13),
            ("dropped_packets_total", {"class": "stream", "reason": "reset"},
             8),
            ("backlog_memory_bytes", {"class": "stream"}, 6)):
        labels = {"device": DEVICE, **labels}
        have = found["vsfq_" + name].samples.get(
            ("vsfq_" + name, tuple(sorted(labels.items()))))
        t.equal(have, want, "%s of %r" % (name, labels))
    t.equal(sorted({f for f in found for _, labels in found[f].samples
                    if ("device", "vsock1") in labels}),
            ["vsfq_device_attached", "vsfq_device_info", "vsfq_device_up"],
            "what is said of a device that is not attached")


def test_metrics_histogram(t):
    """A bucket that is none of ours counts in the next larger one."""
    name = "vsfq_queue_time_seconds"
    samples = metrics_of(t, DEVICES)[name].samples
    have = {dict(labels).get("le", part[len(name):]): n
            for (part, labels), n in samples.items()}
    want = {"0.%06d" % 2 ** i if i < 20 else "%.6f" % (2 ** i / 1e6): i + 1
            for i in range(4, 26, 2)}
    t.equal(have, {**want, "+Inf": 32, "_sum": 12.000345, "_count": 32},
            "the histogram")


def test_metrics_bounded(t):
    """Whoever opens ports adds no time series."""
    one = metrics_of(t, DEVICES)
    more = metrics_of(t, [{**DEVICES[0], "flows": [{"local_port": n}
                                                   for n in range(100)]},
                          DEVICES[1]])
    t.equal({n: f.samples for n, f in more.items()},
            {n: f.samples for n, f in one.items()}, "the samples")


def test_metrics_file(t):
    """One file that all may read, made anew, and nothing beside it."""
    with tempfile.TemporaryDirectory() as top:
        for _ in range(2):
            t.equal(t.machine("umask 77; %s metrics -t %s" % (VSFQ, top)),
                    (DONE, ""), "status and output")
            t.equal(os.listdir(top), ["vsfq.prom"], "files")
        path = top + "/vsfq.prom"
        t.equal(os.stat(path).st_mode & 0o777, 0o644, "mode")
        with open(path) as f:
            t.equal(f.read(), t.machine(VSFQ + " metrics")[1], "content")
        os.remove(path)
        os.mkdir(path)
        complains(t, VSFQ, "metrics -t " + top, FAILED, path, "directory")
        t.equal(os.listdir(top), ["vsfq.prom"], "files after a failure")
    complains(t, VSFQ, "metrics -t " + top, FAILED, path, "No such file")
    t.equal(t.machine(VSFQ + " metrics > /dev/full"),
            (FAILED, 'vsfq: cannot write "standard output": '
             "No space left on device\n"), "on a full device")


POLICY = """\
default-in = reject
default-out = accept
class stream { weight = 1  limit = 1000  memory = 4194304 }
class dgram { weight = 3  limit = 10  memory = 65536 }
class bulk { weight = 1000  limit = 65535  memory = 1073741824 }
rule { direction = in  local-port = {22}  class = bulk }
rule { type = {stream, dgram}  local-cid = 3-9  local-port = {0, 5-7}  \
remote-cid = 2  remote-port = {4294967295}  device = vhost-vsock3  \
verdict = accept }
rule { direction = out  cgroup = "/a b/c"  verdict = drop }
rule { direction = out  cgroup = "/"  log = yes  class = stream }
rule { direction = in  type = {dgram}  verdict = drop }
rule { type = {stream, seqpacket, dgram}  local-port = {any}  class = dgram }
"""


# On any machine: not every one has cgroups of version 2.
ANYWHERE = re.sub(".*cgroup.*\n", "", POLICY)


def policy(t, text, options=""):
    """Check a file of this text; return status, output and the file's name."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write(text)
        f.flush()
        return *t.machine("%s %s check %s" % (VSFQ, options, f.name)), f.name


def wrong(t, text, where, *words):
    """The one line of error names the file, this place and all words."""
    status, output, name = policy(t, text)
    t.equal(status, FAILED, "status for %r" % text)
    t.check(output.startswith("vsfq: %s:%s " % (name, where)) and
            output.count("\n") == 1, "%r: not at %s: %s" %
            (text, where, output))
    for word in words:
        t.check(word in output, "%r: not a word of %s: %s" %
                (text, word, output))


def test_policy_round_trip(t):
    """What is printed is the file's own syntax, and complete."""
    t.equal(policy(t, POLICY, "-s")[:2], (DONE, POLICY), "the policy")
    t.equal(policy(t, POLICY)[:2], (DONE, ""), "the quiet form")


def test_policy_short_forms(t):
    status, output, _ = policy(t, """
        // as little as possible
        class a { memory = 4M }   /* and
        the defaults */
        rule { remote-cid = host remote-port = any verdict = accept }
        rule { local-port = 1 local-port += 3 type = stream class = a }""",
                               "-s")
    t.equal(status, DONE, "status")
    for line in ("default-in = accept", "default-out = accept",
                 "class a { weight = 1  limit = 1000  memory = 4194304 }",
                 "rule { remote-cid = 2  remote-port = {any}  "
                 "verdict = accept }",
                 "rule { type = {stream}  local-port = {1, 3}  class = a }"):
        t.check(line in output.splitlines(), "no %r in\n%s" % (line, output))


def test_policy_wrong_values(t):
    """File, line, column, the offending word, the reason."""
    for line, column, word, reason in (
            ("frob = 1", 1, "frob", "no such option"),
            ("default-in = drop", 14, "drop", "say reject"),
            ("default-out = reject", 15, "reject", "say drop"),
            ("class a { weight = 0 }", 20, "0", "between 1 and 1000"),
            ("class a { weight = 1001 }", 20, "1001", "between 1 and 1000"),
            ("class a { weight = -1 }", 20, "-1", "not a number"),
            ("class a { weight = 18446744073709551616 }", 20,
             "18446744073709551616", "too large"),
            ("class a { limit = 65536 }", 19, "65536", "65535"),
            ("class a { memory = 1G }", 20, "1G", "K or M"),
            ("class a { memory = 63K }", 20, "63K", "between 65536"),
            ("class sixteen-letters. { }", 7, "sixteen-letters.",
             "15 characters"),
            ("class a { rate = 5 }", 11, "rate", "no such option"),
            ("rule { direction = both }", 20, "both", "in or out"),
            ("rule { type = raw }", 15, "raw", "stream, seqpacket or dgram"),
            ("rule { type = {stream, raw} }", 24, "raw", "must be"),
            ("rule { class = nosuch }", 16, "nosuch", "described above"),
            ("rule { verdict = permit }", 18, "permit",
             "accept, reject or drop"),
            ("rule { local-port = 22-10 }", 21, "22-10", "before its"),
            ("rule { local-port = {1-10, 5-20} }", 28, "5-20", "overlaps"),
            ("rule { remote-port = {5, 5-6} }", 26, "5-6", "overlaps"),
            ("rule { local-port = {1, 2, 3, 4, 5} }", 34, "5", "four"),
            ("rule { local-port = 4294967296 }", 21, "4294967296", "32 bits"),
            ("rule { local-port = http }", 21, "http", "neither a number"),
            ("rule { local-port = 1- }", 21, "1-", "neither a number"),
            ("rule { remote-cid = me }", 21, "me", "neither a number"),
            ("rule { remote-cid = local }", 21, "local", "loopback"),
            ("rule { local-port = {} verdict = accept }", 8, "local-port",
             "empty list"),
            ("rule { log = maybe }", 14, "maybe", "no or yes"),
            ("rule { device = a/b }", 17, "a/b", "not a name"),
            ("rule { cgroup = user.slice }", 17, "user.slice", "begins with"),
            ("rule { cgroup = /a/../b }", 17, "/a/../b", "plain path"),
            ("rule { }", 1, "rule", "neither a verdict nor a class"),
            ("rule { class = stream verdict = accept }", 1, "rule", "both"),
            ("rule { verdict = reject }", 18, "reject", "say drop"),
            ("rule { direction = out verdict = reject }", 34, "reject",
             "say drop"),
            ("rule { direction = in verdict = drop }", 33, "drop",
             "say reject"),
            ("rule { direction = in cgroup = /a class = dgram }", 32, "/a",
             "direction = out"),
            ("rule = 1", 1, "rule", "missing opening brace"),
            ("include(nosuch.conf)", 9, "nosuch.conf", "No such file")):
        wrong(t, "# one line above\n%s\n" % line, "2:%d:" % column,
              '"%s"' % word, reason)


def test_policy_said_twice(t):
    for text, where, word in (
            ("default-in = accept\ndefault-in = accept", "2:1:",
             "default-in"),
            ("class a { }\nclass a { }", "2:7:", "a"),
            ("class a { limit = 1\nlimit = 2 }", "2:1:", "limit"),
            ("rule { verdict = accept\nverdict = accept }", "2:1:",
             "verdict"),
            ("rule { local-port = 1\nlocal-port = {2, 3} }", "2:1:",
             "local-port"),
            # Twice in a line: which of them it was libconfuse does not tell.
            ("rule { type = {dgram, dgram} }", "1:", "dgram")):
        wrong(t, text, where, '"%s"' % word, "twice" if word != "a" else
              "duplicate")


def test_policy_cut_off(t):
    """Half a file is not a shorter policy."""
    for end in range(1, len(POLICY) - 1):
        text = POLICY[:end]
        if text.count("{") != text.count("}"):
            status, output, _ = policy(t, text)
            t.equal((status, output.count("\n")), (FAILED, 1),
                    "status and lines for %r" % text[-40:])
    wrong(t, POLICY + "\n/* comment\n", "%d:" % (POLICY.count("\n") + 2),
          "a comment that is not closed")
    wrong(t, "# it's fine\nrule { device = 'x\n", "2:", "a quote that is not")


def test_policy_no_variables(t):
    """A policy is the same whoever applies it."""
    for value in "${HOME}", '"${HOME}"', "'$HOME'":
        wrong(t, "# $HOME\nrule { cgroup = %s }" % value, "2:",
              "there are no variables")
    t.equal(policy(t, "class a { } # costs $5\n")[:2], (DONE, ""), "comment")


def test_policy_too_much(t):
    rule = "rule { verdict = accept }\n"
    t.equal(policy(t, 1024 * rule)[0], DONE, "status for 1024 rules")
    wrong(t, 1025 * rule, "1025:1:", '"rule"', "1024 is the limit")
    classes = ["class c%d { }\n" % n for n in range(15)]
    t.equal(policy(t, "".join(classes[:14]))[0], DONE, "status of 16 classes")
    wrong(t, "".join(classes), "15:7:", '"c14"', "16 is the limit")
    groups = ["rule { direction = out cgroup = /%d verdict = drop }\n" % n
              for n in range(65)]
    t.equal(policy(t, "".join(groups[:64]))[0], DONE, "status of 64 cgroups")
    wrong(t, "".join(groups), "65:33:", '"/64"', "64 is the limit")


def test_policy_files(t):
    with tempfile.TemporaryDirectory() as top:
        os.mkdir(top + "/sub")
        for name, text in {"empty": "", "comment": "# nothing else\n",
                           "main": 'class a { }\ninclude("sub/more")\n'
                                   "rule { class = b }\n",
                           "sub/more": 'include("most")\n',
                           "sub/most": "class b { }\n",
                           "round": "include(round)\n",
                           "bad": 'include("sub/bad")\n',
                           "sub/bad": "\nrule { type = raw }\n"}.items():
            with open("%s/%s" % (top, name), "w") as f:
                f.write(text)
        t.equal(t.machine("%s check %s/main" % (VSFQ, top)), (DONE, ""),
                "includes, from where the file is")
        for name, reason in {
                "empty": "empty: says nothing",
                "comment": "comment: says nothing",
                "sub": "sub: Is a directory",
                "nosuch": "nosuch: No such file",
                "bad": 'sub/bad:2:15: "raw" must be',
                "round": "round:1: includes nested too deeply"}.items():
            complains(t, VSFQ, "check %s/%s" % (top, name), FAILED,
                      "vsfq: %s/%s" % (top, reason))
        complains(t, VSFQ, "check /dev/zero", FAILED, "too large")
        status, output = t.machine("%s -j check %s/sub" % (VSFQ, top))
        t.equal((status, json.loads(output)["error"]),
                (FAILED, "%s/sub: Is a directory" % top), "as JSON")


def test_policy_no_permission(t):
    """Who is not allowed to read it is told so."""
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(POLICY)
        f.flush()
        os.chmod(f.name, 0)
        drop = "setpriv --reuid 65534 --clear-groups " \
            if os.geteuid() == 0 else ""
        status, output = t.machine("%s $PWD/%s check %s" %
                                   (drop, VSFQ, f.name))
        t.equal((status, output), (FAILED, "vsfq: %s: Permission denied\n" %
                                   f.name), "status and output")


def test_policy_nothing_in_force(t):
    """A machine without a BPF file system, or on which nothing was applied."""
    if os.path.exists("/sys/fs/bpf/vsfq"):
        t.skip("something is attached on this machine")
    t.equal(t.machine(VSFQ + " policy show"),
            (DONE, "# no policy is in force\n"), "what is shown")
    t.equal(json.loads(t.machine(VSFQ + " -j policy show")[1]),
            {"policy": None}, "as JSON")
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(POLICY.replace("/a b/c", "/no such cgroup"))
        f.flush()
        complains(t, VSFQ, "apply " + f.name, FAILED, f.name,
                  'no cgroup "/no such cgroup"')


def test_policy_match(t):
    """From the text of a policy to the verdict of the BPF code."""
    if t.machine("build/test_match --load")[0]:
        t.skip("this machine does not let us load BPF programs")
    status, output = t.machine("build/test_match")
    t.check(status == 0, output)


def test_policy_fuzz(t):
    """A million texts, on the way from the manual's example to nonsense."""
    status, output = t.machine("make -s fuzz")
    t.check(status == 0, output[-4000:])


class Policies:
    """Puts policies in force on this machine, where nothing is attached and
    nobody else sees it: in a BPF file system of its own."""

    def __init__(self, t, top):
        self.t, self.top = t, top

    def write(self, name, text):
        with open("%s/%s" % (self.top, name), "w") as f:
            f.write(text)

    def run(self, *commands, namespaces="-m"):
        """Run shell commands in the directory; return what they say."""
        self.write("script", """
            mount -t bpf bpf /sys/fs/bpf || exit 77
            here=$PWD
            vsfq() { $here/%s "$@"; }
            map_in_force() {
                cd /sys/fs/bpf/vsfq/@policy
                %s map lookup pinned policy key 0 0 0 0
                cd - > /dev/null
            }
            cd %s
            %s""" % (VSFQ, self.t.tool("bpftool"), self.top,
                     "\n".join(commands)))
        status, output = self.t.machine("unshare %s sh %s/script" %
                                        (namespaces, self.top))
        if status == 77 or "unshare failed" in output:
            self.t.skip("this machine lets us mount no BPF file system")
        return output


def test_policy_apply(t):
    """What is shown can be applied, which changes nothing; nor do a dry run
    and what fails. A class keeps its number."""
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        p.write("one", ANYWHERE)
        if "CAP_BPF" in p.run("vsfq apply one"):
            t.skip("this machine does not let us make BPF maps")
        output = p.run("vsfq apply one", "vsfq policy show")
        t.equal(output, ANYWHERE, "the policy")
        output = p.run(
            "vsfq apply one && map_in_force",
            "vsfq policy show > shown && vsfq apply -n shown",
            "vsfq apply shown && map_in_force",
            "sed s/65535/65534/ one > two",
            "vsfq -n apply two | grep -c 65534 && map_in_force",
            "echo rubbish > bad; vsfq apply bad; map_in_force",
            "vsfq apply two && map_in_force")
        found = re.findall(r"inner_map_id: (\d+)", output)
        t.equal(len(found), 5, "maps in " + output)
        t.equal(len(set(found[:4])), 1, "maps of one policy: %s" % output)
        t.check(found[4] != found[3], "the map did not change: " + output)
        t.check("-" not in output.replace("-port", ""), "a change: " + output)
        p.write("three", "class new { }\nclass bulk { }\n"
                "rule { local-port = 1 class = new }\n")
        output = p.run("vsfq apply one; vsfq apply three",
                       "vsfq policy show")
        t.check(re.search("^class bulk.*\nclass new.*\nrule .*class = new }$",
                          output, re.M), output)


def test_policy_clear(t):
    """Nothing is left, and to clear nothing is no error."""
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        p.write("one", ANYWHERE)
        output = p.run("vsfq policy clear", "vsfq apply one",
                       "vsfq policy clear && vsfq policy clear",
                       "vsfq policy show && ls /sys/fs/bpf | grep -c vs")
        t.equal(output, "# no policy is in force\n0\n", "output")


def test_not_allowed_to_read(t):
    """Who may not see the pins is told so, not that nothing is attached."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        p = Policies(t, top)
        p.write("one", ANYWHERE)
        if "CAP_BPF" in p.run("vsfq apply one"):
            t.skip("this machine does not let us make BPF maps")
        output = p.run("vsfq apply one", "setpriv --reuid 65534 "
                       "--clear-groups $here/%s metrics" % VSFQ)
        t.equal(output, "vsfq: cannot read the devices: needs CAP_BPF, "
                "CAP_PERFMON and CAP_NET_ADMIN (try: root)\n", "output")


def test_doctor_forms(t):
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
        fixed = f["fix"] is not None or "(try: " in f["finding"]
        t.check(fixed == (f["level"] != "ok"), "%r" % f)


def test_doctor_kernel(t):
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


def test_doctor_unprivileged(t):
    """It works, and names each capability that is missing."""
    drop = "setpriv --reuid 65534 --clear-groups --inh-caps=-all " \
        if os.geteuid() == 0 else ""
    status, output = t.machine("%s $PWD/%s doctor" % (drop, VSFQ))
    t.equal(status, FAILED, "status")
    for name in "CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN":
        finds(t, output, "problem", "machine", "no " + name, "(try: root)")


def test_doctor_user_namespace(t):
    """All capabilities of a container are none."""
    if t.machine("unshare -rm mount -t tmpfs none /mnt")[0]:
        t.skip("this machine lets us make no user namespace")
    finds(t, t.machine("unshare -r %s doctor" % VSFQ)[1], "problem",
          "machine", "has all capabilities but", "outside")


def test_doctor_policy(t):
    """In force or not, and whether the file says the same."""
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        p.write("one", ANYWHERE)
        if "CAP_BPF" in p.run("vsfq apply one"):
            t.skip("this machine does not let us make BPF maps")
        about = "policy"
        etc = "mount -t tmpfs none /etc; mkdir /etc/vsfq"
        conf = "/etc/vsfq/vsfq.conf"
        output = p.run("umount /sys/fs/bpf; vsfq doctor")
        finds(t, output, "problem", "machine", "no BPF file system", "mount")
        output = p.run(etc, "vsfq doctor")
        finds(t, output, "ok", "machine", "a BPF file system")
        finds(t, output, "ok", about, "none is in force")
        output = p.run(etc, "cp one " + conf, "vsfq doctor")
        finds(t, output, "warning", about, conf, "(try: vsfq apply)")
        output = p.run(etc, "cp one " + conf, "vsfq apply", "vsfq doctor")
        finds(t, output, "ok", about, "%d rules" % ANYWHERE.count("\nrule"))
        t.check(("warning", about) not in findings(output), output)
        p.write("two", ANYWHERE.replace("65535", "65534"))
        output = p.run(etc, "cp one " + conf, "vsfq apply two", "vsfq doctor")
        finds(t, output, "warning", about, conf, "(try: vsfq apply)")
        output = p.run(etc, "echo rubbish > " + conf, "vsfq doctor")
        finds(t, output, "problem", about, conf + ":1:", "vsfq check")
        output = p.run(etc, "echo 'rule { direction = out cgroup = /no "
                       "verdict = drop }' > " + conf, "vsfq doctor")
        finds(t, output, "problem", about, '"/no"')


def test_doctor_device(t):
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
                      ("clsact", "tc filter"),
                      ("systemd-networkd", "Unmanaged=yes"),
                      ("NetworkManager", "nmcli device set vsock0")):
            finds(t, output, "warning", "vsock0", *words)
        output = p.run(
            fake, run % state, number,
            "echo ADMIN_STATE=unmanaged > /run/%s/$i" % state[0],
            "echo managed=false > /run/%s/$i" % state[1],
            "vsfq doctor", namespaces="-mn")
        t.check("anage" not in output, output)


def test_doctor_other_programs(t):
    """Somebody's program on the hook that vsfq uses."""
    if not os.access("/dev/net/tun", os.W_OK):
        t.skip("this machine has no tun")
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        tool = t.tool("bpftool")
        output = p.run(
            "$here/tests/sight/fake.py vsock0 || exit 77",
            "%s prog loadall $here/build/classify.bpf.o /sys/fs/bpf/c "
            "|| echo CAP_BPF" % tool,
            "%s net attach tcx_ingress pinned /sys/fs/bpf/c/vsfq_ingress "
            "dev vsock0" % tool, "vsfq doctor", namespaces="-mn")
        if "CAP_BPF" in output:
            t.skip("this machine does not let us load BPF programs")
        finds(t, output, "warning", "vsock0", "tcx ingress", "bpftool net")
        t.check("tcx egress" not in output, output)


LOGGED = """\
rule { type = stream  verdict = accept }
rule { direction = out  type = seqpacket  log = yes  verdict = drop }
rule { direction = out  local-port = 1025  log = yes  verdict = drop }
rule { log = yes  class = dgram }
"""


class Logged(Policies):
    """A device that any kernel has, with our classifier attached by hand,
    which is why it does not know the name of the device."""

    def __init__(self, t, top):
        super().__init__(t, top)
        if not os.access("/dev/net/tun", os.W_OK):
            t.skip("this machine has no tun")
        self.write("policy", LOGGED)

    def listen(self, options, *commands):
        """Return what the monitor said until the commands were done."""
        tool, pins = self.t.tool("bpftool"), "/sys/fs/bpf/vsfq"
        output = self.run(
            "vsfq apply policy || exit",
            "$here/tests/sight/fake.py vsock0 && ip link set vsock0 up || "
            "exit 77",
            "$here/%s -v %s monitor > said 2> notes &" % (VSFQ, options),
            "pid=$!",
            "until grep -q listening notes; do sleep 0.1; done",
            "%s prog loadall $here/build/classify.bpf.o /sys/fs/bpf/c "
            "pinmaps /sys/fs/bpf/c map name policy pinned %s/@policy/policy "
            "map name events pinned %s/@events/events" % (tool, pins, pins),
            "%s net attach tcx_egress pinned /sys/fs/bpf/c/vsfq_egress dev "
            "vsock0 && mkdir %s/vsock0" % (tool, pins),
            *commands,
            "sleep 0.5; kill $pid; wait $pid; echo status $?; cat said",
            namespaces="-mn")
        if "CAP_BPF" in output:
            self.t.skip("this machine does not let us load BPF programs")
        return output


def test_monitor_events(t):
    """Which rule matched what, once for each request, once for a pair of
    sockets that exchange datagrams; of no rule that does not ask for it."""
    with tempfile.TemporaryDirectory() as top:
        send = "$here/tests/sight/send.py vsock0 "
        output = Logged(t, top).listen(
            "-j", send + "stream 1", send + "data 2", send + "seqpacket 1",
            send + "dgram 2", send + "dgram 2", send + "seqpacket 1",
            "timeout 5 $here/%s -j monitor; ls /sys/fs/bpf/vsfq" % VSFQ)
    lines = output.splitlines()
    t.check("another vsfq monitor is running" in json.loads(lines[0])["error"],
            output)
    t.equal(lines[1:5], ["@events", "@policy", "vsock0", "status 0"], "then")
    events = [json.loads(line) for line in lines[5:]]
    for e in events:
        t.check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
                             e.pop("time")), "%r" % e)
    common = {"device": "", "direction": "out", "local_cid": 3,
              "peer_cid": 2, "peer_port": 5000}
    t.equal(events, [{**common, "type": kind, "local_port": port,
                      "verdict": verdict, "rule": rule}
                     for kind, port, verdict, rule in (
                         ("seqpacket", 1024, "drop", 2),
                         ("dgram", 1024, "accept", 4),
                         ("dgram", 1025, "drop", 3),
                         ("seqpacket", 1024, "drop", 2))], "events")


def test_monitor_text(t):
    """The same in a line, and what came before is not shown."""
    with tempfile.TemporaryDirectory() as top:
        send = "$here/tests/sight/send.py vsock0 "
        output = Logged(t, top).listen(
            "", "kill $pid; wait $pid; " + send + "seqpacket 1",
            "$here/%s -v monitor > said 2> notes & pid=$!" % VSFQ,
            "until grep -q listening notes; do sleep 0.1; done",
            send + "dgram 1")
    t.check(re.fullmatch(r"status 0\n\S+Z  out dgram accept local 3:1024"
                         r" peer 2:5000 rule 4\n", output), output)


def test_monitor_alone(t):
    """With nothing attached it waits, and leaves nothing behind."""
    with tempfile.TemporaryDirectory() as top:
        output = Policies(t, top).run(
            "timeout -s INT 2 $here/%s -v monitor; echo $?" % VSFQ,
            "ls /sys/fs/bpf | grep -c vsfq")
    if "CAP_BPF" in output:
        t.skip("this machine does not let us make BPF maps")
    t.equal(output, "vsfq: listening\n124\n0\n", "output")


def test_monitor_limit(t):
    """A guest that tries port after port is told of a hundred times a second,
    and the rest is counted."""
    with tempfile.TemporaryDirectory() as top:
        output = Logged(t, top).listen(
            "-j", "$here/tests/sight/send.py vsock0 seqpacket 3000",
            "%s -j map dump pinned /sys/fs/bpf/c/device" %
            t.tool("bpftool"))
    counted, _, said = output.partition("status 0\n")
    unlogged = int(re.search(r'"unlogged": *(\d+)', counted).group(1))
    events = len(said.splitlines())
    t.equal(events + unlogged, 3000, "events, told and counted")
    # One second at the least, more if the machine is slow.
    t.check(100 <= events <= 1000 and events % 100 == 0, "%d events" % events)


def test_policy_example(t):
    """The one in the manual, of ten lines."""
    with open("docs/vsfq.conf.5.scd") as f:
        example = re.search(r"^# EXAMPLE\n.*?^```\n(.*?)^```", f.read(),
                            re.M | re.S).group(1)
    t.equal(len(example.splitlines()), 10, "lines")
    t.equal(policy(t, example)[:2], (DONE, ""), "status and output")


def test_vsload_usage(t):
    for arguments, word in {
            "client": "--streams",
            "client --streams x": '"x"',
            "client --streams -1": '"-1"',
            "client --streams 1.5": '"1.5"',
            "client --streams 1 more": '"more"',
            "client --type dgram": '"dgram"',
            "client --dgram-size 1": '"1"',
            "client --prio flood=1": '"flood=1"',
            "client --ping 1 --duration 1": "--warmup",
            "client --ping 1 --interval 20": "--interval",
            "client --ping 1 --flood-stop 11": "--flood-stop",
            "client --ping 1 --flood-start 10": "--flood-start",
            "client --frobnicate": "--frobnicate",
            "client --cid": "--cid",
            "server --port 0": '"0"',
            "server --streams 1": "--streams"}.items():
        complains(t, VSLOAD, arguments, USAGE, word)


def test_vsload_help(t):
    """On standard error, with a status, when not asked for."""
    status, output = t.machine(VSLOAD + " help")
    t.equal(status, DONE, "exit status")
    t.equal(t.machine(VSLOAD + " --help"), (DONE, output), "--help")
    for arguments in "", " frobnicate":
        t.equal(t.machine(VSLOAD + arguments + " 2>/dev/null"), (USAGE, ""),
                "vsload" + arguments)
