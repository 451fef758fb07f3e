"""Fields that are removed, in both directions, and X-Forwarded-*."""

import pytest

from gate import HOST, NOVNC, Gate, World, chunked, head, request, response, switching, upgrade

REMOVED = ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil",
           "X-Forwarded-Port: 1", "X-Forwarded-Server: x", "X-Forwarded-Prefix: /x",
           "X-Forwarded-Ssl: on", "x-forwarded-anything: x", "Forwarded: for=192.0.2.1;host=evil",
           "X-Forwarded-User: root", "X-Novnc-User: root", "x-novnc-session: root",
           "X-Novnc-: root", "X_Novnc_User: root",
           "X-Real-IP: 192.0.2.1", "X_Forwarded_For: 192.0.2.1", "X_Real_IP: 192.0.2.1",
           "X_Any: 1", "a_b: 1", "_: 1", "Cook_ie: 1", "Proxy-Connection: keep-alive",
           "Proxy-Authorization: Basic eA==", "Proxy-Authenticate: x", "Proxy-Anything: x", "Proxy-Status: x",
           "HTTP2-Settings: AAMAAABk", "Keep-Alive: timeout=5", "TE: trailers, deflate"]


@pytest.mark.parametrize("line", REMOVED)
@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_fields_that_a_client_may_not_send_are_removed(world, kind, line):
    if kind == "plain":
        m = world.seen(request("GET", "/", line))
    else:
        world.client(upgrade(NOVNC, line))
        m = world.controller.accept().request()
    name, value = line.split(": ")
    assert value not in m.all(name)
    assert_who_asked(m)


def assert_who_asked(m, client="127.0.0.1", host=HOST):
    assert m["X-Forwarded-For"] == client
    assert m["X-Forwarded-Proto"] == "http"
    assert m["X-Forwarded-Host"] == host
    assert m["X-Forwarded-Port"] == host.split(":")[1]
    known = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")
    assert not [n for n, _ in m.fields if n.lower().startswith("x-forwarded-")
                and n.lower() not in known]
    for name in ("Forwarded", "X-Real-IP", "Via"):
        assert name not in m


def test_all_such_fields_at_once_and_twice(world):
    m = world.seen(request("GET", "/", *REMOVED, *REMOVED))
    assert_who_asked(m)
    assert not any("_" in name for name, _ in m.fields)


@pytest.mark.parametrize("target", ["/_next/hmr", NOVNC])
def test_upgrades_have_the_forwarded_fields(world, target):
    world.client(upgrade(target))
    b = (world.controller if target == NOVNC else world.nextjs).accept()
    assert_who_asked(b.request())


@pytest.mark.parametrize("host, port", [
    ("app.example:3000", "3000"), ("app.example", "80"), ("app.example:", "80"),
    ("app.example:443", "443"), ("[::1]", "80"), ("[::1]:8080", "8080")])
@pytest.mark.parametrize("target", ["/", "/_next/hmr", NOVNC])
def test_x_forwarded_port_is_the_port_of_host(world, host, port, target):
    world.client((request if target == "/" else upgrade)(target=target, host=host))
    b = (world.controller if target == NOVNC else world.nextjs).accept()
    assert b.request()["X-Forwarded-Port"] == port


def test_x_forwarded_port_without_a_host(world):
    assert world.seen(request(host=None, version="1.0"))["X-Forwarded-Port"] == "80"


@pytest.mark.parametrize("host, port", [("app.example:3443", "3443"), ("app.example", "443")])
def test_x_forwarded_port_over_tls(secure, host, port):
    m = secure.seen(request(host=host))
    assert (m["X-Forwarded-Proto"], m["X-Forwarded-Port"]) == ("https", port)


# RewriteOrigin=

OWN_PATH = ("[MasterController]\nRewriteOrigin={}\n[Routes]\n"
            "ControllerPath=/api/auth/session/*/novnc/**\nAllowedOrigins=https://listed.example")


@pytest.mark.parametrize("origin", [f"http://{HOST}", f"https://{HOST}", "https://listed.example"])
@pytest.mark.parametrize("rewrite", ["yes", "no", ""])
def test_the_controller_gets_its_own_origin(world, rewrite, origin):
    world.configure(OWN_PATH.format(rewrite))
    world.client(upgrade(NOVNC, f"Origin: {origin}"))
    m = world.controller.accept().request()
    assert m["Origin"] == (world.controller.url if rewrite == "yes" else origin)
    assert m["Host"] == world.controller.authority


