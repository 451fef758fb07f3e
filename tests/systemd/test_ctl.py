"""novnc-gatectl: what it shows of real units, and what it does to them."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from machine import PATIENCE, TREE, Session, get, wait_for

sys.path.append(str(TREE / "tests/kernels"))
import peers  # noqa: E402


def ctl(gate, *arguments, code=0, user=None):
    """Runs it; returns what it printed, both streams together."""
    program = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if user == "nobody" else []
    done = subprocess.run([*gate.enter, "env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
                           *program, "novnc-gatectl", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}"
    return done.stdout


def listed(gate, *arguments):
    return {row["session"]: row for row in json.loads(ctl(gate, "list", "--json=short", *arguments))}


@contextlib.contextmanager
def sessions(gate, *names, **kw):
    """Open sessions with these ids, and none but these."""
    wait_for(lambda: not gate.instances())
    opened = []
    try:
        for name in names:
            opened.append(Session(name, **kw))
            assert opened[-1].status == 101 and opened[-1].echoes()
            opened[-1].client = opened[-1].sock.getsockname()[:2]
        yield opened
    finally:
        for session in opened:
            session.close()
    wait_for(lambda: not gate.instances())


# ---- list

def test_without_a_command_it_lists_the_open_sessions(gate):
    with sessions(gate, "4711", "4712") as (first, second):
        head, *rows, empty, footer = ctl(gate).splitlines()
        without_idle = lambda row: row.split()[:5] + row.split()[6:]
        assert [without_idle(row) for row in ctl(gate, "list").splitlines()[1:3]] == list(map(without_idle, rows))
        assert head.split() == ["SESSION", "USER", "CLIENT", "SINCE", "IDLE", "UP", "DOWN", "UNIT"]
        assert [row.split()[0] for row in rows] == ["4711", "4712"]
        assert (empty, footer) == ("", "2 sessions open.")
        for row, session in zip(rows, (first, second)):
            assert "%s:%d" % session.sock.getsockname()[:2] == row.split()[2]
            assert row.split()[-1] == gate.instance_of(session.sock)


def test_no_session_is_one_line(gate):
    wait_for(lambda: not gate.instances())
    assert ctl(gate) == "No sessions are open.\n"
    assert ctl(gate, "--no-legend") == ""
    assert ctl(gate, "--json=short") == "[]\n"


def test_bytes_and_idle_times_are_those_of_the_connection_to_the_controller(gate):
    with sessions(gate, "quiet", "busy") as (_, busy):
        before = listed(gate)
        assert busy.echoes(b"x" * 500_000)
        after = listed(gate)
        for direction in "up", "down":
            assert after["busy"][direction] - before["busy"][direction] == 500_000
            assert after["quiet"][direction] == before["quiet"][direction]
        assert 0 < before["quiet"]["down"] < before["quiet"]["up"] < 2000     # the handshake
        # a Ping to the browser is no traffic of the session: it does not end this span
        wait_for(lambda: listed(gate)["quiet"]["idle"] > 1_000_000)
        assert busy.echoes()
        assert listed(gate)["busy"]["idle"] < 1_000_000 < listed(gate)["quiet"]["idle"]


def test_json_has_what_programs_need(gate):
    with sessions(gate, "4711") as (session,):
        unit = gate.instance_of(session.sock)
        row = listed(gate)["4711"]
        assert row["unit"] == unit and row["user"] is None
        assert row["client"] == "%s:%d" % session.sock.getsockname()[:2]
        assert row["invocation"] == gate.property(unit, "InvocationID")
        assert abs(row["since"] / 1e6 - time.time()) < PATIENCE
        pretty = ctl(gate, "--json=pretty")
        assert pretty.count("\n") > 8 and json.loads(pretty)[0]["session"] == "4711"
        assert ctl(gate, "--json=off").startswith("SESSION ")


def test_pages_are_listed_with_all(gate):
    with sessions(gate, "4711"), socket.create_connection(("::1", 3000), timeout=PATIENCE) as page:
        page.sendall(b"GET / HTTP/1.1\r\nHost: localhost:3000\r\n\r\n")
        assert page.recv(100).startswith(b"HTTP/1.1 200")
        assert "[::1]" not in ctl(gate)
        rows = ctl(gate, "--all", "--no-legend").splitlines()
        assert len(rows) == 2
        assert rows[1].split()[:3] == ["-", "-", "[::1]:%d" % page.getsockname()[1]]
        assert ctl(gate, "-a").endswith("2 connections open.\n")


def test_everybody_may_list(gate):
    gate.run("systemctl", "start", "dbus.socket")
    with sessions(gate, "4711"):
        mine = ctl(gate, "--no-legend").split()
        other = ctl(gate, "--no-legend", user="nobody").split()
        assert mine[0] == other[0] == "4711" and mine[-3:] == other[-3:]


EARLIER = """[Service]
NotifyAccess=all
ExecStart=
ExecStart=/bin/sh -c 'systemd-notify --status="noVNC session 4711 of alice (192.0.2.1:51234)"; exec sleep infinity'
"""


def test_a_session_of_an_earlier_gate_is_listed_without_numbers(gate):
    """Its status does not name the connection to the controller."""
    wait_for(lambda: not gate.instances())
    with gate.drop_in("novnc-gate-http-@.service", EARLIER), \
            socket.create_connection(("127.0.0.1", 3000), timeout=PATIENCE) as client:
        client.sendall(b"x")
        unit = gate.instance_of(client)
        try:
            # which says what it is a moment after it has begun
            row = wait_for(lambda: listed(gate).get("4711"), patience=10)
            assert (row["user"], row["client"], row["up"], row["idle"]) == ("alice", "192.0.2.1:51234", None, None)
        finally:
            gate.run("systemctl", "stop", unit)


def test_watch_redraws(gate):
    with sessions(gate, "4711"):
        watch = subprocess.Popen([*gate.enter, "/usr/local/bin/novnc-gatectl", "--watch=100ms", "--json=short"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            assert [row["session"] for row in json.loads(watch.stdout.readline())] == ["4711"]
            with Session("4712") as second:
                assert second.echoes()
                wait_for(lambda: [row["session"] for row in json.loads(watch.stdout.readline())]
                         == ["4711", "4712"])
                assert second.echoes(b"x" * 9000)
                wait_for(lambda: json.loads(watch.stdout.readline())[1]["up"] > 9000)
            wait_for(lambda: [row["session"] for row in json.loads(watch.stdout.readline())] == ["4711"])
        finally:
            # not nsenter, its parent, which then would not wait for it
            gate.run("pkill", "-TERM", "-x", "novnc-gatectl")
            watch.wait()


@pytest.mark.parametrize("user", [None, "nobody"])
def test_watch_goes_on_when_systemd_re_executes_itself(gate, user):
    gate.run("systemctl", "start", "dbus.socket")
    program = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if user else []
    with sessions(gate, "4711"):
        watch = subprocess.Popen([*gate.enter, *program, "/usr/local/bin/novnc-gatectl", "--watch=50ms", "--json=short"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            names = lambda: [row["session"] for row in json.loads(watch.stdout.readline())]
            assert names() == ["4711"]
            for _ in range(3):
                gate.run("systemctl", "daemon-reexec")
                with Session("4712") as second:
                    assert second.echoes()
                    wait_for(lambda: names() == ["4711", "4712"])
                wait_for(lambda: names() == ["4711"])
            assert watch.poll() is None
        finally:
            gate.run("pkill", "-TERM", "-x", "novnc-gatectl")
            watch.wait()


def terminal(gate, columns, *arguments, environment=()):
    """What it prints on a terminal of that width."""
    return gate.run("script", "--quiet", "--return", "--command",
                    f"stty cols {columns}; env {' '.join(environment)} novnc-gatectl {' '.join(arguments)}",
                    "/dev/null").replace("\r", "")


def test_on_a_terminal_the_header_is_bold_and_a_row_fits(gate):
    with sessions(gate, "4711"):
        out = terminal(gate, 100, "--no-pager", environment=["TERM=xterm"])
        assert out.startswith("\x1b[0;1mSESSION ")
        plain = re.sub("\x1b\\[[0-9;]*m", "", out).splitlines()
        assert all(len(line) <= 100 for line in plain) and len(plain[1]) == 100 and "…" in plain[1]
        assert plain[1].endswith(".service")
        assert "…" not in terminal(gate, 100, "--no-pager", "--full")
        assert "\x1b" not in terminal(gate, 100, "--no-pager", environment=["TERM=xterm", "NO_COLOR=1"])
        assert "through 4711" in terminal(gate, 100, environment=["SYSTEMD_PAGERSECURE=1",
                                                                   "SYSTEMD_PAGER='sed s/^4711/through\\ 4711/'"])


def test_without_less_the_output_comes_all_the_same(gate):
    wait_for(lambda: not gate.instances())
    gate.run("sh", "-ec", "mkdir /tmp/few; ln -s /bin/sh /bin/cat /tmp/few")
    try:
        assert terminal(gate, 100, environment=["PATH=/usr/local/bin:/tmp/few"]) == "No sessions are open.\n"
    finally:
        gate.run("rm", "-r", "/tmp/few")


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json=short"], ["list", "--watch=1s"], ["status"],
                                       ["status", "--json=short"], ["check"], ["metrics"], ["--help"]])
def test_what_cannot_be_written_is_said(gate, arguments):
    out = gate.run("sh", "-c", 'novnc-gatectl "$@" >/dev/full; echo $?', "sh", *arguments)
    assert re.fullmatch("Cannot write to standard output(: No space left on device)?\n1\n", out)


@pytest.mark.parametrize("arguments, said", [
    (["--json=xml"], "--json=xml: allowed: short, pretty, off\n"),
    (["--watch=soon"], "--watch=soon is not a time span; allowed: "),
    (["lsit"], "Unknown command lsit; see novnc-gatectl --help.\n"),
    (["list", "4711"], "Usage: novnc-gatectl [OPTION...] list"),
    (["list", "--session=4711"], "--session= and --cookie= are only for check\nUsage: "),
    (["--cookie=a=b"], "--session= and --cookie= are only for check\nUsage: "),
    (["check", "--cookie=a=b"], "--cookie= is only for --session=\nUsage: "),
    (["check", "--session=a b"], "--session=a b must be one segment of a path\n"),
    (["check", "--session=x", "--cookie="], "--cookie=: empty\n"),
    (["check", "--session=x", "--cookie=a\nb"], "--cookie=: only printable ASCII is allowed\n"),
    (["check", "--session=x", "--cookie=@/nowhere"], "--cookie=@/nowhere: No such file or directory\n"),
    (["check", "--session=x", "--cookie=@/"], "--cookie=@/: Is a directory\n"),
    (["check", "--session=x", "--cookie=@/dev/null"], "--cookie=@/dev/null: empty\n"),
    (["check", "--session=x", "--cookie=@/dev/zero"], "--cookie=@/dev/zero: the line is longer than 64K\n"),
    (["check", "--session=x", "--cookie=@/proc/self/cmdline"],
     "--cookie=@/proc/self/cmdline: only printable ASCII is allowed\n"),
])
def test_a_mistake_is_said(gate, arguments, said):
    assert said in ctl(gate, *arguments, code=1)


def test_an_empty_word_is_quoted(gate):
    assert ctl(gate, "disconnect", "", code=4) == "No open session matches ''\n"
    assert ctl(gate, "status", "", code=4) == "No session matches ''\n"


def test_watch_looks_ten_times_a_second_at_most(gate):
    out = gate.run("sh", "-c", "timeout 1 novnc-gatectl --watch=1us --json=short; :")
    assert 3 <= out.count("\n") <= 11


# ---- disconnect

CLOSED = "MESSAGE_ID=930ee7b5ab8f48f2b1fb9892c90e56b8"


def test_disconnect_ends_that_session_and_no_other_and_says_which(gate):
    with sessions(gate, "4711", "4712") as (first, second):
        unit, client = gate.instance_of(first.sock), "%s:%d" % first.sock.getsockname()[:2]
        assert ctl(gate, "disconnect", "4711") == f"Disconnected session 4711, client {client} ({unit})\n"
        assert first.ended() and second.echoes()
        assert unit not in gate.instances()


@contextlib.contextmanager
def authorizing(user):
    """A Next.js that lets everybody open every session. Yields the configuration for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def respond():
            with contextlib.suppress(OSError):  # when it is closed
                while True:
                    with listener.accept()[0] as sock:
                        sock.recv(65536)
                        sock.sendall(f"HTTP/1.1 200 OK\r\nX-Novnc-User: {user}\r\nContent-Length: 0\r\n\r\n".encode())

        threading.Thread(target=respond, daemon=True).start()
        yield f"[NextJs]\nUrl=http://127.0.0.1:{listener.getsockname()[1]}\n[Authorization]\nPath=/may\n"


