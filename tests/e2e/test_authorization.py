"""[Authorization] Path=: Next.js decides whether a request goes to the master-controller."""

import os
import re
import signal
import socket
import time

import pytest

from gate import (DEADLINE, HOST, NOVNC, SECRET, Responder, chunked, deaf, head, refusing, request, response, switching,
                  upgrade)
from test_headers import assert_who_asked
from test_log import full_pipe, journal, next_fields  # noqa: F401 (fixtures)
from test_timeouts import not_before
from test_upgrade_errors import fits, switched
from websocket import BINARY, closed, receive, send

PATH = "/api/may?x=%2f"
PAGE = "/api/auth/session/s-1/novnc/app.js"
KEYS = f"""[Authorization]
Path={PATH}
RecheckSec=infinity
[Routes]
ControllerPath=/api/auth/session/*/novnc/**
"""
SESSION, HANDLING = upgrade(), f"Handling noVNC connection: {NOVNC}"
kinds = pytest.mark.parametrize("message", [SESSION, request("GET", PAGE)], ids=["session", "page"])
with_tls = pytest.mark.parametrize("world", [(), ("client",), ("client", "backend")], indirect=True,
                                   ids=["plain", "TLS client", "all TLS"])


@pytest.fixture(autouse=True)
def setting(world):
    world.drop_in("50-authorization.conf", KEYS)


def granted(*lines, user="alice", body=b"", status="200 OK"):
    return response(body, f"X-Novnc-User: {user}", *lines, status=status)


def asked(world):
    """Next.js gets an authorization request: its connection and the request."""
    b, m = world.nextjs.next()
    assert (m.method, m.target, m.body) == ("GET", PATH, b"")
    return b, m


def grant(world, sent=None):
    b, m = asked(world)
    b.send(sent or granted())
    return m


def opened(world, c):
    """Next.js authorizes the session and the controller opens it: the controller's end."""
    grant(world)
    return world.tunnel_of(c)


def failed(world, c, status, sentence, kind, logged=None):
    """An error response of the gate, and the controller is not contacted."""
    r = world.error(c, status)
    error = "WebSocket proxy error" if kind is SESSION else "Proxy error"
    assert r.body.decode().startswith(f"{error}: {sentence}.\n"), r.body
    world.controller.untouched()
    assert c.log == [f"{error}: {logged or sentence}"]


# Authorized

@with_tls
def test_an_authorized_session_opens(world):
    c = world.client(SESSION)
    b = opened(world, c)
    send(c, BINARY, b"up")
    assert receive(b)[:2] == (BINARY, b"up")
    c.logged("^Proxying: ")
    assert c.log[0] == HANDLING


@with_tls
def test_an_authorized_page_is_served(world):
    c = world.client()
    for _ in range(2):
        c.send(request("GET", PAGE))
        grant(world)
        b, m = world.controller.next()
        assert m.target == PAGE
        b.send(response(b"page"))
        assert c.response().body == b"page"


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content", "299 Whatever"])
@kinds
def test_each_2xx_authorizes(world, message, status):
    world.client(message)
    grant(world, head(f"HTTP/1.1 {status}", "X-Novnc-User: a") if status[:3] == "204"
          else granted(status=status))
    world.controller.accept().request()


@pytest.mark.parametrize("sent", [
    granted(body=b"x" * 100000), granted("Set-Cookie: a=1", body=b"x"),
    head("HTTP/1.1 200 OK", "X-Novnc-User: a", "Transfer-Encoding: chunked") + chunked(b"x", b"y"),
    head("HTTP/1.1 200 OK", "X-Novnc-User: a", "Transfer-Encoding: chunked"),
    head("HTTP/1.1 200 OK", "X-Novnc-User: a", "Content-Length: 9"),
    head("HTTP/1.0 200 OK", "X-Novnc-User: a") + b"x",
    head("HTTP/1.1 103 Early Hints", "Link: </a>", "Set-Cookie: c=1") + granted()],
    ids=["long", "Set-Cookie", "chunked", "no chunk", "no content", "close-delimited", "103"])
