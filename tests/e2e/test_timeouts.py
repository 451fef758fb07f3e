"""Times: only a tunnel may wait for ever. Time is the subject here, so these tests wait.

A time that has to pass is SHORT. A time within which a test has to act is LONG, so that a busy machine
does not exceed it. Something that takes longer than LONG proceeds in STEPs.
"""

import contextlib
import select
import socket
import threading
import time

import pytest

from gate import Ended, chunked, cpu_seconds, deaf, head, request, response, switching, upgrade
from test_tunnel import fill, read_stream
from websocket import BINARY, closed, reason_to, receive, send, unframed

SHORT, LONG, STEP = 0.4, 1.5, 0.2
STEPS = 9       # together longer than LONG


@contextlib.contextmanager
def not_before(seconds=SHORT):
    start = time.monotonic()
    yield
    assert time.monotonic() - start > seconds - 0.05, "too early"


def limits(world, nextjs=None, **keys):
    world.configure("[Limits]\n" + "\n".join(f"{key}={value * 1000:.0f}ms"
                                             for key, value in keys.items()), nextjs=nextjs)


def in_steps(peer, piece):
    for _ in range(STEPS):
        peer.send(piece)
        time.sleep(STEP)


# HeadTimeoutSec

@pytest.mark.parametrize("part", [b"G", b"GET / HT", b"GET / HTTP/1.1\r\n", request()[:-2],
                                  request()[:-1]])
def test_an_incomplete_head_is_a_408(world, part):
    limits(world, HeadTimeoutSec=SHORT)
    with not_before():
        c = world.client(part)
        r = c.response()
    assert r.status == 408 and "close" in r.options("Connection")
    c.end()
    world.nextjs.untouched()


def test_a_408_is_a_complete_response_and_logged(world):
    limits(world, HeadTimeoutSec=SHORT)
    world.refused(world.client(b"GET /"), 408)


def test_a_head_that_trickles_gains_no_time(world):
    limits(world, HeadTimeoutSec=SHORT)
    with not_before():
        c = world.client(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        for _ in range(100):
            c.send(b"a")
            if select.select([c.sock], [], [], 0.05)[0]:
                break
        assert c.response().status == 408


def test_a_later_heads_time_starts_at_its_first_byte(world):
    limits(world, HeadTimeoutSec=LONG)
    c = world.client()
    world.exchange(c, request())
    time.sleep(1.2 * LONG)
    with not_before(LONG):
        c.send(b"GET /")
        r = c.response()
    assert r.status == 408


def test_empty_lines_before_a_head_gain_no_time(world):
    limits(world, HeadTimeoutSec=LONG, KeepAliveTimeoutSec=LONG)
    c = world.client()
    world.exchange(c, request())
    for i in range(100):
        c.send(b"\r\n"[i % 2:i % 2 + 1])
        if select.select([c.sock], [], [], 0.05)[0]:
            break
    else:
        pytest.fail("it is kept for as long as it sends them")


def flood(peer, piece):
    """Sends piece again and again until the other side ends."""
    with contextlib.suppress(OSError):
        while True:
            peer.sock.sendall(piece)


def test_empty_lines_without_a_pause_gain_no_time(world):
    limits(world, HeadTimeoutSec=SHORT)
    c = world.client()
    sender = threading.Thread(target=flood, args=(c, b"\r\n" * 10000))
    sender.start()
    assert c.response().status == 408
    sender.join()


def test_empty_lines_on_a_kept_connection_gain_no_time(world):
    limits(world, HeadTimeoutSec=SHORT, KeepAliveTimeoutSec=SHORT)
    c = world.client()
    world.exchange(c, request())
    flood(c, b"\r\n" * 10000)


def test_a_client_that_never_sends_a_byte_gets_no_408(world):
    limits(world, HeadTimeoutSec=SHORT)
    with not_before():
        c = world.client()
        assert c.end() == "FIN"
    assert c.exited() == 0 and c.log == []


# KeepAliveTimeoutSec

def test_an_idle_client_is_closed_without_a_response(world):
    limits(world, KeepAliveTimeoutSec=SHORT)
    c = world.client()
    with not_before():
        world.exchange(c, request())
        assert c.end() == "FIN"
    assert c.exited() == 0 and c.log == []


def test_each_request_starts_the_keep_alive_time_anew(world):
    limits(world, KeepAliveTimeoutSec=LONG)
    c = world.client()
    for _ in range(STEPS):
        c.send(request())
        b, _ = world.nextjs.next()
        b.send(response(b"x"))
        assert c.response().body == b"x"
        time.sleep(STEP)


# ConnectTimeoutSec

@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_a_backend_that_does_not_accept(world, kind):
    with deaf() as backend, not_before():
        world.configure(f"[Limits]\nConnectTimeoutSec={SHORT}", nextjs=backend.url,
                        controller=backend.url)
        c = world.client(upgrade() if kind == "upgrade" else request())
        r = world.error(c, 504)
    assert r.body.startswith(b"WebSocket proxy error: ") == (kind == "upgrade")


# UpgradeTimeoutSec

@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 1", head("HTTP/1.1 103 Early Hints")],
                         ids=["nothing", "half a head", "only a 103"])
