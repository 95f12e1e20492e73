# SPDX-License-Identifier: GPL-2.0-only
"""Packets of a hostile guest for a kernel that is a program, and faults in
every step of a socket's life: vshostile and vsfault in user-mode Linux."""

import faults
import storm
import uml

# A kernel that checks itself, beside whatever else runs.
WORST_MS = 30000

# What a socket needs is refused, over loopback, and what a device of the host does.
SWEEP = faults.FUNCTIONS + """
coproc build/vsfault echo 5700
read -r <&${COPROC[0]}
possible any && build/vsfault sweep 1 5700 && confined vhost &&
	build/vshostile case no-memory
status=$?
no_faults
kill $COPROC_PID
exit $status
"""


def storm_uml(kernel, seed, packets, limit, cpus, setup, sweep=False,
              share=storm.SHARE):
    """Returns the figures of it; begins with a @sweep."""
    script = storm.command_of(seed, packets, setup)
    if sweep:
        script = "(%s) && %s" % (SWEEP, script)
    status, output = uml.run(kernel, script, limit, cpus=cpus)
    if status:
        raise uml.UmlError("exit status %d:\n%s" % (status, output))
    figures = storm.figures_of(output)
    wrong = storm.problem(figures, WORST_MS, share)
    if wrong:
        raise uml.UmlError(wrong)
    return figures
