"""Only a checked 101 opens a tunnel; every other status is an ordinary response."""

import pytest

from gate import KEY, NOVNC, Ended, accept_of, chunked, head, request, response, switching, upgrade


def asked(world, *pieces):
    """A client whose upgrade has reached the controller."""
    c = world.client(*pieces or (upgrade(),))
    b = world.controller.asked()
    return c, b


@pytest.mark.parametrize("sent", [
    switching(), switching("upgrade: WebSocket", "connection: UPGRADE"),
    switching("Connection: keep-alive, Upgrade"), switching("Connection: keep-alive",
                                                            "Connection: upgrade"),
    switching(status="101 Web Socket Protocol Handshake"), switching(status="101 "),
    head("HTTP/1.1 103 Early Hints") + switching(), head("HTTP/1.1 100 Continue") + switching()],
    ids=["usual", "case", "list", "two lines", "reason", "no reason", "103 first", "100 first"])
def test_a_valid_101(world, sent):
    c, b = asked(world)
    b.send(sent)
    r = c.response()
    while r.status in (100, 103):
        r = c.response()
    assert r.status == 101 and r["Upgrade"].lower() == "websocket"
    assert r.options("Connection") == ["upgrade"]
    assert r["Sec-WebSocket-Accept"] == accept_of(KEY)
    c.send(b"\x82\x80abcd")
    assert b.exactly(6) == b"\x82\x80abcd"
    b.send(b"\x82\x00")
    assert c.exactly(2) == b"\x82\x00"


@pytest.mark.parametrize("key", ["AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==",
                                 "x3JJHMbDL1EzLkh9GBhXDw==", "AQIDBAUGBwgJCgsMDQ4PEC=="])
def test_the_accept_belongs_to_the_key(world, key):
    c, b = asked(world, upgrade(NOVNC, f"Sec-WebSocket-Key: {key}"))
    b.send(switching(f"Sec-WebSocket-Accept: {accept_of(key)}"))
    assert c.response()["Sec-WebSocket-Accept"] == accept_of(key)


GOOD = accept_of(KEY)


@pytest.mark.parametrize("sent", [
    pytest.param(sent, id=name) for name, sent in (
        ("no Upgrade", switching(without=["Upgrade"])),
        ("another Upgrade", switching("Upgrade: h2c")),
        ("an empty Upgrade", switching("Upgrade: ")),
        ("no Connection", switching(without=["Connection"])),
        ("another Connection", switching("Connection: close")),
        ("a Connection that only looks like it", switching("Connection: upgrades")),
        ("no accept", switching(without=["Sec-WebSocket-Accept"])),
        ("an empty accept", switching("Sec-WebSocket-Accept: ")),
        ("the accept of another key", switching(f"Sec-WebSocket-Accept: {accept_of(KEY[::-1])}")),
        ("the key as accept", switching(f"Sec-WebSocket-Accept: {KEY}")),
        ("the accept in another case", switching(f"Sec-WebSocket-Accept: {GOOD.swapcase()}")),
        ("the accept cut short", switching(f"Sec-WebSocket-Accept: {GOOD[:-1]}")),
        ("the accept and more", switching(f"Sec-WebSocket-Accept: {GOOD}=")),
        ("two accepts", switching(f"Sec-WebSocket-Accept: {GOOD}",
                                  f"Sec-WebSocket-Accept: {accept_of('x')}")),
        ("a list of accepts", switching(f"Sec-WebSocket-Accept: {GOOD}, {GOOD}")),
        ("nothing but the status", head("HTTP/1.1 101 Switching Protocols")),
        ("HTTP/1.0", switching(version="1.0")),
    )])
def test_a_101_with_a_flaw_is_a_502(world, sent):
    c, b = asked(world)
    b.send(sent + b"\x82\x04evil")
    r = world.error(c, 502)
    assert r.body.startswith(b"WebSocket proxy error: ")
    assert b"evil" not in r.body
    with pytest.raises(Ended):
        b.exactly(1)


@pytest.mark.parametrize("lines", [(), ("Upgrade: websocket",), ("Upgrade: h2c",
                                                                 "Connection: Upgrade")],
                         ids=["plain", "no connection option", "h2c"])
@pytest.mark.parametrize("target", ["/", NOVNC])
def test_an_unsolicited_101_is_a_502(world, target, lines):
    c = world.client(request("GET", target, *lines, f"Sec-WebSocket-Key: {KEY}"))
    b = world.nextjs.asked()
    b.send(switching() + b"evil")
    world.error(c, 502)


def test_bytes_that_follow_the_head_wait_for_the_101(world):
    early = bytes(range(256)) * 40
    c, b = asked(world, upgrade() + early)
    b.quiet()
    b.send(head("HTTP/1.1 103 Early Hints"))
    b.quiet()
    b.send(switching())
    assert c.response().status == 103 and c.response().status == 101
    assert b.exactly(len(early)) == early


def test_bytes_that_come_while_the_101_is_awaited(world):
    c, b = asked(world)
    c.send(b"early ")
    b.quiet()
    c.send(b"bird")
    b.send(switching())
    assert b.exactly(10) == b"early bird"


def test_early_bytes_beyond_every_buffer_arrive(world):
    early = bytes(1_000_000)
    c = world.client()
    c.sock.settimeout(0.2)
    sent = 0
    data = upgrade() + early
    try:
        while sent < len(data):
            sent += c.sock.send(data[sent:])
    except TimeoutError:
        pass                # the gate does not read ahead without bound
    c.sock.settimeout(10)
    b = world.tunnel_of(c)
    b.exactly(sent - len(upgrade()))
    c.send(data[sent:] + b"!")
    assert b.exactly(len(data) - sent + 1)[-1:] == b"!"


