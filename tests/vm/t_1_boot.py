# SPDX-License-Identifier: GPL-2.0-only
"""The bed itself, and the devices that the series adds."""

BED = "pair"

ARPHRD_VSOCK = "827"


def test_host_is_up(t):
    t.host("test -c /dev/kvm && test -c /dev/vhost-vsock && test -d /sys/fs/bpf")


def test_guest_is_up(t):
    t.guest("test -c /dev/vsock && grep -q guest42 /proc/sys/kernel/hostname")


def test_machine_is_read_only(t):
    """What a VM writes stays in its memory."""
    t.host("touch /vsfq-was-here && test -e /vsfq-was-here")
    status, _ = t.machine("test -e /vsfq-was-here")
    t.check(status != 0, "the host VM wrote to this machine's file system")


def test_control_network(t):
    t.guest("busybox ping -c 1 -W 20 192.168.42.1")


def test_bpf_qdisc_in_btf(t):
    t.host("bpftool=%s; $bpftool btf dump file /sys/kernel/btf/vmlinux |"
           " grep -q bpf_qdisc_skb_drop" % t.tool("bpftool"))


def device(t, vm, pattern):
    names = t.run(vm, "ls /sys/class/net").split()
    found = [n for n in names if n.startswith(pattern)]
    t.equal(len(found), 1, "number of devices like %s" % pattern)
    return found[0]


def test_guest_device(t):
    dev = device(t, t.bed.guest, "virtio-vsock")
    kind = t.guest("cat /sys/class/net/%s/type" % dev).strip()
    t.equal(kind, ARPHRD_VSOCK, "type of %s" % dev)


def test_host_device(t):
    """One for each guest, named by its CID."""
    dev = device(t, t.bed.host, "vhost-vsock")
    port = t.host("cat /sys/class/net/%s/phys_port_name" % dev).strip()
    t.equal(port, "cid42", "port name of %s" % dev)
