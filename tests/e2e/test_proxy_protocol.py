"""The PROXY protocol: a header in front of TLS and HTTP, from trusted proxies only, names the client."""

import os
import pathlib
import signal
import socket
import struct
import time

import pytest

from gate import DEADLINE, HOST, SANITIZED, Ended, Gate, World, refusing, request, response, upgrade
from test_sandbox import confined
from tls import TlsSocket

SOURCE, PORT = "203.0.113.7", 40000
SOURCE6 = "2001:db8::7"
CLIENT = f"{SOURCE}:{PORT}"
CLIENT6 = f"[{SOURCE6}]:{PORT}"
LOCAL, PROXY = 0x20, 0x21


def v1(source=SOURCE, to="198.51.100.1"):
    family = 6 if ":" in source else 4
    return f"PROXY TCP{family} {source} {to if family == 4 else '2001:db8::1'} {PORT} 443\r\n".encode()


def v2(source=SOURCE, command=PROXY, family=None, values=b""):
    kind = socket.AF_INET6 if ":" in source else socket.AF_INET
    address = socket.inet_pton(kind, source)
    if family is None:
        family = 0x21 if kind == socket.AF_INET6 else 0x11
    addresses = address + address + struct.pack(">HH", PORT, 443)
    return raw_v2(command, family, addresses + values)


def raw_v2(command, family, content=b""):
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", command, family, len(content)) + content


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


NAMED = [pytest.param(header, client, id=name) for name, header, client in (
    ("v1-4", v1(), CLIENT),
    ("v1-6", v1(SOURCE6), CLIENT6),
    ("v1-6-mapped", v1("::ffff:" + SOURCE), CLIENT),
    ("v2-4", v2(), CLIENT),
    ("v2-6", v2(SOURCE6), CLIENT6),
    ("v2-6-mapped", v2("::ffff:" + SOURCE), CLIENT),
    ("v2-datagrams", v2(family=0x12), CLIENT),
    ("v2-values", v2(values=tlv(1, b"http/1.1") + tlv(2, b"app.example") + tlv(4, b"\0" * 50)), CLIENT),
    ("v2-wrong-checksum", v2(values=tlv(3, b"\1\2\3\4")), CLIENT),
    ("v2-longest", v2(values=b"\5" * (65535 - 12)), CLIENT),
)]
ANONYMOUS = [pytest.param(header, id=name) for name, header in (
    ("v1-unknown", b"PROXY UNKNOWN\r\n"),
    ("v1-unknown-with-addresses", b"PROXY UNKNOWN 203.0.113.7 198.51.100.1 40000 443\r\n"),
    ("v2-local", raw_v2(LOCAL, 0)),
    ("v2-local-with-addresses", v2(command=LOCAL)),
    ("v2-unspecified", raw_v2(PROXY, 0)),
    ("v2-unspecified-transport", v2(family=0x10)),
    ("v2-unix", raw_v2(PROXY, 0x31, b"/run/x".ljust(108, b"\0") * 2)),
)]
INVALID = [pytest.param(header, why, id=name) for name, header, why in (
    ("request", request(), "it does not begin with a PROXY header"),
    ("tls", b"\x16\x03\x01\x02\x00\x01", "it does not begin with a PROXY header"),
    ("byte", b"\0", "it does not begin with a PROXY header"),
    ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "it does not begin with a PROXY header"),
    ("v1-lf", v1().replace(b"\r\n", b"\n"), "the PROXY header, of version 1, is malformed"),
    ("v1-address", v1("203.0.113.256"), "the PROXY header, of version 1, is malformed"),
    ("v1-long", b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
     "the PROXY header, of version 1, is longer than 107 bytes"),
    ("v2-version", v2(command=0x31), "the PROXY header has an unknown version or command"),
    ("v2-command", v2(command=0x22), "the PROXY header has an unknown version or command"),
    ("v2-family", v2(family=0x41), "the PROXY header has an unknown address family or transport"),
    ("v2-short", raw_v2(PROXY, 0x11, b"\1\2\3\4"), "the PROXY header is shorter than its addresses"),
)]


@pytest.fixture(scope="session")
def option_gate(tmp_path_factory):
    with Gate(tmp_path_factory.mktemp("gate-proxy"), options=["--proxy-protocol"]) as g:
        yield g


