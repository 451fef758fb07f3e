"""The CPU time that one more connection costs systemd's PID 1, and what administrators do, by the
connections that are open: the units as they are installed, with a program that does nothing (hold.c), so
that nothing but systemd is measured. Runs on the machine that `run` boots, with CPU time counted in
instructions, so that it repeats:

    tests/kernels/run --systemd --counted 12 13 backports -- \\
        'python3 -B tests/kernels/pid1.py SOCKETS COUNT...'

Fails where it grows so fast that with 4,000 it would be more than 1.6 times that of the first."""

import resource
import socket
import sys
import time
from pathlib import Path

import units

MOST = 0.6 / 4000      # of the first cost, by which it may grow with each connection
SAMPLE = 40     # connections that are measured
PROGRAM = "[Service]\nExecStart=\nExecStart=/src/build/hold\n"
NO_CHECK = "[Service]\nExecStart=\nExecStart=/bin/true\nExecStop=\n"


def connect(number):
    """From one of ten addresses, for there is a limit for each."""
    sock = socket.create_connection(("127.0.0.1", units.PORT), source_address=(f"127.0.0.{number % 10 + 1}", 0))
    sock.sendall(b"x")      # the sockets defer what says nothing (DeferAcceptSec=)
    return sock


def wait_for(count):
    while units.processes() != count:
        time.sleep(0.05)    # costs nothing here


def cpu_ms():
    return int(Path("/proc/1/schedstat").read_text().split()[0]) / 1e6


def memory_kb():
    for line in Path("/proc/1/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])


def cost(what):
    """PID 1's CPU time for that, ms."""
    time.sleep(1)           # what it still has to do for what was before
    before = cpu_ms()
    what()
    time.sleep(1)
    return cpu_ms() - before


def sample(live):
    """Connections that come and go."""
    for number in range(SAMPLE):
        sock = connect(number)
        wait_for(live + 1)
        sock.close()
        wait_for(live)


def stop_one(live):
    """With `systemctl stop`."""
    sock = connect(0)
    wait_for(live + 1)
    address, port = sock.getsockname()
    name = units.run("systemctl", "list-units", "--plain", "--no-legend", f"*{address}:{port}.service").split()[0]
    price = cost(lambda: (units.run("systemctl", "stop", name), wait_for(live)))
    sock.close()
    return price


def open_connections(live, count):
    while len(live) < count:
        live.append(connect(len(live)))
        if len(live) % 100 == 0:
            wait_for(len(live))
    wait_for(count)


def main(sockets, counts):
    resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
    units.drop_in("novnc-gate-http-@.service", PROGRAM)
    units.drop_in("novnc-gate.service", NO_CHECK)
    units.start(sockets)
    connect(0).close()      # the slice's files come into being with the first one
    live, costs = [], []
    for count in counts:
        start = time.monotonic()
        open_connections(live, count)
        opened = time.monotonic() - start
        costs.append(cost(lambda: sample(count)) / SAMPLE)
        print(f"{count} open (after {opened:.0f} s): {costs[-1]:.1f} ms a connection; {memory_kb()} kB; "
              f"daemon-reload {cost(lambda: units.run('systemctl', 'daemon-reload')):.0f} ms, "
              f"list-units {cost(lambda: units.run('systemctl', 'list-units', 'novnc-gate*')):.0f} ms, "
              f"stop of one {stop_one(count):.0f} ms", flush=True)
    start = time.monotonic()
    price = cost(lambda: units.run("systemctl", "stop", "novnc-gate.slice"))
    print(f"stop of all: {price:.0f} ms, {time.monotonic() - start:.0f} s", flush=True)
    most = 1 + MOST * counts[-1]
    if costs[-1] > most * costs[0]:
        sys.exit(f"{costs[-1] / costs[0]:.2f} times that of {counts[0]} open, at most {most:.2f} wanted")


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(count) for count in sys.argv[2:]])
