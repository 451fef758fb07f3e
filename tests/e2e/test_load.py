"""Many connections at once."""

import resource
from concurrent.futures import ThreadPoolExecutor

import pytest

from gate import KEY, SANITIZED, accept_of, memory_kb, request, response, switching, upgrade

COUNT = 500


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_500_pages_at_once(world, many_files):
    """No response is sent before all 500 requests have come, so that all processes run at once."""
    clients = [world.client(request("GET", f"/{n}")) for n in range(COUNT)]
    asked = [world.nextjs.accept() for _ in clients]
    targets = [b.request().target for b in asked]
    assert sorted(targets) == sorted(f"/{n}" for n in range(COUNT))
    each = sum(memory_kb(c.pid) for c in clients) / COUNT
    for b, target in zip(asked, targets):
        b.send(response(target.encode()))
    for n, c in enumerate(clients):
        assert c.response().body == f"/{n}".encode()
        c.close()
    for c in clients:
        assert c.exited() == 0
    assert each < 2048 or SANITIZED, f"{each:.0f} kB each"


def test_100_sessions_do_not_mix(world):
    clients, ends = [], {}
    for n in range(100):
        clients.append(world.client(upgrade(f"/api/auth/session/{n}/novnc/websockify")))
    for _ in clients:
        b = world.controller.accept()
        ends[b.request().target.split("/")[4]] = b
    for n, c in enumerate(clients):
        ends[str(n)].send(switching() + b"hello %d" % n)
    for n, c in enumerate(clients):
        r = c.response()
        assert r["Sec-WebSocket-Accept"] == accept_of(KEY)
        assert c.exactly(len(b"hello %d" % n)) == b"hello %d" % n
        c.send(b"bye %d" % n)
        assert ends[str(n)].exactly(len(b"bye %d" % n)) == b"bye %d" % n


def test_a_burst_of_short_connections(world):
    def one(n):
        c = world.gate.connect()
        c.send(upgrade(f"/evil/{n}"))
        status = c.response().status
        c.close()
        assert c.exited() == 0
        return status
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(one, range(300))) == {403}
