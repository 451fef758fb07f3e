"""GATE_TLS= names the sides that speak TLS in tests which do not care: client, backend, both."""

import os

import pytest

from gate import BINARY, HOST, SANITIZED, Gate, World
from tls import Authority

SIDES = {"": (), "both": ("client", "backend")}.get(
    os.environ.get("GATE_TLS", ""), os.environ.get("GATE_TLS", "").split())
# Left out instead of skipped, which CI would count as failed: there is no sandbox with sanitizers, and
# LeakSanitizer does not work in a process that strace traces.
collect_ignore = ["test_sandbox.py", "test_faults.py"] if SANITIZED else []


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="session")
def certificate(authority):
    """The gate's own."""
    return authority.issue(HOST.split(":")[0])


def start(directory, **kw):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there; make builds it", 2)
    return Gate(directory, **kw)


def settle(gate, authority, certificate):
    """What both sides' TLS needs, as a drop-in that stays."""
    directory = gate.config.with_name(gate.config.name + ".d")
    directory.mkdir(exist_ok=True)
    (directory / "00-tls.conf").write_text(
        f"[NextJs]\nCaFile={authority.file}\n[MasterController]\nCaFile={authority.file}\n"
        f"[Tls]\nCertificate={certificate[0]}\nKey={certificate[1]}\n")


@pytest.fixture(scope="session")
def gate(tmp_path_factory, authority, certificate):
    directory = tmp_path_factory.mktemp("gate")
    if "client" in SIDES:
        g = start(directory, options=["--tls"], tls=authority.client())
    else:
        g = start(directory)
    if SIDES:
        settle(g, authority, certificate)
    yield g
    g.stop()


@pytest.fixture(scope="session")
def tls_gate(tmp_path_factory, authority, certificate):
    """A gate whose clients have to speak TLS."""
    g = start(tmp_path_factory.mktemp("gate-tls"), options=["--tls"], tls=authority.client())
    settle(g, authority, certificate)
    yield g
    g.stop()


@pytest.fixture
def world(gate, backend_tls):
    w = World(gate, backend_tls=backend_tls if "backend" in SIDES else None)
    yield w
    w.finish()


@pytest.fixture(scope="session")
def backend_tls(authority):
    """What a backend on 127.0.0.1 speaks TLS with, and is believed."""
    return authority.server(authority.issue("localhost", "IP:127.0.0.1", "IP:::1"))


@pytest.fixture
def secure(tls_gate, backend_tls):
    """A world in which everybody speaks TLS."""
    w = World(tls_gate, backend_tls=backend_tls)
    yield w
    w.finish()
