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

import report
from contestants import (BENCH, BUILD, CONTESTANTS, FILES, JOURNAL, Backend, Direct, Websockify,
                         child_setup, versions)
from group import Group

QUICK = os.environ.get("QUICK", "") not in ("", "0")
PARTS = set(os.environ.get("PARTS", "proxies memory machine").split())
MIB = 1 << 20
ROUNDS = int(os.environ.get("ROUNDS", 1 if QUICK else 7))
TUNNEL_BYTES = (128 if QUICK else 1024) * MIB
BODY_BYTES, BODY_COUNT = 64 * MIB, 1 if QUICK else 8
SECONDS = 0.15 if QUICK else 1
NEW = 40 if QUICK else 300
IDLE = 100 if QUICK else 1000
MANY = 0 if QUICK else 10000  # tunnels through the gate at once
LOAD_TIMEOUT = 120

# Name: what load.c is asked for, and how often in one sample.
MEASUREMENTS = {
    "down": (1, "down", TUNNEL_BYTES),
    "up": (1, "up", TUNNEL_BYTES),
    "ping-1": (1, "ping", 1, SECONDS),
    "ping-16": (1, "ping", 16, SECONDS),
    "ping-50": (1, "ping", 50, SECONDS),
    "page-1": (1, "page", 1, SECONDS),
    "page-8": (1, "page", 8, SECONDS),
    "page-new": (1, "page-new", 1, NEW),
    "tunnel-new": (1, "tunnel-new", 1, NEW),
    "nothing-new": (1, "nothing-new", 1, NEW),
    "get": (BODY_COUNT, "get", BODY_BYTES),
    "get-chunked": (BODY_COUNT, "get-chunked", BODY_BYTES),
    "put": (BODY_COUNT, "put", BODY_BYTES),
    "put-chunked": (BODY_COUNT, "put-chunked", BODY_BYTES),
}


class Failed(Exception):
    pass


@contextlib.contextmanager
def load(port, *args):
    """build/bench/load, ready to be let go; gives the function that does and returns its result.
    Its connections stay until the block ends."""
    argv = [str(BUILD / "load"), str(port), *map(str, args)]
    with subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, preexec_fn=child_setup) as process:
        watchdog = threading.Timer(LOAD_TIMEOUT, process.kill)
        watchdog.start()

        def line():
            if text := process.stdout.readline():
                return text
            raise Failed(process.stderr.read().strip() or f"no end after {LOAD_TIMEOUT} s")

        def go():
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write("\n")
                process.stdin.flush()
            return json.loads(line())

        try:
            line()
            yield go
        finally:
            watchdog.cancel()
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def measure(contestant, name):
    """One sample: what load.c says, added up, and the CPU that the contestant took for it."""
    times, *args = MEASUREMENTS[name]
    sample = {}
    for _ in range(times):
        with load(contestant.port_for(name), *args) as go:
            before = contestant.group.cpu()
            result = go()
            if name.endswith("-new"):
                contestant.settle()
            after = contestant.group.cpu()
        contestant.settle()
        if not isinstance(contestant, Direct) and before is not None:
            result["cpu"] = after - before
        for key, value in result.items():
            sample[key] = sample.get(key, 0) + value
    return sample


def takes_part(kind, name):
    return name in kind.rows if kind.rows else name != "nothing-new"


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


def say(text):
    print(text, file=sys.stderr, flush=True)


class Samples:
    """samples[measurement][contestant]: a list, one for each round; problems as text."""

    def __init__(self):
        self.samples, self.problems, self.skipped = {}, [], []

    def fail(self, problem):
        self.problems.append(str(problem))
        say(f"  FAILED {problem}")

    def skip(self, reason):
        self.skipped.append(str(reason))
        say(f"  skipped: {reason}")

    def take(self, name, contestant, function):
        try:
            sample = function()
        except (Failed, RuntimeError, OSError) as problem:
            self.fail(f"{contestant}, {name}: {problem}")
            return
        self.samples.setdefault(name, {}).setdefault(contestant, []).append(sample)