def test_nothing_of_a_2xx_reaches_the_client(world, sent):
    c = world.client(request("GET", PAGE))
    grant(world, sent)
    world.controller.asked().send(response(b"page", "X-Page: 1"))
    r = c.response()
    assert (r.status, r["X-Page"], r.body) == (200, "1", b"page") and "Set-Cookie" not in r
    c.send(request())                                   # the next request is not confused by its body
    b, m = world.nextjs.next()
    assert m.target == "/"
    b.send(response(b"next"))
    assert c.response().body == b"next"


def test_the_connection_to_nextjs_is_kept(world):
    c = world.client(request())
    b, _ = world.nextjs.next()
    b.send(response(b"1"))
    assert c.response().body == b"1"
    for _ in range(2):
        c.send(request("GET", PAGE))
        kept, _ = asked(world)
        assert kept is b
        b.send(granted(body=b"dropped"))
        world.controller.next()[0].send(response(b"2"))
        assert c.response().body == b"2"


def test_a_kept_connection_that_nextjs_has_closed(world):
    c = world.client(request())
    b, _ = world.nextjs.next()
    b.send(response(b"1"))
    assert c.response().body == b"1"
    c.send(request("GET", PAGE))
    asked(world)
    b.close()                                           # without a response: asked once more
    grant(world)
    world.controller.asked().send(response(b"2"))
    assert c.response().body == b"2"


def test_other_requests_are_not_subject_to_it(world):
    assert world.seen(request()).target == "/"
    world.client(upgrade("/_next/hmr"))
    assert world.nextjs.accept().request().target == "/_next/hmr"
    world.refused(world.client(upgrade("/elsewhere")), 403)


def test_without_the_key_nobody_is_asked(world):
    world.drop_in("51-off.conf", "[Authorization]\nPath=\n")
    world.tunnel()
    world.nextjs.untouched()


def test_a_request_that_the_gate_refuses_is_not_subject_to_it(world):
    world.refused(world.client(upgrade(NOVNC, "Origin: http://evil.example")), 403)


def test_a_request_body_follows(world):
    body = b"x" * 300000
    c = world.client(request("POST", PAGE, body=body))
    m = grant(world)
    assert m["Content-Length"] is None and m["X-Forwarded-Method"] == "POST"
    b = world.controller.accept()
    assert b.request().body == body
    b.send(response(b"done"))
    assert c.response().body == b"done"


def test_bytes_behind_an_upgrade_follow(world):
    c = world.client(SESSION + b"early")
    b = opened(world, c)
    assert b.exactly(5) == b"early"


# The authorization request

SENT = ("Cookie: a=1", f"Cookie: b={SECRET}", f"Authorization: Bearer {SECRET}", "Origin: https://" + HOST,
        "User-Agent: x", "Accept: y", "X-Custom: z", "X-Novnc-User: root", "X-Novnc-Session: other",
        "X-Forwarded-User: root", "X-Forwarded-Uri: /other", "X-Forwarded-Method: PUT", "Referer: r",
        "X-Request-Id: forged", "Cook_ie: c", "Sec-WebSocket-Protocol: binary", "If-None-Match: *", "Range: bytes=0-1")


@pytest.mark.parametrize("message, method, target", [
    (upgrade(NOVNC + "?token=1", *SENT), "GET", NOVNC + "?token=1"),
    (request("PUT", PAGE + "?q", *SENT, body=b"b"), "PUT", PAGE + "?q")], ids=["session", "page"])
def test_it_has_the_credentials_and_nothing_else_of_the_client(world, message, method, target):
    world.client(message)
    _, m = asked(world)
    assert m.fields[0] == ("Host", HOST)
    assert m.all("Cookie") == ["a=1", f"b={SECRET}"] and m["Authorization"] == f"Bearer {SECRET}"
    assert (m["X-Forwarded-Method"], m["X-Forwarded-Uri"]) == (method, target)
    assert m["X-Novnc-Session"] == "s-1"
    assert sorted({n for n, _ in m.fields}) == [
        "Authorization", "Cookie", "Host", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Method",
        "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Uri", "X-Novnc-Session", "X-Request-Id"]
    m.fields = [f for f in m.fields if f[0] not in ("X-Forwarded-Method", "X-Forwarded-Uri")]
    assert_who_asked(m)


