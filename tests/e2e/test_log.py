"""The log: its entries, their reasons, and the secrets that it must not have."""

import contextlib
import datetime
import os
import pathlib
import re
import select
import signal
import socket
import tempfile
import time
from collections import Counter

import pytest

from gate import (DEADLINE, HOST, NOVNC, SECRET, Ended, head, refusing, request, response, switching,
                  upgrade)
from websocket import BINARY, closed, header, receive_close, send_close, unframed

HANDLING, PROXYING = f"Handling noVNC connection: {NOVNC}", f"Proxying: {NOVNC}"


def test_a_session_has_two_opening_sentences_and_one_closing_entry(world):
    c, b = world.tunnel(upgrade(NOVNC + f"?token={SECRET}", f"Cookie: {SECRET}",
                                f"Authorization: Bearer {SECRET}"))
    c.send(b"x")
    b.exactly(1)
    c.close()
    b.close()
    assert c.exited() == 0
    assert len(c.log) == 3, c.log
    assert c.log[:2] == [HANDLING, PROXYING]
    assert c.log[2] not in (HANDLING, PROXYING)


@pytest.mark.parametrize("end", ["client closes", "backend closes", "client resets",
                                 "backend resets"])
def test_one_closing_entry_however_it_ends(world, end):
    c, b = world.tunnel()
    assert c.pid
    first, second = (c, b) if "client" in end else (b, c)
    first.reset() if "resets" in end else first.close()
    closed(second)
    second.close()
    assert c.exited() == 0
    assert len(c.log) == 3 and c.log[:2] == [HANDLING, PROXYING], c.log


def test_the_sentences_come_when_they_become_true(world):
    c = world.client(upgrade())
    b = world.controller.asked()
    c.logged("^Handling noVNC connection: ")
    assert not any(line.startswith("Proxying") for line in c.log)
    b.send(switching())
    c.logged("^Proxying: ")


def test_pages_leave_no_entry(world):
    c = world.client()
    for target in ("/", "/x?y", NOVNC):
        c.send(request("GET", target))
        b, _ = world.nextjs.next()
        b.send(response(b"x"))
        c.response()
    c.close()
    assert c.exited() == 0 and c.log == []


def test_a_missing_page_leaves_no_entry(world):
    c = world.client()
    world.exchange(c, request(), response(b"x", status="404 Not Found"))
    c.close()
    assert c.exited() == 0 and c.log == []


LINE = re.compile(r'([0-9.]+) - (\S+) \[([^]]+)\] "([^"]*)" ([0-9]{3}|-) ([0-9]+|-) "([^"]*)" "([^"]*)"')


def combined(line):
    """The columns of a line in the combined log format."""
    found = LINE.fullmatch(line)
    assert found, line
    return found.groups()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_each_page_is_a_line_in_the_combined_format(world, level):
    world.configure(f"[Log]\nLevel={level}")
    c = world.client()
    for method, target, fields, sent in (
            ("GET", "/page/7", ("User-Agent: Mozilla/5.0 (X11)", "Referer: http://dash.example/list"), response(b"hello")),
            ("POST", "/form", (), response(b"", status="404 Not Found")),
            ("HEAD", "/head", (), head("HTTP/1.1 200 OK", "Content-Length: 7"))):
        c.send(request(method, target, *fields))
        b, _ = world.nextjs.next()
        b.send(sent)
        c.response(method)
    c.close()
    assert c.exited() == 0
    lines = [combined(line) for line in c.lines]
    assert [line[3:] for line in lines] == [
        ("GET /page/7 HTTP/1.1", "200", "5", "http://dash.example/list", "Mozilla/5.0 (X11)"),
        ("POST /form HTTP/1.1", "404", "0", "-", "-"),
        ("HEAD /head HTTP/1.1", "200", "0", "-", "-")]
    assert {line[:2] for line in lines} == {(c.address.rpartition(":")[0], "-")}
    for line in lines:
        ended = datetime.datetime.strptime(line[2], "%d/%b/%Y:%H:%M:%S %z")
        assert abs(ended.timestamp() - time.time()) < DEADLINE


@pytest.mark.parametrize("level", ["err", "warning", "notice"])
def test_pages_are_not_logged_below_level_info(world, level):
    world.configure(f"[Log]\nLevel={level}")
    c = world.client()
    world.exchange(c, request("GET", "/page/7"))
    c.close()
    assert c.exited() == 0 and c.lines == []


