"""TLS from clients: versions, certificates, resumption, ends."""

import os
import re
import select
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from gate import (BINARY, GROWTH_KB, HOST, SANITIZED, SECRET, Ended, Responder, clean_env, connection,
                  cpu_seconds, head, memory_kb, request, response, switching, upgrade)
from test_sandbox import confined
from test_tunnel import crc_of_stream, read_stream, send_stream
from tls import (PRE_SHARED_KEY, PSK_DHE_KE, PSK_KE, Authority, Ragged, TlsSocket,
                 resuming_hello, server_hello_extensions)
from websocket import unframed

NAME = HOST.split(":")[0]


@pytest.fixture(scope="session")
def gate(tls_gate):
    return tls_gate


def fails_handshake(world, context, logged, **kw):
    """The gate ends the handshake and logs the reason; returns the client's error."""
    sock = socket.create_connection((world.gate.host, world.gate.port), 10)
    process = lambda: world.gate.process(sock.getsockname()[1])
    with pytest.raises((ssl.SSLError, Ragged, OSError)) as e:
        TlsSocket(sock, context, name=NAME, **kw).recv(1)
    p = process()
    sock.close()
    assert p.wait() == 0
    assert any(re.search(logged, line) for line in p.log), p.log
    return str(e.value)


def test_a_page_over_tls_has_the_forwarded_fields(world):
    seen = world.seen(request())
    assert seen["X-Forwarded-Proto"] == "https" and "X-Client-Cert-Subject" not in seen


def test_http11_is_what_alpn_says(world, authority):
    c = world.client()
    assert c.sock.tls.selected_alpn_protocol() == "http/1.1"
    assert c.sock.tls.version() == "TLSv1.3" and c.sock.tls.compression() is None
    c = world.client(tls=authority.client(alpn=("h2", "http/1.1")))
    assert c.sock.tls.selected_alpn_protocol() == "http/1.1"
    c = world.client(tls=authority.client(alpn=()))
    assert c.sock.tls.selected_alpn_protocol() is None
    fails_handshake(world, authority.client(alpn=("h2",)), "no application protocol|parse tlsext")


@pytest.mark.parametrize("version, cipher", [
    (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (ssl.TLSVersion.TLSv1_3, "TLS_AES_256_GCM_SHA384")])
def test_tls_1_2_and_1_3_are_spoken(world, authority, version, cipher):
    c = world.client(tls=authority.client(version=version))
    assert c.sock.tls.cipher()[0] == cipher
    world.exchange(c, request())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_older_versions_are_refused(world, authority, version):
    context = authority.client(version=version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    assert "PROTOCOL_VERSION" in fails_handshake(world, context, "unsupported protocol")


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
                                    "ECDHE-ECDSA-AES256-SHA384"])
