"""Backends that are not there, and clients that go away at every stage."""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from gate import Ended, Gate, deaf, head, refusing, request, response, upgrade


def asking(kind):
    return upgrade() if kind == "upgrade" else request()


def failed(world, c, kind, says, logged, status=502):
    """The error response, whose sentence has no address or file, and the log entry, which has them."""
    r = world.error(c, status)
    name, begins = ("master-controller", "WebSocket proxy error") if kind == "upgrade" else \
        ("Next.js", "Proxy error")
    assert r.body.decode().splitlines()[0] == f"{begins}: {says.format(name)}."
    assert c.log[-1].startswith(f"{begins}: {logged}"), c.log
    if kind == "upgrade":
        assert r.body.startswith(b"WebSocket proxy error: ")
        assert sum(line.startswith("WebSocket proxy error: ") for line in c.log) == 1
    return r


@pytest.mark.parametrize("kind", ["plain", "upgrade"])
class TestABackend:
    def test_that_refuses(self, world, kind):
        with refusing() as backend:
            world.configure(nextjs=backend.url, controller=backend.url)
            failed(world, world.client(asking(kind)), kind, "{} refused the connection",
                   f"cannot connect to {backend.authority}: Connection refused")

    def test_that_refuses_over_ipv6(self, world, kind):
        with refusing("::1") as backend:
            world.configure(nextjs=backend.url, controller=backend.url)
            failed(world, world.client(asking(kind)), kind, "{} refused the connection",
                   f"cannot connect to {backend.authority}: Connection refused")

    def test_that_does_not_accept(self, world, kind):
        with deaf() as backend:
            world.configure("[Limits]\nConnectTimeoutSec=300ms", nextjs=backend.url,
                            controller=backend.url)
            failed(world, world.client(asking(kind)), kind, "timed out connecting to {}",
                   f"cannot connect to {backend.authority}: Connection timed out", 504)

    def test_whose_name_does_not_resolve(self, world, kind):
        url = "http://no-such-host.invalid:4000"
        world.configure(nextjs=url, controller=url)
        failed(world, world.client(asking(kind)), kind, "cannot resolve the host name of {}",
               "cannot resolve no-such-host.invalid:4000: ")

    def test_whose_unix_socket_is_not_there(self, world, kind, tmp_path):
        url = f"unix:{tmp_path}/none.sock"
        world.configure(nextjs=url, controller=url)
        failed(world, world.client(asking(kind)), kind, "{} cannot be reached",
               f"cannot connect to {url}: No such file or directory")

    def test_whose_unix_socket_is_a_file(self, world, kind, tmp_path):
        (tmp_path / "file.sock").touch()
        url = f"unix:{tmp_path}/file.sock"
        world.configure(nextjs=url, controller=url)
        failed(world, world.client(asking(kind)), kind, "{} refused the connection",
               f"cannot connect to {url}: Connection refused")


def test_one_backend_down_leaves_the_other_alone(world):
    with refusing() as backend:
        world.configure(controller=backend.url)
        c = world.client()
        world.exchange(c, request())
        c.send(upgrade())
        failed(world, c, "upgrade", "{} refused the connection", "cannot connect to ")
        world.seen(request("GET", "/still"))


def test_no_content_to_head_in_a_502(world):
    with refusing() as backend:
        world.configure(nextjs=backend.url)
        world.error(world.client(request("HEAD", "/")), 502, "HEAD")


def test_a_502_overtakes_the_body_of_a_post(world):
    with refusing() as backend:
        world.configure(nextjs=backend.url)
        c = world.client(request("POST", "/", "Content-Length: 100000"), b"x" * 100000)
        world.error(c, 502)


def test_a_502_answers_one_that_awaits_a_continue(world):
    with refusing() as backend:
        world.configure(nextjs=backend.url)
        c = world.client(request("POST", "/", "Content-Length: 5", "Expect: 100-continue"))
        world.error(c, 502)


def test_a_502_to_http_1_0(world):
    with refusing() as backend:
        world.configure(nextjs=backend.url)
        world.error(world.client(request(version="1.0")), 502)


def test_a_reset_amid_an_upload_is_a_502_too(world):
    c = world.client(request("POST", "/", "Content-Length: 100000"), b"x" * 1000)
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    b.reset()
    world.error(c, 502)
    world.nextjs.untouched()


