"""novnc-gate-proxy.service: a port for proxies that send the PROXY protocol."""

import pathlib
import re
import socket
import struct

import pytest

from machine import PATIENCE, Session, get, wait_for

PORT = 3080
CLIENT = "203.0.113.7", 40000
HEADER = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(CLIENT[0]) + \
    socket.inet_aton("198.51.100.1") + struct.pack(">HH", CLIENT[1], 443)
PROXIES = "[Client]\nTrustedProxies=127.0.0.1 ::1\n"
UNIT = "novnc-gate-proxy"


@pytest.fixture(scope="module")
def proxied(gate):
    """The machine with both kinds of port."""
    with gate.configured(PROXIES):
        gate.start(UNIT)
        yield gate
        gate.run("systemctl", "stop", UNIT)


def page(header=HEADER, port=PORT, address="127.0.0.1", source=""):
    """What comes back on a connection that begins with the header; the client's address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(PATIENCE)
        if source:
            sock.bind((source, 0))
        sock.connect((address, port))
        name = "%s:%d" % sock.getsockname()[:2]
        sock.sendall(header + b"GET / HTTP/1.1\r\nHost: localhost:3080\r\nConnection: close\r\n\r\n")
        try:
            return sock.makefile("rb").read(), name
        except ConnectionResetError:
            return b"", name


def listeners(machine):
    return machine.run("ss", "-Hltn", f"sport = :{PORT}").splitlines()


def test_it_is_off_until_it_is_started(gate):
    assert gate.run("systemctl", "is-enabled", UNIT, check=False).strip() == "disabled"
    assert listeners(gate) == []


def test_its_connections_have_all_settings_of_plain_ones(gate):
    """Only the description and the option differ."""
    units = "/usr/local/lib/systemd/system"
    plain, own = (gate.read(f"{units}/novnc-gate-{kind}-07@.service").splitlines() for kind in ("http", "proxy"))
    assert [line for line in own if line not in plain] == [
        "Description=novnc-gate connection through a proxy",
        "ExecStart=/usr/local/sbin/novnc-gate --proxy-protocol "
        "--spread=/sys/fs/cgroup/novnc.slice/novnc-gate.slice/pids.current"]
    assert len(own) == len(plain)


def test_without_trusted_proxies_it_does_not_start(gate):
    assert "failed" in gate.run("systemctl", "start", UNIT, check=False)
    status = gate.run("systemctl", "status", "--full", UNIT, check=False)
    assert "/etc/novnc-gate.conf: --proxy-protocol needs TrustedProxies= in section [Client]" in status
    assert listeners(gate) == [] and get() == (200, b"Next.js")
    gate.run("systemctl", "reset-failed", UNIT)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_page_and_the_other_port_without_a_header(proxied, address):
    assert len(listeners(proxied)) == 32
    assert page(address=address)[0].endswith(b"Next.js")
    assert get() == (200, b"Next.js")
    assert page(port=3000)[0].startswith(b"HTTP/1.1 400 ")


def test_the_journal_has_the_client_of_the_header(proxied):
    with Session("proxied", port=PORT, header=HEADER) as session:
        assert session.status == 101 and session.echoes()
        unit = proxied.instance_of(session.sock)
        assert unit.startswith("novnc-gate-proxy-")
        assert f"noVNC session, client {CLIENT[0]}:{CLIENT[1]}, connection 127.0.0.1:" in \
            proxied.run("systemctl", "status", unit, check=False)
    entries = lambda: proxied.journal("NOVNC_GATE_SESSION=proxied")
    wait_for(lambda: len(entries()) == 3)
    assert {e["NOVNC_GATE_CLIENT"] for e in entries()} == {"%s:%d" % CLIENT}
    assert {e["_SYSTEMD_UNIT"] for e in entries()} == {unit}


def test_an_address_that_is_not_trusted_gets_nothing_but_an_entry(proxied):
    got, name = page(source="127.0.0.2")
    assert got == b""
    entry, = wait_for(lambda: proxied.journal(f"NOVNC_GATE_CLIENT={name}"))
    assert entry["MESSAGE"] == f"Refusing connection from {name}: its address is not in TrustedProxies="
    assert entry["PRIORITY"] == "5" and entry["_SYSTEMD_UNIT"].startswith("novnc-gate-proxy-")
    assert "TrustedProxies=" in proxied.run("journalctl", "-x", f"NOVNC_GATE_CLIENT={name}")


def test_all_connections_of_a_socket_may_come_from_one_proxy(proxied):
    socket_unit = f"{UNIT}-31.socket"
    assert proxied.property(socket_unit, "MaxConnectionsPerSource") == \
        proxied.property(socket_unit, "MaxConnections")
    assert proxied.property("novnc-gate-http-31.socket", "MaxConnectionsPerSource") == "112"


def test_the_drop_in_of_the_readme_gives_a_proxy_all_connections(gate):
    """For the other two kinds of port."""
    readme = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    drop_in, = re.findall(r"^```ini\n(\[Socket\]\n.*?)^```$", readme, re.M | re.S)
    for kind in "http", "tls":
        socket_unit = f"novnc-gate-{kind}-31.socket"
        with gate.drop_in(f"novnc-gate-{kind}-.socket", drop_in):
            assert gate.property(socket_unit, "MaxConnectionsPerSource") == \
                gate.property(socket_unit, "MaxConnections")
        assert gate.property(socket_unit, "MaxConnectionsPerSource") == "112"


def test_stopping_it_keeps_sessions_and_the_other_port(proxied):
    with Session("1", port=PORT, header=HEADER) as session:
        proxied.run("systemctl", "stop", UNIT)
        try:
            assert listeners(proxied) == [] and session.echoes()
            said = proxied.run("systemctl", "status", UNIT, check=False)
            assert 'Status: "accepts no new connections; open connections: 1"' in said
            assert get() == (200, b"Next.js")
        finally:
            proxied.start(UNIT)
        assert session.echoes()


def test_stopping_the_slice_ends_its_sessions(proxied):
    with Session("1", port=PORT, header=HEADER) as session:
        slice_unit = proxied.property(proxied.instance_of(session.sock), "Slice")
        assert proxied.property(slice_unit, "Slice") == "novnc-gate-proxy.slice"
        proxied.run("systemctl", "stop", "novnc-gate.slice")
        assert session.ended()


def test_it_refuses_the_port_of_another_kind(proxied):
    with proxied.drop_in("novnc-gate-proxy-.socket", "[Socket]\nListenStream=\nListenStream=3000\n"):
        assert "failed" in proxied.run("systemctl", "restart", UNIT, check=False)
        assert re.search(r"novnc-gate-proxy-00.socket cannot listen on \[::\]:3000: "
                         r"novnc-gate-http-\d\d.socket already listens there",
                         proxied.run("systemctl", "status", "--full", UNIT, check=False))
    proxied.run("systemctl", "reset-failed", UNIT)
    proxied.start(UNIT)


def test_the_strict_drop_in(proxied):
    strict = proxied.read("/usr/local/share/doc/novnc-gate/strict.conf")
    with proxied.drop_in("novnc-gate-proxy-@.service", strict):
        assert page()[0].endswith(b"Next.js")
