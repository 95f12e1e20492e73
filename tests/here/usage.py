# SPDX-License-Identifier: GPL-2.0-only
"""What our programs say to a command line, and to one that is wrong."""

import json
import re
import tempfile

from policies import ALONE, with_one
from program import DONE, FAILED, USAGE, VSFQ, VSLOAD, complains


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
            "apply -nC 30": 'does not go with "-C"',
            "-n apply -S": 'does not go with "-S"',
            "policy": '"policy"',
            "policy frobnicate": '"frobnicate"',
            "--frobnicate show": 'unknown option "--frobnicate"',
            "--frobnicate=1 show": 'unknown option "--frobnicate=1"',
            "-x show": 'unknown option "-x"',
            "show -xn": 'unknown option "-x"',
            "-xn show": 'unknown option "-x"',
            "show --batch -vxv": 'unknown option "-x"',
            "-o": 'missing value for "-o"',
            "apply -C": 'missing value for "-C"',
            "apply --dry-run -vC": 'missing value for "-C"',
            "apply --confirm": 'missing value for "--confirm"',
            "apply --co 5": 'ambiguous option "--co"',
            "apply --co=5": 'ambiguous option "--co=5"',
            "show --json=1": 'surplus value in "--json=1"',
            "-o 0 attach lo": '"0"',
            "-o 16k attach lo": '"16k"',
            "-o -1 attach lo": '"-1"',
            "-o 1048577 attach lo": '"1048577"',
            "-C 0 apply": '"0"',
            "-C 1m apply": '"1m"',
            "-C 86401 apply": '"86401"',
            "metrics now": '"now"',
            "doctor now": '"now"',
            "monitor now": '"now"',
            "monitor close now": '"now"',
            "learn now": '"now"',
            "-f 0 learn": '"0"',
            "-f 1d learn": '"1d"',
            "-f s learn": '"s"',
            "-f 5mm learn": '"5mm"',
            "-f 169h learn": '"169h"',
            "--for": 'missing value for "--for"',
            "top one two": '"two"',
            "top -c 0": '"0"',
            "top -c x": '"x"',
            "top -d 0": '"0"',
            "top -d 1e3": '"1e3"',
            "top -d .": '"."',
            "top -d 86401": '"86401"',
            "metrics -t": 'missing value for "-t"',
            "metrics -t ''": '""'}.items():
        complains(t, VSFQ, arguments, USAGE, word, "try: vsfq help")


def test_vsfq_surplus_option(t):
    """One that a command does not take is named, and nothing is done; which it
    takes is what the help says."""
    said = t.machine(VSFQ + " help")[1]
    commands = re.findall(r"^  ([a-z]+)", said.split("\noptions:")[0], re.M)
    options = re.findall(r"^  (-\w), (--[\w-]+)( [A-Z]+)? +"
                         r"(?:with ([a-z, ]+):)?", said, re.M)
    for short, long, value, only in options:
        # What is wrong with the line is told as JSON then, or not at all.
        if short in ("-j", "-p", "-V", "-h"):
            continue
        for command in set(commands):
            taken = not only or command in only.split(", ")
            for option in short, long:
                complains(t, VSFQ, "%s%s %s 1 2 3" % (
                    option, " 1" if value else "", command), USAGE, *(
                        ["surplus argument"] if taken else
                        ['"%s"' % command, '"%s" or "%s"' % (short, long)]))
    with with_one(t) as p:
        output = p.run("vsfq apply one; map_in_force",
                       "vsfq -n policy clear; echo $?; map_in_force")
    before, said, after = re.split("(vsfq: .*\n2\n)", output)
    t.equal(after, before, "the policy after " + said)


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


