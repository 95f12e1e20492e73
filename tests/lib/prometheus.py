# SPDX-License-Identifier: GPL-2.0-only
"""A strict reader of Prometheus' text format, version 0.0.4."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HEADER = re.compile(r"# (HELP|TYPE) (%s) (.+)" % NAME)
SAMPLE = re.compile(r"(%s)(?:\{(.*)\})? (\S+)" % NAME)
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
PARTS = {"histogram": ("_bucket", "_sum", "_count")}


class Malformed(Exception):
    """This is not the format, or nothing that one should export."""


def need(truth, what, line):
    if not truth:
        raise Malformed("%s: %r" % (what, line))


def labels(text, line):
    """Unescaped; the whole of the text must be labels."""
    found, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        need(match, "label", line)
        name, value, comma = match.groups()
        need(name not in found, "label said twice", line)
        found[name] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1],
                             value)
        at = match.end()
        need(not comma or at < len(text), "comma at the end", line)
    return found


class Family:
    def __init__(self, name, help_text):
        self.name, self.help, self.type = name, help_text, None
        self.samples = {}       # (name, sorted labels): value

    def add(self, name, found, value, line):
        suffixes = PARTS.get(self.type, ("",))
        need(name in [self.name + s for s in suffixes], "foreign name", line)
        key = (name, tuple(sorted(found.items())))
        need(key not in self.samples, "said twice", line)
        need(value >= 0, "negative", line)
        self.samples[key] = value

    def check(self):
        need(self.type in ("counter", "gauge", "histogram"), "type", self.name)
        need((self.type == "counter") == self.name.endswith("_total"),
             "_total is for counters", self.name)
        if self.type == "histogram":
            self.check_histogram()

    def check_histogram(self):
        """Buckets grow, the last one holds all that was counted."""
        series = {}
        for (name, found), value in self.samples.items():
            rest = tuple(p for p in found if p[0] != "le")
            part = series.setdefault(rest, {"_bucket": []})
            if name.endswith("_bucket"):
                part["_bucket"].append((float(dict(found)["le"]), value))
            else:
                part[name[len(self.name):]] = value
        for rest, part in series.items():
            bounds, counts = zip(*part["_bucket"])
            need(list(bounds) == sorted(set(bounds)), "bounds", rest)
            need(list(counts) == sorted(counts), "not cumulative", rest)
            need(bounds[-1] == float("inf") and
                 counts[-1] == part["_count"] and "_sum" in part,
                 "+Inf, _sum, _count", rest)


def parse(text):
    """Return {family name: Family}, in which everything has been checked."""
    families, family = {}, None
    need(text.endswith("\n"), "no newline at the end", text[-80:])
    for line in text[:-1].split("\n"):
        header = HEADER.fullmatch(line)
        if header and header[1] == "HELP":
            need(header[2] not in families, "second HELP", line)
            family = families[header[2]] = Family(header[2], header[3])
        elif header:
            need(family and family.name == header[2] and not family.type and
                 not family.samples, "TYPE out of place", line)
            family.type = header[3]
        else:
            sample = SAMPLE.fullmatch(line)
            need(sample and family, "neither comment nor sample", line)
            family.add(sample[1], labels(sample[2] or "", line),
                       float(sample[3]), line)
    for family in families.values():
        family.check()
    return families
