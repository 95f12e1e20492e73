# SPDX-License-Identifier: GPL-2.0-only
"""What can be told from the sources alone: style, series, manual pages."""

import email
import email.policy
import glob
import os
import re
import shutil
import tempfile

from bed import TOP

LINE = os.environ.get("LINE", "7.3")
SERIES = os.path.join(TOP, "kernel-patches", LINE)
MAX_PATCHES = 15
KERNEL_SH = os.path.join(TOP, "scripts/kernel.sh")

SPDX = "SPDX-License-Identifier: GPL-2.0-only"
# A patch changes files that have lines of their own.
WITHOUT_SPDX = re.compile(r"COPYING|README\.md|kernel-patches/.*\.patch")

# What checkpatch may say about a patch: {part of its name: types}.
CHECKPATCH_MAY = {
    # It asks about any new file; MAINTAINERS has the whole directory.
    "vsock-test": "FILE_PATH_CHANGES",
}

# The shell that reads a script with this first line, without running it.
SHELLS = {"#!/bin/bash": "bash -n", "#!/bin/busybox sh": "sh -n"}


def tree():
    return os.path.join(os.environ["KERNEL_DIR"], "linux")


def patches(t):
    found = sorted(glob.glob(os.path.join(SERIES, "*.patch")))
    t.check(found, "no patch in %s" % SERIES)
    return found


def tracked(t):
    status, output = t.machine("git ls-files")
    if status:
        t.skip("not a git tree")
    return [p for p in output.split() if os.path.isfile(os.path.join(TOP, p))]


def text(path):
    with open(os.path.join(TOP, path), errors="replace") as f:
        return f.read()


def test_checkpatch(t):
    """Errors, warnings and checks alike are in its exit status."""
    said = ""
    for path in patches(t):
        may = ["--ignore " + types for part, types in CHECKPATCH_MAY.items()
               if part in path]
        # In the tree: elsewhere it does not take what it reads for a patch.
        status, output = t.machine(
            "cd %s && scripts/checkpatch.pl --strict --terse --show-types "
            "--no-summary %s %s" % (tree(), " ".join(may), path))
        said += output if status else ""
    t.check(not said, said)


def test_series_length(t):
    """As netdev wants it, without the fixes that the first list is of."""
    fixes, _, _ = section("kernel-patches/README.md",
                          LINE).partition("Datagrams:")
    fixes = re.findall("^- ", fixes, re.M)
    t.check(len(patches(t)) - len(fixes) <= MAX_PATCHES,
            "more than %d patches" % MAX_PATCHES)


def test_series_signed_off(t):
    """By whom it is from."""
    for path in patches(t):
        mail = email.message_from_string(text(path),
                                         policy=email.policy.default)
        signed = re.findall(r"^Signed-off-by: (.*)$", mail.get_content(), re.M)
        t.check(str(mail["From"]) in signed, "%s is from %s, signed off by %s" %
                (os.path.basename(path), mail["From"], signed))


def test_series_listed(t):
    """kernel-patches/README.md has their subjects, in order."""
    subjects = ["- " + email.message_from_string(
        text(path), policy=email.policy.default)["Subject"]
        .removeprefix("[PATCH] ") for path in patches(t)]
    listed = re.findall(r"^- \S+: .*",
                        section("kernel-patches/README.md", LINE), re.M)
    t.equal(listed, subjects, "the list")


def test_series_reproducible(t):
    """make kernel-series writes what is there, byte for byte."""
    with tempfile.TemporaryDirectory() as top:
        for part in "scripts", "kernel-patches":
            shutil.copytree(os.path.join(TOP, part), os.path.join(top, part))
        status, output = t.machine(
            "cd %s && VSFQ_CACHE=%s/cache LINE=%s "
            "scripts/kernel.sh series %s base && "
            "diff -rq %s kernel-patches/%s" %
            (top, top, LINE, tree(), SERIES, LINE))
    t.check(status == 0, "run make kernel-series:\n" + output)


def refused(t, setting, *words):
    """kernel.sh does not take @setting, and says why with all of @words."""
    with tempfile.TemporaryDirectory() as cache:
        if shutil.disk_usage(cache).free < 9 << 30:
            t.skip("%s has less than 9 GiB free" % os.path.dirname(cache))
        status, output = t.machine("env -u LINUX_SRC -u LINUX_SHA256 "
                                   "VSFQ_CACHE=%s %s %s tree" %
                                   (cache, setting, KERNEL_SH))
        left = [name for name in os.listdir(cache) if name != "lock"]
    t.check(status != 0, "accepted")
    t.check(output.count("\n") == 1, "not one line:\n" + output)
    for word in words:
        t.check(word in output, "not a word of %s: %s" % (word, output))
    t.equal(left, [], "what it left behind")


