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


def run(kernel, script, limit, vsock=None, cpus=2):
    """Run the shell commands @script on @cpus; returns their exit status and
    output.

    If there is a socket @vsock, who listens there is the device of the kernel's
    vsock driver (vhost-user).

    Raises UmlError if the kernel complained, lost memory or did not come to
    the end within @limit seconds.
    """
    with tempfile.TemporaryDirectory() as top:
        path = os.path.join(top, "script")
        with open(path, "w") as f:
            f.write("cd %s\n(\n%s\n)\nstatus=$?\necho %s\n%sexit $status\n" %
                    (TOP, script, MARK, LEAKS))
        said = output_of([
            kernel, "mem=1G", "ncpus=%d" % cpus, "seccomp=on",
            "rootfstype=hostfs", "ro", "con=null", "con0=null,fd:1", "con1=null", "ssl=null",
            "uml_dir=" + top, "init=" + INIT, "vsfq.script=" + path] +
            (["virtio_uml.device=%s:19" % vsock] if vsock else []), limit)
    # UML has complaints about its own boot.
    said = said.partition("as init process")[2]
    output, _, leaks = said.partition(MARK)
    status = re.search(r"^vsfq\.status=(\d+)", said, re.M)
    if complaint(said) or "unreferenced object" in leaks or not status:
        raise UmlError(said[-6000:])
    return int(status[1]), output


def output_of(command, limit):
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=limit, text=True,
            errors="replace").stdout
    except subprocess.TimeoutExpired as err:
        raise UmlError("not done after %d s:\n%s" % (
            limit, (err.stdout or b"").decode(errors="replace")[-6000:]))
