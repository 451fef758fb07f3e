"""The bench: every contestant in every row, round after round, side by side in one run."""

import contextlib
import datetime
import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import before
import machine_rows
import report
import tls_contestants
from contestant import BENCH, BUILD, FILES, JOURNAL, TREE, Backend, install, said, version
from contestants import CONTESTANTS, Direct, Gate, Websockify
from group import Group
from measure import (IDLE, MANY, MEASUREMENTS, MIB, NOT_MANY, QUICK, ROUNDS, TLS_MEASUREMENTS,
                     TUNNEL_BYTES, Samples, compare, idle, say, takes_part)
from tls_contestants import TLS_CONTESTANTS, TlsBackend

ALL_PARTS = ("proxies", "tls", "memory", "instructions", "machine")
PARTS = os.environ.get("PARTS", " ".join(ALL_PARTS[:-1] if QUICK else ALL_PARTS)).split()
BEFORE = os.environ.get("BEFORE", "")
LESS = QUICK or any(os.environ.get(name) for name in ("PARTS", "ROUNDS", "IDLE"))


class Journal:
    """Takes the entries of what believes to write to the journal."""

    def __init__(self):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        with contextlib.suppress(OSError):  # as systemd does at boot
            Path("/proc/sys/net/unix/max_dgram_qlen").write_text("512")
        Path(JOURNAL).parent.mkdir(parents=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(JOURNAL)
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        while True:
            self.socket.recv(1 << 16)


def proxies(results):
    compare(results, "plain", CONTESTANTS, MEASUREMENTS, Backend(TUNNEL_BYTES))


def tls(results):
    tls_contestants.make_certificate()
    compare(results, "TLS", TLS_CONTESTANTS, TLS_MEASUREMENTS, TlsBackend())


def memory(results):
    backend = Backend()
    try:
        for kind in CONTESTANTS:
            if kind is Direct or not takes_part(kind, "idle"):
                continue
            say(f"{IDLE} idle tunnels: {kind.name}")
            count = min(IDLE, 100) if kind is Websockify else IDLE  # some MB each
            results.take("idle", kind.name, idle, kind, backend, count)
        if MANY > FILES - 1000:
            results.skip(f"{MANY} tunnels at once: a process may have only {FILES} descriptors")
        elif MANY:
            say(f"{MANY} idle tunnels: gate")
            results.take("idle-many", "gate", idle, Gate, backend, MANY)
        else:
            results.skip(NOT_MANY)
    finally:
        backend.close()


def instructions(results):
    try:
        done = subprocess.run([BENCH / "instructions", "--json"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=300)
        results.instructions = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        results.fail(f"instructions: {problem}")


def machine(results):
    results.units = machine_rows.run(results)


def machine_description():
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text()
                .splitlines() if line.startswith("model name")), platform.machine())
    system = dict(line.split("=", 1) for line in
                  Path("/etc/os-release").read_text().splitlines() if "=" in line)
    ram = int(Path("/proc/meminfo").read_text().split()[1]) / MIB
    debian = Path("/etc/debian_version")
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "ram_gib": round(ram),
        "kernel": platform.release().split("-")[0],
        "system": system["PRETTY_NAME"].strip('"'),
        "debian_version": debian.read_text().strip() if debian.exists() else "",
        "load_before": round(os.getloadavg()[0], 2),
        "gate": said(TREE / "build/novnc-gate", "--version"),
        "node": said("node", "--version"),
    }


def contestants(kinds):
    return [{"label": k.label, "note": k.note, "version": version(k.package) if k.package else ""}
            for k in kinds if k.package or k.note]


def look_for_counters(results):
    """Says what cannot be measured here."""
    group = Group("try")
    if group.cpu() is None:
        results.skip("CPU: no control group with cpu.stat can be made here")
    if group.memory() is None:
        results.skip("memory by control group: none with that controller can be made here")
    group.close()


def network():
    """Room for many connections one after the other, in this namespace."""
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("2048 65001")
    Path("/proc/sys/net/ipv4/ip_local_reserved_ports").write_text(
        f"{machine_rows.PORT}-{machine_rows.PORT + 99}")
    for name in ("core/somaxconn", "ipv4/tcp_max_syn_backlog"):
        Path("/proc/sys/net", name).write_text("4096")


def main():
    start = time.monotonic()
    network()
    install()
    description = machine_description()
    if description["load_before"] > description["cores"] / 4:
        say(f"the machine is busy (load {description['load_before']}): figures will be off")
    results = Samples()
    look_for_counters(results)
    Journal()
    if BEFORE:
        sys.exit(not before.run(BEFORE))
    for part in ALL_PARTS:
        if part not in PARTS:
            results.skip(f"the part {part}: PARTS= or QUICK= leaves it out")
    for part in PARTS:
        {f.__name__: f for f in (proxies, tls, memory, instructions, machine)}[part](results)
    data = {
        "machine": description,
        "quick": QUICK,
        "rounds": ROUNDS,
        "took_s": round(time.monotonic() - start),
        "contestants": {"plain": contestants(CONTESTANTS), "tls": contestants(TLS_CONTESTANTS)},
        "labels": {k.name: k.label for k in (*CONTESTANTS, *TLS_CONTESTANTS)},
        "samples": results.samples,
        "instructions": results.instructions,
        "units": results.units,
        "problems": results.problems,
        "skipped": results.skipped,
    }
    where = BUILD if LESS else BENCH  # which keeps what a full run has found
    (where / "results.json").write_text(json.dumps(data, sort_keys=True) + "\n")
    print(report.write(where))
    if where == BENCH:
        say("tests/bench/report.py --man puts what it says of the units into man/novnc-gate.8")
    say(f"{data['took_s']} s; in {os.path.relpath(where)}: RESULTS.md, results.svg, results.json")
    sys.exit(1 if results.problems else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
