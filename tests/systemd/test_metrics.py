"""novnc-gatectl metrics: what Prometheus gets, over HTTP and from real entries."""

import contextlib
import datetime
import json
import os
import re
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from machine import PATIENCE, TREE, VERSION, Session, accept_of, wait_for

PORT = 9464
STATE = "/var/lib/novnc-gate/metrics.json"
PROMTOOL = shutil.which("promtool", path=f"{TREE}/build/bench/debian/usr/bin:{os.environ['PATH']}")


def http(message, port=PORT):
    """Sends bytes, and returns the response: status, fields, content."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(message)
        head, _, content = sock.makefile("rb").read().partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), content.decode()


def scrape_text():
    status, fields, content = http(b"GET /metrics HTTP/1.1\r\nHost: localhost:9464\r\n\r\n")
    assert status == 200, content
    return content


def parsed(text):
    return {name: float(value) for name, value in
            (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))}


def scrape():
    return parsed(scrape_text())


def grown(before, after):
    """The counters that differ."""
    return {name: round(after[name] - before[name], 3) for name in after
            if after[name] != before.get(name) and not name.endswith("_open")}


@pytest.fixture(scope="module")
def serving(gate):
    """Once for all tests: systemd starts no unit more than five times in ten seconds."""
    gate.run("systemctl", "start", "novnc-gate-metrics.socket")
    yield gate
    gate.run("systemctl", "stop", "novnc-gate-metrics.socket")


@pytest.fixture
def metrics(serving):
    wait_for(lambda: not serving.instances())
    return serving


@contextlib.contextmanager
def closed_session(gate, name="4711", data=b"hello"):
    with Session(name) as session:
        assert session.status == 101 and session.echoes(data)
        yield session
    wait_for(lambda: not gate.instances())
    gate.sync()


def test_nothing_listens_unless_it_is_enabled(gate):
    assert gate.property("novnc-gate-metrics.socket", "ActiveState") == "inactive"
    assert gate.run("systemctl", "is-enabled", "novnc-gate-metrics.socket", check=False).strip() == "disabled"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", PORT))


def test_it_is_a_complete_response_in_prometheus_text_format(metrics):
    status, fields, content = http(b"GET /metrics HTTP/1.1\r\nHost: localhost:9464\r\nAccept: text/plain\r\n\r\n")
    assert status == 200 and fields["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert fields["Connection"] == "close" and int(fields["Content-Length"]) == len(content)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields["Date"])
    assert content.endswith("\n") and parsed(content)[f'novnc_gate_build_info{{version="{VERSION}"}}'] == 1


@pytest.mark.parametrize("message, status", [
    (b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    (b"GET /metrics?x=y HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 405),
    (b"GET /metrics HTTP/1.1\nHost: x\n\n", 400),
    (b"GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20000, 431)])
def test_each_request_gets_its_response(metrics, message, status):
    got, fields, content = http(message)
    assert got == status and fields["Connection"] == "close"
    assert bool(content) == (not message.startswith(b"HEAD"))
    if status == 405:
        assert fields["Allow"] == "GET, HEAD"


@pytest.mark.skipif(not PROMTOOL, reason="no promtool: make deps")
def test_promtool_has_nothing_to_say(metrics):
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=scrape_text(), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def families(text):
    """Type and labels of each metric, and the values of labels that are words."""
    found, words = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            found[name] = (kind, set())
        elif not line.startswith("#"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            labels.pop("le", None)
            found[name][1].update(labels)
            words |= {value for key, value in labels.items() if key != "version"}
    return found, words


def in_manual(manual):
    return {name: (kind, set(label.split())) for name, kind, label in
            re.findall(r"^\.It Li (novnc_gate_\w+) Pq (\w+)(?: , Li (.*))?$", manual, re.M)}


def test_the_manual_has_each_metric_with_its_type_and_labels(metrics):
    manual = (TREE / "man/novnc-gatectl.1").read_text()
    with certificate(metrics):
        found, words = families(scrape_text())
    assert found == in_manual(manual) and len(found) == 14
    section = manual[manual.index(".Sh METRICS"):manual.index(".Sh ENVIRONMENT")]
    assert words <= set(re.findall(r"\w+", section))


def test_a_session_counts_once_with_its_duration_and_bytes(metrics):
    before = scrape()
    with closed_session(metrics, data=b"x" * 5000):
        assert scrape()["novnc_gate_sessions_open"] == 1
    after = scrape()
    more = grown(before, after)
    assert more.pop('novnc_gate_sessions_ended_total{outcome="client_closed"}') == 1
    assert more['novnc_gate_session_bytes_sum{direction="up"}'] == 5000
    assert more['novnc_gate_session_bytes_sum{direction="down"}'] == 5000
    assert 'novnc_gate_session_bytes_bucket{direction="up",le="1000"}' not in more
    assert more['novnc_gate_session_bytes_bucket{direction="up",le="10000"}'] == 1
    assert more['novnc_gate_session_bytes_bucket{direction="up",le="+Inf"}'] == 1
    assert more["novnc_gate_session_duration_seconds_count"] == 1
    assert 0 < more["novnc_gate_session_duration_seconds_sum"] < PATIENCE
    assert more["novnc_gate_session_open_seconds_count"] == 1
    assert more['novnc_gate_session_open_seconds_bucket{le="+Inf"}'] == 1
    assert more['novnc_gate_connections_accepted_total{kind="http"}'] == 1
    assert grown(after, scrape()) == {}


def test_a_request_and_its_acceptance_may_be_in_different_scrapes(metrics):
    with socket.create_server(("127.0.0.1", 0)) as controller, ThreadPoolExecutor() as pool, \
            metrics.configured(f"[MasterController]\nUrl=http://127.0.0.1:{controller.getsockname()[1]}\n"):
        before = scrape()
        opening = pool.submit(Session)
        upstream, _ = controller.accept()
        with upstream:
            key = re.search(r"(?i)^sec-websocket-key: (\S+)", upstream.recv(65536).decode(), re.M)[1]
            metrics.sync()
            assert "novnc_gate_session_open_seconds_count" not in grown(before, scrape())
            assert len(json.loads(metrics.read(STATE))["begun"]) == 1
            upstream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept_of(key).encode())
            opening.result().close()
    wait_for(lambda: not metrics.instances())
    metrics.sync()
    assert grown(before, scrape())["novnc_gate_session_open_seconds_count"] == 1
    assert json.loads(metrics.read(STATE))["begun"] == {}


def test_refusals_count_by_reason(metrics):
    before = scrape()
    with Session(path="/evil/socket") as refused:
        assert refused.status == 403
    with socket.create_connection(("127.0.0.1", 3000), timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 400 ")
    wait_for(lambda: not metrics.instances())
    metrics.sync()
    more = grown(before, scrape())
    assert more['novnc_gate_refusals_total{reason="path"}'] == 1
    assert more['novnc_gate_refusals_total{reason="malformed"}'] == 1
    assert not any(name.startswith("novnc_gate_sessions_ended") for name in more)


def test_failures_count_by_reason(metrics):
    before = scrape()
    with metrics.configured("[MasterController]\nUrl=http://127.0.0.1:9\n"), Session() as failed:
        assert failed.status == 502
    wait_for(lambda: not metrics.instances())
    metrics.sync()
    more = grown(before, scrape())
    assert more['novnc_gate_failures_total{reason="connect"}'] == 1
    assert more['novnc_gate_sessions_ended_total{outcome="not_opened"}'] == 1


def test_a_session_that_is_stopped_counts_as_stopped(metrics):
    before = scrape()
    with Session() as session:
        assert session.echoes()
        metrics.run("systemctl", "stop", metrics.instance_of(session.sock))
    metrics.sync()
    assert grown(before, scrape())['novnc_gate_sessions_ended_total{outcome="stopped"}'] == 1


def test_a_session_whose_process_was_killed_counts_as_killed(metrics):
    before = scrape()
    with Session() as session:
        assert session.echoes()
        metrics.run("systemctl", "kill", "--signal=KILL", metrics.instance_of(session.sock))
        assert session.ended()
    wait_for(lambda: not metrics.instances())
    metrics.sync()
    after = scrape()
    more = grown(before, after)
    assert more['novnc_gate_sessions_ended_total{outcome="killed"}'] == 1
    assert more["novnc_gate_session_duration_seconds_count"] == 1
    assert 'novnc_gate_session_bytes_count{direction="up"}' not in more
    assert after["novnc_gate_sessions_open"] == 0


def test_nobody_else_can_write_entries_that_count(metrics):
    before = scrape()
    metrics.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-ec",
                "printf 'MESSAGE_ID=930ee7b5ab8f48f2b1fb9892c90e56b8\\nMESSAGE=x\\nNOVNC_GATE_STATUS=101\\n' | "
                "logger --journald")
    assert metrics.journal("_UID=65534", "MESSAGE_ID=930ee7b5ab8f48f2b1fb9892c90e56b8")
    assert grown(before, scrape()) == {}


def test_counters_never_shrink(metrics):
    """A restart of everything, entries that are not there any more, and both."""
    with closed_session(metrics):
        pass
    before = scrape()
    metrics.start(verb="restart")
    assert all(value >= before[name] for name, value in scrape().items() if "_total" in name or "_count" in name)
    metrics.run("journalctl", "--rotate")
    metrics.run("journalctl", "--vacuum-time=1us")
    assert not metrics.journal("MESSAGE_ID=930ee7b5ab8f48f2b1fb9892c90e56b8")
    assert grown(before, scrape()) == {}
    with closed_session(metrics):
        pass
    metrics.run("journalctl", "--rotate")
    more = grown(before, scrape())
    assert more['novnc_gate_sessions_ended_total{outcome="client_closed"}'] == 1
    assert more['novnc_gate_connections_accepted_total{kind="http"}'] == 1


def test_a_reboot_shrinks_no_counter(metrics):
    with closed_session(metrics):
        pass
    before = scrape()
    metrics.reboot()
    metrics.start()
    metrics.run("systemctl", "start", "novnc-gate-metrics.socket")
    assert grown(before, scrape()) == {}
    with closed_session(metrics):
        pass
    assert grown(before, scrape())['novnc_gate_connections_accepted_total{kind="http"}'] == 1


def by_hand(gate):
    return parsed(gate.run("novnc-gatectl", "metrics"))


def totals(values):
    return {name: value for name, value in values.items() if "_total{kind=" in name}


def test_the_shell_and_the_socket_count_each_connection_once(metrics):
    """In a container, the boot id in the sandbox of the unit is another one than in the shell."""
    with closed_session(metrics):
        pass
    before = totals(scrape())
    assert before['novnc_gate_connections_accepted_total{kind="http"}'] > 0
    assert totals(by_hand(metrics)) == totals(scrape()) == totals(by_hand(metrics)) == before
    metrics.run("systemctl", "daemon-reexec")
    assert totals(by_hand(metrics)) == totals(scrape()) == before


@pytest.mark.parametrize("again", [False, True], ids=["upgrade", "upgrade and reboot"])
def test_a_file_of_an_earlier_version_neither_doubles_nor_loses_a_count(metrics, again):
    name = 'novnc_gate_connections_accepted_total{kind="http"}'
    with closed_session(metrics):
        pass
    before = by_hand(metrics)[name]
    state = json.loads(metrics.read(STATE))
    state.pop("started", None)
    metrics.write(STATE, json.dumps(state | {"boot": "0" * 32}))
    if again:
        # as it is after a reboot since then, when each socket has accepted as many connections as before
        metrics.run("touch", "--date=2020-01-01", STATE)
    accepted = metrics.accepted() if again else 0
    assert by_hand(metrics)[name] == before + accepted
    assert by_hand(metrics)[name] == before + accepted
    assert "boot" not in json.loads(metrics.read(STATE))


def test_many_scrapes_at_the_same_time_count_each_entry_once(metrics):
    before = scrape()
    with closed_session(metrics):
        pass
    programs = [subprocess.Popen([*metrics.enter, "/usr/local/bin/novnc-gatectl", "metrics"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for program in programs:
        out, _ = program.communicate(timeout=PATIENCE)
        assert program.returncode == 0
        assert grown(before, parsed(out))['novnc_gate_sessions_ended_total{outcome="client_closed"}'] == 1


@contextlib.contextmanager
def certificate(gate):
    gate.run("sh", "-ec", "mkdir -p /etc/novnc-gate; cd /etc/novnc-gate; umask 077; openssl req -x509 -newkey ec "
                "-pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost "
                "-days 90 -keyout tls.key -out tls.crt 2>/dev/null")
    try:
        yield
    finally:
        gate.run("rm", "-r", "/etc/novnc-gate")


def test_the_last_day_of_the_certificate(metrics):
    name = "novnc_gate_certificate_expiry_timestamp_seconds"
    assert name not in scrape()
    with certificate(metrics):
        said = metrics.run("openssl", "x509", "-noout", "-enddate", "-in", "/etc/novnc-gate/tls.crt")
        until = datetime.datetime.strptime(said.strip(), "notAfter=%b %d %H:%M:%S %Y GMT")
        assert scrape()[name] == until.replace(tzinfo=datetime.timezone.utc).timestamp()
        # only for another user
        metrics.run("chown", "nobody", "/etc/novnc-gate/tls.key")
        assert name not in scrape()


def test_a_scrape_is_no_connection_of_the_gate(metrics):
    with socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE) as open_scrape:
        wait_for(lambda: "novnc-gate-metrics@" in metrics.run("systemctl", "list-units", "novnc-gate-metrics@*"))
        assert json.loads(metrics.run("novnc-gatectl", "list", "--all", "--json=short")) == []
        open_scrape.shutdown(socket.SHUT_WR)
        assert open_scrape.recv(1) == b""


def test_a_damaged_file_begins_again(metrics):
    scrape()
    metrics.write(STATE, "{")
    assert scrape()["novnc_gate_sessions_open"] == 0
    metrics.sync()
    assert "metrics.json is damaged" in metrics.run("journalctl", "--no-pager", "-u", "novnc-gate-metrics@*")
    assert json.loads(metrics.read(STATE))["cursor"]


def test_the_sandbox_of_a_scrape_is_tight(metrics):
    out = metrics.run("systemd-analyze", "security", "--no-pager", "novnc-gate-metrics@x.service", check=False)
    assert float(re.search(r"Overall exposure level for .*: ([0-9.]+)", out)[1]) < 3