@pytest.mark.parametrize("referer, logged", [
    (f"http://dash.example/list?{SECRET}", "http://dash.example/list"),
    (f"http://dash.example/list#{SECRET}", "http://dash.example/list"),
    (f"http://dash.example/list#{SECRET}?a@b", "http://dash.example/list"),
    (f"http://dash.example?{SECRET}@b", "http://dash.example"),
    (f"http://alice:{SECRET}@dash.example/list", "-"),
    (f"//alice:{SECRET}@dash.example", "-"),
    ("http://dash.example/@alice", "http://dash.example/@alice"),
    ("about:blank", "about:blank"),
    (f"?{SECRET}", "-"), ("", "-"),
    ('" 200 1 "', "\\x22 200 1 \\x22"),
    ("x" * 600, "x" * 509 + "...")])
def test_nothing_private_of_a_page_is_logged(world, referer, logged):
    world.configure("[Log]\nLevel=info")
    c = world.client()
    world.exchange(c, request("GET", f"/page/7?token={SECRET}", f"Cookie: {SECRET}", f"Authorization: {SECRET}",
                              f"Referer: {referer}"))
    c.close()
    assert c.exited() == 0
    assert combined(c.lines[0])[3::3] == ("GET /page/7 HTTP/1.1", logged)
    assert SECRET not in c.lines[0]


def test_sessions_have_no_line_of_a_page(world):
    world.configure("[Log]\nLevel=info")
    c, b = world.tunnel()
    c.close()
    b.close()
    assert c.exited() == 0
    assert len(c.log) == 3 and not any(LINE.fullmatch(line) for line in c.lines)


def test_fields_that_are_dropped_show_at_level_debug_by_name_only(world):
    lines = (f"X_Forwarded_For: {SECRET}", "X-Passes: 1", f"_: {SECRET}", f"API_key:{SECRET}")
    dropped = "Dropping header fields with _ in their names: X_Forwarded_For, _, API_key"
    c = world.client()
    world.exchange(c, request("GET", "/x?y", *lines))
    c.close()
    assert c.exited() == 0 and c.log == []
    world.configure("[Log]\nLevel=debug")
    c = world.client()
    seen, _ = world.exchange(c, request("GET", "/x?y", *lines))
    assert seen["X-Passes"] == "1" and not any("_" in name for name, _ in seen.fields)
    c.logged(f"^{dropped} [(]GET /x, client ")
    c.close()
    assert c.exited() == 0
    assert len(c.log) == 2, c.log
    c, _ = world.tunnel(upgrade(NOVNC, *lines))
    c.logged(f"^{dropped} ")
    assert c.log[:2] == [HANDLING, dropped]


@pytest.mark.parametrize("names", [["a_" + "x" * 9] * 200, ["a_" + "x" * 30000], ["_" * 512],
                                   ["_" * 513], ["_" * 509, "_"], ["_" * 510, "_"]],
                         ids=["many", "a long one", "512", "513", "512 with two", "513 with two"])
def test_names_that_are_dropped_are_cut(world, names):
    world.configure("[Log]\nLevel=debug")
    c = world.client()
    world.exchange(c, request("GET", "/", *(f"{name}: b" for name in names)))
    c.logged("^Dropping header fields ")
    shown = c.log[0].removeprefix("Dropping header fields with _ in their names: ")
    whole = ", ".join(names)
    assert shown == (whole if len(whole) <= 512 else whole[:509] + "...")


def test_faults_show_at_level_warning_and_sessions_do_not(world):
    with refusing() as backend:
        world.configure("[Log]\nLevel=warning", controller=backend.url)
        c = world.client(upgrade())
        assert c.response().status == 502
        c.close()
        assert c.exited() == 0
    assert not any(line.startswith("Handling") for line in c.log)
    assert any(line.startswith("WebSocket proxy error: ") for line in c.log)


def test_a_refused_path_is_logged_without_its_query(world):
    c = world.client(upgrade(f"/evil/socket?token={SECRET}"))
    world.refused(c, 403)
    assert c.log == ["Rejecting non-noVNC connection: /evil/socket"]


def test_a_refused_origin_is_logged_with_both_values(world):
    c = world.client(upgrade(NOVNC, "Origin: http://evil.example", host="app.example"))
    world.refused(c, 403)
    assert len(c.log) == 1
    assert "http://evil.example" in c.log[0] and "app.example" in c.log[0]


