"""Sessions that end together, on the kernel that `run` boots: no standstill, no hung task, and each has
its closing entry.

    tests/kernels/run 13 -- 'python3 -B tests/kernels/ends.py COUNT WAY[=ROUNDS]...'

    tests/kernels/run --save FILE 13 -- 'python3 -B tests/kernels/ends.py COUNT'
    tests/kernels/run --from FILE 13 -- WAY=ROUNDS...

With no WAY, it says `ready` once the sessions stand, and reads the way of one round from the serial port:
the second command needs seconds for what the first one needs minutes for.

In each round COUNT sessions stand, and all of them end in this way:

    clients       their clients are killed
    controller    the master-controller is killed
    linger        the same, and no client ends its side
    return        the same, and all clients come back at once
    unreachable   the way to the master-controller's host is gone
    stop          all instances are stopped
    kill          all instances are killed: without an entry
    reboot        the machine is restarted; with --systemd only, and as the last

With --systemd the units are those that `make install` installs, else systemd-socket-activate starts the
gate as they do."""

import http.client
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
import tty
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import peers  # noqa: E402
import units  # noqa: E402
from units import run  # noqa: E402

HOST = "10.99.0.1"      # the backend's
GROUPS = 4              # processes of clients
CLOSED = "930ee7b5ab8f48f2b1fb9892c90e56b8"     # the MESSAGE_ID of a closing entry
COMPLAINTS = re.compile(r"BUG:|WARNING:|Oops:|blocked for more|self-detected stall|detected stalls|"
                        r"lockup -|Out of memory")
# s; without KVM a session takes 0.1 s to begin
BEGIN, END, RESPOND = 5400, 1200, 240
AT_RANDOM = 25          # in getauxval(3)


def wait_until(what, seconds):
    """Returns whether it is true in time."""
    end = time.monotonic() + seconds
    while not (true := what()) and time.monotonic() < end:
        time.sleep(0.2)  # between two looks
    return true


class Activated:
    """The gate under systemd-socket-activate, in a control group that counts its processes, with a
    journal that only counts entries."""

    def __init__(self, backend, _):
        from bench import Journal
        from contestant import INSTALLED, Inetd, install

        class Counting(Journal):
            closed = 0

            def drain(self):
                while True:
                    self.closed += CLOSED.encode() in self.socket.recv(1 << 16)

        class Gate(Inetd):
            name = "gate"

            def start(self):
                conf = self.config(units.configuration(backend))
                self.activate(INSTALLED / "novnc-gate", f"--config={conf}",
                              f"--spread={self.group.dirs[0]}/pids.current")

        install()
        self.journal = Counting()
        self.gate = Gate(backend)
        self.port, self.own = self.gate.port, self.gate.group.pids()

    def processes(self):
        return int((self.gate.group.dirs[0] / "pids.current").read_text()) - len(self.own)

    def closed(self):
        return self.journal.closed

    def pids(self):
        return self.gate.group.pids() - self.own

    def signal(self, number):
        for pid in self.pids():
            os.kill(pid, number)

    def stop(self):
        self.signal(signal.SIGTERM)

    def kill(self):
        self.signal(signal.SIGKILL)