@pytest.fixture(params=["key", "option"])
def world(request, gate, option_gate):
    """The key ProxyProtocol= and the option --proxy-protocol, which is the same."""
    key = request.param == "key"
    with World(gate if key else option_gate) as w:
        w.configure_client = lambda trusted="127.0.0.0/8", text="": w.configure(
            f"[Client]\nTrustedProxies={trusted}\n{'ProxyProtocol=yes' if key else ''}\n{text}")
        w.configure_client()
        yield w


@pytest.fixture
def tls_world(tls_gate):
    with World(tls_gate) as w:
        w.configure("[Client]\nTrustedProxies=127.0.0.1\nProxyProtocol=yes\n")
        yield w


def handshake(c, authority):
    """TLS on a connection whose header has been sent."""
    c.sock = TlsSocket(c.sock, authority.client(), name=HOST.split(":")[0])


def address_of(client):
    return client.rpartition(":")[0].strip("[]")


def waits(c):
    """The gate has read all that has come, and waits for more."""
    proc, deadline = pathlib.Path(f"/proc/{c.pid}"), time.monotonic() + DEADLINE
    while not ((proc / "comm").read_text().startswith("novnc-gate")
               and "\nState:\tS" in (proc / "status").read_text()):
        assert time.monotonic() < deadline


def refused(world, c, why):
    """The connection ends with one entry and without a byte."""
    assert c.end() in ("FIN", "RST")
    c.close()
    assert c.exited() == 0
    assert c.lines == [f"Refusing connection from {c.address}: {why}"]
    world.nextjs.untouched()
    world.controller.untouched()


# Whom a header names

@pytest.mark.parametrize("header, client", NAMED)
def test_the_client_is_the_one_that_the_header_names(world, header, client):
    c = world.client(header)
    c.address = client
    seen, _ = world.exchange(c, request("GET", "/", "X-Forwarded-For: 192.0.2.99"))
    assert seen["X-Forwarded-For"] == address_of(client)
    assert seen["X-Forwarded-Proto"] == "http"


@pytest.mark.parametrize("header", ANONYMOUS)
def test_a_header_that_names_nobody_leaves_the_address_of_the_socket(world, header):
    """Health checks of proxies do this."""
    c = world.client(header)
    seen, _ = world.exchange(c, request())
    assert seen["X-Forwarded-For"] == "127.0.0.1"


def test_the_entries_of_a_session_name_the_client_of_the_header(world):
    c = world.client(v2(), upgrade())
    c.address = CLIENT
    b = world.tunnel_of(c)
    b.close()
    c.close()
    assert c.exited() == 0
    assert [f"client {CLIENT})" in line for line in c.lines] == [True] * 3
    assert c.lines[-1].startswith("noVNC session closed: ")


def test_a_refusal_and_a_backend_that_fails_name_the_client_of_the_header(world):
    c = world.client(v1(SOURCE6) + upgrade("/evil"))
    c.address = CLIENT6
    world.refused(c, 403)
    assert CLIENT6 in c.lines[0]


def test_the_header_holds_for_all_requests_of_its_connection(world):
    c = world.client(v1())
    c.address = CLIENT
    first, _ = world.exchange(c, request())
    c.send(request("GET", "/second"))
    b, second = world.nextjs.next()
    b.send(response(b"ok"))
    assert c.response().status == 200
    assert first["X-Forwarded-For"] == second["X-Forwarded-For"] == SOURCE


def test_a_second_header_is_no_request(world):
    c = world.client(v1() + v1("192.0.2.9") + request())
    c.address = CLIENT
    world.refused(c, 400)


# Forwarded fields: the peer is the one that the header names

@pytest.mark.parametrize("trusted, forwarded_for", [
    ("127.0.0.1", SOURCE), (f"127.0.0.1 {SOURCE}", f"192.0.2.99, {SOURCE}")])
def test_fields_are_believed_only_if_the_address_in_the_header_is_trusted(world, trusted, forwarded_for):
    world.configure_client(trusted)
    c = world.client(v2())
    c.address = CLIENT
    seen, _ = world.exchange(c, request("GET", "/", "X-Forwarded-For: 192.0.2.99",
                                        "X-Forwarded-Proto: https"))
    assert seen["X-Forwarded-For"] == forwarded_for
    assert seen["X-Forwarded-Proto"] == ("http" if trusted == "127.0.0.1" else "https")


def test_fields_are_believed_behind_a_header_that_names_nobody(world):
    c = world.client(raw_v2(LOCAL, 0))
    seen, _ = world.exchange(c, request("GET", "/", "X-Forwarded-For: 192.0.2.99"))
    assert seen["X-Forwarded-For"] == "192.0.2.99, 127.0.0.1"


