"""The units as `make install` installs them, which itself would take long here."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PORT = 3000
SYSTEM = Path("/etc/systemd/system")
PROCESSES = Path("/sys/fs/cgroup/novnc.slice/novnc-gate.slice/pids.current")


# With --counted, the clock runs on very fast while the machine reads a file of its host.
os.environ["SYSTEMD_BUS_TIMEOUT"] = "1h"


def run(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def drop_in(unit, text):
    path = SYSTEM / f"{unit}.d" / "test.conf"
    path.parent.mkdir()
    path.write_text(text)


def configuration(backend):
    """With this as both backends. Without KVM, thousands of Pings every 30 s leave no time for anything else."""
    url = "http://{}:{}".format(*backend.listener.getsockname())
    return f"[NextJs]\nUrl={url}\n[MasterController]\nUrl={url}\n[Limits]\nHeartbeatSec=5min\n"


def put_programs(backend):
    library = Path("/usr/local/lib/novnc-gate")
    library.mkdir(parents=True, exist_ok=True)
    shutil.copy("/src/build/novnc-gate", "/usr/local/sbin")
    for program in ("build/novnc-gate-dynamic", "units/port-is-free", "units/connections-left"):
        shutil.copy(f"/src/{program}", library)
    Path("/etc/novnc-gate.conf").write_text(configuration(backend))


def start(sockets):
    """Returns as soon as the last one listens."""
    run("/src/units/put-units", "/dev/null", str(sockets), str(SYSTEM), "http")
    shutil.copy("/src/units/novnc-gate.slice", SYSTEM)
    run("useradd", "--system", "novnc-gate")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "novnc-gate")
    last = f"novnc-gate-http-{sockets - 1:02}.socket"
    while run("systemctl", "show", "--value", "--property=SubState", last) != "listening\n":
        time.sleep(0.5)     # between two looks


def processes():
    """Of all connections; the slice comes with the first and goes with the last."""
    try:
        return int(PROCESSES.read_text())
    except FileNotFoundError:
        return 0


def pids():
    """Of all connections."""
    return {int(pid) for procs in PROCESSES.parent.rglob("cgroup.procs") for pid in procs.read_text().split()}
