"""A proxy in front of the gate: what it says of the client, if TrustedProxies= has its address."""

import pytest

from gate import HOST, NOVNC, Gate, World, request, response, upgrade

TRUSTED = "[Client]\nTrustedProxies=127.0.0.0/8 10.0.0.0/8"
SAID = ("X-Forwarded-For: 198.51.100.7, 203.0.113.9, 10.0.0.2", "X-Forwarded-Proto: https",
        "X-Forwarded-Host: dashboard.example", "X-Forwarded-Port: 443", "X-Forwarded-Server: x",
        "X-Real-IP: 198.51.100.7", "Forwarded: for=198.51.100.8;host=evil.example")
CLIENT = "203.0.113.9"      # the right-most address that is not trusted
LONGEST = "fd00:1111:2222:3333:4444:5555:6666:7777"


def trust(world, text=""):
    world.configure(f"{TRUSTED}\n{text}")
    world.said = (CLIENT, LONGEST, "2001:db8::9")


def who_asked(m):
    known = ("For", "Proto", "Host", "Port")
    assert not [n for n, _ in m.fields if n.lower().startswith("x-forwarded-")
                and n.lower() not in {f"x-forwarded-{k.lower()}" for k in known}]
    for name in ("Forwarded", "X-Real-IP", "Via"):
        assert name not in m
    return tuple(m[f"X-Forwarded-{k}"] for k in known)


@pytest.mark.parametrize("target", ["/", "/_next/hmr", NOVNC])
def test_both_backends_get_what_a_trusted_proxy_says(world, target):
    trust(world)
    world.client(request("GET", target, *SAID) if target == "/" else upgrade(target, *SAID))
    m = (world.controller if target == NOVNC else world.nextjs).accept().request()
    assert who_asked(m) == ("198.51.100.7, 203.0.113.9, 10.0.0.2, 127.0.0.1", "https",
                            "dashboard.example", "443")
    assert m["Host"] == (world.controller.authority if target == NOVNC else HOST)


@pytest.mark.parametrize("trusted", ["", "[Client]\nTrustedProxies=192.0.2.1 ::1",
                                     "[Client]\nTrustedProxies=127.0.0.1\nTrustedProxies="])
@pytest.mark.parametrize("target", ["/", NOVNC])
def test_anybody_else_is_not_believed(world, target, trusted):
    world.configure(trusted)
    world.client(request("GET", target, *SAID) if target == "/" else upgrade(target, *SAID))
    m = (world.controller if target == NOVNC else world.nextjs).accept().request()
    assert who_asked(m) == ("127.0.0.1", "http", HOST, "3000")


def test_forwarded_is_translated(world):
    trust(world)
    m = world.seen(request("GET", "/", "Forwarded: for=198.51.100.7;host=evil.example",
                           'Forwarded: for="[2001:db8::9]:5000";proto=https;host="d.example:8443"',
                           "Forwarded: for=10.0.0.2;proto=http;host=inner.example"))
    assert who_asked(m) == ("198.51.100.7, 2001:db8::9, 10.0.0.2, 127.0.0.1", "https",
                            "d.example:8443", "8443")


@pytest.mark.parametrize("listens, client, trusted", [
    ("::1", "::1", "::1"), ("::", "127.0.0.1", "127.0.0.1"), ("::", "127.0.0.1", "::ffff:127.0.0.1")],
    ids=["IPv6", "IPv4 to a dual-stack socket", "as IPv6"])
def test_an_ipv4_mapped_address_is_ipv4(tmp_path, listens, client, trusted):
    with Gate(tmp_path, host=listens) as gate, World(gate) as world:
        world.configure(f"[Client]\nTrustedProxies={trusted}")
        world.said = ("10.0.0.2",)
        world.client(request("GET", "/", *SAID), host=client)
        m = world.nextjs.accept().request()
        assert m["X-Forwarded-For"] == f"198.51.100.7, 203.0.113.9, 10.0.0.2, {client}"


@pytest.mark.parametrize("lines, scheme, port", [
    ((), "https", "3000"), (("X-Forwarded-Proto: http",), "http", "3000"),
    (("X-Forwarded-Host: a.example",), "https", "443"),
    (("X-Forwarded-Host: a.example", "X-Forwarded-Proto: http"), "http", "80")])
def test_over_tls(secure, lines, scheme, port):
    trust(secure)
    m = secure.seen(request("GET", "/", *lines))
    assert (m["X-Forwarded-Proto"], m["X-Forwarded-Port"]) == (scheme, port)


MALFORMED = ["X-Forwarded-Proto: https, http", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: a, b",
             "X-Forwarded-Host: u@a", "X-Forwarded-Port: 443, 443", "X-Forwarded-Port: 0",
             "Forwarded: for=::1", "Forwarded: for=192.0.2.1;for=192.0.2.2"]


