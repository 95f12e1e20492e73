# SPDX-License-Identifier: GPL-2.0-only
"""Decides between KVM and emulation (TCG) for the host VM."""

import functools
import os
import re
import sys

from bed import Bed, BedError


def refusal():
    """Why KVM cannot carry a host VM that runs guests; None if it may."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "no access to /dev/kvm"
    with open("/proc/cpuinfo") as f:
        if not re.search(r"^flags.*\b(svm|vmx)\b", f.read(), re.M):
            return "/dev/kvm without svm or vmx in /proc/cpuinfo"
    for module in ["kvm_amd", "kvm_intel"]:
        path = "/sys/module/%s/parameters/nested" % module
        if os.path.exists(path):
            with open(path) as f:
                return None if f.read().strip() in "1Y" else path + " is off"
    return None


@functools.lru_cache(None)
def find_accel():
    """Return "kvm" only if a host VM boots with it and has KVM itself.

    A /dev/kvm may open and still fail at the first real kernel, so the probe
    is a boot.
    """
    why = refusal()
    if not why:
        try:
            with Bed(os.environ["KERNEL"], "kvm", cids=(), limit=30) as bed:
                if bed.host.run("test -c /dev/kvm && "
                                "grep -qwE 'svm|vmx' /proc/cpuinfo")[0] == 0:
                    return "kvm"
            why = "the host VM has no KVM of its own"
        except BedError as err:
            why = str(err)
    print("# emulating (TCG): %s" % why, file=sys.stderr, flush=True)
    return "tcg"
