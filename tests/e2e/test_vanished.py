"""Peers whose machine or network goes away while bytes are on their way to them."""

import concurrent.futures
import contextlib
import os
import subprocess
import threading
import time

import pytest

from gate import Backend, Ended, Gate, World, head, request, switching, upgrade
from network import Network
from test_tunnel import crc_of_stream, fill, read_stream, send_stream
from websocket import BINARY, TEXT, frame, reason_to, receive_up_to_close


@pytest.fixture
def network():
    if os.geteuid() or subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL,
                                      check=False).returncode:
        pytest.skip("needs network namespaces")
    n = Network()
    yield n
    n.close()


class Apart:
    """A gate in that network, with a client or a backend on either side of the router."""

    def __init__(self, network, directory):
        self.network = network
        self.gate = Gate(directory, host="0.0.0.0", wrapper=network.near.enter)
        self.world = World(self.gate)

    def connection(self, far, *message):
        """A client and the backend's end of its request; far says which of them is far."""
        n = self.network
        at_client, at_backend = (n.far, n.near) if far == "client" else (n.near, n.far)
        backend = at_backend.run(
            lambda: Backend(host=n.NEAR if far == "client" else n.FAR))
        self.world.extra.append(backend)
        self.world.configure("[Limits]\nBodyTimeoutSec=1h",
                             nextjs=backend.url, controller=backend.url)
        c = at_client.run(lambda: self.world.client(*message, host=n.NEAR))
        return c, backend.accept()

    def tunnel(self, far):
        """The far end, the near end, and the one of them that is the client."""
        c, b = self.connection(far, upgrade())
        b.request()
        b.send(switching())
        assert c.response().status == 101
        return (c, b, c) if far == "client" else (b, c, c)

    def close(self):
        self.network.up()
        self.world.finish()
        self.gate.stop()


@pytest.fixture
def apart(network, tmp_path):
    a = Apart(network, tmp_path)
    yield a
    a.close()


SIDES = ["client", "backend"]


@pytest.mark.parametrize("far", SIDES)
def test_a_link_that_recovers_loses_nothing(apart, network, far):
    there, here, _ = apart.tunnel(far)
    network.down()
    sent = 1_000_000
    sender = threading.Thread(target=send_stream, args=(here, sent))
    sender.start()
    there.quiet(2)
    network.up()
    assert read_stream(there, sent) == crc_of_stream(sent)
    sender.join()
    there.send(b"and on")
    assert here.exactly(6) == b"and on"


def end_of(peer, since, give_up=160):
    """Waits for the end of a peer: how it ended, and after how many seconds."""
    while True:
        try:
            peer.sock.settimeout(max(1, since + give_up - time.monotonic()))
            peer.more()
        except Ended as e:
            return e.how, time.monotonic() - since


def goes_on_sending(peer, data, stop):
    """A few bytes now and then, as a screen or a keyboard does."""
    with contextlib.suppress(OSError):
        while not stop.wait(3):
            peer.send(data)


@pytest.mark.long
def test_a_peer_that_vanishes_with_bytes_on_their_way_is_noticed(apart, network):
    tunnels = [apart.tunnel(far) for far in SIDES]
    frozen = [apart.tunnel(far) for far in SIDES]
    for _, here, _ in frozen:
        fill(here, frame(here, BINARY, bytes(60000)))
    page, events = apart.connection("client", request())
    events.request()
    events.send(head("HTTP/1.1 200 OK", "Content-Type: text/event-stream") + b"data: x\n\n")
    page.until(b"data: x")
    upload, taker = apart.connection("backend", request("POST", "/", "Content-Length: 10"))
    taker.until(b"\r\n\r\n")
    time.sleep(5)

    network.down()
    start, stop = time.monotonic(), threading.Event()
    upload.send(b"0123456789")
    live = [here for _, here, _ in tunnels] + [events]
    senders = [threading.Thread(target=goes_on_sending, args=(p, data, stop)) for p, data in
               [*((here, frame(here, TEXT, b"x")) for _, here, _ in tunnels),
                (events, b"data: x\n\n")]]
    for s in senders:
        s.start()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        ends = list(pool.map(lambda p: end_of(p, start),
                             [*live, *(here for _, here, _ in frozen), upload]))
    stop.set()
    for s in senders:
        s.join()
    assert all(110 < seconds < 140 for _, seconds in ends), ends
    assert upload.buf.startswith(b"HTTP/1.1 504 ")
    for (_, here, c), far in zip(tunnels + frozen, SIDES + SIDES):
        name = "the client" if far == "client" else "master-controller"
        assert receive_up_to_close(here) == (
            (1001, "") if far == "client" else (1014, reason_to(c, f"{name} does not answer")))
        c.logged(f"noVNC session closed: .*the connection to {name} failed: Connection timed out")


@pytest.mark.long
def test_a_peer_that_does_not_read_for_five_minutes_is_kept(apart, network):
    tunnels = [apart.tunnel(far) for far in SIDES]
    sent = [fill(here) for _, here, _ in tunnels]
    time.sleep(200)
    network.down()      # for less than the time after which a peer counts as gone
    time.sleep(20)
    network.up()
    time.sleep(100)
    for (there, here, _), total in zip(tunnels, sent):
        assert read_stream(there, total) == crc_of_stream(total)
        here.send(b"and on")
        assert there.exactly(6) == b"and on"
