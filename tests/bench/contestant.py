"""What all contestants of the bench have in common: their files, how they start and end."""

import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from group import Group

BENCH = Path(__file__).resolve().parent
TREE = BENCH.parents[1]
BUILD = TREE / "build/bench"
UNPACKED = BUILD / "debian"
INSTALLED = BUILD / "installed"
JOURNAL = "/run/systemd/journal/socket"
PR_SET_PDEATHSIG = 1


def install():
    """Copies our own programs, as `make install` does.  A file that a linker has just written piece by
    piece is in the page cache in small pieces, and starts a tenth slower."""
    INSTALLED.mkdir(exist_ok=True)
    for program in (TREE / "build/novnc-gate", TREE / "build/novnc-gate-dynamic",
                    TREE / "build/novnc-gate-tls.so", BUILD / "floor"):
        shutil.copy(program, INSTALLED / "new")
        (INSTALLED / "new").rename(INSTALLED / program.name)
    os.sync()


def raise_files():
    """As many descriptors as may be, for us and all that we start; returns how many."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for files in (1 << 17, limit):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, limit)))
            return files
        except (OSError, ValueError):
            pass


FILES = raise_files()


def environment():
    """Unpacked packages before the system's."""
    libraries = ":".join(str(d) for where in ("usr/lib", "lib")
                         for d in UNPACKED.glob(f"{where}/*-linux-gnu*"))
    return {
        "PATH": f"{UNPACKED}/usr/sbin:{UNPACKED}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": libraries,
        "PYTHONPATH": f"{UNPACKED}/usr/lib/python3/dist-packages",
        "NODE_PATH": str(BUILD / "node_modules"),
        "NODE_ENV": "production",
        "LANG": "C.UTF-8",
    }


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def listening(port):
    """Whether someone does, without connecting."""
    wanted = f"0100007F:{port:04X}"
    return any(fields[1] == wanted and fields[3] == "0A" for fields in
               map(str.split, Path("/proc/net/tcp").read_text().splitlines()))


def child_setup(group=None):
    """Runs in the new process: in its group, not outliving us. It has a session of its own as well,
    so that Ctrl-C reaches only us, and we end the connections one after the other."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if group:
        group.enter()


class Backend:
    """build/bench/backend: `pages`, `controller`, and plain TCP for websockify."""

    def __init__(self, raw_bytes=0):
        self.processes = []
        self.pages, self.controller, self.echo, self.down, self.up = \
            self.start("backend", raw_bytes)

    def start(self, program, *args):
        """Returns its ports."""
        process = subprocess.Popen([BUILD / program, *map(str, args)], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   start_new_session=True, preexec_fn=child_setup)
        self.processes.append(process)
        return map(int, process.stdout.readline().split())

    def close(self):
        for process in self.processes:
            process.stdin.close()
            process.wait(10)


class Contestant:
    """One proxy. `rows` are the measurements it takes part in, None for all."""

    name = label = package = rows = None
    note = ""

    def __init__(self, backend):
        self.backend = backend
        self.group = Group(self.name)
        self.work = BUILD / "work" / self.name
        self.work.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.processes = []
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        self.settled = self.group.pids()

    def start(self):
        raise NotImplementedError

    def spawn(self, *argv, port=None, env=()):
        port = port or self.port
        process = subprocess.Popen(
            list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**environment(), **dict(env)}, cwd=self.work,
            start_new_session=True, preexec_fn=lambda: child_setup(self.group))
        self.processes.append(process)
        end = time.monotonic() + 20
        while not listening(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not start: {' '.join(map(str, argv))}")
            time.sleep(0.01)  # between two looks

    def config(self, text, name="conf"):
        path = self.work / name
        path.write_text(text)
        return path

    def port_for(self, measurement):
        return self.port

    def calm_cpu(self):
        """group.cpu(), as soon as nothing more is to be done for what was before."""
        end = time.monotonic() + 1
        last, now = None, self.group.cpu()
        while now != last and time.monotonic() < end:
            time.sleep(0.01)  # between two looks
            last, now = now, self.group.cpu()
        return now

    def settle(self):
        """Waits until the processes of the connections that ended have ended too."""
        end = time.monotonic() + 5
        while not self.group.pids() <= self.settled and time.monotonic() < end:
            time.sleep(0.002)  # between two looks

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.group.close()


class Inetd(Contestant):
    """A process for each connection, started by systemd-socket-activate."""

    def activate(self, *argv, port=None, env=()):
        port = port or self.port
        # Entries go where the journal's do under systemd: see Journal.
        null = os.stat("/dev/null")
        env = {**dict(env), **({"JOURNAL_STREAM": f"{null.st_dev}:{null.st_ino}"}
                               if Path(JOURNAL).exists() else {})}
        self.spawn("systemd-socket-activate", "--inetd", "-a",
                   *(f"-E{name}={value}" for name, value in env.items()),
                   "-l", f"127.0.0.1:{port}", *argv, port=port)


def said(*argv):
    """The first line that a program prints, "" where there is no such program."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              stdin=subprocess.DEVNULL, env=environment())
    except OSError:
        return ""
    return next(iter(done.stdout.strip().splitlines()), "")


def version(package):
    """Of a Debian package, unpacked or installed."""
    unpacked = dict(line.split() for line in (UNPACKED / "versions").read_text().splitlines())
    return unpacked.get(package) or said("dpkg-query", "-W", "-f", "${Version}", package)
