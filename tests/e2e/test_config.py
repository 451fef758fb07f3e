"""The configuration: files, drop-ins, and errors that name file, line and remedy."""

import os
import re

import pytest

from gate import NOVNC, Responder, head, refusing, request, response, upgrade


def broken(world, path, line):
    """500 to the client; the log, --check and the exit code say where."""
    c = world.client(request())
    c.exit_code = 78
    world.refused(c, 500)
    where = rf"{re.escape(str(path))}(:|.*\bline ){line}\b"
    assert any(re.search(where, entry) for entry in c.log), c.log
    for what in ("--check", "--check=config"):
        r = world.check(what)
        assert r.returncode == 78, r
        assert re.search(where, r.stdout + r.stderr), r
    return c.log


@pytest.mark.parametrize("text, line", [
    pytest.param(text, line, id=text.replace("\n", " | ")[:60]) for text, line in (
        ("[Nonsense]\nX=1", 5),
        ("[limits]\nIdleTimeoutSec=1s", 5),
        ("[Limits]\nNonsense=1", 6),
        ("[Limits]\nidletimeoutsec=1", 6),
        ("[Limits]\nHeadTimeoutSec=1s\n\n# fine\nUrl=http://127.0.0.1:1", 9),
        ("[Limits]\nHeadTimeoutSec", 6),
        ("[Limits]\n=5", 6),
        ("[Limits", 5),
        ("nonsense", 5),
        ("[Limits]\nHeadTimeoutSec=x", 6),
        ("[Limits]\nHeadTimeoutSec=10x", 6),
        ("[Limits]\nHeadTimeoutSec=-1", 6),
        ("[Limits]\nHeadTimeoutSec=10s x", 6),
        ("[Limits]\nHeadTimeoutSec=99999999999999999999", 6),
        ("[Limits]\nHeadMaxBytes=x", 6),
        ("[Limits]\nHeadMaxBytes=-1", 6),
        ("[Limits]\nHeadMaxBytes=32Q", 6),
        ("[Limits]\nHeadMaxBytes=32 K B", 6),
        ("[Limits]\nHeadMaxBytes=infinity", 6),
        ("[Limits]\nHeadMaxBytes=0", 6),
        ("[Log]\nLevel=loud", 6),
        ("[NextJs]\nUrl=ftp://127.0.0.1:3001", 6),
        ("[NextJs]\nUrl=127.0.0.1:3001", 6),
        ("[NextJs]\nUrl=http://", 6),
        ("[NextJs]\nUrl=http://:3001", 6),
        ("[NextJs]\nUrl=http://127.0.0.1:0", 6),
        ("[NextJs]\nUrl=http://127.0.0.1:65536", 6),
        ("[NextJs]\nUrl=http://127.0.0.1:x", 6),
        ("[NextJs]\nUrl=http://127.0.0.1:3001/path", 6),
        ("[NextJs]\nUrl=http://127.0.0.1:3001?x", 6),
        ("[NextJs]\nUrl=http://user@127.0.0.1:3001", 6),
        ("[NextJs]\nUrl=http://a b:3001", 6),
        ("[NextJs]\nUrl=http://[::1:3001", 6),
        ("[NextJs]\nUrl=http://-a:3001", 6),
        ("[NextJs]\nUrl=http://a-.b:3001", 6),
        ("[NextJs]\nUrl=http://a..b:3001", 6),
        ("[NextJs]\nUrl=http://" + "a" * 64 + ":3001", 6),
        ("[NextJs]\nUrl=unix:relative.sock", 6),
        ("[NextJs]\nUrl=unix:", 6),
        ("[NextJs]\nUrl=unix:/" + "a" * 200, 6),
        ("[NextJs]\nClientKey=/key.pem", 6),
        ("[MasterController]\nUrl=nonsense", 6),
        ("[Routes]\nNoVncPath=api/x", 6),
        ("[Routes]\nNoVncPath=/ok bad", 6),
        ("[Routes]\nControllerPath=x", 6),
        ("[Routes]\nNextJsUpgradePath=hmr", 6),
        ("[Routes]\nAllowedOrigins=app.example", 6),
        ("[Routes]\nAllowedOrigins=https://ok.example null", 6),
        ("[Routes]\nAllowedOrigins=https://app.example/path", 6),
        ("[Client]\nTrustedProxies=10.0.0.0/8 proxy.example", 6),
        ("[Client]\nTrustedProxies=10.0.0.1/8", 6),
        ("[Client]\nProxyProtocol=v2\nTrustedProxies=::1", 6),
    )])
