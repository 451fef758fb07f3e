"""novnc-gate.service: one name for sockets that share a port."""

import contextlib
import re
import socket

import pytest

from machine import Session, get, wait_for

NO_CERTIFICATE = "[Service]\nExecStart=\nExecStart=+/usr/local/lib/novnc-gate/port-is-free novnc-gate-tls\n"


def port(listen):
    """A drop-in for a socket that listens there only."""
    return f"[Socket]\nListenStream=\nListenStream={listen}\n"


def listeners(machine, port=3000):
    return machine.run("ss", "-Hltn", f"sport = :{port}").splitlines()


@contextlib.contextmanager
def stopped(machine):
    machine.run("systemctl", "stop", "novnc-gate")
    try:
        yield
    finally:
        machine.start()


def test_its_sockets_share_one_port_and_have_a_slice_each(gate):
    assert len(listeners(gate)) == 32
    sessions = [Session(str(n)) for n in range(100)]
    try:
        kinds = {gate.property(unit, "Slice") for unit in gate.instances()}
        assert len(kinds) > 10 and all(s.startswith("novnc-gate-http-") for s in kinds)
        assert {gate.property(s, "Slice") for s in kinds} == {"novnc-gate-http.slice"}
    finally:
        for session in sessions:
            session.close()
    wait_for(lambda: not gate.instances())


def test_the_status_of_a_stopped_service_counts_open_connections(gate):
    with Session("1") as first, Session("2") as second:
        with stopped(gate):
            assert listeners(gate) == []
            assert first.echoes() and second.echoes()
            said = gate.run("systemctl", "status", "novnc-gate", check=False)
            assert 'Status: "accepts no new connections; open connections: 2"' in said
        assert first.echoes() and second.echoes()


def test_a_restart_cuts_no_session(gate):
    with Session("1") as session:
        gate.start(verb="restart")
        assert session.echoes()
        assert get() == (200, b"Next.js")


def test_stopping_the_slice_ends_all_sessions(gate):
    with Session("1") as first, Session("2") as second:
        gate.run("systemctl", "stop", "novnc-gate.slice")
        assert first.ended() and second.ended()
    wait_for(lambda: not gate.instances())
    assert get() == (200, b"Next.js")


def test_a_drop_in_holds_for_all_sockets_of_one_kind(gate):
    with gate.drop_in("novnc-gate-http-.socket", port(3100)):
        gate.start(verb="restart")
        assert len(listeners(gate, 3100)) == 32 and listeners(gate) == []
        assert get(port=3100) == (200, b"Next.js")
        assert "3443" in gate.property("novnc-gate-tls-07.socket", "Listen")
    gate.start(verb="restart")


def test_two_kinds_on_one_port_are_refused_and_both_are_named(gate):
    with gate.drop_in("novnc-gate-tls-.socket", port(3000)), \
            gate.drop_in("novnc-gate-tls.service", NO_CERTIFICATE):
        said = gate.run("systemctl", "start", "novnc-gate-tls", check=False)
        assert "failed" in said
        status = gate.run("systemctl", "status", "--full", "novnc-gate-tls", check=False)
        assert re.search(r"novnc-gate-tls-00.socket cannot listen on \[::\]:3000: "
                         r"novnc-gate-http-\d\d.socket already listens there", status)
        assert len(listeners(gate)) == 32
    gate.run("systemctl", "reset-failed", "novnc-gate-tls")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])
def test_another_program_on_the_port_is_named_even_where_it_would_share_it(gate, address):
    with stopped(gate):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind((address, 3000))
            other.listen()
            assert "failed" in gate.run("systemctl", "start", "novnc-gate", check=False)
            status = gate.run("systemctl", "status", "--full", "novnc-gate", check=False)
            assert "novnc-gate-http-00.socket cannot listen on [::]:3000: " in status
            assert len(listeners(gate)) == 1


def test_a_program_on_another_address_is_no_hindrance(gate):
    with gate.drop_in("novnc-gate-http-.socket", port("127.0.0.1:3000")):
        with stopped(gate), socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(("127.0.0.2", 3000))
            other.listen()
            gate.start()
            assert get() == (200, b"Next.js")
    gate.start(verb="restart")
