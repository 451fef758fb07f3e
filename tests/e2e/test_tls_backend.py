"""TLS to the backends: accepted certificates, and the reasons for refused ones."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from gate import BINARY, HOST, SANITIZED, Ended, Responder, head, request, response, switching, upgrade
from test_tunnel import crc_of_stream, read_stream, send_stream
from tls import Authority, TlsSocket, vector
from websocket import NO_FRAME, closed, unframed


@pytest.fixture(scope="session")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger") / "ca", "Stranger CA")


def behind_tls(world, context, text="", **kw):
    """A master-controller with an https:// URL and these lines in its section."""
    world.controller = world.backend(tls=context, **kw)
    world.configure(f"[MasterController]\n{text}")
    return world.controller


def accept_failing(backend):
    """Accepts in a thread a connection whose handshake will fail."""
    def one():
        with contextlib.suppress(OSError, ssl.SSLError, Exception):
            backend.accept().sock.recv(1)
    t = threading.Thread(target=one, daemon=True)
    t.start()
    return t


def fails(world, backend, pattern, status=502):
    """An upgrade gets a 502, and the log has the reason."""
    t = accept_failing(backend)
    c = world.client(upgrade())
    r = world.error(c, status)
    t.join(10)
    assert r.body.startswith(b"WebSocket proxy error: TLS handshake with master-controller failed.\n")
    c.logged(rf"WebSocket proxy error: TLS handshake with .*({pattern})")
    return c.log[-1]


def test_a_session_and_pages(world, authority, backend_tls):
    b = behind_tls(world, backend_tls, f"CaFile={authority.file}")
    c, b = world.tunnel()
    assert b.sock.version() == "TLSv1.3" and b.sock.tls.selected_alpn_protocol() == "http/1.1"
    c.send(b"up")
    assert b.exactly(2) == b"up"
    b.send(b"down")
    assert c.exactly(4) == b"down"


def test_nextjs_too_and_a_connection_that_is_kept(world, authority, backend_tls):
    world.nextjs = world.backend(tls=backend_tls)
    world.configure(f"[NextJs]\nCaFile={authority.file}")
    c = world.client()
    for n in range(5):
        c.send(request("POST", f"/{n}", body=b"x" * n * 1000))
        b, m = world.nextjs.next()
        assert m.target == f"/{n}" and m.body == b"x" * n * 1000
        b.send(response(b"ok"))
        assert c.response().body == b"ok"
    assert len(world.nextjs.peers) == 1


def test_host_and_default_port(world):
    """Port 443 is left out of Host, and the port is."""
    world.configure("[MasterController]\nUrl=https://127.0.0.1\n[Routes]\nControllerPath=/c")
    with Responder(world.nextjs):
        r = world.check()
    assert "cannot connect to 127.0.0.1: " in r.stdout and r.returncode == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(world, authority, version):
    context = authority.server(authority.issue("IP:127.0.0.1"), version=version)
    behind_tls(world, context, f"CaFile={authority.file}")
    c, b = world.tunnel()
    c.send(b"x" * 100000)
    assert b.exactly(100000) == b"x" * 100000


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_older_versions_are_refused(world, authority, version):
    context = authority.server(authority.issue("IP:127.0.0.1"), version=version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    fails(world, behind_tls(world, context, f"CaFile={authority.file}"), "alert protocol version")


# Certificates that are refused

def test_an_unknown_issuer(world, stranger, authority):
    context = stranger.server(stranger.issue("IP:127.0.0.1"))
    fails(world, behind_tls(world, context, f"CaFile={authority.file}"),
          "certificate verify failed: unable to get local issuer certificate")
    world.nextjs.untouched()


def test_an_issuer_that_the_systems_store_does_not_have(world, stranger):
    fails(world, behind_tls(world, stranger.server(stranger.issue("IP:127.0.0.1"))),
          "unable to get local issuer certificate")


@pytest.mark.parametrize("directories", ["{}", "/nonexistent:{}", "{}:/nonexistent"])
def test_the_systems_store_is_looked_up_by_hash(world, authority, backend_tls, tmp_path, directories):
    """With $SSL_CERT_DIR in place of the system's directory."""
    name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", authority.file],
                          capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / f"{name}.0").write_bytes(authority.file.read_bytes())
    behind_tls(world, backend_tls)
    c = world.direct(upgrade(), env={"SSL_CERT_DIR": directories.format(tmp_path)}.items())
    world.tunnel_of(c)
    pid = c.process.pid
    maps = open(f"/proc/{pid}/maps").read()
    assert "libssl" in maps


