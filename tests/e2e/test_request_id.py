"""X-Request-Id: to the backend, back to the client, in the log; traceparent passes."""

import pytest

from gate import NOVNC, head, request, response, switching, upgrade
from websocket import receive_close

TRUSTED = "[Client]\nTrustedProxies=127.0.0.1"
LONGEST = "".join(chr(c) for c in range(0x21, 0x7f)) + "x" * 34     # each visible character


def own(c, n=1):
    return f"novnc-gate[{c.pid}]-{n}"


@pytest.mark.parametrize("lines", [(), ("X-Request-Id: forged",)], ids=["none", "a client's own"])
@pytest.mark.parametrize("kind", ["plain", "upgrade", "declined"])
def test_the_gate_sets_an_id(world, kind, lines):
    c = world.client(request("GET", "/", *lines) if kind == "plain" else upgrade(NOVNC, *lines))
    b = (world.nextjs if kind == "plain" else world.controller).accept()
    assert b.request()["X-Request-Id"] == own(c)
    b.send(switching("X-Request-Id: forged") if kind == "upgrade" else
           response(b"x", "X-Request-Id: forged", "x-request-id: forged", status="404 Not Found"))
    assert c.response()["X-Request-Id"] == own(c)


def test_it_counts_the_requests_of_a_connection(world):
    c = world.client()
    for n in range(1, 12):
        c.send(request("GET", f"/{n}"))
        b, m = world.nextjs.next()
        b.send(response(b"x"))
        assert m["X-Request-Id"] == c.response()["X-Request-Id"] == own(c, n)


@pytest.mark.parametrize("given", ["a", "0190163d-8694-739b-aea5-966c26f8ad91", LONGEST])
def test_that_of_a_trusted_proxy_is_kept(world, given):
    world.configure(TRUSTED)
    seen, r = world.exchange(world.client(), request("GET", "/", f"X-Request-Id: {given}"))
    assert seen["X-Request-Id"] == r["X-Request-Id"] == given


@pytest.mark.parametrize("lines", [("X-Request-Id:",), (f"X-Request-Id: {LONGEST}x",),
                                   ("X-Request-Id: a b",), ("X-Request-Id: caf\xe9",),
                                   ("X-Request-Id: a", "X-Request-Id: b"), ("X_Request_Id: a",)],
                         ids=["empty", "too long", "space", "not ASCII", "two", "underscore"])
def test_any_other_is_replaced(world, lines):
    world.configure(TRUSTED)
    c = world.client()
    seen, r = world.exchange(c, request("GET", "/", *lines))
    assert seen["X-Request-Id"] == r["X-Request-Id"] == own(c)


def test_each_request_of_a_connection_has_its_own(world):
    world.configure(TRUSTED)
    c = world.client()
    for n, lines in enumerate(((), ("X-Request-Id: " + "y" * 128,), (), ("X-Request-Id: z",), ()), 1):
        c.send(request("GET", "/", *lines))
        b, m = world.nextjs.next()
        b.send(response(b"x"))
        expected = lines[0].split(": ")[1] if lines else own(c, n)
        assert m["X-Request-Id"] == c.response()["X-Request-Id"] == expected


@pytest.mark.parametrize("message", [request("GET", "/", "Bad : x"), upgrade("/elsewhere"),
                                     request("TRACE", "/")], ids=["malformed", "refused", "TRACE"])
def test_error_responses_have_it(world, message):
    c = world.client(message)
    r = c.response()
    assert r.status >= 400 and r["X-Request-Id"] == own(c)


def test_a_refusal_has_that_of_the_proxy(world):
    world.configure(TRUSTED)
    c = world.client(upgrade("/elsewhere", "X-Request-Id: abc"))
    assert world.refused(c, 403)["X-Request-Id"] == "abc"


def test_a_close_comes_with_it(world):
    world.configure(TRUSTED + "\n[Routes]\nUpgradeErrors=close")
    c = world.client(upgrade(NOVNC, "X-Request-Id: abc"))
    b = world.controller.asked()
    b.send(response(b"x", status="403 Forbidden"))
    r = c.response()
    assert r.status == 101 and r["X-Request-Id"] == "abc"
    assert receive_close(c)[0] == 4403
    c.close()


def test_interim_responses_do_not_have_it(world):
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 103 Early Hints", "X-Request-Id: forged", "Link: x"), response(b"x"))
    assert "X-Request-Id" not in c.response() and c.response()["X-Request-Id"] == own(c)


@pytest.mark.parametrize("trusted", ["", TRUSTED])
def test_traceparent_passes(world, trusted):
    world.configure(trusted)
    lines = ("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
             "tracestate: a=1,b=2")
    m = world.seen(request("GET", "/", *lines))
    assert [f"{name}: {m[name]}" for name in ("traceparent", "tracestate")] == list(lines)
    world.client(upgrade(NOVNC, *lines))
    m = world.controller.accept().request()
    assert [f"{name}: {m[name]}" for name in ("traceparent", "tracestate")] == list(lines)


@pytest.mark.parametrize("lines", [(), ("X-Request-Id: abc",)], ids=["none", "a proxy's"])
def test_an_authorization_request_has_that_of_its_request(world, lines):
    world.configure(TRUSTED + "\n[Authorization]\nPath=/may\n[Routes]\nControllerPath=/page")
    c = world.client()
    for n, message in enumerate((request("GET", "/page", *lines), upgrade(NOVNC, *lines)), 1):
        c.send(message)
        b, m = world.nextjs.next()
        assert m.target == "/may" and m.all("X-Request-Id") == ["abc" if lines else own(c, n)]
        b.send(response(b"", "X-Novnc-User: alice"))
        b, asked = world.controller.next()
        assert asked["X-Request-Id"] == m["X-Request-Id"]
        b.send(response(b"x"))
        assert c.response()["X-Request-Id"] == m["X-Request-Id"]
