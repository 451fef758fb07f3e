"""TLS peers, and certificates of a test's own, made with the openssl command."""

import hashlib
import hmac
import os
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import time


class Authority:
    """A certificate authority in a directory, and the certificates that it issues."""

    def __init__(self, directory, name="Test CA"):
        self.directory, self.name = pathlib.Path(directory), name
        self.directory.mkdir(exist_ok=True)
        self.file = self.directory / "ca.pem"
        self.key = self.directory / "ca.key"
        self.count = 0
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-keyout", self.key, "-out", self.file, "-days", "30",
                      "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _openssl(self, *args, **kw):
        return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True,
                              **kw).stdout

    def issue(self, *names, subject=None, expired=False, since=None, until=None, key="ec",
              usage="serverAuth,clientAuth", digest="sha256"):
        """A certificate for DNS names and IP:... addresses: the paths of chain and key.

        It is valid for 30 days, or since and until times in seconds. An expired one ends in the second in
        which it is made: OpenSSL counts that as over, and newer openssl commands make none that ends before
        it begins.
        """
        self.count += 1
        base = self.directory / f"{self.count}"
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" \
            else ["-newkey", *key.split()]
        self._openssl("req", *kind, "-nodes", "-keyout", f"{base}.key", "-out", f"{base}.csr",
                      "-utf8", "-subj", subject or f"/CN={(names or ['nobody'])[0]}")
        extensions = f"basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n"
        if names:
            alt = ",".join(n if ":" in n else f"DNS:{n}" for n in names)
            extensions += f"subjectAltName={alt}\n"
        pathlib.Path(f"{base}.ext").write_text(extensions)
        self._openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.file, "-CAkey", self.key,
                      "-set_serial", str(1000 + self.count), "-days", "0" if expired else "30",
                      "-extfile", f"{base}.ext", "-out", f"{base}.crt", f"-{digest}")
        if since or until:
            self._reissue(base, since or time.time() - 60, until or time.time() + 86400)
        return f"{base}.crt", f"{base}.key"

    def _reissue(self, base, since, until):
        """The only command that takes times to the second is `openssl ca`."""
        for name in ("index", "attr"):
            pathlib.Path(f"{base}.{name}").write_text("")
        pathlib.Path(f"{base}.conf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}.index\nnew_certs_dir={self.directory}\n"
            "default_md=sha256\npolicy=p\nrand_serial=yes\n[p]\ncommonName=optional\n")
        start, end = (time.strftime("%y%m%d%H%M%SZ", time.gmtime(t)) for t in (since, until))
        self._openssl("ca", "-batch", "-notext", "-config", f"{base}.conf", "-startdate", start,
                      "-enddate", end, "-in", f"{base}.csr", "-cert", self.file, "-keyfile", self.key,
                      "-extfile", f"{base}.ext", "-out", f"{base}.crt")

    def client(self, certificate=None, **kw):
        """The context of a client that trusts this authority."""
        context = ssl.create_default_context(cafile=self.file)
        return configure(context, certificate, **kw)

    def server(self, certificate, **kw):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        return configure(context, certificate, **kw)


def configure(context, certificate=None, alpn=("http/1.1",), version=None, ca=None, demand=False):
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF     # otherwise Python hides a missing close_notify
    if certificate:
        context.load_cert_chain(*certificate)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED if demand else ssl.CERT_OPTIONAL
    return context


class Ragged(Exception):
    """The peer ended its direction without a close_notify."""


