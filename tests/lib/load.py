# SPDX-License-Identifier: GPL-2.0-only
"""Devices in one of three configurations, and loads through them."""

import json
import os
import re

from bed import TOP

VSLOAD = os.path.join(TOP, "build/vsload")
VSFQ = os.path.join(TOP, "build/vsfq")
GUEST_DEV = "virtio-vsock0"
HOST_DEV = "vhost-vsock0"

# pfifo_fast by name: the default that nobody touched takes the direct path.
CONFIGS = {
    "down": "ip link set {dev} down",
    "pfifo_fast": "ip link set {dev} up && "
                  "tc qdisc replace dev {dev} root pfifo_fast",
    "vsfq": "ip link set {dev} up && {vsfq} attach {dev}",
}
# What vsload says of data that is not what was sent, not of what did not come.
WRONG = re.compile("wrong (content|message bounds|answer)")
# Of interest only to who measures that it costs nothing.
UNTOUCHED = {"default": "ip link set {dev} up"}


class LoadError(Exception):
    """A load did not run, or did not verify."""


def configuring(dev, config):
    """A command that puts a device into one of these from any other."""
    command = {**CONFIGS, **UNTOUCHED}[config]
    return ("{{ {vsfq} detach {dev}; tc qdisc del dev {dev} root; }} "
            ">/dev/null 2>&1; " + command).format(dev=dev, vsfq=VSFQ)


def configure(vm, dev, config):
    status, output = vm.run(configuring(dev, config))
    if status:
        raise LoadError("%s: cannot configure %s as %s:\n%s" %
                        (vm.name, dev, config, output))


def configure_both(bed, config):
    configure(bed.guest, GUEST_DEV, config)
    configure(bed.host, HOST_DEV, config)


def up(t, vm=None, dev=GUEST_DEV):
    """Bring a device, the guest's or @vm's, up for one test; tc's traces end with
    it."""
    vm = vm or t.bed.guest
    t.cleanup(vm, "tc qdisc del dev {0} root; tc qdisc del dev {0} clsact; "
              "ip link set {0} down".format(dev))
    t.run(vm, "ip link set %s up" % dev)


def attach_all(t, vm):
    """Attach every vsock device of @vm and set it up, for the caller to undo
    or to leave: it takes long in an emulated guest."""
    t.run(vm, "for d in $(ls /sys/class/net | grep vsock); do"
          " ip link set $d up || exit 1; done; %s attach all" % VSFQ,
          limit=300)


def make_other_version(t, vm):
    """A program with other BPF code in it, though it does the same."""
    t.run(vm, "sed 's/return map ? bpf_map_lookup/return mop ? bpf_map_lookup/'"
          " %s > /run/other && chmod +x /run/other" % VSFQ)
    t.cleanup(vm, "rm /run/other")


def serve(bed, port=5000):
    """Start the server in the host; it ends with the bed."""
    job = bed.host.start("exec %s server --port %d" % (VSLOAD, port), 86400)
    if not job.says("serving"):
        raise LoadError("vsload does not serve:\n%s" % job.output)


def load(bed, options, limit=60):
    """Run a client in the guest; return what it measured."""
    status, output = bed.guest.run(
        "%s client --cid 2 %s --json /run/vsfq/load.json" % (VSLOAD, options),
        limit)
    if status:
        raise LoadError("vsload client %s: exit status %d\n%s" %
                        (options, status, output[-4000:]))
    with open(os.path.join(bed.guest.share, "load.json")) as f:
        return json.load(f)
