"""Thousands of sessions that are stopped together, or end with the machine: how long that takes, and that each has
its closing entry."""

import re
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from machine import PIDS, TREE, wait_for

sys.path.append(str(TREE / "tests/kernels"))
import peers  # noqa: E402

CLOSED = "930ee7b5ab8f48f2b1fb9892c90e56b8"     # the MESSAGE_ID of a closing entry
LONG = 1200     # s until the test fails
TROUBLE = "timed out|Killing process|Failed with result|No space left"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def controller():
    backend = peers.Backend("127.0.0.1")
    yield backend
    backend.kill()


@pytest.fixture(scope="module")
def gate(bare, controller):
    """The machine with sockets for 10,000 sessions, a journal that survives a reboot, and a gate without its sandbox:
    of sandboxed processes, not so many may end together (MANY SESSIONS in novnc-gate(8))."""
    assert "Seccomp_filters:\t0\n" in bare.run("cat", "/proc/1/status")
    bare.make("install", f"CONTROLLER=http://127.0.0.1:{controller.port}", "SOCKETS=80")
    bare.run("cp", "/src/build/novnc-gate-unconfined", "/usr/local/sbin/novnc-gate")
    bare.keep_journal()
    bare.reboot()   # a boot in which no session has ended
    # These clients take a Ping for the end.
    with bare.configured("[Limits]\nHeartbeatSec=0\n"):
        yield bare
    bare.make("uninstall")


def closed(gate, boot="0"):
    """How often each session has a closing entry in this boot."""
    gate.sync()
    out = gate.run("journalctl", "-b", boot, "-o", "cat", "--output-fields=NOVNC_GATE_SESSION", f"MESSAGE_ID={CLOSED}",
                   check=False)   # which fails with no entry
    return Counter(out.split())


def sessions(gate, count):
    """So many clients, whose sessions have begun."""
    clients = peers.Clients(3000, count)
    start = time.monotonic()
    wait_for(lambda: clients.standing.value + clients.refused.value == count, LONG)
    assert clients.refused.value == 0
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        gate.write(PIDS, f"{count}\n")
    print(f"{count} sessions began in {time.monotonic() - start:.0f} s", end="; ", flush=True)
    return clients


@pytest.mark.parametrize("count", [1000, 4000, 10000])
def test_all_log_how_they_ended(gate, count):
    all_once = Counter(map(str, range(count)))
    gate.start()
    assert not closed(gate)
    clients = sessions(gate, count)
    start = time.monotonic()
    gate.run("systemctl", "stop", "novnc-gate.slice")
    print(f"stopped in {time.monotonic() - start:.0f} s", end="; ")
    assert all_once - closed(gate) == Counter()
    clients.kill()

    clients = sessions(gate, count)
    print(f"down in {gate.reboot(LONG):.0f} s")
    clients.kill()
    assert all_once + all_once - closed(gate, "-1") == Counter()
    said = gate.run("journalctl", "-b", "-1", "-t", "systemd", "-o", "cat", check=False)
    assert [line for line in said.splitlines() if re.search(TROUBLE, line)] == []
