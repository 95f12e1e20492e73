# SPDX-License-Identifier: GPL-2.0-only
"""Policy files: what is right, what is wrong and where, what is in force."""

import json
import os
import re
import tempfile

from policies import ALONE, ANYWHERE, POLICY, Policies, with_one
from program import DONE, FAILED, VSFQ, complains


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


def test_round_trip(t):
    """What is printed is the file's own syntax, and complete."""
    t.equal(policy(t, POLICY, "-s")[:2], (DONE, POLICY), "the policy")
    t.equal(policy(t, POLICY)[:2], (DONE, ""), "the quiet form")


def test_short_forms(t):
    status, output, _ = policy(t, """
        // as little as possible
        class a { memory = 4M }   /* and
        the defaults */
        rule { remote-cid = host remote-port = any local-port = 0-4294967295
               verdict = accept }
        rule { local-port = 1 local-port += 3 type = stream class = a }""",
                               "-s")
    t.equal(status, DONE, "status")
    for line in ("default-in = accept", "default-out = accept",
                 "class a { weight = 1  limit = 1000  memory = 4194304 }",
                 "rule { remote-cid = 2  verdict = accept }",
                 "rule { type = {stream}  local-port = {1, 3}  class = a }"):
        t.check(line in output.splitlines(), "no %r in\n%s" % (line, output))


