"""Connections as systemd sees them: instances, limits, the log."""

import concurrent.futures
import re
import socket
import time

import pytest

from machine import PATIENCE, Session, get, wait_for


def main_pid(gate, unit):
    return gate.property(unit, "MainPID")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_page_comes_from_nextjs_over_ipv4_and_ipv6(gate, address):
    assert get(address=address) == (200, b"Next.js")


def test_a_tunnel_is_an_instance_that_tells_what_it_does(gate):
    with Session("4711") as session:
        assert session.status == 101 and session.echoes()
        unit = gate.instance_of(session.sock)
        status = gate.property(unit, "StatusText")
        assert "4711" in status and "127.0.0.1" in status
        assert f'Status: "{status}"' in gate.run("systemctl", "status", unit)
        assert gate.property(unit, "Slice") == f"{unit.partition('@')[0]}.slice"
    wait_for(lambda: unit not in gate.instances())


def test_stopping_one_instance_cuts_that_session_and_no_other(gate):
    with Session("1") as first, Session("2") as second:
        gate.run("systemctl", "stop", gate.instance_of(first.sock))
        assert first.ended()
        assert second.echoes()


def test_a_crash_harms_no_other_session_and_leaves_no_failed_unit(gate):
    with Session("1") as first, Session("2") as second:
        unit = gate.instance_of(first.sock)
        gate.run("systemctl", "kill", "--signal=SEGV", unit)
        assert first.ended()
        assert second.echoes()
        wait_for(lambda: not gate.run("systemctl", "list-units", "--all", "--no-legend", unit))
        assert "novnc" not in gate.run("systemctl", "list-units", "--failed")


def test_a_new_binary_and_a_restarted_socket_cut_no_session(gate):
    with Session("1") as old:
        pid = main_pid(gate, gate.instance_of(old.sock))
        gate.make("install", "NEXTJS=http://127.0.0.1:3001", "CONTROLLER=http://127.0.0.1:4000")
        gate.start(verb="restart")
        with Session("2") as new:
            assert new.echoes()
            assert old.echoes()
            assert main_pid(gate, gate.instance_of(old.sock)) == pid
            assert gate.run("readlink", f"/proc/{pid}/exe").strip().endswith("(deleted)")
            assert gate.run("readlink", f"/proc/{main_pid(gate, gate.instance_of(new.sock))}/exe"
                            ).strip() == "/usr/local/sbin/novnc-gate"


def test_a_stopped_socket_takes_no_new_sessions_and_cuts_none(gate):
    with Session("1") as session:
        gate.run("systemctl", "stop", "novnc-gate")
        try:
            with pytest.raises(ConnectionRefusedError):
                get()
            assert session.echoes()
        finally:
            gate.start()


def test_a_spare_connection_is_no_process_before_its_first_byte(gate):
    wait_for(lambda: not gate.instances())
    accepted = gate.accepted()
    with socket.create_connection(("127.0.0.1", 3000), timeout=PATIENCE) as spare:
        assert get() == (200, b"Next.js")  # so systemd has seen the connections before it
        assert gate.accepted() == accepted + 1
        spare.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert spare.makefile("rb").read().endswith(b"Next.js")


def test_500_connections_in_a_second_leave_the_socket_listening(gate):
    accepted = gate.accepted()
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(500) as pool:
        def one(_):
            try:
                return get()
            except OSError as e:
                return e
        answers = list(pool.map(one, range(500)))
    if answers != [(200, b"Next.js")] * 500:
        print([a for a in answers if a != (200, b"Next.js")])
        print(gate.run("journalctl", "-n", "60", "--no-pager"))
    took = time.monotonic() - start
    print(f"500 connections took {took:.1f} s")
    assert answers == [(200, b"Next.js")] * 500
    assert gate.accepted() == accepted + 500
    states = gate.run("systemctl", "show", "--value", "-p", "SubState", "novnc-gate-http-*.socket")
    assert set(states.split()) == {"listening"}
    assert get() == (200, b"Next.js")


def test_300_sessions_stand_at_once(gate):
    wait_for(lambda: not gate.instances())
    sessions = [Session(str(n)) for n in range(300)]
    try:
        assert all(s.status == 101 and s.echoes() for s in sessions)
        assert len(gate.instances()) == 300
    finally:
        for session in sessions:
            session.close()
    wait_for(lambda: not gate.instances())