def test_kernel_sh_no_source(t):
    refused(t, "LINUX_SRC=/nonexistent", "/nonexistent", "source tree")


def test_kernel_sh_no_tarball(t):
    refused(t, "LINUX_TARBALL=/nonexistent", "/nonexistent", "cannot read")


def test_kernel_sh_wrong_tarball(t):
    refused(t, "LINUX_TARBALL=" + KERNEL_SH, KERNEL_SH, "sha256")


def test_kernel_sh_no_line(t):
    refused(t, "LINE=9.9", "9.9")


def test_kernel_sh_no_variant(t):
    refused(t, "VARIANT=fast", "fast", "config.fast")


# Instead of apt: offers what is in $STORE, and nothing else.
APT = """#!/bin/bash
wanted=${!#}
case "$*" in
*madison*) for deb in $STORE/*.deb; do
	echo "linux-source-7.3 | $(basename $deb .deb) | here"
	done ;;
*download*) cp $STORE/${wanted#*=}.deb linux-source-7.3_some.deb ;;
esac
"""
# A package with a "kernel" of that version, in which a file says $WORD.
PACKAGE = """
cd $(mktemp -d -p $STORE) && mkdir -p linux deb/DEBIAN deb/usr/src &&
touch linux/Kconfig && echo $WORD >linux/file &&
printf 'kernelversion:\n\t@echo %s\n' ${VERSION%-*} >linux/Makefile &&
tar -cJf deb/usr/src/linux-source-7.3.tar.xz linux &&
printf 'Package: some\nVersion: %s\nArchitecture: all\nMaintainer: n\n%s\n' \
	$VERSION 'Description: none' >deb/DEBIAN/control &&
dpkg-deb --build deb $STORE/$VERSION.deb
"""
PATCH = """From 0 Mon Sep 17 00:00:00 2001
From: nobody <nobody@vsfq.example>
Date: Sat, 28 Nov 2026 12:00:00 +0000
Subject: [PATCH] file: say more

---
diff --git a/file b/file
--- a/file
+++ b/file
@@ -1 +1,2 @@
 old
+more
"""


def test_kernel_sh_newest(t):
    """Where Debian has moved on: the newest to which the series applies."""
    with tempfile.TemporaryDirectory() as top:
        shutil.copytree(os.path.join(TOP, "scripts"), top + "/scripts")
        os.makedirs(top + "/kernel-patches/7.3")
        os.makedirs(top + "/store")
        os.makedirs(top + "/bin")
        for name, content in (
                ("kernel-patches/7.3/base", text("kernel-patches/7.3/base")),
                ("kernel-patches/7.3/config", ""),
                ("kernel-patches/7.3/0001-file.patch", PATCH),
                ("bin/apt-get", APT), ("bin/apt-cache", APT)):
            with open(os.path.join(top, name), "w") as f:
                f.write(content)
            os.chmod(f.name, 0o755)
        settings = ("cd %s && export STORE=%s/store PATH=%s/bin:$PATH && "
                    % (top, top, top))
        for version, word in ("7.3.3-1", "old"), ("7.3.6-1", "old"), \
                ("7.3.10-1", "new"):
            status, output = t.machine(settings + "export VERSION=%s WORD=%s\n"
                                       % (version, word) + PACKAGE)
            t.check(status == 0, output)
        status, output = t.machine(
            settings + "export VSFQ_CACHE=%s/cache LINE=7.3 && unset LINUX_SRC "
            "LINUX_SHA256 VARIANT && scripts/kernel.sh tree && git -C "
            "$(scripts/kernel.sh dir)/linux log --format=%%s" % top)
        t.check(status == 0, output)
        t.check("taking 7.3.10-1" in output and "0001-file.patch\" does not "
                "apply to Linux 7.3.10" in output, output)
        t.equal(output.splitlines()[-2:], ["file: say more", "Linux 7.3.6"],
                "the tree")


def test_make_knows_the_source(t):
    """It looks for a kernel where one of that origin is built."""
    for setting in "LINUX_SRC=/tmp", "LINUX_SHA256=0", "VSFQ_CACHE=/tmp/x":
        said = t.machine("unset MAKEFLAGS KERNEL KERNEL_DIR; make -n "
                         "--no-print-directory kernel-tree %s; %s %s dir" %
                         (setting, setting, KERNEL_SH))[1]
        tree, there = said.split()[-2:]
        t.equal(tree, there + "/linux", "the tree of " + setting)


