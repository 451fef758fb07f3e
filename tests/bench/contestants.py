"""Who takes part, each set up to do the gate's job: WebSockets on the noVNC path to the
master-controller, everything else to the page server over kept connections, X-Forwarded-*."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from group import Group

BENCH = Path(__file__).resolve().parent
TREE = BENCH.parents[1]
BUILD = TREE / "build/bench"
UNPACKED = BUILD / "debian"
JOURNAL = "/run/systemd/journal/socket"
PROXYD = "/lib/systemd/systemd-socket-proxyd"
PR_SET_PDEATHSIG = 1
NOVNC_RE = "^/api/auth/session/[^/]+/novnc/(websock|websockify)$"


def raise_files():
    """As many descriptors as may be, for us and all that we start; returns how many."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for files in (1 << 17, limit):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, limit)))
            return files
        except (OSError, ValueError):
            pass


FILES = raise_files()
CONNECTIONS = FILES // 2 - 100  # through a proxy that needs two for each


def environment():
    """Unpacked packages before the system's."""
    libraries = ":".join(str(d) for d in UNPACKED.glob("usr/lib/*-linux-gnu*"))
    return {
        "PATH": f"{UNPACKED}/usr/sbin:{UNPACKED}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": libraries,
        "PYTHONPATH": f"{UNPACKED}/usr/lib/python3/dist-packages",
        "NODE_PATH": str(BUILD / "node_modules"),
        "NODE_ENV": "production",
        "LANG": "C.UTF-8",
    }


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def listening(port):
    """Whether someone does, without connecting."""
    wanted = f"0100007F:{port:04X}"
    return any(fields[1] == wanted and fields[3] == "0A" for fields in
               map(str.split, Path("/proc/net/tcp").read_text().splitlines()))


def child_setup(group=None):
    """Runs in the new process: in its group, not outliving us."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if group:
        group.enter()


class Backend:
    """build/bench/backend: `pages`, `controller`, and plain TCP for websockify."""

    def __init__(self, raw_bytes):
        self.process = subprocess.Popen([BUILD / "backend", str(raw_bytes)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        preexec_fn=child_setup)
        ports = self.process.stdout.readline().split()
        self.pages, self.controller, self.echo, self.down, self.up = map(int, ports)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Contestant:
    """One proxy. `rows` are the measurements it takes part in, None for all."""

    name = label = version_argv = rows = None
    note = ""

    def __init__(self, backend):
        self.backend = backend
        self.group = Group(self.name)
        self.work = BUILD / "work" / self.name
        self.work.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.processes = []
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        self.settled = self.group.pids()

    def start(self):
        raise NotImplementedError

    def spawn(self, *argv, port=None, env=()):
        port = port or self.port
        process = subprocess.Popen(
            list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**environment(), **dict(env)}, cwd=self.work,
            preexec_fn=lambda: child_setup(self.group))
        self.processes.append(process)
        end = time.monotonic() + 20
        while not listening(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not start: {' '.join(map(str, argv))}")
            time.sleep(0.01)  # between two looks

    def config(self, text):
        path = self.work / "conf"
        path.write_text(text)
        return path

    def port_for(self, measurement):
        return self.port

    def settle(self):
        """Waits until the processes of the connections that ended have ended too."""
        end = time.monotonic() + 5
        while not self.group.pids() <= self.settled and time.monotonic() < end:
            time.sleep(0.002)  # between two looks

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.group.close()


class Direct(Contestant):
    name, label = "direct", "no proxy"

    def start(self):
        self.port = self.backend.controller


class Inetd(Contestant):
    """A process for each connection, started by systemd-socket-activate."""

    def activate(self, *argv):
        # Entries go where the journal's do under systemd: see Journal.
        null = os.stat("/dev/null")
        stream = ["-E", f"JOURNAL_STREAM={null.st_dev}:{null.st_ino}"] \
            if Path(JOURNAL).exists() else []
        self.spawn("systemd-socket-activate", "--inetd", "-a", *stream,
                   "-l", f"127.0.0.1:{self.port}", *argv)


class Activate(Inetd):
    name, label = "activate", "systemd-socket-activate alone"
    rows = {"nothing-new"}

    def start(self):
        self.activate("/nonexistent")


class Floor(Inetd):
    name, label = "floor", "floor"

    def start(self):
        self.activate(BUILD / "floor", self.backend.controller)


class Gate(Inetd):
    name, label = "gate", "novnc-gate"
    version_argv = (TREE / "build/novnc-gate", "--version")

    def start(self):
        conf = self.config(f"[NextJs]\nUrl=http://127.0.0.1:{self.backend.pages}\n"
                           f"[MasterController]\nUrl=http://127.0.0.1:{self.backend.controller}\n")
        self.activate(TREE / "build/novnc-gate", f"--config={conf}")


class Nginx(Contestant):
    name, label, extra = "nginx", "nginx", ""
    version_argv = ("nginx", "-v")
    note = "worker_processes auto, upstream keepalive, no access log, no gzip; all else as it comes"

    def start(self):
        temp = "".join(f"{kind}_temp_path {self.work}/{kind};\n" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;" if os.geteuid() == 0 else ""
        conf = self.config(f"""