@pytest.mark.parametrize("origin, shown", [
    (f"http://user:{SECRET}@evil.example", "@evil.example"),
    (f"http://user:x?{SECRET}@evil.example", "@evil.example"),
    (f"{SECRET}@evil.example", "@evil.example"),
    (f"http://evil.example?{SECRET}", "http://evil.example?"),
    (f"http://evil.example/x#{SECRET}", "http://evil.example/x#"),
    (f"http://user:x@evil.example/?{SECRET}", "@evil.example/?"),
])
def test_secrets_in_an_origin_are_not_logged(world, origin, shown):
    c = world.client(upgrade(NOVNC, f"Origin: {origin}", host="app.example"))
    world.refused(c, 403)
    assert c.log == [f"Rejecting WebSocket from another site: {NOVNC} "
                     f"(Origin {shown} does not match Host app.example)"]


def test_why_an_origin_is_refused(world, secure):
    http = f"http://{HOST}"
    for w, lines, why in (
            (world, [f"Origin: {http}", f"Origin: {http}"], f"more than one Origin, the first is {http}"),
            (secure, [f"Origin: {http}"], f"Origin {http} does not match https://{HOST}")):
        c = w.client(upgrade(NOVNC, *lines))
        w.refused(c, 403)
        assert c.log == [f"Rejecting WebSocket from another site: {NOVNC} ({why})"]


@pytest.mark.parametrize("target", [
    f"http://user:{SECRET}@app.example:3000/x", f"http://user:{SECRET}@app.example:3000{NOVNC}",
    f"http://evil.example{NOVNC}?{SECRET}", f"http://{SECRET}", f"http://?{SECRET}",
    f"ftp://user:{SECRET}@app.example:3000/", f"/x#{SECRET}", f"*?{SECRET}", f"?{SECRET}"])
@pytest.mark.parametrize("of", [request, upgrade])
def test_nothing_secret_of_a_refused_target_is_logged(world, target, of):
    world.configure("[Log]\nLevel=debug")
    world.refused(world.client(of(target=target)), 400)


def test_an_absolute_target_is_logged_as_its_path(world):
    world.configure("[Log]\nLevel=debug")
    c = world.client()
    world.exchange(c, request(target=f"http://{HOST}/x?{SECRET}"))
    c.close()
    assert c.exited() == 0 and combined(c.lines[-1])[3] == "GET /x HTTP/1.1"


@pytest.mark.parametrize("start, fields, status, who", [
    (f"TRACE /x?{SECRET} HTTP/1.1", (), 405, "TRACE /x, "),
    (f"CONNECT user:{SECRET}@vm.example:22 HTTP/1.1", (), 405, "CONNECT, "),
    (f"BREW /a%20b?{SECRET} HTTP/1.1", (), 501, "BREW /a%20b, "),
    ("M" * 600 + " / HTTP/1.1", (), 501, "M" * 509 + "... /, "),
    ("BREW /" + "a" * 600 + " HTTP/1.1", (), 501, "BREW /" + "a" * 508 + "..., "),
    ("POST /x HTTP/1.1", ("Transfer-Encoding: gzip, chunked",), 501, "POST /x, "),
    (f"GET /x?{SECRET} HTTP/2.0", (), 505, "GET /x, "),
    ("GET //a//b HTTP/1.9", (), 505, "GET //a//b, "),
    ("PRI * HTTP/2.0", (), 505, "PRI *, "),
    (f"GET http://user:{SECRET}@a/ HTTP/3.0", (), 505, "GET, "),
    # likewise, if a later line or the time is the reason
    ("GET /x HTTP/1.1", ("a b: c",), 400, "GET /x, "),
    ("GET /x HTTP/1.1", ("a: \x01",), 400, "GET /x, "),
    ("GET /x HTTP/1.1", ("a: " + "b" * 40000,), 431, "GET /x, "),
    # nothing, if there is no valid request line
    (f"GET /x#{SECRET} HTTP/1.1", (), 400, ""),
    ("GET /x HTTQ/1.1", (), 400, ""),
    ("G\xe9T /x HTTP/1.1", (), 400, ""),
    ("GET /\x07 HTTP/1.1", (), 400, "")], ids=lambda value: str(value)[:40])
def test_a_refused_head_is_logged_with_its_method_and_path(world, start, fields, status, who):
    c = world.client()
    world.exchange(c, request(target="/before"))
    c.send(head(start, f"Host: {HOST}", *fields))
    world.error(c, status)
    line, = c.lines
    assert line.startswith(f"Refusing request with {status}: ")
    assert line.endswith(f" ({who}client {c.address})"), line


