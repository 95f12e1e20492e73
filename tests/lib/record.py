# SPDX-License-Identifier: GPL-2.0-only
"""Long runs in rounds, which a seed decides and which can be interrupted.

Every round is a line of JSON in the kernel's cache directory. A run goes on
after its last whole round, with all that it has counted. A round whose VM was
lost by emulation is repeated.
"""

import glob
import hashlib
import json
import os
import random
import time
import traceback

from accel import find_accel
from again import MAX_BOOTS
from bed import Bed, BedError, kernel_of
from case import Failed, Test
from say import say
from words import numbers


# Where so much fails the rest tells nothing new.
MAX_FAILED = 20


class Record:
    """All rounds of one seed, in a file; @unit of them is what is used up."""

    def __init__(self, path, seed, unit):
        self.path, self.seed, self.unit, self.rounds = path, seed, unit, []
        if os.path.exists(path):
            with open(path) as f:
                self.rounds = [json.loads(line) for line in f]

    @property
    def used(self):
        return sum(r.get(self.unit, 0) for r in self.rounds)

    def done(self):
        return [r for r in self.rounds if r["result"] != "lost"]

    def failed(self):
        return [r for r in self.rounds if r["result"] == "failed"]

    def add(self, entry):
        """Save it in one step: the file has whole rounds, or one less."""
        self.rounds.append(entry)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path + ".new", "w") as f:
            f.writelines(json.dumps(r) + "\n" for r in self.rounds)
        os.replace(self.path + ".new", self.path)


def directory(kind):
    """Where the runs of these kernels are: mostly host and guest have one."""
    key = hashlib.sha256()
    for path in dict.fromkeys(kernel_of(side, os.environ["KERNEL"])[0]
                              for side in ("host", "guest")):
        with open(path, "rb") as f:
            key.update(f.read())
    key = key.hexdigest()[:16]
    return os.path.join(os.path.dirname(os.environ["KERNEL_DIR"]), kind, key)


def parse(words, unit, limit):
    """Of a command line: how many of @unit, which seed, which round alone."""
    options = numbers(words, {unit: limit, "seed": None, "round": None})
    if options["round"] is not None and options["seed"] is None:
        raise ValueError("a round without a seed")
    return options.values()


def record_of(kind, unit, seed):
    return Record(os.path.join(directory(kind), "%d.jsonl" % seed), seed, unit)


def unfinished(kind, unit, limit):
    """The latest run that has something left of @limit, or a new one."""
    found = sorted(glob.glob(os.path.join(directory(kind), "*.jsonl")),
                   key=os.path.getmtime, reverse=True)
    for path in found:
        record = record_of(kind, unit,
                           int(os.path.basename(path).split(".")[0]))
        if record.used < limit:
            return record
    return record_of(kind, unit, random.SystemRandom().randrange(10 ** 9))


def wanted(kind, unit, seed, limit):
    """The run of this seed, or without one the one to go on with."""
    return record_of(kind, unit, seed) if seed is not None else \
        unfinished(kind, unit, limit)


def run_round(bed, number, what, work):
    """Returns what is recorded of a round: what @work(test) returns, if it did,
    how it ended and how long it took."""
    test, start = Test(bed), time.monotonic()
    say("round %d: %s" % (number, what))
    entry = {"round": number, "result": "passed", "what": what}
    problems = []
    try:
        entry.update(work(test))
    except (Failed, BedError) as err:
        problems.append(str(err))
    except Exception:
        problems.append(traceback.format_exc())
    try:
        problems += test.finish()
    except BedError as err:
        problems.append("cleaning up: %s" % err)
    if problems:
        entry["result"] = "lost" if bed.emulation_failed() else "failed"
        entry["why"] = "\n".join(problems)
        say("%s: %s" % (entry["result"], entry["why"]))
    entry["seconds"] = round(time.monotonic() - start, 1)
    return entry


def rounds(record, limit, run, **options):
    """Rounds, run(bed, seed, number) each, until @limit is used up; a new bed
    after each that failed."""
    boots = lost = 0
    while record.used < limit and len(record.failed()) < MAX_FAILED:
        start = time.monotonic()
        try:
            # With one CPU emulation has lost a VM once, with two often.
            with Bed(os.environ["KERNEL"], find_accel(),
                     cpus=2 if lost < 2 else 1, **options) as bed:
                boots, booted = 0, time.monotonic() - start
                entry = None
                while record.used < limit and bed.alive() and (
                        not entry or entry["result"] == "passed"):
                    entry = run(bed, record.seed, len(record.done()))
                    entry["seconds"] = round(entry["seconds"] + booted, 1)
                    booted = 0
                    record.add(entry)
                    lost = lost + 1 if entry["result"] == "lost" else 0
        except BedError as err:
            boots += 1
            if boots == MAX_BOOTS:
                raise
            say("booting again: %s" % str(err).splitlines()[0])


def told(entry):
    """Say how a round ended that counts nowhere; returns the exit status."""
    print(json.dumps(entry))
    return 0 if entry["result"] == "passed" else 1


def replay(seed, number, run, **options):
    """One round; again if emulation lost a VM."""
    for _ in range(MAX_BOOTS):
        with Bed(os.environ["KERNEL"], find_accel(), **options) as bed:
            entry = run(bed, seed, number)
        if entry["result"] != "lost":
            break
    return told(entry)


def run_all(record, limit, run, summary, **options):
    """All that is left to do; returns the exit status."""
    say("seed %d, %d of %d %s used in %d rounds: %s" % (
        record.seed, record.used, limit, record.unit, len(record.done()),
        record.path))
    try:
        rounds(record, limit, run, **options)
    except (BedError, KeyboardInterrupt) as err:
        say(str(err) or "interrupted: the same again goes on with the seed")
        summary(record)
        return 1
    summary(record)
    return 1 if record.failed() else 0
