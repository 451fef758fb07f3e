import os

import pytest

from machine import Backend, Machine


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """A booted machine on which nothing of novnc-gate is installed."""
    machine = Machine(tmp_path_factory.mktemp("machine"))
    yield machine
    machine.close()


@pytest.fixture(scope="session")
def backends():
    """Next.js on 3001 and the master-controller on 4000, in the machine's network."""
    servers = Backend(3001, "Next.js"), Backend(4000, "master-controller")
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def gate(bare, backends):
    """The machine with novnc-gate installed and listening."""
    bare.make("install", "NEXTJS=http://127.0.0.1:3001", "CONTROLLER=http://127.0.0.1:4000")
    if "CTL_BINARY" in os.environ:     # such as build/san/novnc-gatectl
        bare.run("install", f"/src/{os.environ['CTL_BINARY']}", "/usr/local/bin/novnc-gatectl")
        # A search for leaks traces the process, which the sandbox of a scrape forbids.
        bare.write("/etc/systemd/system/novnc-gate-metrics@.service.d/test.conf",
                   "[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n")
    bare.run("systemctl", "enable", "--now", "novnc-gate")
    bare.listens()
    yield bare
    bare.make("uninstall")
