"""A machine with systemd as PID 1, and the two backends that the gate on it talks to."""

import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import socketserver
import subprocess
import threading
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
VERSION = re.match(r"novnc-gate \((.*?)\)", (TREE / "units/debian/changelog").read_text())[1]
# The longest wait of a step before its test fails, s. Only a broken gate takes so long.
PATIENCE = 90
BELOW = os.environ.get("MACHINE_ROOT", "/")
PIDS = "/run/novnc-gate-pids"   # see count_processes()


def wait_for(what, patience=PATIENCE):
    """Returns what() as soon as it is true; fails with its last value in the end."""
    end = time.monotonic() + patience
    while not (value := what()):
        assert time.monotonic() < end, f"still {value!r} after {patience} s"
        time.sleep(0.05)  # between two looks
    return value


def control_groups(name):
    """Control groups for a machine beside others: a systemd removes empty groups, also another's if they share one."""
    name = f"{name}.{os.urandom(4).hex()}"
    hierarchies = "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"
    return [Path(path, name) for path in hierarchies if Path(path, "cgroup.procs").exists()]


class Machine:
    """systemd-nspawn on an overlay of this machine's root, or of that in MACHINE_ROOT=; the tree is at /src.
    It adds no seccomp programs, so that each process there has only those of its unit and its own.

    It ends with the caller's process namespace whatever happens (see `run`). It shares the caller's network
    namespace, unless `network`, an option of systemd-nspawn, gives it one of its own. Only such machines can run
    at the same time.
    """

    def __init__(self, work, name="novnc-gate-test", network=None):
        self.name, self.network = name, [network] if network else []
        self.groups = control_groups(name) if network else []
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", work], check=True)
        for directory in ("upper", "work", "tree", "root"):
            (work / directory).mkdir()
        self.root, self.upper = work / "root", work / "upper"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={BELOW},upperdir={work}/upper,workdir={work}/work", self.root],
                       check=True)
        (self.root / "etc/fstab").write_text("")
        # No timers, which renew caches at some hour of the day.
        (self.root / "etc/systemd/system/timers.target").symlink_to("/dev/null")
        # A journal of its own, which is not forwarded.
        journald = self.root / "etc/systemd/journald.conf.d/test.conf"
        journald.parent.mkdir(exist_ok=True)
        journald.write_text("[Journal]\nStorage=volatile\nForwardToSyslog=no\n")
        self.work = work
        self.boot()
        if BELOW != "/":    # it has no compiler: all is built, whatever the time of headers that it does not have
            self.run("find", "/src/build", "-name", "*.d", "-type", "f", "-delete")

    def boot(self):
        console = self.work / "console"
        self.nspawn = subprocess.Popen(
            [*self.enter_groups(), "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--link-journal=no",
             f"--machine={self.name}", *self.network, "--resolv-conf=off", "--timezone=off",
             "--console=read-only", f"--overlay={TREE}:{self.work}/tree:/src", "-D", self.root,
             "--boot", "systemd.unit=basic.target"],
            env=os.environ | {"SYSTEMD_SECCOMP": "0"},
            stdin=subprocess.DEVNULL, stdout=console.open("w"), stderr=subprocess.STDOUT)
        children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")
        try:
            wait_for(lambda: self.alive() and self.has_booted(children.read_text().split()))
        except AssertionError:
            self.close()
            raise AssertionError("no systemd:\n" + console.read_text()) from None
        if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
            self.count_processes()

    def enter_groups(self):
        """What a command begins with that is run in the machine's own control groups."""
        for group in self.groups:
            group.mkdir(exist_ok=True)
        return ["sh", "-ec", 'for group in $0; do echo $$ >"$group/cgroup.procs"; done; exec "$@"',
                " ".join(map(str, self.groups))]

    def count_processes(self, prefix="/usr/local"):
        """With control groups of version 1 a container has no pids.current: a file of our own replaces it."""
        self.run("sh", "-ec", f"echo 1 >{PIDS}; cd /run/systemd/system; for kind in http tls proxy; do "
                 "mkdir -p novnc-gate-$kind-@.service.d; done; "
                 "printf '[Service]\\nExecStart=\\nExecStart=%s --spread=%s\\n' "
                 f"{prefix}/sbin/novnc-gate {PIDS} >novnc-gate-http-@.service.d/10-pids.conf; "
                 "printf '[Service]\\nExecStart=\\nExecStart=%s --proxy-protocol --spread=%s\\n' "
                 f"{prefix}/sbin/novnc-gate {PIDS} >novnc-gate-proxy-@.service.d/10-pids.conf; "
                 "printf '[Service]\\nExecStart=\\nExecStart=%s --tls --spread=%s\\n' "
                 f"{prefix}/lib/novnc-gate/novnc-gate-dynamic {PIDS} >novnc-gate-tls-@.service.d/10-pids.conf; "
                 "mkdir -p /run/systemd/user/novnc-gate-http-@.service.d; cd /run/systemd/user; "
                 "printf '[Service]\\nExecStart=\\nExecStart=%%h/.local/bin/novnc-gate "
                 f"--config=%%h/.config/novnc-gate.conf --spread=%s\\n' {PIDS} "
                 ">novnc-gate-http-@.service.d/10-pids.conf; systemctl daemon-reload")

    @contextlib.contextmanager
    def programs_in(self, prefix):
        """While the programs are in another directory than that of `make install`."""
        counted = not Path("/sys/fs/cgroup/cgroup.controllers").exists()
        if counted:
            self.count_processes(prefix)
        try:
            yield
        finally:
            if counted:
                self.count_processes()

    def has_booted(self, children):
        """systemd-nspawn's first child is not PID 1 there, but starts it."""
        if children:
            self.leader = children[0]
        return children and "basic.target" in self.run(
            "systemctl", "list-units", "--state=active", "basic.target", check=False)

    def reboot(self, patience=PATIENCE):
        """Returns after how many seconds it was down."""
        start = time.monotonic()
        self.run("systemctl", "reboot", check=False)    # which the reboot may end
        self.nspawn.wait(patience)      # systemd-nspawn ends and has to be started again
        down = time.monotonic() - start
        self.boot()
        return down

    def repeat_while_reexecuting(self, command):
        """Runs the shell's command again and again while systemd re-executes itself; returns its output."""
        loop = subprocess.Popen([*self.enter, "sh", "-c", f"until [ -e /run/may-end ]; do {command}; done"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            for _ in range(5):
                self.run("systemctl", "daemon-reexec")
        finally:
            self.run("touch", "/run/may-end")
        out = loop.communicate(timeout=PATIENCE)[0]
        self.run("rm", "/run/may-end")
        return out

    def alive(self):
        assert self.nspawn.poll() is None, "systemd-nspawn ended"
        return True

    def close(self):
        self.nspawn.terminate()  # systemd-nspawn makes it a poweroff
        try:
            self.nspawn.wait(15)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
        for group in self.groups:   # as soon as the last process has ended
            wait_for(lambda: not subprocess.run(["find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"],
                                                stderr=subprocess.DEVNULL).returncode or not group.exists())

    @property
    def enter(self):
        """What a command begins with that is run on the machine."""
        return ["nsenter", "--target", self.leader, "--all", "--root", "--wd"]

    def run(self, *argv, check=True, user=None):
        """Runs a command on the machine; returns what it printed, both streams together."""
        env = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "LANG=C.UTF-8", "HOME=/root"]
        if user:
            uid = self.run("id", "-u", user).strip()
            env = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", *env,
                   f"HOME=/home/{user}", f"XDG_RUNTIME_DIR=/run/user/{uid}"]
        done = subprocess.run([*self.enter, *env, *argv], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert not check or done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def make(self, *argv, user=None, check=True):
        built = ["-o", "packages-for-build"] if BELOW != "/" else []
        return self.run("make", "-C", "/src", *built, *argv, user=user, check=check)

    def keep_journal(self):
        """From now on it survives a reboot."""
        self.run("sh", "-ec", "mkdir -p /var/log/journal; "
                 "sed -i s/volatile/persistent/ /etc/systemd/journald.conf.d/test.conf; "
                 "systemctl restart systemd-journald; journalctl --flush")

    def sync(self):
        self.run("journalctl", "--sync")

    def journal(self, *match):
        """The entries that match, in order, each as a dictionary."""
        self.sync()
        out = self.run("journalctl", "--all", "--output=json", "--no-pager", *match)
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def property(self, unit, name):
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def instances(self):
        """The running connections' units, of all sockets."""
        out = self.run("systemctl", "list-units", "--plain", "--no-legend", "--full",
                       "novnc-gate-*@*.service")
        return [line.split()[0] for line in out.splitlines()]

    def instance_of(self, sock):
        """The unit that serves this client: its name ends in the client's address and port."""
        host, port = sock.getsockname()[:2]
        return wait_for(lambda: [u for u in self.instances()
                                 if u.endswith(f"{host}:{port}.service")])[0]

    def cpu_ms(self, pid=1):
        """The CPU time of a process with one thread so far."""
        return int(self.run("cat", f"/proc/{pid}/schedstat").split()[0]) / 1e6

    def filters(self, unit):
        """The number of seccomp programs of its process; PID 1 has none that it could inherit."""
        assert "Seccomp_filters:\t0\n" in self.run("cat", "/proc/1/status")
        status = self.run("cat", f"/proc/{self.property(unit, 'MainPID')}/status")
        return int(re.search(r"Seccomp_filters:\s*(\d+)", status)[1])

    def listens(self, umbrella="novnc-gate"):
        """Waits until all sockets of that service listen, which start after it."""
        kind = umbrella.removesuffix(".service").removeprefix("novnc-gate").removeprefix("-") or "http"
        wait_for(lambda: set(self.run("systemctl", "show", "--value", "-p", "SubState", *(
            f"novnc-gate-{kind}-{n:02}.socket" for n in range(32))).split()) == {"listening"})

    def start(self, umbrella="novnc-gate", verb="start"):
        """Starts or restarts a kind and its sockets."""
        said = self.run("systemctl", verb, umbrella)
        self.listens(umbrella)
        return said

    def accepted(self):
        """The number of connections that the plain sockets have accepted."""
        out = self.run("systemctl", "show", "--value", "-p", "NAccepted", "novnc-gate-http-*.socket")
        return sum(map(int, out.split()))

    def write(self, path, text):
        self.run("sh", "-ec", 'mkdir -p "${2%/*}"; printf %s "$1" >"$2"', "sh", text, path)

    def read(self, path):
        return self.run("cat", path)

    @contextlib.contextmanager
    def drop_in(self, unit, text):
        """A unit with a drop-in; yields its path."""
        file = f"/etc/systemd/system/{unit}.d/test.conf"
        self.write(file, text)
        self.run("systemctl", "daemon-reload")
        try:
            yield file
        finally:
            self.run("rm", file)
            self.run("rmdir", f"/etc/systemd/system/{unit}.d")
            self.run("systemctl", "daemon-reload")

    @contextlib.contextmanager
    def configured(self, text):
        """The gate with a drop-in of its configuration; yields its path."""
        file = "/etc/novnc-gate.conf.d/test.conf"
        self.write(file, text)
        try:
            yield file
        finally:
            self.run("rm", "-r", "/etc/novnc-gate.conf.d")


def accept_of(key):
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode()


class Backend(socketserver.ThreadingTCPServer):
    """Responds to plain requests with its name; to an upgrade with a 101, then echoes."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 4096

    def __init__(self, port, name, address="127.0.0.1"):
        self.name = name
        super().__init__((address, port), BackendConnection)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a peer that went away is part of the tests


class BackendConnection(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline():
            head = {}
            while (line := self.rfile.readline().decode("latin-1").strip()):
                name, _, value = line.partition(":")
                head[name.lower()] = value.strip()
            if "upgrade" in head:
                return self.tunnel(head)
            body = self.server.name.encode()
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                 b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def tunnel(self, head):
        self.request.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
                             % accept_of(head["sec-websocket-key"]).encode())
        while (data := self.rfile.read1(65536)):
            self.request.sendall(data)


class Session:
    """A noVNC session through the gate, from a browser's side."""

    def __init__(self, session="7", address="127.0.0.1", path=None, port=3000, context=None,
                 header=b"", source=""):
        self.path = path or f"/api/auth/session/{session}/novnc/websock"
        self.sock = socket.create_connection((address, port), PATIENCE, (source, 0) if source else None)
        self.sock.sendall(header)   # of the PROXY protocol
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((f"GET {self.path}?token=secret HTTP/1.1\r\nHost: localhost:{port}\r\n"
                           f"Origin: http{'s' if context else ''}://localhost:{port}\r\nUpgrade: websocket\r\n"
                           f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                           "Sec-WebSocket-Version: 13\r\n\r\n").encode())
        self.file = self.sock.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        for line in self.file:
            if line == b"\r\n":
                break

    def echoes(self, data=b"hello"):
        self.sock.sendall(data)
        return self.file.read(len(data)) == data

    def ended(self):
        """Waits for the end, clean or not; before it, a Close of the gate may come."""
        try:
            return self.file.read()[:1] in (b"", b"\x88")
        except ConnectionError:
            return True

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def get(path="/", address="127.0.0.1", port=3000):
    """One page, on a connection of its own: (status, body)."""
    with socket.create_connection((address, port), timeout=PATIENCE) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:3000\r\n"
                     "Connection: close\r\n\r\n".encode())
        head, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
        return int(head.split()[1]), body
