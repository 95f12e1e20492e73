# SPDX-License-Identifier: GPL-2.0-only
"""A host that lies to its guest: vshostile is the device, and serves in the
guest."""

import os
import re
import subprocess
import tempfile
import time

import faults
import uml
from storm import HOSTILE, MET, met_of

# To begin anew, on the direct path and in turn under a qdisc. In user-mode Linux
# that is also for the device, which then may have other features.
BIND = """
bind_again()
(
	cd /sys/bus/platform/drivers/virtio-uml 2>/dev/null ||
		cd /sys/bus/virtio/drivers/vmw_vsock_virtio_transport || exit
	dev=$(basename virtio*) && echo $dev >unbind && echo $dev >bind || exit
	[ $(($1 % 2)) = 0 ] || { ip link set virtio-vsock0 up && tc qdisc replace \\
		dev virtio-vsock0 root netem delay 1ms loss 20%; }
)
"""

# Faults of the driver's, before all that. User-mode Linux's own code for virtio
# does not let go of an interrupt that it could not have.
SWEEP = faults.FUNCTIONS + """
dev=$(basename %s/virtio*)
possible any && confined vsock vu && %s && %s
status=$?
no_faults
[ $status = 0 ] || exit $status
""" % (faults.DRIVER, faults.PROBE.format("$dev"), faults.REMOVE.format("$dev"))

# After each wedge of the rings, until @log says that it is done.
SERVE = BIND + """
coproc build/vshostile serve 2
read -r <&${COPROC[0]}
n=0
until grep -q ^done @log; do
	if grep -q "^wedged $((n + 1))," @log; then
		bind_again $n || exit
		n=$((n + 1))
	else
		sleep 0.1
	fi
done
kill $COPROC_PID
cat <&${COPROC[0]}
wait $COPROC_PID
"""


def command_of(path, seed, packets):
    return [HOSTILE, "liar", path, "42", "--seed", str(seed), "--packets",
            str(packets)]


# What has to be reached in a guest with all that the device may offer; "again"
# is a connection from another CID than the one before.
WANTED = "streams", "seqpackets", "dgrams", "whole", "moved", "again"
# What the two say in the end.
SAID = {
    "packets": r"^done, (\d+) packets",
    "received": r"(\d+) heard",
    "wedges": r"(\d+) wedges",
    "events": r"(\d+) events",
    "repeated": r"(\d+) repeated by the seed",
}
SERVED = {
    "streams": r"(\d+) streams",
    "seqpackets": r"(\d+) seqpackets",
    "dgrams": r"(\d+) datagrams",
    "whole": r"(\d+) put together",
    "wrong": r"(\d+) of wrong pieces",
    "again": r"(\d+) from another CID",
    "resets": r"(\d+) resets,",
    "moved": r"(\d+) with another CID",
    "missed": r"(\d+) resets missed",
    "others": r"(\d+) other ends",
}


def figures_of(said, served):
    """Of the liar's output, and of the one's who serves in the guest."""
    figures = {"met": met_of(said)}
    for names, output in (SAID, said), (SERVED, served):
        for name, what in names.items():
            figures[name] = int(re.search(what, output, re.M)[1])
    return figures


def problem(figures, wanted):
    """What is wrong with them, or nothing; @wanted has to have happened."""
    for name in wanted:
        if not figures[name]:
            return "nothing was counted as \"%s\"" % name
    if not figures["repeated"]:
        return "it said what its seed does not repeat"
    if figures["wrong"]:
        return "%d datagrams were made of wrong pieces" % figures["wrong"]
    if figures["missed"] or figures["others"]:
        return "a connection outlived its CID, or ended otherwise"
    if figures["met"] < MET:
        return "%d %% of all combinations were met" % figures["met"]
    return None


def read(path):
    with open(path) as f:
        return f.read()


def lie(kernel, seed, packets, limit, cpus, wanted=WANTED, sweep=False):
    """To a @kernel that is a program, on @cpus; returns the figures. Begins with
    a @sweep."""
    with tempfile.TemporaryDirectory() as top:
        path, log = os.path.join(top, "device"), os.path.join(top, "log")
        with open(log, "w") as f:
            liar = subprocess.Popen(command_of(path, seed, packets), stdout=f,
                                    stderr=f, cwd=uml.TOP)
        try:
            while "waiting" not in read(log) and liar.poll() is None:
                time.sleep(0.05)
            script = (SWEEP if sweep else "") + SERVE.replace("@log", log)
            status, output = uml.run(kernel, script, limit, vsock=path,
                                     cpus=cpus)
        finally:
            liar.kill()
            liar.wait()
        said = read(log)
    if status:
        raise uml.UmlError("exit status %d:\n%s\n%s" % (status, output, said))
    figures = figures_of(said, output)
    if problem(figures, wanted):
        raise uml.UmlError("%s:\n%s\n%s" % (problem(figures, wanted), output,
                                            said))
    return figures
