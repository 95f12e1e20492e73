# SPDX-License-Identifier: GPL-2.0-only
"""The test bed: a host VM and, inside it, guest VMs, from one kernel.

    this machine                    directories of one test run
      |  9p: "/" read-only            SHARE/        the host's jobs and logs
      |  virtio-serial, one port      SHARE/CID/    a guest's jobs and logs
      v  for each agent and terminal
    host VM (KVM, vhost_vsock) -- tap CID, 192.168.CID.1 (for vsock_test)
      |  9p: its own "/"
      v  virtio-serial: the host's ports passed through, so that this
         machine talks to the guest's agent and terminal directly
    guest VM (virtio_transport), vhost-vsock-pci guest-cid=CID

Commands travel as files (Vm.start), notice of them by virtio-serial: ready
and done are events, nothing polls and nothing reads a console. The consoles
go to files; what a kernel prints there at "warning" and above is what the
runner looks for after each test.
"""

import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
AGENT = os.path.join(TOP, "tests/vm/agent")
INIT = os.path.join(TOP, "tests/vm/init")
QEMU = "qemu-system-x86_64"

# How many times longer than a plain kernel this one may take for everything.
PATIENCE = int(os.environ.get("PATIENCE", 1))
# A kernel that checks itself keeps a book about its memory, in it.
GUEST_MIB = 512 if PATIENCE == 1 else 1024
# It interprets ACPI's tables for minutes, if emulated. A host needs them all the
# same: without, it takes its clock for unstable, and KVM's guests stand still.
CHECKED = "" if PATIENCE == 1 else " acpi=off"

# The socket of who plays a guest's device, in the host.
LIAR = "/run/liar"

# The monitor of a guest's QEMU: commands go to .in of this, in the host.
MONITOR = "/run/monitor.%d"

# An interrupt for each virtqueue, as most devices have. A kick by port I/O needs
# no instruction decoded, all of it emulated: with writes to memory a round trip
# takes a third longer.
VIRTQUEUES = "vectors=4,modern-pio-notify=on"
VSOCK_DEVICE = "vhost-vsock-pci,id=vsock,guest-cid=%d," + VIRTQUEUES

# Legacy devices are reached by I/O ports. The first access to a page of device
# memory ends a nested guest ("KVM internal error. Suberror: 3") if it took an
# exception since its last exit: QEMU's SVM leaves the type of that exception in
# EXITINTINFO, invalid, and KVM takes it for one that is being delivered.
LEGACY = ",disable-modern=on,disable-legacy=off"

# Warnings only: each character costs VM exits, twice emulated in a guest.
# A stalled CPU is normal when two virtual CPUs share a busy real one.
CMDLINE = ("console=ttyS0 panic=-1 loglevel=5 "
           "rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60 "
           "vmw_vsock_virtio_transport.dgram=%s vhost_vsock.dgram=%s ") + \
    os.environ.get("BOOT", "") + " "

# Timers by the tick. To set and to fire an exact one are VM exits of the guest,
# some 1,500 a second, each of which empties the TLB of an emulated CPU: with
# them a guest does half as much.
EMULATED = "nohz=off highres=off "

# The clock of statistics is that of the TSC, which counts instructions.
COUNTED = "tsc=reliable "

# Emulated SVM sometimes enters a guest with registers of the host (QEMU 7.2 and
# 10.0). Such a guest exits for ever at one address, with nested page faults on
# memory it does not have. It is told by that: more than 20 exits, no other.
LIVELOCK = """
d=/sys/kernel/tracing/instances/bed; mkdir -p $d && cd $d || exit 1
echo > trace; echo 1 > events/kvm/kvm_exit/enable; sleep 0.2
echo 0 > events/kvm/kvm_exit/enable
awk '/kvm_exit/ { n++; sub(/.*reason /, ""); sub(/ info1.*/, "")
     if (n > 1 && $0 != last) other++; last = $0 }
     END { exit !(n > 20 && !other && last ~ /^npf/) }' trace
"""


