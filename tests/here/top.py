# SPDX-License-Identifier: GPL-2.0-only
"""Rates and screens of "vsfq top", in batch and on a terminal."""

import os
import re
import signal
import tempfile

from attached import DETACH, PINS, Attached
from program import DONE, FAILED, VSFQ, complains
from terminal import Terminal

TOP_COMMAND = "$here/%s top" % VSFQ


def test_unit(t):
    """The rates, the order and the figures."""
    status, output = t.machine("build/test_top")
    t.check(status == 0, output)


def fields(line):
    """{name: cell} of a line of devices; their names have no spaces here."""
    words = line.split()
    return dict(zip(("name", "out", "outb", "in", "inb", "share", "queue",
                     "drops", "wait"), words))


def until(word, name):
    return "until grep -qs '%s' %s; do sleep 0.1; done" % (word, name)


def test_batch(t):
    """As many screens as were asked for: the device, its classes, the
    busiest flows and whose they are. Nothing is pinned that was not."""
    with tempfile.TemporaryDirectory() as top:
        output = Attached(t, top).watch(
            "ls -R %s > before" % PINS,
            TOP_COMMAND + " -b -c 2 -d 1.5",
            "ls -R %s | diff before - && echo the same" % PINS)
    t.check(output.endswith("the same\n"), output)
    screens = output.removesuffix("the same\n").split("\n\n")
    t.equal(len(screens), 2, "screens")
    for screen in screens:
        lines = screen.rstrip("\n").split("\n")
        t.check(re.fullmatch(r"vsfq top: \d\d:\d\d:\d\d, of \d\.\d s, "
                             r"attached devices: 1, by COST%", lines[0]),
                lines[0])
        device = fields(lines[2])
        t.equal((device["name"], device["in"], device["share"],
                 device["queue"], device["wait"]),
                ("vsock0", "0", "100.0", "-", "-"), "the device")
        t.check(device["out"] not in ("0", "-"), lines[2])
        t.equal([fields(line)["name"] for line in lines[3:5]],
                ["dgram", "stream"], "classes")
        flows = lines[5:]
        t.equal(len(flows), 10, "flows")
        for line in flows:
            t.check(re.match(r"    3:10[23]\d 2:5000 dgram +\d\S+ .*"
                             r"  uid %d cgroup \d+$" % os.geteuid(), line),
                    line)


def test_batch_gone(t):
    """A device that is detached is no longer shown, nor is one that is no
    longer there, be it the one that was asked for; top goes on."""
    with tempfile.TemporaryDirectory() as top:
        output = Attached(t, top).watch(
            TOP_COMMAND + " -b -d 0.2 >> all 2>&1 & all=$!",
            TOP_COMMAND + " -b -d 0.2 vsock0 >> one 2>&1 & one=$!",
            until("devices: 1", "all"), until("devices: 1", "one"),
            DETACH, until("devices: 0", "all"), until("devices: 0", "one"),
            "ip link del vsock0; : > one; : > all",
            until("devices: 0", "all"), until("devices: 0", "one"),
            "kill $all $one && echo both ran on; grep vsfq: all one")
    t.equal(output, "both ran on\n", "output")


def test_batch_policy(t):
    """A class that comes or goes while it runs does so on the screen."""
    with tempfile.TemporaryDirectory() as top:
        p = Attached(t, top)
        p.write("policy", "class bulk { }")
        output = p.watch(
            TOP_COMMAND + " -b -d 0.2 >> all 2>&1 & all=$!",
            until("devices: 1", "all"), "grep '^  bulk' all",
            "vsfq apply policy", until("^  bulk", "all"),
            "vsfq policy clear; : > all",
            # The first may have been read before.
            "until [ $(grep -c 'devices: 1' all) -gt 2 ]; do sleep 0.1; done",
            "kill $all; awk '/devices: 1/ { n++ } n > 1' all | grep bulk")
    t.equal(output, "", "output")


def test_batch_errors(t):
    complains(t, VSFQ, "top -b nosuchdev0", FAILED, '"nosuchdev0"',
              "no such device")
    complains(t, VSFQ, "top -b lo", FAILED, '"lo"', "not a vsock device")
    t.equal(t.machine(VSFQ + " top -b -d 0.1 > /dev/full"),
            (FAILED, 'vsfq: cannot write "standard output": '
             "No space left on device\n"), "on a full device")


def test_no_display(t):
    """One line says why there is none, and what works."""
    complains(t, VSFQ, "top < /dev/null", FAILED, '"standard input" is no terminal',
              "try: vsfq top -b")
    for how, word in (({"term": "nosuchterm"}, '"nosuchterm": unknown'),
                      ({"term": "dumb"}, '"dumb": this type cannot move'),
                      ({"columns": 79}, "smaller than 80 columns"),
                      ({"lines": 7}, "8 lines")):
        terminal = Terminal(t, VSFQ + " top", **how)
        t.equal(terminal.leaves(), FAILED, "status of %r" % how)
        t.check(re.search(r"(^|\x1b\S*|\r\n?|\x0f)vsfq: cannot show a display on "
                          r"[^\n]* \(try: vsfq top -b\)\r\n$",
                          terminal.seen) and word in terminal.seen,
                "no %r in %r" % (word, terminal.seen))


def test_live(t):
    """The keys, and that the terminal is left as it was found."""
    with tempfile.TemporaryDirectory() as top:
        p = Attached(t, top)
        terminal = Terminal(t, p.command(
            *p.attach(), TOP_COMMAND + " -d 0.2; status=$?",
            "kill $sender; exit $status", namespaces="-mn"))
        terminal.reads("quit")
        terminal.reads("3:1024 2:5000 dgram")
        terminal.types(">")
        terminal.reads("QUEUE")
        terminal.types("<")
        terminal.reads("COST%")
        terminal.types("p")
        terminal.reads(", paused")
        terminal.types("h?")
        terminal.reads("quit")
        terminal.types("q")
        t.equal(terminal.leaves(), DONE, "status")
        t.check("\x1b[?1049l" in terminal.seen, "the screen stays")


def test_live_ends(t):
    """After as many screens as it was given, or by a signal."""
    terminal = Terminal(t, VSFQ + " top -c 2 -d 0.1")
    t.equal(terminal.leaves(), DONE, "status after two screens")
    terminal = Terminal(t, "exec %s top" % VSFQ)
    terminal.reads("quit")
    os.kill(terminal.pid, signal.SIGTERM)
    t.equal(terminal.leaves(), DONE, "status after a signal")
    t.check("\x1b[?1049l" in terminal.seen, "the screen stays")
