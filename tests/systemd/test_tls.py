"""novnc-gate-tls.service: credentials, tickets, and that port 3000 does without OpenSSL."""

import json
import os
import socket
import ssl
import subprocess

import pytest

from machine import PATIENCE, PIDS, TREE, Session, get, wait_for
from test_proxy import CLIENT, HEADER, PROXIES

DIRECTORY = "/etc/novnc-gate"
TICKET = "/run/novnc-gate-tls/tls.ticket"


def issue(tmp_path, name, serial, days=90):
    """A certificate for `localhost` of the test's own authority; the authority's path."""
    ca = tmp_path / "ca.pem"
    run = lambda *argv: subprocess.run(["openssl", *map(str, argv)], check=True,
                                       capture_output=True, cwd=tmp_path)
    curve = "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"
    if not ca.exists():
        run("req", "-x509", *curve, "-keyout", "ca.key", "-out", ca, "-subj", "/CN=Test CA",
            "-addext", "keyUsage=critical,keyCertSign")
    run("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=localhost")
    (tmp_path / "ext").write_text("subjectAltName=DNS:localhost\n")
    run("x509", "-req", "-in", f"{name}.csr", "-CA", ca, "-CAkey", "ca.key", "-set_serial", serial,
        "-days", days, "-extfile", "ext", "-out", f"{name}.crt")
    return ca


def put(machine, source, target):
    """A file of the test's at its place on the machine, for root only."""
    machine.run("sh", "-ec", 'umask 077; mkdir -p "${2%/*}"; printf %s "$1" >"$2.new"; '
                'mv "$2.new" "$2"', "sh", source.read_text(), target)


def put_both(machine, tmp_path, name):
    for suffix in ("key", "crt"):
        put(machine, tmp_path / f"{name}.{suffix}", f"{DIRECTORY}/tls.{suffix}")


@pytest.fixture(scope="module")
def tls(gate, tmp_path_factory):
    """The machine with both sockets on; with it, a client's context."""
    work = tmp_path_factory.mktemp("tls")
    ca = issue(work, "first", 1)
    put_both(gate, work, "first")
    said = gate.run("systemctl", "enable", "--now", "novnc-gate-tls.service", check=False)
    assert "failed" not in said, gate.run("journalctl", "-n", "30", "--no-pager")
    gate.listens("novnc-gate-tls")
    gate.tls_work, gate.tls_context = work, ssl.create_default_context(cafile=ca)
    yield gate
    gate.run("rm", "-r", DIRECTORY)


def restart(machine, unit, check=True):
    """Restarts a unit in spite of its start limit."""
    machine.run("systemctl", "reset-failed", unit)
    said = machine.run("systemctl", "restart", unit, check=check)
    if check and unit in ("novnc-gate.service", "novnc-gate-tls.service"):
        machine.listens(unit)
    return said


def connect(machine, session=None):
    sock = socket.create_connection(("127.0.0.1", 3443), timeout=PATIENCE)
    return machine.tls_context.wrap_socket(sock, server_hostname="localhost", session=session)


def page(machine, session=None):
    """One page: its body, and the connection it came on, which has ended."""
    sock = connect(machine, session)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost:3443\r\nConnection: close\r\n\r\n")
    _, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
    return body, sock


def test_both_ports_serve(tls):
    assert page(tls)[0] == b"Next.js"
    assert get() == (200, b"Next.js")
    assert get(port=3443)[0] == 308


def test_the_files_are_roots_and_the_process_has_its_own_view(tls):
    with connect(tls) as sock:
        unit = tls.instance_of(sock)
        pid = tls.property(unit, "MainPID")
        uid = tls.run("id", "-u", "novnc-gate").strip()
        assert tls.run("stat", "-c", "%u", f"/proc/{pid}").strip() == uid
        for name in (f"{DIRECTORY}/tls.key", TICKET):
            denied = tls.run("setpriv", "--reuid", "novnc-gate", "--regid", "novnc-gate",
                             "--clear-groups", "cat", name, check=False)
            assert "Permission denied" in denied
        assert "libssl" in tls.run("cat", f"/proc/{pid}/maps")


def test_a_connection_has_one_seccomp_program_and_a_tunnel_two(tls):
    """As without TLS: its own only, and none of the unit."""
    with connect(tls) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost:3443\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
        assert tls.filters(tls.instance_of(sock)) == 1
    with Session(port=3443, context=tls.tls_context) as session:
        assert session.status == 101 and session.echoes()
        assert tls.filters(tls.instance_of(session.sock)) == 2


