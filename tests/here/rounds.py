# SPDX-License-Identifier: GPL-2.0-only
"""make torture and make storm, as far as no VM is needed: what they plan, count,
keep."""

import os
import tempfile

import record
from bed import TOP
from torture import NAMES, SAMPLE, Plan, stalls

TORTURE = os.path.join(TOP, "tests/torture")
STORM = os.path.join(TOP, "tests/storm")


def test_seed_decides(t):
    t.equal(vars(Plan(7, 5)), vars(Plan(7, 5)), "the same round once more")
    t.check(vars(Plan(8, 5)) != vars(Plan(7, 5)), "another seed is the same")


def test_all_get_their_turn(t):
    met = {plan.names[plan.sender]
           for plan in (Plan(3, n) for n in range(len(NAMES)))}
    t.equal(met, set(NAMES), "the disturbances of as many rounds")


def samples(*each, late=None):
    """One stream and a ping; for sample number @late the sampler slept 9 s."""
    now, result = 0, []
    for n, moved in enumerate(each):
        start, now = now, now + (9 if n == late else SAMPLE)
        result.append({"from": start, "to": now, "stream_each": [moved],
                       "ping": {"count": 1}})
    return {"pings": 1, "samples": result}


def without_ping(result, n):
    result["samples"][n]["ping"]["count"] = 0
    return result


def test_stalls(t):
    for what, (result, count) in {
            "the longest": (samples(1, 0, 0, 1, 0, 0, 0, 1), 3),
            "while the sampler slept": (samples(1, 0, 0, 1, late=1), 3),
            "of the ping": (without_ping(samples(1, 1, 1), 1), 1)}.items():
        t.equal(round(stalls(result) / SAMPLE), count,
                "the stall, %s, in samples" % what)


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


def test_wrong_words(t):
    for words, answer in {
            TORTURE + " seconds=soon": 'seconds "soon"',
            TORTURE + " seconds=": 'seconds ""',
            TORTURE + " seed=-1": 'seed "-1"',
            TORTURE + " fast": '"fast"',
            TORTURE + " round=1": "a round without a seed",
            STORM + " packets=all": 'packets "all"',
            STORM + "-uml packets=all": 'packets "all"',
            STORM + " round=1": '"round=1"'}.items():
        status, output = t.machine(words)
        t.equal((status, output.count("\n")), (2, 1), "status and lines")
        t.check(answer in output, "not a word of %s: %s" % (answer, output))