# How the bytes come

@pytest.mark.parametrize("header", [v1(), v1(SOURCE6), v2(), v2(values=tlv(4, b"x" * 40))],
                         ids=["v1-4", "v1-6", "v2", "v2-values"])
def test_a_header_in_pieces(world, header):
    c = world.client()
    for i in range(len(header)):
        waits(c)
        c.send(header[i:i + 1])
    c.address = CLIENT6 if SOURCE6.encode() in header else CLIENT
    seen, _ = world.exchange(c, request())
    assert seen["X-Forwarded-For"] == address_of(c.address)


@pytest.mark.parametrize("header, client", NAMED)
def test_header_and_request_in_one_piece(world, header, client):
    c = world.client(header + request())
    c.address = client
    b = world.nextjs.accept()
    assert b.request()["X-Forwarded-For"] == address_of(client)
    b.send(response(b"ok"))
    assert c.response().body == b"ok"


@pytest.mark.parametrize("header, client", NAMED)
def test_tls_behind_a_header(tls_world, authority, header, client):
    c = tls_world.client(header, tls=False)
    c.address = client
    handshake(c, authority)
    seen, _ = tls_world.exchange(c, request())
    assert seen["X-Forwarded-For"] == address_of(client)
    assert seen["X-Forwarded-Proto"] == "https"


def test_tls_behind_a_header_in_pieces(tls_world, authority):
    """A read of the header that was short must not hold up TLS."""
    c = tls_world.client(v1()[:20], tls=False)
    c.address = CLIENT
    waits(c)
    c.send(v1()[20:])
    handshake(c, authority)
    tls_world.exchange(c, request())


def test_header_and_hello_in_one_piece(tls_world, authority):
    c = tls_world.client(tls=False)
    c.address = CLIENT
    c.sock = TlsSocket(Prefixed(c.sock, v2()), authority.client(), name=HOST.split(":")[0])
    tls_world.exchange(c, request())


class Prefixed:
    """A socket whose first bytes are sent together with a header."""

    def __init__(self, sock, header):
        self.raw, self.header = sock, header

    def __getattr__(self, name):
        return getattr(self.raw, name)

    def sendall(self, data):
        self.raw.sendall(self.header + data)
        self.header = b""


def test_plain_http_behind_a_header_on_the_tls_port_is_redirected(tls_world):
    c = tls_world.client(v1() + request(), tls=False)
    c.address = CLIENT
    assert tls_world.error(c, 308)["Location"] == f"https://{HOST}/"


def test_a_failed_handshake_behind_a_header_names_its_client(tls_world):
    c = tls_world.client(v1() + b"\x16\x03\x01\x00\x05hello", tls=False)
    c.address = CLIENT
    with pytest.raises(Ended):
        while True:
            c.more()
    assert c.exited() == 0
    assert len(c.lines) == 1 and c.lines[0].startswith(f"TLS handshake with {CLIENT} failed: ")


# Connections without a valid header

@pytest.mark.parametrize("header, why", INVALID)
def test_a_connection_without_a_valid_header_ends_with_an_entry(world, header, why):
    refused(world, world.client(header), why)


@pytest.mark.parametrize("header, why", INVALID[:2])
def test_the_same_with_tls(tls_world, header, why):
    refused(tls_world, tls_world.client(header, tls=False), why)


@pytest.mark.parametrize("header", [v1(), v2(), raw_v2(LOCAL, 0), request()],
                         ids=["v1", "v2", "local", "request"])
def test_a_header_from_an_address_that_is_not_trusted_is_not_read(world, header):
    world.configure_client("192.0.2.0/24 ::1")
    refused(world, world.client(header), "its address is not in TrustedProxies=")


@pytest.mark.parametrize("part", [b"", b"P", v1()[:-1], v2()[:1], v2()[:16], v2()[:-1],
                                  v2(values=b"\5" * 9000)[:-1]],
                         ids=["nothing", "v1-1", "v1", "v2-1", "v2-16", "v2", "v2-values"])
def test_a_late_header(world, part):
    world.configure_client(text="[Limits]\nHeadTimeoutSec=300ms")
    refused(world, world.client(part), "timed out waiting for its PROXY header")


def test_the_first_request_has_the_rest_of_the_time_of_the_header(world):
    world.configure_client(text="[Limits]\nHeadTimeoutSec=300ms")
    c = world.client(v1() + b"GET / HT")
    c.address = CLIENT
    world.refused(c, 408)