@pytest.mark.parametrize("line", MALFORMED)
@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_lists_and_malformed_values_are_refused(world, kind, line):
    message = request("GET", "/", line) if kind == "plain" else upgrade(NOVNC, line)
    trust(world)
    r = world.refused(world.client(message), 400)
    assert f"malformed {line.split(':')[0]}.\n".encode() in r.body
    world.configure()           # from anybody else they are removed, whatever they say
    world.client(message)
    m = (world.nextjs if kind == "plain" else world.controller).accept().request()
    assert who_asked(m) == ("127.0.0.1", "http", HOST, "3000")


# Origin

ORIGINS = [
    ("https://dashboard.example", True), ("https://dashboard.example:443", True),
    ("http://dashboard.example", False), (f"https://{HOST}", False), ("https://evil.example", False)]


@pytest.mark.parametrize("origin, good", ORIGINS)
def test_their_host_and_scheme_count_for_the_origin(world, origin, good):
    trust(world)
    c = world.client(upgrade(NOVNC, *SAID, f"Origin: {origin}"))
    if good:
        world.tunnel_of(c)
    else:
        world.refused(c, 403)
        assert c.lines == [f"Rejecting WebSocket from another site: {NOVNC} (Origin {origin} does not "
                           f"match https://dashboard.example; client {CLIENT})"]


def test_a_clients_own_host_does_not_count(world):
    c = world.client(upgrade(NOVNC, *SAID, "Origin: https://dashboard.example"))
    world.refused(c, 403)
    assert c.lines[0].endswith(f" does not match Host {HOST}; client {c.address})")


@pytest.mark.parametrize("origin", ["https://dashboard.example", "http://dashboard.example"])
def test_the_controllers_own_origin(world, origin):
    """RewriteOrigin= replaces that of a plain request only if it is the request's own."""
    trust(world, "[MasterController]\nRewriteOrigin=yes\n[Routes]\nControllerPath=/c")
    m = world.seen(request("POST", "/c", *SAID, f"Origin: {origin}"), backend=world.controller)
    assert m["Origin"] == (world.controller.url if origin.startswith("https") else origin)


# The log

def test_entries_name_the_client_of_the_proxy(world):
    trust(world)
    c, b = world.tunnel(upgrade(NOVNC, *SAID))
    c.close()
    b.close()
    assert c.exited() == 0
    assert len(c.lines) == 3 and all(f"client {CLIENT})" in line for line in c.lines), c.lines


@pytest.mark.parametrize("line, client", [
    ("X-Forwarded-For: 203.0.113.9:4711", CLIENT), (f"X-Forwarded-For: {LONGEST}", LONGEST),
    ('Forwarded: for="[2001:DB8::9]:4711"', "2001:db8::9"),
    ("X-Forwarded-For: " + ", ".join(["192.0.2.1"] * 900) + ", 203.0.113.9", CLIENT)],
    ids=["port", "longest", "Forwarded", "many"])
def test_a_refusal_names_the_client_too(world, line, client):
    trust(world)
    c = world.client(upgrade("/elsewhere", line))
    world.refused(c, 403)
    assert c.lines == [f"Rejecting non-noVNC connection: /elsewhere (client {client})"]


@pytest.mark.parametrize("line", ["X-Forwarded-For: unknown", "X-Forwarded-For: 192.0.2.1, x\\y\xe4",
                                  "Forwarded: for=_hidden", "X-Forwarded-Proto: https"])
def test_without_an_address_the_proxy_is_the_client(world, line):
    trust(world)
    c = world.client(upgrade("/elsewhere", line))
    world.refused(c, 403)
    assert c.lines == [f"Rejecting non-noVNC connection: /elsewhere (client {c.address})"]


def test_each_request_of_a_connection_has_its_own_client(world):
    """A proxy sends requests of different clients on one connection."""
    trust(world, "[Log]\nLevel=debug")
    c = world.client()
    for n, lines in enumerate(((SAID[0],), (), ("X-Forwarded-For: 2001:db8::9",))):
        c.send(request("GET", f"/{n}", *lines))
        b, _ = world.nextjs.next()
        b.send(response(b"x"))
        assert c.response().status == 200
    c.close()
    assert c.exited() == 0
    assert [line.split(" - ")[0] for line in c.lines] == [CLIENT, c.address.rpartition(":")[0], "2001:db8::9"]


def test_a_head_that_cannot_be_parsed_has_the_proxy_as_client(world):
    trust(world)
    c = world.client(request("GET", "/", SAID[0]), request("GET", "/", "Bad : x"))
    b = world.nextjs.asked()
    b.send(response(b"x"))
    c.response()
    world.error(c, 400)
    assert c.lines[-1].endswith(f"client {c.address})"), c.lines