def test_weak_ciphers_are_refused(world, authority, cipher):
    context = authority.client(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(cipher)
    fails_handshake(world, context, "no shared cipher")


def test_an_rsa_certificate(world, authority):
    crt, key = authority.issue(NAME, key="rsa:2048")
    world.configure(f"[Tls]\nCertificate={crt}\nKey={key}")
    world.drop_in("50-rsa.conf", f"[Tls]\nCertificate={crt}\nKey={key}\n")
    c = world.client(tls=authority.client(version=ssl.TLSVersion.TLSv1_2))
    assert c.sock.tls.cipher()[0] == "ECDHE-RSA-AES128-GCM-SHA256"


def test_a_client_that_does_not_trust_us_is_logged(world, tmp_path):
    stranger = Authority(tmp_path / "stranger")
    sock = socket.create_connection((world.gate.host, world.gate.port), 10)
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsSocket(sock, stranger.client(), name=NAME)
    p = world.gate.process(sock.getsockname()[1])
    sock.close()
    assert p.wait() == 0 and any("alert unknown ca" in line for line in p.log), p.log


def test_a_malformed_handshake_is_one_entry(world):
    c = world.client(b"\x16\x03\x01\x00\x05hello", tls=False)
    with pytest.raises(Ended):
        while True:
            c.more()
    assert c.exited() == 0
    assert len(c.log) == 1 and "TLS handshake with 127.0.0.1:" in c.log[0], c.log


def test_a_client_that_sends_nothing_is_not_logged(world):
    c = world.client(tls=False)
    c.close()
    assert c.exited() == 0 and c.log == []


def test_half_a_handshake_times_out(world):
    world.configure("[Limits]\nHeadTimeoutSec=300ms")
    c = world.client(b"\x16\x03\x01", tls=False)
    assert c.end() in ("FIN", "RST")
    c.logged("TLS handshake with .* failed: timed out waiting for the handshake")
    c = world.client(tls=False)
    assert c.end() in ("FIN", "RST")
    assert c.exited() == 0 and c.log == []


def test_sigterm_amid_the_handshake(world):
    c = world.client(b"\x16\x03\x01", tls=False)
    deadline = time.monotonic() + 10
    while "libssl" not in open(f"/proc/{c.pid}/maps").read():   # by then it has blocked its signals
        assert time.monotonic() < deadline
    os.kill(c.pid, 15)
    assert c.exited() == 0


def test_no_renegotiation(world, authority):
    """The command R of openssl s_client asks for one."""
    with openssl_client(world, authority, "-tls1_2") as (client, _):
        client.stdin.write(b"R\n")
        client.stdin.flush()
        out = client.communicate(timeout=20)[0].decode()
    assert "RENEGOTIATING" in out and "no renegotiation" in out, out


def test_the_sandbox_is_the_same_as_without_tls(secure):
    """Two filters in a tunnel, as without TLS."""
    c, b = secure.tunnel()
    if not SANITIZED:
        assert confined(c.pid) == 2
    for _ in range(3):
        c.send(b"x" * 100000)
        assert b.exactly(100000) == b"x" * 100000


# Plain HTTP

@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", ["/", "/a/b?c=d&e", "http://app.example:3000/abs?x",
                                    "http://app.example:3000"])
def test_plain_http_is_sent_to_https(world, method, target):
    c = world.client(request(method, target), tls=False)
    r = world.refused(c, 308, to=method)
    path = target.removeprefix("http://app.example:3000")
    assert r["Location"] == f"https://app.example:3000{path or '/'}"


@pytest.mark.parametrize("message", [
    request("POST", "/", body=b"x"), request("DELETE", "/"), request("OPTIONS", "*"),
    request(host=None, version="1.0"), request(host=None), request(host="a b"),
    b"GET /\r\n\r\n"])
def test_other_plain_http_is_refused(world, message):
    r = world.refused(world.client(message, tls=False), 400)
    assert "Location" not in r


# The configuration

def broken(world, tls, reason):
    world.drop_in("50-x.conf", f"[Tls]\n{tls}\n")
    c = world.client(tls=False)
    c.send(b"\x16\x03\x01")
    c.exit_code = 78
    assert c.end() in ("FIN", "RST")
    assert c.exited() == 78
    assert any(re.search(reason, line) for line in c.log), c.log
    r = check(world, {"CREDENTIALS_DIRECTORY": "/nowhere"})
    assert r.returncode == 78 and re.search(reason, r.stderr), r


def check(world, env=(), what="--check=config"):
    return world.check("--tls", what, env=env)