def test_a_self_signed_certificate_is_refused(world, tmp_path, authority):
    alone = Authority(tmp_path / "alone", "127.0.0.1")
    context = authority.server((alone.file, alone.key))
    fails(world, behind_tls(world, context, f"CaFile={authority.file}"), "self.signed certificate")


def test_a_self_signed_certificate_in_cafile_is_accepted(world, tmp_path, authority):
    alone = tmp_path / "self.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp_path / "self.key", "-out",
                    alone, "-days", "30", "-subj", "/CN=controller", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    behind_tls(world, authority.server((alone, tmp_path / "self.key")), f"CaFile={alone}")
    world.tunnel()


def test_a_certificate_in_cafile_is_accepted_whoever_issued_it(world, authority):
    crt, key = authority.issue("IP:127.0.0.1")
    behind_tls(world, authority.server((crt, key)), f"CaFile={crt}")
    world.tunnel()
    other, _ = authority.issue("IP:127.0.0.1")
    b = behind_tls(world, authority.server((crt, key)), f"CaFile={other}")
    fails(world, b, "unable to get local issuer certificate|unable to verify the first certificate")


def test_an_expired_certificate_is_refused(world, authority):
    context = authority.server(authority.issue("IP:127.0.0.1", expired=True))
    fails(world, behind_tls(world, context, f"CaFile={authority.file}"), "certificate has expired")


def test_a_certificate_without_a_subject_alternative_name_is_refused(world, authority):
    """RFC 9110 4.3.4: the Common Name does not count, even if it is the right one."""
    crt, key = authority.issue(subject="/CN=localhost")
    b = behind_tls(world, authority.server((crt, key)))
    for ca in (authority.file, crt):
        world.configure(f"[MasterController]\nCaFile={ca}", controller=f"https://localhost:{b.port}")
        if ca == crt:       # a certificate in CaFile= may have any name
            world.tunnel()
        else:
            fails(world, b, "certificate verify failed: the certificate names no host in its "
                            r"subjectAltName .*: issue one .* CaFile=")


@pytest.mark.parametrize("since, until, reason", [
    (-7200, -3600, "certificate has expired"), (3600, 7200, "certificate is not yet valid"),
    (-3600, 3600, None)])
def test_a_certificate_in_cafile_has_to_be_valid_now(world, authority, since, until, reason):
    now = time.time()
    crt, key = authority.issue(subject="/CN=x", since=now + since, until=now + until)
    b = behind_tls(world, authority.server((crt, key)), f"CaFile={crt}")
    if reason:
        fails(world, b, f"certificate verify failed: {reason}")
    else:
        world.tunnel()


def server_hello(version):
    """The ServerHello of an old server: this version and no extensions."""
    return b"\x16\x03\x01" + vector(2, b"\2" + vector(
        3, version + bytes(32) + vector(1, b"") + b"\xc0\x2f" + b"\0"))


@pytest.mark.parametrize("reason, how", [
    ("EE certificate key too weak", {"key": "rsa:1024"}),
    ("CA signature digest algorithm too weak", {"digest": "sha1"}),
    ("unsuitable certificate purpose", {"usage": "clientAuth"}),
    ("unsupported protocol", b"\3\1"),
    ("unsafe legacy renegotiation disabled", b"\3\3")])
def test_reasons_that_the_manual_explains(world, authority, reason, how):
    manual = (pathlib.Path(__file__).parents[2] / "man/novnc-gate.8").read_text()
    assert re.search(rf"^\.It .*Li {reason}( ,|$)", manual, re.M)
    if isinstance(how, bytes):
        b = behind_tls(world, None)
        world.configure("[MasterController]\nVerifyTls=no", controller=b.url.replace("http", "https"))

        def one():
            p = b.accept()
            p.sock.recv(1000)
            p.send(server_hello(how))
        threading.Thread(target=one, daemon=True).start()
        c = world.client(upgrade())
        world.error(c, 502)
        assert reason in c.log[-1], c.log
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(*authority.issue("IP:127.0.0.1", **how))
    fails(world, behind_tls(world, context, f"CaFile={authority.file}"), reason)


