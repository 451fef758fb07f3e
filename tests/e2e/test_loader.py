"""The two programs, static and dynamic: which one serves a connection, and errors if one is missing."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from gate import BINARY, SANITIZED, clean_env, request, response

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers take the loader: there is one program")


def serve(world, **kw):
    c = world.direct(request(), **kw)
    b = world.nextjs.asked()
    mapped = pathlib.Path(f"/proc/{c.pid}/maps").read_text()
    program = os.path.basename(os.readlink(f"/proc/{c.pid}/exe"))
    b.send(response(b"x"))
    assert c.response().status == 200
    return program, mapped


def named(world):
    world.configure(nextjs=f"http://localhost:{world.nextjs.port}")


def fails(world, program, reason):
    """A host name needs the dynamic program, and the program cannot re-execute itself as that one."""
    named(world)
    c = world.direct(request(), binary=program)
    c.exit_code = 71
    assert c.response().status == 500
    # while it lingers it is in the sandbox
    assert "\nSeccomp:\t2\n" in pathlib.Path(f"/proc/{c.pid}/status").read_text()
    c.close()
    assert c.exited() == 71
    assert c.log == [f"Internal error: cannot execute novnc-gate-dynamic: {reason}"]
    world.nextjs.untouched()


@pytest.fixture
def alone(tmp_path):
    """A copy of the static program without the files that are installed with it."""
    return shutil.copy(BINARY, tmp_path / "novnc-gate")


def test_addresses_are_served_by_the_static_program(world):
    program, mapped = serve(world)
    assert program == "novnc-gate" and ".so" not in mapped


def test_a_host_name_takes_the_dynamic_program(world):
    named(world)
    program, mapped = serve(world)
    assert program == "novnc-gate-dynamic" and "libc.so" in mapped and "libssl" not in mapped


def test_the_dynamic_program_is_found_where_it_is_installed(world, alone, tmp_path):
    sbin, lib = tmp_path / "sbin", tmp_path / "lib/novnc-gate"
    sbin.mkdir()
    lib.mkdir(parents=True)
    shutil.move(alone, sbin)
    shutil.copy(BINARY.with_name("novnc-gate-dynamic"), lib)
    named(world)
    assert serve(world, binary=sbin / "novnc-gate")[0] == "novnc-gate-dynamic"


def test_signals_and_closed_streams_are_kept_through_the_change_of_program(world):
    """SIGTERM before the second program starts, and closed standard streams."""
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
def test_a_dynamic_program_that_cannot_run_is_an_error(world, alone, other, reason):
    other(alone.with_name("novnc-gate-dynamic"))
    fails(world, alone, reason)


def test_the_static_program_alone_serves_addresses(world, alone):
    assert serve(world, binary=alone)[0] == "novnc-gate"


def test_the_static_program_alone_names_the_missing_one(world, alone):
    fails(world, alone, "No such file or directory")


@pytest.mark.parametrize("option", ["--tls", "--check"])
def test_the_static_program_alone_has_no_tls_and_no_check(world, alone, option):
    if option == "--tls":
        c = world.direct(request(), binary=alone, options=["--tls"])
        c.exit_code = 71
        assert c.end() in ("FIN", "RST")    # without TLS there is no response
        c.close()
        assert c.exited() == 71
        said = c.log[0]
    else:
        r = subprocess.run([alone, f"--config={world.gate.config}", option], timeout=20, check=False,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, env=clean_env())
        assert r.returncode == 71 and r.stdout == ""
        said = r.stderr
    assert "novnc-gate-dynamic: No such file or directory" in said