daemon off;
{user}
worker_processes auto;
worker_rlimit_nofile {FILES};
pid {self.work}/pid;
error_log stderr crit;
events {{ worker_connections {FILES}; }}
http {{
    access_log off;
    client_max_body_size 0;
    keepalive_requests 100000000;
    {temp}
    {self.extra}
    upstream pages {{
        server 127.0.0.1:{self.backend.pages};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    upstream controller {{ server 127.0.0.1:{self.backend.controller}; }}
    proxy_http_version 1.1;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        location / {{
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_pass http://pages;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }}
        location ~ "{NOVNC_RE}" {{
            proxy_set_header Host $proxy_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 1d;
            proxy_send_timeout 1d;
            proxy_pass http://controller;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }}
    }}
}}
""")
        self.spawn("nginx", "-c", conf, "-p", self.work, "-e", "/dev/null")


class Nginx64(Nginx):
    name, label = "nginx-64k", "nginx, 64 KiB buffers"
    note = "proxy_buffer_size 64k, proxy_buffers 8 64k, proxy_request_buffering off"
    extra = ("proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k; "
             "proxy_request_buffering off;")


class Haproxy(Contestant):
    name, label, extra = "haproxy", "HAProxy", ""
    version_argv = ("haproxy", "-v")
    note = "as it comes, with time-outs and option forwardfor"

    def start(self):
        conf = self.config(f"""
global
    maxconn {FILES // 4}
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1d
    option forwardfor
    {self.extra}
frontend gate
    bind 127.0.0.1:{self.port}
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    acl novnc path_reg {NOVNC_RE}
    acl websocket hdr(Upgrade) -i websocket
    use_backend controller if novnc websocket
    default_backend pages
backend pages
    server pages 127.0.0.1:{self.backend.pages}
backend controller
    server controller 127.0.0.1:{self.backend.controller}
""")
        self.spawn("haproxy", "-db", "-q", "-f", conf)


class HaproxySplice(Haproxy):
    name, label = "haproxy-splice", "HAProxy, splice"
    extra = "option splice-request\n    option splice-response"
    note = "option splice-request, option splice-response"


class Node(Contestant):
    name, label = "node", "Node, http-proxy"
    version_argv = ("node", "--version")
    note = "http-proxy 1.18.1, kept connections to the page server (agent)"

    def start(self):
        self.spawn("node", BENCH / "proxy.cjs", self.port, self.backend.pages,
                   self.backend.controller)


class Proxyd(Contestant):
    name, label = "proxyd", "systemd-socket-proxyd"
    version_argv = ("systemd-socket-activate", "--version")
    note = "knows no HTTP: everything goes to one backend"

    def start(self):
        self.spawn("systemd-socket-activate", "-l", f"127.0.0.1:{self.port}", PROXYD,
                   f"--connections-max={CONNECTIONS}", f"127.0.0.1:{self.backend.controller}")


class Websockify(Contestant):
    name, label = "websockify", "websockify"
    version_argv = ("/usr/bin/dpkg-query", "-W", "-f", "${Version}", "websockify")
    note = "unpacks the WebSocket; tunnels only, one target per process: three of them"
    rows = {"down", "up", "ping-1", "ping-16", "ping-50", "tunnel-new", "idle"}

    def start(self):
        self.ports = {}
        for target in ("echo", "down", "up"):
            self.ports[target] = free_port()
            self.spawn("websockify", f"127.0.0.1:{self.ports[target]}",
                       f"127.0.0.1:{getattr(self.backend, target)}", port=self.ports[target])

    def port_for(self, measurement):
        return self.ports.get(measurement, self.ports["echo"])


CONTESTANTS = (Direct, Floor, Gate, Nginx, Nginx64, Haproxy, HaproxySplice, Node, Proxyd,
               Websockify, Activate)


def versions():
    found = {}
    for kind in CONTESTANTS:
        if kind.version_argv:
            done = subprocess.run(kind.version_argv, stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.STDOUT, env=environment())
            found[kind.name] = done.stdout.strip().splitlines()[0].split(" - ")[0]
    return found


if __name__ == "__main__":
    sys.exit("see tests/bench/run")
