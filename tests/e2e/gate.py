"""The gate as systemd starts it, and both of its peers as scripts.

A test is a conversation in one thread: the client sends, a backend accepts, reads
and responds, the client reads. Nothing sleeps; each step waits for the bytes, the
end or the log line that it needs, for at most DEADLINE. What the gate sends is
read strictly, so that each test is also a test of its framing.
"""

import base64
import contextlib
import hashlib
import os
import pathlib
import pwd
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading

from tls import Ragged, TlsSocket

BINARY = pathlib.Path(os.environ.get("GATE_BINARY") or
                      pathlib.Path(__file__).parents[2] / "build" / "novnc-gate").resolve()
SANITIZED = b"__asan_init" in (BINARY.read_bytes() if BINARY.exists() else b"")
DEADLINE = 10
# The most by which memory may grow; a sanitizer keeps freed memory for a while.
GROWTH_KB = 65536 if SANITIZED else 1024
HOST = "app.example:3000"
NOVNC = "/api/auth/session/s-1/novnc/websockify"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
SECRET = "s3cr3t-not-for-any-log"
RESET = struct.pack("ii", 1, 0)

FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")


# As root, --check becomes the user novnc-gate where there is one, and that user may not read a test's
# files. There it runs as another user, who may read everything.
def _is_served_here():
    with contextlib.suppress(KeyError):
        return os.geteuid() == 0 and bool(pwd.getpwnam("novnc-gate"))
    return False


CHECKER = ["setpriv", "--reuid=65534", "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
           BINARY] if _is_served_here() else [BINARY]


# Messages that are sent

def request(method="GET", target="/", *lines, host=HOST, body=b"", version="1.1"):
    head = [f"{method} {target} HTTP/{version}"]
    if host is not None:
        head.append(f"Host: {host}")
    head.extend(lines)
    if body:
        head.append(f"Content-Length: {len(body)}")
    return encode(head) + body


def upgrade(target=NOVNC, *lines, without=(), method="GET", **kw):
    """A WebSocket upgrade; a line that is given replaces the usual one of that name."""
    given = {line.split(":")[0].lower() for line in lines} | {n.lower() for n in without}
    usual = ("Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")
    rest = [line for line in usual if line.split(":")[0].lower() not in given]
    return request(method, target, *rest, *lines, **kw)


def response(body=b"", *lines, status="200 OK"):
    return encode([f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}"]) + body


def head(*lines):
    return encode(lines)


def switching(*lines, without=(), status="101 Switching Protocols", version="1.1"):
    """The 101 that belongs to KEY, with lines replaced as in upgrade()."""
    given = {line.split(":")[0].lower() for line in lines} | {n.lower() for n in without}
    usual = ("Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Accept: {accept_of(KEY)}")
    rest = [line for line in usual if line.split(":")[0].lower() not in given]
    return encode([f"HTTP/{version} {status}", *rest, *lines])


def chunked(*parts, trailers=()):
    data = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts)
    return data + b"0\r\n" + encode(trailers)


def accept_of(key):
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1((key + guid).encode()).digest()).decode()


def encode(lines):
    return "".join(line + "\r\n" for line in (*lines, "")).encode("latin-1")


# Messages that are received

class Ended(Exception):
    """The peer ended the connection; how: "FIN", "RST" or "cut"; got: the bytes before the end."""

    def __init__(self, how, got):
        super().__init__(f"{how} after {got[-200:]!r}")
        self.how, self.got = how, got