def test_an_instance_runs_unprivileged_and_limited(gate):
    with Session() as session:
        pid = main_pid(gate, gate.instance_of(session.sock))
        status = dict(re.findall(r"(\w+):\s*(.*)", gate.run("cat", f"/proc/{pid}/status")))
        limits = gate.run("cat", f"/proc/{pid}/limits")
        uid = gate.run("id", "-u", "novnc-gate").strip()
    assert status["Uid"].split() == [uid] * 4 and uid != "0"
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert {status[name] for name in ("CapEff", "CapBnd", "CapPrm", "CapAmb")} == {"0" * 16}
    assert status["Umask"] == "0077"
    assert re.search(r"Max core file size +0 +0", limits)
    assert re.search(r"Max open files +32 +32", limits)


def test_a_connection_has_one_seccomp_program_and_a_tunnel_two(gate):
    """Its own only and none of the unit, for the kernel frees such programs slowly."""
    with socket.create_connection(("127.0.0.1", 3000), timeout=PATIENCE) as page:
        page.sendall(b"GET / HTTP/1.1\r\nHost: localhost:3000\r\n\r\n")
        assert page.recv(100).startswith(b"HTTP/1.1 200")
        assert gate.filters(gate.instance_of(page)) == 1
    with Session() as session:
        assert session.echoes()
        assert gate.filters(gate.instance_of(session.sock)) == 2


def test_a_session_is_three_entries_with_their_fields(gate):
    with Session("4711") as session:
        assert session.echoes(b"x" * 1000)
        unit = gate.instance_of(session.sock)
        client = "%s:%d" % session.sock.getsockname()[:2]
        invocation = gate.property(unit, "InvocationID")
    wait_for(lambda: not gate.instances())

    entries = gate.journal("-u", unit)
    handling, proxying, closed = (e["MESSAGE"] for e in entries)
    assert handling == f"Handling noVNC connection: {session.path} (client {client})"
    assert proxying == f"Proxying: {session.path} (client {client})"
    assert closed.startswith(f"noVNC session closed: {session.path} ")
    for entry in entries:
        assert entry["NOVNC_GATE_SESSION"] == "4711"
        assert entry["NOVNC_GATE_PATH"] == session.path
        assert entry["NOVNC_GATE_CLIENT"] == client
        assert entry["SYSLOG_IDENTIFIER"] == "novnc-gate"
        assert entry["PRIORITY"] == "5"
        assert entry["_SYSTEMD_INVOCATION_ID"] == invocation
        assert "secret" not in str(entry)
    end = entries[-1]
    assert end["NOVNC_GATE_BACKEND"]
    assert end["NOVNC_GATE_STATUS"] == "101"
    assert end["NOVNC_GATE_UP_BYTES"] == "1000"
    assert end["NOVNC_GATE_DOWN_BYTES"] == "1000"
    assert int(end["NOVNC_GATE_DURATION_MS"]) > 0
    assert end["NOVNC_GATE_REASON"]
    assert len({e["MESSAGE_ID"] for e in entries}) == 3


STRICT = "/usr/local/share/doc/novnc-gate/strict.conf"


@pytest.fixture
def strict(gate):
    with gate.drop_in("novnc-gate-http-@.service", gate.read(STRICT)):
        yield gate


def test_with_the_strict_drop_in_it_serves_and_logs_all_the_same(strict):
    assert get() == (200, b"Next.js")
    with Session("4713") as session:
        assert session.echoes(b"x" * 1_000_000)
        unit = strict.instance_of(session.sock)
        assert strict.property(unit, "ProtectSystem") == "strict"
        assert "4713" in strict.property(unit, "StatusText")
    wait_for(lambda: not strict.instances())
    entries = strict.journal("-u", unit)
    assert [e["NOVNC_GATE_SESSION"] for e in entries] == ["4713"] * 3
    assert entries[-1]["NOVNC_GATE_UP_BYTES"] == "1000000"


@pytest.mark.parametrize("kind", ["http", "tls"])
def test_the_exposure_stays_below_its_threshold(gate, kind):
    says = lambda most: gate.run("systemd-analyze", "security", "--offline=true",
                                 f"--threshold={most}", f"novnc-gate-{kind}-00@x.service")
    says(63)
    with gate.drop_in(f"novnc-gate-{kind}-@.service", gate.read(STRICT)):
        says(10)
        assert "novnc" not in gate.run("systemd-analyze", "--man=no", "verify",
                                       f"novnc-gate-{kind}-00@1.service")