@pytest.mark.parametrize("how, accepted", [
    ({"digest": "sha1"}, True), ({"usage": "clientAuth"}, True), ({"key": "rsa:1024"}, False)])
def test_a_certificate_in_cafile_needs_only_a_strong_key(world, authority, how, accepted):
    """As novnc-gate.conf(5) says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    crt, key = authority.issue(subject="/CN=x", **how)
    context.load_cert_chain(crt, key)
    b = behind_tls(world, context, f"CaFile={crt}")
    if accepted:
        world.tunnel()
    else:
        fails(world, b, "EE certificate key too weak")


@pytest.mark.parametrize("url, names, reason", [
    ("127.0.0.1", ["IP:127.0.0.2", "localhost"], "IP address mismatch"),
    ("localhost", ["IP:127.0.0.1", "elsewhere.example"], "[Hh]ostname mismatch"),
    ("localhost", ["*"], "[Hh]ostname mismatch")])
def test_a_certificate_for_another_name_is_refused(world, authority, url, names, reason):
    context = authority.server(authority.issue(*names))
    b = behind_tls(world, context)
    world.configure(f"[MasterController]\nCaFile={authority.file}",
                    controller=f"https://{url}:{b.port}")
    fails(world, b, reason)


def test_the_name_and_sni(world, authority):
    context = authority.server(authority.issue("localhost"))
    asked = []
    context.sni_callback = lambda sock, name, ctx: asked.append(name)
    b = behind_tls(world, context)
    world.configure(f"[MasterController]\nCaFile={authority.file}",
                    controller=f"https://localhost:{b.port}")
    world.tunnel()
    assert asked == ["localhost"]


def test_an_address_is_no_sni(world, authority):
    context = authority.server(authority.issue("IP:127.0.0.1"))
    asked = []
    context.sni_callback = lambda sock, name, ctx: asked.append(name)
    behind_tls(world, context, f"CaFile={authority.file}")
    world.tunnel()
    assert asked == [None]


def test_ipv6(world, authority, backend_tls):
    try:
        behind_tls(world, backend_tls, f"CaFile={authority.file}", host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    world.tunnel()


def test_without_verifying(world, stranger):
    behind_tls(world, stranger.server(stranger.issue("other.example", expired=True)),
               "VerifyTls=no")
    c, _ = world.tunnel()
    said = [line for line in c.log if "VerifyTls=no" in line]
    assert said == ["The certificate of master-controller is not verified (VerifyTls=no)"]


def test_verified_certificates_leave_no_entry(world, authority, backend_tls):
    behind_tls(world, backend_tls, f"CaFile={authority.file}")
    c, _ = world.tunnel()
    assert not any("VerifyTls" in line for line in c.log)


# Backends that do not complete a handshake

def test_a_backend_that_speaks_plain_http_is_named(world):
    b = behind_tls(world, None)
    world.configure("[MasterController]\nVerifyTls=no", controller=b.url.replace("http", "https"))

    def one():
        p = b.accept()
        p.sock.recv(1000)
        p.send(head("HTTP/1.1 400 Bad Request", "Content-Length: 0"))
    t = threading.Thread(target=one)
    t.start()
    c = world.client(upgrade())
    world.error(c, 502)
    t.join()
    assert "wrong version number" in c.log[-1] and "does not speak TLS" in c.log[-1]


def test_the_end_amid_the_handshake(world):
    b = behind_tls(world, None)
    world.configure("[MasterController]\nVerifyTls=no", controller=b.url.replace("http", "https"))

    def one():
        p = b.accept()
        p.half_close()
        while p.sock.recv(1000):    # to the end, for a close with unread bytes is a reset
            pass
        p.close()
    t = threading.Thread(target=one)
    t.start()
    c = world.client(upgrade())
    world.error(c, 502)
    t.join()
    assert "unexpected eof" in c.log[-1], c.log


def test_a_handshake_that_goes_on_for_ever(world):
    b = behind_tls(world, None)
    world.configure("[MasterController]\nVerifyTls=no\n[Limits]\nConnectTimeoutSec=300ms",
                    controller=b.url.replace("http", "https"))
    c = world.client(upgrade())
    b.accept()
    r = world.error(c, 504)
    assert r.body.startswith(b"WebSocket proxy error: timed out connecting to master-controller.\n")
    assert re.search("TLS handshake with .* timed out", c.log[-1]), c.log


def test_sigterm_amid_the_handshake(world):
    b = behind_tls(world, None)
    world.configure("[MasterController]\nVerifyTls=no", controller=b.url.replace("http", "https"))
    c = world.client(upgrade())
    b.accept().sock.recv(1)
    os.kill(c.pid, 15)
    assert c.response().status == 503
    assert c.exited() == 0


def test_no_common_cipher(world, authority):
    context = authority.server(authority.issue("IP:127.0.0.1"), version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("NULL-SHA256:@SECLEVEL=0")
    fails(world, behind_tls(world, context, f"CaFile={authority.file}"), "alert handshake failure")


# Mutual TLS

def demanding(authority, ca, **kw):
    return authority.server(authority.issue("IP:127.0.0.1"), ca=ca.file, demand=True, **kw)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate(world, authority, version):
    crt, key = authority.issue(subject="/CN=gate")
    behind_tls(world, demanding(authority, authority, version=version),
               f"CaFile={authority.file}\nClientCertificate={crt}\nClientKey={key}")
    _, b = world.tunnel()
    assert b.sock.tls.getpeercert()["subject"] == ((("commonName", "gate"),),)


def test_a_client_certificate_with_its_key_in_one_file(world, authority, tmp_path):
    crt, key = authority.issue(subject="/CN=gate")
    both = tmp_path / "both.pem"
    both.write_text(open(crt).read() + open(key).read())
    behind_tls(world, demanding(authority, authority),
               f"CaFile={authority.file}\nClientCertificate={both}")
    world.tunnel()


def test_a_missing_client_certificate(world, authority):
    """The alert comes within the handshake of TLS 1.2 and after that of TLS 1.3."""
    b = behind_tls(world, demanding(authority, authority, version=ssl.TLSVersion.TLSv1_2),
                   f"CaFile={authority.file}")
    fails(world, b, "alert handshake failure")
    b = behind_tls(world, demanding(authority, authority), f"CaFile={authority.file}")
    t = accept_failing(b)
    text = world.error(world.client(upgrade()), 502).body.decode()
    t.join(10)
    assert "certificate required" in text, text


@pytest.mark.parametrize("lines, reason", [
    ("CaFile=/nowhere", "CaFile=/nowhere: No such file or directory"),
    ("CaFile={empty}", "CaFile={empty}: contains no certificate"),
    ("CaFile={fifo}", "CaFile={fifo}: is a FIFO"),
    ("CaFile=/tmp", "CaFile=/tmp: is a directory"),
    ("ClientCertificate=/nowhere", "ClientCertificate=/nowhere: No such file or directory"),
    ("ClientCertificate={empty}", "ClientCertificate={empty}: contains no certificate"),
    ("ClientCertificate={crt}\nClientKey=/nowhere", "ClientKey=/nowhere: No such file or directory"),
    ("ClientCertificate={crt}\nClientKey={other}",
     "ClientKey={other}: does not belong to the first certificate in ClientCertificate={crt} (CN=gate);"),
    ("ClientCertificate={crt}\nClientKey={rsa}",
     "ClientKey={rsa}: does not belong to the first certificate in ClientCertificate={crt} (CN=gate);"),
    ("ClientCertificate={crt}", "ClientCertificate={crt}: contains no private key"),
    ("ClientCertificate={crt}\nClientKey={locked}",
     "ClientKey={locked}: contains no private key, or one with a passphrase")])
@pytest.mark.parametrize("which", ["page", "session"])
def test_faulty_files_are_a_500_and_named_in_the_log(world, authority, backend_tls, lines, reason, which, tmp_path):
    """The entry names section, key and file; the 500 names no file."""
    crt, key = authority.issue(subject="/CN=gate")
    _, other = authority.issue(subject="/CN=other")
    _, rsa = authority.issue(subject="/CN=other", key="rsa:2048")
    locked = tmp_path / "locked.key"        # which has a passphrase
    subprocess.run(["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked],
                   check=True, capture_output=True)
    (empty := tmp_path / "empty").touch()
    os.mkfifo(fifo := tmp_path / "fifo")
    names = {"crt": crt, "other": other, "rsa": rsa, "locked": locked, "empty": empty, "fifo": fifo}
    lines, reason = lines.format(**names), reason.format(**names)
    section = "NextJs" if which == "page" else "MasterController"
    side = world.backend(tls=backend_tls)
    world.configure(f"[{section}]\n{lines}",
                    **{"nextjs" if which == "page" else "controller": side.url})
    c = world.client(request() if which == "page" else upgrade())
    c.exit_code = 78
    text = world.error(c, 500).body.decode()
    assert "configuration" in text and "/nowhere" not in text and str(tmp_path) not in text, text
    c.logged(re.escape(f"[{section}] {reason}"))
    assert not any("Internal error" in line for line in c.log), c.log
    r = world.check("--check=config")
    assert r.returncode == 78 and r.stderr.startswith(f"[{section}] {reason}"), r


# The commands in README.md for a self-signed controller

def test_the_commands_that_fetch_a_self_signed_certificate(world, authority, tmp_path):
    """From a server that shows another certificate to clients without SNI."""
    readme = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    commands, = re.findall(r"^    openssl s_client.*\n(?:    .*\n)+", readme, re.M)
    key = tmp_path / "self.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                    "-out", "self.crt", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True, cwd=tmp_path)
    asked = authority.server((tmp_path / "self.crt", key))
    context = authority.server(authority.issue("other.example"))
    context.sni_callback = lambda sock, name, _: setattr(sock, "context", asked) \
        if name == "localhost" else None
    b = behind_tls(world, context)
    t = accept_failing(b)
    r = subprocess.run(["sh", "-ec", commands.replace("controller.example:4443", f"127.0.0.1:{b.port}")
                        .replace("controller.example", "localhost")],
                       cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=20, check=True)
    t.join(10)
    first, *_, last = r.stdout.splitlines()
    assert re.fullmatch("subject=CN *= *localhost", first) and r.stderr == "", r
    assert "DNS:localhost" in r.stdout and re.match("sha256 Fingerprint=([0-9A-F]{2}:){31}", last), r
    world.configure(f"[MasterController]\nCaFile={tmp_path}/controller.pem",
                    controller=f"https://localhost:{b.port}")
    world.tunnel()


# --check

def test_check_tries_the_handshake(world, authority, stranger, backend_tls):
    def check():
        with Responder(world.controller), Responder(world.nextjs):
            return world.check()
    b = behind_tls(world, backend_tls, f"CaFile={authority.file}")
    r = check()
    assert r.returncode == 0 and f"{b.url} speaks HTTP (status 200); its certificate is verified" in r.stdout
    world.configure(f"[MasterController]\nCaFile={stranger.file}")
    r = check()
    assert r.returncode == 1 and "unable to get local issuer" in r.stdout, r
    world.configure("[MasterController]\nVerifyTls=no")
    r = check()
    assert r.returncode == 0 and "not verified (VerifyTls=no)" in r.stdout.splitlines()[-1], r
    behind_tls(world, demanding(authority, authority), f"CaFile={authority.file}")
    r = check()
    assert r.returncode == 1 and "certificate required" in r.stdout, r
    assert "is good" not in r.stdout
    nobody = authority.server(authority.issue(subject="/CN=127.0.0.1"))
    behind_tls(world, nobody, f"CaFile={authority.file}")
    r = check()
    assert r.returncode == 1 and "names no host in its subjectAltName" in r.stdout, r
    world.configure(controller=b.url.replace("https", "http"))
    world.controller = b
    r = check()
    assert r.returncode == 1 and re.search("controller: .*Url= must begin with https://", r.stdout), r


# Upgrades

@pytest.mark.skipif(SANITIZED, reason="there is one program with sanitizers, elsewhere")
def test_an_upgrade_leaves_a_connection_that_has_no_tls_yet_alone(world, authority, backend_tls,
                                                                  tmp_path):
    for name in ("novnc-gate", "novnc-gate-dynamic", "novnc-gate-tls.so"):
        shutil.copy(BINARY.with_name(name), tmp_path)
    behind_tls(world, backend_tls, f"CaFile={authority.file}")
    c = world.direct(request(), binary=tmp_path / "novnc-gate")
    b = world.nextjs.asked()
    b.send(response(b"x"))
    assert c.response().status == 200
    shutil.copy(BINARY.with_name("novnc-gate-tls.so"), tmp_path / "new")
    (tmp_path / "new").rename(tmp_path / "novnc-gate-tls.so")
    c.send(upgrade())
    world.tunnel_of(c)


@pytest.mark.skipif(SANITIZED, reason="there is one program with sanitizers, elsewhere")
@pytest.mark.parametrize("other", ["version", "layout"])
def test_a_module_of_another_build_is_refused(world, authority, backend_tls, tmp_path, other):
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True,
                             check=True).stdout.split()[1]
    source = tmp_path / "module.c"
    source.write_text("const struct { const char *version; unsigned long layout; } novnc_gate_tls = "
                      f'{{ "{version if other == "layout" else "0.0"}", 1 }};')
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "novnc-gate-tls.so", source],
                   check=True, timeout=60)
    for name in ("novnc-gate", "novnc-gate-dynamic"):
        shutil.copy(BINARY.with_name(name), tmp_path)
    behind_tls(world, backend_tls, f"CaFile={authority.file}")
    c = world.direct(upgrade(), binary=tmp_path / "novnc-gate")
    assert b"the gate had an internal error" in world.error(c, 500).body
    assert "novnc-gate-tls.so is not from version" in c.log[-1]


# Ends

def test_a_backend_that_ends_without_close_notify_loses_nothing_in_a_tunnel(world, authority, backend_tls):
    """As websockify does. All bytes before the end arrive, however slowly the client reads."""
    behind_tls(world, backend_tls, f"CaFile={authority.file}")
    c, b = world.tunnel()
    last = NO_FRAME + os.urandom(999_999)
    sender = threading.Thread(target=lambda: (b.send(last), b.sock.cut()))
    sender.start()
    c.logged("Proxying: ")
    got = c.exactly(10)
    sender.join()       # the client does not read meanwhile, so the gate has to keep the bytes
    assert got + c.exactly(len(last) - 10) == last
    assert c.end() == "FIN"
    c.close()
    c.logged(r"master-controller closed first, without TLS close_notify; "
             "0 bytes up, 1000000 bytes down")


def test_a_missing_close_notify_of_the_side_that_ended_second_is_no_reason(world, authority, backend_tls):
    """As nginx does after the client has ended."""
    behind_tls(world, backend_tls, f"CaFile={authority.file}")
    c, b = unframed(*world.tunnel())
    c.close()
    assert b.end() == "FIN"
    b.sock.cut()
    c.logged(r"the client closed first; 1 bytes up")


def test_a_body_until_the_end_that_is_cut_is_a_reset(world, authority, backend_tls):
    world.nextjs = world.backend(tls=backend_tls)
    world.configure(f"[NextJs]\nCaFile={authority.file}")
    for polite in (True, False):
        c = world.client(request())
        b, _ = world.nextjs.next()
        b.send(head("HTTP/1.1 200 OK", "Connection: close"), b"half a body")
        if polite:
            b.close()
            assert c.response().body == b"half a body"
        else:
            c.until(b"half a body")
            b.sock.cut()
            assert c.end() == "RST"
            c.logged("Proxy error: Next.js closed the connection before its response was complete, "
                     "without TLS close_notify")


def test_a_backend_gets_a_close_notify(world, authority, backend_tls):
    behind_tls(world, backend_tls, f"CaFile={authority.file}")
    c, b = world.tunnel()
    c.close()
    assert closed(b) == [(1001, "")]      # and a close_notify
    c, b = unframed(*world.tunnel())
    c.close()
    assert b.end() == "FIN"


def test_a_response_before_the_end_of_the_upload(world, authority, backend_tls):
    """Writes to the backend fail before its response is read."""
    world.nextjs = world.backend(tls=backend_tls)
    world.configure(f"[NextJs]\nCaFile={authority.file}")
    c = world.client(request("POST", "/", "Content-Length: 100000000"))
    b = world.nextjs.accept()
    b.until(b"\r\n\r\n")
    b.send(head("HTTP/1.1 413 Too Large", "Connection: close", "Content-Length: 2"), b"no")
    b.close()
    with contextlib.suppress(OSError):
        for _ in range(100):
            c.send(b"x" * 1000000)
    r = c.response()
    assert r.status == 413 and r.body == b"no"


# Much

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_gibibyte(world, authority, direction, version):
    context = authority.server(authority.issue("IP:127.0.0.1"), version=version)
    behind_tls(world, context, f"CaFile={authority.file}")
    c, b = world.tunnel()
    sender, reader = (c, b) if direction == "up" else (b, c)
    total = 1 << 30 if version == ssl.TLSVersion.TLSv1_3 else 1 << 27
    t = threading.Thread(target=send_stream, args=(sender, total), daemon=True)
    t.start()
    assert read_stream(reader, total) == crc_of_stream(total)
    t.join()


def test_openssl_as_the_backend_updates_its_keys(world, authority):
    """A KeyUpdate of TLS 1.3 in a tunnel, which demands one in return."""
    crt, key = authority.issue("IP:127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    world.configure(f"[MasterController]\nCaFile={authority.file}",
                    controller=f"https://127.0.0.1:{port}")
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", crt,
                               "-key", key, "-naccept", "1"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        while b"ACCEPT" not in server.stdout.readline():
            pass
        c = world.client(upgrade())
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += os.read(server.stdout.fileno(), 65536)
        server.stdin.write(switching().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        server.stdin.flush()
        assert c.response().status == 101
        for n in range(3):
            server.stdin.write(b"K\n")
            server.stdin.flush()
            c.send(b"ping%d-" % n)
            seen = b""
            while b"ping%d-" % n not in seen:
                seen += os.read(server.stdout.fileno(), 65536)
            server.stdin.write(b"pong\n")
            server.stdin.flush()
            c.until(b"pong\n")
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()
    with contextlib.suppress(Ended):
        c.more()


# A plain tunnel after a page over TLS

@pytest.mark.parametrize("lines", [(), ("Connection: close",)], ids=["kept", "closed"])
def test_a_plain_tunnel_after_a_page_over_tls(world, authority, backend_tls, lines):
    page = world.backend(tls=backend_tls)
    world.configure(f"[NextJs]\nCaFile={authority.file}\n", nextjs=page.url)
    c = world.client()
    world.exchange(c, request(), response(b"ok", *lines), backend=page)
    c.send(upgrade())
    b = world.tunnel_of(c)
    assert page.peers[-1].end() == "FIN"    # for it will not be used again
    c.close()
    b.close()
    assert c.exited() == 0


# OpenSSL's own settings

ENGINE = """openssl_conf = all
[all]
engines = engines
ssl_conf = ssl
[engines]
afalg = afalg
[afalg]
default_algorithms = ALL
init = 1
[ssl]
system_default = system
[system]
MinProtocol = TLSv1.3
"""


@pytest.fixture
def engine(tmp_path):
    """An openssl.cnf with an engine that makes system calls which the sandbox forbids."""
    (tmp_path / "openssl.cnf").write_text(ENGINE)
    return {"OPENSSL_CONF": str(tmp_path / "openssl.cnf")}


@pytest.mark.parametrize("options", [(), ("--tls",)], ids=["plain", "tls"])
def test_an_engine_in_openssl_cnf_is_left_alone(world, authority, certificate, backend_tls, engine,
                                                options):
    """Without --tls OpenSSL starts inside the sandbox."""
    behind_tls(world, backend_tls,
               f"CaFile={authority.file}\n[Tls]\nCertificate={certificate[0]}\nKey={certificate[1]}")
    c = world.direct(options=options, env=engine.items())
    if options:
        c.sock = TlsSocket(c.sock, authority.client(), name=HOST.split(":")[0])
    c.send(upgrade())
    world.tunnel_of(c)


def test_the_rest_of_openssl_cnf_holds(world, authority, engine):
    context = authority.server(authority.issue("IP:127.0.0.1"), version=ssl.TLSVersion.TLSv1_2)
    b = behind_tls(world, context, f"CaFile={authority.file}")
    t = accept_failing(b)
    c = world.direct(upgrade(), env=engine.items())
    world.error(c, 502)
    t.join(10)
    assert "protocol version" in c.log[-1], c.log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_openssl_cnf_may_include_a_directory(world, authority, tmp_path):
    (tmp_path / "openssl.cnf").write_text(".include /etc/ssl/settings\n")
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "system.cnf").write_text(ENGINE)
    context = authority.server(authority.issue("IP:127.0.0.1"), version=ssl.TLSVersion.TLSv1_2)
    b = behind_tls(world, context, f"CaFile={authority.file}")
    t = accept_failing(b)
    mount = ["unshare", "-m", "sh", "-c", f'mount --bind {tmp_path} /etc/ssl && exec "$0" "$@"']
    c = world.direct(upgrade(), wrapper=mount)
    world.error(c, 502)
    t.join(10)
    assert "protocol version" in c.log[-1], c.log
