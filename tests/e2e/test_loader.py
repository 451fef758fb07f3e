"""The two programs: which of them serves a connection, and what where one is missing."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from gate import BINARY, SANITIZED, answer, clean_env, request

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers take the loader: there is one program")


def serve(world, **kw):
    c = world.direct(request(), **kw)
    b = world.nextjs.asked()
    mapped = pathlib.Path(f"/proc/{c.pid}/maps").read_text()
    program = os.path.basename(os.readlink(f"/proc/{c.pid}/exe"))
    b.send(answer(b"x"))
    assert c.response().status == 200
    return program, mapped


def named(world):
    world.configure(nextjs=f"http://localhost:{world.nextjs.port}")


def fails(world, program, reason):
    """Where it cannot go on as the other program, which a name takes."""
    named(world)
    c = world.direct(request(), binary=program)
    c.exit_code = 71
    assert c.response().status == 500
    # for as long as it lingers it is shut in
    assert "\nSeccomp:\t2\n" in pathlib.Path(f"/proc/{c.pid}/status").read_text()
    c.close()
    assert c.exited() == 71
    assert c.log == [f"Internal error: cannot execute novnc-gate-dynamic: {reason}"]
    world.nextjs.untouched()


@pytest.fixture
def alone(tmp_path):
    """Nothing of what is installed with it."""
    return shutil.copy(BINARY, tmp_path / "novnc-gate")


def test_what_needs_no_loader_loads_nothing(world):
    program, mapped = serve(world)
    assert program == "novnc-gate" and ".so" not in mapped


def test_a_name_takes_the_loader(world):
    named(world)
    program, mapped = serve(world)
    assert program == "novnc-gate-dynamic" and "libc.so" in mapped and "libssl" not in mapped


def test_as_it_is_installed(world, alone, tmp_path):
    sbin, lib = tmp_path / "sbin", tmp_path / "lib/novnc-gate"
    sbin.mkdir()
    lib.mkdir(parents=True)
    shutil.move(alone, sbin)
    shutil.copy(BINARY.with_name("novnc-gate-dynamic"), lib)
    named(world)
    assert serve(world, binary=sbin / "novnc-gate")[0] == "novnc-gate-dynamic"


def test_what_has_come_before_is_not_lost_on_the_way(world):
    """SIGTERM before the second program begins, and a closed stream."""
    named(world)
    told = ("import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]);"
            "os.kill(os.getpid(), signal.SIGTERM); os.execv(sys.argv[1], sys.argv[1:])")
    c = world.direct(wrapper=[sys.executable, "-c", told], closed=(1, 2))
    assert c.exited() == 0
    assert serve(world, closed=(1, 2))[0] == "novnc-gate-dynamic"


@pytest.mark.parametrize("other, reason", [
    (lambda path: os.link(path.with_name("novnc-gate"), path), "Too many levels of symbolic links"),
    (lambda path: path.touch(0o644), "Permission denied"),
    (lambda path: path.mkdir(), "Permission denied")], ids=["itself", "no program", "directory"])
def test_what_is_not_the_other_program_is_not_taken_for_it(world, alone, other, reason):
    other(alone.with_name("novnc-gate-dynamic"))
    fails(world, alone, reason)


def test_alone_it_serves_what_needs_no_loader(world, alone):
    assert serve(world, binary=alone)[0] == "novnc-gate"


def test_alone_it_says_what_is_missing(world, alone):
    fails(world, alone, "No such file or directory")


@pytest.mark.parametrize("option", ["--tls", "--check"])
def test_alone_it_neither_speaks_tls_nor_checks(world, alone, option):
    if option == "--tls":
        c = world.direct(request(), binary=alone, options=["--tls"])
        c.exit_code = 71
        assert c.end() in ("FIN", "RST")    # there is no TLS to answer with
        c.close()
        assert c.exited() == 71
        said = c.log[0]
    else:
        r = subprocess.run([alone, f"--config={world.gate.config}", option], timeout=20, check=False,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, env=clean_env())
        assert r.returncode == 71 and r.stdout == ""
        said = r.stderr
    assert "novnc-gate-dynamic: No such file or directory" in said