@pytest.mark.parametrize("session", ["a%41~!$&'()+,;=:@", "caf%C3%A9", "..."])
@pytest.mark.parametrize("kind", [upgrade, request])
def test_the_session_is_not_decoded(world, kind, session):
    target = f"/api/auth/session/{session}/novnc/websockify"
    world.client(kind(target=target))
    m = grant(world)
    assert m["X-Novnc-Session"] == session and m["X-Forwarded-Uri"] == target
    assert world.controller.accept().request().target == target


def test_the_uri_is_that_which_the_controller_gets(world):
    world.client(upgrade("//" + NOVNC))
    assert grant(world)["X-Forwarded-Uri"] == world.controller.accept().request().target == NOVNC


def test_a_path_without_a_session(world):
    world.drop_in("51-paths.conf", "[Routes]\nNoVncPath=/vnc\n")
    world.client(upgrade("/vnc"))
    assert "X-Novnc-Session" not in grant(world)
    world.controller.accept().request()


def test_http_1_0_without_host(world):
    c = world.client(request("GET", PAGE, host=None, version="1.0"))
    m = grant(world)
    assert m["Host"] == world.nextjs.authority and "X-Forwarded-Host" not in m
    world.controller.asked().send(response(b"x"))
    assert c.response().body == b"x"


def test_https_is_told(secure):
    secure.drop_in("50-authorization.conf", KEYS)
    secure.client(SESSION)
    assert grant(secure)["X-Forwarded-Proto"] == "https"


# Denied

DENIED = ["401 Unauthorized", "403 Forbidden", "404 Not Found"]


@with_tls
@pytest.mark.parametrize("status", DENIED)
@kinds
def test_a_refusal_is_passed_on_as_it_is(world, message, status):
    c = world.client(message)
    b, _ = asked(world)
    b.send(response(b"sign in", "Set-Cookie: a=1", "Set-Cookie: b=2", "WWW-Authenticate: Basic",
                    "Content-Type: text/html", "X-Novnc-User: alice", "X-Why: 1", status=status))
    r = c.response()
    assert r.start == f"HTTP/1.1 {status}" and r.body == b"sign in"
    assert [f for f in r.fields if f[0] != "X-Request-Id"] == [
        ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("WWW-Authenticate", "Basic"),
        ("Content-Type", "text/html"), ("X-Why", "1"), ("Content-Length", "7")]
    world.controller.untouched()
    c.logged("^Refusing unauthorized request")
    assert c.log == [f"Refusing unauthorized request with {status[:3]}"]
    c.send(request())                                   # keep-alive
    b, m = world.nextjs.next()
    assert m.target == "/"
    b.send(response(b"page"))
    assert c.response().body == b"page"


@pytest.mark.parametrize("sent, body", [
    (head("HTTP/1.1 401 No", "Transfer-Encoding: chunked") + chunked(b"a" * 100000, b"b"), b"a" * 100000 + b"b"),
    (response(b"y" * 300000, status="403 No"), b"y" * 300000), (head("HTTP/1.1 404 No", "Content-Length: 0"), b"")],
    ids=["chunked", "long", "empty"])
@kinds
def test_its_body_comes_whole(world, message, sent, body):
    c = world.client(message)
    asked(world)[0].send(sent)
    assert c.response().body == body
    c.send(message)
    asked(world)


def test_a_close_delimited_refusal_is_the_last(world):
    c = world.client(SESSION)
    b, _ = asked(world)
    b.send(head("HTTP/1.0 401 No"), b"sign in")
    b.close()
    r = c.response()
    assert (r.status, r.body, r.options("Connection")) == (401, b"sign in", ["close"])


@pytest.mark.parametrize("sent", [
    response(b"no", status="401 No"),
    head("HTTP/1.1 401 No", "Transfer-Encoding: chunked") + chunked(b"no"),
    head("HTTP/1.1 401 No", "Content-Length: 0")], ids=["length", "chunked", "empty"])