@pytest.mark.parametrize("id", ["i" * 415, "i" * 512, "i" * 513, "i" * 2000], ids=len)
def test_a_long_id_hides_neither_the_session_nor_its_user(gate, id):
    """The status has the id and the user as the journal has them."""
    shown = id if len(id) <= 512 else id[:509] + "..."
    with authorizing("alice" * 20) as authorization, gate.configured(authorization), \
            sessions(gate, id, id[:300]) as (first, second):
        rows = listed(gate)
        assert rows.keys() == {shown, id[:300]} and {row["user"] for row in rows.values()} == {"alice" * 20}
        [row] = json.loads(ctl(gate, "status", id, "--json=short"))
        assert row["open"] is True and row["session"] == shown
        assert ctl(gate, "disconnect", id).startswith(f"Disconnected session {shown} of alice")
        assert first.ended() and second.echoes()
        gate.sync()
        [row] = json.loads(ctl(gate, "status", id, "--json=short", code=3))
        assert row["session"] == shown and "Disconnecting session" in str(row["entries"])
        assert ctl(gate, "disconnect", "alice" * 20).startswith(f"Disconnected session {id[:300]} of alice")
        assert second.ended()


def test_disconnect_ends_all_also_if_nobody_reads_its_output(gate):
    with sessions(gate, "pipe-1", "pipe-2", "other") as (first, second, other):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([*gate.enter, "/usr/local/bin/novnc-gatectl", "disconnect", "pipe-*"],
                              stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, text=True)
        os.close(writer)
        assert done.returncode == 1 and done.stderr.startswith("Cannot write to standard output")
        assert first.ended() and second.ended() and other.echoes()