def proxies(results):
    """All rows but memory; the contestants stand all the time, one at a time has work."""
    backend = Backend(TUNNEL_BYTES)
    running = []
    try:
        for kind in CONTESTANTS:
            try:
                running.append(kind(backend))
            except RuntimeError as problem:
                results.fail(problem)
        for r in range(ROUNDS):
            say(f"round {r + 1} of {ROUNDS}")
            for name in MEASUREMENTS:
                for contestant in running[r % len(running):] + running[:r % len(running)]:
                    if takes_part(contestant, name):
                        results.take(name, contestant.name, lambda: measure(contestant, name))
    finally:
        for contestant in running:
            contestant.close()
        backend.close()


def idle(kind, backend, count):
    """Memory for each of so many tunnels that have all passed on one message."""
    contestant = kind(backend)
    try:
        port = contestant.port_for("idle")
        with load(port, "tunnel-new", 4, 8) as go:
            go()
        contestant.settle()
        group = contestant.group
        memory, pss = group.memory(), group.pss()
        with load(port, "idle", count) as go:
            go()
            sample = {"count": count, "pss": group.pss() - pss}
            if memory:
                used, kernel = group.memory()
                sample |= {"memory": used - memory[0], "kernel": kernel - memory[1]}
        return sample
    finally:
        contestant.close()


def memory(results):
    backend = Backend(0)
    try:
        for kind in CONTESTANTS:
            if kind is Direct or not takes_part(kind, "idle"):
                continue
            say(f"{IDLE} idle tunnels: {kind.name}")
            count = min(IDLE, 100) if kind is Websockify else IDLE  # some MB each
            results.take("idle", kind.name, lambda: idle(kind, backend, count))
        if MANY and FILES < MANY + 1000:
            results.skip(f"{MANY} tunnels at once: a process may have only {FILES} descriptors")
        elif MANY:
            say(f"{MANY} idle tunnels: gate")
            gate = next(k for k in CONTESTANTS if k.name == "gate")
            results.take("idle-many", "gate", lambda: idle(gate, backend, MANY))
    finally:
        backend.close()


def machine_description():
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text()
                .splitlines() if line.startswith("model name")), platform.machine())
    system = dict(line.split("=", 1) for line in
                  Path("/etc/os-release").read_text().splitlines() if "=" in line)
    ram = int(Path("/proc/meminfo").read_text().split()[1]) / MIB
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "ram_gib": round(ram),
        "kernel": platform.release().split("-")[0],
        "system": system["PRETTY_NAME"].strip('"'),
        "load_before": os.getloadavg()[0],
        "versions": versions(),
    }


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
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("2048 65000")
    for name in ("core/somaxconn", "ipv4/tcp_max_syn_backlog"):
        Path("/proc/sys/net", name).write_text("4096")


def main():
    start = time.monotonic()
    network()
    description = machine_description()
    results = Samples()
    look_for_counters(results)
    Journal()
    if "proxies" in PARTS:
        proxies(results)
    if "memory" in PARTS:
        memory(results)
    machine = {}
    if "machine" in PARTS and not QUICK:
        import machine_rows
        machine = machine_rows.run(results, load, say)
    data = {
        "machine": description,
        "quick": QUICK,
        "rounds": ROUNDS,
        "took_s": round(time.monotonic() - start),
        "notes": {k.name: k.note for k in CONTESTANTS if k.note},
        "labels": {k.name: k.label for k in CONTESTANTS},
        "samples": results.samples,
        "units": machine,
        "problems": results.problems,
        "skipped": results.skipped,
    }
    where = BUILD if QUICK or PARTS < {"proxies", "memory", "machine"} else BENCH
    (where / "results.json").write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
    print(report.write(where))
    say(f"{data['took_s']} s; in {os.path.relpath(where)}: RESULTS.md, results.svg, results.json")
    sys.exit(1 if results.problems else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
