"""The backend that each request goes to, and the request as it arrives there."""

import pytest

from gate import HOST, KEY, NOVNC, SECRET, head, request, response, switching, upgrade

CONTROLLER_PATHS = ("[Routes]\nControllerPath=/api/auth/session/*/novnc"
                    " /api/auth/session/*/novnc/**")


@pytest.mark.parametrize("target", [
    "/", "/?", "/dashboard/remote-cli", "/a//b/./c/../d", "/%2e%2e/%2f%5C%00?x=%00",
    "/x?a=b&c=d/../e", "/;p=1,2:3@4!$&'()*+=~", NOVNC, NOVNC + "?token=1", "/_next/hmr",
    "/" + "a" * 20000], ids=lambda t: t[:30])
def test_plain_requests_go_to_nextjs_with_the_target_as_it_came(world, target):
    assert world.seen(request("GET", target)).target == target
    world.controller.untouched()


@pytest.mark.parametrize("method", [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "REPORT"])
def test_methods_pass(world, method):
    assert world.seen(request(method, "/x")).method == method


def test_options_asterisk_goes_to_nextjs(world):
    m = world.seen(request("OPTIONS", "*"))
    assert (m.method, m.target) == ("OPTIONS", "*")


@pytest.mark.parametrize("host", [
    "app.example", "APP.example:3000", "localhost:3000", "192.0.2.1", "[::1]:3000", "a-b.c_d"])
def test_host_is_unchanged_to_nextjs(world, host):
    assert world.seen(request(host=host))["Host"] == host


@pytest.mark.parametrize("target", [
    NOVNC,
    "/api/auth/session/s-1/novnc/websock",
    "/api/auth/session/6b1d1f0e-0000-4000-8000-000000000000/novnc/websockify",
    "/api/auth/session/.../novnc/websockify",
    "/api/auth/session/.a/novnc/websockify",
    "/api/auth/session/a%41~!$&'()+,;=:@/novnc/websockify",
    NOVNC + "?",
    NOVNC + "?token=a&path=/../%2e%2e/%2f//\\",
    NOVNC + "?a?b/c"])