def test_an_upgrade_that_hangs(world, sent):
    span = LONG if b"103" in sent else SHORT
    limits(world, UpgradeTimeoutSec=span)
    with not_before(span):
        c = world.client(upgrade())
        b = world.controller.asked()
        b.send(sent)
        if b"103" in sent:
            assert c.response().status == 103
        r = world.error(c, 504)
    assert r.body.startswith(b"WebSocket proxy error: ")
    assert any(line.startswith("WebSocket proxy error: ") for line in c.log)


def test_an_upgrade_to_nextjs_that_hangs(world):
    limits(world, UpgradeTimeoutSec=SHORT)
    c = world.client(upgrade("/_next/hmr"))
    world.nextjs.accept().request()
    assert c.response().status == 504


def test_a_trickle_of_interim_responses_gains_no_time(world):
    limits(world, UpgradeTimeoutSec=SHORT)
    c = world.client(upgrade())
    b = world.controller.asked()
    for _ in range(100):
        try:
            b.send(head("HTTP/1.1 103 Early Hints"))
        except OSError:
            break
        time.sleep(STEP)
    else:
        raise AssertionError("the gate waited on")
    r = c.response()
    while r.status == 103:
        r = c.response()
    assert r.status == 504


# ResponseTimeoutSec

@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 2", head("HTTP/1.1 102 Processing")],
                         ids=["nothing", "half a head", "only a 102"])
def test_a_missing_response_is_a_504(world, sent):
    span = LONG if b"102" in sent else SHORT
    limits(world, ResponseTimeoutSec=span)
    with not_before(span):
        c = world.client(request())
        b = world.nextjs.asked()
        b.send(sent)
        if b"102" in sent:
            assert c.response().status == 102
        world.error(c, 504)
    with pytest.raises(Ended):
        b.more()


EXPECTING = head("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Expect: 100-continue")


@pytest.mark.parametrize("sent", [b"", head("HTTP/1.1 102 Processing")], ids=["none", "102"])
def test_a_100_that_does_not_come_is_the_backends_fault(world, sent):
    limits(world, ResponseTimeoutSec=2 * SHORT, BodyTimeoutSec=SHORT)
    with not_before(2 * SHORT):
        c = world.client(EXPECTING)
        b = world.nextjs.accept()
        b.until(b"\r\n\r\n")
        b.send(sent)
        while (r := c.response()).status == 102:
            pass
    assert r.status == 504


def test_a_body_that_does_not_come_after_its_100_is_the_clients_fault(world):
    limits(world, BodyTimeoutSec=SHORT)
    c = world.client(EXPECTING)
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    with not_before():
        b.send(head("HTTP/1.1 100 Continue"))
        assert c.response().status == 100
        assert c.response().status == 408


def test_a_responses_head_that_trickles_gains_no_time(world):
    limits(world, ResponseTimeoutSec=SHORT)
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(b"HTTP/1.1 200 OK\r\nX: ")
    with contextlib.suppress(OSError):
        for _ in range(100):
            b.send(b"a")
            if select.select([c.sock], [], [], 0.05)[0]:
                break
    assert c.response().status == 504


def test_a_slow_upload_is_not_a_late_response(world):
    limits(world, ResponseTimeoutSec=LONG)
    c = world.client(request("POST", "/", f"Content-Length: {STEPS}"))
    b = world.nextjs.accept()
    in_steps(c, b"x")
    assert b.request().body == b"x" * STEPS
    b.send(response(b"ok"))
    assert c.response().body == b"ok"