def test_head_gets_no_content(world, sent):
    c = world.client(request("HEAD", PAGE))
    asked(world)[0].send(sent)
    assert c.response("HEAD").status == 401
    c.send(request())
    b, m = world.nextjs.next()
    assert m.target == "/"
    b.send(response(b"page"))
    assert c.response().body == b"page"


def test_content_that_head_does_not_get_is_in_no_later_response(world):
    c = world.client(request("HEAD", PAGE))
    b, _ = asked(world)
    b.send(head("HTTP/1.1 401 No", "Content-Length: 30"))
    assert c.response("HEAD")["Content-Length"] == "30"
    assert b.end() == "FIN"
    c.send(request())
    again, m = world.nextjs.next()
    assert again is not b and m.target == "/"


@pytest.mark.parametrize("sent", [request("POST", PAGE, body=b"x" * 100000),
                                  request("POST", PAGE, "Content-Length: 10"),
                                  request("POST", PAGE, "Content-Length: 10", "Expect: 100-continue"),
                                  request("POST", PAGE, "Transfer-Encoding: chunked"), SESSION + b"early"],
                         ids=["sent", "not sent", "expected", "chunked", "bytes behind an upgrade"])
def test_after_a_request_with_an_unread_body_it_is_the_last(world, sent):
    c = world.client(sent)
    asked(world)[0].send(response(b"no", status="403 Forbidden"))
    r = c.response()
    assert (r.status, r.body, r.options("Connection")) == (403, b"no", ["close"])
    assert c.end() == "FIN"
    world.controller.untouched()


def test_a_request_with_an_empty_body_is_not_the_last(world):
    c = world.client(request("POST", PAGE, "Content-Length: 0"))
    asked(world)[0].send(response(b"no", status="403 Forbidden"))
    assert c.response().body == b"no"
    c.send(request("GET", PAGE))
    grant(world)
    world.controller.accept().request()


@with_tls
@pytest.mark.parametrize("status", DENIED)
def test_a_close_with_upgrade_errors(world, status):
    world.drop_in("51-errors.conf", "[Routes]\nUpgradeErrors=close\n")
    c = world.client(SESSION)
    asked(world)[0].send(response(b"sign in", "Set-Cookie: a=1", status=status))
    code = 4000 + int(status[:3])
    told(c, code, f"Next.js does not authorize this session ({status[:3]})",
                          f"Refusing unauthorized request with {status[:3]}")
    world.controller.untouched()


def told(c, code, sentence, logged):
    """The client gets a Close, and the log one entry."""
    switched(c)
    assert closed(c) == [(code, fits(c, sentence))]
    c.close()
    assert c.exited() == 0
    assert c.log == [logged]


def test_a_page_never_gets_a_close(world):
    world.drop_in("51-errors.conf", "[Routes]\nUpgradeErrors=close\n")
    c = world.client(request("GET", PAGE))
    asked(world)[0].send(response(b"sign in", status="401 No"))
    assert c.response().body == b"sign in"


# Neither

@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 304, 400, 402, 405, 407, 429, 500, 502, 503])
@kinds
def test_any_other_response_is_a_502(world, message, status):
    c = world.client(message)
    asked(world)[0].send(response(b"" if status == 304 else b"x", "X-Novnc-User: alice", "Location: /login",
                                  "Set-Cookie: a=1", status=f"{status} X"))
    failed(world, c, 502, f"Next.js responded with {status} to the authorization request", message)


@kinds
def test_a_101_is_a_502(world, message):
    c = world.client(message)
    asked(world)[0].send(switching("X-Novnc-User: alice"))
    failed(world, c, 502, "Next.js sent an invalid response: unsolicited 101", message)


@pytest.mark.parametrize("lines", [
    (), ("X-Novnc-User: a", "X-Novnc-User: a"), ("X-Novnc-User: a", "x-novnc-user: b"), ("X-Novnc-User:",),
    ("X-Novnc-User: " + 257 * "a",), ("X-Novnc-User: a b",), ("X-Novnc-User: a\tb",),
    ("X-Novnc-User: caf\xe9",), ("X-Novnc-Users: a",), ("X_Novnc_User: a",)],
    ids=["none", "two", "two in another case", "empty", "257", "space", "tab", "not ASCII", "longer", "_"])
