# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that is a program: runs one script and ends.

It is built for VARIANT=uml and finds its root where this machine has it, read-
only. What it prints is the script's output and its own, in one stream.
"""

import os
import re
import subprocess
import tempfile

from bed import LEAKS, TOP, complaint

INIT = os.path.join(TOP, "tests/vm/uml-init")
# Between what the script says and what kmemleak says.
MARK = "vsfq.leaks"


class UmlError(Exception):
    """The kernel did not get to the end of the script."""


def run(kernel, script, limit):
    """Run the shell commands @script; returns their exit status and output.

    Raises UmlError if the kernel complained, lost memory or did not come to
    the end within @limit seconds.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as f:
        f.write("cd %s\n(\n%s\n)\nstatus=$?\necho %s\n%sexit $status\n" %
                (TOP, script, MARK, LEAKS))
        f.flush()
        try:
            done = subprocess.run(
                [kernel, "mem=1G", "ncpus=2", "rootfstype=hostfs", "ro",
                 "init=" + INIT, "con=null", "con0=null,fd:1", "con1=null",
                 "vsfq.script=" + f.name], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=limit, text=True, errors="replace")
            said = done.stdout
        except subprocess.TimeoutExpired as err:
            raise UmlError("not done after %d s:\n%s" % (
                limit, (err.stdout or b"").decode(errors="replace")[-6000:]))
    status = re.search(r"^vsfq\.status=(\d+)", said, re.M)
    output, _, leaks = said.partition(MARK)
    if complaint(said) or "unreferenced object" in leaks or not status:
        raise UmlError(said[-6000:])
    return int(status[1]), output
