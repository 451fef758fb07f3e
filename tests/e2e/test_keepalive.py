"""Kept connections: when they are reused, and when a request is tried once more."""

import time

import pytest

from gate import Ended, head, request, response


def kept(world, *lines):
    """A client with one exchange behind it, and the backend connection of that."""
    c = world.client()
    world.exchange(c, request("GET", "/first"), response(b"1", *lines))
    return c, world.nextjs.peers[-1]


def on_a_new_connection(world, c, message, method="GET"):
    c.send(message)
    fresh = world.nextjs.accept()
    m = fresh.request()
    fresh.send(response(b"fresh") if method != "HEAD" else response())
    r = c.response(method)
    assert r.status == 200
    return m


@pytest.mark.parametrize("message", [request("GET", "/2"), request("POST", "/2", body=b"x")],
                         ids=["GET", "POST"])
def test_a_kept_connection_is_reused(world, message):
    c, b = kept(world)
    for _ in range(3):
        c.send(message)
        assert b.request().target == "/2"
        b.send(response(b"2"))
        assert c.response().body == b"2"
    world.nextjs.untouched()


@pytest.mark.parametrize("message", [request("GET", "/2"), request("POST", "/2", body=b"x")],
                         ids=["GET", "POST"])
@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_an_end_is_seen_before_reuse(world, how, message):
    c, b = kept(world)
    b.close() if how == "FIN" else b.reset()
    assert on_a_new_connection(world, c, message).target == "/2"


@pytest.mark.parametrize("sent", [
    response(b"1", "Connection: close"), response(b"1", "Connection: x, Close"),
    head("HTTP/1.0 200 OK", "Content-Length: 1") + b"1"], ids=["close", "in a list", "HTTP/1.0"])
def test_a_connection_that_the_backend_closes_is_not_reused(world, sent):
    c = world.client()
    world.exchange(c, request(), sent)
    on_a_new_connection(world, c, request("POST", "/2", body=b"x"))


def test_the_backends_keep_alive_timeout_is_obeyed(world):
    c, b = kept(world, "Connection: keep-alive", "Keep-Alive: timeout=1")
    time.sleep(1.05)
    on_a_new_connection(world, c, request("GET", "/2"))
    assert b.end() == "FIN"


@pytest.mark.parametrize("value", ["timeout=5", "timeout=60, max=100", "max=5, Timeout=60",
                                   "max=5", "x=y"])
def test_a_connection_is_reused_before_its_time_out(world, value):
    c, b = kept(world, f"Keep-Alive: {value}")
    c.send(request("GET", "/2"))
    assert b.request().target == "/2"
    b.send(response(b"2"))
    assert c.response().body == b"2"


IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("lines", [(), ("Content-Length: 0",)], ids=["no body", "a body of nothing"])
def test_an_idempotent_request_is_tried_once_more(world, lines, how, method):
    c, b = kept(world)
    c.send(request(method, "/2", *lines))
    assert b.request().target == "/2"
    b.close() if how == "FIN" else b.reset()
    fresh = world.nextjs.accept()
    m = fresh.request()
    assert (m.method, m.target) == (method, "/2")
    fresh.send(response(b"2") if method != "HEAD" else response())
    assert c.response(method).status == 200


@pytest.mark.parametrize("message", [
    request("POST", "/2"), request("POST", "/2", body=b"x"), request("PATCH", "/2"),
    request("PUT", "/2", body=b"x"), request("GET", "/2", body=b"x"), request("LOCK", "/2")],
    ids=["POST", "POST with a body", "PATCH", "PUT with a body", "GET with a body", "LOCK"])
@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_other_requests_are_not_tried_once_more(world, how, message):
    c, b = kept(world)
    c.send(message)
    assert b.request().target == "/2"
    b.close() if how == "FIN" else b.reset()
    world.error(c, 502)
    world.nextjs.untouched()


def test_after_a_byte_of_the_response_nothing_is_tried_again(world):
    c, b = kept(world)
    c.send(request("GET", "/2"))
    b.request()
    b.send(b"H")
    b.close()
    world.error(c, 502)
    world.nextjs.untouched()