def test_an_error_is_a_500_and_a_log_entry_and_found_by_check(world, text, line):
    world.configure(text)       # which begins at line 5
    broken(world, world.gate.config, line)


@pytest.mark.parametrize("text, allowed", [
    ("[Log]\nLevel=loud", "notice"), ("[Nonsense]", "[Limits]"),
    ("[Limits]\nNonsense=1", "HeadTimeoutSec"), ("[NextJs]\nUrl=ftp://x:1", "http://"),
    ("[Limits]\nHeadTimeoutSec=x", "min"),
    ("[Client]\nTrustedProxies=x", "10.0.0.0/8"), ("[Limits]\nHeadMaxBytes=x", "K")])
def test_an_error_names_the_allowed_values(world, text, allowed):
    world.configure(text)
    assert any(allowed in line for line in broken(world, world.gate.config, 5 + text.count("\n")))


def test_an_error_in_a_drop_in_names_the_drop_in(world):
    path = world.drop_in("10-x.conf", "# one\n[Limits]\nNonsense=1\n")
    broken(world, path, 3)


def test_a_missing_file(world):
    world.gate.config.unlink()
    r = world.check("--check=config")
    assert r.returncode == 78 and str(world.gate.config) in r.stdout + r.stderr


@pytest.mark.parametrize("kind", ["file", "drop-in"])
def test_a_fifo_is_an_error_at_once(world, kind):
    path = world.drop_in("10-x.conf", "")
    path = world.gate.config if kind == "file" else path
    path.unlink()
    os.mkfifo(path)
    c = world.client(request())
    c.exit_code = 78
    world.refused(c, 500)
    assert any(f"{path}: is not a regular file" in line for line in c.log), c.log
    r = world.check("--check=config")
    assert r.returncode == 78 and f"{path}: is not a regular file" in r.stderr
    path.unlink()


# Syntax

@pytest.mark.parametrize("text", [
    "[Routes]\nNoVncPath=/vm/*",
    "[Routes]\nNoVncPath = \t/vm/*  ",
    "  [Routes]  \n\n  # comment\n; comment\n\tNoVncPath=/vm/*",
    "[Routes]\n[Limits]\n[Routes]\nNoVncPath=/vm/*",
    "[Routes]\nNoVncPath=/a /b\t/vm/*   /c",
    "[Routes]\nNoVncPath=/a\nNoVncPath=/vm/*\nNoVncPath=/b",
    "[Routes]\nNoVncPath=/a\nNoVncPath=\nNoVncPath=/vm/*",
    "[Routes]\nControllerPath=\nNextJsUpgradePath=\nAllowedOrigins=\nNoVncPath=/vm/*"],
    ids=lambda t: t.replace("\n", " | "))
def test_systemds_syntax(world, text):
    world.configure(text)
    world.client(upgrade("/vm/1"))
    assert world.controller.accept().request().target == "/vm/1"


def test_an_empty_value_resets_a_list(world):
    world.configure("[Routes]\nNoVncPath=/vm/*\nNoVncPath=\nNoVncPath=/other")
    world.refused(world.client(upgrade("/vm/1")), 403)
    world.refused(world.client(upgrade()), 403)


@pytest.mark.parametrize("value", ["10", "10s", "10 s", "300ms", "5min", "1min 30s", "1h", "2d",
                                   "1.5s"])
def test_time_spans(world, value):
    world.configure(f"[Limits]\nIdleTimeoutSec={value}\nHeadTimeoutSec={value}")
    world.seen(request())


def test_only_a_tunnel_may_wait_for_ever(world):
    world.configure("[Limits]\nIdleTimeoutSec=infinity")
    world.tunnel()
    world.configure("[Limits]\nHeadTimeoutSec=infinity")
    broken(world, world.gate.config, 6)


@pytest.mark.parametrize("value, bytes_", [("2048", 2048), ("2K", 2048), (" \t2K\t ", 2048),
                                           ("128K", 128 << 10)])
def test_sizes(world, value, bytes_):
    world.configure(f"[Limits]\nHeadMaxBytes={value}")
    if bytes_ < 4096:
        world.error(world.client(request("GET", "/", "X: " + "a" * bytes_)), 431)
    else:
        world.seen(request("GET", "/", "X: " + "a" * 60000))


@pytest.mark.parametrize("level", ["debug", "info", "notice", "warning", "err"])
def test_levels(world, level):
    world.configure(f"[Log]\nLevel={level}")
    world.seen(request())


