"""[Authorization] RecheckSec=: Next.js is asked again while a session is open."""

import os
import select
import signal
import subprocess
import time

import pytest

from gate import (DEADLINE, NOVNC, SECRET, Backend, chunked, cpu_seconds, head, request, response, switching,
                  upgrade)
from test_authorization import PATH, granted
from test_timeouts import not_before
from websocket import BINARY, receive, receive_close, receive_up_to_close, reason_to, send, send_close

KEYS = f"[Authorization]\nPath={PATH}\nRecheckSec=150ms\n"
SESSION = upgrade(NOVNC + "?t=1", "Cookie: a=1", f"Cookie: b={SECRET}", f"Authorization: Bearer {SECRET}")
CANNOT = "Session cannot be authorized again: "
IS_OVER = "no longer authorized"


@pytest.fixture(autouse=True)
def setting(world):
    world.drop_in("50-authorization.conf", KEYS)


def asked(backend):
    """A new connection, and the authorization request on it."""
    b = backend.accept()
    m = b.request()
    assert (m.method, m.target, m.body) == ("GET", PATH, b"")
    return b, m


def answer(backend, sent=None):
    b, m = asked(backend)
    b.send(sent or granted())
    return m


def session(world, nextjs=None, message=SESSION, **kw):
    """An open session: the client's end and the controller's."""
    c = world.client(message, **kw)
    answer(nextjs or world.nextjs)
    return c, world.tunnel_of(c)


def goes_on(c, b):
    send(c, BINARY, b"up")
    assert receive(b)[:2] == (BINARY, b"up")
    send(b, BINARY, b"down")
    assert receive(c)[:2] == (BINARY, b"down")


def is_ended(c, b):
    """Both ends get a Close; the log has the reason."""
    assert receive_close(c) == (1008, reason_to(c, IS_OVER))
    assert receive_close(b) == (1001, "")
    send_close(c, 1008)
    send_close(b, 1001)
    assert c.end() == b.end() == "FIN"
    c.close()
    assert c.exited() == 0
    assert len([line for line in c.log if line.startswith(f"noVNC session closed: {NOVNC} ({IS_OVER};")]) == 1


def warnings(c):
    return [line.removeprefix(CANNOT) for line in c.log if line.startswith(CANNOT)]


# Where Next.js may be

def tcp(host):
    return lambda world, tmp_path: world.backend(host=host)


def unix(world, tmp_path):
    return world.backend(path=tmp_path / "next")


wherever = pytest.mark.parametrize("where", [tcp("127.0.0.1"), tcp("::1"), unix], ids=["IPv4", "IPv6", "Unix"])
with_tls = pytest.mark.parametrize("world", [(), ("client",), ("backend",), ("client", "backend")],
                                   indirect=True, ids=["plain", "TLS client", "TLS backends", "all TLS"])


@wherever
@pytest.mark.parametrize("world", [(), ("client",)], indirect=True, ids=["plain", "TLS client"])
def test_it_is_asked_at_its_address(world, tmp_path, where):
    backend = where(world, tmp_path)
    world.configure(nextjs=backend.url)
    c, b = session(world, backend)
    for _ in range(2):
        answer(backend)
        goes_on(c, b)
    answer(backend, response(status="401 No"))
    is_ended(c, b)


@with_tls
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_it_is_asked_by_tls_as_the_first_time(world, name):
    """The tunnel's sandbox allows neither to resolve nor to open a file."""
    url = world.nextjs.url.replace("127.0.0.1", name)
    world.configure(nextjs=url)
    c, b = session(world)
    for _ in range(3):
        answer(world.nextjs)
        goes_on(c, b)
    assert warnings(c) == []
    answer(world.nextjs, response(status="403 No"))
    is_ended(c, b)


def hashed(authority, directory):
    """Its certificate where OpenSSL looks for it."""
    name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", authority.file],
                          capture_output=True, text=True, check=True).stdout.strip()
    (directory / f"{name}.0").write_bytes(authority.file.read_bytes())