def test_a_head_that_comes_too_slowly_is_logged_with_its_method_and_path(world):
    world.configure("[Limits]\nHeadTimeoutSec=1")
    for sent, who in (f"GET /x?{SECRET} HTTP/1.1\r\nHost:", "GET /x, "), ("GET /x HTTP/1.1\r", ""):
        c = world.client(sent.encode())
        world.error(c, 408)
        assert c.lines == [f"Refusing request with 408: timed out waiting for the request head"
                           f" ({who}client {c.address})"]


def test_a_failed_session_names_its_cause_once(world):
    with refusing() as backend:
        world.configure(controller=backend.url)
        c = world.client(upgrade(NOVNC + f"?{SECRET}"))
        assert c.response().status == 502
        c.close()
        assert c.exited() == 0
    assert c.log[0] == HANDLING and not any(line.startswith("Proxying") for line in c.log)
    errors = [line for line in c.log if line.startswith("WebSocket proxy error: ")]
    assert len(errors) == 1 and "refused" in errors[0].lower()
    assert len(c.log) <= 3


def test_a_refused_session_names_the_controllers_status(world):
    c = world.client(upgrade())
    b = world.controller.asked()
    b.send(response(b"who are you", status="401 Unauthorized"))
    assert c.response().status == 401
    c.close()
    assert c.exited() == 0
    assert c.log == [HANDLING, "WebSocket proxy error: master-controller responded with 401 instead of 101"]


@pytest.mark.parametrize("line", ["Content-Length: 1000", "Transfer-Encoding: chunked", "X: y"])
@pytest.mark.parametrize("how, then", [
    ("the controller resets", "the connection to master-controller failed: Connection reset by peer"),
    ("the controller stops", "master-controller stalled in the middle of a body"),
    ("the client resets", "the connection to the client failed: Connection reset by peer"),
    ("SIGTERM", "stopped by SIGTERM")])
def test_the_status_of_a_refused_session_is_logged_whatever_follows(world, line, how, then):
    """QEMU responds to a head of more than 4,096 bytes with 403 and resets."""
    world.configure(f"[Limits]\nBodyTimeoutSec={'300ms' if 'stops' in how else '60s'}")
    c = world.client(upgrade())
    b = world.controller.asked()
    b.send(head("HTTP/1.1 403 Forbidden", line), b"5\r\nhello\r\n")
    assert c.until(b"hello").startswith(b"HTTP/1.1 403 ")
    if how == "SIGTERM":
        os.kill(c.pid, signal.SIGTERM)
    elif "stops" not in how:
        (b if "controller" in how else c).reset()
    assert c.exited() == 0
    assert c.log == [HANDLING, "WebSocket proxy error: master-controller responded with 403 instead of 101, "
                     f"then: {then}"]


@pytest.mark.parametrize("first, second", [("client", "controller"), ("controller", "client")])
@pytest.mark.parametrize("how", ["closes", "resets"])
def test_a_closing_entry_names_the_side_that_ended_first(world, first, second, how):
    """Where no Close says who wanted to end: bytes that are no frames."""
    c, b = unframed(*world.tunnel())
    ends = {"client": (c, "the client"), "controller": (b, "master-controller")}
    ends[first][0].half_close()
    assert ends[second][0].end() == "FIN"
    ends[second][0].reset() if how == "resets" else ends[second][0].close()
    assert c.exited() == 0
    then = f", then the connection to {ends[second][1]} failed: Connection reset by peer" if how == "resets" else ""
    assert c.log[-1].startswith(f"noVNC session closed: {NOVNC} ({ends[first][1]} closed first{then}; "
                                "1 bytes up, ")


@pytest.mark.parametrize("who", ["client", "controller"])
def test_a_closing_entry_names_the_side_that_reset(world, who):
    c, b = world.tunnel()
    assert c.pid
    (c if who == "client" else b).reset()
    assert c.exited() == 0
    side = "the client" if who == "client" else "master-controller"
    assert f" (the connection to {side} failed: Connection reset by peer; " in c.log[-1]


def test_a_session_that_is_stopped_is_logged_as_stopped(world):
    c, _ = world.tunnel()
    os.kill(c.pid, signal.SIGTERM)
    assert c.exited() == 0
    assert c.log[-1].startswith(f"noVNC session closed: {NOVNC} (stopped by SIGTERM; 0 bytes up, ")