def test_drop_ins_come_after_the_file_in_order_of_name(world):
    with refusing() as nobody:
        world.configure("[Limits]\nHeadMaxBytes=128K", nextjs=nobody.url)
        world.drop_in("20-b.conf", f"[NextJs]\nUrl={world.nextjs.url}\n")
        world.drop_in("10-a.conf", f"[NextJs]\nUrl={nobody.url}\n[Limits]\nHeadMaxBytes=64K\n")
        world.drop_in("30-c.conf.bak", "nonsense")
        world.drop_in("README", "nonsense")
        assert world.seen(request("GET", "/", "X: " + "a" * 40000)).target == "/"


def test_a_drop_in_starts_in_no_section(world):
    world.configure("[Limits]")
    path = world.drop_in("10-x.conf", "HeadTimeoutSec=1s\n")
    broken(world, path, 1)


def test_a_drop_in_adds_to_a_list_and_resets_it(world):
    world.configure("[Routes]\nAllowedOrigins=https://a.example")
    path = world.drop_in("10-x.conf", "[Routes]\nAllowedOrigins=https://b.example\n")
    for origin in ("https://a.example", "https://b.example"):
        world.client(upgrade(NOVNC, f"Origin: {origin}"))
        world.controller.accept().request()
    path.write_text("[Routes]\nAllowedOrigins=\nAllowedOrigins=https://b.example\n")
    world.refused(world.client(upgrade(NOVNC, "Origin: https://a.example")), 403)


def test_a_change_takes_effect_with_the_next_connection(world):
    c, b = world.tunnel()
    world.configure("nonsense")
    c.send(b"still")
    assert b.exactly(5) == b"still"
    late = world.client(request())
    late.exit_code = 78
    world.error(late, 500)


# --check

def test_check_asks_both_backends(world):
    """Each gets a request like those of the gate."""
    with Responder(world.nextjs) as page, Responder(world.controller, response(status="404 Not")) as vm:
        r = world.check()
    assert r.returncode == 0, r
    assert f"Next.js: {world.nextjs.url} speaks HTTP (status 200)\n" in r.stdout
    assert f"master-controller: {world.controller.url} speaks HTTP (status 404)\n" in r.stdout
    for backend, responder in ((world.nextjs, page), (world.controller, vm)):
        # the second finds out if the gate itself is there
        assert [m.start for m in responder.seen] == ["GET / HTTP/1.1", "TRACE / HTTP/1.1"]
        assert all(m["Host"] == backend.authority for m in responder.seen)


def test_check_of_a_unix_socket(world, tmp_path):
    page = world.backend(path=tmp_path / "socket")
    world.configure(nextjs=page.url)
    with Responder(page) as responder, Responder(world.controller):
        assert f"Next.js: {page.url} speaks HTTP (status 200)\n" in world.check().stdout
    assert responder.seen[0]["Host"] == "localhost"


@pytest.mark.parametrize("which", ["nextjs", "controller"])
def test_check_finds_a_backend_that_is_not_there(world, which):
    with refusing() as nobody, Responder(world.nextjs), Responder(world.controller):
        world.configure(**{which: nobody.url})
        r = world.check()
        assert r.returncode == 1, r
        assert f": cannot connect to {nobody.authority}: Connection refused\n" in r.stdout
        assert world.check("--check=config").returncode == 0