@kinds
def test_a_2xx_without_a_valid_user_is_a_502(world, message, lines):
    c = world.client(message)
    asked(world)[0].send(response(b"x", *lines))
    failed(world, c, 502, "Next.js authorized the request without a valid X-Novnc-User", message)


@pytest.mark.parametrize("user", ["a", "!~", "a" * 256, "alice@example.org", "a,b", "\\", "\"", "%41"])
def test_users_that_are_valid(world, user):
    world.client(SESSION)
    grant(world, granted(user=user))
    assert world.controller.accept().request()["X-Forwarded-User"] == user


@with_tls
def test_nextjs_is_down(world):
    with refusing() as backend:
        world.configure(nextjs=backend.url)
        for message in (SESSION, request("GET", PAGE)):
            failed(world, world.client(message), 502, "Next.js refused the connection", message,
                   f"cannot connect to {backend.authority}: Connection refused")


def test_nextjs_does_not_accept(world):
    with deaf() as backend:
        world.configure("[Limits]\nConnectTimeoutSec=300ms", nextjs=backend.url)
        failed(world, world.client(SESSION), 504, "timed out connecting to Next.js", SESSION,
               f"cannot connect to {backend.authority}: Connection timed out")


@kinds
def test_nextjs_is_slow(world, message):
    world.drop_in("51-time.conf", "[Authorization]\nTimeoutSec=1\n")
    with not_before(1):
        c = world.client(message)
        asked(world)[0].send(head("HTTP/1.1 100 Continue"), b"HTTP/1.1 2")
        failed(world, c, 504, "timed out waiting for the response head from Next.js", message)


@kinds
def test_nextjs_closes(world, message):
    c = world.client(message)
    asked(world)[0].close()
    failed(world, c, 502, "Next.js closed the connection before its response began", message)


@kinds
def test_nextjs_does_not_speak_http(world, message):
    c = world.client(message)
    asked(world)[0].send(b"hello\n")
    failed(world, c, 502, "Next.js does not speak HTTP/1.1", message,
           'Next.js does not speak HTTP/1.1 (it sent "hello")')


def test_a_failure_is_a_close_with_upgrade_errors(world):
    world.drop_in("51-errors.conf", "[Routes]\nUpgradeErrors=close\n")
    c = world.client(SESSION)
    asked(world)[0].send(response(b"x", status="302 Found"))
    sentence = "Next.js responded with 302 to the authorization request"
    start = time.monotonic()
    told(c, 4502, sentence, f"WebSocket proxy error: {sentence}")
    assert time.monotonic() - start < 1.5               # else the request counted as bytes before the Close
    world.controller.untouched()


def test_a_client_that_is_gone_meanwhile(world):
    c = world.client(SESSION)
    b, _ = asked(world)
    c.reset()
    assert b.end() == "FIN"
    assert c.exited() == 0
    world.controller.untouched()


def test_sigterm_meanwhile(world):
    c = world.client(SESSION)
    asked(world)
    os.kill(c.pid, signal.SIGTERM)
    r = world.error(c, 503)
    assert b"stopped by SIGTERM" in r.body
    assert "Refusing request with 503: stopped by SIGTERM" in str(c.log)
    assert "closed" not in str(c.log)       # it has never been a session
    world.controller.untouched()


def test_credentials_are_never_logged(world):
    world.drop_in("51-log.conf", "[Log]\nLevel=debug\n")
    c = world.client(upgrade(NOVNC, f"Cookie: {SECRET}", f"Authorization: {SECRET}"))
    asked(world)[0].send(response(SECRET.encode(), f"Set-Cookie: {SECRET}", status="401 No"))
    assert c.response().status == 401
    c.logged("^Refusing unauthorized request")


# Who the client is