def test_only_response_timeout_holds_for_a_slow_page(world):
    limits(world, UpgradeTimeoutSec=SHORT, HeadTimeoutSec=LONG, KeepAliveTimeoutSec=SHORT,
           BodyTimeoutSec=SHORT, ConnectTimeoutSec=LONG, LingerTimeoutSec=SHORT,
           IdleTimeoutSec=SHORT)
    c = world.client(request())
    b = world.nextjs.asked()
    c.quiet(1.2 * LONG)
    b.send(response(b"late"))
    assert c.response().body == b"late"


# BodyTimeoutSec

@pytest.mark.parametrize("message", [
    request("POST", "/", "Content-Length: 10") + b"hello",
    request("POST", "/", "Transfer-Encoding: chunked") + b"a\r\nhello"], ids=["length", "chunked"])
def test_a_client_that_stops_within_its_body(world, message):
    limits(world, BodyTimeoutSec=SHORT)
    with not_before():
        c = world.client(message)
        b = world.nextjs.accept()
        with pytest.raises(Ended):
            b.request()
    try:
        assert c.response().status in (408, 504)
    except Ended:
        pass            # closed without a response
    c.close()
    assert c.exited() == 0


@pytest.mark.parametrize("sent", [
    head("HTTP/1.1 200 OK", "Content-Length: 10") + b"hello",
    head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n",
    head("HTTP/1.1 200 OK") + b"hello"], ids=["length", "chunked", "close-delimited"])
def test_a_backend_that_stops_within_its_body(world, sent):
    limits(world, BodyTimeoutSec=SHORT)
    with not_before():
        c = world.client(request("GET", "/", version="1.0"))
        b = world.nextjs.asked()
        b.send(sent)
        with pytest.raises(Ended) as e:
            c.response()
    assert e.value.how == "RST" or b"Content-Length: 10" in sent
    assert c.exited() == 0


def test_a_client_that_does_not_read_its_response(world):
    limits(world, BodyTimeoutSec=SHORT)
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", "Content-Length: 1000000000"))
    with not_before(), pytest.raises(OSError):
        while True:
            b.send(bytes(1 << 20))
    assert c.exited() == 0


def test_a_backend_that_does_not_read_its_body(world):
    limits(world, BodyTimeoutSec=SHORT)
    c = world.client(request("POST", "/", "Content-Length: 1000000000"))
    world.nextjs.accept()
    with not_before(), pytest.raises(OSError):
        while True:
            c.send(bytes(1 << 20))
    c.close()
    assert c.exited() == 0