def test_each_entry_names_its_client_and_request(world):
    """So that a single warning is enough to find its cause."""
    with refusing() as backend:
        world.configure("[Log]\nLevel=debug", controller=backend.url)
        failed = world.client(upgrade())
        assert failed.response().status == 502
        failed.close()
        assert failed.exited() == 0
        world.configure("[Log]\nLevel=debug", nextjs=backend.url)
        page = world.client(request("POST", f"/page?{SECRET}", body=b"x"))
        assert page.response().status == 502
        page.close()
        assert page.exited() == 0
    assert failed.lines == [
        f"{HANDLING} (client {failed.address})",
        f"WebSocket proxy error: cannot connect to {backend.authority}: Connection refused "
        f"(GET {NOVNC}, session s-1, client {failed.address})"]
    assert page.lines[:-1] == [f"Proxy error: cannot connect to {backend.authority}: Connection refused "
                               f"(POST /page, client {page.address})"]
    assert combined(page.lines[-1])[3:5] == ("POST /page HTTP/1.1", "502")
    world.configure("[Log]\nLevel=debug")
    refused = world.client(upgrade("/evil"))
    world.refused(refused, 403)
    assert refused.lines == [f"Rejecting non-noVNC connection: /evil (client {refused.address})"]
    malformed = world.client(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    world.refused(malformed, 400)
    assert malformed.lines == [f"Refusing request with 400: malformed header field "
                               f"(GET /, client {malformed.address})"]


def test_a_client_that_stops_reading_is_logged_with_its_status(world):
    world.configure("[Limits]\nBodyTimeoutSec=1500ms\n[Log]\nLevel=debug")
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", "Content-Length: 100000000"))
    try:
        for _ in range(1000):
            b.send(bytes(100_000))
    except (OSError, Ended):
        pass
    assert c.exited() == 0
    assert combined(c.lines[-1])[3:5] == ("GET / HTTP/1.1", "200")


def test_stopping_before_the_response_is_the_gates_own_503(world):
    c = world.client(request())
    world.nextjs.asked()
    os.kill(c.pid, signal.SIGTERM)
    assert c.response().status == 503
    c.close()
    assert c.exited() == 0
    assert c.log == ["Refusing request with 503: stopped by SIGTERM"]


@pytest.fixture
def full_pipe():
    """The write end of a full pipe that nobody reads."""
    unread, full = os.pipe()
    os.set_blocking(full, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full, bytes(4096))
    os.set_blocking(full, True)
    yield full
    os.close(unread)
    os.close(full)


def test_a_log_that_nobody_reads_holds_up_no_connection(world, full_pipe):
    world.configure("[Log]\nLevel=debug")
    c = world.direct(request(), stderr=full_pipe)
    b = world.nextjs.asked()
    b.send(response(b"x"))
    assert c.response().status == 200
    c.close()
    assert c.exited() == 0


@pytest.fixture
def journal(full_pipe):
    """The socket of a journal that does not read standard error, and arguments for its gate."""
    with tempfile.TemporaryDirectory() as run, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        path = pathlib.Path(run, "systemd/journal/socket")
        path.parent.mkdir(parents=True)
        journal.bind(str(path))
        journal.settimeout(DEADLINE)
        st = os.fstat(full_pipe)
        yield journal, {"stderr": full_pipe, "env": {"JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"},
               "wrapper": ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]),
                           "sh", "-c", f'mount --bind {run} /run && exec "$@"', "sh"]}


@pytest.fixture
def stopped_journal(journal):
    """It has stopped reading its socket as well."""
    path = journal[0].getsockname()
    room = True
    while room:     # from several sockets, for each has a limit of its own
        room = False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, \
                contextlib.suppress(BlockingIOError):
            while True:
                sender.sendto(b"x", socket.MSG_DONTWAIT, path)
                room = True
    return journal


def received_fields(journal):
    """Those of an entry that a gate has sent, in which none has two lines; else of what has filled the queue, none."""
    datagram = journal.recv(1 << 16)
    return dict(line.split("=", 1) for line in datagram.decode().splitlines() if datagram != b"x")


def next_fields(journal):
    """Those of the next entry that a gate has sent."""
    while not (fields := received_fields(journal)):
        pass
    return fields


def next_entry(journal):
    """Its message."""
    return next_fields(journal)["MESSAGE"]


def test_a_journal_that_stopped_reading_holds_up_no_refusal(world, stopped_journal):
    journal, arguments = stopped_journal
    c = world.direct(upgrade("/evil/socket"), **arguments)
    assert c.response().status == 403
    assert c.end() == "FIN"
    c.close()
    assert next_entry(journal).startswith("Rejecting non-noVNC connection: /evil/socket")
    assert c.exited() == 0


