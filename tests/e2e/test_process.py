"""The process: how it is started, what it costs, how it ends."""

import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import threading

import pytest

from gate import (BINARY, GROWTH_KB, HOST, NOVNC, RESET, SANITIZED, Direct, Ended, Responder, chunked,
                  clean_env, connection, cpu_seconds, head, memory_kb, refusing, request, response,
                  switching, upgrade)
from websocket import closed, unframed

TREE = pathlib.Path(__file__).parents[2]


def run(*args, stdin=subprocess.DEVNULL):
    return subprocess.run([BINARY, *args], stdin=stdin, capture_output=True, text=True,
                          timeout=20, env=clean_env(), check=False)


@pytest.mark.parametrize("option, word", [("--help", "--check"), ("-h", "--check"),
                                          ("--version", "novnc-gate")])
def test_help_and_version(option, word):
    r = run(option)
    assert r.returncode == 0 and word in r.stdout and r.stderr == ""


@pytest.mark.parametrize("program, parts", [
    ("novnc-gate", f"{'-' if SANITIZED else '+'}LANDLOCK {'-' if SANITIZED else '+'}SECCOMP +LIBMD +LLHTTP +OPENSSL"),
    ("novnc-gatectl", "+JANSSON +LIBSYSTEMD"),
])
def test_version_is_that_of_the_changelog_and_names_the_libraries(program, parts):
    changelog = (TREE / "units/debian/changelog").read_text()
    binary = BINARY if program == "novnc-gate" else TREE / "build/novnc-gatectl"
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"{program} {changelog.split('(')[1].split(')')[0]}\n{parts}\n"


def test_help_names_the_program_as_it_was_called():
    """It is not in the PATH of a user."""
    assert f"-l 127.0.0.1:3000 {BINARY}\n" in run("--help").stdout


@pytest.mark.parametrize("args", [["--nonsense"], ["-x"], ["--check=nonsense"], ["word"],
                                  ["--config"]], ids=" ".join)
def test_wrong_usage(args):
    r = run(*args)
    assert r.returncode == 2 and r.stderr and not r.stdout


@pytest.fixture(params=["null", "pipe", "file", "listening socket", "datagram socket", "terminal"])
def no_connection(request, tmp_path):
    if request.param == "null":
        with open(os.devnull) as f:
            yield f
    elif request.param == "pipe":
        r, w = os.pipe()
        os.close(w)
        yield r
        os.close(r)
    elif request.param == "file":
        (tmp_path / "file").write_bytes(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with open(tmp_path / "file") as f:
            yield f
    elif request.param == "listening socket":
        with socket.create_server(("127.0.0.1", 0)) as s:
            yield s
    elif request.param == "datagram socket":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            yield s
    else:
        master, slave = pty.openpty()
        yield slave
        os.close(slave)
        os.close(master)


def test_without_a_connection_it_says_how_to_start_it(no_connection):
    r = run(stdin=no_connection)
    assert r.returncode == 2
    assert "enable --now novnc-gate" in r.stderr, r.stderr


def test_a_connection_that_is_reset_before_the_start_is_no_fault(world):
    """Otherwise each port scan would leave a failed unit."""
    sock, served = connection()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
    with served:
        p = Direct(served, world.gate.config)
    assert p.wait() == 0 and p.log == []


def test_a_request_sent_before_the_start_is_served(world):
    sock, served = connection()
    sock.sendall(request("GET", "/early"))
    sock.shutdown(socket.SHUT_WR)
    with served, sock:
        p = Direct(served, world.gate.config)
        b = world.nextjs.accept()
        assert b.request().target == "/early"
        b.send(response(b"x"))
        assert p.wait() == 0


def test_a_non_blocking_connection_is_served(world):
    sock, served = connection()
    served.setblocking(False)
    with served, sock:
        p = Direct(served, world.gate.config)
        sock.sendall(request())
        world.nextjs.accept().request()
        sock.close()
        os.kill(p.pid, signal.SIGTERM)
        assert p.wait() == 0


def test_an_error_response_names_the_invocation_of_systemd(world):
    invocation = "0123456789abcdef0123456789abcdef"
    c = world.direct(request(host=None), env={"INVOCATION_ID": invocation})
    r = c.response()
    assert r.status == 400 and invocation in r.body.decode()


def test_nothing_of_the_log_goes_to_the_client(world):
    world.configure("[Log]\nLevel=debug")
    c, b = world.tunnel()
    b.close()
    assert [code for code, _ in closed(c)] == [1014]


# Closed standard streams, whose descriptors the next socket would get

@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)])
def test_no_socket_becomes_a_standard_stream(world, closed):
    c = world.direct(upgrade(), closed=closed)
    world.tunnel_of(c)
    at = lambda fd: os.readlink(f"/proc/{c.pid}/fd/{fd}")
    assert at(1) in (at(2), os.devnull) and (2 not in closed or at(2) == os.devnull)


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_check_with_a_closed_stream(world, closed):
    with Responder(world.nextjs), Responder(world.controller):
        r = world.check(preexec_fn=lambda: os.close(closed))
    assert r.returncode == 0 and ("speaks HTTP (status 200)" in r.stdout or closed == 1)