def test_disconnect_without_waiting_says_that_it_goes_on(gate):
    with sessions(gate, "4711") as (session,):
        assert ctl(gate, "disconnect", "--no-block", "4711").startswith("Disconnecting session 4711, client ")
        assert session.ended()


def test_disconnect_writes_who_and_why(gate):
    with sessions(gate, "who") as (session,):
        unit = gate.instance_of(session.sock)
        invocation = gate.property(unit, "InvocationID")
        ctl(gate, "disconnect", "who", "--reason=has left")
        assert session.ended()
    said = {e["SYSLOG_IDENTIFIER"]: e for e in gate.journal("NOVNC_GATE_SESSION=who")}["novnc-gatectl"]
    client = "%s:%d" % session.client
    assert said["MESSAGE"] == f"Disconnecting session who (client {client}) for root: has left"
    assert (said["NOVNC_GATE_BY"], said["NOVNC_GATE_REASON"], said["PRIORITY"]) == ("root", "has left", "5")
    assert (said["NOVNC_GATE_UNIT"], said["NOVNC_GATE_INVOCATION"]) == (unit, invocation)
    assert "NOVNC_GATE_USER" not in said
    [closed] = gate.journal("NOVNC_GATE_SESSION=who", CLOSED)
    assert "SIGTERM" in closed["NOVNC_GATE_REASON"]
    explained = gate.run("journalctl", "--catalog", "--no-pager", f"MESSAGE_ID={said['MESSAGE_ID']}")
    assert "root has ended session who" in explained


@pytest.mark.parametrize("change", ["mv socket aside", "mv socket aside; touch socket"])
def test_disconnect_says_if_the_journal_takes_no_entry(gate, change):
    with sessions(gate, "4711", "4712") as both:
        gate.run("sh", "-ec", f"cd /run/systemd/journal; {change}")
        try:
            out = ctl(gate, "disconnect", "4711", "4712")
        finally:
            gate.run("mv", "/run/systemd/journal/aside", "/run/systemd/journal/socket")
        assert out.count("Disconnected session") == 2
        assert out.count("The journal takes no entry about who has ended session 471") == 1
        assert all(session.ended() for session in both)


@pytest.mark.parametrize("word", ["{address}", "{address}:{port}", "{unit}", "{short}", "471[12]", "none 4711"])
def test_disconnect_takes_addresses_units_and_globs(gate, word):
    with sessions(gate, "4711", address="::1") as (first,), Session("4713") as other:
        assert other.echoes()
        address, port = first.sock.getsockname()[:2]
        [unit] = [row["unit"] for row in listed(gate).values() if row["session"] == "4711"]
        word = word.format(address=address if "port" not in word else f"[{address}]", port=port, unit=unit,
                           short=unit.removesuffix(".service"))
        out = ctl(gate, "disconnect", *word.split(), code=4 if "none" in word else 0)
        assert first.ended() and other.echoes()
        assert ("No open session matches none\n" in out) == ("none" in word)