def test_a_journal_that_stopped_reading_holds_up_no_session_and_no_end(world, stopped_journal):
    """The entries are sent when it reads again, in their order."""
    journal, arguments = stopped_journal
    c = world.direct(upgrade(), **arguments)
    b = world.tunnel_of(c)
    os.kill(c.pid, signal.SIGTERM)
    assert [code for code, _ in closed(c, b)] == [1001, 1001]
    for beginning in "Handling noVNC connection:", "Proxying:", "noVNC session closed:":
        assert next_entry(journal).startswith(beginning)
    b.close()
    assert c.exited() == 0


def test_entries_without_room_are_sent_when_a_tunnel_comes_to_rest(world, stopped_journal):
    journal, arguments = stopped_journal
    c = world.direct(upgrade(), **arguments)
    b = world.tunnel_of(c)
    journal.recv(1)     # this makes room
    journal.recv(1)
    b.send(bytes(65536))
    assert len(c.exactly(65536)) == 65536
    for beginning in "Handling noVNC connection:", "Proxying:":
        assert next_entry(journal).startswith(beginning)
    c.close()
    b.close()
    assert c.exited() == 0


def test_entries_have_the_id_and_the_client_of_the_request(world, journal):
    journal, arguments = journal
    world.configure("[Client]\nTrustedProxies=127.0.0.1")
    world.said = ("203.0.113.9",)
    for lines, said in (((), None), (("X-Request-Id: a\\b", "X-Forwarded-For: 203.0.113.9"),
                                     ("a\\x5cb", "203.0.113.9"))):
        c = world.direct(upgrade(NOVNC, *lines), **arguments)
        b = world.tunnel_of(c)
        c.close()
        b.close()
        assert c.exited() == 0
        for fields in (next_fields(journal) for _ in range(3)):
            assert (fields["NOVNC_GATE_REQUEST_ID"], fields["NOVNC_GATE_CLIENT"]) == \
                (said or (f"novnc-gate[{c.pid}]-1", c.address))


def closing_fields(journal):
    """Who closed and with which code, in the closing entry."""
    while not (fields := next_fields(journal))["MESSAGE"].startswith("noVNC session closed: "):
        pass
    return fields.get("NOVNC_GATE_CLOSED_BY"), fields.get("NOVNC_GATE_CLOSE_CODE")


def terminate(c):
    os.kill(c.pid, signal.SIGTERM)


def close_first(first, second, code):
    send_close(first, code)
    assert receive_close(second) == (code, "")


def close_both(first, second, code):
    close_first(first, second, code)
    send_close(second, code)
    assert receive_close(first) == (code, "")


def begin_frame(first, second):
    first.send(header(first, BINARY, 1000) + b"x")
    second.exactly(len(header(first, BINARY, 1000)) + 1)


GATE, CONTROLLER = "novnc-gate", "master-controller"


@pytest.mark.parametrize("by, code, steps", [
    pytest.param(by, code, steps, id=name) for name, by, code, steps in (
        ("client", "client", 1000, lambda c, b: close_both(c, b, 1000)),
        ("controller", CONTROLLER, 4001, lambda c, b: close_both(b, c, 4001)),
        ("client without a code", "client", 1005, lambda c, b: close_both(c, b, 1005)),
        ("controller without a code", CONTROLLER, 1005, lambda c, b: close_both(b, c, 1005)),
        ("no answer of the controller", "client", 4001,
         lambda c, b: (close_first(c, b, 4001), receive_close(c))),
        ("no answer of the client", CONTROLLER, 4001,
         lambda c, b: (close_first(b, c, 4001), receive_close(b))),
        ("end instead of an answer", "client", 4001, lambda c, b: (close_first(c, b, 4001), b.reset())),
        ("SIGTERM after a Close", "client", 4001, lambda c, b: (close_first(c, b, 4001), terminate(c))),
        ("SIGTERM", GATE, 1001, lambda c, b: (terminate(c), closed(c, b))),
        ("SIGTERM in a frame up", GATE, 1001,
         lambda c, b: (begin_frame(c, b), terminate(c), receive_close(c))),
        ("SIGTERM in a frame down", GATE, 1001,
         lambda c, b: (begin_frame(b, c), terminate(c), receive_close(b))),
        ("client ends", GATE, 1001, lambda c, b: (c.close(), closed(b))),
        ("client resets", GATE, 1001, lambda c, b: (c.reset(), closed(b))),
        ("client resets in a frame", None, None, lambda c, b: (begin_frame(c, b), c.reset(), b.end())),
        ("controller ends", GATE, 1014, lambda c, b: (b.close(), closed(c))),
        ("controller resets", GATE, 1014, lambda c, b: (b.reset(), closed(c))),
        ("controller resets in a frame", None, None, lambda c, b: (begin_frame(b, c), b.reset(), c.end())),
        ("no frames", None, None, lambda c, b: (unframed(c, b), c.close())),
        ("SIGTERM without frames", None, None, lambda c, b: (unframed(c, b), terminate(c))))])