def test_variants_have_their_own_key(t):
    """What they add is in it, and a plain kernel has the one it always had."""
    said = t.machine("for v in '' debug kcsan uml; do VARIANT=$v %s dir; done" %
                     KERNEL_SH)[1].split()
    t.equal(len(set(said)), 4, "different directories of %r" % said)
    t.check("-debug-" in said[1] and "-kcsan-" in said[2] and
            "-uml-" in said[3], "not the variants' names: %r" % said)


def test_variant_is_checked(t):
    """make asks which kernel before it reads what it passes on to others."""
    for how in "make -n check VARIANT=kcsan", "VARIANT=kcsan make -n check":
        said = t.machine("unset MAKEFLAGS KERNEL KERNEL_DIR; " + how)[1]
        t.check("-kcsan-" in said.split("tests/run")[-2].split()[-1],
                "%s: %s" % (how, said[-2000:]))


def test_shell_syntax(t):
    for path in tracked(t):
        shell = SHELLS.get(text(path).split("\n", 1)[0])
        if shell:
            status, output = t.machine("%s %s" % (shell, path))
            t.check(status == 0, output)


def test_python_syntax(t):
    for path in tracked(t):
        source = text(path)
        if path.endswith(".py") or source.startswith("#!/usr/bin/env python3"):
            compile(source, path, "exec")


def test_spdx(t):
    """In one of the first lines: programs begin with their interpreter."""
    for path in tracked(t):
        if not WITHOUT_SPDX.fullmatch(path):
            t.check(SPDX in "".join(text(path).splitlines(True)[:3]),
                    "%s does not say %s" % (path, SPDX))


def section(page, name):
    found = re.search(r"^#+ %s\n(.*?)(?=^#+ |\Z)" % name, text(page),
                      re.M | re.S)
    return found.group(1) if found else ""


def entries(page, name, pattern):
    """What the headings of a section's entries say that matches @pattern."""
    return {word for line in section(page, name).splitlines()
            if line.startswith("*") for word in re.findall(pattern, line)}


def test_manual_vsfq(t):
    """Page and help have the same commands and options."""
    output = t.machine("build/vsfq help")[1]
    commands, options = output.split("\noptions:")
    t.equal(entries("docs/vsfq.8.scd", "COMMANDS", r"\*(\w+)\*") -
            {"all", "show", "clear"} | {"show"},
            set(re.findall(r"^  (\w+)", commands, re.M)), "commands")
    t.equal(entries("docs/vsfq.8.scd", "OPTIONS", r"\*(-\w|--[\w-]+)\*"),
            set(re.findall(r"(?<!\S)(-\w|--[\w-]+)", options)), "options")


def test_manual_synopsis(t):
    """It has each option that goes with a command, at that command."""
    said = t.machine("build/vsfq help")[1].split("\noptions:")[1]
    lines = section("docs/vsfq.8.scd", "SYNOPSIS").splitlines()
    for option, commands in re.findall(r"^  (-\w), .* with ([a-z, ]+):", said,
                                       re.M):
        for command in commands.split(", "):
            t.check(any("*%s*" % command in line and "[*%s*" % option in line
                        for line in lines), "no %s %s" % (command, option))


def json_names():
    """What the sources call the members of objects."""
    source = "".join(text("loader/%s.c" % name) for name in (
        "report", "rate", "monitor", "finding", "policy_show", "log"))
    packed = "".join(re.findall(r"json_pack\((.*?)\);", source, re.S))
    setters = r"(?:json_object_set\w*|add_number|add_caps_of)"
    return set(re.findall(r'"(\w+)"(?=[,)])', packed)) - {"unknown"} | set(
        re.findall(setters + r'\(\w+, "(\w+)"', source))


def test_manual_json(t):
    """Page and sources have the same names, but for reasons and caps."""
    said = set(re.findall(r"\*(\w+)\*", section("docs/vsfq.8.scd", "JSON")))
    have = json_names()
    t.check(len(have) > 60, "%r" % have)
    t.check(have <= said, "names without a word: %r" % (have - said))
    t.equal(said - have, {"show", "monitor", "doctor", "learn", "version",
                          "cid", "group_connections",
                          "group_connection_rate"}, "other words")


