"""Who takes part in the rows with TLS: each takes it from clients on one port and, where it can,
speaks it to the master-controller from another. Versions, ciphers and groups are as each comes;
conn.c, at the other ends, allows TLS 1.3 with AES-128-GCM alone."""

import os
import subprocess

from contestant import (BUILD, INSTALLED, UNPACKED, Backend, Contestant, Inetd, environment,
                        free_port)
from contestants import Gate, Haproxy, Nginx

STUNNEL = UNPACKED / "usr/bin/stunnel4"
WORK = BUILD / "work/tls"
CERTIFICATE, KEY, BOTH, TICKET = (WORK / name for name in ("crt", "key", "both", "ticket"))
TO_VM = {"tls-out-down", "tls-out-up", "tls-out-new"}
FROM_CLIENTS = {"tls-full-new", "tls-resume-new", "tls-down", "tls-up"}


def make_certificate():
    """One with a P-256 key, in each of the forms that somebody wants."""
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", KEY, "-out", CERTIFICATE, "-days", "30", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, stderr=subprocess.DEVNULL)
    BOTH.write_bytes(KEY.read_bytes() + CERTIFICATE.read_bytes())
    TICKET.write_bytes(os.urandom(80))


class TlsBackend(Backend):
    """One more controller, behind https://."""

    def __init__(self):
        super().__init__()
        self.tls_controller, = self.start("tls_backend", CERTIFICATE, KEY)


class TwoPorts(Contestant):
    def __init__(self, backend):
        self.to_vm = free_port()
        super().__init__(backend)

    def port_for(self, measurement):
        return self.to_vm if measurement in TO_VM else self.port


class GateTls(TwoPorts, Inetd):
    name, label, programs = Gate.name, Gate.label, Gate.programs

    def start(self):
        pages = f"[NextJs]\nUrl=http://127.0.0.1:{self.backend.pages}\n[MasterController]\n"
        conf = self.config(f"{pages}Url=http://127.0.0.1:{self.backend.controller}\n[Tls]\n"
                           f"Certificate={CERTIFICATE}\nKey={KEY}\nTicketKey={TICKET}\n")
        self.activate(self.programs / "novnc-gate-dynamic", "--tls", f"--config={conf}")
        conf = self.config(f"{pages}Url=https://127.0.0.1:{self.backend.tls_controller}\n"
                           f"CaFile={CERTIFICATE}\n", "conf-to-vm")
        self.activate(self.programs / "novnc-gate", f"--config={conf}", port=self.to_vm)


class NginxTls(TwoPorts, Nginx):
    note = "ssl_session_cache shared, tickets as they come; proxy_ssl_verify, sessions resumed"

    def servers(self):
        server = f"""
        ssl_certificate {CERTIFICATE};
        ssl_certificate_key {KEY};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:bench:10m;
"""
        client = f"""
        proxy_ssl_protocols TLSv1.2 TLSv1.3;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {CERTIFICATE};
        proxy_ssl_name localhost;
        proxy_ssl_server_name on;
"""
        return (self.server(f"{self.port} ssl", f"http://127.0.0.1:{self.backend.controller}",
                            server) +
                self.server(self.to_vm, f"https://127.0.0.1:{self.backend.tls_controller}", client))


class HaproxyTls(TwoPorts, Haproxy):
    note = "as it comes; verify required to the controller"

    def frontends(self):
        return (self.frontend(f"{self.port} ssl crt {BOTH}", proto="https") +
                self.frontend(self.to_vm, "tls-controller") + f"""
backend tls-controller
    server controller 127.0.0.1:{self.backend.tls_controller} ssl verify required \
        ca-file {CERTIFICATE} verifyhost localhost sni str(localhost)
""")


class Stunnel(TwoPorts):
    name, label = "stunnel", "stunnel"
    package = "stunnel4"
    note = "knows no HTTP: everything goes to one backend; session tickets switched on"
    alone = "foreground = yes\npid =\nsyslog = no\ndebug = crit\n"

    def start(self):
        conf = self.config(f"{self.alone}[server]\naccept = 127.0.0.1:{self.port}\n{self.server()}"
                           f"[client]\naccept = 127.0.0.1:{self.to_vm}\n{self.client()}")
        self.spawn("stunnel4", conf)

    def server(self):
        return (f"cert = {CERTIFICATE}\nkey = {KEY}\noptions = -NO_TICKET\n"
                f"ticketKeySecret = {TICKET.read_bytes()[:32].hex()}\n"
                f"ticketMacSecret = {TICKET.read_bytes()[32:64].hex()}\n"
                f"connect = 127.0.0.1:{self.backend.controller}\n")

    def client(self):
        return (f"client = yes\nverifyChain = yes\nCAfile = {CERTIFICATE}\n"
                "checkIP = 127.0.0.1\n"
                f"connect = 127.0.0.1:{self.backend.tls_controller}\n")


class StunnelInetd(Stunnel, Inetd):
    """As the gate: a process for each connection."""

    name, label = "stunnel-inetd", "stunnel, inetd mode"
    note = "under systemd-socket-activate, as novnc-gate; session tickets under a key in its file"

    def start(self):
        env = {"LD_LIBRARY_PATH": environment()["LD_LIBRARY_PATH"]}
        for name, what, port in (("conf", self.server(), self.port),
                                 ("conf-to-vm", self.client(), self.to_vm)):
            conf = self.config("pid =\nsyslog = no\ndebug = crit\n" + what, name)
            self.activate(STUNNEL, conf, port=port, env=env)


class Hitch(Contestant):
    name, label = "hitch", "hitch"
    package = "hitch"
    rows = FROM_CLIENTS
    note = "knows no HTTP and no TLS to backends; a worker for each core"

    def start(self):
        conf = self.config(f"""
frontend = "[127.0.0.1]:{self.port}"
backend = "[127.0.0.1]:{self.backend.controller}"
pem-file = "{BOTH}"
workers = {len(os.sched_getaffinity(0))}
user = "root"
daemon = off
quiet = on
""")
        self.spawn("hitch", f"--config={conf}")


TLS_CONTESTANTS = (GateTls, StunnelInetd, Stunnel, NginxTls, HaproxyTls, Hitch)