def test_the_controllers_own_origin_over_tls(secure):
    secure.configure(OWN_PATH.format("yes"))
    secure.client(upgrade(NOVNC, f"Origin: https://{HOST}"))
    m = secure.controller.accept().request()
    assert m["Origin"] == f"https://{m['Host']}" == secure.controller.url


def test_the_own_origin_of_a_unix_socket_is_that_of_its_host(world, tmp_path):
    backend = world.backend(path=tmp_path / "ctl")
    world.configure(OWN_PATH.format("yes"), controller=backend.url)
    world.client(upgrade(NOVNC, f"Origin: http://{HOST}"))
    m = backend.accept().request()
    assert m["Origin"] == f"http://{m['Host']}" == "http://localhost"


def test_no_origin_is_added(world):
    world.configure(OWN_PATH.format("yes"))
    world.client(upgrade())
    assert "Origin" not in world.controller.accept().request()


def test_the_gates_own_check_comes_first(world):
    world.configure(OWN_PATH.format("yes"))
    world.refused(world.client(upgrade(NOVNC, "Origin: http://evil.example")), 403)


@pytest.mark.parametrize("message", [request("POST", "/", f"Origin: http://{HOST}"),
                                     upgrade("/_next/hmr", f"Origin: http://{HOST}")],
                         ids=["plain", "upgrade"])
def test_nextjs_gets_the_origin_as_it_came(world, message):
    world.configure(OWN_PATH.format("yes"))
    world.client(message)
    assert world.nextjs.accept().request()["Origin"] == f"http://{HOST}"


@pytest.mark.parametrize("origin, own", [
    (f"http://{HOST}", True), (f"https://{HOST}", True), ("http://evil.example", False),
    ("https://listed.example", False), ("null", False)])
def test_a_plain_request_gets_it_only_from_its_own_origin(world, origin, own):
    """A form of another site must not seem to come from the controller's own page."""
    world.configure(OWN_PATH.format("yes"))
    m = world.seen(request("POST", "/api/auth/session/s-1/novnc/x", f"Origin: {origin}"),
                   backend=world.controller)
    assert m["Origin"] == (world.controller.url if own else origin)


# Addresses

@pytest.mark.parametrize("listens, client", [("::1", "::1"), ("::", "127.0.0.1")],
                         ids=["IPv6", "IPv4 to a dual-stack socket"])
def test_x_forwarded_for_is_the_clients_address(tmp_path, listens, client):
    with Gate(tmp_path, host=listens) as gate, World(gate) as world:
        world.client(request(), host=client)
        assert_who_asked(world.nextjs.accept().request(), client=client)


@pytest.mark.parametrize("lines", [
    ("X-Plain: value",), ("X-Empty:",), ("X-Tab: a\tb",), ("X-Latin: caf\xe9 \xff",),
    ("X-Twice: 1", "X-Twice: 2"), ("Cookie: a=1", "Cookie: b=2"), ("Accept: a, b;q=0.1",),
    ("X-Odd!#$%&'*+-.^`|~: x",), ("Range: bytes=0-1",), ("If-None-Match: \"x\"",),
    ("Accept-Encoding: gzip, br",), ("Content-Type: text/x",), ("Next-Action: x", "RSC: 1"),
    ("X-Forward: x",), ("X-Colon: a:b: c",), ("Origin: null",)],
    ids=lambda lines: lines[0].split(":")[0])
def test_other_fields_pass_to_the_backend(world, lines):
    m = world.seen(request("POST", "/", *lines))
    for name in {line.split(":")[0] for line in lines}:
        assert m.all(name) == [line.split(":", 1)[1].strip() for line in lines
                               if line.startswith(name + ":")]


def test_white_space_around_a_value_is_removed(world):
    m = world.seen(request("GET", "/", "X-A: \t a b \t ", "X-B:c"))
    assert m["X-A"] == "a b" and m["X-B"] == "c"


@pytest.mark.parametrize("connection", [
    ("Connection: X-One, x-two",), ("Connection: close, X-ONE", "Connection: x-two"),
    ("Connection: keep-alive,x-one,,X-Two",)], ids=["list", "lines", "empty elements"])
def test_fields_named_by_connection_are_removed(world, connection):
    m = world.seen(request("GET", "/", "X-One: 1", "X-Two: 2", "X-Three: 3", *connection))
    assert "X-One" not in m and "X-Two" not in m and m["X-Three"] == "3"
    assert not {"x-one", "x-two"} & set(m.options("Connection"))


def test_fields_named_by_connection_are_removed_from_an_upgrade(world):
    world.client(upgrade(NOVNC, "Connection: Upgrade, X-One", "X-One: 1"))
    assert "X-One" not in world.controller.accept().request()


# From the backend

