"""Responses from backend to client: framing, strictness, and incomplete ones."""

import contextlib
import os

import pytest

from gate import SECRET, Ended, chunked, head, request, response, upgrade


def responded(world, *pieces, method="GET", close=False):
    """A client to whose request the backend has sent exactly these bytes."""
    c = world.client(request(method, "/"))
    b = world.nextjs.asked()
    b.send(*pieces)
    if close:
        b.close()
    return c, b


def next_works(world, c):
    """The client's connection still carries requests, and each gets its own response."""
    c.send(request("GET", "/next"))
    b, m = world.nextjs.next()
    assert m.target == "/next"
    b.send(response(b"next"))
    assert c.response().body == b"next"


# Framing

@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_000])
def test_a_length(world, size):
    body = os.urandom(size)
    c, _ = responded(world, response(body))
    r = c.response()
    assert r.framing == "length" and r.body == body
    next_works(world, c)


@pytest.mark.parametrize("pieces", [
    (chunked(b"hello", b"world"),),
    (b"5\r\n", b"hello", b"\r\n5", b"\r\nworld\r\n0", b"\r\n\r", b"\n"),
    (b"5;x=y\r\nhello\r\n005\r\nworld\r\n00\r\n\r\n",),
    tuple(bytes([n]) for n in chunked(b"hello", b"world"))],
    ids=["at once", "in pieces", "extensions", "byte by byte"])
def test_chunked(world, pieces):
    c, _ = responded(world, head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), *pieces)
    r = c.response()
    assert r.framing == "chunked" and r.body == b"helloworld"
    next_works(world, c)


def test_a_large_chunked_body(world):
    parts = [os.urandom(n) for n in (1, 65536, 300001, 7)]
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + chunked(*parts))
    assert c.response().body == b"".join(parts)


