# SPDX-License-Identifier: GPL-2.0-only
"""Users without privilege next to the pins of root."""

from policies import NOBODY, needs_tun, with_one

NEEDS = "needs CAP_BPF and CAP_NET_ADMIN (try: root)\n"


def test_detach_refused(t):
    """Not in silence, and by what is missing."""
    with with_one(t) as p:
        for what, answer in {"all": "cannot look what is attached: ",
                             "some0": 'cannot detach "some0": '}.items():
            output = p.run("vsfq apply one", "%s $here/build/vsfq detach %s; "
                           "echo $?" % (NOBODY, what))
            t.equal(output, "vsfq: " + answer + NEEDS + "1\n", "output")


def test_attach_refused(t):
    """It asks for CAP_PERFMON as well."""
    needs_tun(t)
    with with_one(t) as p:
        output = p.run(
            "vsfq apply one", "$here/tests/sight/fake.py vsock0 || exit 77",
            NOBODY + "$here/build/vsfq attach vsock0", namespaces="-mn")
        t.equal(output, 'vsfq: cannot attach "vsock0": ' +
                NEEDS.replace(" and", ", CAP_PERFMON and"), "output")


def test_lock_of_another(t):
    """Who may read the directory cannot keep root waiting."""
    with with_one(t) as p:
        output = p.run(
            "chmod 755 /sys/fs/bpf; mkfifo -m 666 fifo",
            NOBODY + "flock -F /sys/fs/bpf sh -c 'echo > fifo; exec sleep 60' &",
            "read line < fifo; timeout 20 $here/build/vsfq apply one; echo $?",
            "kill $!; stat -c '%a %u' /run/vsfq.lock")
        t.equal(output, "0\n600 0\n", "output")


def test_directory_of_another(t):
    """He could move what is pinned in it out of the way."""
    with with_one(t) as p:
        output = p.run(
            "chmod 1777 /sys/fs/bpf", NOBODY + "mkdir -p /sys/fs/bpf/vsfq/x",
            "vsfq apply one; echo $?", "ls /sys/fs/bpf/vsfq")
        t.equal(output, 'vsfq: cannot apply "one": /sys/fs/bpf/vsfq belongs to '
                "somebody else (try: rm -r it)\n1\nx\n", "output")