def test_a_closed_standard_input_is_no_connection():
    r = subprocess.run([BINARY], stderr=subprocess.PIPE, text=True, timeout=20, env=clean_env(),
                       check=False, preexec_fn=lambda: os.close(0))
    assert r.returncode == 2 and "standard input is not a connection" in r.stderr


# Out of descriptors

@pytest.mark.parametrize("limit", range(4, 16))
@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_out_of_descriptors_a_request_is_served_or_a_500(world, kind, limit):
    """At whichever descriptor the limit is reached."""
    c = world.direct(upgrade() if kind == "upgrade" else request(), nofile=limit)
    server = threading.Thread(target=serve_one, daemon=True,
                                args=(world.controller if kind == "upgrade" else world.nextjs,))
    server.start()
    r = c.response()
    assert r.status in ((101, 500) if kind == "upgrade" else (200, 500))
    if r.status == 500:
        assert c.end() == "FIN"
        c.close()
        assert c.exited() in (0, 71)
        c.exit_code = c.exited()
        assert c.log
    world.nextjs.sock.close()
    world.controller.sock.close()


def serve_one(backend):
    try:
        b = backend.accept()
        m = b.request()
        b.send(switching() if "Upgrade" in m else response(b"x"))
    except (AssertionError, Ended, OSError, ValueError):
        pass


# No busy loop

def waiting_for_the_next_request(world):
    c = world.client()
    world.exchange(c, request())
    return c


def amid_a_head(world):
    c = waiting_for_the_next_request(world)
    c.send(b"GET / HTTP/1.1\r\n")
    return c


def waiting_for_an_answer(world):
    c = world.client(request())
    world.nextjs.accept().request()
    return c


def half_closed_and_waiting_for_an_answer(world):
    c = waiting_for_an_answer(world)
    c.half_close()
    return c


def waiting_for_an_answer_with_more_requests_behind(world):
    c = waiting_for_an_answer(world)
    c.send(request() * 2000)
    return c


def waiting_for_a_101_with_early_bytes(world):
    c = world.client(upgrade() + b"early" * 1000)
    world.controller.accept().request()
    return c


def half_closed_and_waiting_for_a_101(world):
    c = world.client(upgrade())
    world.controller.accept().request()
    c.half_close()
    return c


def an_upload_that_nobody_reads(world):
    c = world.client(request("POST", "/", "Content-Length: 100000000"))
    world.nextjs.accept()
    c.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        while True:
            c.send(bytes(1 << 20))
    return c


def an_upload_that_pauses(world):
    c = world.client(request("POST", "/", "Transfer-Encoding: chunked") + chunked(b"x")[:-5])
    world.nextjs.accept().until(b"x")
    return c


def a_download_that_nobody_reads(world):
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK"))
    b.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        while True:
            b.send(bytes(1 << 20))
    return c


def a_download_that_pauses(world):
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"1\r\nx\r\n")
    c.until(b"x")
    return c


def an_answer_before_its_body_is_sent(world):
    c = world.client(request("POST", "/", "Content-Length: 10") + b"x")
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    b.send(response(b"early"))
    assert c.response().body == b"early"
    return c


def a_kept_backend_connection_that_has_ended(world):
    c = waiting_for_the_next_request(world)
    world.nextjs.peers[0].close()
    return c


def an_idle_tunnel(world):
    return world.tunnel()[0]


def a_tunnel_beside_a_kept_connection_that_has_ended(world):
    c = waiting_for_the_next_request(world)
    c.send(upgrade())
    b = world.controller.asked()
    world.nextjs.peers[0].close()
    b.send(switching())
    assert c.response().status == 101
    return c


def waiting_beside_a_kept_connection_that_has_ended(world):
    c = waiting_for_the_next_request(world)
    c.send(upgrade())
    world.controller.accept().request()
    world.nextjs.peers[0].close()
    return c


def a_tunnel_half_closed_by_the_client(world):
    c, b = unframed(*world.tunnel())
    c.half_close()
    assert b.end() == "FIN"
    return c