@pytest.fixture
def hosts(world, tmp_path):
    """Starts a gate with an /etc/hosts of its own, in which "several" has the given addresses."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL,
                                      check=False).returncode:
        pytest.skip("needs a mount namespace")
    with contextlib.ExitStack() as stack:
        def gate(*addresses):
            path = tmp_path / "hosts"
            path.write_text("".join(f"{a} several\n" for a in addresses))
            return stack.enter_context(
                Gate(tmp_path, wrapper=("unshare", "-m", "sh", "-c",
                                        f'mount --bind "{path}" /etc/hosts && exec "$0" "$@"')))
        yield gate
        world.finish()


def listeners(world, stack, *states):
    """Backends on one port of several addresses; a state is "ok", "deaf" or "refusing"."""
    port, ends = None, []
    for n, state in enumerate(states, 2):
        if state == "deaf":
            ends.append(stack.enter_context(deaf(f"127.0.0.{n}", port or 0)))
        else:
            ends.append(world.backend(host=f"127.0.0.{n}", port=port or 0,
                                      backlog=None if state == "refusing" else 8))
        port = ends[-1].port
    return ends


@pytest.mark.parametrize("first", ["refusing", "deaf"])
def test_all_addresses_of_a_name_are_tried(world, hosts, first):
    gate = hosts("127.0.0.2", "127.0.0.3")
    with contextlib.ExitStack() as stack:
        _, good = listeners(world, stack, first, "ok")
        gate.config.write_text(f"[NextJs]\nUrl=http://several:{good.port}\n")
        c = world.client(request(), gate=gate)
        b = good.asked()
        b.send(response(b"ok"))
        assert c.response().body == b"ok"


def test_addresses_of_both_families_are_tried(world, hosts):
    gate = hosts("::1", "127.0.0.1")
    gate.config.write_text(f"[NextJs]\nUrl=http://several:{world.nextjs.port}\n")
    world.client(request(), gate=gate)
    world.nextjs.accept().request()


def test_the_connect_time_is_shared_among_addresses(world, hosts):
    gate = hosts("127.0.0.2", "127.0.0.3", "127.0.0.4")
    with contextlib.ExitStack() as stack:
        ends = listeners(world, stack, "deaf", "deaf", "deaf")
        gate.config.write_text(f"[NextJs]\nUrl=http://several:{ends[0].port}\n"
                               "[Limits]\nConnectTimeoutSec=4\n")
        start = time.monotonic()
        assert world.client(request(), gate=gate).response().status == 504
        assert 3.95 < time.monotonic() - start < 3 * 4


# The client goes away

@pytest.mark.parametrize("part", [b"G", request()[:-2]])
def test_a_reset_amid_a_head(world, part):
    c = world.client(part)
    assert c.pid
    c.reset()
    assert c.exited() == 0
    world.nextjs.untouched()


def test_a_reset_before_a_byte(world):
    c = world.client()
    assert c.pid
    c.reset()
    assert c.exited() == 0
    assert c.log == []


@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_a_reset_while_the_backend_thinks(world, kind):
    c = world.client(asking(kind))
    b = (world.controller if kind == "upgrade" else world.nextjs).asked()
    assert c.pid
    c.reset()
    assert b.end() in ("FIN", "RST")
    assert c.exited() == 0


def test_a_reset_while_connecting(world):
    with deaf() as backend:
        world.configure("[Limits]\nConnectTimeoutSec=60s", nextjs=backend.url)
        c = world.client(request())
        assert c.pid
        c.reset()
        assert c.exited() == 0


def test_a_reset_amid_an_upload(world):
    c = world.client(request("POST", "/", "Content-Length: 100000") + b"x" * 1000)
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    assert c.pid
    c.reset()
    with pytest.raises(Ended):
        b.exactly(100000)
    assert c.exited() == 0


@pytest.mark.parametrize("lines", [("Content-Length: 1000000",), ("Transfer-Encoding: chunked",),
                                   ()], ids=["length", "chunked", "close-delimited"])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_goes_amid_its_answer(world, how, lines):
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", *lines) + b"5\r\nhello\r\n")
    c.until(b"hello")
    getattr(c, how)()
    with pytest.raises(OSError):
        for _ in range(10000):
            b.send(b"5\r\nhello\r\n" * 1000)
    assert c.exited() == 0


def test_a_client_that_closes_amid_its_answer_is_noticed_by_a_reset(world):
    """A half-close is no end, but a write to a closed client fails."""
    c = world.client(request())
    b = world.nextjs.asked()
    c.close()
    with contextlib.suppress(OSError):
        b.send(response(b"x" * 5_000_000)[:4_000_000])
    with contextlib.suppress(ConnectionResetError):
        assert b.end() in ("FIN", "RST")
    assert c.exited() == 0


# SIGTERM at every stage

def test_sigterm_while_waiting_for_a_request(world):
    c = world.client()
    world.exchange(c, request())
    os.kill(c.pid, signal.SIGTERM)
    assert c.end() == "FIN"
    assert c.exited() == 0


def test_sigterm_amid_a_head(world):
    c = world.client()
    world.exchange(c, request())
    c.send(b"GET /")
    os.kill(c.pid, signal.SIGTERM)
    assert c.exited() == 0


@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_sigterm_while_the_backend_thinks(world, kind):
    c = world.client(asking(kind))
    b = (world.controller if kind == "upgrade" else world.nextjs).asked()
    os.kill(c.pid, signal.SIGTERM)
    assert b.end() in ("FIN", "RST")
    assert c.exited() == 0


def test_sigterm_while_connecting(world):
    with deaf() as backend:
        world.configure("[Limits]\nConnectTimeoutSec=60s", controller=backend.url)
        c = world.client()
        world.exchange(c, request())
        c.send(upgrade())
        os.kill(c.pid, signal.SIGTERM)
        assert c.exited() == 0


@pytest.mark.parametrize("lines, version", [
    (("Content-Length: 1000",), "1.1"), (("Transfer-Encoding: chunked",), "1.1"),
    (("Transfer-Encoding: chunked",), "1.0"), ((), "1.0")],
    ids=["length", "chunked", "chunked to 1.0", "close-delimited"])
def test_sigterm_amid_an_answer_leaves_it_visibly_incomplete(world, lines, version):
    c = world.client(request(version=version))
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", *lines) + b"5\r\nhello\r\n")
    c.until(b"hello")
    os.kill(c.pid, signal.SIGTERM)
    with pytest.raises(Ended) as e:
        c.until(b"0\r\n\r\n")
    assert e.value.how == "RST" or version == "1.1"
    assert c.exited() == 0