def test_the_second_try_is_the_last(world):
    c, b = kept(world)
    c.send(request("GET", "/2"))
    b.request()
    b.close()
    fresh = world.nextjs.asked()
    fresh.close()
    world.error(c, 502)
    world.nextjs.untouched()


def test_a_new_connection_that_dies_is_not_tried_again(world):
    c = world.client(request())
    b = world.nextjs.asked()
    b.close()
    world.error(c, 502)
    world.nextjs.untouched()


def test_a_post_gets_a_new_connection_after_a_few_seconds(world):
    c, _ = kept(world)
    time.sleep(6)       # the idle time is the subject here
    m = on_a_new_connection(world, c, request("POST", "/2", body=b"x"))
    assert m.body == b"x"


# The client's side

def test_a_client_may_close_between_requests(world):
    c, b = kept(world)
    c.close()
    assert c.exited() == 0
    assert b.end() == "FIN"


@pytest.mark.parametrize("option", ["close", "Close", "x, CLOSE"])
def test_a_client_that_says_close_is_closed_after_the_response(world, option):
    c = world.client()
    _, r = world.exchange(c, request("GET", "/", f"Connection: {option}"))
    assert r.body == b"ok" and "close" in r.options("Connection")
    assert c.end() == "FIN"


def test_close_of_a_backend_does_not_close_the_client(world):
    c, b = kept(world, "Connection: close")
    b.close()
    on_a_new_connection(world, c, request("GET", "/2"))


def test_a_half_closed_client_gets_its_response(world):
    c = world.client(request("GET", "/1"))
    b = world.nextjs.asked()
    c.half_close()
    b.quiet()
    b.send(response(b"x" * 300000))
    assert c.response().body == b"x" * 300000
    assert c.end() == "FIN"
    assert c.exited() == 0


def test_a_half_closed_client_gets_every_response(world):
    c = world.client(request("GET", "/1") + request("GET", "/2"))
    c.half_close()
    b = world.nextjs.accept()
    for target in ("/1", "/2"):
        assert b.request().target == target
        b.send(response(target.encode()))
        assert c.response().body == target.encode()
    assert c.end() == "FIN"


def test_a_half_closed_upload_gets_its_response(world):
    c = world.client(request("POST", "/1", body=b"hello"))
    c.half_close()
    b = world.nextjs.accept()
    assert b.request().body == b"hello"
    b.send(response(b"ok"))
    assert c.response().body == b"ok"


def test_a_hundred_requests_down_one_connection(world):
    c = world.client()
    world.exchange(c, request())
    b = world.nextjs.peers[0]
    for i in range(100):
        body = bytes([i]) * (i * 97)
        c.send(request("POST", f"/{i}", body=body))
        m = b.request()
        assert (m.target, m.body) == (f"/{i}", body)
        b.send(response(body))
        assert c.response().body == body


def test_a_connection_that_never_sent_a_byte_leaves_no_trace(world):
    c = world.client()
    c.half_close()
    assert c.end() == "FIN"
    assert c.exited() == 0 and c.log == []
    world.nextjs.untouched()


@pytest.mark.parametrize("part", [b"G", b"GET / HTTP/1.1\r\n", request()[:-2], request()[:-1]])
def test_half_a_head_reaches_no_backend(world, part):
    c = world.client(part)
    c.half_close()
    try:
        assert c.response().status == 400
    except Ended as e:
        assert e.got == b""
    c.close()
    assert c.exited() == 0
    world.nextjs.untouched()


def test_an_unsolicited_response_is_not_passed_on(world):
    """Node's server sends a 408 on an idle connection and closes it."""
    world.configure("[Routes]\nControllerPath=/c/**")
    c, page = kept(world)
    c.send(request("GET", "/c/slow") + request("GET", "/2"))
    b = world.controller.asked()
    page.send(response(b"late", "Connection: close", status="408 Request Timeout"))
    page.half_close()
    b.send(response(b"slow"))
    assert c.response().body == b"slow"
    fresh = world.nextjs.accept()
    assert fresh.request().target == "/2"
    fresh.send(response(b"2"))
    assert c.response().body == b"2"
