"""Connections per second and CPU of each under the real systemd, in a container."""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contestant import TREE, Backend
from group import Group
from measure import QUICK, Failed, load, say, turn
from tls_contestants import CERTIFICATE, KEY, make_certificate

sys.path.insert(0, str(TREE / "tests/systemd"))
from machine import Machine  # noqa: E402

ROUNDS, CLIENTS, COUNT = (1, 8, 60) if QUICK else (5, 16, 400)
PORT = 3100     # the first of them: bench.py keeps them free
UNITS = "etc/systemd/system"
COUNT_OF_PROCESSES = "/sys/fs/cgroup/novnc.slice/novnc-gate.slice/pids.current"
STRICT = TREE / "units/strict.conf"
SOCKET = """[Socket]
ListenStream=127.0.0.1:{port}
Accept=yes
MaxConnections=4096
TriggerLimitIntervalSec=0
{poll_limit}
"""
BARE = "[Service]\nExecStart={floor}\nStandardInput=socket\n"


def services(backend):
    """Variant: (label, unit file, drop-in, and what load.c is to do, unless that is a page)."""
    # The control groups of a container may have no count of processes.
    unit = lambda name: (TREE / "units" / name).read_text().replace(COUNT_OF_PROCESSES, "/src/build/bench/pids")
    (TREE / "build/bench/pids").write_text("1\n")
    floor, floor_tunnel = (f"/src/build/bench/installed/floor {port}" for port in (backend.pages, backend.controller))
    shipped = unit("novnc-gate-http@.service")
    directives = re.sub("(?m)^ExecStart=.*$", f"ExecStart={floor}", shipped)
    tls = unit("novnc-gate-tls@.service")
    return {
        "floor": ("floor, in a bare unit", BARE.format(floor=floor), ""),
        "floor-shipped": ("floor, in novnc-gate-http@.service", directives, ""),
        "gate": ("**novnc-gate-http@.service** as shipped", shipped, ""),
        "gate-strict": ("**novnc-gate-http@.service** with strict.conf", shipped, STRICT.read_text()),
        "gate-tls": ("**novnc-gate-tls@.service** as shipped, sessions resumed", tls, "", "--resume"),
        "floor-tunnel": ("floor, in a bare unit, a tunnel", BARE.format(floor=floor_tunnel), "", "tunnel-new"),
        "gate-tunnel": ("**novnc-gate-http@.service** as shipped, a tunnel", shipped, "", "tunnel-new"),
    }


def lay_certificate(machine):
    """Where novnc-gate-tls@.service takes it from, and a key for tickets."""
    make_certificate()
    where = machine.root / "etc/novnc-gate"
    where.mkdir()
    (where / "tls.crt").write_bytes(CERTIFICATE.read_bytes())
    (where / "tls.key").write_bytes(KEY.read_bytes())
    machine.run("systemctl", "start", "novnc-gate-tls-ticket.service")


class Variant:
    def __init__(self, machine, name, port, service):
        self.machine, self.name, self.port = machine, f"bench-{name}", port
        self.label, unit, drop_in, *asked = service
        self.options = [option for option in asked if option.startswith("--")]
        self.what = next((word for word in asked if word not in self.options), "page-new")
        self.count = COUNT // 4 if drop_in else COUNT  # a slow one
        units = machine.root / UNITS
        poll_limit = ""
        if int(machine.run("systemctl", "--version").split()[1]) >= 255:
            poll_limit = "PollLimitIntervalSec=0"
        (units / f"{self.name}.socket").write_text(SOCKET.format(port=port, poll_limit=poll_limit))
        (units / f"{self.name}@.service").write_text(unit)
        (units / f"{self.name}@.service.d").mkdir()
        (units / f"{self.name}@.service.d/bench.conf").write_text(drop_in)
        self.rates, self.cpu_ms = [], []

    def exposure(self):
        out = self.machine.run("systemd-analyze", "--no-pager", "security", "--offline=yes",
                               f"/{UNITS}/{self.name}@1.service", check=False)
        if not (found := re.search(r"exposure level.*?: ([0-9.]+)", out)):
            raise RuntimeError(f"systemd-analyze security: {out}")
        return found[1]

    def sample(self, group):
        """A page, or a tunnel, on each of so many new connections."""
        self.machine.run("systemctl", "start", f"{self.name}.socket")
        with load(*self.options, self.port, self.what, CLIENTS, self.count) as go:
            self.settle()
            before = group.cpu()
            result = go()
            self.settle()
        if before is not None:
            self.cpu_ms.append((group.cpu() - before) / self.count * 1e3)
        self.rates.append(self.count / result["seconds"])
        self.machine.run("systemctl", "stop", f"{self.name}.socket")

    def settle(self):
        """Waits until systemd has dealt with the last one; each look costs it little."""
        end = time.monotonic() + 60
        while (left := self.machine.run("systemctl", "list-units", "--plain", "--no-legend",
                                        "--all", f"{self.name}@*.service").strip()):
            if time.monotonic() > end:
                raise Failed(f"does not end: {left}")


def boot(work, group):
    """A machine whose processes are all in the group."""
    group.enter()
    try:
        return Machine(work)
    finally:
        group.leave()


def run(results):
    """Returns what report.py's units_table() takes; {} where no machine can be had."""
    group = Group("machine")
    backend = Backend()
    work = Path(tempfile.mkdtemp())
    machine = None
    try:
        machine = boot(work, group)
        machine.make("install", f"NEXTJS=http://127.0.0.1:{backend.pages}",
                     f"CONTROLLER=http://127.0.0.1:{backend.controller}")
        variants = [Variant(machine, name, PORT + i, service)
                    for i, (name, service) in enumerate(services(backend).items())]
        machine.run("systemctl", "daemon-reload")
        lay_certificate(machine)
        for r in range(ROUNDS):
            say(f"systemd, round {r + 1} of {ROUNDS}")
            for variant in turn(variants, r):
                variant.sample(group)
        return {v.name.removeprefix("bench-"): {"label": v.label, "rates": v.rates,
                                                "cpu_ms": v.cpu_ms, "exposure": v.exposure()}
                for v in variants}
    except (AssertionError, Failed, RuntimeError, OSError, subprocess.SubprocessError) as problem:
        results.fail(f"the rows under systemd: {problem}")
        return {}
    finally:
        if machine:
            machine.close()
        backend.close()
        group.close()
        for where in (work / "root", work):
            subprocess.run(["umount", "--lazy", where], stderr=subprocess.DEVNULL)
        work.rmdir()
