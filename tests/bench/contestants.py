"""Who takes part, each set up to do the gate's job: WebSockets on the noVNC path to the
master-controller, everything else to the page server over kept connections, X-Forwarded-*."""

import os

from contestant import BENCH, FILES, INSTALLED, Contestant, Inetd, free_port

PROXYD = "/lib/systemd/systemd-socket-proxyd"
CONNECTIONS = FILES // 2 - 100  # through a proxy that needs two for each
NOVNC_RE = "^/api/auth/session/[^/]+/novnc/(websock|websockify)$"


class Direct(Contestant):
    name, label = "direct", "no proxy"

    def start(self):
        self.port = self.backend.controller


class Activate(Inetd):
    name, label = "activate", "systemd-socket-activate alone"
    rows = {"nothing-new"}

    def start(self):
        self.activate("/nonexistent")


class Floor(Inetd):
    name, label = "floor", "floor"

    def start(self):
        self.activate(INSTALLED / "floor", self.backend.controller)


class Gate(Inetd):
    name, label = "gate", "novnc-gate"
    programs = INSTALLED

    def start(self):
        # The load answers no Ping, and 10,000 tunnels take more than 90 s.
        conf = self.config(f"[NextJs]\nUrl=http://127.0.0.1:{self.backend.pages}\n"
                           f"[MasterController]\nUrl=http://127.0.0.1:{self.backend.controller}\n"
                           "[Limits]\nHeartbeatSec=10min\n")
        self.activate(self.programs / "novnc-gate", f"--config={conf}")


class Nginx(Contestant):
    name, label, extra = "nginx", "nginx", ""
    package = "nginx"
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
    proxy_http_version 1.1;
    {self.servers()}
}}
""")
        self.spawn("nginx", "-c", conf, "-p", self.work, "-e", "/dev/null")

    def servers(self):
        return self.server(self.port, f"http://127.0.0.1:{self.backend.controller}")

    def server(self, listen, controller, extra=""):
        forwarded = """
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
"""
        return f"""
    server {{
        listen 127.0.0.1:{listen} backlog=4096;
        {extra}
        location / {{
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_pass http://pages;
            {forwarded}
        }}
        location ~ "{NOVNC_RE}" {{
            proxy_set_header Host $proxy_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 1d;
            proxy_send_timeout 1d;
            proxy_pass {controller};
            {forwarded}
        }}
    }}
"""


class Nginx64(Nginx):
    name, label = "nginx-64k", "nginx, 64 KiB buffers"
    note = "proxy_buffer_size 64k, proxy_buffers 8 64k, proxy_request_buffering off"
    extra = ("proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k; "
             "proxy_request_buffering off;")


class Haproxy(Contestant):
    name, label, extra = "haproxy", "HAProxy", ""
    package = "haproxy"
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
backend pages
    server pages 127.0.0.1:{self.backend.pages}
backend controller
    server controller 127.0.0.1:{self.backend.controller}
{self.frontends()}
""")
        self.spawn("haproxy", "-db", "-q", "-f", conf)

    def frontends(self):
        return self.frontend(self.port)

    def frontend(self, bind, controller="controller", proto="http"):
        return f"""
frontend to-{controller}
    bind 127.0.0.1:{bind}
    http-request set-header X-Forwarded-Proto {proto}
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    acl novnc path_reg {NOVNC_RE}
    acl websocket hdr(Upgrade) -i websocket
    use_backend {controller} if novnc websocket
    default_backend pages
"""


class HaproxySplice(Haproxy):
    name, label = "haproxy-splice", "HAProxy, splice"
    extra = "option splice-request\n    option splice-response"
    note = "option splice-request, option splice-response"


class Node(Contestant):
    name, label = "node", "Node, http-proxy"
    note = "http-proxy 1.18.1, kept connections to the page server (agent)"

    def start(self):
        self.spawn("node", BENCH / "proxy.cjs", self.port, self.backend.pages,
                   self.backend.controller)


class Proxyd(Contestant):
    name, label = "proxyd", "systemd-socket-proxyd"
    package = "systemd"
    note = "knows no HTTP: everything goes to one backend"

    def start(self):
        self.spawn("systemd-socket-activate", "-l", f"127.0.0.1:{self.port}", PROXYD,
                   f"--connections-max={CONNECTIONS}", f"127.0.0.1:{self.backend.controller}")


class Websockify(Contestant):
    name, label = "websockify", "websockify"
    package = "websockify"
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