def test_manual_vsfq_conf(t):
    """The page has the options, the words and the limits of the parser."""
    page, source = "docs/vsfq.conf.5.scd", text("loader/policy_parse.c")
    options = set(re.findall(r'CFG_STR\w*\((?:prefix )?"([\w-]+)"', source))
    t.equal(set().union(*(entries(page, name, r"(?:^|, )\*([\w-]+)\*")
                          for name in ("OPTIONS", "CLASSES", "CAPS",
                                       "RULES"))),
            options, "options")
    lists = re.findall(r'CFG_STR_LIST_CB\("([\w-]+)"', source)
    t.check("*%s* and *%s* may have several values" % (
        "*, *".join(lists[:-1]), lists[-1]) in " ".join(
            section(page, "DESCRIPTION").split()), "lists %r" % lists)
    words = text("loader/policy_words.c")
    verdicts = set(re.findall(r'\{ "(\w+)", VSFQ_[A-Z]{4,6} \}', words))
    t.equal(entries(page, "VERDICTS", r"\*(\w+)\*"), verdicts, "verdicts")


# What vsfq.conf(5) says of each constant of the parser, and in which section.
LIMITS = {
    "MAX_FILE": ("DESCRIPTION", lambda n: "less than %dM" % (n >> 20)),
    "VSFQ_NAME_SIZE": ("CLASSES", lambda n: "up to %d letters" % (n - 1)),
    "VSFQ_MAX_CLASSES": ("CLASSES", lambda n: "be %d others" % (n - 2)),
    "VSFQ_MAX_WEIGHT": ("CLASSES", lambda n: "From 1 to %d; the" % n),
    "VSFQ_MAX_PRIORITY": ("CLASSES", lambda n: "From 1 to %d: the" % n),
    "VSFQ_MAX_LIMIT": ("CLASSES", lambda n: "from 1 to %d; the" % n),
    "VSFQ_LIMIT_DATAGRAMS": ("CLASSES", lambda n: "default is %d." % n),
    "VSFQ_MAX_SECTIONS": ("DEVICES", lambda n: "There may be %d." % n),
    "VSFQ_MAX_RATE": ("CAPS", lambda n: "to %dtbit." % (n * 8 // 10 ** 12)),
    "VSFQ_MIN_IN_RATE": ("DEVICES", lambda n: "%dbps as the least" % n),
    "VSFQ_MIN_BURST": ("CAPS", lambda n: "from %d, the largest" % n),
    "VSFQ_MAX_BURST": ("CAPS", lambda n: "packet, to %dM;" % (n >> 20)),
    "VSFQ_MAX_PACKET_RATE": ("CAPS", lambda n: "from 1 to %d, with" % n),
    "VSFQ_MIN_MEMORY": ("CAPS", lambda n: "from %dK to" % (n >> 10)),
    "VSFQ_MAX_MEMORY": ("CAPS", lambda n: "to %dM: of" % (n >> 20)),
    "VSFQ_LIMIT_MEMORY": ("CAPS", lambda n: "a class is %dM." % (n >> 20)),
    "VSFQ_MAX_CONNECTIONS": ("CAPS", lambda n: "from 1 to %d, whoever" % n),
    "VSFQ_MAX_OPEN_RATE": ("CAPS", lambda n: "from 1 to %d; one" % n),
    "VSFQ_MAX_RULES": ("RULES", lambda n: "There may be %d." % n),
    "VSFQ_MAX_RANGES": ("RULES", lambda n: "up to %s that" % {4: "four"}[n]),
    "VSFQ_MAX_CGROUPS": ("RULES", lambda n: "may name %d of them" % n),
    "VSFQ_CGROUP_SIZE": ("RULES", lambda n: "of up to %d characters" % (n - 1)),
}


def test_manual_vsfq_conf_limits(t):
    """The page has every limit by which the parser goes."""
    parser = "".join(text(path) for path in glob.glob(
        os.path.join(TOP, "loader/policy_*.c")))
    used = re.findall(r"VSFQ_(?:MAX|MIN|LIMIT)_\w+|VSFQ_\w+_SIZE|MAX_FILE",
                      parser + text("bpf/policy.h"))
    t.equal(set(used), set(LIMITS), "constants")
    source = parser + text("bpf/policy.h") + text("bpf/vsfq.h")
    for name, (where, words) in LIMITS.items():
        value = re.search(r"^#define %s\s+([\d( <)]+)" % name, source,
                          re.M).group(1)
        said = words(eval(value))
        t.check(said in " ".join(section("docs/vsfq.conf.5.scd",
                                         where).split()),
                "%s of the page does not say %r" % (where, said))


def test_manual_limits(t):
    """Of what the pages say without a parser that goes by it."""
    sources = "".join(map(text, ("bpf/vsfq.h", "bpf/policy.h", "bpf/event.h",
                                 "loader/main.c")))
    for page, name, words in (
            ("docs/vsfq.8.scd", "MAX_OVERHEAD", "time, 1 to %d;"),
            ("docs/vsfq.8.scd", "VSFQ_OVERHEAD", "default is %d. Without"),
            ("docs/vsfq.8.scd", "VSFQ_MAX_RULES", "more than %d rules gives"),
            ("docs/vsfq.8.scd", "VSFQ_EVENT_RATE", "tell of %d events in a"),
            ("docs/vsfq.conf.5.scd", "VSFQ_EVENT_RATE", "tell of %d in a"),
            ("docs/vsfq.conf.5.scd", "VSFQ_REQUESTS", "for the {:,} requests"),
            ("docs/vsfq.conf.5.scd", "VSFQ_FLOW_TABLE", "about {:,} pairs")):
        value = eval(re.search(r"^#define %s\s+([\d( <)]+)" % name, sources,
                               re.M).group(1))
        said = words.format(value) if "{" in words else words % value
        t.check(said in " ".join(text(page).split()), "%s does not say %r" %
                (page, said))


def entry(page, name, word):
    """What a section says of a word below it."""
    found = re.search(r"^\*%s\*.*\n((?:\t.*\n|\n)*)" % word,
                      section(page, name), re.M)
    return found.group(1) if found else ""


def words_of(source, table):
    """The words of a table of a source, in its order."""
    found = re.search(r"\b%s\[.*\] = \{\n((?:\t.*\n)*)\};" % table,
                      text(source))
    return re.findall(r'"(\S+?)"', found.group(1) if found else "")


def test_manual_words(t):
    """The words of tables are those of the pages, under these entries."""
    vsfq, conf, one = "docs/vsfq.8.scd", "docs/vsfq.conf.5.scd", r"\*(\w+)\*"
    policy = "loader/policy_words.c"
    for source, table, page, where, word, pattern in (
            ("loader/report.c", "drop_names", vsfq, "OUTPUT OF SHOW",
             "dropped", one),
            ("loader/monitor.c", "events", vsfq, "COMMANDS", "monitor",
             r"(?:^\t- |, )\*(\w+)\*(?=[:,]| with a class)"),
            (policy, "policy_isolates", conf, "CLASSES", "isolate", one),
            (policy, "policy_types", conf, "RULES", "type", one),
            (policy, "policy_directions", conf, "RULES", "direction", one),
            (policy, "policy_answers", conf, "RULES", "log", one)):
        have = words_of(source, table)
        t.check(have, "%s has no %s" % (source, table))
        t.equal(set(re.findall(pattern, entry(page, where, word), re.M)),
                set(have), "what %s says of %s" % (page, word))


def test_manual_top(t):
    """The columns and the keys; docs/top.txt has them, and is the screen of
    docs/session.txt, which is compared with what happens."""
    page, where = "docs/vsfq.8.scd", "OUTPUT OF TOP"
    columns = words_of("loader/top_text.c", "titles") + ["OWNER"]
    t.equal(entries(page, where, r"\*([^\s*]+)\*"), set(columns), "columns")
    screen = text("docs/top.txt").partition("\n\n")[2]
    t.equal(screen.splitlines()[1].split(), columns, "those of docs/top.txt")
    t.check("# vsfq top -b -c 1 -d 2\n%s\n" % screen in
            text("docs/session.txt"), "another screen: run make session")
    source = text("loader/top_live.c")
    keys = re.search(r"^Keys: [^.]*", section(page, where), re.M).group()
    keys = set(re.findall(r"\*(\S)\*", keys))
    line = re.search(r'help\[\] =\n\t"(.*)";', source).group(1)
    t.equal({key for part in line.split("  ")
             for key in part.split(":")[0].split()}, keys, "line of keys")
    t.check(keys <= set(re.findall("case '(.)':", source)),
            "a key that does nothing")


def test_findings_have_a_fix(t):
    """What doctor finds that is not well is followed by what to do."""
    found = 0
    for path in glob.glob(os.path.join(TOP, "loader/doctor*.c")):
        statements = re.split(r";\n", text(path))
        for this, after in zip(statements, statements[1:]):
            if not re.search(r"finding_add\((?!findings, FINDING_OK,)", this):
                continue
            found += 1
            t.check(re.match(r"\s*(if \(!there\)\s*)?finding_fix\(", after),
                    "%s: no fix follows%s" % (os.path.basename(path), this))
    t.check(found > 20, "only %d findings" % found)


def test_manual_vsload(t):
    output = t.machine("build/vsload help")[1]
    t.equal(entries("docs/vsload.8.scd", "OPTIONS", r"\*(--[\w-]+)\*"),
            set(re.findall(r"^  (--[\w-]+)", output, re.M)), "options")