def test_other_fields_pass_to_the_client(world):
    lines = ("Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "X-Latin: caf\xe9", "X-Empty:",
             "Content-Type: text/html; charset=utf-8", "ETag: \"x\"", "Vary: RSC",
             "Server: x", "Date: Thu, 01 Jan 1970 00:00:00 GMT", "Location: http://a.example/",
             "Cache-Control: s-maxage=31536000", "X-Powered-By: Next.js",
             "Link: </_next/static/x.css>; rel=preload")
    _, r = world.exchange(world.client(), request(), response(b"x", *lines))
    for name in {line.split(":")[0] for line in lines}:
        assert r.all(name) == [line.split(":", 1)[1].strip() for line in lines
                               if line.startswith(name + ":")]


@pytest.mark.parametrize("line", ["Keep-Alive: timeout=5", "Proxy-Authenticate: x",
                                  "Proxy-Connection: keep-alive", "Upgrade: h2c",
                                  "X-Hop: 1"])
def test_hop_by_hop_fields_of_a_backend_are_removed(world, line):
    _, r = world.exchange(world.client(), request(),
                          response(b"x", line, "Connection: keep-alive, X-Hop"))
    name, value = line.split(": ")
    assert value not in r.all(name) and "x-hop" not in r.options("Connection")
    assert r.body == b"x"


def test_hop_by_hop_fields_of_a_101_are_removed(world):
    c = world.client(upgrade())
    b = world.controller.asked()
    b.send(switching("Connection: Upgrade, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5"))
    r = c.response()
    assert "X-Hop" not in r and "Keep-Alive" not in r and r.options("Connection") == ["upgrade"]


@pytest.mark.parametrize("target, status", [("/", "200 OK"), (NOVNC, "101 Switching Protocols"),
                                            (NOVNC, "404 Not Found"), ("/_next/hmr", "403 No")])
def test_x_novnc_fields_of_a_backend_are_removed(world, target, status):
    c = world.client(request() if target == "/" else upgrade(target))
    b = (world.controller if target == NOVNC else world.nextjs).asked()
    lines = ("X-Novnc-User: a", "x-novnc-session: b", "X-Novnc-: c", "X-Novnc: d")
    b.send(switching(*lines) if status.startswith("101") else response(b"x", *lines, status=status))
    r = c.response()
    assert r.status == int(status[:3]) and r["X-Novnc"] == "d"
    assert not [n for n, _ in r.fields if n.lower().startswith("x-novnc-")]


def test_x_novnc_fields_in_trailers_are_removed_both_ways(world):
    trailers = ("X-Novnc-User: a", "X-Forwarded-User: b", "X-Kept: c")
    c = world.client(head("POST / HTTP/1.1", f"Host: {HOST}", "Transfer-Encoding: chunked"),
                     chunked(b"up", trailers=trailers))
    b = world.nextjs.accept()
    assert b.request().trailers == [("X-Kept", "c")]
    b.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + chunked(b"x", trailers=trailers))
    assert c.response().trailers == [("X-Kept", "c")]


def test_the_version_of_a_response_is_the_gates_own(world):
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.0 200 OK", "Content-Length: 1") + b"x")
    r = c.response()
    assert r.start.startswith("HTTP/1.1 200") and r.body == b"x"


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "302 Found", "404 Not Found",
                                    "418 I'm a teapot", "500 Internal Server Error", "599 X",
                                    "200 "])
def test_status_and_reason_pass(world, status):
    _, r = world.exchange(world.client(), request(), response(b"x", status=status))
    assert r.start == f"HTTP/1.1 {status}"


# The number of Connection options is limited, for each is searched for in all fields

@pytest.mark.parametrize("n", [64, 65])
def test_a_client_may_send_64_connection_options(world, n):
    message = request("GET", "/", "Connection: ," + ",".join(f"x{i}" for i in range(n - 1)),
                      "Connection: last", "Last: 1", "X0: 1", "Other: 1")
    if n > 64:
        r = world.refused(world.client(message), 431)
        assert b": more than 64 Connection options.\n" in r.body
    else:
        m = world.seen(message)
        assert "Last" not in m and "X0" not in m and m["Other"] == "1"


@pytest.mark.parametrize("n", [64, 65])
def test_a_backend_may_send_64_connection_options(world, n):
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(response(b"x", "Connection: " + ",".join(f"x{i}" for i in range(n)), "X0: 1", "Other: 1"))
    r = c.response()
    assert r.status == (200 if n == 64 else 502)
    assert (b"Next.js sent a response with more than 64 Connection options.\n" in r.body) == (n > 64)
    assert "X0" not in r and r.all("Other") == (["1"] if n == 64 else [])
