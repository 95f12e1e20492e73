# SPDX-License-Identifier: GPL-2.0-only
"""What a test function gets: commands in the VMs, cleanup, verdicts."""

import os
import subprocess

from bed import TOP, complaint


class Failed(Exception):
    """The test's verdict."""


class Skipped(Exception):
    """The machine lacks what the test needs."""


class Test:
    """One test's view of the bed (None for tests on this machine)."""

    def __init__(self, bed):
        self.bed = bed
        self.undo = []
        self.jobs = []
        self.vms = bed.vms if bed else []
        self.said = {vm: vm.size() for vm in self.vms}

    def fail(self, reason):
        raise Failed(reason)

    def skip(self, reason):
        raise Skipped(reason)

    def check(self, truth, reason):
        if not truth:
            raise Failed(reason)

    def equal(self, have, want, what):
        if have != want:
            raise Failed("%s is %r, expected %r" % (what, have, want))

    def run(self, vm, command, limit=60, status=0):
        """Run a command in @vm; fail unless it exits with @status."""
        have, output = vm.run(command, limit)
        if status is not None and have != status:
            raise Failed("in the %s, exit status %d, expected %d: %s\n%s" %
                         (vm.name, have, status, command, output[-4000:]))
        return output

    def host(self, command, **how):
        return self.run(self.bed.host, command, **how)

    def guest(self, command, **how):
        return self.run(self.bed.guest, command, **how)

    def start(self, vm, command, limit=60):
        """Start a command that the test's end kills."""
        job = vm.start("echo $BASHPID > /run/job.%d; exec %s" %
                       (vm.count + 1, command), limit)
        self.jobs.append(job)
        return job

    def start_server(self, vm, command, ready, limit=900):
        """Start a server; return its job once it has said @ready."""
        job = self.start(vm, command, limit)
        if not job.says(ready):
            raise Failed("in the %s, not ready: %s\n%s" %
                         (vm.name, command, job.output[-4000:]))
        return job

    def serve(self, vm, port):
        """Start the server of vsload."""
        return self.start_server(vm, "build/vsload server --port %d" % port,
                                 "serving")

    def signal(self, job, name="USR1"):
        """Send a job a signal: programs of ours wait for this one."""
        self.run(job.vm, "kill -%s $(cat /run/job.%s)" % (name, job.ident))

    def end(self, job):
        """Ask a job to end; return its status."""
        self.signal(job, "TERM")
        return job.wait()

    def wait_for(self, vm, condition, limit=60):
        """Wait until the shell command @condition succeeds in @vm."""
        self.run(vm, "until %s; do sleep 0.1; done" % condition,
                 limit=limit)

    def machine(self, command, limit=600):
        """Run a command on this machine; return status and output."""
        done = subprocess.run(["bash", "-c", command], cwd=TOP, text=True,
                              stdout=subprocess.PIPE, timeout=limit,
                              stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def tool(self, name):
        """A program's path: ours, or one from the kernel's tree."""
        ours = os.path.join(TOP, "build", name)
        if os.path.exists(ours):
            return ours
        return os.path.join(os.environ["KERNEL_DIR"], "tools", name)

    def cleanup(self, vm, command):
        """Have @command run in @vm after the test, whatever its verdict."""
        self.undo.append((vm, command))

    def finish(self):
        """Clean up; return what went wrong there or in the kernels."""
        problems = []
        for job in self.jobs:
            if job.status is None:
                self.undo.append((job.vm, "kill $(cat /run/job.%s)" %
                                  job.ident))
        for vm, command in reversed(self.undo):
            if not vm.dead:
                vm.run(command)
        for vm, since in self.said.items():
            if vm.dead:
                problems.append("the %s is gone\n%s" %
                                (vm.name, vm.last_words()))
                continue
            said = complaint(vm.said(since))
            if said:
                problems.append("the %s's kernel said:\n%s" %
                                (vm.name, said[:6000]))
            leaks = vm.leaks()
            if leaks:
                problems.append("the %s's kernel has lost:\n%s" %
                                (vm.name, leaks[:6000]))
        return problems