def test_chunks_are_passed_on_as_they_come(world):
    """Next.js streams a page: each part must arrive before the next is written."""
    c, b = responded(world, head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
    c.until(b"\r\n\r\n")
    for part in (b"first", b"second", b"third"):
        b.send(b"%x\r\n%s\r\n" % (len(part), part))
        c.until(part + b"\r\n")
    b.send(b"0\r\n\r\n")
    c.until(b"0\r\n\r\n")


def test_parts_of_a_length_are_passed_on_as_they_come(world):
    c, b = responded(world, head("HTTP/1.1 200 OK", "Content-Length: 10") + b"hello")
    c.until(b"\r\n\r\n")
    assert c.exactly(5) == b"hello"
    b.send(b"world")
    assert c.exactly(5) == b"world"


def test_response_trailers_pass(world):
    c, _ = responded(world, head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum")
                    + chunked(b"x", trailers=["X-Sum: 1", "Server-Timing: a;dur=1"]))
    assert c.response().trailers == [("X-Sum", "1"), ("Server-Timing", "a;dur=1")]
    next_works(world, c)


@pytest.mark.parametrize("line", ["HTTP/1.1 200 OK", "HTTP/1.0 200 OK"])
def test_close_delimited(world, line):
    body = os.urandom(100000)
    c, _ = responded(world, head(line, "Content-Type: x/y") + body, close=True)
    assert c.response().body == body


def test_close_delimited_and_empty(world):
    c, _ = responded(world, head("HTTP/1.1 200 OK"), close=True)
    assert c.response().body == b""


@pytest.mark.parametrize("lines", [("Content-Length: 5000",), ("Transfer-Encoding: chunked",), ()],
                         ids=["length", "chunked", "neither"])
def test_head_has_no_body(world, lines):
    c, _ = responded(world, head("HTTP/1.1 200 OK", *lines), method="HEAD")
    r = c.response("HEAD")
    for line in lines:
        name, value = line.split(": ")
        assert r[name] in ((value,) if name == "Content-Length" else (value, None))
    next_works(world, c)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("lines", [(), ("ETag: \"x\"",)], ids=["bare", "with a header"])
def test_statuses_without_a_body(world, lines, status):
    c, _ = responded(world, head(f"HTTP/1.1 {status}", *lines))
    assert c.response().status == int(status[:3])
    next_works(world, c)


def test_a_304_may_have_a_content_length(world):
    c, _ = responded(world, head("HTTP/1.1 304 Not Modified", "Content-Length: 5000"))
    r = c.response()
    assert r.status == 304 and r["Content-Length"] in ("5000", None)
    next_works(world, c)


@pytest.mark.parametrize("status", ["205 Reset Content", "404 Not Found", "302 Found"])
def test_other_statuses_have_a_body(world, status):
    c, _ = responded(world, response(b"hello", status=status))
    assert c.response().body == b"hello"
    next_works(world, c)


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_interim_responses_pass(world, status):
    interim = head(f"HTTP/1.1 {status}", "Link: </style.css>; rel=preload")
    c, b = responded(world, interim)
    r = c.response()
    assert r.status == int(status[:3]) and r["Link"] == "</style.css>; rel=preload"
    b.send(interim + response(b"done"))
    assert c.response().status == int(status[:3])
    assert c.response().body == b"done"
    next_works(world, c)


def test_interim_responses_do_not_go_on_for_ever(world):
    """Each is a head of its own, but only the final one ends the wait."""
    world.configure("[Limits]\nResponseTimeoutSec=1500ms")
    c, _ = responded(world, head("HTTP/1.1 103 Early Hints"))
    assert c.response().status == 103
    assert c.response().status == 504


def test_interim_responses_without_a_pause_do_not_go_on_for_ever(world):
    c, _ = responded(world, head("HTTP/1.1 103 Early Hints") * 1000)
    seen = 0
    while (r := c.response()).status == 103:
        seen += 1
    assert r.status == 502 and 50 <= seen < 1000
    c.end()


# Not HTTP: 502

@pytest.mark.parametrize("sent", [
    pytest.param(data, id=name) for name, data in (
        ("a banner", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("a VNC server", b"RFB 003.008\n"),
        ("rubbish", b"\0\xff" * 100),
        ("a TLS alert", b"\x15\x03\x01\0\x02\x02\x46"),
        ("a body without a head", b"<html></html>\r\n\r\n"),
        ("HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("HTTP/1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("http/1.1", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("no status", b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
        ("status 20", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("status 2000", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
        ("status 099", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
        ("status 600", b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"),
        ("status 000", b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
        ("status -20", b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("status 2x0", b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"),
        ("two spaces", b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a control character in the reason", b"HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n"),
        ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
        ("bare LF after the status line", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
        ("bare LF after a header", b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n"),
        ("bare LF as the last line", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n"),
        ("bare CR in a value", b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"),
        ("CR X in place of the last line", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\rX\r\n\r\n"),
        ("obs-fold", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
        ("NUL in a value", b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"),
        ("ESC in a value", b"HTTP/1.1 200 OK\r\nX: \x1b[1m\r\nContent-Length: 0\r\n\r\n"),
        ("space before a colon", b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n"),
        ("no colon", b"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 0\r\n\r\n"),
        ("space in a name", b"HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 0\r\n\r\n"),
        ("Transfer-Encoding and Content-Length", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
         b"\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        ("the same length twice", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1"
         b"\r\n\r\nx"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        ("a list of lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx"),
        ("length +1", b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx"),
        ("length 0x1", b"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\nx"),
        ("length -1", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx"),
        ("a length of 2^64 + 1", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617"
         b"\r\n\r\nx"),
        ("chunked twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"
         b"0\r\n\r\n"),
        ("xchunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("gzip before chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
         b"0\r\n\r\n"),
        ("gzip after chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"
         b"0\r\n\r\n"),
        ("chunked on HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a head over HeadMaxBytes", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 33000 +
         b"\r\nContent-Length: 0\r\n\r\n"),
        ("a head without end", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000),
        ("a status line without end", b"HTTP/1.1 200 " + b"a" * 100000),
        ("a 103 and then rubbish", None),
    )])
@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_a_response_that_is_not_http_is_a_502(world, kind, sent):
    c = world.client(upgrade() if kind == "upgrade" else request())
    b = (world.controller if kind == "upgrade" else world.nextjs).asked()
    if sent is None:
        b.send(head("HTTP/1.1 103 Early Hints"))
        assert c.response().status == 103
        sent = b"rubbish\r\n\r\n"
    b.send(sent)
    with contextlib.suppress(OSError):
        b.half_close()
    r = world.error(c, 502)
    if kind == "upgrade":
        assert r.body.startswith(b"WebSocket proxy error: ")
        assert any(line.startswith("WebSocket proxy error: ") for line in c.log)


STRANGERS = [
    (b"SSH-2.0-OpenSSH_9.2\r\n", " does not speak HTTP/1.1", r"SSH-2.0-OpenSSH_9.2"),
    (b"220 mail.example ESMTP\r\n220 x\r\n", " does not speak HTTP/1.1",
     r"220 mail.example ESMTP"),
    (b"HTTP/2 200\r\nSet-Cookie: sid=%s\r\n\r\n" % SECRET.encode(), " does not speak HTTP/1.1", "HTTP/2 200"),
    (b"RFB 003.008\n", " does not speak HTTP/1.1 but RFB: Url= must point to websockify, "
     "not to the VNC server", r"RFB 003.008"),
    (b"\x15\x03\x01\0\x02\x02\x46", " does not speak HTTP/1.1 but TLS: Url= must begin with https://",
     r"\x15\x03\x01"),
    (b"\0\0\x12\4\0\0\0\0\0", " does not speak HTTP/1.1", None)]


@pytest.mark.parametrize("said, told, sent", STRANGERS,
                         ids=["SSH", "SMTP", "HTTP/2 in words", "a VNC server", "TLS", "HTTP/2"])
@pytest.mark.parametrize("first", ["the backend", "the request"])
@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_the_protocol_of_a_backend_is_named_at_once(world, kind, first, said, told, sent):
    """The backend may keep its connection open and may send before the request."""
    world.configure("[Limits]\nUpgradeTimeoutSec=1h\nResponseTimeoutSec=1h")
    c = world.client(upgrade() if kind == "upgrade" else request())
    b = (world.controller if kind == "upgrade" else world.nextjs).accept()
    if first == "the request":
        b.request()
    b.send(said)
    r = world.error(c, 502)
    prefix, name = ("WebSocket proxy error: ", "master-controller") \
        if kind == "upgrade" else ("Proxy error: ", "Next.js")
    it_sent = f' (it sent "{sent}")' if sent else ""
    assert c.log[-1] == f"{prefix}{name}{told}{it_sent}"
    assert r.body.decode().split("\n")[0] == f"{prefix}{name}{told}."


@pytest.mark.parametrize("size, status", [(2048, 200), (2049, 502)])
def test_head_max_bytes_holds_for_responses(world, size, status):
    world.configure("[Limits]\nHeadMaxBytes=2K")
    sent = head("HTTP/1.1 200 OK", "Content-Length: 0", "X: @")
    c, _ = responded(world, sent.replace(b"@", b"x" * (size - len(sent) + 1)))
    assert c.response().status == status


@pytest.mark.parametrize("sent", [
    b"", b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n"],
    ids=["nothing", "a byte", "a status line", "half a head", "only an interim response"])
@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_a_backend_that_ends_before_its_response_is_a_502(world, kind, how, sent):
    c = world.client(upgrade() if kind == "upgrade" else request())
    b = (world.controller if kind == "upgrade" else world.nextjs).asked()
    b.send(sent)
    if b"103" in sent:
        assert c.response().status == 103
    b.close() if how == "FIN" else b.reset()
    r = world.error(c, 502)
    if kind == "upgrade":
        assert r.body.startswith(b"WebSocket proxy error: ")
    world.nextjs.untouched()
    world.controller.untouched()


# An incomplete response must not look complete

def broken(world, c, read):
    """The end comes too early, and the gate ends with it."""
    with pytest.raises(Ended) as e:
        read()
    c.close()
    assert c.exited() == 0
    return e.value.how


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("rest", [
    b"", b"5", b"5\r\n", b"5\r\nwo", b"5\r\nworld", b"5\r\nworld\r\n", b"5\r\nworld\r\n0",
    b"5\r\nworld\r\n0\r\n", b"5\r\nworld\r\n0\r\n\r", b"5\r\nworld\r\n0\r\nX: y\r\n"])
def test_chunked_that_breaks_off(world, rest, how):
    c, b = responded(world, head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") +
                    b"5\r\nhello\r\n" + rest)
    c.until(b"hello")
    b.close() if how == "FIN" else b.reset()
    broken(world, c, lambda: c.until(b"0\r\n\r\n"))


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_length_that_breaks_off(world, how):
    c, b = responded(world, head("HTTP/1.1 200 OK", "Content-Length: 10") + b"hello")
    c.until(b"hello")
    b.close() if how == "FIN" else b.reset()
    broken(world, c, lambda: c.exactly(5))


def test_close_delimited_that_is_reset_ends_in_a_reset(world):
    c, b = responded(world, head("HTTP/1.1 200 OK") + b"hello")
    c.until(b"\r\n\r\n")
    if c.exactly(1) == b"h":
        assert c.exactly(4) == b"ello"
        b.reset()
        assert broken(world, c, lambda: c.exactly(1)) == "RST"
    else:               # made chunked on the way: then without a last chunk
        c.until(b"hello")
        b.reset()
        broken(world, c, lambda: c.until(b"0\r\n\r\n"))


@pytest.mark.parametrize("body", [
    pytest.param(data, id=name) for name, data in (
        ("a space after the size", b"5 \r\nworld\r\n0\r\n\r\n"),
        ("size 0x5", b"0x5\r\nworld\r\n0\r\n\r\n"),
        ("size +5", b"+5\r\nworld\r\n0\r\n\r\n"),
        ("size -1", b"-1\r\nworld\r\n0\r\n\r\n"),
        ("size g", b"g\r\nworld\r\n0\r\n\r\n"),
        ("no size", b"\r\nworld\r\n0\r\n\r\n"),
        ("a size of 17 digits", b"10000000000000005\r\nworld\r\n0\r\n\r\n"),
        ("bare LF after the size", b"5\nworld\r\n0\r\n\r\n"),
        ("bare LF after the data", b"5\r\nworld\n0\r\n\r\n"),
        ("bare LF after the last size", b"5\r\nworld\r\n0\n\r\n"),
        ("bare LF at the very end", b"5\r\nworld\r\n0\r\n\n"),
        ("no CRLF after the data", b"5\r\nworld0\r\n\r\n"),
        ("bare LF in an extension", b"5;a\nb\r\nworld\r\n0\r\n\r\n"),
        ("a huge extension", b"5;" + b"a" * 200000 + b"\r\nworld\r\n0\r\n\r\n"),
        ("huge trailers", b"0\r\nX: " + b"a" * 200000 + b"\r\n\r\n"),
        ("obs-fold in a trailer", b"0\r\nX: a\r\n b\r\n\r\n"),
        ("bare CR in a trailer", b"0\r\nX: a\rY: b\r\n\r\n"),
    )])
def test_chunked_that_goes_wrong_breaks_off(world, body):
    c, b = responded(world, head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") +
                    b"5\r\nhello\r\n")
    c.until(b"hello")
    b.send(body + response(b"poison"))
    broken(world, c, lambda: c.until(b"0\r\n\r\n"))


# Unsolicited bytes are no response to the next request

POISON = response(b"poison")


@pytest.mark.parametrize("method, sent", [
    pytest.param(method, sent, id=name) for name, method, sent in (
        ("after a length", "GET", response(b"1")),
        ("after chunks", "GET", head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") +
         chunked(b"1")),
        ("after a 204", "GET", head("HTTP/1.1 204 No Content")),
        ("after a 304", "GET", head("HTTP/1.1 304 Not Modified", f"Content-Length: {len(POISON)}")),
        ("after the response to HEAD", "HEAD", head("HTTP/1.1 200 OK",
                                                    f"Content-Length: {len(POISON)}")),
        ("after chunks to HEAD", "HEAD", head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")),
    )])
@pytest.mark.parametrize("when", ["at once", "later"])
def test_bytes_after_a_response_are_discarded(world, when, method, sent):
    c, b = responded(world, *((sent + POISON,) if when == "at once" else (sent,)), method=method)
    assert c.response(method).status in (200, 204, 304)
    if when == "later":
        b.send(POISON)
    c.send(request("GET", "/next"))
    fresh = world.nextjs.accept()
    assert fresh.request().target == "/next"
    fresh.send(response(b"next"))
    assert c.response().body == b"next"


def test_a_204_with_a_length_has_no_body(world):
    c, _ = responded(world, head("HTTP/1.1 204 No Content", "Content-Length: 5") + b"hello")
    r = c.response()
    assert r.status in (204, 502) and b"hello" not in r.body
    if r.status == 204:
        next_works(world, c)
