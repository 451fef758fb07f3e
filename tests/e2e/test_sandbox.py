"""The shipped binary enters its sandbox; tests/test_sandbox.c tests each part of it."""
import ctypes
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from gate import DEADLINE, Ended, Gate, World, request, response
from test_recheck import KEYS, SESSION, answer, goes_on, hashed, is_ended, warnings
from test_tunnel import crc_of_stream, fill, read_stream
from tls import Authority


def fields(pid, file):
    lines = pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def confined(pid):
    """The number of seccomp filters that the process has beside those of the test itself."""
    gate, own = fields(pid, "status"), fields("self", "status")
    assert int(gate["NoNewPrivs"]) == 1
    return int(gate["Seccomp_filters"]) - int(own["Seccomp_filters"])


def limit(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(name):
            return line.removeprefix(name).split()[0]
    raise AssertionError(name)


TREE = pathlib.Path(__file__).parents[2]
UNITS = TREE / "units"
# systemd.exec(5) and systemd.resource-control(5): these become seccomp programs, or BPF programs of the
# control group.
MAKES_A_PROGRAM = re.compile(
    r"^(BPFProgram|DeviceAllow|DevicePolicy|DynamicUser|IPAccounting|IPAddressAllow|IPAddressDeny|"
    r"IPEgressFilterPath|IPIngressFilterPath|LockPersonality|MemoryDenyWriteExecute|PrivateDevices|"
    r"ProtectClock|ProtectHostname|ProtectKernelLogs|ProtectKernelModules|ProtectKernelTunables|"
    r"RestrictAddressFamilies|RestrictFileSystems|RestrictNamespaces|RestrictNetworkInterfaces|"
    r"RestrictRealtime|RestrictSUIDSGID|SocketBindAllow|SocketBindDeny|SystemCallArchitectures|"
    r"SystemCallFilter|SystemCallLog)\s*=", re.MULTILINE)
# These run once, once in eight hours, or for each scrape of the metrics, and not for each connection, or are
# examples to copy.
MAY_MAKE_PROGRAMS = {"novnc-gate-metrics@.service", "novnc-gate-nextjs.service",
                     "novnc-gate-tls-ticket.service", "strict.conf"}


def test_no_unit_of_connections_makes_systemd_load_a_program():
    """The process has its own; novnc-gate(8), MANY SESSIONS, explains the harm of many more."""
    made = {file.name: MAKES_A_PROGRAM.findall(file.read_text()) for file in UNITS.iterdir() if file.is_file()}
    assert {"novnc-gate-http@.service", "novnc-gate-tls@.service", "novnc-gate.slice",
            "socket.in"} <= made.keys()
    assert {name for name, directives in made.items() if directives} == MAY_MAKE_PROGRAMS, made


def explanations():
    """The part of novnc-gate(8) that explains the lines of `systemd-analyze security`."""
    page = (TREE / "man/novnc-gate.8").read_text()
    page = page[page.index("The next table lists each line of"):page.index(".Sh MANY SESSIONS")]
    return page.replace("\\%", "").replace("\\[u2026]", "…")


@pytest.mark.parametrize("kind", ["http", "tls"])
def test_the_man_page_explains_each_line_that_the_unit_leaves_open(kind):
    said = subprocess.run(["systemd-analyze", "security", "--offline=true", "--json=short", "--no-pager",
                           UNITS / f"novnc-gate-{kind}@.service"], stdout=subprocess.PIPE, check=True)
    rows = [set(row.replace(",", " ").split())
            for row in re.findall(r"^T\{\n(.*)\nT\}\tT\{$", explanations(), re.MULTILINE)]
    left_open = [line["name"] for line in json.loads(said.stdout) if not line["set"]]
    assert "SystemCallFilter=~@clock" in left_open
    for name in left_open:
        directive, tilde, what = name.partition("~")
        assert any({directive, tilde + what} - {""} <= row for row in rows), name


def test_the_tests_that_the_man_page_names_exist():
    names = set(re.findall(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b", explanations()))
    assert {"each_attempt_ends_as_expected", "memory_for_code", "test_its_limits"} <= names
    tests = "".join((TREE / "tests" / file).read_text() for file in (
        "test_sandbox.c", "e2e/test_sandbox.py", "systemd/test_connections.py"))
    assert {name for name in names if not re.search(
        rf"(def |START_TEST\(|ATTEMPT\(){name}\b", tests)} == {"test_sandbox", "test_connections"}


def test_a_connection_is_confined_before_its_first_byte(world):
    c = world.client()
    pid = c.pid
    deadline = time.monotonic() + DEADLINE
    while int(fields(pid, "status")["NoNewPrivs"]) == 0 or confined(pid) == 0:
        assert time.monotonic() < deadline
    world.exchange(c, request())
    assert c.pid == pid and confined(pid) == 1


def test_a_tunnel_is_confined_once_more(world):
    c, b = world.tunnel()
    assert confined(c.pid) == 2
    c.send(b"x" * 300_000)
    assert b.exactly(300_000) == b"x" * 300_000
    b.send(b"y")
    assert c.exactly(1) == b"y"


def landlock_lacks():
    """The Landlock features that this kernel lacks; rules for TCP came with version 4, Linux 6.7."""
    version = ctypes.CDLL(None).syscall(444, None, 0, 1)    # landlock_create_ruleset
    lacks = "Landlock is" if version < 1 else "Landlock rules for TCP are" if version < 4 else None
    return lacks and f"{lacks} not available"


def test_an_entry_names_features_that_the_kernel_lacks(world):
    world.configure("[Log]\nLevel=debug")
    c = world.client()
    world.exchange(c, request())
    c.close()
    assert c.exited() == 0
    assert [line for line in c.process.log if line.startswith("Sandbox degraded: ")] == \
        [f"Sandbox degraded: {what} (client {c.address})" for what in [landlock_lacks()] if what]


def test_its_limits(world):
    c = world.client()
    world.exchange(c, request())
    assert limit(c.pid, "Max core file size") == "0"
    assert limit(c.pid, "Max processes") == "0"
    assert limit(c.pid, "Max file size") == "0"
    assert int(limit(c.pid, "Max open files")) <= 32


def test_a_backend_by_name(world):
    world.configure(nextjs=f"http://localhost:{world.nextjs.port}",
                    controller=f"http://localhost:{world.controller.port}")
    c, b = world.tunnel()
    assert confined(c.pid) == 2
    c.send(b"x")
    assert b.exactly(1) == b"x"


def test_a_backend_behind_a_unix_socket(world, tmp_path):
    with_path = world.backend(path=str(tmp_path / "s"))
    world.configure(nextjs=f"unix:{tmp_path}/s")
    c = world.client()
    world.exchange(c, request(), backend=with_path)
    assert confined(c.pid) == 1


def test_a_process_that_is_stopped_and_continued_goes_on(world):
    """The kernel resumes a poll() with another system call, restart_syscall()."""
    c, b = world.tunnel()
    c.send(b"x")
    assert b.exactly(1) == b"x"
    pid = c.pid
    os.kill(pid, signal.SIGSTOP)
    while fields(pid, "status")["State"].split()[0] != "T":
        pass
    os.kill(pid, signal.SIGCONT)
    b.send(b"y")
    assert c.exactly(1) == b"y"


# pipe-user-pages-soft holds for root as well, without these capabilities.
UNPRIVILEGED = ["setpriv", "--bounding-set=-sys_resource,-sys_admin"] if os.geteuid() == 0 else []
USE_UP_PIPES = """
import fcntl, os, sys
for _ in range(500):
    pipe = os.pipe()
    try:
        fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 1 << 20)
    except PermissionError:
        break
else:
    sys.exit("this machine has pipes without end")
print("used up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def no_more_pipes():
    """Another process uses all memory for pipes that an unprivileged user gets."""
    with subprocess.Popen([*UNPRIVILEGED, sys.executable, "-c", USE_UP_PIPES], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == "used up\n"
        yield
        holder.stdin.close()


def test_a_user_whose_pipes_are_used_up_loses_no_session(tmp_path, no_more_pipes):
    with Gate(tmp_path, wrapper=UNPRIVILEGED) as gate, World(gate) as world:
        c, b = world.tunnel()
        assert confined(c.pid) == 2
        for sender, receiver in ((c, b), (b, c)):
            sent = fill(sender)     # so that reads fill a buffer, after which the gate makes a pipe
            assert read_stream(receiver, sent) == crc_of_stream(sent)


@pytest.mark.parametrize("world", [("backend",)], indirect=True, ids=[""])
def test_a_recheck_opens_no_file(world, authority, tmp_path):
    """Next.js has a certificate of another authority than before, whose file would have to be opened."""
    other = Authority(tmp_path / "other", "Other CA")
    for a in (authority, other):
        hashed(a, tmp_path)
    world.drop_in("50-authorization.conf", KEYS)
    world.drop_in("51-ca.conf", "[NextJs]\nCaFile=\n")
    c = world.direct(SESSION, env={"SSL_CERT_DIR": str(tmp_path)}.items())
    answer(world.nextjs)
    b = world.tunnel_of(c)
    before, world.nextjs.tls = world.nextjs.tls, other.server(other.issue("IP:127.0.0.1"))
    for _ in range(2):
        with pytest.raises((OSError, Ended)):
            world.nextjs.accept().more()
        goes_on(c, b)
    world.nextjs.tls = before
    answer(world.nextjs, response(status="401 No"))
    is_ended(c, b)
    assert warnings(c) == [f"TLS handshake with {world.nextjs.authority}: certificate verify failed: "
                           "unable to get local issuer certificate"]
