"""A control group: what the processes in it, ended ones included, take of CPU and memory."""

import contextlib
import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")
RUN = os.urandom(4).hex()
AT_ONCE = 20


def mounts():
    """The control group hierarchies where they belong (a container's may be mounted elsewhere as
    well): (directory, type, options)."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind.startswith("cgroup") and where.startswith("/sys/fs/cgroup"):
            yield Path(where), kind, options.split(",")


def own_path(controller):
    """Where this process is in the hierarchy of this controller ("" is version 2's)."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path.lstrip("/")
    return ""


class Group:
    """Counts CPU in version 2's hierarchy, which has cpu.stat everywhere; memory where its
    controller is: in version 2's root, or in version 1's, below this process's own group."""

    def __init__(self, name):
        self.dirs, self.cpu_file, self.memory_dir = [], None, None
        self.name = name = f"novnc-gate-bench.{RUN}.{name}"
        for where, kind, options in mounts():
            if kind == "cgroup2":
                directory = self.make(where / name)
                if directory and (directory / "cpu.stat").exists():
                    self.cpu_file = directory / "cpu.stat"
                if directory and (directory / "memory.current").exists():
                    self.memory_dir = directory
            elif "memory" in options:
                self.memory_dir = self.make(where / own_path("memory") / name)

    def make(self, directory):
        try:
            directory.mkdir()
        except OSError:
            return None
        self.dirs.append(directory)
        return directory

    def enter(self):
        """Moves the calling process into it."""
        for directory in self.dirs:
            (directory / "cgroup.procs").write_text("0")

    def leave(self):
        """Moves the calling process back to where it could have come from."""
        for directory in self.dirs:
            (directory.parent / "cgroup.procs").write_text("0")

    def pids(self):
        found = set()
        for directory in self.dirs[:1]:
            for procs in directory.rglob("cgroup.procs"):
                found |= {int(pid) for pid in procs.read_text().split() if pid != "0"}
        return found

    def cpu(self):
        """Seconds of CPU so far, user and system; None where there is no such counter."""
        if not self.cpu_file:
            return None
        fields = dict(line.split() for line in self.cpu_file.read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6

    def memory(self):
        """(all, of that the kernel's) in bytes; None where there is no such counter."""
        if not self.memory_dir:
            return None
        current = self.memory_dir / "memory.current"
        if current.exists():
            stat = (self.memory_dir / "memory.stat").read_text().splitlines()
            return int(current.read_text()), int(dict(map(str.split, stat))["kernel"])
        used, kernel = (int((self.memory_dir / f"memory.{name}usage_in_bytes").read_text())
                        for name in ("", "kmem."))
        return used, kernel

    def pss(self):
        """The processes' proportional share of what they map, in bytes."""
        total = 0
        for pid in self.pids():
            for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def switches(self):
        """How often its processes were switched away from so far, of their own accord or not."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):   # it has ended
                for task in (PROC / str(pid) / "task").iterdir():
                    total += sum(int(line.split()[1]) for line in
                                 (task / "status").read_text().splitlines()
                                 if "ctxt_switches" in line)
        return total

    def close(self):
        """Ends what is left in it, a few at a time: see end_idle() in load.c."""
        end = time.monotonic() + 60
        while (pids := self.pids()) and time.monotonic() < end:
            for pid in sorted(pids)[:AT_ONCE]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)  # between two looks
        # systemd-nspawn makes more of the same name, in version 1's other hierarchies
        everywhere = {where / self.name for where, _, _ in mounts()} | set(self.dirs)
        for top in filter(Path.is_dir, everywhere):
            for directory in sorted([top, *filter(Path.is_dir, top.rglob("*"))], reverse=True):
                directory.rmdir()