def test_a_plain_connection_has_no_openssl(tls):
    with socket.create_connection(("127.0.0.1", 3000)) as sock:
        sock.sendall(b"GET / HT")
        unit = wait_for(tls.instances)[0]
        pid = tls.property(unit, "MainPID")
        assert tls.run("readlink", f"/proc/{pid}/exe").endswith("/novnc-gate\n")
        maps = tls.run("cat", f"/proc/{pid}/maps")
        assert "[stack]" in maps and "libssl" not in maps and "libcrypto" not in maps, maps


def test_renewed_files_hold_from_the_next_connection_on(tls):
    with connect(tls) as old:
        assert old.getpeercert()["serialNumber"] == "01"
        issue(tls.tls_work, "second", 2)
        put_both(tls, tls.tls_work, "second")
        with connect(tls) as new:
            assert new.getpeercert()["serialNumber"] == "02"
        old.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert old.makefile("rb").read().endswith(b"Next.js")


def test_certbots_files_by_the_commands_in_the_readme(tls):
    """Its live/NAME/fullchain.pem is a link to ../../archive/NAME/fullchainN.pem."""
    readme = (TREE / "README.md").read_text()
    commands = [line.strip().removeprefix("sudo ").replace("dashboard.example", "localhost")
                for line in readme.splitlines() if line.startswith("    sudo ln ")]
    assert len(commands) == 2 and all("/etc/letsencrypt/live/localhost/" in c for c in commands)
    kinds = ("crt", "fullchain"), ("key", "privkey")

    def renew(n):
        issue(tls.tls_work, f"bot{n}", 10 + n)
        for suffix, kind in kinds:
            put(tls, tls.tls_work / f"bot{n}.{suffix}", f"/etc/letsencrypt/archive/localhost/{kind}{n}.pem")
            tls.run("mkdir", "-p", "-m", "700", "/etc/letsencrypt/live/localhost")
            tls.run("ln", "-sfn", f"../../archive/localhost/{kind}{n}.pem",
                    f"/etc/letsencrypt/live/localhost/{kind}.pem")

    try:
        renew(1)
        tls.run("sh", "-ec", "\n".join(commands))
        tls.start("novnc-gate-tls", verb="restart")
        for n in (1, 2):
            renew(n)
            with connect(tls) as sock:
                assert sock.getpeercert()["serialNumber"] == "%02X" % (10 + n)
    finally:
        put_both(tls, tls.tls_work, "first")
        tls.run("rm", "-r", "/etc/letsencrypt")


def renew_ticket_key(machine):
    """As the timer does once the key is due."""
    machine.run("touch", "-d", "8 hours ago", TICKET)
    machine.run("systemctl", "start", "novnc-gate-tls-ticket.service")


def test_a_session_is_resumed_and_outlives_one_new_key_but_not_two(tls):
    session = page(tls)[1].session
    assert page(tls, session)[1].session_reused
    renew_ticket_key(tls)
    assert page(tls, session)[1].session_reused
    renew_ticket_key(tls)
    assert not page(tls, session)[1].session_reused
    assert tls.run("stat", "-c", "%a %U %s", TICKET) == "400 root 160\n"


def test_no_restart_makes_a_new_key_before_it_is_due(tls):
    session, key = page(tls)[1].session, tls.run("sha256sum", TICKET)
    for unit in ("novnc-gate-tls.service", "novnc-gate-tls-ticket.timer",
                 "novnc-gate-tls-ticket.service", "novnc-gate-tls.service"):
        restart(tls, unit)
    assert tls.run("sha256sum", TICKET) == key
    assert page(tls, session)[1].session_reused
    tls.run("touch", "-d", "8 hours ago", TICKET)
    restart(tls, "novnc-gate-tls.service")
    assert tls.run("sha256sum", TICKET) != key
    assert page(tls, session)[1].session_reused


def test_a_key_from_a_clock_that_was_wrong_is_due(tls):
    key = tls.run("sha256sum", TICKET)
    tls.run("touch", "-d", "tomorrow", TICKET)
    tls.run("systemctl", "start", "novnc-gate-tls-ticket.service")
    assert tls.run("sha256sum", TICKET) != key


def test_without_the_key_of_the_tickets_only_resumption_is_missing(tls):
    ticket = "novnc-gate-tls-ticket.service"
    session = page(tls)[1].session
    for what in ("restart", "stop"):
        tls.run("systemctl", what, ticket)
        assert page(tls, session)[1].session_reused
    with tls.drop_in(ticket, "[Service]\nExecStart=\nExecStart=/bin/false\n"):
        tls.run("rm", "-r", "/run/novnc-gate-tls")
        assert "failed" in tls.run("systemctl", "start", ticket, check=False)
        body, sock = page(tls, session)
        assert body == b"Next.js" and not sock.session_reused and not sock.session.has_ticket
        tls.start("novnc-gate-tls", verb="restart")
        assert page(tls)[0] == b"Next.js"
        tls.run("systemctl", "reset-failed", ticket)
    tls.run("systemctl", "start", ticket)
    assert page(tls, page(tls)[1].session)[1].session_reused


