# SPDX-License-Identifier: GPL-2.0-only
"""Words of a command line, "name=number"."""

import re


def numbers(words, defaults):
    """Returns @defaults with what @words say instead."""
    options = dict(defaults)
    for word in words:
        name, _, value = word.partition("=")
        if name not in options:
            raise ValueError('"%s": not one of %s' % (
                word, ", ".join(n + "=" for n in options)))
        if not re.fullmatch(r"\d{1,9}", value):
            raise ValueError('%s "%s": not a number from 0 to 999999999' %
                             (name, value))
        options[name] = int(value)
    return options