@pytest.mark.parametrize("header", [v1(), v2(), raw_v2(LOCAL, 0)], ids=["v1", "v2", "local"])
def test_a_client_that_closes_behind_its_header_is_not_logged(world, header):
    """As a health check does, or a browser's spare connection."""
    c = world.client(header)
    c.close()
    assert c.exited() == 0 and c.lines == []


def test_a_health_check_without_a_byte_is_not_logged(world):
    c = world.client()
    c.close()
    assert c.exited() == 0 and c.lines == []


def test_a_health_check_that_resets_is_not_logged(world):
    c = world.client()
    waits(c)    # else the gate may find that its client is gone before it reads
    c.reset()
    assert c.exited() == 0 and c.lines == []


@pytest.mark.parametrize("end", ["close", "half_close", "reset"])
@pytest.mark.parametrize("part", [b"P", v1()[:-1], v2()[:10], v2()[:-1]], ids=["1", "v1", "v2-10", "v2"])
def test_a_client_that_ends_in_its_header_is_logged(world, part, end):
    c = world.client(part)
    waits(c)    # else a reset could overtake the bytes
    getattr(c, end)()
    assert c.exited() == 0
    assert c.lines == [f"Refusing connection from {c.address}: it ended before its PROXY header was complete"]


def test_sigterm_ends_the_wait_for_a_header(world):
    c = world.client(v1()[:5])
    waits(c)
    os.kill(c.pid, signal.SIGTERM)
    assert c.exited() == 0 and c.lines == []


@pytest.mark.skipif(SANITIZED, reason="there is no sandbox with sanitizers")
@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_the_sandbox_is_entered_before_the_header_is_read(world, header):
    c = world.client(header[:-1])
    c.address = CLIENT
    waits(c)
    assert confined(c.pid) == 1
    c.send(header[-1:])
    world.exchange(c, request())
    assert confined(c.pid) == 1


# Where no header is expected

@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_a_header_without_the_key_is_a_malformed_request(gate, header):
    with World(gate) as w:
        w.configure("[Client]\nTrustedProxies=127.0.0.1\n")
        w.refused(w.client(header + request()), 400)


# Configuration

NEEDS = " needs TrustedProxies= in section [Client]: the addresses of the proxies"


def test_the_key_without_trusted_proxies_is_an_error_with_file_and_line(gate):
    with World(gate) as w:
        w.configure("[Client]\nProxyProtocol=yes\n[Log]\nLevel=notice\n")
        w.drop_in("50-other.conf", "[Log]\nLevel=notice\n")
        where = f"{gate.config}:6: ProxyProtocol=yes{NEEDS}"
        for what in "--check", "--check=config":
            r = w.check(what)
            assert r.returncode == 78 and where in r.stderr, r
        c = w.client(v1() + request())
        c.exit_code = 78
        assert c.response().status == 500
        c.close()
        assert c.exited() == 78 and len(c.lines) == 1 and c.lines[0].startswith(where), c.lines


def test_the_option_without_trusted_proxies_is_an_error(option_gate):
    with World(option_gate) as w:
        where = f"{option_gate.config}: --proxy-protocol{NEEDS}"
        for what in "--check", "--check=config":
            r = w.check("--proxy-protocol", what)
            assert r.returncode == 78 and where in r.stderr, r
            assert w.check("--check=config").returncode == 0
        c = w.client(v2() + request())
        c.exit_code = 78
        assert c.response().status == 500
        c.close()
        assert c.exited() == 78 and len(c.lines) == 1 and c.lines[0].startswith(where), c.lines


def test_the_proxies_may_be_in_another_file(gate):
    with World(gate) as w:
        w.configure("[Client]\nProxyProtocol=yes\n")
        w.drop_in("50-proxies.conf", "[Client]\nTrustedProxies=127.0.0.1\n")
        assert w.check("--check=config").returncode == 0
        c = w.client(v1())
        c.address = CLIENT
        w.exchange(c, request())


def test_check_prints_what_is_in_effect(option_gate):
    with World(option_gate) as w, refusing() as nobody:
        w.configure("[Client]\nTrustedProxies=127.0.0.1\n", nextjs=nobody.url, controller=nobody.url)
        assert "ProxyProtocol=no\n" in w.check("--check").stdout
        assert "ProxyProtocol=yes\n" in w.check("--check", "--proxy-protocol").stdout