def test_with_the_strict_drop_in_it_serves_all_the_same(tls):
    with tls.drop_in("novnc-gate-tls-@.service", tls.read("/usr/local/share/doc/novnc-gate/strict.conf")), \
            connect(tls) as sock:
        unit = tls.instance_of(sock)
        assert tls.property(unit, "ProtectSystem") == "strict"
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert sock.makefile("rb").read().endswith(b"Next.js")
        assert page(tls, page(tls)[1].session)[1].session_reused


def test_the_manuals_drop_in_for_tls_behind_the_proxy_protocol(tls):
    manual = (TREE / "man/novnc-gate.8").read_text()
    block = manual[manual.index("novnc-gate-tls-@.service.d/proxy.conf"):]
    drop_in = block.split(".Bd -literal -offset indent\n")[1].split(".Ed\n")[0].replace("\\e\n", "\\\n")
    file = drop_in[drop_in.index("--spread=") + len("--spread="):].strip()
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        drop_in = drop_in.replace(file, PIDS)
    with tls.configured(PROXIES), tls.drop_in("novnc-gate-tls-@.service", drop_in):
        with Session("tls-proxied", port=3443, context=tls.tls_context, header=HEADER) as session:
            assert session.status == 101 and session.echoes()
        entries = lambda: tls.journal("NOVNC_GATE_SESSION=tls-proxied")
        wait_for(lambda: len(entries()) == 3)
        assert {e["NOVNC_GATE_CLIENT"] for e in entries()} == {"%s:%d" % CLIENT}
        with pytest.raises(OSError):
            page(tls)   # which sends no header
    assert page(tls)[0] == b"Next.js"


def test_the_timer_runs_with_the_socket(tls):
    timer = "novnc-gate-tls-ticket.timer"
    assert tls.property(timer, "ActiveState") == "active"
    assert tls.property(timer, "NextElapseUSecMonotonic") not in ("", "0", "infinity")
    tls.run("systemctl", "stop", "novnc-gate-tls.service")
    assert tls.property(timer, "ActiveState") == "inactive"
    tls.start("novnc-gate-tls")
    assert tls.property(timer, "ActiveState") == "active"
    assert page(tls)[0] == b"Next.js"


def test_the_timer_renews_a_key_that_is_due(tls):
    timer = "novnc-gate-tls-ticket.timer"
    key = lambda: tls.run("sha256sum", TICKET)
    looked = lambda: tls.property(timer, "LastTriggerUSecMonotonic")
    often = ("[Timer]\nOnActiveSec=\nOnActiveSec=1s\nOnUnitActiveSec=\nOnUnitActiveSec=1s\n"
             "AccuracySec=1ms\n")
    with tls.drop_in(timer, often):
        tls.run("systemctl", "restart", timer)
        for _ in range(2):
            before = key()
            for _ in range(2):  # the first one has ended when the second one begins
                last = looked()
                wait_for(lambda: looked() != last)
            assert key() == before, "it is not due"
            tls.run("touch", "-d", "8 hours ago", TICKET)
            wait_for(lambda: key() != before)
    tls.run("systemctl", "restart", timer)


def test_a_key_that_is_not_the_certificates_stops_the_start(tls):
    tls.run("systemctl", "stop", "novnc-gate-tls.service")
    tls.run("sh", "-ec", f"cp -p {DIRECTORY}/tls.key /root/good.key; openssl genpkey -algorithm ec "
            f"-pkeyopt ec_paramgen_curve:P-256 >{DIRECTORY}/tls.key 2>/dev/null")
    try:
        assert "failed" in tls.run("systemctl", "start", "novnc-gate-tls.service", check=False)
        said = tls.run("journalctl", "-u", "novnc-gate-tls.service", "-n", "20")
        assert f"[Tls] Key={DIRECTORY}/tls.key: does not belong to the first certificate in " \
               f"Certificate={DIRECTORY}/tls.crt (CN=localhost)" in said
        assert "not checked" not in said
    finally:
        tls.run("mv", "/root/good.key", f"{DIRECTORY}/tls.key")
        tls.start("novnc-gate-tls")
    assert page(tls)[0] == b"Next.js"


def test_a_certificate_that_has_expired_does_not_keep_the_socket_from_starting(tls):
    issue(tls.tls_work, "old", 99, days=0)
    put_both(tls, tls.tls_work, "old")
    try:
        restart(tls, "novnc-gate-tls.service")
        assert f"warning: [Tls] Certificate=tls.crt: expired on " in \
            tls.run("journalctl", "-u", "novnc-gate-tls.service", "-n", "20")
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            connect(tls)
    finally:
        put_both(tls, tls.tls_work, "first")
    assert page(tls)[0] == b"Next.js"