class Installed:
    """The gate's units, and systemd's journal."""

    port = units.PORT
    processes = staticmethod(units.processes)
    pids = staticmethod(units.pids)

    def __init__(self, backend, count):
        units.put_programs(backend)
        units.start(max(32, (count + 127) // 128))

    def closed(self):
        run("journalctl", "--sync")
        return run("journalctl", "-o", "cat", "--output-fields=MESSAGE_ID", f"MESSAGE_ID={CLOSED}").count(CLOSED)

    def stop(self):
        run("systemctl", "stop", "--no-block", "novnc-gate.slice")

    def kill(self):
        run("systemctl", "kill", "--signal=KILL", "novnc-gate.slice")


def reach(verb):
    """Adds or deletes the address that leads to the backend."""
    run("ip", "address", verb, f"{HOST}/32", "dev", "lo")


class World:
    """The gate between a backend and clients."""

    def __init__(self, count):
        reach("add")
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10001 65000")
        for name in ("core/somaxconn", "ipv4/tcp_max_syn_backlog"):
            Path("/proc/sys/net", name).write_text("65535")
        self.count, self.clients = count, []
        self.backend = peers.Backend(HOST)
        has_systemd = Path("/run/systemd/system").exists()
        self.gate = (Installed if has_systemd else Activated)(self.backend, count)

    def sum(self, name):
        return sum(getattr(group, name).value for group in self.clients)

    def stand(self):
        return self.sum("standing") == self.gate.processes() == self.count

    def fill(self):
        """Begins all sessions, unless those of the round before have come back."""
        # A page's process waits before it exits as well.
        if self.sum("standing") == self.count and wait_until(self.stand, END):
            self.set_at_end(peers.CLOSE)
            return
        self.kill_clients()
        self.clients = [peers.Clients(self.gate.port, (self.count + n) // GROUPS) for n in range(GROUPS)]
        if not wait_until(lambda: self.stand() or self.sum("refused"), BEGIN) or self.sum("refused"):
            sys.exit(f"{self.sum('standing')} sessions stand, {self.sum('refused')} were refused, "
                     f"{self.gate.processes()} processes")

    def set_at_end(self, what):
        for group in self.clients:
            group.at_end.value = what

    def kill_controller(self, at_end):
        self.set_at_end(at_end)
        self.backend.kill()
        self.backend.start()

    def kill_clients(self):
        for group in self.clients:
            group.kill()
        self.clients = []

    def over(self):
        return self.gate.processes() == 0

    def have_returned(self):
        return self.sum("ended") >= self.count and self.stand()

    def respond(self):
        """The status of the gate's response to one more request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gate.port, timeout=RESPOND)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        except OSError as problem:
            return problem

    def reboot(self):
        """The machine says at its very end how many entries there are."""
        script = Path("/usr/lib/systemd/system-shutdown/entries")
        script.parent.mkdir(exist_ok=True)
        before = self.gate.closed()
        script.write_text(f"""#!/bin/sh
exec >/dev/ttyS0
seconds=$(($(cut -d . -f 1 /proc/uptime) - {time.clock_gettime(time.CLOCK_BOOTTIME):.0f}))
entries=$(journalctl -D /run/log/journal -o cat --output-fields=MESSAGE_ID MESSAGE_ID={CLOSED} | grep -c {CLOSED})
killed=$(journalctl -D /run/log/journal -o cat -t systemd | grep -c 'Killing process')
echo "reboot: over after $seconds s; $((entries - {before})) entries; $killed killed"
status=0
[ "$entries" = {before + self.count} ] && [ "$killed" = 0 ] || status=1
dmesg | grep -E '{COMPLAINTS.pattern}' && status=1
echo $status >/dev/ttyS1
""")
        script.chmod(0o755)
        run("systemctl", "reboot")
        signal.pause()


WAYS = {
    "clients": World.kill_clients,
    "controller": lambda world: world.kill_controller(peers.CLOSE),
    "linger": lambda world: world.kill_controller(peers.STAY),
    "return": lambda world: world.kill_controller(peers.RETURN),
    "unreachable": lambda world: reach("delete"),
    "stop": lambda world: world.gate.stop(),
    "kill": lambda world: world.gate.kill(),
    "reboot": World.reboot,
}


def way_of_the_round():
    """Waits for it. The machine may be saved meanwhile."""
    with open("/dev/ttyS1", "r+b", buffering=0) as port:
        tty.setraw(port)
        while not select.select([port], [], [], 1)[0]:
            port.write(b"ready\n")
        return port.readline().decode().strip()


def draw_again(pids):
    """Gives these processes new random numbers. They have those that the kernel gave them when they began,
    the same in each machine that goes on from one file."""
    for pid in pids:
        auxv = Path(f"/proc/{pid}/auxv").read_bytes()
        address = dict(struct.iter_unpack("QQ", auxv))[AT_RANDOM]
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(os.urandom(16))


def complaints():
    """The kernel's."""
    return [line for line in run("dmesg").splitlines() if COMPLAINTS.search(line)]


def end_all(world, way):
    """One round; returns the kernel's complaints, and the gate's faults."""
    start = time.monotonic()
    world.fill()
    print(f"{world.count} sessions stand after {time.monotonic() - start:.0f} s", flush=True)
    entries, refused = world.gate.closed(), world.sum("refused")
    expected = 0 if way == "kill" else world.count
    start = time.monotonic()
    WAYS[way](world)
    over = wait_until(world.have_returned if way == "return" else world.over, BEGIN if way == "return" else END)
    took = time.monotonic() - start
    if way == "unreachable":
        reach("add")
    entries_there = wait_until(lambda: world.gate.closed() - entries == expected, 60)
    start = time.monotonic()
    status = world.respond()
    print(f"{way}: over after {took:.0f} s; "
          f"{world.gate.closed() - entries} entries; {world.sum('refused') - refused} refused; "
          f"{status} after {time.monotonic() - start:.1f} s", flush=True)
    wrong = complaints()
    if not (over and entries_there and status == 200 and world.sum("refused") == refused):
        wrong.append(f"{way}: {world.gate.processes()} processes left")
    return wrong


def main(count, *ways):
    world = World(int(count))
    print(f"the gate listens on port {world.gate.port}", flush=True)
    if not ways:
        start = time.monotonic()
        world.fill()
        print(f"{world.count} sessions stand after {time.monotonic() - start:.0f} s", flush=True)
        ways = [way_of_the_round()]
        draw_again(world.gate.pids())
    for argument in ways:
        way, _, rounds = argument.partition("=")
        for _ in range(int(rounds or 1)):
            if wrong := end_all(world, way):
                sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main(*sys.argv[1:])