@pytest.mark.parametrize("tls, reason", [
    ("Certificate=/nowhere", "Certificate=/nowhere: No such file"),
    ("Certificate=/dev/null", "Certificate=/dev/null: contains no certificate"),
    ("Key=/nowhere", "Key=/nowhere: No such file"),
    ("Key=/dev/null", "Key=/dev/null: contains no private key"),
    ("Key={ec}", "Key={ec}: does not belong to the first certificate in Certificate={crt} "
                 r"\(CN=app.example\);"),
    ("Key={rsa}", "Key={rsa}: does not belong to the first certificate in Certificate={crt} "
                  r"\(CN=app.example\);"),
    ("Certificate={disorder}", "does not belong to the first certificate in Certificate={disorder} "
                               r"\(CN=Test CA\); the certificate of this key must come first"),
    ("Certificate=", "Certificate=.*tls.crt: No such file"),
    ("TicketKey=/dev/null", "TicketKey=/dev/null: is neither 80 nor 160 bytes long"),
    ("ClientCaFile=/nowhere", "ClientCaFile=/nowhere: No such file"),
    ("Certificate={fifo}", "Certificate={fifo}: is a FIFO"),
    ("Key={fifo}", "Key={fifo}: is a FIFO"),
    ("TicketKey={fifo}", "TicketKey={fifo}: is neither 80 nor 160 bytes long"),
    ("ClientCaFile={fifo}", "ClientCaFile={fifo}: is a FIFO"),
    ("ClientCaFile=/dev/null", "ClientCaFile=/dev/null: contains no certificate")])