@pytest.mark.parametrize("mode", ["600", "644"])
def test_root_checks_as_the_user_of_the_service(tls, mode):
    file = "/etc/novnc-gate/backend-ca.pem"
    put(tls, tls.tls_work / "ca.pem", file)
    tls.run("sh", "-ec", f"chmod {mode} {file}; chmod 755 /etc/novnc-gate")
    with tls.configured(f"[MasterController]\nUrl=https://localhost:1\nCaFile={file}\n"):
        said = tls.run("novnc-gate", "--check=config", check=False)
        assert said == ("" if mode == "644" else
                        f"[MasterController] CaFile={file}: Permission denied\n"
                        "novnc-gate: checked as user novnc-gate, which serves the "
                        "connections\n")
    tls.run("rm", file)


@pytest.mark.parametrize("key", ["ClientCaFile", "Certificate"])
def test_a_file_that_only_root_may_read_stops_the_start(tls, key):
    """The connections could not read it either, unless it is a credential."""
    file = "/root/only-roots.pem"
    put(tls, tls.tls_work / ("ca.pem" if key == "ClientCaFile" else "first.crt"), file)
    put_both(tls, tls.tls_work, "first")
    try:
        with tls.configured(f"[Tls]\n{key}={file}\n"):
            assert "failed" in restart(tls, "novnc-gate-tls.service", check=False)
            assert f"{file}: Permission denied" in tls.run("journalctl", "-u", "novnc-gate-tls.service")
            restart(tls, "novnc-gate.service")  # which does not read it
            assert get() == (200, b"Next.js")
    finally:
        tls.run("rm", file)
        restart(tls, "novnc-gate-tls.service")
    assert page(tls)[0] == b"Next.js"


def test_a_failed_handshake_is_logged_with_the_instance(tls):
    stranger = ssl.create_default_context()
    sock = socket.create_connection(("127.0.0.1", 3443), timeout=PATIENCE)
    client = "%s:%d" % sock.getsockname()
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.wrap_socket(sock, server_hostname="localhost")
    sock.close()
    entries = lambda: [e for e in tls.journal(f"NOVNC_GATE_CLIENT={client}")
                       if "alert unknown ca" in e["MESSAGE"]]
    entry, = wait_for(entries)
    assert entry["_SYSTEMD_UNIT"].startswith("novnc-gate-tls-")


def test_a_browser_opens_the_terminal(tls):
    """tests/browser/https.test.mjs, with these units' gate and the demo's backends."""
    config = tls.root / "etc/novnc-gate.conf.d/demo.conf"
    config.parent.mkdir()
    installed = {"url": "https://localhost:3443", "config": str(config), "issuer": "Test CA",
                 "ca": str(tls.tls_work / "ca.pem"),
                 "stop": [*tls.enter, "systemctl", "stop", "novnc-gate-tls-*@*.service"]}
    node, = TREE.glob("build/demo/node_modules/node-linux-*/bin/node")
    try:
        done = subprocess.run([node, "--test", "tests/browser/https.test.mjs"], cwd=TREE,
                              env={**os.environ, "INSTALLED_GATE": json.dumps(installed)},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    finally:
        tls.run("rm", "-r", "/etc/novnc-gate.conf.d")
    assert done.returncode == 0, done.stdout + done.stderr


# Findings about the test's own certificate, about the page, and about the openssl command; and that the
# client of testssl may be gone before a ticket of TLS 1.3 has come.
EXPLAINED = {"cert_revocation", "security_headers", "engine_problem", "sessionresumption_ticket"}


@pytest.mark.long
def test_testssl_finds_nothing_above_low(tls, tmp_path):
    report = tmp_path / "report.json"
    subprocess.run(["testssl", "--quiet", "--color=0", "--warnings=off", "--ip=127.0.0.1", "--add-ca",
                    tls.tls_work / "ca.pem", "--jsonfile", report, "https://localhost:3443/"],
                   stdin=subprocess.DEVNULL, check=False)
    findings = json.loads(report.read_text())
    assert {"TLS1_3", "heartbleed", "scanTime"} <= {f["id"] for f in findings}, "it came to its end"
    said = [f"{f['severity']} {f['id']}: {f['finding']}" for f in findings
            if f["severity"] not in ("OK", "INFO", "LOW") and f["id"] not in EXPLAINED]
    assert said == []


def test_no_unit_fails(tls):
    assert "novnc" not in tls.run("systemctl", "list-units", "--failed")