def test_a_backend_that_reads_no_more_and_does_not_respond(world, tmp_path):
    backend = world.backend(path=tmp_path / "next.sock")
    limits(world, nextjs=backend.url, ResponseTimeoutSec=LONG, BodyTimeoutSec=LONG)
    c = world.client(head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"))
    b = backend.accept()
    b.until(b"\r\n\r\n")
    b.sock.shutdown(socket.SHUT_RD)
    c.send(b"%x\r\n%s\r\n" % (3000, bytes(3000)) * 100)
    before = cpu_seconds(c.pid)
    c.quiet(LONG / 2)
    assert cpu_seconds(c.pid) - before < LONG / 8, "it spins while it waits"
    assert c.response().status == 504


def test_a_body_that_trickles_is_not_cut(world):
    limits(world, BodyTimeoutSec=LONG)
    c = world.client(request("POST", "/", f"Content-Length: {STEPS}"))
    b = world.nextjs.accept()
    in_steps(c, b"x")
    assert b.request().body == b"x" * STEPS
    b.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
    in_steps(b, chunked(b"y")[:-5])
    b.send(b"0\r\n\r\n")
    assert c.response().body == b"y" * STEPS


@pytest.mark.parametrize("lines", [("Expect: 100-continue",), ()], ids=["a 100 is awaited", "it has begun"])
def test_a_body_that_need_not_come_does_not_cut_the_response(world, lines):
    """After a final response in place of the 100, or with Connection: close, a client may stop sending."""
    limits(world, BodyTimeoutSec=LONG)
    c = world.client(request("POST", "/", "Content-Length: 1000", *lines) + (b"" if lines else b"x"))
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    b.send(head("HTTP/1.1 413 No", "Transfer-Encoding: chunked", "Connection: close"))
    in_steps(b, chunked(b"y")[:-5])
    b.send(b"0\r\n\r\n")
    assert c.response().body == b"y" * STEPS
    assert c.end() == "FIN"
    c.close()
    assert c.exited() == 0


# The tunnel: LingerTimeoutSec, IdleTimeoutSec

def test_no_other_time_out_holds_for_a_tunnel(world):
    limits(world, HeadTimeoutSec=LONG, KeepAliveTimeoutSec=SHORT, ConnectTimeoutSec=LONG,
           UpgradeTimeoutSec=LONG, ResponseTimeoutSec=SHORT, BodyTimeoutSec=SHORT,
           LingerTimeoutSec=SHORT)
    c, b = world.tunnel()
    c.quiet(1.2 * LONG)
    c.send(b"x")
    assert b.exactly(1) == b"x"
    b.send(b"y")
    assert c.exactly(1) == b"y"


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_half_closed_tunnel_ends_after_the_linger_time(world, who):
    limits(world, LingerTimeoutSec=SHORT)
    c, b = unframed(*world.tunnel())
    first, second = (c, b) if who == "client" else (b, c)
    with not_before():
        first.half_close()
        assert second.end() == "FIN"
        assert first.end() in ("FIN", "RST")
    assert c.exited() == 0


def test_linger_of_a_side_that_is_not_read(world, tmp_path):
    """A Unix socket reports its end although bytes before it are still unread."""
    backend = world.backend(path=tmp_path / "s")
    world.configure("[Limits]\nLingerTimeoutSec=400ms", controller=backend.url)
    c, b = unframed(*world.tunnel(backend=backend))
    fill(b)
    with not_before():
        b.half_close()
        assert b.end() == "RST"     # for there were unread bytes
    c.close()
    assert c.exited() == 0
    c.logged("master-controller closed, then no data for LingerTimeoutSec=")


def test_a_byte_starts_the_linger_time_anew(world):
    limits(world, LingerTimeoutSec=LONG)
    c, b = unframed(*world.tunnel())
    c.half_close()
    for _ in range(STEPS):
        time.sleep(STEP)
        b.send(b"x")
        assert c.exactly(1) == b"x"
    with not_before(LONG):
        b.send(b"x")
        assert c.exactly(1) == b"x"
        c.end()


def test_an_idle_tunnel_ends(world):
    limits(world, IdleTimeoutSec=SHORT)
    with not_before():
        c, b = world.tunnel()
        assert closed(c, b) == [(1008, reason_to(c, "no data for IdleTimeoutSec=")), (1001, "")]
    assert c.exited() == 0


@pytest.mark.parametrize("spliced", [False, True])
@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_byte_either_way_is_not_idle(world, who, spliced):
    limits(world, IdleTimeoutSec=LONG)
    c, b = unframed(*world.tunnel())
    first, second = (c, b) if who == "client" else (b, c)
    if spliced:
        read_stream(second, fill(first))    # so that the gate makes a pipe
    for _ in range(STEPS):
        time.sleep(STEP)
        first.send(b"x")
        assert second.exactly(1) == b"x"


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_data_frame_either_way_is_not_idle(world, who):
    limits(world, IdleTimeoutSec=LONG)
    c, b = world.tunnel()
    first, second = (c, b) if who == "client" else (b, c)
    for _ in range(STEPS):
        time.sleep(STEP)
        send(first, BINARY, b"x")
        assert receive(second).payload == b"x"


def test_a_tunnel_whose_reader_stalls_is_idle(world):
    limits(world, IdleTimeoutSec=SHORT)
    c, b = world.tunnel()
    with not_before(), pytest.raises(OSError):
        while True:
            b.send(bytes(1 << 20))
    c.close()
    assert c.exited() == 0


def test_a_101_within_the_upgrade_time_opens_the_tunnel(world):
    limits(world, UpgradeTimeoutSec=LONG)
    c = world.client(upgrade())
    b = world.controller.asked()
    time.sleep(STEP)
    b.send(switching())
    assert c.response().status == 101