def test_journalctl_x_explains_each_of_the_three(gate):
    with Session("4712") as session:
        assert session.echoes()
    wait_for(lambda: not gate.instances())
    gate.sync()
    out = gate.run("journalctl", "--catalog", "NOVNC_GATE_SESSION=4712")
    assert out.count("Subject: ") == 3, out


def test_a_page_leaves_nothing_in_the_journal(gate):
    wait_for(lambda: not gate.instances())
    before = gate.journal("--lines=1")[0]["__CURSOR"]
    assert get("/dashboard") == (200, b"Next.js")
    wait_for(lambda: not gate.instances())
    assert [e["MESSAGE"] for e in gate.journal(f"--after-cursor={before}") if "novnc" in str(e)] == []


def test_each_of_many_refusals_is_found_by_its_invocation(gate):
    """Although the process ends right after its only entry."""
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        for status in pool.map(lambda n: Session(path=f"/other/{n}").status, range(100)):
            assert status == 403
    wait_for(lambda: not gate.instances())
    entries = [e for e in gate.journal("SYSLOG_IDENTIFIER=novnc-gate")
               if e["MESSAGE"].startswith("Rejecting non-noVNC connection: /other/")]
    assert len(entries) == 100
    assert len({e.get("_SYSTEMD_INVOCATION_ID") for e in entries} - {None}) == 100


def test_a_journald_that_stops_reading_holds_up_nothing_and_loses_nothing(gate):
    """Entries without room in its queue are sent when it reads again; meanwhile only exits wait."""
    queue = int(gate.run("cat", "/proc/sys/net/unix/max_dgram_qlen"))
    pid = gate.property("systemd-journald.service", "MainPID")
    gate.run("kill", "-STOP", pid)
    try:
        for n in range(queue + 5):
            with Session(path=f"/stopped/{n}") as refused:
                assert refused.status == 403
        with Session("4714") as session:
            assert session.echoes()
            gate.run("systemctl", "stop", "--no-block", gate.instance_of(session.sock))
            assert session.ended()
    finally:
        gate.run("kill", "-CONT", pid)
    wait_for(lambda: not gate.instances())
    messages = [str(e["MESSAGE"]) for e in gate.journal()]
    assert len([m for m in messages if "/stopped/" in m]) == queue + 5
    assert len([m for m in messages if "/session/4714/" in m]) == 3


def test_a_changed_configuration_holds_for_the_next_connection(gate):
    with Session() as session, gate.configured("[NextJs]\nUrl=http://127.0.0.1:4000\n"):
        assert get() == (200, b"master-controller")
        assert session.echoes()


def test_an_unknown_key_stops_the_socket_from_starting_and_says_where(gate):
    gate.run("systemctl", "stop", "novnc-gate")
    try:
        with gate.configured("[Limits]\n# a slip\nHeadTimeout=5\n") as conf:
            gate.run("systemctl", "start", "novnc-gate", check=False)
            assert gate.property("novnc-gate", "ActiveState") == "failed"
            status = gate.run("systemctl", "status", "--full", "novnc-gate", check=False)
            assert f"{conf}:3" in status and "HeadTimeout" in status
    finally:
        gate.start()
    assert get() == (200, b"Next.js")


def test_pages_are_logged_although_the_units_drop_what_is_below_notice(gate):
    """LogLevelMax=notice stays, so systemd's own lines do not come with them."""
    page = "MESSAGE_ID=7410a07c4af74bc28cd51187a8a50141"
    with gate.configured("[Log]\nLevel=info\n"):
        assert get("/dashboard?token=secret")[0] == 200
        entry = wait_for(lambda: gate.journal(page))[-1]
    assert re.fullmatch(r'127\.0\.0\.1 - - \[.+ \+0000] "GET /dashboard HTTP/1\.1" 200 7 "-" "-"', entry["MESSAGE"])
    assert entry["PRIORITY"] == "5" and entry["_SYSTEMD_UNIT"].startswith("novnc-gate-http-")
    assert not gate.journal("_PID=1", f"UNIT={entry['_SYSTEMD_UNIT']}")
    explained = gate.run("journalctl", "--catalog", "--no-pager", page)
    assert "Subject: A page has been requested" in explained and f"-o cat {page}" in explained
