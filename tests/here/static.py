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


def test_manual_vsfq_conf(t):
    """The page has the options, the words and the limits of the parser."""
    page, source = "docs/vsfq.conf.5.scd", text("loader/policy_parse.c")
    options = set(re.findall(r'CFG_STR\w*\((?:prefix )?"([\w-]+)"', source))
    t.equal(set().union(*(entries(page, name, r"(?:^|, )\*([\w-]+)\*")
                          for name in ("OPTIONS", "CLASSES", "CAPS",
                                       "RULES"))),
            options, "options")
    words = text("loader/policy_words.c")
    verdicts = set(re.findall(r'\{ "(\w+)", VSFQ_[A-Z]{4,6} \}', words))
    t.equal(entries(page, "VERDICTS", r"\*(\w+)\*"), verdicts, "verdicts")
    header = text("bpf/policy.h") + text("bpf/vsfq.h")
    for limit, where in (("RULES", "RULES"), ("WEIGHT", "CLASSES"),
                         ("LIMIT", "CLASSES")):
        number = re.search(r"VSFQ_MAX_%s\s+(\d+)" % limit, header).group(1)
        t.check(re.search(r"\b%s\b" % number, section(page, where)),
                "the page does not say %s" % number)


def test_manual_vsload(t):
    output = t.machine("build/vsload help")[1]
    t.equal(entries("docs/vsload.8.scd", "OPTIONS", r"\*(--[\w-]+)\*"),
            set(re.findall(r"^  (--[\w-]+)", output, re.M)), "options")
