# SPDX-License-Identifier: GPL-2.0-only
"""make torture and make storm, as far as no VM is needed: what they plan, count,
keep."""

import json
import os
import tempfile

import record
from bed import TOP
from case import Failed, Test
from situations import ledger_of
from torture import NAMES, NARROW, SAMPLE, Plan, check_datagrams, stalls

TORTURE = os.path.join(TOP, "tests/torture")
STORM = os.path.join(TOP, "tests/storm")


def test_seed_decides(t):
    t.equal(vars(Plan(7, 5)), vars(Plan(7, 5)), "the same round once more")
    t.check(vars(Plan(8, 5)) != vars(Plan(7, 5)), "another seed is the same")


def test_all_get_their_turn(t):
    met = {plan.names[plan.sender]
           for plan in (Plan(3, n) for n in range(len(NAMES)))}
    t.equal(met, set(NAMES), "the disturbances of as many rounds")


def test_many(t):
    """Many streams, and a way back, now and then; many where there is room."""
    plans = [Plan(7, n) for n in range(100)]
    t.equal({(plan.many, bool(plan.back)) for plan in plans},
            {(m, b) for m in (False, True) for b in (False, True)}, "rounds")
    t.check(not any(plan.many and plan.under(NARROW) for plan in plans),
            "many streams in a short queue")


def samples(*each, late=None):
    """One stream and a ping; for sample number @late the sampler slept 9 s."""
    now, result = 0, []
    for n, moved in enumerate(each):
        start, now = now, now + (9 if n == late else SAMPLE)
        result.append({"from": start, "to": now, "stream_each": [moved],
                       "ping": {"count": 1}})
    return {"pings": 1, "samples": result, "drain": []}


def without_ping(result, n):
    result["samples"][n]["ping"]["count"] = 0
    return result


def drained(result, *each, pings=True):
    """What moved of the stream in the end."""
    now = result["samples"][-1]["to"]
    for moved in each:
        start, now = now, now + SAMPLE
        result["drain"].append({"from": start, "to": now, "streams": [moved],
                                "pings": pings})
    return result


def test_stalls(t):
    for what, (result, count) in {
            "the longest": (samples(1, 0, 0, 1, 0, 0, 0, 1), 3),
            "while the sampler slept": (samples(1, 0, 0, 1, late=1), 3),
            "of the ping": (without_ping(samples(1, 1, 1), 1), 1),
            "in the end": (drained(samples(1, 0), False, False, True), 3),
            "of the last ping": (drained(samples(1, 1), True, True,
                                         pings=False), 2)}.items():
        t.equal(round(stalls(result) / SAMPLE), count,
                "the stall, %s, in samples" % what)


def test_ledger(t):
    """Whichever counter is the last one, and whatever is shown around them."""
    shown = "Error: x: 1\nNIC statistics:\n     grants: 12\n     newer: 3\nx: 5\n"
    t.equal(ledger_of(shown), {"grants": 12, "newer": 3}, "the ledger")


def test_datagrams(t):
    """Those that are in no counter are noticed; counters may be missing."""
    case = Test(None)
    dgrams = {"sent": 10, "received": 4, "overflow": 3, "stray": 0}
    sender, receiver = {"dgram_dropped_by_tc": 2}, {"rx_dgram_dropped": 1}
    check_datagrams(case, dgrams, sender, receiver)
    for wrong in ({**dgrams, "received": 3}, sender, receiver), \
            (dgrams, sender, {}), (dgrams, {}, receiver), \
            ({**dgrams, "stray": 1}, sender, receiver):
        try:
            check_datagrams(case, *wrong)
        except Failed:
            continue
        t.fail("not noticed: %r" % (wrong,))


def test_resumes(t):
    """After the last whole round; the one that was lost is to be repeated."""
    with tempfile.TemporaryDirectory() as top:
        path = os.path.join(top, "kernel", "3.jsonl")
        run = record.Record(path, 3, "seconds")
        for result, seconds in ("passed", 10), ("lost", 5), ("failed", 20):
            run.add({"result": result, "seconds": seconds})
        again = record.Record(path, 3, "seconds")
        t.equal((again.used, len(again.done())), (35, 2), "time and rounds")
        t.equal(len(again.failed()), 1, "rounds that failed")
        record.directory = lambda kind: os.path.dirname(path)
        left = record.unfinished("torture", "seconds", 36)
        t.equal(left.seed, 3, "the run that has time left")
        t.equal(record.unfinished("torture", "seconds", 35).used, 0,
                "what a run has used whose time was over")


def test_one_round(t):
    """It is the one that was asked for, and is in no record."""
    with tempfile.TemporaryDirectory() as top:
        status, output = t.machine(
            "mkdir {0}/kernel && KERNEL=/bin/false KERNEL_DIR={0}/kernel "
            "{1}-uml seed=3 round=5".format(top, STORM))
        said = json.loads(output.splitlines()[-1])
        t.equal((status, said["round"], said["result"]), (1, 5, "failed"),
                "status, and what is said of the round")
        t.check("seed 300005, " in said["what"], said["what"])
        t.equal(os.listdir(top), ["kernel"], "what is left")


def test_wrong_words(t):
    for words, answer in {
            TORTURE + " seconds=soon": 'seconds "soon"',
            TORTURE + " seconds=": 'seconds ""',
            TORTURE + " seed=-1": 'seed "-1"',
            TORTURE + " fast": '"fast"',
            TORTURE + " round=1": "a round without a seed",
            STORM + " packets=all": 'packets "all"',
            STORM + "-uml packets=all": 'packets "all"',
            STORM + " round=1": "a round without a seed",
            STORM + "-uml round=1": "a round without a seed",
            STORM + " rounds=1": '"rounds=1"'}.items():
        status, output = t.machine(words)
        t.equal((status, output.count("\n")), (2, 1), "status and lines")
        t.check(answer in output, "not a word of %s: %s" % (answer, output))
