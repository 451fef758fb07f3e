"""The fixtures that the tests share: gates, certificates, and a world for each test."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from gate import BINARY, DEADLINE, HOST, SANITIZED, Gate, World
from tls import Authority

# Left out instead of skipped, which CI would count as failed: there is no sandbox with sanitizers, and
# LeakSanitizer does not work in a process that strace traces.
collect_ignore = ["test_sandbox.py", "test_faults.py"] if SANITIZED else []


def pytest_configure():
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there; make builds it", 2)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="session")
def certificate(authority):
    """The certificate of the gate."""
    return authority.issue(HOST.split(":")[0])


@pytest.fixture(scope="session")
def gate(tmp_path_factory):
    with Gate(tmp_path_factory.mktemp("gate")) as g:
        yield g


@pytest.fixture(scope="session")
def tls_gate(tmp_path_factory, authority, certificate):
    """A gate whose clients have to speak TLS."""
    with Gate(tmp_path_factory.mktemp("gate-tls"), options=["--tls"], tls=authority.client()) as g:
        g.drop_ins.mkdir()
        (g.drop_ins / "00-tls.conf").write_text(
            f"[NextJs]\nCaFile={authority.file}\n[MasterController]\nCaFile={authority.file}\n"
            f"[Tls]\nCertificate={certificate[0]}\nKey={certificate[1]}\n")
        yield g


@pytest.fixture
def world(request, gate, authority):
    """A gate and two backends; parametrized indirectly with the sides that speak TLS."""
    sides = getattr(request, "param", ())
    if "client" in sides:
        gate = request.getfixturevalue("tls_gate")
    tls = request.getfixturevalue("backend_tls") if "backend" in sides else None
    with World(gate, backend_tls=tls) as w:
        if tls:
            w.drop_in("00-ca.conf", f"[NextJs]\nCaFile={authority.file}\n"
                      f"[MasterController]\nCaFile={authority.file}\n")
        yield w


@pytest.fixture(scope="session")
def backend_tls(authority):
    """The context of a backend on this machine whose certificate the gates accept."""
    return authority.server(authority.issue("localhost", "IP:127.0.0.1", "IP:::1"))


@pytest.fixture
def threads():
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def secure(tls_gate, backend_tls):
    """A world in which the client and both backends speak TLS."""
    with World(tls_gate, backend_tls=backend_tls) as w:
        yield w


@pytest.fixture
def spread(world, tmp_path):
    """Starts clients of a gate that reads this number of processes; kills those that still wait."""
    started = []

    def start(count, n=1, **kw):
        file = tmp_path / "pids.current"
        if count is not None:
            file.write_text(f"{count}\n")
        options = [f"--spread={file}"]
        clients = [world.direct(options=options, **kw) for _ in range(n)]
        started.extend(clients)
        return clients

    yield start
    for c in started:
        if c.process.popen.poll() is None:
            c.process.popen.kill()      # unless it has exited just now
            c.exit_code = c.process.popen.wait(DEADLINE)
            assert c.exit_code in (0, -signal.SIGKILL)