def test_novnc_upgrades_go_to_the_controller(world, target):
    c, b = world.client(upgrade(target)), world.controller.accept()
    m = b.request()
    assert (m.method, m.target) == ("GET", target)
    assert m["Host"] == world.controller.authority
    b.send(switching())
    r = c.response()
    assert r.status == 101
    assert r["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert r["Upgrade"].lower() == "websocket" and r.options("Connection") == ["upgrade"]
    world.nextjs.untouched()


@pytest.mark.parametrize("slashes", ["//", "/////"])
def test_slashes_at_the_start_of_an_upgrades_path_go_out_as_one(world, slashes):
    c = world.client(upgrade(slashes + NOVNC[1:] + "?a=//b"))
    b = world.controller.accept()
    assert b.request().target == NOVNC + "?a=//b"
    b.send(switching())
    assert c.response().status == 101
    c.logged(f"^Proxying: {NOVNC} ")
    assert c.log[0] == f"Handling noVNC connection: {NOVNC}"


def test_slashes_at_the_start_of_a_plain_requests_path_stay(world):
    assert world.seen(request(target="/" + NOVNC)).target == "/" + NOVNC


def test_fields_of_an_upgrade_pass_to_the_controller(world):
    lines = ("Origin: https://" + HOST, f"Cookie: id={SECRET}", f"Authorization: Bearer {SECRET}",
             "User-Agent: Mozilla/5.0", "Sec-WebSocket-Protocol: binary, base64",
             "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
             "Accept-Language: en", "X-Custom: 1")
    c, b = world.client(upgrade(NOVNC, *lines)), world.controller.accept()
    m = b.request()
    for line in lines:
        name, value = line.split(": ", 1)
        assert m[name] == value
    assert m["Sec-WebSocket-Key"] == KEY and m["Sec-WebSocket-Version"] == "13"
    assert m["Upgrade"] == "websocket" and m.options("Connection") == ["upgrade"]
    b.send(switching("Sec-WebSocket-Protocol: binary", "Set-Cookie: a=1", "Set-Cookie: b=2",
                     "Sec-WebSocket-Extensions: permessage-deflate"))
    r = c.response()
    assert r["Sec-WebSocket-Protocol"] == "binary" and r.all("Set-Cookie") == ["a=1", "b=2"]
    assert r["Sec-WebSocket-Extensions"] == "permessage-deflate"


@pytest.mark.parametrize("target", [
    "/_next/webpack-hmr", "/_next/hmr", "/_next/webpack-hmr?page=/dashboard", "/_next/a-hmr-b"])
def test_hot_reload_upgrades_go_to_nextjs(world, target):
    c, b = world.tunnel(upgrade(target, "Origin: https://" + HOST), backend=world.nextjs)
    c.send(b"ping")
    assert b.exactly(4) == b"ping"
    b.send(b"pong")
    assert c.exactly(4) == b"pong"
    world.controller.untouched()


def test_hot_reload_keeps_its_host(world):
    world.client(upgrade("/_next/hmr"))
    m = world.nextjs.accept().request()
    assert m["Host"] == HOST and m["Upgrade"] == "websocket"
    assert m.options("Connection") == ["upgrade"]


# Upgrade or not

@pytest.mark.parametrize("lines", [
    ("Upgrade: WebSocket", "Connection: UPGRADE"),
    ("Upgrade: websocket", "Connection: keep-alive, Upgrade"),
    ("Upgrade: websocket", "Connection: keep-alive", "Connection: Upgrade"),
    ("Upgrade: websocket", "Connection: Upgrade", "Connection: keep-alive"),
    ("Upgrade: websocket", "Connection: ,, upgrade ,"),
    ("Upgrade: websocket", "Connection: keep-alive,Upgrade,\tx-y"),
    ("Upgrade: h2c, websocket", "Connection: Upgrade"),
    ("Upgrade: websocket,h2c", "Connection: Upgrade"),
    ("Upgrade: h2c", "Upgrade: WEBSOCKET", "Connection: Upgrade"),
    ("upgrade:websocket", "connection:upgrade"),
    ("Upgrade: \t websocket \t", "Connection: \tupgrade "),
], ids=lambda lines: " | ".join(lines))
def test_an_upgrade_in_any_spelling(world, lines):
    world.client(upgrade(NOVNC, *lines))
    m = world.controller.accept().request()
    assert m["Upgrade"] == "websocket" and m.options("Connection") == ["upgrade"]
    assert "X-Y" not in m


@pytest.mark.parametrize("lines", [
    ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    ("Upgrade: TLS/1.0", "Connection: Upgrade"),
    ("Upgrade: websocket",),
    ("Upgrade: websocket", "Connection: keep-alive"),
    ("Upgrade: websocket", "Connection: upgrades, x-upgrade, upgrade-x"),
    ("Connection: Upgrade",),
    ("Upgrade: websockets, xwebsocket, web socket", "Connection: Upgrade"),
    ("Upgrade: ", "Connection: Upgrade"),
], ids=lambda lines: " | ".join(lines))
@pytest.mark.parametrize("target", ["/", NOVNC])
def test_an_upgrade_to_anything_else_is_a_plain_request(world, target, lines):
    m = world.seen(request("GET", target, *lines))
    assert "Upgrade" not in m and "HTTP2-Settings" not in m
    assert "upgrade" not in m.options("Connection")
    world.controller.untouched()


# Request by request

def test_ten_pages_and_then_the_terminal_down_one_connection(world):
    c = world.client()
    page = None
    for i in range(10):
        c.send(request("GET", f"/page/{i}"))
        page = page or world.nextjs.accept()
        assert page.request().target == f"/page/{i}"
        page.send(response(b"page %d" % i))
        assert c.response().body == b"page %d" % i
    c.send(upgrade())
    b = world.controller.accept()
    assert b.request().target == NOVNC
    b.send(switching())
    assert c.response().status == 101
    c.send(b"\x00\xffraw")
    assert b.exactly(5) == b"\x00\xffraw"
    world.nextjs.untouched()


def test_pipelined_requests_get_their_responses_in_order(world):
    c = world.client(request("GET", "/1") + request("POST", "/2", body=b"two") +
                     request("HEAD", "/3") + request("GET", "/4"))
    b = world.nextjs.accept()
    for target, body, method in (("/1", b"", "GET"), ("/2", b"two", "POST"),
                                 ("/3", b"", "HEAD"), ("/4", b"", "GET")):
        m = b.request()
        assert (m.method, m.target, m.body) == (method, target, body)
        sent = response(target.encode(), f"X-Target: {target}")
        b.send(sent if method != "HEAD" else sent[:-2])
        assert c.response(method)["X-Target"] == target


def test_a_pipelined_request_waits_for_the_response_before_it(world):
    c = world.client(request("GET", "/1") + request("GET", "/2"))
    b = world.nextjs.accept()
    assert b.request().target == "/1"
    b.quiet()
    b.send(response(b"1"))
    assert c.response().body == b"1"
    assert b.request().target == "/2"


def test_a_pipelined_upgrade_with_early_bytes(world):
    c = world.client(request("GET", "/1") + upgrade() + b"early")
    page = world.nextjs.asked()
    world.controller.untouched()
    page.send(response(b"1"))
    assert c.response().body == b"1"
    b = world.controller.accept()
    assert b.request().target == NOVNC
    b.quiet()
    b.send(switching())
    assert c.response().status == 101
    assert b.exactly(5) == b"early"


def test_after_a_refused_upgrade_nothing_more_is_read_as_a_request(world):
    c = world.client(upgrade("/evil") + request("GET", "/next"))
    world.refused(c, 403)


def test_a_head_that_comes_byte_by_byte(world):
    c = world.client()
    c.send(*(bytes([n]) for n in request("POST", "/x", body=b"hello")))
    m = world.nextjs.accept().request()
    assert (m.target, m.body) == ("/x", b"hello")


def test_an_upgrade_that_comes_byte_by_byte(world):
    c = world.client()
    c.send(*(bytes([n]) for n in upgrade()))
    b = world.controller.asked()
    b.send(*(bytes([n]) for n in switching()), b"x")
    assert c.response().status == 101
    assert c.exactly(1) == b"x"


# Absolute form

@pytest.mark.parametrize("target, origin_form", [
    (f"http://{HOST}/x?y", "/x?y"), (f"http://{HOST}", "/"), (f"http://{HOST}?y", "/?y"),
    (f"HTTP://{HOST}/", "/")])
def test_absolute_form_becomes_origin_form(world, target, origin_form):
    m = world.seen(request("GET", target))
    assert m.target == origin_form and m["Host"] == HOST


# ControllerPath

@pytest.mark.parametrize("target", [
    "/api/auth/session/s-1/novnc", "/api/auth/session/s-1/novnc?x=/../y",
    "/api/auth/session/s-1/novnc/", "/api/auth/session/s-1/novnc/app/ui.js",
    "/api/auth/session/s-1/novnc/a/b/c/d?e",
    "/api/auth/session/s-1/novnc/a%20b;v=1/%C3%A9?%zz%2e"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_controller_path_serves_plain_requests(world, method, target):
    world.configure(CONTROLLER_PATHS)
    m = world.seen(request(method, target, f"Cookie: {SECRET}"), backend=world.controller)
    assert m.target == target and m["Host"] == world.controller.authority
    assert m["X-Forwarded-Host"] == HOST and m["Cookie"] == SECRET
    world.nextjs.untouched()


@pytest.mark.parametrize("target", [
    "/", "/api/auth/session/s-1", "/api/auth/session/s-1/novncx", "/api/auth/session/s/1/novnc",
    "/x/api/auth/session/s-1/novnc", "/API/auth/session/s-1/novnc",
    "/api/auth/session//novnc", "/api/auth/session/s-1/novnc/../../admin",
    "/api/auth/session/s-1/novnc/./x", "/api/auth/session/s-1/novnc/..",
    "/api/auth/session/../novnc/x",
    "/api/auth/session/s-1/novnc/%2e%2e/x", "/api/auth/session/s-1/novnc/.%2E/x",
    "/api/auth/session/s-1/novnc/a%2fb", "/api/auth/session/s-1/novnc/a%2Fb",
    "/api/auth/session/s-1/novnc/a%5cb", "/api/auth/session/s-1/novnc/a%5Cb",
    "/api/auth/session/s-1/novnc/a%00b", "/api/auth/session/s-1/novnc/a//b",
    "/api/auth/session/s-1/novnc//", "/api/auth/session/s-1/novnc/%2e",
    "/api/auth/session/s-1/novnc/..;/..;/x", "/api/auth/session/s-1/novnc/..;a=b/x",
    "/api/auth/session/s-1/novnc/.;x", "/api/auth/session/s-1/novnc/;x/y",
    "/api/auth/session/s-1/novnc/..%3bx/y", "/api/auth/session/s-1/novnc/%",
    "/api/auth/session/s-1/novnc/%2", "/api/auth/session/s-1/novnc/%zz",
    "/api/auth/session/s-1/novnc/%u002e", "/api/auth/session/s-1/novnc/a%0d%0ab",
    "/api/auth/session/s-1/novnc/%1f", "/api/auth/session/s-1/novnc/%7f",
    "/api/auth/session/s-1/novnc/%252e%252e/x", "/api/auth/session/s-1/novnc/%c0%ae%c0%ae/x",
    "/api/auth/session/s-1/novnc/%e0%80%ae/x", "/api/auth/session/%/novnc/x"])
def test_other_paths_go_to_nextjs(world, target):
    world.configure(CONTROLLER_PATHS)
    assert world.seen(request("GET", target)).target == target
    world.controller.untouched()


def test_two_backends_by_turns_keep_a_connection_each(world):
    world.configure(CONTROLLER_PATHS)
    c = world.client()
    ends = {}
    for target, backend in (("/a", world.nextjs), ("/api/auth/session/s/novnc", world.controller),
                            ("/b", world.nextjs), ("/api/auth/session/s/novnc/x",
                                                   world.controller)):
        c.send(request("GET", target))
        b = ends.get(backend) or ends.setdefault(backend, backend.accept())
        assert b.request().target == target
        b.send(response(target.encode()))
        assert c.response().body == target.encode()


def test_upgrades_outside_novnc_path_stay_refused_under_controller_path(world):
    world.configure(CONTROLLER_PATHS)
    world.refused(world.client(upgrade("/api/auth/session/s-1/novnc/other")), 403)


# Globs

@pytest.mark.parametrize("glob, target, allowed", [
    ("/vm/*/ws", "/vm/1/ws", True),
    ("/vm/*/ws", "/vm/1/2/ws", False),
    ("/vm/*/ws", "/vm/ws", False),
    ("/vm/a*b/ws", "/vm/ab/ws", True),
    ("/vm/a*b/ws", "/vm/axbxb/ws", True),
    ("/vm/a*b/ws", "/vm/a/b/ws", False),
    ("/vm/**/ws", "/vm/ws", True),
    ("/vm/**/ws", "/vm/1/ws", True),
    ("/vm/**/ws", "/vm/1/2/3/ws", True),
    ("/vm/**/ws", "/vm/ws/ws/wsx", False),
    ("/vm/**/ws", "/vm/1/2", False),
    ("/vm/**/ws", "/vmx/ws", False),
    ("/vm/ws", "/vm/ws", True),
    ("/vm/ws", "/vm/wsx", False),
    ("/vm/ws", "/vm/w", False),
    ("/vm/w.s", "/vm/wxs", False),
    ("/vm/" + "*a" * 12, "/vm/" + "a" * 2000 + "b", False),
    ("/vm" + "/**/a" * 8, "/vm" + "/a" * 1000 + "/b", False),
], ids=lambda v: str(v)[:40])
def test_globs(world, glob, target, allowed):
    world.configure(f"[Routes]\nNoVncPath=\nNoVncPath={glob}")
    c = world.client(upgrade(target))
    if allowed:
        assert world.controller.accept().request().target == target
    else:
        world.refused(c, 403)


def test_hot_reload_under_a_base_path(world):
    world.configure("[Routes]\nNextJsUpgradePath=/base/_next/*hmr*")
    world.tunnel(upgrade("/base/_next/webpack-hmr"), backend=world.nextjs)


# Names of backends

def test_a_backend_by_name(world):
    world.configure(nextjs=f"http://localhost:{world.nextjs.port}",
                    controller=f"http://localhost:{world.controller.port}")
    assert world.seen(request("GET", "/x"))["Host"] == HOST
    world.client(upgrade())
    assert world.controller.accept().request()["Host"] == f"localhost:{world.controller.port}"


def test_backends_over_ipv6(world):
    nextjs, controller = world.backend(host="::1"), world.backend(host="::1")
    world.configure(nextjs=nextjs.url, controller=controller.url)
    assert world.seen(request("GET", "/x"), backend=nextjs).target == "/x"
    world.client(upgrade())
    assert controller.accept().request()["Host"] == f"[::1]:{controller.port}"


def test_backends_on_unix_sockets(world, tmp_path):
    nextjs = world.backend(path=tmp_path / "next.sock")
    controller = world.backend(path=tmp_path / "controller.sock")
    world.configure(nextjs=nextjs.url, controller=controller.url)
    assert world.seen(request("GET", "/x"), backend=nextjs)["Host"] == HOST
    c, b = world.tunnel(backend=controller)
    c.send(b"ping")
    assert b.exactly(4) == b"ping"


def test_no_host_on_http_1_0_becomes_the_backends_authority(world):
    c = world.client(request(host=None, version="1.0"))
    b = world.nextjs.accept()
    assert b.request()["Host"] == world.nextjs.authority
    b.send(head("HTTP/1.1 200 OK", "Content-Length: 0"))
    assert c.response().status == 200 and c.end() == "FIN"