@pytest.mark.parametrize("world", [("backend",)], indirect=True, ids=[""])
def test_it_is_asked_with_the_systems_certificates(world, authority, tmp_path):
    """OpenSSL looks for those of other authorities too, and finds no file."""
    hashed(authority, tmp_path)
    world.drop_in("51-ca.conf", "[NextJs]\nCaFile=\n")
    c = world.direct(SESSION, env={"SSL_CERT_DIR": str(tmp_path)}.items())
    answer(world.nextjs)
    b = world.tunnel_of(c)
    for _ in range(2):
        answer(world.nextjs)
        goes_on(c, b)
    answer(world.nextjs, response(status="401 No"))
    is_ended(c, b)
    assert not warnings(c)


# Again and again

def test_it_is_the_first_request_again(world):
    c = world.client(SESSION)
    first = answer(world.nextjs)
    b = world.tunnel_of(c)
    for _ in range(3):
        with not_before(0.15):
            assert answer(world.nextjs).fields == first.fields
    assert first.all("Cookie") == ["a=1", f"b={SECRET}"] and first["X-Novnc-Session"] == "s-1"
    goes_on(c, b)
    assert not warnings(c)


@pytest.mark.parametrize("sent", [
    granted(body=b"x" * 300000), granted(user="bob"), head("HTTP/1.1 204 No Content", "X-Novnc-User: a"),
    head("HTTP/1.1 200 OK", "X-Novnc-User: a", "Transfer-Encoding: chunked") + chunked(b"x"),
    head("HTTP/1.1 200 OK", "X-Novnc-User: a", "Content-Length: 9"),
    head("HTTP/1.1 100 Continue") * 3 + granted()], ids=["long", "another", "204", "chunked", "cut", "interim"])
def test_a_2xx_changes_nothing(world, sent):
    c, b = session(world)
    for _ in range(2):
        answer(world.nextjs, sent)
        goes_on(c, b)
    assert not warnings(c)


@with_tls
@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found"])
def test_a_refusal_ends_the_session(world, status):
    c, b = session(world)
    answer(world.nextjs, response(b"sign in", "Set-Cookie: a=1", status=status))
    is_ended(c, b)
    world.nextjs.untouched()


def test_a_refusal_ends_a_session_without_frames(world):
    c, b = session(world)
    c.send(b"\xff" * 10)
    assert b.exactly(10) == b"\xff" * 10
    answer(world.nextjs, response(status="401 No"))
    assert c.end() in ("FIN", "RST") and b.end() in ("FIN", "RST")


def test_infinity_asks_once(world):
    world.drop_in("51-never.conf", "[Authorization]\nRecheckSec=infinity\n")
    c, b = session(world)
    ready, _, _ = select.select([world.nextjs.sock], [], [], 0.5)
    assert not ready
    goes_on(c, b)


def test_pages_are_not_asked_about_again(world):
    world.drop_in("51-page.conf", "[Routes]\nControllerPath=/page\n")
    c = world.client(request("GET", "/page"))
    answer(world.nextjs)
    b = world.controller.asked()
    ready, _, _ = select.select([world.nextjs.sock], [], [], 0.5)
    assert not ready
    b.send(response(b"x"))
    assert c.response().body == b"x"


# While Next.js does not decide

@pytest.mark.parametrize("sent, why", [
    (response(status="302 Found"), "Next.js responded with 302 to the authorization request"),
    (response(status="500 X"), "Next.js responded with 500 to the authorization request"),
    (response(), "Next.js authorized the request without a valid X-Novnc-User"),
    (b"hello\n", 'Next.js does not speak HTTP/1.1 (it sent "hello")'),
    (switching(), "Next.js responded with 101 to the authorization request"),
    (head("HTTP/1.1 200 OK", "A:" + "b" * 40000), "Next.js sent a response head longer than HeadMaxBytes="),
    (head("HTTP/1.1 100 x") * 102, "Next.js sent too many interim responses")],
    ids=["302", "500", "no user", "not HTTP", "101", "long", "interim"])
def test_any_other_response_is_logged_once(world, sent, why):
    c, b = session(world)
    for _ in range(3):
        answer(world.nextjs, sent)
        goes_on(c, b)
    answer(world.nextjs)                               # it responds again, and then fails again
    answer(world.nextjs, sent)
    answer(world.nextjs, response(status="404 No"))
    is_ended(c, b)
    assert warnings(c) == [why] * 2