def test_rates(t):
    """As tc reads them; without a burst it is what 20 ms of them carry."""
    for rate, burst, bytes_, want in (
            ("8", "", 1, 65580), ("15bit", "", 1, 65580),
            ("8kbit", "", 1000, 65580), ("8Kibit", "", 1024, 65580),
            ("32mbit", "", 4000000, 80000), ("4mbps", "", 4000000, 80000),
            ("4MiBps", "", 4 << 20, (4 << 20) // 50),
            ("8tbit", "", 10 ** 12, 1 << 30),
            ("1gbit", "65580", 125000000, 65580),
            ("1gbps", "1024M", 10 ** 9, 1 << 30)):
        text = "class a { rate = %s %s }" % (rate, burst and
                                             "burst = " + burst)
        status, output, _ = policy(t, text, "-s")
        t.equal(status, DONE, "status for " + text)
        t.check("  rate = %dbps  burst = %d }\n" % (bytes_, want) in output,
                "%s: %s" % (text, output))
        t.equal(policy(t, output, "-s")[1], output, "what is printed, read")


def test_wrong_values(t):
    """File, line, column, the offending word, the reason."""
    for line, column, word, reason in (
            ("frob = 1", 1, "frob", "no such option"),
            ("default-in = drop", 14, "drop", "say reject"),
            ("default-in = foo", 14, "foo", "must be accept or reject\n"),
            ("default-out = foo", 15, "foo", "accept, reject or drop\n"),
            ("class a { weight = 0 }", 20, "0", "between 1 and 1000"),
            ("class a { weight = 1001 }", 20, "1001", "between 1 and 1000"),
            ("class a { weight = -1 }", 20, "-1", "a number between 1 and 1000"),
            ('class a { weight = "" }', 21, "", "a number between 1 and"),
            ("class a { weight = 18446744073709551616 }", 20,
             "18446744073709551616", "between 1 and 1000"),
            ("class a { limit = 65536 }", 19, "65536", "65535"),
            ("class a { memory = 1G }", 20, "1G", "K or M"),
            ("class a { memory = 63K }", 20, "63K", "between 65536"),
            ("class sixteen-letters. { }", 7, "sixteen-letters.",
             "15 characters"),
            ("class a { ceil = 5 }", 11, "ceil", "no such option"),
            ("class a { rate = 0 }", 18, "0", "between 8bit and 8tbit"),
            ("class a { rate = 7bit }", 18, "7bit", "between 8bit"),
            ("class a { rate = 18446744073709551616 }", 18,
             "18446744073709551616", "too large"),
            ("class a { rate = 18446744073709551615tbps }", 18,
             "18446744073709551615tbps", "between 8bit and 8tbit"),
            ("class a { rate = 8000000000008 }", 18, "8000000000008", "8tbit"),
            ("class a { rate = -5mbit }", 18, "-5mbit", "not a rate"),
            ("class a { rate = 5mb }", 18, "5mb", "not a rate: a number"),
            ("class a { rate = 1mbit burst = 65579 }", 32, "65579",
             "between 65580 and"),
            ("class a { rate = 1mbit burst = 1025M }", 32, "1025M",
             "between 65580 and"),
            ("class a { burst = 128K }", 19, "128K", "without a rate"),
            ("class a { packet-rate = 0 }", 25, "0", "between 1 and"),
            ("class a { packet-rate = 1000000001 }", 25, "1000000001",
             "between 1 and 1000000000"),
            ("class a { connections = 16385 }", 25, "16385", "and 16384"),
            ("class a { connection-rate = 5/s }", 29, "5/s", "a number"),
            ("class a { connection-rate = 1000001 }", 29, "1000001",
             "and 1000000"),
            ("class a { group-rate = 7bit }", 24, "7bit", "between 8bit"),
            ("class a { group-burst = 128K rate = 1mbit }", 25, "128K",
             "without a rate"),
            ("class a { group-memory = 1K }", 26, "1K", "between 65536"),
            ("class a { group-connections = 0 }", 31, "0", "between 1 and"),
            ("class a { priority = 8 rate = 1mbit }", 22, "8",
             "between 1 and 7"),
            ("class a { priority = 3 }", 22, "3", "without a rate"),
            ("class a { priority = 3 group-rate = 1mbit }", 22, "3",
             "without a rate"),
            ("class a { isolate = gid }", 21, "gid",
             "cgroup, uid, cid or none"),
            ("device a { weight = 1 }", 12, "weight", "no such option"),
            ("device a { burst = 128K }", 20, "128K", "without a rate"),
            ("device a { in-burst = 128K }", 23, "128K", "without a rate"),
            ("device a { in-rate = 65579bps }", 22, "65579bps",
             "65580bps is the least"),
            ("device a { in-packet-rate = 0 }", 29, "0", "between 1 and"),
            ("device a { in-memory = 1M }", 12, "in-memory",
             "no such option"),
            ("class a { in-rate = 1gbit }", 11, "in-rate", "no such option"),
            ('device "a*b" { }', 9, "a*b", "not a name"),
            ('device "sixteen-letters.*" { }', 9, "sixteen-letters.*",
             "15 characters"),
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
            ("rule { cgroup = /a/.. }", 17, "/a/..", "plain path"),
            ("rule { cgroup = /a/. }", 17, "/a/.", "plain path"),
            ("rule { cgroup = /.. }", 17, "/..", "plain path"),
            ("rule { cgroup = '/a//b' }", 18, "/a//b", "plain path"),
            ("rule { cgroup = /a/ }", 17, "/a/", "plain path"),
            ("rule { cgroup = /sys/fs/cgroup }", 17, "/sys/fs/cgroup",
             "left out"),
            ("rule { cgroup = /sys/fs/cgroup/a }", 17, "/sys/fs/cgroup/a",
             "left out"),
            ("class a { rate = 10mbit; }", 18, "10mbit;", "ends in a ;"),
            ("class a { weight = 1 ; }", 22, ";", "no ; follows a value"),
            ("class a { weight = 1, limit = 2 }", 21, ",", "in braces alone"),
            ("rule { local-port = 22,23 }", 23, ",", "in braces alone"),
            ("rule { local-port = {22,} }", 24, ",", "no value behind it"),
            ("rule { remote-cid = {3, 4} }", 21, "{", "takes one value"),
            ("class a { weight += 3 }", 11, "weight", "takes one value"),
            ("class a { rate = 10 mbit }", 21, "mbit",
             'without a space it would belong to "10"'),
            ("rule { local-port = 22 - 30 }", 24, "-",
             'without a space it would belong to "22"'),
            ("class a { weight = 10 frob = 1 }", 23, "frob",
             "no such option\n"),
            ("class a { weight = }", 20, "}", "a value is missing"),
            ("class a { } }", 13, "}", "closes nothing"),
            ("rule { }", 1, "rule", "neither a verdict nor a class"),
            ("rule { class = stream verdict = accept }", 1, "rule", "both"),
            ("rule { direction = in verdict = drop }", 33, "drop",
             "say reject"),
            ("rule { direction = in cgroup = /a class = dgram }", 32, "/a",
             "direction = out"),
            ("rule = 1", 1, "rule", "missing opening brace"),
            ("include(nosuch.conf)", 9, "nosuch.conf", "No such file")):
        wrong(t, "# one line above\n%s\n" % line, "2:%d:" % column,
              '"%s"' % word, reason)


def test_long_words(t):
    """They are named to their end, which often is what is wrong with them."""
    for length in 63, 64, 150, 239, 4095:
        word = (length * "/long")[:length]
        for text, column, reason in (
                ("rule { direction = in cgroup = '%s' class = dgram }", 33,
                 "needs direction" if length <= 239 else "is a path of more"),
                ("class %s { }", 7, "is not a name"),
                ("include(%s)", 9, "No such file"),
                ("rule { cgroup = '%s\n", 17, "has a quote that is not"),
                ("%s = 1", 1, "no such option\n")):
            wrong(t, text % word, "1:%d:" % column, '"%s" %s' % (word, reason))
            t.equal(json.loads(policy(t, text % word, "-j")[1])["word"], word,
                    "the word as JSON")


def test_said_twice(t):
    for text, where, word in (
            ("default-in = accept\ndefault-in = accept", "2:1:",
             "default-in"),
            ("class a { }\nclass a { }", "2:7:", "a"),
            ("class b { weight = 2 }\n\nclass a { }\ndevice a { }\n"
             "class a { weight = 1 }", "5:7:", "a"),
            ("class a { limit = 1\nlimit = 2 }", "2:1:", "limit"),
            ("rule { verdict = accept\nverdict = accept }", "2:1:",
             "verdict"),
            ("rule { local-port = 1\nlocal-port = {2, 3} }", "2:1:",
             "local-port"),
            ("rule { type = {dgram, dgram} }", "1:23:", "dgram")):
        wrong(t, text, where, '"%s"' % word, "twice")
        if word == "a":
            t.check("twice, first in line %d\n" % (
                text[:text.index("class a")].count("\n") + 1)
                in policy(t, text)[1], "not where it is first: " + text)


def test_cut_off(t):
    """Half a file is not a shorter policy."""
    for end in range(1, len(POLICY) - 1):
        text = POLICY[:end]
        if text.count("{") != text.count("}"):
            status, output, _ = policy(t, text)
            t.equal((status, output.count("\n")), (FAILED, 1),
                    "status and lines for %r" % text[-40:])
    wrong(t, POLICY + "\n /* comment\n",
          "%d:2:" % (POLICY.count("\n") + 2), '"/*" begins a comment that')
    wrong(t, "# it's fine\nrule { device = 'x y\n", "2:17:",
          '"x y" has a quote that is not')
    wrong(t, "rule {\n  type = dgram\n\n", "2:10:", "ends in the middle")
    wrong(t, "class a { }\nrule\0{ }", "2:5:", "it is no text")


def test_where(t):
    """The column is that of the word that is wrong, also where the same one
    stands before or behind it, in the line or in another."""
    for text, where, word in (
            ("class a { limit = 0 weight = 0 }", "1:19:", "0"),
            ("class a { weight = 1 limit = 0 weight = 0 }", "1:30:", "0"),
            ("class 0 { } class a { weight = '0' }", "1:33:", "0"),
            ("class a { } class b { } class a { }", "1:31:", "a"),
            ("rule { log = log log = no }", "1:14:", "log"),
            ("rule { class = dgram class = class }", "1:22:", "class"),
            ("rule { local-port = {1, 2, 1} }", "1:28:", "1"),
            ("rule { device = verdict\tlocal-port = {} device = 2 }", "1:41:",
             "device"),
            ("rule { device = log local-port += {} class = log log = no }",
             "1:46:", "log"),
            ("rule { local-port = {} device = local-port }", "1:8:",
             "local-port"),
            ("class rule { }\nrule { verdict = accept }\n /* x */ rule {\n"
             "  cgroup = '/}' class = rule\n  verdict = accept\n}", "3:10:",
             "rule"),
            ("rule { direction = in verdict = accept }\n"
             "rule { direction = in\nverdict = drop\n}", "3:11:", "drop"),
            ("class a { group-burst = 1M burst = 1M rate = 1mbit }", "1:25:",
             "1M"),
            ("class burst { burst = 1M }", "1:23:", "1M"),
            ("class sixteen-letters. {\n}", "1:7:", "sixteen-letters."),
            ("frob = 1", "1:1:", "frob"),
            ("class a { } frob a { } class a { }", "1:13:", "frob"),
            ("rule = 1 rule { }", "1:1:", "rule"),
            ("class a { weight 1 }", "1:11:", "weight")):
        wrong(t, text, where, '"%s"' % word)
    for text, where in (("class a { } }", "1:13:"), ("= 1", "1:1:"),
                        ("class a { weight = }", "1:20:"),
                        ("rule { log = yes,", "1:17:")):
        wrong(t, text, where)
    t.equal(t.machine("echo 'class a { weight = 0 }' | %s check /dev/stdin" %
                      VSFQ)[1], 'vsfq: /dev/stdin:1:20: "0" must be a number '
            "between 1 and 1000\n", "from a pipe")


def test_no_variables(t):
    """A policy is the same whoever applies it."""
    for value in "${HOME}", '"${HOME}"', "'$HOME'", "/a$HOME":
        wrong(t, "# $HOME\nrule { cgroup = %s }" % value, "2:%d:" %
              (17 + value.index("$")), '"%s" has a $, and there are no' %
              (value.strip("\"'") if value[1] != "{" else "$"))
    t.equal(policy(t, "class a { } # costs $5\n")[:2], (DONE, ""), "comment")


def test_backslash(t):
    """As scopes and services of systemd have it in their names."""
    rule = "rule { direction = out cgroup = %s verdict = drop }"
    for value, path in ((r"/a\x2db", r"/a\\x2db"), (r"'/a\x2db'", r"/a\\x2db"),
                        (r'"/a\\x2db"', r"/a\\x2db"), (r"'/a\n'", r"/a\\n"),
                        (r"'/a\'b'", "/a'b")):
        status, output, _ = policy(t, rule % value, "-s")
        t.equal(status, DONE, "status for " + value)
        t.check('  cgroup = "%s"  ' % path in output, value + ": " + output)
        t.equal(policy(t, output, "-s")[1], output, "what is printed, read")
    for text, column, word in ((rule % r'"/a\x2db"', 36, r"/a\x2db"),
                               (rule % r'"/a\\b\n c"', 39, r"/a\\b\n c"),
                               (rule % r'"/a\'b"', 36, r"/a\'b"),
                               (r'class "a\x62c" { }', 9, r"a\x62c")):
        wrong(t, "\n" + text, "2:%d:" % column, '"%s"' % word,
              r"must be written \\")


def test_backslash_in_force(t):
    """The cgroup of that name, not one that an escape would make of it."""
    with with_one(t) as p:
        p.write("odd", r"rule { direction = out cgroup = '/vsfq\x2dtest' "
                "verdict = drop }")
        output = p.run(
            "mount -t cgroup2 none /sys/fs/cgroup || exit 77",
            r"cd /sys/fs/cgroup; mkdir 'vsfq\x2dtest' || exit 77; cd " + p.top,
            "vsfq apply odd; vsfq policy show > shown; grep -o '\"/.*\"' shown",
            "vsfq apply -n shown; vsfq apply shown; echo $?",
            r"rmdir '/sys/fs/cgroup/vsfq\x2dtest'")
    t.equal(output, '"/vsfq\\\\x2dtest"\n0\n', "output")


def test_no_cgroups(t):
    """Where the hierarchy of version 2 is not where it should be, as on hosts
    that have both, no other path would help."""
    with with_one(t) as p:
        p.write("cgroup", "rule { direction = out cgroup = / verdict = drop }")
        output = p.run("mount -t tmpfs none /sys/fs/cgroup || exit 77",
                       "vsfq apply cgroup; echo $?; vsfq policy show")
    t.equal(output, 'vsfq: cgroup:1:33: "/" is no cgroup to be found: cgroup '
            "v2 is not on /sys/fs/cgroup\n1\n# no policy is in force\n",
            "output")


def test_asterisk(t):
    """libconfuse would leave out one that does not stand in quotes."""
    wrong(t, "# * \ndevice vhost* { }\n", "2:13:", '"vhost*"',
          "stand in quotes")
    wrong(t, "device a { }\ndevice a { }", "2:8:", '"a"', "first in line 1")
    t.equal(policy(t, 'device "*" { } device "a*" { } /* * */')[:2],
            (DONE, ""), "status and output")


def test_too_much(t):
    rule = "rule { verdict = accept }\n"
    t.equal(policy(t, 1024 * rule)[0], DONE, "status for 1024 rules")
    wrong(t, 1025 * rule, "1025:1:", '"rule"', "1024 is the limit")
    classes = ["class c%d { }\n" % n for n in range(15)]
    t.equal(policy(t, "".join(classes[:14]))[0], DONE, "status of 16 classes")
    wrong(t, "".join(classes), "15:7:", '"c14"', "16 is the limit")
    devices = ["device d%d { }\n" % n for n in range(65)]
    t.equal(policy(t, "".join(devices[:64]))[0], DONE, "status of 64 devices")
    wrong(t, "".join(devices), "65:8:", '"d64"', "64 is the limit")
    groups = ["rule { direction = out cgroup = /%d verdict = drop }\n" % n
              for n in range(65)]
    t.equal(policy(t, "".join(groups[:64]))[0], DONE, "status of 64 cgroups")
    wrong(t, "".join(groups), "65:33:", '"/64"', "64 is the limit")


def test_files(t):
    with tempfile.TemporaryDirectory() as top:
        os.mkdir(top + "/sub")
        for name, text in {"empty": "", "comment": "# nothing else\n",
                           "main": 'class a { }\ninclude("sub/more")\n'
                                   "rule { class = b }\n",
                           "sub/more": 'include("most")\n',
                           "sub/most": "class b { }\n",
                           "round": "include(round)\n",
                           "bad": 'include("sub/bad")\n',
                           "sub/bad": "\nrule { type = raw }\n",
                           "wrong": ' include( "sub/wrong")\n',
                           "sub/wrong": "\n  device a* { }\n",
                           "lacks": "class a { } include('a')\n",
                           "after": 'include("sub/most") frob = 1\n',
                           "twice": "include(sub/most)\nclass b { }\n",
                           "half": "include(sub/half) limit = 0 }\n",
                           "sub/half": "class a { weight = 1\n",
                           **{"deep%d" % n: "include(deep%d)\n" % (n + 1)
                              for n in range(11)},
                           "deep11": "class a { }\n"}.items():
            with open("%s/%s" % (top, name), "w") as f:
                f.write(text)
        t.equal(t.machine("%s check %s/main" % (VSFQ, top)), (DONE, ""),
                "includes, from where the file is")
        t.equal(t.machine("%s check %s/deep1" % (VSFQ, top)), (DONE, ""),
                "ten includes deep")
        for name, reason in {
                "empty": "empty: says nothing (for no policy: vsfq policy "
                         "clear)",
                "comment": "comment: says nothing (for no policy",
                "sub": "sub: Is a directory",
                "nosuch": "nosuch: No such file",
                "bad": 'sub/bad:2:15: "raw" must be',
                "wrong": 'sub/wrong:2:11: "a*" has a * that',
                "lacks": 'lacks:1:22: "a" No such file',
                "after": 'after:1:21: "frob" no such option',
                "half": 'half:1:27: "0" must be',
                "twice": 'twice:2:7: "b" is described twice\n',
                "deep0": 'deep10:1:9: "deep11" includes nested too deeply',
                "round": 'round:1:9: "round" includes nested too deeply'}.items():
            complains(t, VSFQ, "check %s/%s" % (top, name), FAILED,
                      "vsfq: %s/%s" % (top, reason))
        complains(t, VSFQ, "check ''", FAILED, 'vsfq: "": No such file')
        complains(t, VSFQ, "check /dev/zero", FAILED, "too large")
        status, output = t.machine("%s -j check %s/sub" % (VSFQ, top))
        t.equal((status, json.loads(output)), (FAILED, {
            "error": "%s/sub: Is a directory" % top, "file": top + "/sub",
            "line": None, "column": None, "word": None,
            "reason": "Is a directory"}), "as JSON")
        reason = "must be stream, seqpacket or dgram"
        for command in "check", "apply":
            status, output = t.machine("%s -j %s %s/bad" % (VSFQ, command, top))
            t.equal((status, json.loads(output)), (FAILED, {
                "error": '%s/sub/bad:2:15: "raw" %s' % (top, reason),
                "file": top + "/sub/bad", "line": 2, "column": 15,
                "word": "raw", "reason": reason}), "as JSON")


def test_no_permission(t):
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


def test_nothing_in_force(t):
    """A machine without a BPF file system, or on which nothing was applied."""
    if os.path.exists("/sys/fs/bpf/vsfq"):
        t.skip("something is attached on this machine")
    t.equal(t.machine(VSFQ + " policy show"),
            (DONE, "# no policy is in force\n"), "what is shown")
    t.equal(json.loads(t.machine(VSFQ + " -j policy show")[1]),
            {"policy": None}, "as JSON")


def test_match(t):
    """From the text of a policy to the verdict of the BPF code."""
    if t.machine("build/test_match --load")[0]:
        t.skip("this machine does not let us load BPF programs")
    status, output = t.machine("build/test_match")
    t.check(status == 0, output)


def test_fuzz(t):
    """A million texts, on the way from the manual's example to nonsense; the
    same ones each time. What is wrong with which comes first, then where."""
    status, output = t.machine("make -s fuzz FUZZ_SEED=1")
    told = re.findall(r"^(?:SUMMARY|Base64|stat:|.*ERROR).*", output, re.M)
    t.check(status == 0, "\n".join([*told, output[-4000:]]))


def test_apply(t):
    """What is shown can be applied, which changes nothing; nor do a dry run
    and what fails. A class keeps its number."""
    with with_one(t) as p:
        output = p.run("vsfq apply one", "vsfq policy show")
        t.equal(output, ANYWHERE, "the policy")
        output = p.run(
            "vsfq apply one && map_in_force",
            "vsfq policy show > shown && vsfq apply -n shown",
            "vsfq apply shown && map_in_force",
            "sed s/65535/65534/ one > two",
            "vsfq -n apply two > told && map_in_force",
            "diff one two | sed -n 's/^< /-/p; s/^> /+/p' | sort > want; "
            "sort told | diff - want && echo told",
            "echo rubbish > bad; vsfq apply bad; map_in_force",
            "vsfq apply two && map_in_force")
        found = re.findall(r"inner_map_id: (\d+)", output)
        t.equal(len(found), 5, "maps in " + output)
        t.equal(len(set(found[:4])), 1, "maps of one policy: %s" % output)
        t.check(found[4] != found[3], "the map did not change: " + output)
        t.check("told\n" in output, "other changes: " + output)
        t.check(not re.search("[-+]", output.replace("-port", "")),
                "a change: " + output)
        p.write("three", "class new { }\nclass bulk { }\n"
                "rule { local-port = 1 class = new }\n")
        output = p.run("vsfq apply one; vsfq apply three",
                       "vsfq policy show")
        t.check(re.search("^class bulk.*\nclass new.*\nrule .*class = new }$",
                          output, re.M), output)


# What "vsfq apply" is on a terminal that goes away once it asks.
TERMINAL = """
import os, pty, sys
pid, fd = pty.fork()
if not pid:
    os.execv(sys.argv[1], sys.argv[1:])
said = b""
while b"Enter" not in said:
    said += os.read(fd, 100)
if sys.argv[2] == "-C30":
    os.write(fd, b"\\n")
else:
    os.close(fd)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def confirms(t, want, *commands, before="vsfq apply one"):
    """Run commands with "two" applied over "one", or over none; the fifo 3
    has no input. The last lines of output are @want: what was said and what
    the limit of "dgram" is then, by which the policies differ."""
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        for name, limit in ("one", 11), ("two", 22), ("three", 33):
            p.write(name, "class dgram { limit = %d }\n" % limit)
        p.write("terminal.py", TERMINAL)
        p.needs_maps()
        output = p.run(
            "until_applied() { until vsfq policy show |"
            " grep -q 'limit = 22'; do :; done; }",
            "mkfifo fifo; exec 3<>fifo", before, *commands,
            "vsfq policy show | sed -n 's/class dgram.*limit = \\([0-9]*\\).*"
            "/\\1/p; s/^# //p'", namespaces="-m " + ALONE)
    said = [line for line in output.splitlines() if "press Enter" not in line]
    t.equal(said, want, "output of %r" % (commands,))


BACK = "vsfq: not confirmed: the policy before is in force again"
NONE = "vsfq: not confirmed: no policy is in force, as before"


def test_confirm(t):
    """Enter keeps the policy, from a pipe and on a terminal."""
    confirms(t, ["0", "22"], "echo | vsfq -C 30 apply two; echo $?")
    confirms(t, ["0", "22"],
             "python3 terminal.py $here/build/vsfq -C30 apply two")
    confirms(t, ["0", "11"], "vsfq -C 30 apply one <&3; echo $?")


def test_confirm_not(t):
    """Time, the end of input, a signal, no terminal any more: as before."""
    confirms(t, [BACK, "1", "11"], "vsfq -C 1 apply two <&3; echo $?")
    confirms(t, [BACK, "1", "11"], "vsfq -C 30 apply two </dev/null; echo $?")
    for signal in "HUP", "INT", "TERM":
        confirms(t, [BACK, "1", "11"],
                 "vsfq_c() { exec $here/build/vsfq -C 30 apply two; }",
                 "vsfq_c <&3 & until_applied; kill -%s $!; wait $!; echo $?" %
                 signal)
    confirms(t, ["1", "11"],
             "python3 terminal.py $here/build/vsfq -C31 apply two")
    confirms(t, [NONE, "1", "no policy is in force"], before=":",
             *["vsfq -C 1 apply two <&3; echo $?"])


def test_confirm_strict(t):
    """Connections are ended once the policy is confirmed, and not otherwise."""
    for options in "-vSC", "-v --strict --confirm":
        confirms(t, ["vsfq: ended 0 connections", "0", "22"],
                 "echo | vsfq %s 30 apply two; echo $?" % options)
        confirms(t, [BACK, "1", "11"],
                 "vsfq %s 1 apply two <&3; echo $?" % options)


def test_confirm_meanwhile(t):
    """What somebody else did stays; others need not wait."""
    for other, now in (("apply three", "33"), ("apply two", "22"),
                       ("policy clear", "no policy is in force")):
        for answer, said in (
                ("kill $!", "not confirmed, but a policy was applied or "
                 "cleared meanwhile: nothing is rolled back"),
                ("echo >&3", "confirmed too late: a policy was applied or "
                 "cleared meanwhile, and that stays")):
            confirms(t, ["vsfq: " + said, "1", now],
                     "vsfq_c() { exec $here/build/vsfq -S -C 30 apply two; }",
                     "vsfq_c <&3 & until_applied",
                     "vsfq %s; %s; wait $!; echo $?" % (other, answer))


def test_confirm_twice(t):
    """No policy comes back that nobody has confirmed: while one waits, another
    one is confirmed without waiting or not at all."""
    first = ["vsfq_c() { exec $here/build/vsfq -C 30 apply two; }",
             "vsfq_c <&3 & until_applied"]
    last = "kill $!; wait $!; echo $?"
    for other in "three", "two":
        confirms(t, ['vsfq: cannot apply "%s": the policy in force waits to be '
                     "confirmed (try: without -C)" % other, "1", BACK, "1",
                     "11"],
                 *first, "vsfq -C 1 apply %s <&3; echo $?" % other, last)
    # Who still waits, but for a policy that was replaced, is in nobody's way.
    confirms(t, ["0", "vsfq: not confirmed, but a policy was applied or "
                 "cleared meanwhile: nothing is rolled back", "1", "22"],
             *first, "vsfq apply three; echo | vsfq -C 30 apply two; echo $?",
             last)


def test_nobody_waits(t):
    """For who reads a file that does not end, or prints to who does not read;
    and who waits for a change of others can be interrupted."""
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        p.write("one", ANYWHERE)
        p.write("long", 1024 * "rule { local-port = {1000001, 1000003}  "
                "remote-port = {1000001, 1000003} verdict = accept }\n")
        p.needs_maps()
        for waits in ("apply /dev/stdin <&3", "policy show >&4",
                      "apply -n one >&4"):
            output = p.run(
                "vsfq apply long; rm -f in out; mkfifo in out",
                "exec 3<>in 4<>out",
                "$here/build/vsfq %s & sleep 0.5" % waits,
                "kill -0 $! && timeout 20 $here/build/vsfq apply one; echo $?",
                "kill $!")
            t.equal(output, "0\n", "status beside " + waits)
        output = p.run(
            "chmod 700 /sys/fs/bpf; flock -F /sys/fs/bpf sleep 60 & sleep 0.5",
            "timeout --foreground -k 20 -s INT 1 $here/build/vsfq monitor; echo $?",
            "timeout --foreground 1 $here/build/vsfq apply one; echo $?; kill $!",
            "ls -d /sys/fs/bpf/vsfq")
        t.equal(output, "124\n124\nls: cannot access '/sys/fs/bpf/vsfq': No "
                "such file or directory\n", "output")


def test_other_version(t):
    """A version whose policies are of another size is told apart; to clear
    what it left makes way."""
    with with_one(t) as p:
        tool = t.tool("bpftool")
        old = ["cd /sys/fs/bpf; mkdir vsfq vsfq/@policy; cd vsfq/@policy",
               tool + " map create current type array key 4 value 64 "
               "entries 1 name vsfq_policy",
               tool + " map create policy type array_of_maps key 4 value 4 "
               "entries 1 name policy inner_map pinned current"]
        put = tool + " map update pinned policy key 0 0 0 0 " \
            "value pinned current"
        for state in old, old + [put]:
            output = p.run(*state, "cd %s; vsfq apply one" % p.top)
            t.equal(output.count("\n"), 1, "lines of " + output)
            t.check("made by another version (try: vsfq detach all, policy "
                    "clear)" in output, output)
            output = p.run(*state, "cd %s; vsfq policy clear" % p.top,
                           "vsfq apply one && vsfq policy show")
            t.equal(output, ANYWHERE, "the policy, after it was cleared")


def test_clear(t):
    """Nothing is left, and to clear nothing is no error."""
    with tempfile.TemporaryDirectory() as top:
        p = Policies(t, top)
        p.write("one", ANYWHERE)
        output = p.run("vsfq policy clear", "vsfq apply one",
                       "vsfq policy clear && vsfq policy clear",
                       "vsfq policy show && ls /sys/fs/bpf | grep -c vs")
        t.equal(output, "# no policy is in force\n0\n", "output")


def test_clear_shown(t):
    """What is shown then does not open a firewall, and says how one would."""
    with with_one(t) as p:
        output = p.run("vsfq policy show > shown; vsfq apply one",
                       "vsfq apply shown; echo $?; vsfq policy show")
    t.equal(output, "vsfq: shown: says nothing (for no policy: vsfq policy "
            "clear)\n1\n" + ANYWHERE, "output")


def test_example(t):
    """The one in the manual, of ten lines."""
    with open("docs/vsfq.conf.5.scd") as f:
        example = re.search(r"^# EXAMPLE\n.*?^```\n(.*?)^```", f.read(),
                            re.M | re.S).group(1)
    t.equal(len(example.splitlines()), 10, "lines")
    t.equal(policy(t, example)[:2], (DONE, ""), "status and output")
