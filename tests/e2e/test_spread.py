"""The spread exit: with many processes, each waits a random time before it exits."""

import os
import signal
import socket
import time

import pytest

from gate import DEADLINE, head, request, response, upgrade
from websocket import receive_close, send_close

MANY = 20     # for all of them to draw a wait of under 50 ms, the odds are 1 in 10^50


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


def page(world, c, *lines):
    c.send(request("GET", "/", *lines))
    b = world.nextjs.asked()
    b.send(response(b"ok"))
    assert c.response().status == 200
    return c


def alive(clients):
    return [c for c in clients if c.process.popen.poll() is None]


def ended(c):
    """The client sees the end, and the gate has closed its sockets or exited."""
    assert c.end() == "FIN"
    c.close()
    deadline = time.monotonic() + DEADLINE
    while c in alive([c]) and sockets(c.pid):
        assert time.monotonic() < deadline, sockets(c.pid)


def sockets(pid):
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []       # it has exited
    return [link for link in links if link.startswith("socket:")]


def test_with_few_processes_it_exits_at_once(world, spread):
    for c in spread(100, MANY):
        ended(page(world, c, "Connection: close"))
        assert c.exited() == 0


@pytest.mark.parametrize("count", [100000, None])
def test_with_many_processes_the_connection_ends_at_once_and_the_process_later(world, spread, count):
    clients = spread(count, MANY)
    for c in clients:
        ended(page(world, c, "Connection: close"))
    assert alive(clients)


def test_a_process_that_waits_says_so(world, spread, tmp_path):
    """Else `systemctl status` and novnc-gatectl would show its session as open."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE)
        [c] = spread(100000, env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        ended(page(world, c, "Connection: close"))
        assert manager.recv(4096) == b"STATUS=closed; the process ends later"


def test_sigterm_does_not_shorten_the_wait(world, spread):
    clients = spread(100000, MANY)
    for c in clients:
        os.kill(page(world, c).pid, signal.SIGTERM)
        ended(c)
    for c in alive(clients):
        os.kill(c.pid, signal.SIGTERM)
    assert alive(clients)


def reset_backend(c, b):
    b.reset()


def kill(c, b):
    os.kill(c.pid, signal.SIGTERM)


@pytest.mark.parametrize("end", [kill, reset_backend])
def test_a_tunnel_ends_at_once_although_systemd_has_its_connection_open(world, spread, end):
    clients = spread(100000, MANY, shared=True)
    for c in clients:
        c.send(upgrade())
        b = world.tunnel_of(c)
        end(c, b)
        send_close(c, receive_close(c)[0])
        b.close()
        assert c.end() == "FIN"
    assert alive(clients)


def test_a_page_ends_at_once_although_systemd_has_its_connection_open(world, spread):
    clients = spread(100000, MANY, shared=True)
    for c in clients:
        kill(page(world, c), None)
        assert c.end() == "FIN"
    assert alive(clients)


def test_a_response_without_a_length_that_breaks_off_is_reset_at_once(world, spread):
    clients = spread(100000, MANY, shared=True)
    for c in clients:
        c.send(request())
        b = world.nextjs.asked()
        b.send(head("HTTP/1.1 200 OK"), b"part")
        c.until(b"part")
        b.reset()
        assert c.end() == "RST"
    assert alive(clients)


def test_the_wait_ends_by_itself(world, spread):
    clients = spread(101, MANY)
    for c in clients:
        ended(page(world, c, "Connection: close"))
    for c in clients:       # within 0.8 s
        assert c.exited() == 0
