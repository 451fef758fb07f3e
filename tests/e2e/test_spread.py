"""The spread exit: with many processes, each waits a random time before it exits."""

import os
import re
import select
import signal
import socket
import time
from pathlib import Path

import pytest

from gate import DEADLINE, head, request, response, upgrade
from websocket import receive_close, send_close

TREE = Path(__file__).parents[2]
MANY = 20     # for all of them to draw a wait of under 50 ms, the odds are 1 in 10^50


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


def test_the_units_give_a_process_a_third_more_time_than_it_takes():
    longest = int(re.search(r"#define SPREAD_END_MAX_MS (\d+)", (TREE / "src/process/spread.h").read_text())[1])
    for kind in "http", "tls":      # units/put-units makes those for proxies of those for http
        unit = (TREE / f"units/novnc-gate-{kind}@.service").read_text()
        seconds = int(re.search(r"^TimeoutStopSec=(\d+)s$", unit, re.MULTILINE)[1])
        assert longest <= 0.75 * 1000 * seconds


def longest_wait(clients, backends=()):
    """Ends all of them; returns the longest time until one has exited, s."""
    left, waited = {os.pidfd_open(c.pid) for c in clients}, 0
    start = time.monotonic()
    for peer in *clients, *backends:
        peer.close()
    while left:
        exited = select.select(left, [], [], 4 + DEADLINE)[0]
        assert exited
        waited = time.monotonic() - start
        for fd in exited:
            left.remove(fd)
            os.close(fd)
    assert all(c.exited() == 0 for c in clients)
    return waited


def test_a_page_waits_half_as_long_as_a_tunnel(world, spread):
    """It has one seccomp program of two. The random times are up to 2 and 4 s long; for the longest of each 40 not
    to differ by a third, the odds are one in a million."""
    pages = [page(world, c) for c in spread(500, 40)]
    of_pages = longest_wait(pages)
    tunnels, backends = spread(500, 40), []
    for c in tunnels:
        c.send(upgrade())
        backends.append(world.tunnel_of(c))
    assert longest_wait(tunnels, backends) > of_pages * 4 / 3


def test_the_wait_ends_by_itself(world, spread):
    clients = spread(101, MANY)
    for c in clients:
        ended(page(world, c, "Connection: close"))
    for c in clients:       # within 0.8 s
        assert c.exited() == 0