def test_a_glob_for_more_than_one_session_and_all_is_refused_without_all(gate):
    with sessions(gate, "4711", "4712") as (first, second):
        out = ctl(gate, "disconnect", "47*", code=1)
        assert out == "47* matches all 2 open sessions; to disconnect them all, add --all\n"
        assert first.echoes() and second.echoes()
        assert ctl(gate, "disconnect", "127.0.0.1").count("Disconnected session") == 2   # an exact name
        assert first.ended() and second.ended()
    with sessions(gate, "4711", "4712") as (first, second):
        rows = json.loads(ctl(gate, "disconnect", "47*", "--all", "--json=short"))
        assert sorted(row["session"] for row in rows) == ["4711", "4712"]
        assert first.ended() and second.ended()


def test_disconnect_says_what_it_has_ended_before_it_waits(gate):
    with gate.drop_in("novnc-gate-http-@.service", "[Service]\nTimeoutStopSec=10s\nExecStopPost=/bin/sh -c "
                      "'until [ -e /run/may-end ]; do sleep 0.1; done'\n"), sessions(gate, "4711") as (session,):
        unit = gate.instance_of(session.sock)
        disconnect = subprocess.Popen([*gate.enter, "/usr/local/bin/novnc-gatectl", "disconnect", "4711"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            assert disconnect.stdout.readline().startswith("Disconnected session 4711, client ")
            assert gate.property(unit, "ActiveState") == "deactivating"
            assert ctl(gate, "--no-legend") == ""
        finally:
            gate.run("touch", "/run/may-end")
        assert disconnect.wait(PATIENCE) == 0
        gate.run("rm", "/run/may-end")


@pytest.mark.parametrize("arguments", [["disconnect"], ["disconnect", "--json=short"]])
def test_disconnect_waits_on_when_systemd_re_executes_itself(gate, arguments):
    with gate.drop_in("novnc-gate-http-@.service", "[Service]\nTimeoutStopSec=60s\nExecStopPost=/bin/sh -c "
                      "'until [ -e /run/may-end ]; do sleep 0.1; done'\n"), sessions(gate, "4711", "4712") as both:
        units = [gate.instance_of(session.sock) for session in both]
        disconnect = subprocess.Popen([*gate.enter, "/usr/local/bin/novnc-gatectl", *arguments, "4711", "4712"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True)
        try:
            for unit in units:
                wait_for(lambda: gate.property(unit, "ActiveState") == "deactivating")
            gate.run("systemctl", "daemon-reexec")
            assert {gate.property(unit, "ActiveState") for unit in units} == {"deactivating"}
            assert disconnect.poll() is None
        finally:
            gate.run("touch", "/run/may-end")
        out = disconnect.stdout.read()
        assert disconnect.wait(PATIENCE) == 0, out
        gate.run("rm", "/run/may-end")
        if "--json=short" in arguments:
            assert sorted(row["session"] for row in json.loads(out)) == ["4711", "4712"]
        else:
            assert sorted(line.split(",")[0] for line in out.splitlines()) == \
                ["Disconnected session 4711", "Disconnected session 4712"]


@pytest.mark.parametrize("arguments", ["list", "status -n0 4711", "status", "metrics"])
def test_what_is_read_is_read_again_when_systemd_re_executes_itself(gate, arguments):
    with sessions(gate, "4711"):
        assert gate.repeat_while_reexecuting(
            f"/usr/local/bin/novnc-gatectl {arguments} 2>&1 >/dev/null || echo $?") == ""


def test_others_may_not_disconnect(gate):
    gate.run("systemctl", "start", "dbus.socket")
    with sessions(gate, "4711") as (session,):
        assert "Access denied" in ctl(gate, "disconnect", "4711", code=1, user="nobody")
        assert session.echoes()
        assert ctl(gate, "disconnect", "4712", code=4) == "No open session matches 4712\n"


# ---- drain

SAYS = "The sockets stay stopped. To start them:\n    systemctl start novnc-gate.service\n"


@pytest.fixture
def started_again(gate):
    yield gate
    gate.start()


def test_drain_waits_until_nobody_is_left(started_again):
    gate = started_again
    with sessions(gate, "4711", "4712") as (first, second):
        drain = subprocess.Popen([*gate.enter, "/usr/local/bin/novnc-gatectl", "drain"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = [drain.stdout.readline() for _ in range(5)]
        assert said[0] == "Stopped novnc-gate.service: no new connections are accepted.\n"
        assert [line.split()[0] for line in said[2:4]] == ["4711", "4712"]
        assert said[4] == "2 connections are open.\n"
        with pytest.raises(ConnectionRefusedError):
            get()
        assert first.echoes() and second.echoes()
        first.close()
        assert drain.stdout.readline() == "1 connection is open: 4711 has ended.\n"
        assert drain.poll() is None
        second.close()
        assert drain.stdout.read() == "No connection is open: 4712 has ended.\n" + SAYS
        assert drain.wait() == 0


def test_drain_ends_after_its_time_and_the_sockets_stay_stopped(started_again):
    gate = started_again
    with sessions(gate, "4711") as (session,):
        out = ctl(gate, "drain", "--timeout=1s", code=1)
        assert out.endswith("The time is over: 1 connection is open.\n" + SAYS)
        assert session.echoes()
        assert gate.property("novnc-gate", "ActiveState") == "inactive"
        # once more, with nothing to stop
        again = ctl(gate, "drain", "--timeout=1s", code=1)
        assert again.startswith("No socket listens.\n") and again.endswith("systemctl start novnc-gate.service\n")


def test_json_of_drain_has_the_invocations(started_again):
    gate = started_again
    with sessions(gate, "4711") as (session,):
        invocation = gate.property(gate.instance_of(session.sock), "InvocationID")
        [row] = json.loads(ctl(gate, "drain", "--timeout=1500ms", "--json=short", code=1))
        assert (row["session"], row["invocation"]) == ("4711", invocation)


def test_ctrl_c_ends_drain_and_the_sockets_stay_stopped(started_again):
    gate = started_again
    with sessions(gate, "4711") as (session,):
        drain = subprocess.Popen([*gate.enter, "/usr/local/bin/novnc-gatectl", "drain"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_for(lambda: drain.stdout.readline() == "1 connection is open.\n")
        gate.run("pkill", "-INT", "-x", "novnc-gatectl")
        assert drain.stdout.read() == "Interrupted: 1 connection is open.\n" + SAYS
        assert drain.wait() == 1
        assert session.echoes()


def test_drain_goes_on_when_systemd_re_executes_itself(started_again):
    gate = started_again
    with sessions(gate, "4711", "4712") as (first, second):
        drain = subprocess.Popen([*gate.enter, "/usr/local/bin/novnc-gatectl", "drain"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_for(lambda: drain.stdout.readline() == "2 connections are open.\n")
        gate.run("systemctl", "daemon-reexec")
        first.close()
        assert drain.stdout.readline() == "1 connection is open: 4711 has ended.\n"
        gate.run("systemctl", "daemon-reexec")
        assert second.echoes()
        second.close()
        assert drain.stdout.read() == "No connection is open: 4712 has ended.\n" + SAYS
        assert drain.wait() == 0


def test_drain_stops_the_sockets_although_systemd_re_executes_itself_again_and_again(started_again):
    gate = started_again
    with gate.drop_in("novnc-gate.service", "[Service]\nTimeoutStopSec=60s\nExecStop=/bin/sh -c "
                      "'until [ -e /run/may-end ]; do sleep 0.1; done'\n"):
        drain = subprocess.Popen([*gate.enter, "/usr/local/bin/novnc-gatectl", "drain"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            wait_for(lambda: gate.property("novnc-gate", "ActiveState") == "deactivating")
            for _ in range(5):
                gate.run("systemctl", "daemon-reexec")
        finally:
            gate.run("touch", "/run/may-end")
        out = drain.communicate(timeout=PATIENCE)[0]
        gate.run("rm", "/run/may-end")
    assert out == "Stopped novnc-gate.service: no new connections are accepted.\nNo connection is open.\n" + SAYS
    assert drain.returncode == 0


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json=short"], ["drain"], ["metrics"]])
def test_where_nothing_is_installed_that_is_said(started_again, arguments):
    gate = started_again
    unit = gate.property("novnc-gate.service", "FragmentPath")
    gate.run("systemctl", "stop", "novnc-gate")
    gate.run("mv", unit, "/tmp/aside.service")
    try:
        gate.run("systemctl", "daemon-reload")
        assert re.fullmatch("Cannot .*: there is no novnc-gate.service; is novnc-gate installed\\?\n",
                            ctl(gate, *arguments, code=4))
    finally:
        gate.run("mv", "/tmp/aside.service", unit)
        gate.run("systemctl", "daemon-reload")


# ---- status

def test_the_status_of_a_session_has_its_entries(gate):
    with sessions(gate, "status-1", "other") as (session, _):
        unit = gate.instance_of(session.sock)
        gate.sync()
        out = ctl(gate, "status", "status-1")
        first, *lines = out.splitlines()
        assert first == "● status-1 - noVNC session"
        said = dict(line.strip().split(": ", 1) for line in lines[:lines.index("")])
        assert said["Unit"] == unit and said["Client"] == "%s:%d" % session.client
        assert said["User"] == "-" and said["Since"].endswith(" ago") and " up, " in said["Bytes"]
        assert said["Invocation"] == gate.property(unit, "InvocationID")
        entries = lines[lines.index("") + 1:]
        assert ["Handling noVNC connection" in entries[0], "Proxying: " in entries[1], len(entries)] == [True, True, 2]
        assert ctl(gate, "status", "status-1", "--lines=1").count("novnc-gate[") == 1
        assert ctl(gate, "status", "status-1", "-n0").count("novnc-gate[") == 0
        [row] = json.loads(ctl(gate, "status", unit, "--json=short"))
        assert row["open"] is True and row["session"] == "status-1" and len(row["entries"]) == 2


def test_the_status_of_a_session_that_was_cut_names_who_did_it(gate):
    with sessions(gate, "status-2") as (session,):
        ctl(gate, "disconnect", "status-2", "--reason=maintenance")
        assert session.ended()
    gate.sync()
    out = ctl(gate, "status", "status-2", code=3)
    assert out.startswith("○ status-2 - noVNC session, not open\n")
    assert "for root: maintenance" in out and "noVNC session closed" in out
    [row] = json.loads(ctl(gate, "status", "status-2", "--json=pretty", code=3))
    assert row["open"] is False and len(row["entries"]) == 4
    assert ctl(gate, "status", "nobody-has-it", code=4) == "No session matches nobody-has-it\n"


def test_the_status_of_a_session_whose_process_was_killed_says_so(gate):
    with sessions(gate, "status-killed") as (session,):
        gate.run("systemctl", "kill", "--signal=KILL", gate.instance_of(session.sock))
        assert session.ended()
    gate.sync()
    out = ctl(gate, "status", "status-killed", code=3)
    assert out.startswith("○ status-killed - noVNC session, not open: the process was killed by a signal\n")
    assert out.count(" novnc-gate[") == 2 and "systemd[1]: novnc-gate-http-" in out.splitlines()[-1]
    last = ctl(gate, "status", "status-killed", "--lines=1", code=3)
    assert last.splitlines()[0] == out.splitlines()[0] and last.splitlines()[2:] == out.splitlines()[-1:]


def test_the_status_of_a_session_without_any_entry_of_its_end_says_so(gate):
    """For systemd, SIGHUP is no failure."""
    with sessions(gate, "status-hup") as (session,):
        gate.run("systemctl", "kill", "--signal=HUP", gate.instance_of(session.sock))
        assert session.ended()
    gate.sync()
    assert ctl(gate, "status", "status-hup", code=3).splitlines()[0] == \
        "○ status-hup - noVNC session, not open: it ended at an unknown time, without a closing entry"


def test_entries_that_others_have_written_are_left_out_or_name_the_writer(gate):
    with sessions(gate, "status-3"):
        pass
    for id, fields in ("930ee7b5ab8f48f2b1fb9892c90e56b8", []), \
            ("5a5fc13451c94dc991b50c878634f521", ["NOVNC_GATE_BY=root", "NOVNC_GATE_MANAGER=system"]):
        gate.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-ec",
                 'printf "%s\\n" "$@" | logger --journald', "sh", f"MESSAGE_ID={id}", "MESSAGE=forged for root",
                 "NOVNC_GATE_SESSION=status-3", "SYSLOG_IDENTIFIER=novnc-gatectl", *fields)
    gate.sync()
    assert len([e for e in gate.journal("NOVNC_GATE_SESSION=status-3") if e["MESSAGE"] == "forged for root"]) == 2
    [forged] = [line for line in ctl(gate, "status", "status-3", code=3).splitlines() if "forged" in line]
    assert forged.endswith("]: forged for root (written by user nobody)")
    [row] = json.loads(ctl(gate, "status", "status-3", "--json=short", code=3))
    assert [e["uid"] for e in row["entries"] if "forged" in e["message"]] == ["65534"]


def test_the_status_of_a_session_has_no_entries_of_others(gate):
    with sessions(gate, "status-4") as (session,):
        ctl(gate, "disconnect", "status-4")
        assert session.ended()
    gate.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-ec",
             "printf 'MESSAGE=forged\\nNOVNC_GATE_SESSION=status-4\\n' | logger --journald")
    assert gate.journal("NOVNC_GATE_SESSION=status-4", "MESSAGE=forged")
    out = ctl(gate, "status", "status-4", code=3)
    assert "noVNC session closed" in out and "for root" in out and "forged" not in out
    [row] = json.loads(ctl(gate, "status", "status-4", "--lines=0", "--json=short", code=3))
    assert row["entries"] == []
    gate.run("systemctl", "start", "dbus.socket")
    assert ctl(gate, "status", "status-4", code=4, user="nobody") == \
        "No open session matches status-4. The journal shows no entries to this user; see journalctl(1).\n"


def test_the_status_shows_sockets_limits_sessions_and_the_check(gate):
    with sessions(gate, "4711", "4712"):
        out = ctl(gate, "status")
        assert out.startswith("● novnc-gate - accepts connections\n")
        assert re.search(r"novnc-gate.service: listens on \[::\]:3000, 32 of 32 sockets\n", out)
        assert re.search(r" 2 of at most 11264 connections; fullest socket: [12] of 352\n", out)
        assert "open: 2 sessions, 0 other connections\n" in out
        assert "; connections that run an earlier version: 0\n" in out
        assert "novnc-gate is ready.\n" in out
        status = json.loads(ctl(gate, "status", "--json=short"))
        assert (status["sessions"], status["connections"], status["earlier"]) == (2, 2, 0)
        assert [unit["listening"] for unit in status["units"]] == [32, 0, 0]
        assert status["check"]["verdict"] == "ready"
        assert "\x1b[0;1;32m●" in terminal(gate, 100, "status", environment=["TERM=xterm", "SYSTEMD_PAGERSECURE=1",
                                                                             "SYSTEMD_PAGER='sed p'"])
        # an upgrade: what is open runs the program from before it
        gate.run("sh", "-ec", "cd /usr/local/sbin; cp novnc-gate .new; mv .new novnc-gate")
        assert "; connections that run an earlier version: 2\n" in ctl(gate, "status")


def test_a_full_socket_and_refusals_are_seen(gate):
    wait_for(lambda: not gate.instances())
    with gate.drop_in("novnc-gate-http-.socket", "[Socket]\nMaxConnections=1\n"):
        gate.start(verb="restart")
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                stack.enter_context(socket.create_connection(("127.0.0.1", 3000), timeout=PATIENCE)).sendall(b"x")
            wait_for(lambda: json.loads(ctl(gate, "status", "--json=short"))["units"][0]["fullest"] == 1)
            status = json.loads(ctl(gate, "status", "--json=short"))["units"][0]
            assert (status["fullest"], status["fullest_limit"], status["limit"]) == (1, 1, 32)
            assert "fullest socket: 1 of 1\n" in ctl(gate, "status")
    gate.start(verb="restart")


def test_the_status_of_a_stopped_gate(started_again):
    gate = started_again
    gate.run("systemctl", "stop", "novnc-gate")
    out = ctl(gate, "status", code=3)
    assert out.startswith("○ novnc-gate - accepts no new connections\n")
    assert gate.run("env", "LANG=C", "novnc-gatectl", "status", check=False).startswith("* novnc-gate - ")
    assert "novnc-gate.service: does not listen (inactive)\n" in out


# ---- check

def test_check_has_the_verdict_first(gate):
    out = ctl(gate, "check")
    assert out.startswith("novnc-gate is ready.\n  ok ")
    assert "  ok       Next.js: http://127.0.0.1:3001 speaks HTTP (status 200)\n" in out
    assert "[Routes]" not in out
    verbose = ctl(gate, "check", "--verbose")
    assert "\n[Routes]\n" in verbose and "any other WebSocket -> 403\n" in verbose
    assert json.loads(ctl(gate, "check", "--json=short"))["verdict"] == "ready"
    assert "[Routes]" in json.loads(ctl(gate, "check", "--json=short", "--verbose"))["settings"]


def test_check_says_what_to_do(gate):
    with gate.configured("[MasterController]\nUrl=http://127.0.0.1:9\n"):
        out = ctl(gate, "check", code=1)
        assert out.startswith("novnc-gate is not ready: 1 error.\n  error    master-controller: http://127.0.0.1:9: "
                              "cannot connect to 127.0.0.1:9: Connection refused; start it, or correct Url= in "
                              "[MasterController]\n")
    with gate.configured("[MasterController]\nUlr=http://127.0.0.1:9\n") as conf:
        out = ctl(gate, "check", code=78)
        assert out.startswith(f"The configuration is invalid: 1 error.\n  error    {conf}:2: unknown key Ulr=")
        report = json.loads(ctl(gate, "check", "--json=pretty", code=78))
        assert report["verdict"] == "invalid" and report["results"][0]["level"] == "error"


def test_json_has_the_error_also_if_it_is_not_utf_8(gate):
    with gate.configured("") as conf:
        gate.run("sh", "-ec", f"printf '[MasterController]\\nUrl\\344=x\\n' >{conf}")
        [result] = json.loads(ctl(gate, "check", "--json=short", "--verbose", code=78))["results"]
        assert result["text"].startswith(f"{conf}:2: unknown key Url?=")


def test_check_says_why_it_could_not_check(gate):
    program, aside = "/usr/local/sbin/novnc-gate", "/usr/local/sbin/aside"
    assert json.loads(ctl(gate, "status", "--json=short"))["installed"] > 0
    gate.run("mv", program, aside)
    try:
        status = json.loads(gate.run("sh", "-c", "novnc-gatectl status --json=short 2>/dev/null"))
        assert (status["installed"], status["earlier"], status["check"]) == (None, None, None)
        assert ctl(gate, "check", code=1) == "Cannot run novnc-gate: No such file or directory\n"
        gate.run("sh", "-ec", f"printf '#!/bin/sh\\nkill $$\\n' >{program}; chmod +x {program}")
        assert ctl(gate, "check", code=1) == ("novnc-gate is not ready: 1 error.\n"
                                              "  error    novnc-gate was ended by a signal; Terminated\n")
        gate.run("sh", "-ec", f"printf '#!/nowhere\\n' >{program}; chmod +x {program}")
        assert ctl(gate, "check", code=1) == "Cannot run novnc-gate: No such file or directory\n"
    finally:
        gate.run("mv", aside, program)


def test_check_names_the_certificates_hosts_and_its_last_day(gate, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", "tls.key", "-out", "tls.crt", "-days", "30", "-subj", "/CN=x", "-addext",
                    "subjectAltName=DNS:dashboard.example,IP:192.0.2.1,IP:2001:db8::1"],
                   check=True, capture_output=True, cwd=tmp_path)
    try:
        for name in "tls.key", "tls.crt":
            gate.write(f"/etc/novnc-gate/{name}", (tmp_path / name).read_text())
        out = ctl(gate, "check")
        assert re.search(r"  ok       certificate for dashboard.example 192.0.2.1 2001:db8::1, until \w+ 20", out)
        found = json.loads(ctl(gate, "check", "--json=short"))["certificate"]
        assert found["hosts"] == ["dashboard.example", "192.0.2.1", "2001:db8::1"]
        assert 29 < (found["until"] / 1e6 - time.time()) / 86400 < 31
    finally:
        gate.run("rm", "-r", "/etc/novnc-gate")
    assert json.loads(ctl(gate, "check", "--json=short"))["certificate"] is None


def test_check_opens_a_session_step_by_step(gate):
    out = ctl(gate, "check", "--session=checked", "--cookie=a=b")
    steps = ["connected to port 3000 of this machine", "requested /api/auth/session/checked/novnc/websock",
             "the response is 101, with the right Sec-WebSocket-Accept"]
    places = [out.index(f"  ok       {step}\n") for step in steps]
    assert places == sorted(places)
    assert "the VM has sent nothing; is it on?" in out      # this master-controller only echoes
    wait_for(lambda: gate.journal("NOVNC_GATE_SESSION=checked", CLOSED))
    [closed] = gate.journal("NOVNC_GATE_SESSION=checked", CLOSED)
    assert (closed["NOVNC_GATE_CLOSED_BY"], closed["NOVNC_GATE_CLOSE_CODE"]) == ("client", "1000")


@contextlib.contextmanager
def tls_only(gate):
    """Only novnc-gate-tls.service listens; its certificate is for another host."""
    gate.run("sh", "-ec", "mkdir -p /etc/novnc-gate; cd /etc/novnc-gate; umask 077; openssl req -x509 -newkey ec "
             "-pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other.example -days 1 -keyout tls.key -out tls.crt "
             "2>/dev/null")
    gate.start("novnc-gate-tls")
    gate.run("systemctl", "stop", "novnc-gate")
    try:
        yield
    finally:
        gate.run("systemctl", "stop", "novnc-gate-tls")
        gate.run("rm", "-r", "/etc/novnc-gate")
        gate.start()


def test_check_opens_a_session_over_tls_if_only_that_listens(gate):
    with tls_only(gate):
        out = ctl(gate, "check", "--session=over-tls")
        steps = ["connected to port 3443 of this machine",
                 "the TLS handshake is done; the certificate is not verified, because the gate is on this machine",
                 "requested /api/auth/session/over-tls/novnc/websock without cookies",
                 "the response is 101, with the right Sec-WebSocket-Accept"]
        places = [out.index(f"  ok       {step}\n") for step in steps]
        assert places == sorted(places)
        wait_for(lambda: gate.journal("NOVNC_GATE_SESSION=over-tls", CLOSED))
        [closed] = gate.journal("NOVNC_GATE_SESSION=over-tls", CLOSED)
        assert (closed["NOVNC_GATE_CLOSED_BY"], closed["NOVNC_GATE_CLOSE_CODE"]) == ("client", "1000")
        with gate.configured("[MasterController]\nUrl=http://127.0.0.1:9\n"):
            assert "the response is 502: WebSocket proxy error: " in ctl(gate, "check", "--session=x", code=1)
        gate.write("/etc/novnc-gate/tls.crt", "")
        out = ctl(gate, "check", "--session=x", code=78)
        assert "  ok       connected to port 3443 of this machine\n" in out and "requested" not in out
        assert re.search("  error    TLS handshake: .+; see novnc-gatectl check without --session=\n", out)
    wait_for(lambda: not gate.instances())


def test_check_says_if_nothing_listens_and_opens_no_session_then(started_again):
    gate = started_again
    assert "listens" not in ctl(gate, "check")
    gate.run("systemctl", "stop", "novnc-gate")
    assert "  warning  no socket listens, so nobody can connect; systemctl start novnc-gate\n" in ctl(gate, "check")
    assert "  error    neither novnc-gate.service nor novnc-gate-tls.service listens; systemctl start novnc-gate\n" \
        in ctl(gate, "check", "--session=x", code=1)


@pytest.mark.parametrize("end", ["\nsecond line\n", "\r\nsecond line\r\n", "", "\r\n"])
def test_check_sends_the_cookies_of_a_file(gate, end):
    gate.write("/tmp/cookies", "session=3f9a1c5e; a=b" + end)
    with socket.create_server(("127.0.0.1", 0)) as controller, ThreadPoolExecutor() as pool, \
            gate.configured(f"[MasterController]\nUrl=http://127.0.0.1:{controller.getsockname()[1]}\n"):
        controller.settimeout(PATIENCE)
        out = pool.submit(ctl, gate, "check", "--session=checked", "--cookie=@/tmp/cookies", code=1)
        while b"checked" not in (head := received(controller)):     # the first one only asks if HTTP is spoken
            pass
        assert b"\r\ncookie: session=3f9a1c5e; a=b\r\n" in head.lower()
        assert "requested /api/auth/session/checked/novnc/websock\n" in out.result()


def received(listener):
    """The head of the next request, whose connection then ends."""
    with listener.accept()[0] as sock:
        return sock.recv(65536)


@contextlib.contextmanager
def declining_controller():
    """Responds with a 401 in chunks, and keeps the connection open. Yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        def respond():
            with contextlib.suppress(OSError):  # when it is closed
                while True:
                    sock = stack.enter_context(listener.accept()[0])
                    sock.recv(65536)
                    sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 b"13\r\nWho are you?\nReally\r\n0\r\n\r\n")

        threading.Thread(target=respond, daemon=True).start()
        yield listener.getsockname()[1]


def test_check_shows_the_step_at_which_a_session_fails(gate):
    with gate.configured("[MasterController]\nUrl=http://127.0.0.1:9\n"):
        out = ctl(gate, "check", "--session=checked", code=1)
        assert "error    the response is 502: WebSocket proxy error: master-controller refused the connection" in out
    with gate.configured("[MasterController]\nUrl=http://127.0.0.1:9\n[Routes]\nUpgradeErrors=close\n"):
        assert "Close with code 4502: master-controller refused" in ctl(gate, "check", "--session=checked", code=1)
    with declining_controller() as port, gate.configured(f"[MasterController]\nUrl=http://127.0.0.1:{port}\n"):
        start = time.monotonic()
        out = ctl(gate, "check", "--session=checked", code=1)
        assert "error    the response is 401: Who are you?; set --cookie= to the cookies of" in out
        assert time.monotonic() - start < 10     # the connection stays open
    assert "must be one segment" in ctl(gate, "check", "--session=a/b", code=1)
    assert re.search("error    the response is 403: .*[^.]; correct --session=", ctl(gate, "check", "--session=%2e%2e",
                                                                                   code=1))


def test_check_opens_no_session_where_each_connection_needs_a_proxy(gate):
    with gate.configured("[Client]\nProxyProtocol=yes\nTrustedProxies=192.0.2.9\n"):
        out = ctl(gate, "check", "--session=x", code=1)
        assert "error    each connection must begin with a PROXY header (ProxyProtocol=yes)" in out
        assert "connected to" not in out and "TLS handshake" not in out


# ---- many

MANY = """[Service]
ExecStart=
ExecStart=/src/build/novnc-gate-unconfined
"""


@pytest.mark.parametrize("count", [200, pytest.param(4000, marks=pytest.mark.long)])
def test_a_list_of_many_sessions_takes_two_seconds_at_most(gate, count):
    """With units that bring no seccomp program and a gate without its own: see MANY SESSIONS in novnc-gate(8)."""
    wait_for(lambda: not gate.instances())
    controller = peers.Backend("127.0.0.1")
    with gate.drop_in("novnc-gate-http-@.service", MANY), \
            gate.configured(f"[MasterController]\nUrl=http://127.0.0.1:{controller.port}\n"
                            # these clients take a Ping for the end
                            "[Limits]\nHeartbeatSec=0\n"):
        clients = peers.Clients(3000, count)
        try:
            wait_for(lambda: clients.standing.value + clients.refused.value == count, patience=1200)
            assert clients.refused.value == 0
            # the status of a session comes after its 101
            wait_for(lambda: len(ctl(gate, "list", "--no-legend").splitlines()) == count)
            took, cost = [], []
            for _ in range(3):
                before, start = gate.cpu_ms(), time.monotonic()
                rows = ctl(gate, "list", "--no-legend").splitlines()
                took.append(time.monotonic() - start)
                cost.append(gate.cpu_ms() - before)
                assert len(rows) == count
            print(f"{count} sessions: listed in {min(took):.2f} to {max(took):.2f} s; "
                  f"PID 1: {min(cost):.0f} to {max(cost):.0f} ms of CPU")
            assert min(took) <= 2, took
        finally:
            clients.kill()
            controller.kill()
            wait_for(lambda: not gate.instances(), patience=1200)