# What a kernel says when something is wrong with it.
SPLAT = re.compile(r"WARNING: |BUG: |BUG \S+ \(|Oops|KASAN|UBSAN|refcount_t|INFO: task|"
                   r"INFO: rcu|possible (circular|recursive) locking|"
                   r"inconsistent lock state|suspicious RCU|"
                   r"general protection fault|Kernel panic|"
                   r"unregister_netdevice: waiting|list_(add|del) corruption|"
                   r"INFO: trying to register non-static key|ref_tracker: ")

# To change an instruction that another CPU may run the kernel puts a breakpoint
# there, and when all CPUs have heard of that, what shall be there. An emulated
# CPU has run the breakpoint after that (QEMU 7.2, once, in a BPF trampoline).
# And a nested guest got an interrupt on the first instruction of a system call,
# once, where they are disabled and the stack is still the program's; once on that
# of another interrupt; once in a spinlock, taken with interrupts disabled, which
# lockdep told. Of the two latter the frame has EFLAGS without IF (0x200).
MISEMULATED = re.compile(r"Oops: int3: |"
                         r"Oops: double fault: ((?!.*RIP:).*\n)+"
                         r".*RIP: 0010:entry_SYSCALL_64\+0x0/|"
                         r"asm_(sysvec_\w+|common_interrupt)\+.*\n"
                         r".*RIP: 0010:.*\n"
                         r"(.*\n){,3}.*RSP: .* EFLAGS: \w{5}[014589cd]")
# How often that is looked for.
WATCH_SECONDS = 5

# Reports of KCSAN, whose other users have races of their own.
RACE = re.compile(r"^.*={20,}\n.*BUG: KCSAN: (.*\n)*?.*={20,}\n", re.M)

# Who frees an interrupt removes a directory that there was no memory for when it
# was allocated, which register_irq_proc() tells nobody.
NO_PROC = re.compile(r"^.*WARNING: .* at remove_proc_entry\+(.*\n)*?.*end trace.*\n",
                     re.M)


def complaint(said):
    """@said without what is not ours, if it tells that something is wrong."""
    said = RACE.sub(lambda m: m[0] if re.search("vsock|vhost", m[0]) else "",
                    said)
    said = NO_PROC.sub(lambda m: "" if "unregister_irq_proc+" in m[0] else m[0],
                       said)
    return said if SPLAT.search(said) else ""


# What its allocator has lost, if this kernel looks for that. Objects count from
# an age of 5 s on (MSECS_MIN_AGE); the second scan is for those that moved.
KMEMLEAK = "/sys/kernel/debug/kmemleak"
LEAKS = """
sleep 6
echo scan >%s && echo scan >%s && cat %s
echo clear >%s
""".replace("%s", KMEMLEAK)


class BedError(Exception):
    """The test bed itself failed, not a test."""


