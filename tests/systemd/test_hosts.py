"""Several hosts behind HAProxy, with the example of its configuration and the commands of novnc-gate(8): sessions
survive upgrades and a reboot after draining, and the failure of a host ends only its own."""

import contextlib
import csv
import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from machine import PATIENCE, TREE, Backend, Machine, Session, wait_for

EXAMPLE = "/usr/local/share/doc/novnc-gate/haproxy.cfg"
HAPROXY = "192.0.2.1"   # as in the example; the backends are there as well
CLIENT = "198.51.100.7"
UNIT = "novnc-gate-proxy"
ACCEPTED = "72d0afd52f154dfeb3a0b56188c70f13"   # the MESSAGE_ID of an entry when a session opens
SESSIONS = 200
RETURNED = 10   # sessions that come back while their host is down
DOWN, LOST = 10, 20     # s after a host has failed: HAProxy knows it, and its sessions end; as novnc-gate(8) says
SLOW = 3        # s by which a busy machine may be late
MOST = 5        # s until a new session opens while HAProxy does not know yet that a host has failed


def commands():
    """The displays in novnc-gate(8), "Several hosts": to upgrade the gate; to reboot a host."""
    page = (TREE / "man/novnc-gate.8").read_text()
    section = re.search(r"\n\.Ss Several hosts\n(.*?)\n\.S[hs] ", page, re.DOTALL)[1]
    upgrade, reboot = re.findall(r"\n\.Bd -literal.*?\n(.*?)\n\.Ed", section, re.DOTALL)
    return [display.replace("\\e\n", "").splitlines() for display in (upgrade, reboot)]


class Host(Machine):
    """A machine with a gate. Its network interface is in the bridge `hosts`."""

    def __init__(self, work, number):
        self.address = f"192.0.2.{10 + number}"
        super().__init__(work, f"host{number}", "--network-bridge=hosts")
        # Without its sandbox: of sandboxed processes, not so many may end together (MANY SESSIONS).
        self.make("all", "build/novnc-gate-unconfined")
        self.run("cp", "/src/build/novnc-gate-unconfined", "/src/build/novnc-gate")
        self.make("install", f"NEXTJS=http://{HAPROXY}:3001", f"CONTROLLER=http://{HAPROXY}:4000")
        self.run("cmp", "/src/build/novnc-gate-unconfined", "/usr/local/sbin/novnc-gate")
        keys, = re.findall(r"^#\t\[Routes\]\n(?:#\t.*\n)+", self.read(EXAMPLE), re.MULTILINE)
        self.write("/etc/novnc-gate.conf.d/haproxy.conf", keys.replace("#\t", ""))
        # The target that this container boots into.
        self.run("systemctl", "add-wants", "basic.target", UNIT)
        self.start(UNIT)

    def boot(self):
        super().boot()
        self.run("sh", "-ec", f"ip address add {self.address}/24 dev host0; ip link set host0 up")

    def sh(self, command, check=True):
        return self.run("sh", "-ec", f"cd /src; {command}", check=check)

    def sessions(self):
        """The names of all sessions that have been opened through it."""
        return {entry["NOVNC_GATE_SESSION"] for entry in self.journal(f"MESSAGE_ID={ACCEPTED}")}

    def with_old_program(self):
        """The number of connections whose program has been replaced."""
        return self.sh("for pid in $(pgrep -x novnc-gate); do readlink /proc/$pid/exe || :; done").count("(deleted)")

    def fail(self):
        """It sends nothing any more, so nobody learns from it that its connections have ended."""
        subprocess.run(["ip", "link", "set", f"vb-{self.name}", "down"], check=True)
        os.kill(int(self.leader), signal.SIGKILL)
        self.nspawn.wait(PATIENCE)


class HAProxy:
    """HAProxy with the example, in which only the lines of the hosts may be others."""

    def __init__(self, work, hosts):
        servers = "".join(f"\tserver {host.name} {host.address}:3080\n" for host in hosts)
        text = re.sub(r"^(?:\tserver .*\n)+", servers, hosts[0].read(EXAMPLE), flags=re.MULTILINE)
        assert len(hosts) != 2 or text == hosts[0].read(EXAMPLE)
        self.socket = str(work / "socket")
        for name, content in ("haproxy", text), ("socket", f"global\n\tstats socket {self.socket}\n"):
            (work / name).write_text(content)
        self.process = subprocess.Popen(["haproxy", "-db", "-f", work / "haproxy", "-f", work / "socket"],
                                        stderr=subprocess.DEVNULL)
        wait_for(lambda: self.process.poll() is None and (work / "socket").is_socket())
        for host in hosts:
            self.sees(host, "UP")

    def state(self, host):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.socket)
            sock.sendall(b"show stat\n")
            rows = csv.DictReader(sock.makefile().read().removeprefix("# ").splitlines())
            return next(row["status"] for row in rows if row["svname"] == host.name)

    def sees(self, host, state):
        wait_for(lambda: self.state(host) == state)

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


