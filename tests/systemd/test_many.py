"""Thousands of sessions: what they cost systemd and the journal, how long it takes to stop them or the machine, and
that each has its closing entry."""

import re
import socket
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from machine import PIDS, TREE, get, wait_for

sys.path.append(str(TREE / "tests/kernels"))
import peers  # noqa: E402

CLOSED = "930ee7b5ab8f48f2b1fb9892c90e56b8"     # the MESSAGE_ID of a closing entry
LONG = 1200     # s until the test fails
PAGES = 200
DESCRIPTORS = 5     # of PID 1 that are enough for each connection in a daemon-reload
TROUBLE = "timed out|Killing process|Failed with result|No space left|Too many open files"

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
    url = f"http://127.0.0.1:{controller.port}"
    bare.make("install", f"NEXTJS={url}", f"CONTROLLER={url}", "SOCKETS=80")
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
    print(f"{count} sessions began in {time.monotonic() - start:.0f} s", end="; ", flush=True)
    return clients


def spread_exits(gate, count):
    """From now on; see count_processes()."""
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        gate.write(PIDS, f"{count}\n")


def print_costs(gate, count):
    """What commands cost PID 1, and how many pages it starts, beside so many sessions."""
    def cost(*command):
        before = gate.cpu_ms()
        gate.run(*command)
        return f"{command[1]} {gate.cpu_ms() - before:.0f} ms"

    memory = re.search(r"VmRSS:\s*(\d+) kB", gate.run("cat", "/proc/1/status"))[1]
    descriptors = int(re.search(r"Max open files\s*(\d+)", gate.run("cat", "/proc/1/limits"))[1])
    print(f"PID 1: {int(memory) / 1e3:.0f} MB", cost("systemctl", "list-units", "novnc-gate*"), sep=", ", end=", ")
    if descriptors >= DESCRIPTORS * count:
        print(cost("systemctl", "daemon-reload"), end=", ")
    else:   # in a container that may not raise the limit
        print(f"{descriptors} file descriptors are too few for daemon-reload", end=", ")
    with socket.create_connection(("127.0.0.1", 3000)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost:3000\r\n\r\n")
        print(cost("systemctl", "stop", gate.instance_of(client)), end=" of one, ")
    before, start = gate.cpu_ms(), time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: get(), range(PAGES))) == {(200, b"yes")}
    took = time.monotonic() - start
    wait_for(lambda: len(gate.instances()) == count)
    print(f"a page {(gate.cpu_ms() - before) / PAGES:.1f} ms, {PAGES / took:.0f} pages a second", end="; ", flush=True)


@pytest.mark.parametrize("count", [0, 1000, 4000, 10000])
def test_all_log_how_they_ended(gate, count):
    all_once = Counter(map(str, range(count)))
    gate.start()
    assert not closed(gate)
    clients = sessions(gate, count)
    print_costs(gate, count)
    spread_exits(gate, count)
    journald = gate.property("systemd-journald", "MainPID")
    before, start = [gate.cpu_ms(pid) for pid in (1, journald)], time.monotonic()
    gate.run("systemctl", "stop", "novnc-gate.slice")
    took = time.monotonic() - start
    spent = [gate.cpu_ms(pid) - ms for pid, ms in zip((1, journald), before)]
    print(f"stopped in {took:.0f} s, PID 1 {spent[0]:.0f} ms, journald {spent[1]:.0f} ms", end="; ")
    assert all_once - closed(gate) == Counter()
    clients.kill()

    clients = sessions(gate, count)
    spread_exits(gate, count)
    print(f"down in {gate.reboot(LONG):.0f} s")
    clients.kill()
    assert all_once + all_once - closed(gate, "-1") == Counter()
    said = gate.run("journalctl", "-b", "-1", "-t", "systemd", "-o", "cat", check=False)
    assert [line for line in said.splitlines() if re.search(TROUBLE, line)] == []