def test_errors_name_key_and_file(world, authority, certificate, tls, reason, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    disorder = tmp_path / "disorder"        # the chain begins with the authority
    disorder.write_text(authority.file.read_text() + open(certificate[0]).read())
    files = {"crt": certificate[0], "fifo": tmp_path / "fifo", "ec": authority.issue(NAME)[1],
             "rsa": authority.issue(NAME, key="rsa:2048")[1], "disorder": disorder}
    broken(world, tls.format(**files), r"\[Tls\] .*" + reason.format(**files))


@pytest.mark.parametrize("tls, reason", [
    ("", None),
    ("ClientCaFile={crt}", None),
    ("ClientCaFile=/nowhere", "/nowhere: No such file"),
    ("Certificate={crt}", None),
    ("Certificate=/dev/null/x", "/dev/null/x: Not a directory"),
    ("Key={key}", None),
    ("Key=/nowhere", "/nowhere: No such file"),
    ("TicketKey=/nowhere", None),  # then sessions are not resumed
    ("TicketKey=/dev/null/x", "/dev/null/x: Not a directory")])
def test_a_check_without_credentials_looks_at_the_other_files(world, certificate, tls, reason):
    crt, key = certificate
    world.drop_in("50-x.conf", "[Tls]\nCertificate=\nKey=\n" + tls.format(crt=crt, key=key))
    r = check(world)
    # not if the check fails, for it would be mistaken for the reason
    assert ("credentials are not checked" in r.stdout) == (not reason)
    assert r.returncode == (78 if reason else 0) and re.search(reason or "^$", r.stderr), r


@pytest.mark.parametrize("since, until, said", [
    (-7200, -3600, "expired on .* GMT"), (3600, 7200, "not valid before .* GMT")])
def test_a_certificate_that_is_not_valid_now(world, authority, since, until, said):
    """A warning only: the sockets start all the same."""
    now = time.time()
    crt, key = authority.issue(NAME, since=now + since, until=now + until)
    world.drop_in("50-x.conf", f"[Tls]\nCertificate={crt}\nKey={key}\n")
    said = rf"\[Tls\] Certificate={crt}: {said}\n"
    r = check(world)
    assert r.returncode == 0 and re.fullmatch(f"warning: {said}", r.stderr), r
    with Responder(world.nextjs), Responder(world.controller):
        r = check(world, what="--check")
    assert r.returncode == 1 and re.fullmatch(said, r.stderr), r
    assert r.stdout.count("speaks HTTP (status 200)") == 2


@pytest.mark.parametrize("key, names, said", [
    ("ec -pkeyopt ec_paramgen_curve:secp256k1", [NAME], "browsers refuse its key (EC on secp256k1, 256 bits)"),
    ("ec -pkeyopt ec_paramgen_curve:brainpoolP256r1", [NAME],
     "browsers refuse its key (EC on brainpoolP256r1, 256 bits)"),
    ("ec -pkeyopt ec_paramgen_curve:P-521", [NAME], "browsers refuse its key (EC on secp521r1, 521 bits)"),
    ("rsa:1024", [NAME], "browsers refuse its key (RSA, 1024 bits)"),
    ("ed25519", [NAME], "browsers refuse its key (ED25519, 256 bits)"),
    ("rsa:2048", [], "names no host in its subjectAltName, so browsers refuse it"),
    ("ec -pkeyopt ec_paramgen_curve:P-384", [NAME], None), ("rsa:2048", [NAME], None),
    ("rsa:3072", [NAME], None)])
def test_a_certificate_that_browsers_refuse(world, authority, tmp_path, key, names, said):
    # otherwise OpenSSL refuses short keys
    (tmp_path / "openssl.cnf").write_text("openssl_conf=a\n[a]\nssl_conf=b\n[b]\nsystem_default=c\n"
                                          "[c]\nCipherString=DEFAULT@SECLEVEL=0\n")
    crt, key = authority.issue(*names, subject="/CN=x", key=key)
    world.drop_in("50-x.conf", f"[Tls]\nCertificate={crt}\nKey={key}\n")
    r = check(world, {"OPENSSL_CONF": tmp_path / "openssl.cnf"})
    assert r.returncode == 0
    if said:
        assert r.stderr.startswith(f"warning: [Tls] Certificate={crt}: {said}"), r
        assert len(r.stderr.splitlines()) == 1
    else:
        assert r.stderr == ""


@pytest.mark.parametrize("name", ["a/b", "..", "./x"])
def test_a_relative_path_is_no_credential(world, name):
    world.drop_in("50-x.conf", f"[Tls]\nKey={name}\n")
    r = world.check("--check=config")
    assert r.returncode == 78 and "credential" in r.stderr


def test_the_500_of_a_broken_configuration_is_sent_over_tls(world):
    world.drop_in("60-x.conf", "[Nonsense]\n")
    c = world.client(request())
    c.exit_code = 78
    world.refused(c, 500)


def test_credentials_are_found(world, certificate, tmp_path, authority):
    for name, path in zip(("tls.crt", "tls.key"), certificate):
        (tmp_path / name).write_bytes(open(path, "rb").read())
    world.drop_in("50-x.conf", "[Tls]\nCertificate=\nKey=\n")
    sock, served = connection()
    with served:
        p = subprocess.Popen([BINARY, f"--config={world.gate.config}", "--tls"], stdin=served,
                             env=clean_env({"CREDENTIALS_DIRECTORY": str(tmp_path)}.items()))
    TlsSocket(sock, authority.client(), name=NAME).close()
    assert p.wait(10) == 0


def test_a_renewed_certificate_is_shown_by_the_next_connection(world, authority):
    def serial():
        return world.client().sock.tls.getpeercert()["serialNumber"]
    first = serial()
    crt, key = authority.issue(NAME)
    world.drop_in("50-x.conf", f"[Tls]\nCertificate={crt}\nKey={key}\n")
    assert serial() != first


# Client certificates

@pytest.fixture
def asking(world, authority):
    world.drop_in("50-ca.conf", f"[Tls]\nClientCaFile={authority.file}\n")
    return world


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_subject_is_passed_on_and_a_forged_one_is_not(asking, authority, version):
    crt = authority.issue(subject="/C=DE/O=A, B \\+ C/CN=Zoë \r\nX: y")
    asking.client(request("GET", "/", "X-Client-Cert-Subject: CN=admin",
                          "x-client-cert-subject: CN=root"),
                  tls=authority.client(crt, version=version))
    seen = asking.nextjs.accept().request()
    assert seen["X-Client-Cert-Subject"] == \
        r"CN=Zo\C3\AB \0D\0AX: y,O=A\, B \+ C,C=DE"


def test_the_subject_is_passed_on_with_an_upgrade(asking, authority):
    asking.client(upgrade(), tls=authority.client(authority.issue(subject="/CN=u")))
    assert asking.controller.accept().request()["X-Client-Cert-Subject"] == "CN=u"


def test_no_certificate_is_demanded_and_no_subject_is_forged(asking):
    seen = asking.seen(request("GET", "/", "X-Client-Cert-Subject: CN=admin"))
    assert "X-Client-Cert-Subject" not in seen


def test_without_a_client_ca_no_subject_is_passed_on(world, authority):
    world.client(request("GET", "/", "X-Client-Cert-Subject: CN=admin"),
                 tls=authority.client(authority.issue(subject="/CN=u")))
    assert "X-Client-Cert-Subject" not in world.nextjs.accept().request()


@pytest.mark.parametrize("kind, reason", [
    ("stranger", "unable to get local issuer|self.signed"), ("expired", "certificate has expired"),
    ("server", "unsuitable certificate purpose|unsupported certificate purpose"),
    ("long", "subject is empty or too long")])
def test_a_bad_client_certificate_is_refused(asking, authority, tmp_path, kind, reason):
    if kind == "stranger":
        other = Authority(tmp_path / "x", "X")
        crt = other.issue(subject="/CN=u")
    else:
        subject = "".join(f"/OU={'x' * 60}{n}" for n in range(20)) if kind == "long" else "/CN=u"
        crt = authority.issue(subject=subject, expired=kind == "expired",
                              usage="serverAuth" if kind == "server" else "clientAuth")
    fails_handshake(asking, authority.client(crt), reason)


# Resumption: each connection is a process of its own

def tickets(world, *keys):
    path = world.gate.config.with_name("tls.ticket")
    path.write_bytes(b"".join(keys))
    world.drop_in("40-ticket.conf", f"[Tls]\nTicketKey={path}\n")


def resume(world, context, session=None):
    """One page: True if its session was resumed, and the session for the next one."""
    c = world.client(request(), tls=context, session=session)
    b, _ = world.nextjs.next()
    b.send(response(b"ok"))
    assert c.response().body == b"ok"       # which the tickets precede
    reused, left = c.sock.tls.session_reused, c.sock.tls.session
    c.close()
    return reused, left


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_by_another_process_and_keys_rotate(world, authority, version):
    first, second, third = (os.urandom(80) for _ in range(3))
    context = authority.client(version=version)
    tickets(world, first)
    reused, session = resume(world, context)
    assert not reused
    reused, _ = resume(world, context, session)
    assert reused
    tickets(world, second, first)
    reused, renewed = resume(world, context, session)
    assert reused, "a ticket of the previous key"
    tickets(world, third, second)
    reused, _ = resume(world, context, session)
    assert not reused, "a ticket of the key before that"
    reused, _ = resume(world, context, renewed)
    assert reused, "the ticket that the renewal had brought"


def test_without_a_key_there_are_no_tickets(world, authority):
    _, session = resume(world, authority.client())
    assert session is None or not session.has_ticket


def test_a_ticket_that_was_tampered_with(world, authority):
    tickets(world, os.urandom(80))
    context = authority.client()
    _, session = resume(world, context)
    keys = world.gate.config.with_name("tls.ticket").read_bytes()
    tickets(world, keys[:16] + os.urandom(64))      # the same name, another key
    reused, _ = resume(world, context, session)
    assert not reused


def test_a_client_certificate_is_verified_by_each_connection(asking, authority):
    """A resumed session would accept a certificate that has expired since."""
    tickets(asking, os.urandom(80))

    def begin(valid):
        """Sessions with a certificate that is valid for so many seconds."""
        end = int(time.time()) + valid
        crt = authority.issue(subject="/CN=u", until=end)
        contexts = [authority.client(crt, version=version)
                    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
        return end, contexts, [resume(asking, context)[1] for context in contexts]

    start = time.time()
    begin(3600)
    end, contexts, sessions = begin(10 + 3 * int(time.time() - start))   # an emulated machine is slow
    while (left := end + 1 - time.time()) > 0:
        select.select([], [], [], left)
    for context, session in zip(contexts, sessions):
        fails_handshake(asking, context, "certificate has expired", session=session)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_from_before_certificates_were_asked_for(world, authority, version):
    """A resumed session would have no subject."""
    tickets(world, os.urandom(80))
    context = authority.client(authority.issue(subject="/CN=u"), version=version)
    _, session = resume(world, context)
    world.drop_in("50-ca.conf", f"[Tls]\nClientCaFile={authority.file}\n")
    c = world.client(request(), tls=context, session=session)
    assert world.nextjs.next()[1]["X-Client-Cert-Subject"] == "CN=u"
    assert not c.sock.tls.session_reused


class openssl_client:
    """openssl s_client against the gate, with a page's backend behind it."""

    def __init__(self, world, authority, *options):
        self.world = world
        self.argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{world.gate.port}",
                     "-servername", NAME, "-CAfile", str(authority.file), *options]

    def __enter__(self):
        self.popen = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        return self.popen, self.world

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait()


def until(client, words):
    """Waits for the line that has these words."""
    seen = b""
    while words not in seen:
        assert (line := client.stdout.readline()), seen
        seen += line


def test_openssl_resumes_tls13(world, authority, tmp_path):
    tickets(world, os.urandom(80))
    said = []
    for option in ("-sess_out", "-sess_in"):
        with openssl_client(world, authority, "-tls1_3", "-ign_eof", option,
                            tmp_path / "session") as (client, _):
            client.stdin.write(request("GET", "/", "Connection: close"))
            client.stdin.flush()
            b, _ = world.nextjs.next()
            b.send(response(b"hello"))
            said.append(client.communicate(timeout=20)[0].decode())
    assert "New, TLSv1.3" in said[0] and "Reused, TLSv1.3" in said[1], said[1]
    assert "Early data was not sent" in said[1]


def test_openssl_reconnects_with_tls12(world, authority):
    tickets(world, os.urandom(80))
    with openssl_client(world, authority, "-tls1_2", "-reconnect") as (client, _):
        client.stdin.write(b"Q\n")
        out = client.communicate(timeout=20)[0].decode()
    assert out.count("New, TLSv1.2") == 1 and out.count("Reused, TLSv1.2") == 5, out


@pytest.mark.parametrize("mode, resumed", [(PSK_DHE_KE, True), (PSK_KE, False)],
                         ids=["psk_dhe_ke", "psk_ke"])
def test_a_session_is_resumed_with_an_exchange_of_keys_only(world, authority, mode, resumed):
    """psk_ke has no forward secrecy."""
    tickets(world, os.urandom(80))
    with openssl_client(world, authority, "-tls1_3", "-ign_eof") as (client, _):
        client.stdin.write(request("GET", "/", "Connection: close"))
        client.stdin.flush()
        b, _ = world.nextjs.next()
        b.send(response(b"hello"))
        out = client.communicate(timeout=20)[0].decode()
    c = world.client(resuming_hello(out[out.rindex("SSL-Session:"):], mode), tls=False)
    record = c.exactly(5)
    record += c.exactly(int.from_bytes(record[3:], "big"))
    c.close()
    assert (PRE_SHARED_KEY in server_hello_extensions(record)) == resumed


def test_curl_resumes_on_its_second_connection(world, authority):
    tickets(world, os.urandom(80))
    url = f"https://{NAME}:{world.gate.port}/"
    client = subprocess.Popen(
        ["curl", "-sv", "--http1.1", "-o", "/dev/null", "-o", "/dev/null",
         "--cacert", authority.file, "--resolve", f"{NAME}:{world.gate.port}:127.0.0.1",
         "-H", "Connection: close", url, url],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for _ in range(2):
        b, _ = world.nextjs.next()
        b.send(response(b"hello"))
    out = client.communicate(timeout=20)[0].decode()
    assert client.returncode == 0, out
    assert out.count("TLS handshake, Certificate (11)") == 1, out    # none for the second page


# Ends

def test_every_response_ends_with_a_close_notify(world):
    c = world.client(request("GET", "/", "Connection: close"))
    b, _ = world.nextjs.next()
    b.send(head("HTTP/1.1 200 OK", "Connection: close"), b"until the end")
    b.close()
    assert c.response().body == b"until the end"    # FIN is a close_notify; "cut" would raise
    c = world.client(b"rubbish\r\n\r\n")
    assert c.response().status == 400 and c.end() == "FIN"


def test_a_cut_body_is_a_reset_not_a_close_notify(world):
    c = world.client(request("GET", "/"))
    b, _ = world.nextjs.next()
    b.send(head("HTTP/1.1 200 OK", "Connection: close"), b"half")
    c.until(b"half")
    b.reset()
    with pytest.raises(Ended) as e:
        c.more()
    assert e.value.how == "RST"


def test_a_client_that_ends_without_close_notify(world):
    """Between messages no entry, in a body an error, in a tunnel an ordinary end."""
    c = world.client()
    world.exchange(c, request())
    c.sock.cut()
    assert c.exited() == 0 and c.log == []

    c = world.client(request("POST", "/", "Content-Length: 10"), b"half")
    c.sock.cut()
    assert c.exited() == 0
    assert any("incomplete request body, without TLS close_notify" in line for line in c.log), c.log

    c, b = unframed(*world.tunnel())
    c.send(b"last words")
    c.sock.cut()
    assert b.exactly(10) == b"last words" and b.end() == "FIN"
    b.close()
    c.logged(r"the client closed first, without TLS close_notify;")


def test_a_client_that_ends_second_without_close_notify(world):
    c, b = unframed(*world.tunnel())
    b.close()
    assert c.end() == "FIN"
    c.sock.cut()
    c.logged(r"master-controller closed first; 1 bytes up")


def test_a_close_notify_waits_for_room(world):
    """The client does not read, so there is no room for a close_notify until it does."""
    c, b = world.tunnel()
    total = 0
    b.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while True:
            total += b.sock.send(b"x" * 65536)
    b.close()
    used = cpu_seconds(c.pid)
    select.select([], [], [], 0.5)
    assert cpu_seconds(c.pid) - used < 0.05, "busy while it waits for room"
    got = 0
    with pytest.raises(Ended) as e:
        while True:
            c.more()
            got += len(c.buf)
            c.buf = b""
    assert e.value.how == "FIN" and got == total


# Large amounts and back-pressure

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_gibibyte(world, authority, direction, version):
    c, b = world.tunnel(tls=authority.client(version=version))
    sender, reader = (c, b) if direction == "up" else (b, c)
    total = 1 << 30 if version == ssl.TLSVersion.TLSv1_3 else 1 << 27
    before = memory_kb(c.pid)
    t = threading.Thread(target=send_stream, args=(sender, total), daemon=True)
    t.start()
    assert read_stream(reader, total) == crc_of_stream(total)
    t.join()
    assert memory_kb(c.pid) - before < GROWTH_KB


def test_a_gibibyte_through_tls_on_both_sides(secure):
    c, b = secure.tunnel()
    total = 1 << 30
    t = threading.Thread(target=send_stream, args=(b, total), daemon=True)
    t.start()
    assert read_stream(c, total) == crc_of_stream(total)
    t.join()


def test_both_ways_at_once(secure):
    c, b = secure.tunnel()
    data = os.urandom(1 << 20)
    for _ in range(64):
        c.send(data)
        b.send(data)
        assert b.exactly(len(data)) == data and c.exactly(len(data)) == data


def test_a_reader_that_stalls_costs_no_memory(world):
    c, b = world.tunnel()
    before = memory_kb(c.pid)
    sent = 0
    b.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while True:
            sent += b.sock.send(b"x" * 65536)
    assert sent < 64 << 20 and memory_kb(c.pid) - before < GROWTH_KB
    used = cpu_seconds(c.pid)
    b.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        b.sock.recv(1)
    assert cpu_seconds(c.pid) - used < 0.05, "busy while nothing can move"
    assert c.exactly(sent) == b"x" * sent


@pytest.mark.parametrize("secret", [f"Cookie: {SECRET}"])
def test_a_pipeline_of_pages_and_then_a_session(world, secret):
    """In few records: the end of a record is not the end of a message."""
    c = world.client(b"".join(request("GET", f"/{n}", secret) for n in range(20)) + upgrade())
    for n in range(20):
        b, m = world.nextjs.next()
        assert m.target == f"/{n}"
        b.send(response(b"%d" % n))
        assert c.response().body == b"%d" % n
    b, _ = world.controller.next()
    b.send(switching())
    assert c.response().status == 101


@pytest.mark.parametrize("early", [b"", b"GET "])
def test_bytes_and_the_end_at_once(world, early):
    """One read of the socket gets both, and poll() reports nothing after that."""
    c = world.client(early)
    c.quiet(0.2)        # until the gate waits
    c.sock.tls.write(b"GET / HT")
    c.half_close()
    start = time.monotonic()
    assert c.response().status == 400 and c.end() == "FIN"
    assert time.monotonic() - start < 5


def test_records_of_one_byte(world):
    c = world.client()
    for byte in request("POST", "/", body=b"abc"):
        c.send(bytes([byte]))
    b, m = world.nextjs.next()
    assert m.body == b"abc"
    b.send(response(b"ok"))
    assert c.response().body == b"ok"


def test_key_updates(world, authority):
    with openssl_client(world, authority, "-tls1_3") as (client, _):
        client.stdin.write(upgrade())
        client.stdin.flush()
        b, _ = world.controller.next()
        b.send(switching())
        for n in range(3):
            client.stdin.write(b"K\n")
            client.stdin.flush()
            until(client, b"KEYUPDATE")      # s_client recognises a command only at the start of a read
            client.stdin.write(b"ping%d\n" % n)
            client.stdin.flush()
            assert b.exactly(6) == b"ping%d\n" % n
            b.send(b"pong%d\n" % n)
            until(client, b"pong%d" % n)


# Records without payload

@pytest.fixture(scope="module")
def key_updates(tmp_path_factory):
    """Starts a client that sends KeyUpdate messages for 20 s, behind a request where there is one."""
    program = tmp_path_factory.mktemp("bin") / "key_updates"
    source = os.path.join(os.path.dirname(__file__), "key_updates.c")
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", program, source, "-lssl", "-lcrypto"],
                   check=True, timeout=60)

    def start(world, *message):
        with socket.create_connection((world.gate.host, world.gate.port), 10) as sock:
            port = sock.getsockname()[1]
            sock.settimeout(None)
            flood = subprocess.Popen([program, "20", *(m.decode() for m in message)], stdin=sock)
        return flood, world.gate.process(port)
    return start


def test_key_updates_put_off_no_time_out(world, key_updates):
    world.configure("[Limits]\nHeadTimeoutSec=1s")
    flood, gate = key_updates(world)
    assert flood.wait(40) == 0 and gate.wait() == 0


@pytest.mark.parametrize("end", ["idle", "SIGTERM"])
def test_key_updates_hold_up_no_tunnels_end(world, key_updates, end):
    world.configure("[Limits]\nIdleTimeoutSec=1s" if end == "idle" else "")
    flood, gate = key_updates(world, upgrade())
    b = world.controller.asked()
    b.send(switching())
    gate.wait_log("Proxying")
    if end == "SIGTERM":
        os.kill(gate.pid, signal.SIGTERM)
    assert flood.wait(40) == 0 and gate.wait() == 0
    assert any("noVNC session closed" in line for line in gate.log)