def test_the_closing_entry_says_who_closed_and_with_which_code(world, journal, by, code, steps):
    """The answer to a Close of the gate's own is not the one that closed."""
    journal, arguments = journal
    world.configure("[Limits]\nLingerTimeoutSec=300ms")
    c = world.direct(upgrade(), **arguments)
    b = world.tunnel_of(c)
    steps(c, b)
    c.close()
    b.close()
    assert closing_fields(journal) == (by, str(code) if code else None)


@pytest.mark.parametrize("key, code", [("IdleTimeoutSec", 1008), ("SessionTimeoutSec", 1008),
                                       ("HeartbeatSec", 1001)])
def test_the_closing_entry_has_the_code_of_a_time_limit(world, journal, key, code):
    journal, arguments = journal
    world.configure(f"[Limits]\n{key}=300ms")
    c = world.direct(upgrade(), **arguments)
    b = world.tunnel_of(c)
    receive_close(b)
    c.close()
    b.close()
    assert closing_fields(journal) == (GATE, str(code))


@pytest.mark.parametrize("by, code, steps", [
    ("client", 1000, lambda c, b: close_both(c, b, 1000)),
    ("Next.js", 4001, lambda c, b: close_both(b, c, 4001)),
    (GATE, 1014, lambda c, b: (b.close(), closed(c))),
    (GATE, 1001, lambda c, b: (terminate(c), closed(c, b)))],
    ids=["client", "Next.js", "Next.js ends", "SIGTERM"])
def test_the_last_entry_of_hot_reload_says_who_closed(world, journal, by, code, steps):
    journal, arguments = journal
    world.configure("[Log]\nLevel=debug")
    c = world.direct(upgrade("/_next/hmr"), **arguments)
    steps(c, world.tunnel_of(c, backend=world.nextjs))
    c.close()
    while (fields := next_fields(journal))["MESSAGE_ID"] != "7410a07c4af74bc28cd51187a8a50141":
        pass
    assert (fields["NOVNC_GATE_CLOSED_BY"], fields["NOVNC_GATE_CLOSE_CODE"]) == (by, str(code))


def test_exits_are_spread_although_the_journal_had_no_room(world, stopped_journal, spread):
    """Each process waits until the journal has its entries, and then its own random time."""
    journal, arguments = stopped_journal
    stopped, *others = spread(2000, 21, **arguments)    # up to 16 s for the tunnel, and 8 s
    stopped.send(upgrade())
    b = world.tunnel_of(stopped)
    os.kill(stopped.pid, signal.SIGTERM)
    assert [code for code, _ in closed(stopped, b)] == [1001, 1001]
    processes = {os.pidfd_open(stopped.pid): stopped.address}
    for c in others:
        c.send(upgrade("/evil/socket"))
        assert c.response().status == 403
        assert c.end() == "FIN"
        c.close()
        processes[os.pidfd_open(c.pid)] = c.address
    # With few processes, the wait for the journal would be over; then some of these random times.
    assert select.select(processes, [], [], 15 + 4) == ([], [], [])

    sentences, since, waited = Counter(), {}, []
    while processes:
        ready = select.select([journal, *processes], [], [], 10 + 16 + DEADLINE)[0]
        assert ready
        for fd in ready:
            if fd is not journal:
                waited.append(time.monotonic() - since[processes.pop(fd)])
                os.close(fd)
            elif fields := received_fields(journal):
                sentences[fields["MESSAGE"].partition(":")[0]] += 1
                since[fields["NOVNC_GATE_CLIENT"]] = time.monotonic()
    assert max(waited) - min(waited) > 1    # else they were not spread
    assert sentences == {"Rejecting non-noVNC connection": 20, "Handling noVNC connection": 1, "Proxying": 1,
                         "noVNC session closed": 1}