class TlsSocket:
    """A socket with TLS, which reports how its peer ended. One thread may read while another one writes."""

    def __init__(self, sock, context, server=False, name=None, session=None):
        self.raw, self.notify = sock, True
        self.using, self.sending = threading.Lock(), threading.Lock()   # the SSL object and its buffers; the socket
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=server,
                                    server_hostname=name, session=session)
        self._step(self.tls.do_handshake)

    def __getattr__(self, name):
        return getattr(self.raw, name)

    def _flush(self, wait=True):
        """Sends what is there, unless another thread does so and this one need not wait for that."""
        if not self.sending.acquire(blocking=wait):
            return
        try:
            while (data := self._locked(self.outgoing.read)):
                self.raw.sendall(data)
        finally:
            self.sending.release()

    def _locked(self, what, *args):
        with self.using:
            return what(*args)

    def _step(self, what, *args):
        writes = what != self.tls.read
        while True:
            try:
                result = self._locked(what, *args)
            except ssl.SSLWantReadError:
                self._flush(writes)
                data = self.raw.recv(1 << 18)
                if data:
                    self._locked(self.incoming.write, data)
                else:
                    self._locked(self.incoming.write_eof)
                continue
            except ssl.SSLError:
                try:
                    self._flush(writes)     # the alert
                except OSError:
                    pass
                raise
            self._flush(writes)
            return result

    def recv(self, n):
        try:
            return self._step(self.tls.read, n)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError:
            raise Ragged from None

    def recv_into(self, room):
        try:
            return self._step(self.tls.read, len(room), room)
        except ssl.SSLZeroReturnError:
            return 0
        except ssl.SSLEOFError:
            raise Ragged from None

    def sendall(self, data):
        data = memoryview(data)
        while len(data):
            data = data[self._step(self.tls.write, data[:1 << 18]):]

    def setsockopt(self, *args):
        self.notify &= args[1] != socket.SO_LINGER      # a reset is to follow
        self.raw.setsockopt(*args)

    def shutdown(self, _):
        """Ends this direction and reads on."""
        try:
            self._locked(self.tls.unwrap)
        except ssl.SSLError:
            pass        # the peer has not ended yet
        self._flush()

    def close(self):
        if self.notify and self.raw.fileno() >= 0:
            try:
                self.shutdown(None)
            except OSError:
                pass
        self.raw.close()

    def cut(self):
        """Ends its direction without a close_notify; a close would reset what tickets have come."""
        self.notify = False
        self.raw.shutdown(socket.SHUT_WR)

    def version(self):
        return self.tls.version()


# Handshakes by hand, for what the openssl command does not offer

PSK_KE, PSK_DHE_KE = b"\0", b"\1"
PRE_SHARED_KEY = 41


def vector(size, data):
    """RFC 8446 3.4: the length in size bytes, then the data."""
    return len(data).to_bytes(size, "big") + data


def resuming_hello(session, mode):
    """A ClientHello that would resume a session, in `openssl s_client`'s words, in this one mode.

    All for a handshake without the session is in it as well; the key to share is any 32 bytes.
    """
    psk = bytes.fromhex(re.search(r"Resumption PSK: (\w+)", session)[1])
    rows = re.findall(r"^ +[0-9a-f]{3}0 - ([0-9a-f -]{47})", session, re.M)
    ticket = bytes.fromhex(" ".join(rows).replace("-", " "))
    cipher, algorithm = {32: (b"\x13\x01", "sha256"), 48: (b"\x13\x02", "sha384")}[len(psk)]

    def digest(data):
        return hashlib.new(algorithm, data).digest()

    def derive(secret, label, context):     # RFC 8446 7.1; one block is enough
        info = len(psk).to_bytes(2, "big") + vector(1, b"tls13 " + label) + vector(1, context)
        return hmac.digest(secret, info + b"\1", algorithm)

    extensions = b"".join(kind.to_bytes(2, "big") + vector(2, data) for kind, data in (
        (43, vector(1, b"\x03\x04")),                                    # TLS 1.3
        (10, vector(2, b"\0\x1d")),                                      # X25519
        (13, vector(2, b"\x04\x03")),                                    # ECDSA on P-256
        (51, vector(2, b"\0\x1d" + vector(2, os.urandom(32)))),          # a key for X25519
        (45, vector(1, mode)),
        (PRE_SHARED_KEY, vector(2, vector(2, ticket) + bytes(4))
         + vector(2, vector(1, bytes(len(psk)))))))
    hello = b"\x03\x03" + os.urandom(32) + b"\0" + vector(2, cipher) + b"\1\0" \
        + vector(2, extensions)
    hello = b"\1" + vector(3, hello)
    truncated = hello[:-len(vector(2, vector(1, psk)))]     # RFC 8446 4.2.11.2
    early = hmac.digest(bytes(len(psk)), psk, algorithm)
    finished = derive(derive(early, b"res binder", digest(b"")), b"finished", b"")
    binder = hmac.digest(finished, digest(truncated), algorithm)
    return b"\x16\x03\x01" + vector(2, truncated + vector(2, vector(1, binder)))


def server_hello_extensions(record):
    """The numbers of a ServerHello's extensions."""
    assert record[:1] == b"\x16" and record[5:6] == b"\2", record
    at = 5 + 4 + 2 + 32
    at += 1 + record[at] + 2 + 1 + 2        # past the session id, cipher, compression, a length
    kinds = set()
    while at < len(record):
        kinds.add(int.from_bytes(record[at:at + 2], "big"))
        at += 4 + int.from_bytes(record[at + 2:at + 4], "big")
    return kinds
