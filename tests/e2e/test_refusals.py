"""What the gate refuses by itself, with which status, and which refusal comes first."""

import contextlib
import re
import ssl

import pytest

from gate import HOST, KEY, NOVNC, chunked, request, switching, upgrade


def raw(text):
    return text.encode("latin-1")


def table(*rows):
    """Rows of (id, ...): the id states the fact."""
    return [pytest.param(*row[1:], id=row[0]) for row in rows]


# 1. Syntax and framing

@pytest.mark.parametrize("message", table(
    ("bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n"),
    ("bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
    ("bare LF after a header", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    ("bare LF as the last line", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
    ("LF LF as the end", "GET / HTTP/1.1\r\nHost: a\n\n"),
    ("bare CR as the line end", "GET / HTTP/1.1\rHost: a\r\r"),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
    ("bare CR before the line end", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n"),
    ("bare CR in the request line", "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("CR after the request line", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    ("CR X in place of the last line", "GET / HTTP/1.1\r\nHost: a\r\n\rXGET /b HTTP/1.1\r\n"
                                       "Host: a\r\n\r\n"),
    ("CR hides a header", "GET / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n"),
    ("obs-fold with a space", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
    ("obs-fold with a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"),
    ("obs-fold of nothing", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n \r\n\r\n"),
    ("a folded first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    ("folded Transfer-Encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked"
                                 "\r\n\r\n0\r\n\r\n"),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    ("NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n"),
    ("NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n"),
    ("ESC in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x1b[31m\r\n\r\n"),
    ("form feed in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \f\r\n\r\n"),
    ("vertical tab before a value", "GET / HTTP/1.1\r\nHost: a\r\nX:\va\r\n\r\n"),
    ("tab in the target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("DEL in the target", "GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("space before a colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    ("tab before a colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"),
    ("space before the colon of Content-Length",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello"),
    ("space before the colon of Transfer-Encoding",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("space in a name", "GET / HTTP/1.1\r\nHost: a\r\nX Y: a\r\n\r\n"),
    ("no name", "GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n"),
    ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nXY\r\n\r\n"),
    ("parenthesis in a name", "GET / HTTP/1.1\r\nHost: a\r\nX(: a\r\n\r\n"),
    ("obs-text in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\xe9: a\r\n\r\n"),
    ("no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("tabs in the request line", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    ("a word after the version", "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n"),
    ("a target without a slash", "GET x HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n"),
    ("a version of three digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    ("a version without a dot", "GET / HTTP/11\r\nHost: a\r\n\r\n"),
    ("half a version", "GET / HTTP/1.\r\nHost: a\r\n\r\n"),
    ("another protocol", "GET / HTTQ/1.1\r\nHost: a\r\n\r\n"),
    ("a TLS ClientHello", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + "\xa5" * 64),
    ("binary rubbish", "\0\xff\xfe" * 40),
    ("a response", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
))
def test_malformed_heads(world, message):
    world.refused(world.client(raw(message)), 400)


def client_hello():
    """What Python's own client says first."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="a").do_handshake()
    return out.read()


@pytest.mark.parametrize("said, tls", table(
    ("a ClientHello", client_hello(), True),
    ("an old one", raw("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"), True),
    ("its first byte", raw("\x16"), True),
    ("only like one", raw("\x16\x02\x01\x02"), False),
    ("within a line", raw("GET /\x16\x03"), False)))
@pytest.mark.parametrize("before", ["nothing", "a page"])
def test_tls_on_the_plain_port_is_named_as_the_reason(world, before, said, tls):
    c = world.client()
    if before == "a page":
        world.exchange(c, request())
    c.send(said)
    r = world.error(c, 400)
    why = "control character"
    if tls:
        why = "the client speaks TLS (https://) on the port for plain HTTP"
    assert c.log == [f"Refusing request with 400: {why}"]
    assert r.body.decode().startswith(f"The request was refused: {why}.")


@pytest.mark.parametrize("byte", [b"\n", b"\r", b"\0", b"\x1b", b"\x7f"],
                         ids=["LF", "CR", "NUL", "ESC", "DEL"])
def test_a_control_byte_anywhere_in_a_head_is_refused(world, byte):
    """Put in at each place in turn; the very end would belong to the next message."""
    message = upgrade(NOVNC, f"Origin: https://{HOST}")
    for at in range(1, len(message) - 1):
        c = world.client(message[:at] + byte + message[at:])
        assert c.response().status == 400, (at, message[:at])
        c.close()
        c.exited()
    world.nextjs.untouched()
    world.controller.untouched()


BODY = "\r\nhello"


@pytest.mark.parametrize("lines", table(
    ("Transfer-Encoding and Content-Length", "Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ("Content-Length and Transfer-Encoding", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
    ("a zero length and Transfer-Encoding", "Content-Length: 0\r\nTransfer-Encoding: chunked"),
    ("a length and an unknown coding", "Content-Length: 5\r\nTransfer-Encoding: identity"),
    ("the same length twice", "Content-Length: 5\r\nContent-Length: 5"),
    ("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
    ("two lengths in another case", "Content-Length: 5\r\ncontent-length: 6"),
    ("a list of the same length", "Content-Length: 5,5"),
    ("a list of lengths", "Content-Length: 5, 6"),
    ("length +5", "Content-Length: +5"),
    ("length -5", "Content-Length: -5"),
    ("length -0", "Content-Length: -0"),
    ("length 0x5", "Content-Length: 0x5"),
    ("length 5x", "Content-Length: 5x"),
    ("length 5;", "Content-Length: 5;"),
    ("length 5.0", "Content-Length: 5.0"),
    ("length 5 5", "Content-Length: 5 5"),
    ("length 1e1", "Content-Length: 1e1"),
    ("length in quotes", 'Content-Length: "5"'),
    ("an empty length", "Content-Length:"),
    ("a length of blanks", "Content-Length:  \t"),
    ("a length of 2^64 + 5", "Content-Length: 18446744073709551621"),
    ("a length of 30 digits", "Content-Length: " + "9" * 30),
    ("Arabic digits", "Content-Length: \xd9\xa5"),
    ("coding xchunked", "Transfer-Encoding: xchunked"),
    ("coding chunkedx", "Transfer-Encoding: chunkedx"),
    ("chunked twice", "Transfer-Encoding: chunked, chunked"),
    ("chunked twice on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("chunked then gzip", "Transfer-Encoding: chunked, gzip"),
    ("chunked then gzip on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip"),
    ("chunked then identity", "Transfer-Encoding: chunked, identity"),
    ("chunked, gzip, chunked", "Transfer-Encoding: chunked, gzip, chunked"),
    ("gzip alone", "Transfer-Encoding: gzip"),
    ("identity", "Transfer-Encoding: identity"),
    ("an empty coding", "Transfer-Encoding:"),
    ("chunked in quotes", 'Transfer-Encoding: "chunked"'),
    ("chunked in single quotes", "Transfer-Encoding: 'chunked'"),
    ("chunk ed", "Transfer-Encoding: chunk ed"),
    ("a vertical tab before chunked", "Transfer-Encoding: \vchunked"),
    ("no-break space before chunked", "Transfer-Encoding: \xa0chunked"),
))
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_ambiguous_framing(world, method, lines):
    world.refused(world.client(raw(f"{method} / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{BODY}")), 400)


@pytest.mark.parametrize("coding", ["chunked", "gzip, chunked", "identity"])
def test_any_transfer_coding_on_http_1_0(world, coding):
    world.refused(world.client(raw(f"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: {coding}"
                                   "\r\n\r\n0\r\n\r\n")), 400)


# 2. Version, method, coding

@pytest.mark.parametrize("message, status", table(
    ("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    ("HTTP/0.9 by name", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    ("HTTP/3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    ("HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 505),
    ("TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("CONNECT", "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", 405),
    ("CONNECT with bytes after it",
     "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03\x01\0", 405),
    ("CONNECT on HTTP/1.0", "CONNECT a:443 HTTP/1.0\r\n\r\n", 405),
    ("TRACE with a body", "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 405),
    ("an unknown method", "FROB / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("a method in lower case", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("no HEAD, so with content", "head / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("a method that goes on", "GETX / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("a method that stops short", "GE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("gzip before chunked",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("gzip before chunked on two lines", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip"
     "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    ("identity before chunked",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 501),
))
def test_version_method_and_coding(world, message, status):
    world.refused(world.client(raw(message)), status)


@pytest.mark.parametrize("version", ["ICE/1.0", "RTSP/1.0", "ICE/1.1"])
@pytest.mark.parametrize("method", ["GET", "SOURCE", "DESCRIBE"])
def test_other_protocols_of_the_parser(world, method, version):
    c = world.client(raw(f"{method} / {version}\r\nHost: a\r\n\r\n"))
    assert c.response().status in (400, 501, 505)
    world.nextjs.untouched()


def test_a_request_line_without_a_version(world):
    c = world.client(b"GET /\r\n\r\n")
    assert c.response().status in (400, 505)
    world.nextjs.untouched()


# 3. Host, connection options, absolute form

@pytest.mark.parametrize("lines", table(
    ("no Host", ""),
    ("two Hosts", "Host: a\r\nHost: b\r\n"),
    ("the same Host twice", "Host: a\r\nHost: a\r\n"),
    ("Host twice in another case", "Host: a\r\nhOST: b\r\n"),
    ("a space in Host", "Host: a b\r\n"),
    ("a list of Hosts", "Host: a, b\r\n"),
    ("a path in Host", "Host: a/b\r\n"),
    ("a backslash in Host", "Host: a\\b\r\n"),
    ("a scheme in Host", "Host: http://a\r\n"),
    ("a user in Host", "Host: u@a\r\n"),
    ("a query in Host", "Host: a?b\r\n"),
    ("a fragment in Host", "Host: a#b\r\n"),
    ("a quote in Host", 'Host: a"\r\n'),
    ("angle brackets in Host", "Host: <a>\r\n"),
    ("a tab in Host", "Host: a\tb\r\n"),
    ("obs-text in Host", "Host: \xe4\r\n"),
    ("a port that is no number", "Host: a:b\r\n"),
    ("a port too large", "Host: a:65536\r\n"),
    ("a negative port", "Host: a:-1\r\n"),
    ("two ports", "Host: a:80:90\r\n"),
    ("only a port", "Host: :80\r\n"),
    ("an open bracket", "Host: [::1\r\n"),
    ("a closed bracket", "Host: ::1]\r\n"),
    ("rubbish in brackets", "Host: [x]\r\n"),
    ("rubbish after brackets", "Host: [::1]x\r\n"),
))
def test_host(world, lines):
    world.refused(world.client(raw(f"GET / HTTP/1.1\r\n{lines}X: y\r\n\r\n")), 400)


PROTECTED = ["Host", "Content-Length", "Transfer-Encoding", "Origin", "Cookie", "Authorization",
             "Forwarded", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol",
             "Sec-WebSocket-Anything", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
             "X-Forwarded-Anything"]


@pytest.mark.parametrize("name", PROTECTED)
@pytest.mark.parametrize("shape", ["{}", "close, {}", "keep-alive,{},x", "x\r\nConnection: {}"],
                         ids=["alone", "last", "amid", "on a second line"])
def test_a_connection_option_must_not_name_a_protected_header(world, shape, name):
    for spelling in (name, name.lower()):
        c = world.client(request("GET", "/", "Cookie: a=b", f"Connection: {shape}".format(
            spelling)))
        world.refused(c, 400)


@pytest.mark.parametrize("name", PROTECTED)
def test_nor_on_an_upgrade(world, name):
    c = world.client(upgrade(NOVNC, f"Connection: Upgrade, {name}"))
    world.refused(c, 400)


@pytest.mark.parametrize("target", [
    "http://other.example/", f"http://{HOST}.other.example/", "http://app.example/",
    "http://app.example:3001/", f"http://u@{HOST}/", f"http://u:p@{HOST}/",
    f"http://other.example/?@{HOST}", f"http://other.example#@{HOST}/", "http:///x", "http://"])
def test_absolute_form_with_another_authority(world, target):
    world.refused(world.client(request("GET", target)), 400)


@pytest.mark.parametrize("target", [f"http://{HOST}{NOVNC}", f"ws://{HOST}{NOVNC}",
                                    f"http://other.example{NOVNC}", f"http://{HOST}/_next/hmr",
                                    f"http://{HOST}/"])
def test_absolute_form_with_an_upgrade(world, target):
    world.refused(world.client(upgrade(target)), 400)


# 4. Upgrades: path

@pytest.mark.parametrize("target", [
    "/", "/socket", "/novnc/websockify", "/websockify",
    "/api/auth/session/novnc/websockify", "/api/auth/session/a/b/novnc/websockify",
    "/x" + NOVNC, NOVNC + "x", NOVNC + "/", NOVNC + "/x", NOVNC + ";x", NOVNC + "%20",
    NOVNC.replace("websockify", "Websockify"), NOVNC.upper(),
    NOVNC.replace("websockify", "%77ebsockify"), NOVNC.replace("websockify", "websoc"),
    NOVNC.replace("/novnc", "%2Fnovnc"), NOVNC.replace("/novnc", "%2fnovnc"),
    "/api/auth/session//novnc/websockify", "/x//api/auth/session/s/novnc/websockify",
    "/api/auth/session/s//novnc/websockify", "/api/auth/session/s/novnc//websockify",
    "/api/auth/session/./novnc/websockify", "/api/auth/session/../novnc/websockify",
    "/api/auth/session/%2e/novnc/websockify", "/api/auth/session/%2E%2e/novnc/websockify",
    "/api/auth/session/.%2e/novnc/websockify", "/api/auth/session/a%2eb/novnc/websockify",
    "/api/auth/session/a%2fb/novnc/websockify", "/api/auth/session/a%2Fb/novnc/websockify",
    "/api/auth/session/a%5cb/novnc/websockify", "/api/auth/session/a%5Cb/novnc/websockify",
    "/api/auth/session/a%00b/novnc/websockify", "/api/auth/session/..%2f..%2fx/novnc/websockify",
    "/x/../api/auth/session/s/novnc/websockify", "/x/..%2fapi/auth/session/s/novnc/websockify",
    "/api/auth/session/s/x/../novnc/websockify", NOVNC + "/.", NOVNC + "/..",
    "/api/auth/session/..;/novnc/websockify", "/api/auth/session/.;x/novnc/websockify",
    "/api/auth/session/..;a=b/novnc/websockify", "/api/auth/session/;x/novnc/websockify",
    "/api/auth/session/%/novnc/websockify", "/api/auth/session/a%2/novnc/websockify",
    "/api/auth/session/%zz/novnc/websockify", "/api/auth/session/a%0ab/novnc/websockify",
    "/api/auth/session/a%7f/novnc/websockify", "/api/auth/session/%252e%252e/novnc/websockify",
    "/api/auth/session/%c0%ae/novnc/websockify", "/_next/%hmr", "/_next/hmr%00",
    "/x?" + NOVNC, "/_next/static/hmr", "/_next/hmr/x", "/_next/", "/x/_next/webpack-hmr",
    "/_nextxhmr", "/_NEXT/hmr"])
def test_upgrade_paths_that_are_not_allowed(world, target):
    c = world.client(upgrade(target))
    world.refused(c, 403)
    path = target.split("?")[0]
    assert f"Rejecting non-noVNC connection: {path}" in c.log


@pytest.mark.parametrize("target", [
    "\\api\\auth\\session\\s\\novnc\\websockify", "/api/auth/session/a\\b/novnc/websockify",
    "/api/auth/session/..\\..\\x/novnc/websockify", "/api\\auth/session/s/novnc/websockify"])
def test_a_backslash_in_an_upgrade_path(world, target):
    c = world.client(upgrade(target))
    assert c.response().status in ((400, 403) if target[0] == "\\" else (403,))
    world.controller.untouched()
    world.nextjs.untouched()


@pytest.mark.parametrize("target", ["*", "x"])
def test_an_upgrade_without_a_path(world, target):
    c = world.client(upgrade(target))
    assert c.response().status in (400, 403)
    world.controller.untouched()
    world.nextjs.untouched()


# 4. Upgrades: Origin

@pytest.mark.parametrize("host, origin", [
    ("localhost:3000", "http://localhost:3000"),
    ("localhost:3000", "https://localhost:3000"),
    ("LocalHost:3000", "http://localHOST:3000"),
    ("localhost:3000", "HTTP://localhost:3000"),
    ("app.example", "https://app.example"),
    ("app.example", "http://app.example"),
    ("app.example", "https://app.example:443"),
    ("app.example", "http://app.example:80"),
    ("app.example:443", "https://app.example"),
    ("app.example:80", "http://app.example"),
    ("192.0.2.7:3000", "http://192.0.2.7:3000"),
    ("[::1]:3000", "http://[::1]:3000"),
    ("[2001:DB8::1]", "https://[2001:db8::1]"),
])
@pytest.mark.parametrize("target", [NOVNC, "/_next/hmr"])
def test_the_requests_own_origin(world, target, host, origin):
    world.client(upgrade(target, f"Origin: {origin}", host=host))
    backend = world.controller if target == NOVNC else world.nextjs
    assert backend.accept().request()["Origin"] == origin


@pytest.mark.parametrize("host, origin, allowed", [
    ("app.example:3443", "https://app.example:3443", True),
    ("app.example", "HTTPS://app.example:443", True),
    ("app.example:3443", "http://app.example:3443", False),
    ("app.example", "http://app.example", False),
    ("app.example:80", "http://app.example", False),
    ("app.example:443", "http://app.example:443", False),
])
def test_over_tls_the_requests_own_origin_is_https(secure, host, origin, allowed):
    c = secure.client(upgrade(NOVNC, f"Origin: {origin}", host=host))
    if allowed:
        assert secure.controller.accept().request()["Origin"] == origin
    else:
        secure.refused(c, 403)


def test_over_tls_other_origins_may_be_http(secure):
    secure.configure("[Routes]\nAllowedOrigins=http://app.example")
    for origin in ("http://app.example", f"https://{secure.controller.authority}"):
        secure.client(upgrade(NOVNC, f"Origin: {origin}", host="app.example"))
        assert secure.controller.accept().request()["Origin"] == origin


def test_the_origin_of_a_controller_behind_tls_is_https(secure):
    origin = f"Origin: http://{secure.controller.authority}"
    secure.refused(secure.client(upgrade(NOVNC, origin, host="app.example")), 403)


def test_an_upgrade_without_an_origin_passes(world):
    world.client(upgrade())
    assert "Origin" not in world.controller.accept().request()


def test_the_controllers_own_origin(world):
    world.client(upgrade(NOVNC, f"Origin: http://{world.controller.authority}"))
    world.controller.accept().request()


FOREIGN = [
    ("localhost:3000", "http://localhost:3001"),
    ("localhost:3000", "http://localhost"),
    ("localhost", "http://localhost:3000"),
    ("localhost:3000", "https://localhost"),
    ("app.example", "https://app.example:80"),
    ("app.example", "http://app.example:443"),
    ("app.example", "https://app.example:8443"),
    ("app.example:80", "https://app.example"),
    ("app.example:443", "http://app.example"),
    ("app.example", "https://evil.example"),
    ("app.example", "https://app.example.evil.example"),
    ("app.example", "https://evilapp.example"),
    ("app.example", "https://app.exampl"),
    ("app.example", "https://sub.app.example"),
    ("app.example", "null"),
    ("null", "null"),
    ("app.example", "NULL"),
    ("app.example", ""),
    ("app.example", "*"),
    ("app.example", "app.example"),
    ("app.example", "//app.example"),
    ("app.example", "https:app.example"),
    ("app.example", "https:/app.example"),
    ("app.example", "https://"),
    ("app.example", "https://app.example/"),
    ("app.example", "https://app.example/x"),
    ("app.example", "https://app.example?x"),
    ("app.example", "https://app.example#x"),
    ("app.example", "https://app.example:"),
    ("app.example", "https://app.example:x"),
    ("app.example", "https://app.example:443x"),
    ("app.example", "https://app.example:65979"),
    ("app.example", "https://u@app.example"),
    ("app.example", "https://u:p@app.example"),
    ("app.example", "https://evil.example@app.example"),
    ("app.example", "https://app.example@evil.example"),
    ("app.example", "https://evil.example/app.example"),
    ("app.example", "https://evil.example\\app.example"),
    ("app.example", "https://app.example\\@evil.example"),
    ("app.example", "https://app.example https://evil.example"),
    ("app.example", "https://app.example https://app.example"),
    ("app.example", "https://evil.example https://app.example"),
    ("app.example", "https://app.example, https://evil.example"),
    ("app.example", "https://app.example,https://app.example"),
    ("app.example", "https://app.example\r\nOrigin: https://app.example"),
    ("app.example", "https://app.example\r\nOrigin: https://evil.example"),
    ("app.example", "https://evil.example\r\nOrigin: https://app.example"),
    ("app.example", "https://app%2eexample"),
    ("app.example", "https://app.example."),
    ("app.example", "https://app.ex\xe4mple"),
    ("app.example", "file://"),
    ("app.example", "file://app.example"),
    ("app.example", "chrome-extension://app.example"),
    ("[::1]:3000", "http://::1:3000"),
    ("[::1]:3000", "http://[::2]:3000"),
    ("[::1]:3000", "http://[::1:3000"),
]


@pytest.mark.parametrize("host, origin", FOREIGN)
def test_a_foreign_or_malformed_origin(world, host, origin):
    c = world.client(upgrade(NOVNC, f"Origin: {origin}", host=host))
    world.refused(c, 403)
    if origin.isascii() and origin.isprintable() and "\\" not in origin:
        shown = re.match("[^?#]*[?#]?", re.search("@?[^@]*$", origin)[0])[0]
        assert any(shown in line and host in line for line in c.log), c.log


def test_the_origin_of_a_hot_reload_is_checked(world):
    world.refused(world.client(upgrade("/_next/hmr", "Origin: http://evil.example")), 403)


def test_a_forwarded_host_of_a_client_does_not_count(world):
    c = world.client(upgrade(NOVNC, "Origin: http://evil.example",
                             "X-Forwarded-Host: evil.example"))
    world.refused(c, 403)


def test_plain_requests_may_come_from_any_origin(world):
    assert world.seen(request("GET", "/", "Origin: http://evil.example"))["Origin"]


@pytest.mark.parametrize("allowed, origin, passes", [
    ("https://other.example", "https://other.example", True),
    ("https://other.example", "https://OTHER.example:443", True),
    ("https://other.example", "https://other.example:8443", False),
    ("https://other.example", "https://another.example", False),
    ("https://a.example https://b.example:8443", "https://a.example", True),
    ("https://a.example https://b.example:8443", "https://b.example:8443", True),
    ("https://a.example https://b.example:8443", "https://b.example", False),
    ("https://a.example\nAllowedOrigins=https://b.example", "https://a.example", True),
    ("https://a.example\nAllowedOrigins=https://b.example", "https://b.example", True),
    ("https://a.example\nAllowedOrigins=", "https://a.example", False),
    ("https://a.example", f"https://{HOST}", True),
    ("*", "https://anyone.example:1234", True),
])
def test_allowed_origins(world, allowed, origin, passes):
    world.configure(f"[Routes]\nAllowedOrigins={allowed}")
    c = world.client(upgrade(NOVNC, f"Origin: {origin}"))
    if passes:
        assert world.controller.accept().request()["Origin"] == origin
    else:
        world.refused(c, 403)


# 4. Upgrades: the rest

@pytest.mark.parametrize("message, status", table(
    ("HTTP/1.0", upgrade(version="1.0"), 400),
    ("POST", upgrade(method="POST"), 400),
    ("HEAD", upgrade(method="HEAD"), 400),
    ("OPTIONS", upgrade(method="OPTIONS"), 400),
    ("a body", upgrade(NOVNC, body=b"hello"), 400),
    ("a chunked body", upgrade(NOVNC, "Transfer-Encoding: chunked") + chunked(b"hello"), 400),
    ("an empty chunked body", upgrade(NOVNC, "Transfer-Encoding: chunked") + chunked(), 400),
    ("no key", upgrade(without=["Sec-WebSocket-Key"]), 400),
    ("an empty key", upgrade(NOVNC, "Sec-WebSocket-Key: "), 400),
    ("a key of 15 bytes", upgrade(NOVNC, "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0O"), 400),
    ("a key of 17 bytes", upgrade(NOVNC, "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODxA="), 400),
    ("a key without padding", upgrade(NOVNC, f"Sec-WebSocket-Key: {KEY[:-2]}"), 400),
    ("a key that is not base64", upgrade(NOVNC, "Sec-WebSocket-Key: dGhlIHNhbXBs*SBub25jZQ=="),
     400),
    ("a key with a space in it", upgrade(NOVNC, "Sec-WebSocket-Key: dGhlIHNhbXBs SBub25jZQ=="),
     400),
    ("two keys", upgrade(NOVNC, f"Sec-WebSocket-Key: {KEY}", f"Sec-WebSocket-Key: {KEY}"), 400),
    ("a list of keys", upgrade(NOVNC, f"Sec-WebSocket-Key: {KEY}, {KEY}"), 400),
    ("version 8", upgrade(NOVNC, "Sec-WebSocket-Version: 8"), 426),
    ("version 0", upgrade(NOVNC, "Sec-WebSocket-Version: 0"), 426),
    ("version 14", upgrade(NOVNC, "Sec-WebSocket-Version: 14"), 426),
    ("version 131", upgrade(NOVNC, "Sec-WebSocket-Version: 131"), 426),
    ("version x", upgrade(NOVNC, "Sec-WebSocket-Version: x"), 426),
    ("an empty version", upgrade(NOVNC, "Sec-WebSocket-Version: "), 426),
    ("no version", upgrade(without=["Sec-WebSocket-Version"]), 426),
    ("a list of versions", upgrade(NOVNC, "Sec-WebSocket-Version: 13, 8"), 426),
))
def test_an_upgrade_that_is_not_a_valid_handshake(world, message, status):
    world.refused(world.client(message), status, message.split(b" ")[0].decode())


def test_an_upgrade_may_have_a_content_length_of_0(world):
    c, b = world.client(upgrade(NOVNC, "Content-Length: 0")), world.controller.accept()
    b.request()
    b.send(switching())
    assert c.response().status == 101


# Which comes first

@pytest.mark.parametrize("message, status", table(
    ("syntax before version", "GET / HTTP/2.0\r\nHost: a\r\nX: a\n\r\n\r\n", 400),
    ("framing before version", "POST / HTTP/2.0\r\nHost: a\r\nContent-Length: 5\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("obs-fold before method", "FROB / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
    ("lengths before method", "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,1\r\n\r\nx", 400),
    ("lengths before unknown method", "FROB / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
     400),
    ("control characters before host", "GET / HTTP/1.1\r\nX: \x01\r\n\r\n", 400),
    ("version before TRACE", "TRACE / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("version before an unknown method", "FROB / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("version before host", "GET / HTTP/2.0\r\n\r\n", 505),
    ("TRACE before host", "TRACE / HTTP/1.1\r\n\r\n", 405),
    ("CONNECT before connection options",
     "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: host\r\n\r\n", 405),
    ("TRACE before coding", "TRACE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked"
                            "\r\n\r\n0\r\n\r\n", 405),
    ("an unknown method before host", "FROB / HTTP/1.1\r\n\r\n", 501),
    ("coding before host", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
                           "0\r\n\r\n", 501),
    ("host before the path of an upgrade",
     upgrade("/evil", host=None).decode(), 400),
    ("connection options before the path of an upgrade",
     upgrade("/evil", "Connection: Upgrade, Cookie").decode(), 400),
    ("absolute form before the path of an upgrade", upgrade(f"http://{HOST}/evil").decode(), 400),
    ("TRACE before the path of an upgrade", upgrade("/evil", method="TRACE").decode(), 405),
    ("the path before POST", upgrade("/evil", method="POST").decode(), 403),
    ("the path before HTTP/1.0", upgrade("/evil", version="1.0").decode(), 403),
    ("the path before the version", upgrade("/evil", "Sec-WebSocket-Version: 8").decode(), 403),
    ("the origin before POST",
     upgrade(NOVNC, "Origin: null", method="POST").decode(), 403),
    ("the origin before a key",
     upgrade(NOVNC, "Origin: null", without=["Sec-WebSocket-Key"]).decode(), 403),
    ("the origin before the version",
     upgrade(NOVNC, "Origin: null", "Sec-WebSocket-Version: 8").decode(), 403),
    ("POST before the version",
     upgrade(NOVNC, "Sec-WebSocket-Version: 8", method="POST").decode(), 400),
    ("a body before the version",
     upgrade(NOVNC, "Sec-WebSocket-Version: 8", body=b"x").decode(), 400),
    ("the key before the version",
     upgrade(NOVNC, "Sec-WebSocket-Version: 8", without=["Sec-WebSocket-Key"]).decode(), 400),
))
def test_the_first_check_that_fails_sets_the_status(world, message, status):
    world.refused(world.client(raw(message)), status)


def test_the_path_is_judged_before_the_origin(world):
    c = world.client(upgrade("/evil", "Origin: http://evil.example"))
    world.refused(c, 403)
    assert "Rejecting non-noVNC connection: /evil" in c.log


# Size

def sized(total, line=0):
    """A request of exactly so many bytes; with line, so many in its request line alone."""
    message = request("GET", "/" + "a" * max(0, line - len("GET / HTTP/1.1\r\n")))
    filler = total - len(message) - len("X: \r\n")
    return message[:-2] + b"X: " + b"x" * filler + b"\r\n\r\n"


def test_a_head_of_exactly_head_max_bytes(world):
    world.configure("[Limits]\nHeadMaxBytes=2K")
    assert world.seen(sized(2048))["X"].startswith("xxx")


def test_a_head_of_one_byte_more(world):
    world.configure("[Limits]\nHeadMaxBytes=2K")
    world.refused(world.client(sized(2049)), 431)


@pytest.mark.parametrize("message, status", table(
    ("a request line that never ends", b"GET /" + b"a" * 40000, 414),
    ("a request line over it", sized(70000, line=33000), 414),
    ("a header that never ends", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40000, 431),
    ("headers that never end", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 8000, 431),
    ("a head over it", sized(33000), 431),
    ("a head far over it", sized(250000), 431),
))
def test_heads_over_the_default_of_32k(world, message, status):
    world.refused(world.client(message), status)


def test_a_head_just_under_the_default_passes(world):
    world.seen(sized(32 * 1024))


def test_the_limit_holds_for_a_later_request_too(world):
    c = world.client()
    world.exchange(c, request())
    c.send(sized(33000))
    world.error(c, 431)


def test_two_hundred_small_headers_pass(world):
    m = world.seen(request("GET", "/", *(f"X-{i}: {i}" for i in range(200))))
    assert m["X-0"] == "0" and m["X-199"] == "199"


# How the gate's own replies end

@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_content_in_an_error_response_to_head(world, method):
    world.refused(world.client(request(method, "/", host=None)), 400, method)


def test_an_error_response_arrives_although_the_client_still_sends(world):
    c = world.client(b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n", b"x" * 200000)
    world.error(c, 400)


def test_a_refused_client_that_stays_is_closed(world):
    c = world.client(request(host=None))
    assert c.response().status == 400
    assert c.end() == "FIN"
    assert c.exited() == 0


# Less than a head

def test_a_connection_that_never_sent_a_byte_gets_no_response(world):
    world.configure("[Limits]\nHeadTimeoutSec=300ms")
    c = world.client()
    assert c.end() == "FIN"
    assert c.exited() == 0 and c.log == []


def test_a_connection_that_is_idle_between_requests_gets_no_response(world):
    world.configure("[Limits]\nHeadTimeoutSec=300ms\nKeepAliveTimeoutSec=300ms")
    c = world.client()
    world.exchange(c, request())
    c.send(b"\r\n")
    assert c.end() == "FIN"
    assert c.exited() == 0 and c.log == []


@pytest.mark.parametrize("part", [b"\r\n", b"\r\n\r\n", b"\r", b"\r\nG"])
def test_an_empty_line_begins_a_request(world, part):
    world.configure("[Limits]\nHeadTimeoutSec=300ms")
    world.refused(world.client(part), 408)
    c = world.client(part)
    c.half_close()
    world.refused(c, 400)