@pytest.mark.long
def test_processes_without_room_exit_one_after_another(world, stopped_journal, spread):
    """Between 45 and 135 s after their end."""
    _, arguments = stopped_journal
    processes = {}
    for c in spread(100000, 20, **arguments):
        c.send(upgrade())
        b = world.tunnel_of(c)
        os.kill(c.pid, signal.SIGTERM)
        assert [code for code, _ in closed(c, b)] == [1001, 1001]
        processes[os.pidfd_open(c.pid)] = c
    for _ in range(2):
        exited = select.select(processes, [], [], 120)[0]
        assert len(exited) == 1
        assert processes.pop(exited[0]).exited() == 0
        os.close(exited[0])
    for fd in processes:
        os.close(fd)


def test_hot_reload_is_no_novnc_session(world):
    c, b = world.tunnel(upgrade("/_next/hmr"), backend=world.nextjs)
    c.close()
    b.close()
    assert c.exited() == 0
    assert not any("noVNC" in line for line in c.log)


def test_the_log_of_each_session_down_one_connection(world):
    """A refused session, then one with a tunnel."""
    c = world.client(upgrade())
    b = world.controller.asked()
    b.send(response(b"", status="503 Service Unavailable"))
    c.response()
    c.send(upgrade(NOVNC.replace("s-1", "s-2")))
    b, _ = world.controller.next()
    b.send(switching())
    c.response()
    c.close()
    b.close()
    assert c.exited() == 0
    assert f"Handling noVNC connection: {NOVNC.replace('s-1', 's-2')}" in c.log
    assert f"Proxying: {NOVNC.replace('s-1', 's-2')}" in c.log
    assert f"Proxying: {NOVNC}" not in c.log


# Hostile bytes; World.finish() checks after each test that every line is printable

@pytest.mark.parametrize("value", [
    "\x9b31mred", "\xe2\x80\xae", "\xff\xfe", "http://\xc3\xa4.example", "a\tb", "%s%n%x",
    "http://evil.example\\nProxying: /x"],
    ids=["CSI", "right-to-left override", "no UTF-8", "umlaut", "tab", "percent", "escapes"])
def test_hostile_origins_are_escaped(world, value):
    c = world.client(upgrade(NOVNC, f"Origin: {value}"))
    world.refused(c, 403)
    assert len(c.log) == 1


@pytest.mark.parametrize("target", [
    "/%0aProxying:%20/x", "/%1b[31m", "/%s%n%d", "/\xff\x9b", "/\xe2\x80\xae", "/a\"b'c"])
def test_hostile_paths_are_escaped(world, target):
    c = world.client(upgrade(target))
    assert c.response().status in (403, 400)
    c.close()
    assert c.exited() == 0 and len(c.log) == 1


def test_a_long_path_is_cut(world):
    c = world.client(upgrade("/" + "a" * 30000))
    world.refused(c, 403)
    assert c.log == ["Rejecting non-noVNC connection: /" + "a" * 508 + "..."]


def test_a_path_is_cut_only_where_it_is_too_long(world):
    for path, shown in (("/" + "a" * 511, "/" + "a" * 511), ("/" + "a" * 512, "/" + "a" * 508 +
                                                             "...")):
        c = world.client(upgrade(path))
        world.refused(c, 403)
        assert c.log == [f"Rejecting non-noVNC connection: {shown}"]


def test_a_long_origin_is_cut(world):
    c = world.client(upgrade(NOVNC, "Origin: http://" + "a" * 30000))
    world.refused(c, 403)
    assert len(c.log) == 1 and c.log[0].endswith("aaa...)") and len(c.log[0]) < 1024


@pytest.mark.parametrize("length, shown", [(300, ", id {id}"), (600, "aaa...")])
def test_a_long_session_id_is_cut_only_where_it_is_too_long(world, tmp_path, length, shown):
    session = "a" * length
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE)
        c = world.direct(upgrade(NOVNC.replace("s-1", session)),
                         env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        world.tunnel_of(c)
        status = manager.recv(4096).decode()
    assert status.startswith(f"STATUS=noVNC session, client {c.address}, connection 127.0.0.1:")
    assert f"-{world.controller.url.removeprefix('http://')}, id aaa" in status
    assert status.endswith(shown.format(id=session))


@pytest.mark.parametrize("sent", [b"\x1b[2J\x9b evil\r\n\r\n", b"HTTP/1.1 2\x1b0 OK\r\n\r\n"])
def test_control_characters_of_a_backend_are_escaped(world, sent):
    c = world.client(upgrade())
    b = world.controller.asked()
    b.send(sent)
    world.error(c, 502)


def test_an_error_response_repeats_nothing_of_the_origin(world):
    c = world.client(upgrade(NOVNC, "Origin: http://<script>\xff"))
    assert b"<script>" not in world.refused(c, 403).body
