"""Real Next.js 14, 15 and 16, whose redirects name its own address: the gate leads no browser there.

`make check` has 16; `tests/run next`, a part of `make check-long`, has all, and nginx.
"""

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading

import pytest

import nextjs
from gate import HOST, Gate, Peer, World, clean_env, request
from tls import TlsSocket

NAME = HOST.split(":")[0]
SITES = {14: nextjs.BUILD / "next/14/site", 15: nextjs.BUILD / "next/15/site",
         16: nextjs.DEMO / "site"}
DEBIAN = nextjs.BUILD / "bench/debian"
long = pytest.mark.long
# Paths that redirect; True where Next.js adds a Refresh.
REDIRECTS = {"/by-handler": False, "/by-middleware/307": False, "/by-middleware/308": True,
             "/by-page": False, "/by-config": True}


@pytest.fixture(scope="module", params=[pytest.param(14, marks=long), pytest.param(15, marks=long),
                                        16])
def server(request):
    """The URL of that Next.js, as README.md has it started."""
    with nextjs.start_next(SITES[request.param]) as url:
        yield url


@contextlib.contextmanager
def terminator(context, port):
    """Takes TLS off and passes all on as it is: the port of a proxy."""
    def pump(take, give, end):
        with contextlib.suppress(OSError, ssl.SSLError):
            while (data := take(1 << 16)):
                give(data)
        with contextlib.suppress(OSError, ssl.SSLError):
            end()

    def serve(listener):
        with contextlib.suppress(OSError):      # the end
            while True:
                client = TlsSocket(listener.accept()[0], context, server=True)
                gate = socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=pump, daemon=True, args=(
                    client.recv, gate.sendall, lambda g=gate: g.shutdown(socket.SHUT_WR))).start()
                threading.Thread(target=pump, daemon=True,
                                 args=(gate.recv, client.sendall, client.close)).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def nginx(certificate, port, directory):
    """The same with nginx, set up as its users do: the port it listens on."""
    if not (DEBIAN / "usr/sbin/nginx").exists():
        pytest.skip("build/bench/debian has no nginx; `make deps` unpacks it there")
    listener = socket.create_server(("127.0.0.1", 0))   # nginx takes it over
    own, user = listener.getsockname()[1], "user root;" if os.geteuid() == 0 else ""
    (directory / "conf").write_text(f"""
daemon off; {user} pid {directory}/pid; error_log stderr crit;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    server {{
        listen 127.0.0.1:{own} ssl;
        ssl_certificate {certificate[0]};
        ssl_certificate_key {certificate[1]};
        location / {{
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_pass http://127.0.0.1:{port};
            proxy_redirect off;
        }}
    }}
}}
""")
    libraries = ":".join(str(d) for d in DEBIAN.glob("usr/lib/*-linux-gnu*"))
    with listener, subprocess.Popen(
            [DEBIAN / "usr/sbin/nginx", "-c", directory / "conf", "-p", directory, "-e", "stderr"],
            pass_fds=[listener.fileno()],
            env=clean_env({"LD_LIBRARY_PATH": libraries, "NGINX": f"{listener.fileno()};"})) as p:
        try:
            yield own
        finally:
            p.terminate()


class Front:
    """The way from a browser to the gate: the port, the TLS context if any, and the host in the URL."""

    def __init__(self, gate, port, tls, host):
        self.gate, self.port, self.tls, self.host = gate, port, tls, host

    def open(self):
        sock = socket.create_connection(("127.0.0.1", self.port))
        return Peer(TlsSocket(sock, self.tls, name=NAME) if self.tls else sock)


@pytest.fixture(scope="module", params=["plain", "tls", "terminator",
                                        pytest.param("nginx", marks=long)])
def front(request, authority, certificate, tmp_path_factory):
    """The gate on its plain port, on its TLS port, and with somebody else's TLS before it."""
    kind = request.param
    with contextlib.ExitStack() as stack:
        gate = stack.enter_context(Gate(tmp_path_factory.mktemp("gate"),
                                        options=["--tls"] if kind == "tls" else ()))
        port, tls, host = gate.port, authority.client(), f"{NAME}:{gate.port}"
        if kind == "plain":
            tls = None
        elif kind != "tls":
            host = NAME     # on port 443, as the browser sees it
            port = stack.enter_context(
                terminator(authority.server(certificate), gate.port) if kind == "terminator"
                else nginx(certificate, gate.port, tmp_path_factory.mktemp("nginx")))
        gate.tls_keys = f"[Tls]\nCertificate={certificate[0]}\nKey={certificate[1]}"
        yield Front(gate, port, tls, host)


@pytest.fixture
def browser(front, server):
    """A connection through the front to the gate, behind which that Next.js is."""
    with World(front.gate) as world:
        world.configure(front.gate.tls_keys, nextjs=server)
        peer = front.open()
        yield peer
        peer.close()


def get(browser, front, path):
    browser.send(request("GET", path, host=front.host))
    return browser.response()


@pytest.mark.parametrize("path", REDIRECTS)
def test_a_redirect_stays_with_the_gate(front, browser, path):
    r = get(browser, front, path)
    assert r.status in (307, 308) and r["Location"] == "/page2"
    assert r["Refresh"] == ("0;url=/page2" if REDIRECTS[path] else None)
    page = get(browser, front, r["Location"])
    assert page.status == 200 and b"This is page2" in page.body


def test_nextjs_gets_the_forwarded_fields(front, server, browser):
    seen = json.loads(get(browser, front, "/headers").body)
    scheme = "https" if front.gate.port == front.port and front.tls else "http"
    default = {"http": "80", "https": "443"}[scheme]
    assert seen["x-forwarded-host"] == seen["host"] == front.host
    assert seen["x-forwarded-proto"] == scheme
    assert seen["x-forwarded-port"] == (front.host.partition(":")[2] or default)
    assert seen["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nextjs_itself_redirects_to_its_own_address(server, scheme):
    """If that changed, the tests above would test nothing."""
    port = server.rpartition(":")[2]
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.request("GET", "/by-handler", headers={"Host": HOST, "X-Forwarded-Proto": scheme})
    r = c.getresponse()
    assert r.getheader("Location") == f"{scheme}://localhost:{port}/page2"
    c.close()