@pytest.mark.parametrize("world", [(), ("client",)], indirect=True, ids=["plain", "TLS client"])
def test_nextjs_is_down_for_a_while(world):
    nextjs = Backend()
    world.configure(nextjs=nextjs.url)
    c, b = session(world, nextjs)
    nextjs.close()
    c.logged(CANNOT)
    end = time.monotonic() + 0.7
    while time.monotonic() < end:                      # it is asked again meanwhile
        goes_on(c, b)
    again = world.backend(port=nextjs.port)
    answer(again, response(status="401 No"))
    is_ended(c, b)
    assert warnings(c) == [f"cannot connect to {nextjs.authority}: Connection refused"]


def test_nextjs_closes(world):
    c, b = session(world)
    for _ in range(2):
        asked(world.nextjs)[0].close()
    asked(world.nextjs)[0].reset()
    answer(world.nextjs)
    goes_on(c, b)
    assert warnings(c) == ["Next.js closed the connection before its response began"]


@with_tls
def test_traffic_flows_while_nextjs_hangs(world):
    world.drop_in("51-time.conf", "[Authorization]\nTimeoutSec=1\n")
    c, b = session(world)
    n, _ = asked(world.nextjs)
    n.send(b"HTTP/1.1 2")
    with not_before(0.9):
        goes_on(c, b)
        assert n.end() in ("FIN", "cut")
    c.logged(CANNOT)
    answer(world.nextjs, response(status="401 No"))
    is_ended(c, b)
    assert warnings(c) == ["timed out waiting for the response head from Next.js"]


def test_a_hanging_nextjs_costs_no_cpu(world):
    c, b = session(world)
    n, _ = asked(world.nextjs)
    n.send(b"HTTP/1.1 2")
    before = cpu_seconds(c.pid)
    time.sleep(0.5)
    assert cpu_seconds(c.pid) - before < 0.1
    n.half_close()
    goes_on(c, b)


def test_much_traffic_does_not_delay_it(world, threads):
    c, b = session(world)

    def pour():
        while True:
            try:
                send(b, BINARY, bytes(100000))
            except OSError:
                return

    pouring = threads.submit(pour)
    reading = threads.submit(receive_up_to_close, c)
    answer(world.nextjs)
    answer(world.nextjs, response(status="401 No"))
    assert reading.result(20) == (1008, reason_to(c, IS_OVER))
    c.close()
    b.close()
    pouring.result(20)


# Ends meanwhile

@pytest.mark.parametrize("end", ["client", "controller", "SIGTERM", "reset"])
def test_the_session_may_end_meanwhile(world, end):
    c, b = session(world)
    n, _ = asked(world.nextjs)
    if end == "client":
        send_close(c, 1000)
        assert receive_close(b) == (1000, "")
        send_close(b, 1000)
    elif end == "controller":
        b.close()
        assert receive_close(c)[0] == 1014
    elif end == "SIGTERM":
        start = time.monotonic()
        os.kill(c.pid, signal.SIGTERM)
        assert n.end() == "FIN"
        assert time.monotonic() - start < 1             # and not after the wait for the peers' Closes
        assert receive_close(c)[0] == 1001
    else:
        c.reset()
    if end != "reset":
        c.close()
    b.close()
    if end != "SIGTERM":
        assert n.end() == "FIN"
    assert c.exited() == 0
    assert not warnings(c)


# The credentials

def copies(pid, text):
    """How often a process has that text in its memory."""
    found = 0
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            where, access = line.split()[:2]
            start, end = (int(address, 16) for address in where.split("-"))
            if access.startswith("rw") and end - start < 1 << 32:       # not the shadow of a sanitizer
                memory.seek(start)
                found += memory.read(end - start).count(text.encode())
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read the memory of a process in the sandbox")
@with_tls
@pytest.mark.parametrize("span, expected", [("1h", 1), ("infinity", 0)])
def test_an_idle_session_keeps_credentials_only_for_it(world, span, expected):
    """One copy of them, in the request that is repeated, or none."""
    world.drop_in("51-recheck.conf", f"[Authorization]\nRecheckSec={span}\n")
    c, b = session(world, message=upgrade(NOVNC, f"Cookie: {SECRET}"))
    goes_on(c, b)
    deadline = time.monotonic() + DEADLINE
    while (found := copies(c.pid, SECRET)) != expected:     # once it is idle
        assert time.monotonic() < deadline, found