def test_bytes_in_one_segment_with_the_101(world):
    c, b = asked(world)
    b.send(switching() + b"RFB 003.008\n")
    assert c.response().status == 101
    assert c.exactly(12) == b"RFB 003.008\n"


def test_a_half_close_right_after_the_head_is_passed_on(world):
    c, b = asked(world, upgrade() + b"bye")
    c.half_close()
    b.send(switching())
    assert c.response().status == 101
    assert b.exactly(3) == b"bye" and b.end() == "FIN"
    b.send(b"late")
    b.close()
    assert c.exactly(4) == b"late" and c.end() == "FIN"


OFFER = "Sec-WebSocket-Protocol: "


@pytest.mark.parametrize("offers, chosen", [
    ((), None), (("binary",), "binary"), (("binary, base64",), "base64"), (("a", "b"), "b"), (("binary",), None),
    (("binary",), "")])
@pytest.mark.parametrize("path", [NOVNC, "/_next/hmr"])
def test_a_subprotocol_that_is_chosen_or_none(world, path, offers, chosen):
    c = world.client(upgrade(path, *(OFFER + o for o in offers)))
    b = (world.controller if path == NOVNC else world.nextjs).asked()
    b.send(switching(*([] if chosen is None else [OFFER + chosen])))
    r = c.response()
    assert r.status == 101 and r["Sec-WebSocket-Protocol"] == chosen


@pytest.mark.parametrize("offers, chosen", [
    ((), "binary"), (("binary",), "base64"), (("binary",), "BINARY"), (("binary, base64",), "binary, base64")])
def test_a_subprotocol_that_the_client_has_not_offered(world, offers, chosen):
    chooses_unoffered(world, (OFFER + o for o in offers), OFFER + chosen, "subprotocol", chosen)


@pytest.mark.parametrize("offers, chosen, unoffered", [
    ((), "permessage-deflate; server_max_window_bits=15", "permessage-deflate"),
    (("permessage-deflate",), "permessage-deflate, mux", "mux")])
def test_an_extension_that_the_client_has_not_offered(world, offers, chosen, unoffered):
    extensions = "Sec-WebSocket-Extensions: "
    chooses_unoffered(world, (extensions + o for o in offers), extensions + chosen, "extension", unoffered)


def chooses_unoffered(world, offers, line, what, unoffered):
    """A browser would fail the connection with 1006, and nobody would know why."""
    c, b = asked(world, upgrade(NOVNC, *offers))
    b.send(switching(line))
    why = f"master-controller sent an invalid response: 101 with an unoffered {what}"
    r = world.error(c, 502)
    assert r.body.decode().startswith(f"WebSocket proxy error: {why}.")
    assert "http_upgrade_failed" in r["Proxy-Status"]
    assert c.log[-1] == f"WebSocket proxy error: {why}: {unoffered}"


# Not a 101

@pytest.mark.parametrize("status", ["200 OK", "301 Moved Permanently", "401 Unauthorized",
                                    "403 Forbidden", "404 Not Found", "426 Upgrade Required",
                                    "500 Internal Server Error", "503 Service Unavailable"])
def test_any_other_status_passes_and_the_connection_stays_http(world, status):
    c, b = asked(world)
    b.send(response(b"why", "X-Why: 1", status=status))
    r = c.response()
    assert r.status == int(status[:3]) and r.body == b"why" and r["X-Why"] == "1"
    c.send(request("GET", "/next"))
    page = world.nextjs.accept()
    assert page.request().target == "/next"
    page.send(response(b"next"))
    assert c.response().body == b"next"


@pytest.mark.parametrize("sent, body", [
    (response(b""), b""), (head("HTTP/1.1 204 No Content"), b""),
    (head("HTTP/1.1 404 Not Found", "Transfer-Encoding: chunked") + chunked(b"a", b"b"), b"ab")],
    ids=["empty", "204", "chunked"])
def test_the_framing_of_a_refusal(world, sent, body):
    c, b = asked(world)
    b.send(sent)
    assert c.response().body == body
    c.send(upgrade())
    b, _ = world.controller.next()
    b.send(switching())
    assert c.response().status == 101


@pytest.mark.parametrize("early", [b"x", b"\x82\x80abcd", request("GET", "/admin")],
                         ids=["a byte", "a frame", "a request"])
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_the_connection_closes_if_bytes_had_followed_the_head(world, status, early):
    c, b = asked(world, upgrade() + early)
    b.send(response(b"why", status=status))
    r = c.response()
    assert r.body == b"why" and r.options("Connection") == ["close"]
    assert c.end() == "FIN"
    c.close()
    assert c.exited() == 0
    with pytest.raises(Ended):
        b.exactly(1)
    world.nextjs.untouched()
    world.controller.untouched()


def test_websocket_smuggling(world):
    """After a 426, a lax proxy opens a tunnel, in which the next request reaches the backend."""
    c, b = asked(world)
    b.send(response(b"", "Sec-WebSocket-Version: 13", status="426 Upgrade Required"))
    assert c.response().status == 426
    c.send(request("GET", "/api/internal"))
    page = world.nextjs.accept()
    assert page.request().target == "/api/internal"
    assert not b.buf
    world.controller.untouched()


def test_a_101_from_nextjs_for_hot_reload_is_checked_too(world):
    c = world.client(upgrade("/_next/hmr"))
    b = world.nextjs.asked()
    b.send(switching("Sec-WebSocket-Accept: x"))
    world.error(c, 502)


def test_a_101_in_small_pieces(world):
    c, b = asked(world)
    b.send(*(bytes([n]) for n in switching() + b"hi"))
    assert c.response().status == 101
    assert c.exactly(2) == b"hi"
