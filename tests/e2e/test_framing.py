"""Bodies from client to backend: where each message ends, and that no byte of it becomes a request."""

import os
import select
import socket

import pytest

from gate import NOVNC, Ended, chunked, head, request, response, switching, upgrade

POST_CHUNKED = request("POST", "/upload", "Transfer-Encoding: chunked")
GET_NEXT = request("GET", "/next")


def never_whole(backend):
    """The backend got no request, or only an incomplete one."""
    b = backend.waiting()
    if b:
        with pytest.raises(Ended):
            b.request()


@pytest.mark.parametrize("body", [b"x", b"hello", bytes(range(256)), os.urandom(300000)],
                         ids=["1", "5", "256", "300000"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_a_body_with_a_length(world, method, body):
    m = world.seen(request(method, "/x", body=body))
    assert m.body == body and m["Content-Length"] == str(len(body))


@pytest.mark.parametrize("value", ["5\t", "\t5", " 5 \t "])
def test_white_space_around_a_length(world, value):
    c = world.client(request("POST", "/x", f"Content-Length:{value}") + b"hello")
    b = world.nextjs.accept()
    m = b.request()
    assert m.body == b"hello" and m["Content-Length"] == "5"
    b.send(head("HTTP/1.1 200 OK", f"Content-Length:{value}") + b"world")
    r = c.response()
    assert r.body == b"world" and r["Content-Length"] == "5"


@pytest.mark.parametrize("lines", [("Content-Length: 0",), ()], ids=["length 0", "no length"])
def test_a_post_without_a_body(world, lines):
    c = world.client(request("POST", "/1", *lines) + GET_NEXT)
    b = world.nextjs.accept()
    assert b.request().body == b""
    b.send(response(b"1"))
    assert c.response().body == b"1"
    assert b.request().target == "/next"


@pytest.mark.parametrize("coding", [
    "chunked", "Chunked", "CHUNKED", " \tchunked\t "])
def test_a_chunked_body(world, coding):
    message = request("POST", "/x", f"Transfer-Encoding: {coding}")
    m = world.seen(message + chunked(b"hello, ", b"world", os.urandom(70000)))
    assert m.framing == "chunked" and m.body.startswith(b"hello, world") and len(m.body) == 70012


@pytest.mark.parametrize("body", [
    b"5\r\nhello\r\n0\r\n\r\n", b"005\r\nhello\r\n000\r\n\r\n", b"5;a=b\r\nhello\r\n0;c\r\n\r\n",
    b"5;a=b;c=d\r\nhello\r\n0\r\n\r\n", b'5;a="b;c"\r\nhello\r\n0\r\n\r\n',
    b"1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Time: 2\r\n\r\n"],
    ids=["plain", "leading zeros", "extensions", "one behind another", "a quoted extension", "small", "trailers"])
@pytest.mark.parametrize("pieces", ["at once", "byte by byte"])
def test_chunked_in_all_its_forms(world, pieces, body):
    c = world.client(POST_CHUNKED)
    whole = body + GET_NEXT
    c.send(*(bytes([n]) for n in whole) if pieces != "at once" else (whole,))
    b = world.nextjs.accept()
    m = b.request()
    assert m.body == b"hello"
    b.send(response(b"1"))
    assert c.response().body == b"1"
    assert b.request().target == "/next"


@pytest.mark.parametrize("size, digits", [(10, "a"), (10, "A"), (0x1f, "1F"), (0x1f, "1f"),
                                          (0x10000, "10000")])
def test_chunk_sizes_are_hexadecimal(world, size, digits):
    c = world.client(POST_CHUNKED + digits.encode() + b"\r\n" + b"x" * size + b"\r\n0\r\n\r\n")
    assert len(world.nextjs.accept().request().body) == size
    c.reset()


def test_request_trailers_pass(world):
    c = world.client(POST_CHUNKED + chunked(b"x", trailers=["X-Sum: 1", "X-Time: 2"]))
    assert world.nextjs.accept().request().trailers == [("X-Sum", "1"), ("X-Time", "2")]
    c.reset()


@pytest.mark.parametrize("line", [
    "Host: evil.example", "Content-Length: 5", "Transfer-Encoding: chunked",
    "X-Forwarded-For: 192.0.2.1", "X_Forwarded_For: 192.0.2.1", "Forwarded: for=192.0.2.1",
    "X-Real-IP: 192.0.2.1", "Connection: close",
    "Upgrade: websocket", "Proxy-Authorization: x", "Authorization: x", "Cookie: a=b",
    "Origin: http://evil.example", "Content-Type: text/html", "Sec-WebSocket-Key: x"])
def test_trailers_that_no_client_may_send_are_not_forwarded(world, line):
    world.client(POST_CHUNKED + chunked(b"x", trailers=[line]))
    b = world.nextjs.accept()
    try:
        assert b.request().trailers == []
    except Ended:
        pass            # refused instead


@pytest.mark.parametrize("body", [
    pytest.param(data, id=name) for name, data in (
        ("a space after the size", b"5 \r\nhello\r\n0\r\n\r\n"),
        ("a tab after the size", b"5\t\r\nhello\r\n0\r\n\r\n"),
        ("a space before the size", b" 5\r\nhello\r\n0\r\n\r\n"),
        ("size 0x5", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("size +5", b"+5\r\nhello\r\n0\r\n\r\n"),
        ("size -1", b"-1\r\nhello\r\n0\r\n\r\n"),
        ("size 5g", b"5g\r\nhello\r\n0\r\n\r\n"),
        ("size 5h", b"5h\r\nhello\r\n0\r\n\r\n"),
        ("size 1_0", b"1_0\r\nhellohellohelloh\r\n0\r\n\r\n"),
        ("size in quotes", b'"5"\r\nhello\r\n0\r\n\r\n'),
        ("size 5,5", b"5,5\r\nhello\r\n0\r\n\r\n"),
        ("no size", b"\r\nhello\r\n0\r\n\r\n"),
        ("an extension without a size", b";a=b\r\nhello\r\n0\r\n\r\n"),
        ("a size of 17 digits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("a size of 40 digits", b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n"),
        ("a size that never ends", b"0" * 200000),
        ("bare LF after the size", b"5\nhello\r\n0\r\n\r\n"),
        ("bare LF after the data", b"5\r\nhello\n0\r\n\r\n"),
        ("bare LF after the last size", b"5\r\nhello\r\n0\n\r\n"),
        ("bare LF at the very end", b"5\r\nhello\r\n0\r\n\n"),
        ("bare CR after the size", b"5\rhello\r\n0\r\n\r\n"),
        ("CR CR LF after the size", b"5\r\r\nhello\r\n0\r\n\r\n"),
        ("bare CR at the very end", b"5\r\nhello\r\n0\r\n\rX"),
        ("no CRLF after the data", b"5\r\nhello0\r\n\r\n"),
        ("more data than the size", b"5\r\nhelloo\r\n0\r\n\r\n"),
        ("two bytes for the CRLF", b"5\r\nhelloXX0\r\n\r\n"),
        ("bare LF in an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("bare CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("NUL in an extension", b"5;a\0\r\nhello\r\n0\r\n\r\n"),
        ("a huge extension", b"5;a=" + b"x" * (1 << 20) + b"\r\nhello\r\n0\r\n\r\n"),
        ("obs-fold in a trailer", b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"),
        ("bare LF in a trailer", b"5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n"),
        ("bare CR in a trailer", b"5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n"),
        ("NUL in a trailer", b"5\r\nhello\r\n0\r\nX: a\0\r\n\r\n"),
        ("space before a trailer's colon", b"5\r\nhello\r\n0\r\nX : a\r\n\r\n"),
        ("a trailer without a colon", b"5\r\nhello\r\n0\r\nGET /x HTTP/1.1\r\n\r\n"),
    )])
@pytest.mark.parametrize("pieces", ["with the head", "after the head"])
def test_a_malformed_chunked_body_ends_in_400(world, pieces, body):
    if pieces == "with the head":
        c = world.client(POST_CHUNKED + body + GET_NEXT)
        b = None
    else:
        c = world.client(POST_CHUNKED)
        b = world.nextjs.accept()
        c.send(body + GET_NEXT)
    assert c.response().status == 400
    assert c.end() == "FIN"
    c.close()
    assert c.exited() == 0
    if b:
        with pytest.raises(Ended):
            b.request()
    never_whole(world.nextjs)


@pytest.mark.parametrize("body", [
    b"0\r\nX: " + b"a" * 200000 + b"\r\n\r\n", b"0\r\n" + b"X: a\r\n" * 40000 + b"\r\n"],
    ids=["one", "many"])
def test_trailers_are_bounded(world, body):
    c = world.client(POST_CHUNKED + body)
    assert c.response().status in (400, 431)
    c.close()
    assert c.exited() == 0
    never_whole(world.nextjs)


# Smuggling: a request in a body is not forwarded as one

HIDDEN = request("GET", "/hidden")


@pytest.mark.parametrize("message", [
    pytest.param(m, id=name) for name, m in (
        ("in a length", request("POST", "/1", body=HIDDEN)),
        ("in a chunk", POST_CHUNKED + chunked(HIDDEN)),
        ("in the body of a GET", request("GET", "/1", body=HIDDEN)),
        ("in the body of HEAD", request("HEAD", "/1", body=HIDDEN)),
        ("in the body of an OPTIONS *", request("OPTIONS", "*", body=HIDDEN)),
        ("in the body of an upgrade to h2c",
         request("GET", "/1", "Upgrade: h2c", "Connection: Upgrade", body=HIDDEN)),
    )])
def test_a_request_in_a_body_is_not_a_request(world, message):
    c = world.client(message + GET_NEXT)
    b = world.nextjs.accept()
    first = b.request()
    assert first.body == HIDDEN
    sent = response(b"1")
    b.send(sent[:-1] if first.method == "HEAD" else sent)
    assert c.response(first.method).status == 200
    assert b.request().target == "/next"


@pytest.mark.parametrize("line, body", [
    ("Content_Length: 5", b"hello"), ("Transfer_Encoding: chunked", b"0\r\n\r\n"),
    ("Content-Length-: 5", b"hello"), ("XTransfer-Encoding: chunked", b"0\r\n\r\n")])
def test_a_name_similar_to_a_framing_field_has_no_effect(world, line, body):
    c = world.client(request("POST", "/1", line) + body + GET_NEXT)
    b = world.nextjs.accept()
    m = b.request()
    assert m.body == b"" and not any("_" in name for name, _ in m.fields)
    b.send(response(b"1"))
    assert c.response().body == b"1"
    assert c.response().status in (400, 501)        # the gate reads the body as a request
    assert c.end() == "FIN"
    world.nextjs.untouched()


def test_bytes_after_connection_close_are_not_a_request(world):
    c = world.client(request("GET", "/1", "Connection: close") + GET_NEXT)
    b = world.nextjs.asked()
    b.send(response(b"1"))
    r = c.response()
    assert r.body == b"1" and r.options("Connection") == ["close"]
    assert c.end() == "FIN"
    c.close()
    assert c.exited() == 0
    assert b.end() in ("FIN", "RST")
    world.nextjs.untouched()


@pytest.mark.parametrize("message", [request("POST", "/1", "Content-Length: 10") + b"hello",
                                     POST_CHUNKED + b"a\r\nhello", POST_CHUNKED + b"5\r\nhello\r\n",
                                     POST_CHUNKED + b"0\r\n"],
                         ids=["length", "chunk", "no last chunk", "no end of trailers"])
def test_a_client_that_ends_within_its_body(world, message):
    c = world.client(message)
    b = world.nextjs.accept()
    c.half_close()
    with pytest.raises(Ended):
        b.request()
    world.nextjs.untouched()


# HTTP/1.0

def test_http_1_0_request_with_a_body(world):
    c = world.client(request("POST", "/x", body=b"hello", version="1.0"))
    b = world.nextjs.accept()
    assert b.request().body == b"hello"
    b.send(response(b"world"))
    assert c.response().body == b"world"
    assert c.end() == "FIN"


def test_http_1_0_is_kept_only_where_the_response_says_so(world):
    c = world.client()
    _, r = world.exchange(c, request("GET", "/", "Connection: keep-alive", version="1.0"))
    if "keep-alive" in r.options("Connection"):
        world.exchange(c, request("GET", "/", version="1.0"), backend=world.nextjs)
    assert c.end() == "FIN"


def test_http_1_0_response_is_not_chunked(world):
    c = world.client(request("GET", "/", version="1.0"))
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), b"5\r\nhello\r\n",
           b"5;x=y\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n")
    r = c.response()
    assert r.framing == "close" and r.body == b"helloworld" and "Trailer" not in r
    assert c.end() == "FIN"


def test_http_1_0_sees_no_interim_response(world):
    c = world.client(request("GET", "/", version="1.0"))
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 103 Early Hints", "Link: </x>"), head("HTTP/1.1 100 Continue"),
           response(b"x"))
    r = c.response()
    assert r.status == 200 and r.body == b"x"


def test_http_1_0_response_that_breaks_off_ends_in_a_reset(world):
    c = world.client(request("GET", "/", version="1.0"))
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n5\r\nwo")
    c.until(b"\r\n\r\n")
    assert c.exactly(5) == b"hello"
    b.close()
    with pytest.raises(Ended) as e:
        c.exactly(1000)
    assert e.value.how == "RST"


def test_http_1_0_head(world):
    c = world.client(request("HEAD", "/", version="1.0"))
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
    assert c.response("HEAD").status == 200
    assert c.end() == "FIN"


# Expect: 100-continue

EXPECTING = request("POST", "/x", "Content-Length: 5", "Expect: 100-continue")


def test_continue_comes_from_the_backend(world):
    c = world.client(EXPECTING)
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    c.quiet()
    b.send(head("HTTP/1.1 100 Continue"))
    assert c.response().status == 100
    c.send(b"hello")
    assert b.exactly(5) == b"hello"
    b.send(response(b"ok"))
    assert c.response().body == b"ok"
    c.send(GET_NEXT)
    assert b.request().target == "/next"


def test_the_expectation_is_passed_on(world):
    world.client(EXPECTING + b"hello")
    assert world.nextjs.accept().request()["Expect"].lower() == "100-continue"


def test_a_client_that_does_not_wait(world):
    c = world.client(EXPECTING + b"hello" + GET_NEXT)
    b = world.nextjs.accept()
    assert b.request().body == b"hello"
    b.send(head("HTTP/1.1 100 Continue") + response(b"ok"))
    r = c.response()
    assert (r if r.status == 200 else c.response()).body == b"ok"
    assert b.request().target == "/next"


@pytest.mark.parametrize("status", ["417 Expectation Failed", "413 Content Too Large", "200 OK"])
def test_a_response_in_place_of_the_continue(world, status):
    """The client may or may not send the body now, so bytes that follow must not become a request."""
    c = world.client(EXPECTING)
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    b.send(response(b"no", status=status))
    r = c.response()
    assert r.status == int(status[:3]) and r.body == b"no"
    try:
        c.send(HIDDEN)
        c.end()
    except (OSError, AssertionError):
        pass
    c.close()
    assert c.exited() == 0
    with pytest.raises(Ended) as e:
        b.exactly(1000)
    assert b"/hidden" not in e.value.got[5:]
    world.nextjs.untouched()


def ended_in_place_of_its_body(world, length):
    """A client that got the head and the first bytes of a response in place of a 100, and then ended."""
    c = world.client(EXPECTING)
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    b.send(head("HTTP/1.1 413 Content Too Large", f"Content-Length: {length}") + b"hello")
    c.until(b"hello")
    c.half_close()
    c.quiet()
    return c, b


def test_a_client_that_ends_in_place_of_its_body_gets_all_of_the_response(world):
    c, b = ended_in_place_of_its_body(world, 10)
    b.send(b"world")
    assert c.exactly(5) == b"world"
    assert c.end() == "FIN"
    c.close()
    assert c.exited() == 0


def test_a_client_that_ends_in_place_of_its_body_and_then_goes_is_noticed(world):
    c, b = ended_in_place_of_its_body(world, BIG)
    c.reset()
    with pytest.raises(OSError):
        while True:
            b.send(bytes(100000))
    assert c.exited() == 0


def test_a_response_before_the_end_of_the_body_cuts_off_no_body_that_has_begun(world):
    c = world.client(request("POST", "/x", "Content-Length: 10", "Expect: 100-continue", "Connection: close"))
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    b.send(head("HTTP/1.1 100 Continue"))
    assert c.response().status == 100
    c.send(b"hello")
    assert b.exactly(5) == b"hello"
    b.send(response(b"ok"))
    assert c.response().body == b"ok"
    c.send(b"world")
    assert b.exactly(5) == b"world"
    assert c.end() == "FIN"


def test_http_1_0_expects_nothing(world):
    c = world.client(request("POST", "/x", "Expect: 100-continue", body=b"hello", version="1.0"))
    b = world.nextjs.accept()
    assert b.request().body == b"hello"
    b.send(head("HTTP/1.1 100 Continue") + response(b"ok"))
    assert c.response().body == b"ok"


# Early responses

BIG = 50_000_000


def test_an_early_response_overtakes_the_body(world):
    c = world.client(request("POST", "/x", "Content-Length: 10") + b"hello")
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    b.send(response(b"early"))
    r = c.response()
    assert r.body == b"early"
    c.send(b"world")
    assert b.exactly(10) == b"helloworld"
    if "close" not in r.options("Connection"):
        c.send(GET_NEXT)
        b, m = world.nextjs.next()
        assert m.target == "/next"
        b.send(response(b"next"))
        assert c.response().body == b"next"


@pytest.mark.parametrize("ending", ["close", "reset", "half-close"])
def test_an_early_refusal_reaches_a_client_that_is_still_sending(world, ending):
    """Also when the backend closes with unread bytes, which resets the connection."""
    c = world.client(request("POST", "/x", f"Content-Length: {BIG}"), b"x" * 100000)
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    b.send(response(b"too large", "Connection: close", status="413 Content Too Large"))
    b.half_close() if ending == "half-close" else b.close()
    if ending == "reset":
        c.send(b"x" * 100000)
    r = c.response()
    assert r.status == 413 and r.body == b"too large"
    with pytest.raises((Ended, OSError)):
        while True:
            c.send(b"x" * 100000)
            if select.select([c.sock], [], [], 0)[0]:
                c.more()
    c.close()
    assert c.exited() == 0


def test_an_early_response_to_a_chunked_upload(world):
    c = world.client(POST_CHUNKED + b"5\r\nhello\r\n")
    b = world.nextjs.accept()
    b.until(b"hello\r\n")
    b.send(response(b"stop", "Connection: close", status="403 Forbidden"))
    b.close()
    assert c.response().status == 403
    assert c.end() in ("FIN", "RST")


# Early responses, before the backend has read the request's head, which its socket has no room for

LARGE = tuple(f"X-{i}: {'a' * 1200}" for i in range(200))


@pytest.fixture
def slow_reader(world, tmp_path):
    """Both backends, on one Unix socket: the kernel holds less of a head on its way than on TCP."""
    backend = world.backend(path=tmp_path / "backend")
    world.configure("[Limits]\nHeadMaxBytes=256K\nBodyTimeoutSec=2\n", nextjs=backend.url, controller=backend.url)
    return backend


def wait_to_read(b):
    """Until the request begins to come. A byte that was read would make room for many."""
    b.sock.recv(1, socket.MSG_PEEK)


REFUSAL = response(b"too large", "Connection: close", status="431 Request Header Fields Too Large")


@pytest.mark.parametrize("message", [request("GET", "/x", *LARGE), request("POST", "/x", *LARGE, body=b"b" * 70000),
                                     upgrade(NOVNC, *LARGE)], ids=["GET", "POST", "upgrade"])
@pytest.mark.parametrize("ending", ["close", "half-close", "none"])
def test_a_refusal_before_the_head_is_read(world, slow_reader, ending, message):
    c = world.client(message)
    b = slow_reader.accept()
    wait_to_read(b)
    b.send(REFUSAL)
    if ending != "none":
        b.half_close() if ending == "half-close" else b.close()
    r = c.response()
    assert r.status == 431 and r.body == b"too large"
    c.close()
    assert c.exited() == 0


@pytest.mark.parametrize("body", [b"", b"b" * 70000], ids=["GET", "POST"])
def test_the_rest_of_a_head_follows_an_early_response(world, slow_reader, body):
    c = world.client(request("POST" if body else "GET", "/x", *LARGE, body=body))
    b = slow_reader.accept()
    b.exactly(1)
    b.buf = b""
    b.send(head("HTTP/1.1 103 Early Hints", "Link: </a>"))
    assert c.response().status == 103
    b.send(response(b"early"))
    r = c.response()
    assert r.status == 200 and r.body == b"early" and "close" not in r.options("Connection")
    rest = b.until(b"\r\n\r\n")
    assert rest.count(b"\r\nX-") >= len(LARGE) - 60 and rest.count(b"X-199: " + b"a" * 1200) == 1
    assert b.exactly(len(body)) == body
    c.send(GET_NEXT)
    again, m = slow_reader.next()
    assert again is b and m.target == "/next" and m.method == "GET"
    b.send(response(b"next"))
    assert c.response().body == b"next"


def test_a_backend_that_never_reads_the_rest_of_a_head(world, slow_reader):
    c = world.client(request("GET", "/x", *LARGE))
    b = slow_reader.accept()
    b.send(response(b"early"))
    assert c.response().body == b"early"
    assert c.end() in ("FIN", "RST")
    assert c.exited() == 0 and any("stalled" in line for line in c.log)


def test_a_101_before_the_head_is_read_opens_no_tunnel(world, slow_reader):
    c = world.client(upgrade(NOVNC, *LARGE))
    b = slow_reader.accept()
    wait_to_read(b)
    b.send(switching())
    r = world.error(c, 502)
    assert "101 before it had read the request" in r.body.decode()


def test_an_early_authorization_does_not_leave_half_a_head_on_a_connection(world, slow_reader):
    world.configure("[Limits]\nHeadMaxBytes=256K\n[Authorization]\nPath=/auth\n"
                    "[Routes]\nControllerPath=/vm\n", nextjs=slow_reader.url)
    c = world.client(request("GET", "/vm", f"Cookie: {'c' * 240000}"))
    b = slow_reader.accept()
    wait_to_read(b)
    b.send(head("HTTP/1.1 204 No Content", "X-Novnc-User: alice"))
    world.controller.asked().send(response(b"vm"))
    assert c.response().body == b"vm"
    with pytest.raises(Ended):
        b.until(b"\r\n\r\n")
    b.close()
    c.send(GET_NEXT)
    other, m = slow_reader.next()
    assert m.target == "/next"
    other.send(response(b"next"))
    assert c.response().body == b"next"
