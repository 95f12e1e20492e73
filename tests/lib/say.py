# SPDX-License-Identifier: GPL-2.0-only
"""One line about what is going on, for whoever waits."""

import sys


def say(text):
    print("vsfq: " + text, file=sys.stderr, flush=True)