def test_vsfq_long_path(t):
    """Why it failed is said behind it, however long it is."""
    for command in "check ", "apply ", "metrics -t ":
        for length in 400, 500, 4000, 9000:
            path = (length // 2 * "/a")[:length]
            complains(t, VSFQ, command + path, FAILED, *(
                [path, "No such file or directory\n"] if length < 4096 else
                ["File name too long\n"]))


def test_vsfq_error_as_json(t):
    status, output = t.machine(VSFQ + " -j show nosuchdev0")
    t.equal(status, FAILED, "exit status")
    t.check("nosuchdev0" in json.loads(output)["error"], output)
    for arguments in "-d 0 -j show", "-p show -x", "show --frobnicate --json":
        status, output = t.machine("%s %s" % (VSFQ, arguments))
        t.equal(status, USAGE, "exit status of " + arguments)
        t.check("try: vsfq help" in json.loads(output)["error"], output)


def test_vsfq_no_space(t):
    """What cannot be written is no success, and told where it can be."""
    with tempfile.NamedTemporaryFile("w") as f:
        f.write("default-in = reject\n")
        f.flush()
        for command in ("help", "-h", "version", "-j version", "doctor",
                        "-j doctor", "policy show", "-j policy show",
                        "check -s " + f.name, "-j show nosuchdev0",
                        "-j top -b -c 9 -d 0.1", "metrics"):
            status, output = t.machine("%s %s > /dev/full" % (VSFQ, command))
            t.equal(status, FAILED, "status of " + command)
            t.check(output.startswith(
                'vsfq: cannot write "standard output": ') and
                output.count("\n") == 1, "%s: %s" % (command, output))


def test_vsfq_help(t):
    """Asked for, it is no error."""
    status, output = t.machine(VSFQ + " help")
    t.equal(status, DONE, "exit status")
    for option in "-h", "--help":
        t.equal(t.machine("%s %s" % (VSFQ, option)), (DONE, output), option)


# Of each option of vsfq a command that shows its effect, which is no other's.
EFFECTS = {
    "json": "%s doctor",
    "pretty": "%s doctor",
    "statistics": "%s check one",
    "dry-run": "%s apply one",
    "batch": "%s -c 1 -d 0.1 top | sed 1d",     # the time is in that line
    "count": "%s x top",
    "delay": "%s x top",
    "confirm": "%s x apply one",
    "strict": "%s -v apply one",
    "for": "%s x learn",
    "overhead": "%s x attach all",
    "textfile": "%s '' metrics",
    "verbose": "%s -S apply one",
    "version": "%s apply one",
    "help": "%s version",
}


def test_vsfq_long_options(t):
    """Each is the short one that the help has before it."""
    pairs = re.findall(r"^  (-\w), --([\w-]+)", t.machine(VSFQ + " help")[1],
                       re.M)
    t.equal([long for _, long in pairs], list(EFFECTS), "options")
    with with_one(t) as p:
        said = p.run(*[
            "vsfq policy clear; echo @@; vsfq %s; echo $?" %
            (EFFECTS[long] % option) for short, long in pairs
            for option in (short, "--" + long, "")],
            namespaces="-mn " + ALONE).split("@@\n")[1:]
    for (_, name), short, long, none in zip(pairs, said[::3], said[1::3],
                                            said[2::3]):
        t.check(short != none, "-%s has no effect: %s" % (name, short))
        t.equal(long, short, "what --%s does" % name)
    t.equal(len(said), 3 * len(pairs), "answers")


def test_vsfq_version(t):
    status, output = t.machine(VSFQ + " version")
    t.equal(status, DONE, "exit status")
    for option in "-V", "--version":
        t.equal(t.machine("%s %s" % (VSFQ, option)), (DONE, output), option)
    status, as_json = t.machine(VSFQ + " -j version")
    t.equal("vsfq %s\n" % json.loads(as_json)["version"], output, "version")


def test_vsload_usage(t):
    for arguments, word in {
            "client": "--streams",
            "client --streams x": '"x"',
            "client --streams -1": '"-1"',
            "client --streams 1.5": '"1.5"',
            "client --streams 1 more": '"more"',
            "client --type dgram": '"dgram"',
            "client --streams 1 --send splice": '"splice"',
            "client --dgram-size 1": '"1"',
            "client --write-size 0": '"0"',
            "client --write-size 2-1": '"2-1"',
            "client --write-size 1-": '"1-"',
            "client --write-size 1-1048577": '"1-1048577"',
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
