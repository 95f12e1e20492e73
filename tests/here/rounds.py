# SPDX-License-Identifier: GPL-2.0-only
"""make torture, as far as no VM is needed: what it plans, counts, keeps."""

import importlib.machinery
import importlib.util
import os
import tempfile

from bed import TOP
from torture import NAMES, SAMPLE, Plan, stalls

PROGRAM = os.path.join(TOP, "tests/torture")


def program():
    loader = importlib.machinery.SourceFileLoader("tests_torture", PROGRAM)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


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
    torture = program()
    with tempfile.TemporaryDirectory() as top:
        path = os.path.join(top, "kernel", "3.jsonl")
        record = torture.Record(path, 3)
        for result, seconds in ("passed", 10), ("lost", 5), ("failed", 20):
            record.add({"result": result, "seconds": seconds})
        again = torture.Record(path, 3)
        t.equal((again.used, len(again.done())), (35, 2), "time and rounds")
        torture.directory = lambda: os.path.dirname(path)
        t.equal(torture.unfinished(36).seed, 3, "the run that has time left")
        t.check(torture.unfinished(35).used == 0, "it went on without time")


def test_wrong_words(t):
    for words, answer in {
            "seconds=soon": 'seconds "soon"', "seconds=": 'seconds ""',
            "seed=-1": 'seed "-1"', "fast": '"fast"',
            "round=1": "a round without a seed"}.items():
        status, output = t.machine("%s %s" % (PROGRAM, words))
        t.equal((status, output.count("\n")), (2, 1), "status and lines")
        t.check(answer in output, "not a word of %s: %s" % (answer, output))
