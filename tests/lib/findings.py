# SPDX-License-Identifier: GPL-2.0-only
"""What "vsfq doctor" printed."""

import re


def findings(text):
    """Of the lines of doctor: {(level, about): [finding with its fix]}."""
    found = {}
    for level, about, rest in re.findall(
            r"^(ok|warning|problem) +(\S+): (.*)$", text, re.M):
        found.setdefault((level, about), []).append(rest)
    return found


def finds(t, text, level, about, *words):
    """There is one such finding that has all words."""
    for rest in findings(text).get((level, about), []):
        if all(word in rest for word in words):
            return
    t.fail("no %s of %s with %r in\n%s" % (level, about, words, text))