class Job:
    """A command that runs in a VM."""

    def __init__(self, vm, ident, limit):
        self.vm, self.ident, self.limit = vm, ident, limit
        self.status = None
        self.done = threading.Event()

    def wait(self):
        """Return the exit status; 124 stands for out of time."""
        # The agent enforces the limit; the rest is for a VM that hangs.
        if not self.done.wait(self.limit + 20):
            self.vm.lost()
            raise BedError("the %s does not answer" % self.vm.name)
        if self.status is None:
            raise BedError("the %s is gone" % self.vm.name)
        return self.status

    @property
    def output(self):
        """What the command has written until now."""
        path = os.path.join(self.vm.share, self.ident + ".out")
        try:
            with open(path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def says(self, *texts, limit=60):
        """Wait for one of @texts in the output; tell whether it came."""
        end = time.monotonic() + limit * PATIENCE
        while not any(text in self.output for text in texts):
            if self.done.is_set() or time.monotonic() > end:
                return any(text in self.output for text in texts)
            time.sleep(0.1)
        return True


def listen(path):
    """A socket for one port, to which QEMU connects."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    return listener


class Vm:
    """One agent: runs commands in the host or in a guest.

    Besides, each VM has a terminal, which nothing uses by itself.
    """

    def __init__(self, name, share):
        self.name, self.share = name, share
        self.console = os.path.join(share, "console")
        self.jobs, self.count = {}, 0
        self.lock = threading.Lock()
        self.ready = threading.Event()
        self.emulator = None    # who runs it: a function that tells its output
        os.makedirs(share)
        self.path = os.path.join(share, "agent.sock")
        self.listener = listen(self.path)
        self.terminal_path = os.path.join(share, "terminal.sock")
        self.terminal_listener = listen(self.terminal_path)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        self.conn, _ = self.listener.accept()
        try:
            with self.conn.makefile() as lines:
                for line in lines:
                    self._event(line.split())
        except ConnectionResetError:
            pass    # that is how an emulator that crashes says goodbye
        self.lost()

    def _event(self, words):
        if words == ["ready"]:
            self.ready.set()
        elif len(words) == 2 and words[0] in self.jobs:
            job = self.jobs.pop(words[0])
            job.status = int(words[1])
            job.done.set()

    def lost(self):
        """Let everyone who waits for this VM know that it is gone."""
        self.dead = True
        self.ready.set()
        with self.lock:
            for job in self.jobs.values():
                job.done.set()

    dead = False

    def wait_ready(self, seconds):
        if not self.ready.wait(seconds * PATIENCE) or self.dead:
            raise BedError("the %s did not come up\n%s" %
                           (self.name, self.last_words()))

    def start(self, command, limit=60):
        """Start a shell command, which ends after @limit seconds."""
        limit *= PATIENCE
        with self.lock:
            self.count += 1
            job = Job(self, "%d" % self.count, limit)
            self.jobs[job.ident] = job
        with open(os.path.join(self.share, job.ident + ".sh"), "w") as f:
            f.write("cd %s\n%s\n" % (TOP, command))
        if self.dead:
            raise BedError("the %s is gone" % self.name)
        try:
            self.conn.sendall(b"%s %d\n" % (job.ident.encode(), limit))
        except OSError as err:
            self.lost()
            raise BedError("the %s is gone" % self.name) from err
        return job

    def run(self, command, limit=60):
        """Run a shell command; return its exit status and output."""
        job = self.start(command, limit)
        return job.wait(), job.output

    @functools.cached_property
    def looks_for_leaks(self):
        return self.run("test -e " + KMEMLEAK)[0] == 0

    def leaks(self):
        """What the kernel has allocated and lost since this was asked last."""
        return self.run(LEAKS)[1] if self.looks_for_leaks else ""

    @functools.cached_property
    def terminal(self):
        """The connection to what is /dev/hvc0 in the VM."""
        return self.terminal_listener.accept()[0]

    def size(self):
        """How much the console has said."""
        try:
            return os.path.getsize(self.console)
        except FileNotFoundError:
            return 0

    def last_words(self):
        """Why this VM is gone, as far as it or its emulator said."""
        return "%s\n%s" % (self.said(max(self.size() - 3000, 0)),
                           self.emulator()[-3000:] if self.emulator else "")

    def said(self, since):
        """What the console has said from offset @since on."""
        try:
            with open(self.console, errors="replace") as f:
                f.seek(since)
                return f.read()
        except FileNotFoundError:
            return ""


def kernel_of(side, kernel):
    """The one of this side, if they are to have different ones, and how it is
    told where its modules are, if it has any."""
    path = os.environ.get(side.upper() + "_KERNEL") or kernel
    modules = os.path.join(os.path.dirname(path), "modules/lib/modules")
    if os.path.exists(modules):
        return path, " vsfq.modules=" + modules
    return path, ""


def make_initramfs(path):
    """Write the initramfs of both VMs: busybox and tests/vm/init."""
    root = path + ".d"
    os.makedirs(root + "/bin")
    shutil.copy(shutil.which("busybox") or "/bin/busybox", root + "/bin")
    shutil.copy(INIT, root + "/init")
    with open(path, "wb") as f:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root,
                       input=b".\nbin\nbin/busybox\ninit\n", stdout=f,
                       check=True)
    shutil.rmtree(root)


def common(kernel, initrd, append, memory, share):
    """The part of a QEMU command line that host and guest have in common."""
    return [
        QEMU, "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none", "-m", str(memory),
        "-kernel", kernel, "-initrd", initrd, "-append", append,
        "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,"
                  "multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=root,mount_tag=root" + LEGACY,
        "-fsdev", "local,id=share,path=%s,security_model=none" % share,
        "-device", "virtio-9p-pci,fsdev=share,mount_tag=share" + LEGACY,
        "-device", "virtio-rng-pci" + LEGACY,
        "-device", "virtio-serial-pci" + LEGACY,
    ]


class Bed:
    """The host VM and its guests; use it in a with statement."""

    def __init__(self, kernel, accel, cids=(42,), dgram="force", cpus=2,
                 limit=300, liar="", boot="", counted=False):
        # A CPU that counts its instructions is alone, and emulated.
        self.accel = "counted" if counted else accel
        self.kernel, self.cids = kernel, cids
        self.cpus, self.limit = 1 if counted else cpus, limit
        # Options of who plays the guest's device, if vhost does not do it.
        self.liar_options, self.liar = liar, None
        self.cmdline = CMDLINE % (dgram, dgram) + boot + " "
        if self.accel == "tcg":
            self.cmdline += EMULATED
        if counted:
            self.cmdline += COUNTED
        self.dir = tempfile.mkdtemp(prefix="vsfq-bed.")
        self.initrd = os.path.join(self.dir, "initrd")
        self.host = Vm("host", os.path.join(self.dir, "host"))
        self.guests = {
            cid: Vm("guest %d" % cid, os.path.join(self.dir, "host", str(cid)))
            for cid in cids}
        self.qemu = None

    def __enter__(self):
        # Who is told to end leaves nothing behind, as with ^C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def vms(self):
        return [self.host, *self.guests.values()]

    @property
    def guest(self):
        return self.guests[self.cids[0]]

    def alive(self):
        return not any(vm.dead for vm in self.vms)

    def emulation_failed(self):
        """Has a VM been lost to what looks like the emulator's fault?

        That is an internal error of KVM, the livelock above, code that was
        patched and runs as it was, and an end or a silence without a word: a
        kernel that crashes or hangs says so on its console.
        """
        if self.accel != "tcg":
            return False
        for vm in self.vms:
            said = vm.said(0)
            if MISEMULATED.search(said) or (vm.dead and not complaint(said)):
                return True
        for vm in self.guests.values():
            if vm.emulator and "KVM internal error" in vm.emulator():
                return True
        try:
            return bool(self.guests) and self.host.run(LIVELOCK, 20)[0] == 0
        except BedError:
            return False

    def boot(self):
        make_initramfs(self.initrd)
        log = open(os.path.join(self.dir, "qemu.log"), "w+")
        self.host.emulator = lambda: (log.seek(0), log.read())[1]
        self.qemu = subprocess.Popen(self.host_qemu(), stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log)
        threading.Thread(target=self._reap, daemon=True).start()
        if self.accel == "tcg":
            threading.Thread(target=self._watch, daemon=True).start()
        self.host.wait_ready(self.limit)
        for cid in self.cids:
            self.boot_guest(cid)
        # What booting has lost is no test's fault.
        for vm in self.vms:
            vm.leaks()

    def _reap(self):
        self.qemu.wait()
        self._lost()

    def _watch(self):
        """Who was misemulated may hang, and what becomes of it counts nowhere:
        nobody shall wait for it."""
        while self.qemu.poll() is None:
            time.sleep(WATCH_SECONDS)
            if any(MISEMULATED.search(vm.said(0)) for vm in self.vms):
                return self._lost()

    def _lost(self):
        for vm in self.vms:
            vm.lost()

    def append(self, name):
        return "%s vsfq.name=%s vsfq.agent=%s" % (self.cmdline, name, AGENT)

    def host_qemu(self):
        # TCG copies byte by byte where a CPU promises fast string moves, and
        # calls a function for each AVX instruction: without them copying
        # costs what it should next to the rest. A cmpxchg16b stops the other
        # CPU, and a nested guest that is stopped just after an interrupt gets
        # it twice, the second time perhaps with interrupts disabled.
        # With one thread for both nothing is stopped, and the kernel gives BPF
        # programs the memory of sockets that it makes with that instruction.
        simple = "max,-la57,-erms,-fsrm,-avx,-avx2,-fma"
        cpu = {"tcg": ["-accel", "tcg,thread=multi", "-cpu",
                       simple + ",-cx16"],
               "counted": ["-accel", "tcg,thread=single",
                           "-icount", "shift=0", "-cpu", simple],
               "kvm": ["-accel", "kvm", "-cpu", "host"]}[self.accel]
        kernel, modules = kernel_of("host", self.kernel)
        args = common(kernel, self.initrd, self.append("host") + modules, 4096,
                      self.host.share)
        args += cpu + ["-smp", str(self.cpus),
                       "-serial", "file:" + self.host.console]
        for n, vm in enumerate(self.vms):
            args += ["-chardev", "socket,id=c%d,path=%s" % (n, vm.path),
                     "-device", "virtserialport,nr=%d,chardev=c%d" % (n + 1, n)]
        for n, vm in enumerate(self.vms):
            kind = "virtserialport" if n else "virtconsole"
            args += ["-chardev", "socket,id=t%d,path=%s" %
                     (n, vm.terminal_path), "-device", "%s,nr=%d,chardev=t%d" %
                     (kind, n + len(self.vms) + 1, n)]
        return args

    def guest_qemu(self, cid):
        """The guest's command line, to run in the host."""
        n = 1 + self.cids.index(cid)
        port = "path=$(echo /dev/vport*p%d)"
        share = "/run/vsfq/%d" % cid
        kernel, modules = kernel_of("guest", self.kernel)
        append = "'%s%s noxsave%s'" % (self.append("guest%d" % cid), modules,
                                       CHECKED)
        args = common(kernel, self.initrd, append, GUEST_MIB, share)
        # With SVM or the TSC deadline timer, a guest under an emulated SVM gets
        # next to no timer interrupts, and nothing in it ever wakes up.
        return args + [
            "-accel", "kvm", "-cpu", "host,-tsc-deadline,-svm", "-smp", "1",
            "-serial", "file:%s/console" % share,
            "-chardev", "pipe,id=agent," + port % (n + 1),
            "-device", "virtserialport,nr=1,chardev=agent",
            "-chardev", "pipe,id=terminal," + port % (n + len(self.cids) + 2),
            "-device", "virtconsole,nr=2,chardev=terminal",
            *self.vsock_device(cid),
            "-chardev", "pipe,id=monitor,path=" + MONITOR % cid,
            "-mon", "chardev=monitor",
            "-netdev", "tap,id=n,ifname=tap%d,script=no,downscript=no" % cid,
            "-device", "virtio-net-pci,netdev=n,romfile=" + LEGACY,
        ]

    def vsock_device(self, cid):
        if not self.liar_options:
            return ["-device", VSOCK_DEVICE % cid]
        return ["-object", "memory-backend-memfd,id=mem,size=%dM,share=on" %
                GUEST_MIB, "-machine", "memory-backend=mem",
                "-chardev", "socket,id=liar,path=" + LIAR,
                "-device", "vhost-user-vsock-pci,chardev=liar," + VIRTQUEUES]

    def start_liar(self, cid):
        self.liar = self.host.start("exec build/vshostile liar %s %d %s" % (
            LIAR, cid, self.liar_options), 86400)
        if not self.liar.says("waiting for QEMU"):
            raise BedError("vshostile does not start:\n" + self.liar.output)

    def boot_guest(self, cid):
        if self.liar_options:
            self.start_liar(cid)
        start = ("mkfifo {1}.in {1}.out && "
                 "ip tuntap add tap{0} mode tap && "
                 "ip addr add 192.168.{0}.1/24 dev tap{0} && "
                 "ip link set tap{0} up && exec ".format(cid, MONITOR % cid))
        job = self.host.start(start + " ".join(self.guest_qemu(cid)), 86400)
        guest = self.guests[cid]
        guest.emulator = lambda: job.output

        def watch():
            job.done.wait()
            guest.lost()
        threading.Thread(target=watch, daemon=True).start()
        guest.wait_ready(self.limit)
        guest.run("ip addr add 192.168.%d.2/24 dev eth0 && "
                  "ip link set eth0 up" % cid)

    def close(self):
        if self.qemu and self.qemu.poll() is None:
            self.qemu.terminate()
            try:
                self.qemu.wait(10)
            except subprocess.TimeoutExpired:
                self.qemu.kill()
                self.qemu.wait()
        if self.qemu:
            self._reap()    # nobody takes a VM for alive from here on
        shutil.rmtree(self.dir, ignore_errors=True)