@pytest.mark.parametrize("sent, first, said", [
    (b"SSH-2.0-OpenSSH_9.2\r\n", True, r'does not speak HTTP/1.1 \(it sent "SSH-2.0-OpenSSH_9.2"\)$'),
    (b"RFB 003.008\n", True, "does not speak HTTP/1.1 but RFB: Url= must point to websockify"),
    (b"\x00\x00\x12\x04\x00\x1b\n", False, "does not speak HTTP/1.1$"),
    (b"\x15\x03\x01\x00\x02\x02\x46", False,
     r'does not speak HTTP/1.1 but TLS: Url= must begin with https:// \(it sent "\\x15\\x03\\x01"\)$'),
    (b"HTTP/2.0 200 OK\r\n\r\n", False, "does not speak HTTP/1.1 "),
    (b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", False, "sent an invalid response: "),
    (b"HTTP/1.1 600 Odd\r\n\r\n", False, "sent an invalid response: status code is not between 100 and 599"),
    (b"HTTP/1.1 101 Switching\r\n\r\n", False, "sent an invalid response: unsolicited 101"),
    (head("HTTP/1.1 100 Continue") + b"SSH-2.0-x\r\n", False, "sent an invalid response: no HTTP/1.1 status line"),
    (head("HTTP/1.1 103 Early Hints"), False, "closed the connection before its response began"),
    (head("HTTP/1.1 103 Early Hints") + head("HTTP/1.1 400 Bad Request"), False, r"speaks HTTP \(status 400\)"),
    (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 40000, False, "sent a response head longer than HeadMaxBytes="),
    (b"HTTP/1.1 200 OK\r\n", False, "closed the connection before its response was complete"),
    (b"", False, "(before its response began|Connection reset by peer); if this is a TLS port, Url= .* https://$"),
    (head("HTTP/1.1 400 Bad Request"), False, r"speaks HTTP \(status 400\); if this is a TLS port, Url= must begin with https://$")],
    ids=["ssh", "rfb", "h2", "tls", "version", "syntax", "status", "switched", "interim and rubbish", "only interim", "interim", "long", "half", "nothing", "400"])
def test_check_shows_bytes_that_are_not_http(world, sent, first, said):
    for reset in (False, True) if not sent else (False,):
        with Responder(world.nextjs, sent, request=not first, reset=reset), \
                Responder(world.controller):
            r = world.check()
        line, = [line for line in r.stdout.splitlines() if line.startswith("Next.js: ")]
        assert re.search(said, line) and line.startswith(f"Next.js: {world.nextjs.url}"), line
        assert r.returncode == (0 if b" 400 " in sent else 1)


def test_check_waits_as_long_as_the_gate_would(world):
    world.configure("[Limits]\nResponseTimeoutSec=100ms\nUpgradeTimeoutSec=50ms")
    r = world.check()    # both accept and send nothing
    assert r.returncode == 1
    for name, key in (("Next.js", "ResponseTimeoutSec="), ("master-controller", "UpgradeTimeoutSec=")):
        assert re.search(rf"{name}: .* timed out waiting for the response head from {name} \({key}\)\n", r.stdout), r


def test_check_knows_all_loopback_addresses_for_this_machine(world):
    """In Debian's /etc/hosts the machine's own name is 127.0.1.1; a connection there comes from 127.0.0.1."""
    page = world.backend(host="127.0.1.1")
    world.configure(nextjs=page.url)
    gate = response(b"", "Server: novnc-gate")
    with Responder(page, gate), Responder(world.controller):
        r = world.check()
    assert r.returncode == 1 and f"Next.js: {page.url}: points back to the gate itself\n" in r.stdout, r


@pytest.mark.parametrize("which", ["nextjs", "controller"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_check_finds_a_url_that_leads_back_to_the_gate(world, which, host):
    url = f"http://{host}:{world.gate.port}"
    world.configure(**{which: url})
    with Responder(world.nextjs), Responder(world.controller):
        r = world.check()
    assert r.returncode == 1
    name = "Next.js" if which == "nextjs" else "master-controller"
    assert f"{name}: {url}: points back to the gate itself\n" in r.stdout
    assert r.stdout.count("speaks HTTP (status 200)") == 1, r


def test_check_of_the_configuration_contacts_no_backend(world):
    assert world.check("--check=config").returncode == 0
    world.nextjs.untouched()
    world.controller.untouched()


def test_a_broken_configuration_still_reads_the_request(world):
    """Otherwise a reset would overtake the error response; HEAD gets no content."""
    world.configure("nonsense")
    for message, method in ((request("HEAD", "/"), "HEAD"),
                            (request("POST", "/", body=b"x" * 100000), "POST"),
                            (upgrade(), "GET")):
        c = world.client(message)
        c.exit_code = 78
        world.refused(c, 500, method)


@pytest.mark.parametrize("kind", ["plain", "upgrade"])
def test_a_url_that_leads_back_to_the_gate_is_no_endless_chain(world, kind):
    here = f"http://127.0.0.1:{world.gate.port}"
    world.configure(nextjs=here, controller=here)
    before = len(world.gate.by_pid)
    c = world.client(upgrade() if kind == "upgrade" else request())
    c.exit_code = 78
    r = world.error(c, 500)
    assert b"the gate's configuration cannot be used" in r.body
    section = "MasterController" if kind == "upgrade" else "NextJs"
    assert c.log[-1] == f"[{section}] Url={here} points back to the gate itself"
    assert len(world.gate.by_pid) - before < 5
