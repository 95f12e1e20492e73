# SPDX-License-Identifier: GPL-2.0-only
"""A host that lies to its guest: vshostile is the device, and serves in the
guest."""

import os
import re
import subprocess
import tempfile
import time

import uml
from storm import HOSTILE

# To begin anew, on the direct path and in turn under a qdisc.
BIND = """
bind_again()
(
	cd /sys/bus/virtio/drivers/vmw_vsock_virtio_transport &&
	dev=$(basename virtio*) && echo $dev >unbind && echo $dev >bind || exit
	[ $(($1 % 2)) = 0 ] || { ip link set virtio-vsock0 up && tc qdisc replace \\
		dev virtio-vsock0 root netem delay 1ms loss 20%; }
)
"""

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
"""


def command_of(path, seed, packets):
    return [HOSTILE, "liar", path, "42", "--seed", str(seed), "--packets",
            str(packets)]


def figures_of(output):
    """What it says in the end."""
    done = re.search(r"^done, (\d+) packets, (\d+) heard, (\d+) wedges", output,
                     re.M)
    return dict(zip(("packets", "received", "wedges"), map(int, done.groups())))


def read(path):
    with open(path) as f:
        return f.read()


def lie(kernel, seed, packets, limit):
    """To a @kernel that is a program; returns the figures."""
    with tempfile.TemporaryDirectory() as top:
        path, log = os.path.join(top, "device"), os.path.join(top, "log")
        with open(log, "w") as f:
            liar = subprocess.Popen(command_of(path, seed, packets), stdout=f,
                                    stderr=f, cwd=uml.TOP)
        try:
            while "waiting" not in read(log) and liar.poll() is None:
                time.sleep(0.05)
            status, output = uml.run(kernel, SERVE.replace("@log", log), limit,
                                     vsock=path)
        finally:
            liar.kill()
            liar.wait()
        said = read(log)
    if status:
        raise uml.UmlError("exit status %d:\n%s\n%s" % (status, output, said))
    return figures_of(said)