def test_the_controller_gets_the_user(world):
    for message in (upgrade(NOVNC, "X-Forwarded-User: root", "X-Novnc-User: root"),
                    request("POST", PAGE, "X-Forwarded-User: root", "X-Novnc-User: root", body=b"x")):
        world.client(message)
        grant(world)
        m = world.controller.accept().request()
        assert m["X-Forwarded-User"] == "alice" and "X-Novnc-User" not in m and "X-Novnc-Session" not in m


def test_nextjs_gets_no_user(world):
    c = world.client(request("GET", PAGE))
    grant(world)
    world.controller.asked().send(response(b"x"))
    c.response()
    c.send(request("GET", "/", "X-Forwarded-User: root"))
    assert "X-Forwarded-User" not in world.nextjs.next()[1]


def test_each_request_has_its_own_user(world):
    c = world.client()
    for user in ("alice", "bob"):
        c.send(request("GET", PAGE))
        asked(world)[0].send(granted(user=user))
        b, m = world.controller.next()
        assert m["X-Forwarded-User"] == user
        b.send(response(b"x"))
        c.response()


USER = "NOVNC_GATE_USER"


@kinds
def test_an_entry_before_it_is_authorized_names_no_user(world, journal, message):
    journal, arguments = journal
    c = world.direct(message, **arguments)
    asked(world)[0].send(granted(status="403 Forbidden"))
    assert c.response().status == 403
    fields = next_fields(journal)
    assert fields["MESSAGE"].startswith("Refusing unauthorized request with 403 (GET /api/")
    assert (fields["NOVNC_GATE_BACKEND"], fields["NOVNC_GATE_STATUS"]) == ("Next.js", "403")
    assert fields["NOVNC_GATE_SESSION"] == "s-1" and USER not in fields


def test_all_entries_of_a_session_name_the_user(world, journal):
    world.drop_in("51-recheck.conf", "[Authorization]\nRecheckSec=100ms\n")
    journal, arguments = journal
    c = world.direct(SESSION, **arguments)
    opened(world, c)
    asked(world)[0].close()
    asked(world)[0].send(response(status="404 No"))
    seen = [next_fields(journal) for _ in range(4)]
    assert [(f[USER], f["NOVNC_GATE_BACKEND"], f["MESSAGE"].split(":")[0]) for f in seen] == [
        ("alice", "master-controller", "Handling noVNC connection"), ("alice", "master-controller", "Proxying"),
        ("alice", "Next.js", "Session cannot be authorized again"),
        ("alice", "master-controller", "noVNC session closed")]
    assert seen[3]["NOVNC_GATE_REASON"] == "no longer authorized"
    assert (seen[3]["NOVNC_GATE_CLOSED_BY"], seen[3]["NOVNC_GATE_CLOSE_CODE"]) == ("novnc-gate", "1008")


def test_a_session_that_the_controller_refuses_names_the_user(world, journal):
    journal, arguments = journal
    c = world.direct(SESSION, **arguments)
    grant(world)
    world.controller.asked().send(response(status="401 No"))
    assert c.response().status == 401
    assert [next_fields(journal)[USER] for _ in range(2)] == ["alice"] * 2


def test_the_status_names_the_user(world, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE)
        c = world.direct(SESSION, env={"NOTIFY_SOCKET": str(tmp_path / "notify")}.items())
        opened(world, c)
        status = manager.recv(4096).decode()
    assert re.fullmatch(f"STATUS=noVNC session, client {re.escape(c.address)}, connection 127.0.0.1:[0-9]+-"
                        f"{re.escape(world.controller.url.removeprefix('http://'))}, id s-1, user alice", status)


def test_check_shows_who_authorizes(world):
    with Responder(world.nextjs), Responder(world.controller):
        r = world.check()
    line = f"to {world.controller.url} only if authorized by {world.nextjs.url}{PATH}\n"
    assert r.returncode == 0 and r.stdout.count(line) == 1, r
    world.drop_in("51-off.conf", "[Authorization]\nPath=\n")
    with Responder(world.nextjs), Responder(world.controller):
        assert "authorized by" not in world.check().stdout