def a_tunnel_half_closed_by_the_backend(world):
    c, b = unframed(*world.tunnel())
    b.half_close()
    assert c.end() == "FIN"
    return c


def a_refused_client_that_stays(world):
    c = world.client(request(host=None))
    c.response()
    return c


STATES = [waiting_for_the_next_request, amid_a_head, waiting_for_an_answer,
          half_closed_and_waiting_for_an_answer, waiting_for_an_answer_with_more_requests_behind,
          waiting_for_a_101_with_early_bytes, half_closed_and_waiting_for_a_101,
          an_upload_that_nobody_reads, an_upload_that_pauses, a_download_that_nobody_reads,
          a_download_that_pauses, an_answer_before_its_body_is_sent,
          a_kept_backend_connection_that_has_ended, an_idle_tunnel,
          a_tunnel_beside_a_kept_connection_that_has_ended,
          waiting_beside_a_kept_connection_that_has_ended,
          a_tunnel_half_closed_by_the_client, a_tunnel_half_closed_by_the_backend,
          a_refused_client_that_stays]


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.__name__)
def test_waiting_costs_no_cpu_time(world, state):
    c = state(world)
    used = cpu_seconds(c.pid)
    threading.Event().wait(0.5)         # a busy loop would use CPU time meanwhile
    assert cpu_seconds(c.pid) - used < 0.05


def test_memory_of_an_idle_tunnel(world):
    """Private and resident memory stay within a budget."""
    c, _ = world.tunnel()
    assert memory_kb(c.pid, "Private_Dirty") < 2048 or SANITIZED
    assert memory_kb(c.pid, "Rss") < 16384 or SANITIZED


def test_a_body_costs_no_memory(world):
    c = world.client(request("POST", "/", "Content-Length: 50000000"))
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    before = memory_kb(c.pid)
    sending = threading.Thread(target=c.send, args=(bytes(50_000_000),))
    sending.start()
    left = 50_000_000
    while left:
        left -= len(b.exactly(min(left, 1 << 20)))
    sending.join()
    assert memory_kb(c.pid) - before < GROWTH_KB


def test_a_response_costs_no_memory(world):
    c = waiting_for_an_answer(world)
    b = world.nextjs.peers[0]
    b.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
    before = memory_kb(c.pid)
    b.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        while True:
            b.send(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
    assert memory_kb(c.pid) - before < GROWTH_KB


def test_descriptors_do_not_pile_up(world):
    c = world.client()
    world.exchange(c, request())
    before = len(os.listdir(f"/proc/{c.pid}/fd"))
    for _ in range(20):
        world.nextjs.peers[-1].close()
        world.exchange(c, request())
    assert len(os.listdir(f"/proc/{c.pid}/fd")) == before


def test_no_descriptor_of_a_file_stays_open(world):
    """The starter may have left others open."""
    c, _ = world.tunnel()
    links = [os.readlink(f"/proc/{c.pid}/fd/{n}") for n in os.listdir(f"/proc/{c.pid}/fd")]
    assert len(links) < 16, links
    assert not [link for link in links if re.search("conf|random", link)]


def test_a_502_to_a_client_that_is_gone_is_an_exit_of_0(world):
    with refusing() as backend:
        world.configure(nextjs=backend.url)
        c = world.client(request())
        assert c.pid
        c.reset()
        assert c.exited() == 0


def test_killing_the_process_ends_both_sides_of_its_tunnel(world):
    """No other process has a descriptor of it."""
    c, b = world.tunnel()
    c.exit_code = signal.SIGKILL
    os.kill(c.pid, signal.SIGKILL)
    assert c.end() in ("FIN", "RST") and b.end() in ("FIN", "RST")


def test_hundreds_of_pipelined_refusals_end_after_the_first(world):
    c = world.client(upgrade("/evil") * 200)
    world.refused(c, 403)


def test_without_a_reader_of_its_log_the_gate_serves(world):
    """Without anybody to read its log the gate still serves."""
    r, w = os.pipe()
    os.close(r)
    sock, served = connection()
    with served, sock:
        p = subprocess.Popen([BINARY, f"--config={world.gate.config}"], stdin=served,
                             stdout=served, stderr=w, env=clean_env())
        os.close(w)
        sock.sendall(upgrade(NOVNC, f"Origin: http://{HOST}"))
        b = world.controller.asked()
        b.send(switching())
        assert sock.recv(12) == b"HTTP/1.1 101"
        sock.close()
        b.close()
        assert p.wait(10) == 0
