# SPDX-License-Identifier: GPL-2.0-only
"""Our programs, run on this machine."""

VSFQ = "build/vsfq"
VSLOAD = "build/vsload"
DONE, FAILED, USAGE = 0, 1, 2


def complains(t, program, arguments, status, *words):
    """It fails with @status and one line of its own that has all @words."""
    have, output = t.machine("%s %s" % (program, arguments), limit=20)
    t.equal(have, status, "status of %s %s" % (program, arguments))
    t.check(output.startswith(program.split("/")[-1] + ": ") and
            output.count("\n") == 1,
            "%s: not one line of its own: %r" % (arguments, output))
    for word in words:
        t.check(word in output, "%s: not a word of %s: %s" %
                (arguments, word, output))
