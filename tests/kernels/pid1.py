"""What one more connection costs systemd's PID 1, by how many are open: the units as they are installed,
with a program that does nothing (hold.c), so that nothing but systemd is measured.  Runs on the machine
that `run` boots, with CPU time counted in instructions, so that it repeats:

    make build/hold && tests/kernels/run --systemd --counted 12 -- \\
        'python3 -B tests/kernels/pid1.py SOCKETS COUNT...'"""

import pathlib
import resource
import shutil
import socket
import subprocess
import sys
import time

PORT = 3000
SAMPLE = 40     # connections that are measured
UNITS = pathlib.Path("/etc/systemd/system")
PROGRAM = "[Service]\nExecStart=\nExecStart=/src/build/hold\n"
NO_CHECK = "[Service]\nExecStart=\nExecStart=/bin/true\nExecStop=\n"


def run(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def drop_in(unit, text):
    path = UNITS / f"{unit}.d" / "bench.conf"
    path.parent.mkdir()
    path.write_text(text)


def install(sockets):
    """As `make install` does; that itself would take long here."""
    run("/src/units/put-units", "/dev/null", str(sockets), str(UNITS), "http")
    shutil.copy("/src/units/novnc-gate.slice", UNITS)
    drop_in("novnc-gate-http-@.service", PROGRAM)
    drop_in("novnc-gate.service", NO_CHECK)
    run("useradd", "--system", "novnc-gate")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "novnc-gate")
    time.sleep(2)   # its sockets start after it


def connect(number):
    """From one of ten addresses, for there is a limit for each."""
    sock = socket.create_connection(("127.0.0.1", PORT), source_address=(f"127.0.0.{number % 10 + 1}", 0))
    sock.sendall(b"x")      # the sockets defer what says nothing (DeferAcceptSec=)
    return sock


def tasks():
    return int(pathlib.Path("/sys/fs/cgroup/novnc.slice/novnc-gate.slice/pids.current").read_text())


def wait_for(count):
    while tasks() != count:
        time.sleep(0.5)     # costs nothing here
    time.sleep(1)           # what PID 1 still has to do for the last one


def cpu_ms():
    return int(pathlib.Path("/proc/1/schedstat").read_text().split()[0]) / 1e6


def memory_kb():
    for line in pathlib.Path("/proc/1/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])


def sample(live):
    """PID 1's CPU for one connection that comes and goes, ms."""
    before = cpu_ms()
    for number in range(SAMPLE):
        sock = connect(number)
        while tasks() != live + 1:
            time.sleep(0.05)
        sock.close()
        while tasks() != live:
            time.sleep(0.05)
    time.sleep(1)
    return (cpu_ms() - before) / SAMPLE


def main(sockets, counts):
    resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
    install(sockets)
    connect(0).close()       # the slice's files come into being with the first one
    time.sleep(2)
    live = []
    for count in counts:
        start, before = time.monotonic(), cpu_ms()
        while len(live) < count:
            live.append(connect(len(live)))
            if len(live) % 100 == 0:
                wait_for(len(live))
        wait_for(count)
        print(f"{count} live (opened in {time.monotonic() - start:.0f} s, {cpu_ms() - before:.0f} ms of "
              f"PID 1): {sample(count):.1f} ms a connection, {memory_kb()} kB", flush=True)


main(int(sys.argv[1]), [int(count) for count in sys.argv[2:]])