class Message:
    def __init__(self, start, fields):
        self.start, self.fields = start, fields
        self.body, self.trailers, self.framing = b"", [], "none"

    def __repr__(self):
        return f"<{self.start!r} {self.fields} {self.body[:80]!r}>"

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    @property
    def method(self):
        return self.start.split(" ")[0]

    @property
    def target(self):
        return self.start.split(" ")[1]

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def __contains__(self, name):
        return bool(self.all(name))

    def __getitem__(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times: {self}"
        return values[0] if values else None

    def options(self, name):
        return [o.strip().lower() for v in self.all(name) for o in v.split(",")]


def parse_fields(lines):
    fields = []
    for line in lines:
        m = FIELD.fullmatch(line)
        assert m, f"not a header line: {line!r}"
        fields.append((m[1].decode("latin-1"), m[2].decode("latin-1")))
    return fields


class Peer:
    """One end of a connection, with a deadline on each step."""

    forgiving = False
    REQUEST_LINE = re.compile(rb"[A-Z-]+ [\x21-\xff]+ HTTP/1\.[01]")
    STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9] [\t\x20-\x7e\x80-\xff]*")

    def __init__(self, sock):
        sock.settimeout(DEADLINE)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.buf, self.received = sock, b"", 0

    def send(self, *pieces):
        for piece in pieces:
            self.sock.sendall(piece)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()

    def more(self):
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            raise Ended("RST", self.buf) from None
        except Ragged:
            raise Ended("cut", self.buf) from None
        except TimeoutError:
            raise AssertionError(f"nothing came in {DEADLINE} s after {self.buf[-200:]!r}") \
                from None
        if not data:
            raise Ended("FIN", self.buf)
        self.buf += data
        self.received += len(data)

    def exactly(self, n):
        parts, missing = [], n
        while missing:
            if not self.buf:
                self.more()
            parts.append(self.buf[:missing])
            self.buf = self.buf[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def until(self, mark):
        start = 0
        while (at := self.buf.find(mark, start)) < 0:
            start = max(0, len(self.buf) - len(mark) + 1)
            self.more()
        got, self.buf = self.buf[:at], self.buf[at + len(mark):]
        return got

    def end(self):
        """Waits for the end, without a byte before it; returns how the connection ended."""
        try:
            if not self.buf:
                self.more()
        except Ended as e:
            return e.how
        raise AssertionError(f"instead of the end came {self.buf[:400]!r}")

    def quiet(self, seconds=0.1):
        """Nothing has come, and nothing comes within a short time."""
        assert not self.buf, f"unexpected: {self.buf[:400]!r}"
        ready, _, _ = select.select([self.sock], [], [], seconds)
        assert not ready, f"unexpected: {self.sock.recv(400)!r}"

    def head(self, start_line):
        first, *rest = self.until(b"\r\n\r\n").split(b"\r\n")
        assert start_line.fullmatch(first), f"not a start line: {first!r}"
        return Message(first.decode("latin-1"), parse_fields(rest))

    def request(self):
        m = self.head(self.REQUEST_LINE)
        self._body(m, "none")
        return m

    def response(self, to="GET"):
        """The next response head with its body; a 1xx counts as one."""
        m = self.head(self.STATUS_LINE)
        if m.status < 200 or m.status == 204:
            assert self.forgiving or not ("Content-Length" in m or "Transfer-Encoding" in m)
        elif to != "HEAD" and m.status != 304:
            self._body(m, "close")
        return m

    def _body(self, m, otherwise):
        if "Transfer-Encoding" in m:
            assert m["Transfer-Encoding"] == "chunked" and "Content-Length" not in m
            m.framing = "chunked"
            self._chunks(m)
        elif "Content-Length" in m:
            assert re.fullmatch("[0-9]+", m["Content-Length"])
            m.framing = "length"
            m.body = self.exactly(int(m["Content-Length"]))
        elif otherwise == "close":
            m.framing = "close"
            try:
                while True:
                    self.more()
            except Ended as e:
                if e.how != "FIN":
                    raise
            m.body, self.buf = self.buf, b""

    def _chunks(self, m):
        parts = []
        while True:
            size = self.until(b"\r\n")
            assert re.fullmatch(rb"[0-9a-fA-F]{1,16}", size), f"chunk size {size!r}"
            if not int(size, 16):
                break
            parts.append(self.exactly(int(size, 16)))
            assert self.exactly(2) == b"\r\n"
        lines = []
        while (line := self.until(b"\r\n")):
            lines.append(line)
        m.body, m.trailers = b"".join(parts), parse_fields(lines)


class Client(Peer):
    """A client's connection and the gate's process that serves it."""

    # the part of an entry that names the request and its client
    WHO = re.compile(r" \((\S+( \S+)?, )?(session \S+, )?client \S+\)$|; client \S+(?=\)$)")

    def __init__(self, sock, process):
        super().__init__(sock)
        host, port, *_ = sock.getsockname()
        self.address = (f"[{host}]" if ":" in host else host) + f":{port}"
        self.exit_code = 0
        self._process = process

    @property
    def process(self):
        if callable(self._process):
            self._process = self._process()
        return self._process

    @property
    def pid(self):
        return self.process.pid

    def exited(self):
        return self.process.wait()

    @property
    def lines(self):
        """The log without the debug entry about sandbox features that this kernel or build lacks."""
        return [line for line in self.process.log if not line.startswith("Sandbox degraded: ")]

    @property
    def log(self):
        """The lines without the request and client that they name."""
        return [Client.WHO.sub("", line) for line in self.lines]

    def logged(self, pattern):
        self.process.wait_log(pattern)


class Backend:
    """A listening socket, for which the test accepts and speaks; tls: a context, for TLS."""

    def __init__(self, host="127.0.0.1", port=0, path=None, backlog=1024, tls=None):
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host \
            else socket.AF_INET
        self.sock = socket.socket(family)
        self.sock.bind(str(path) if path else (host, port))
        if backlog is not None:
            self.sock.listen(backlog)
        self.peers = []
        self.port = None if path else self.sock.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        self.authority = "localhost" if path else f"{name}:{self.port}"
        self.tls = tls
        self.url = f"unix:{path}" if path else f"http{'s' if tls else ''}://{self.authority}"

    def accept(self):
        ready, _, _ = select.select([self.sock], [], [], DEADLINE)
        assert ready, f"nobody connected to {self.url}"
        sock = self.sock.accept()[0]
        sock.settimeout(DEADLINE)
        self.peers.append(Peer(TlsSocket(sock, self.tls, server=True) if self.tls else sock))
        return self.peers[-1]

    def asked(self):
        """A new connection, whose first request has been read."""
        peer = self.accept()
        peer.request()
        return peer

    def next(self):
        """The next request, on a kept or a new connection: that connection and the request."""
        kept = [p for p in self.peers if p.sock.fileno() >= 0]
        while True:
            ready, _, _ = select.select([self.sock, *(p.sock for p in kept)], [], [], DEADLINE)
            assert ready, f"no request came to {self.url}"
            try:
                b = next((p for p in kept if p.sock in ready), None) or self.accept()
                return b, b.request()
            except Ended:
                if b not in kept:
                    raise
                kept.remove(b)

    def waiting(self):
        """The connection that waits to be accepted, or None."""
        ready, _, _ = select.select([self.sock], [], [], 0)
        return self.accept() if ready else None

    def untouched(self):
        peer = self.waiting()
        if peer:
            peer.sock.setblocking(False)
            with contextlib.suppress(OSError):
                peer.buf = peer.sock.recv(1000)
            raise AssertionError(f"{self.url} was contacted and got {peer.buf!r}")

    def close(self):
        for s in (*(p.sock for p in self.peers), self.sock):
            s.close()


@contextlib.contextmanager
def refusing(host="127.0.0.1"):
    """A backend's URL where connections are refused; the port stays taken."""
    backend = Backend(host, backlog=None)
    yield backend
    backend.close()


@contextlib.contextmanager
def deaf(host="127.0.0.1", port=0):
    """A backend that is there but never accepts: its queue is full."""
    backend = Backend(host, port, backlog=0)
    filler = socket.create_connection((host, backend.port))
    yield backend
    filler.close()
    backend.close()


def connection():
    """Both ends of a new TCP connection: the client's and the one that was accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        return near, listener.accept()[0]


class Responder:
    """A backend with a thread that responds to every request; seen: the requests."""

    def __init__(self, backend, sent=None, request=True, reset=False):
        self.backend, self.seen, self.faults = backend, [], []
        self.sent = response(b"ok") if sent is None else sent
        self.request, self.reset = request, reset
        self.stop, self.stopped = os.pipe()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.close(self.stopped)
        self.thread.join(DEADLINE)
        os.close(self.stop)

    def _serve(self):
        while self.stop not in select.select([self.backend.sock, self.stop], [], [])[0]:
            try:
                peer = self.backend.accept()
                if self.request:
                    self.seen.append(peer.request())
                peer.send(self.sent)
                peer.reset() if self.reset else peer.close()
            except (OSError, Ended, Ragged) as e:
                self.faults.append(repr(e))      # the exception itself would keep the socket open


# The gate

# addresses, ports and files, which belong into the log and not into an error response
PRIVATE = re.compile(r"\d\.\d+\.\d+\.|:\d|::|localhost|\w/\w+/|\.(pem|so|sock|crt|key|conf|invalid)\b")


class Process:
    """One process of the gate, known from the output of systemd-socket-activate."""

    def __init__(self, changed, pid):
        self.changed, self.pid, self.code, self.log = changed, pid, None, []
        self.announced = False

    def wait(self):
        with self.changed:
            assert self.changed.wait_for(lambda: self.code is not None, DEADLINE), \
                f"the gate, pid {self.pid}, did not end; its log: {self.log}"
        return self.code

    def wait_log(self, pattern):
        with self.changed:
            assert self.changed.wait_for(
                lambda: any(re.search(pattern, line) for line in self.log), DEADLINE), \
                f"no log line has {pattern!r}: {self.log}"


class Direct:
    """One process of the gate, started by the test itself."""

    def __init__(self, sock, config, nofile=None, env=(), stderr=None, options=(), closed=(),
                 wrapper=(), binary=BINARY):
        def limit():
            if nofile is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))
            for fd in closed:
                os.close(fd)

        self.stderr = tempfile.TemporaryFile()
        self.popen = subprocess.Popen([*wrapper, binary, f"--config={config}", *options],
                                      stdin=sock, stdout=sock, stderr=stderr or self.stderr,
                                      env=clean_env(env),
                                      preexec_fn=limit)
        self.pid = self.popen.pid

    def wait(self):
        return self.popen.wait(DEADLINE)

    @property
    def log(self):
        self.stderr.seek(0)
        text = self.stderr.read().decode("latin-1")
        return [line.removeprefix(f"novnc-gate[{self.pid}]: ") for line in text.splitlines()]


class Gate:
    """systemd-socket-activate, which starts a process of the gate for each connection."""

    EVENTS = re.compile(r"Connection from .*:(?P<port>\d+) to |Spawned .* as PID (?P<pid>\d+)"
                        r"|Child (?P<dead>\d+) died with code (?P<code>\d+)"
                        r"|novnc-gate\[(?P<by>\d+)\]: (?P<text>.*)"
                        r"|Communication attempt |Execing |Listening on ")

    def __init__(self, directory, host="127.0.0.1", wrapper=(), options=(), tls=None):
        """tls: the context of its clients, with which options have to name --tls."""
        self.config, self.tls = directory / "novnc-gate.conf", tls
        self.drop_ins = directory / "novnc-gate.conf.d"
        self.host, self.changed = host, threading.Condition()
        self.by_port, self.by_pid, self.strange, self.port_seen = {}, {}, [], None
        for _ in range(50):
            self.port = free_port(host)
            at = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
            self.starter = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *wrapper,
                 "systemd-socket-activate", "--inetd", "-a", "-l", at, *passed_env(),
                 BINARY, f"--config={self.config}", *options],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, env=clean_env())
            if b"Listening on" in self.starter.stderr.readline():
                break
            self.starter.stderr.close()
            self.starter.wait()
        else:
            raise RuntimeError("systemd-socket-activate finds no port to listen on")
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _read(self):
        for raw in self.starter.stderr:
            line = raw.decode("latin-1").rstrip("\n")
            with self.changed:
                self._take(line, Gate.EVENTS.match(line))
                self.changed.notify_all()

    def _take(self, line, m):
        if not m:
            self.strange.append(line)
        elif m["port"]:
            self.port_seen = int(m["port"])
        elif m["pid"]:          # may come after all log lines of that process
            process = self.by_port[self.port_seen] = self._of(m["pid"])
            process.announced = True
            self._forget(process)
        elif m["dead"]:
            process = self._of(m["dead"])
            process.code = int(m["code"])
            self._forget(process)
        elif m["by"]:
            self._of(m["by"]).log.append(m["text"])

    def _of(self, pid):
        return self.by_pid.setdefault(int(pid), Process(self.changed, int(pid)))

    def _forget(self, process):
        if process.announced and process.code is not None:
            del self.by_pid[process.pid]        # the process id may be used again

    def process(self, port):
        with self.changed:
            assert self.changed.wait_for(lambda: port in self.by_port, DEADLINE), \
                "systemd-socket-activate did not start the gate"
            return self.by_port.pop(port)

    def connect(self, host=None, tls=None, session=None):
        """tls: a context instead of the gate's own; False: none."""
        sock = socket.create_connection((host or self.host, self.port), DEADLINE)
        port = sock.getsockname()[1]
        context = self.tls if tls is None else tls
        if context:
            sock = TlsSocket(sock, context, name=HOST.split(":")[0], session=session)
        return Client(sock, lambda: self.process(port))

    def stop(self):
        self.starter.terminate()
        self.starter.wait(DEADLINE)
        for process in list(self.by_pid.values()):      # only after a failed test
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


class World:
    """The gate with two backends, for one test."""

    def __init__(self, gate, backend_tls=None):
        self.gate, self.clients, self.shared = gate, [], []
        self.nextjs, self.controller = Backend(tls=backend_tls), Backend(tls=backend_tls)
        self.extra = []
        self.said = ()      # addresses of clients that a trusted proxy names
        self.configure()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()

    def configure(self, text="", nextjs=None, controller=None):
        """Write the configuration; the gate reads it at the next connection."""
        self.gate.config.write_text(
            f"[NextJs]\nUrl={nextjs or self.nextjs.url}\n"
            f"[MasterController]\nUrl={controller or self.controller.url}\n{text}\n")

    def drop_in(self, name, text):
        self.gate.drop_ins.mkdir(exist_ok=True)
        path = self.gate.drop_ins / name
        path.write_text(text)
        self.extra.append(path)
        return path

    def backend(self, **kw):
        backend = Backend(**kw)
        self.extra.append(backend)
        return backend

    def client(self, *pieces, gate=None, **kw):
        c = (gate or self.gate).connect(**kw)
        self.clients.append(c)
        c.send(*pieces)
        return c

    def direct(self, *pieces, shared=False, **kw):
        """A client of a gate that was started without systemd-socket-activate.  Where its connection is
        shared, it is open elsewhere too, as it is in PID 1 until the process has exited."""
        sock, served = connection()
        if shared:
            self.shared.append(served.dup())
        with served:
            c = Client(sock, Direct(served, self.gate.config, **kw))
        self.clients.append(c)
        c.send(*pieces)
        return c

    def exchange(self, c, message, sent=None, backend=None):
        """One request through to its backend: the request as it arrived, and the response."""
        c.send(message)
        b = (backend or self.nextjs).accept()
        seen = b.request()
        b.send(sent or response(b"ok"))
        return seen, c.response(message.split(b" ")[0].decode())

    def seen(self, *pieces, backend=None):
        """One request as its backend gets it."""
        c = self.client(*pieces)
        b = (backend or self.nextjs).accept()
        m = b.request()
        b.send(response(b"ok"))
        assert c.response(m.method).status == 200
        return m

    def tunnel(self, message=None, sent=None, backend=None, **kw):
        """A client and the backend's end of its tunnel."""
        c = self.client(message or upgrade(), **kw)
        return c, self.tunnel_of(c, sent, backend)

    def tunnel_of(self, c, sent=None, backend=None):
        """The backend's end of the tunnel that a client has asked for."""
        b = (backend or self.controller).asked()
        b.send(sent or switching())
        assert c.response().status == 101
        return b

    def error(self, c, status, to="GET"):
        """An error response of the gate, complete, then the end and a clean exit."""
        r = c.response(to)
        assert r.status == status, r
        assert r["Content-Type"] == "text/plain; charset=utf-8"
        assert r["Cache-Control"] == "no-store" and r["Server"] == "novnc-gate"
        assert "close" in r.options("Connection")
        if to == "HEAD":
            assert r.body == b""
        else:
            assert r.framing == "length"
            text = r.body.decode()
            assert f"novnc-gate[{c.pid}]" in text and len(text) > 30, text
            assert not PRIVATE.search(text), text
        if status == 405:
            assert "get" in r.options("Allow") and "trace" not in r.options("Allow")
        if status == 426:
            assert r["Sec-WebSocket-Version"] == "13" and r["Upgrade"] == "websocket"
            assert sorted(r.options("Connection")) == ["close", "upgrade"]
        assert c.end() == "FIN"
        c.close()
        assert c.exited() == c.exit_code
        assert c.log, "the response names an id, but the log has no entry under it"
        return r

    def refused(self, c, status, to="GET"):
        """As error(), and no backend was contacted."""
        r = self.error(c, status, to)
        self.nextjs.untouched()
        self.controller.untouched()
        return r

    def check(self, *options, env=(), **kw):
        """Runs the program with these options, by default --check, and this configuration."""
        return subprocess.run([*CHECKER, f"--config={self.gate.config}", *(options or ["--check"])],
                              env=clean_env(dict(env).items()), stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=20, check=False, **kw)

    def finish(self):
        """Close all; each process must end by itself and have logged no secret."""
        for c in self.clients:
            c.close()
        for sock in self.shared:
            sock.close()
        for backend in (self.nextjs, self.controller):
            backend.close()
        for e in self.extra:
            e.close() if isinstance(e, Backend) else e.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # never made, or the TLS gate's, which has a file
            self.gate.drop_ins.rmdir()   # or the gate would make more system calls in the next test
        wrong = []
        for c in self.clients:
            try:
                code = c.exited()
            except (AssertionError, subprocess.TimeoutExpired) as e:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(c.pid, signal.SIGKILL)
                c.exited()
                wrong.append(str(e))
                continue
            if code != c.exit_code:
                wrong.append(f"exit code {code} instead of {c.exit_code}, log {c.log}")
            for line in c.lines:
                host = c.address.rpartition(":")[0].strip("[]")
                if not (any(address in line for address in (c.address, *self.said)) or
                        line.startswith(f"{host} - ")):  # the line of a page
                    wrong.append(f"does not name its client: {line!r}")
                if SECRET in line or not re.fullmatch(r"[\x20-\x7e]*", line):
                    wrong.append(f"not fit for a log: {line!r}")
        wrong += self.gate.strange
        self.gate.strange.clear()
        assert not wrong, "\n".join(wrong)


# The machine

def free_port(host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def clean_env(extra=()):
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME") or "SAN_OPTIONS" in k}
    return keep | {"SYSTEMD_LOG_TARGET": "console"} | dict(extra)


def passed_env():
    return [f"--setenv={k}" for k in os.environ if "SAN_OPTIONS" in k]


def cpu_seconds(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def memory_kb(pid, what="Anonymous"):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{what}:\s+(\d+)", text, re.M)[1])