class Site:
    """HAProxy, hosts, backends, and open sessions."""

    def __init__(self, make_directory, count):
        self.sessions, self.numbers = {}, itertools.count()
        for command in ("link add hosts type bridge", f"address add {HAPROXY}/24 dev hosts", "link set hosts up",
                        f"address add {CLIENT}/32 dev lo"):
            subprocess.run(["ip", *command.split()], check=True)
        self.backends = Backend(3001, "Next.js", HAPROXY), Backend(4000, "master-controller", HAPROXY)
        numbers = range(1, count + 1)
        with ThreadPoolExecutor() as pool:
            self.hosts = list(pool.map(Host, [make_directory(f"host{n}") for n in numbers], numbers))
        self.haproxy = HAProxy(make_directory("haproxy"), self.hosts)

    def open(self, count):
        """Opens so many sessions; returns their names."""
        names = [f"s{next(self.numbers)}" for _ in range(count)]
        for name in names:
            session = self.sessions[name] = Session(name, HAPROXY, port=80, source=CLIENT)
            assert session.status == 101 and session.echoes()
        return set(names)

    def end(self, names):
        for name in names:
            self.sessions.pop(name).close()

    def all_echo(self):
        return all(session.echoes() for session in self.sessions.values())

    def on(self, host):
        """The names of the open sessions through a host."""
        return host.sessions() & set(self.sessions)

    def close(self):
        self.end(list(self.sessions))
        for part in *self.hosts, self.haproxy:
            part.close()
        for backend in self.backends:
            backend.shutdown()
            backend.server_close()
        for command in "link delete hosts", f"address delete {CLIENT}/32 dev lo":
            subprocess.run(["ip", *command.split()], check=True)


class Visitors(threading.Thread):
    """Others, who open a session, use it and close it, one after another."""

    def __init__(self):
        super().__init__()
        self.gone = threading.Event()
        self.longest, self.faults, self.excused = 0, [], []

    def run(self):
        while not self.gone.wait(0.05):
            start = time.monotonic()
            try:
                with Session("visitor", HAPROXY, port=80, source=CLIENT) as session:
                    assert session.status == 101 and session.echoes()
            except Exception as fault:
                self.faults.append((start, time.monotonic(), fault))
            self.longest = max(self.longest, time.monotonic() - start)

    @contextlib.contextmanager
    def excuse(self):
        """Connections fail if they come while sockets stop."""
        start = time.monotonic()
        yield
        self.excused.append((start, time.monotonic()))

    def complaints(self):
        return [fault for start, end, fault in self.faults
                if not any(start < until and end > since for since, until in self.excused)]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.gone.set()
        self.join()


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.long)])
def site(request, tmp_path_factory):
    site = Site(tmp_path_factory.mktemp, request.param)
    yield site
    site.close()


def test_haproxy_accepts_the_example(tmp_path):
    """As it is, and with the lines for TLS."""
    example = (TREE / "units/haproxy.cfg").read_text()
    tls = re.sub(r"^#(listen|\t(?:bind|default-server|server) )", r"\1", example, flags=re.MULTILINE)
    assert len(re.findall(r"^listen ", tls, re.MULTILINE)) == 2
    for text in example, tls:
        (tmp_path / "haproxy.cfg").write_text(text)
        said = subprocess.run(["haproxy", "-c", "-f", tmp_path / "haproxy.cfg"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert (said.returncode, said.stdout) == (0, "Configuration file is valid\n")


def test_sessions_are_spread_over_the_hosts(site):
    site.open(SESSIONS)
    counts = [len(site.on(host)) for host in site.hosts]
    assert sum(counts) == SESSIONS and max(counts) - min(counts) <= 2
    for host in site.hosts:
        assert {entry["NOVNC_GATE_CLIENT"].rpartition(":")[0]
                for entry in host.journal(f"MESSAGE_ID={ACCEPTED}")} == {CLIENT}


def test_an_upgrade_of_each_host_cuts_no_session(site):
    (install, restart), _ = commands()
    with Visitors() as visitors:
        for host in site.hosts:
            host.sh("touch build/novnc-gate")
            host.sh(install)
            with visitors.excuse():
                host.sh(restart)
                host.listens(UNIT)
            assert host.with_old_program() == len(site.on(host))
            assert site.all_echo()
    assert visitors.complaints() == []


def test_a_reboot_of_each_host_after_draining_cuts_no_session(site):
    _, (drain, reboot) = commands()
    assert reboot == "systemctl reboot"     # as host.reboot() does
    with Visitors() as visitors, ThreadPoolExecutor() as pool:
        for host in site.hosts:
            with visitors.excuse():
                host.sh(drain.replace("8h", "1s"), check=False)     # the deadline passes
            site.haproxy.sees(host, "DOWN")
            before = site.on(host)
            assert len(before) > RETURNED and site.all_echo()
            waiting = pool.submit(host.sh, drain)
            site.open(RETURNED)
            assert site.on(host) == before and not waiting.done()
            site.end(before)
            waiting.result()
            host.reboot()
            site.haproxy.sees(host, "UP")
            host.listens(UNIT)
            names = site.open(len(before) - RETURNED)
            assert len(names - site.on(host)) <= 2  # it has the fewest connections
            assert site.all_echo()
    assert len(site.sessions) == SESSIONS and visitors.complaints() == []


def test_the_failure_of_a_host_ends_only_its_sessions(site):
    host = site.hosts[-1]
    lost = site.on(host)
    start = time.monotonic()
    took = lambda: time.monotonic() - start
    host.fail()
    with Visitors() as visitors:
        site.haproxy.sees(host, "DOWN")
        assert took() < DOWN + SLOW
        site.open(RETURNED)
        assert all(site.sessions[name].ended() for name in lost)
        assert took() < LOST + SLOW
        site.end(lost)
        assert len(site.sessions) > RETURNED and site.all_echo()
    assert visitors.faults == [] and visitors.longest < MOST
