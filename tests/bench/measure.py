"""Samples: what build/bench/load says, and what it took the contestant."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time

from contestant import BUILD, child_setup
from contestants import Direct

QUICK = os.environ.get("QUICK", "") not in ("", "0")
ROUNDS = int(os.environ.get("ROUNDS", 1 if QUICK else 5))
IDLE = int(os.environ.get("IDLE", 100 if QUICK else 1000))
MANY = int(os.environ.get("MANY", 0))  # so many through the gate once more: see NOT_MANY
NOT_MANY = ("10,000 tunnels at once, which `MANY=10000 make bench` adds: Linux 6.18 was once seen to "
            "stop for ever when as many processes with a seccomp filter ended at once. The bench ends "
            "them one after the other, but SIGKILL would end them at once.")
MIB = 1 << 20
TUNNEL_BYTES = (64 if QUICK else 1024) * MIB
TLS_BYTES = (32 if QUICK else 512) * MIB
BODY_BYTES, BODY_COUNT = 64 * MIB, 1 if QUICK else 8
SECONDS = 0.1 if QUICK else 0.8
NEW = 20 if QUICK else 600
LOAD_TIMEOUT = 300

# Name: how often in one sample, and what load.c is asked for; "PORT" stands for the contestant's.
MEASUREMENTS = {
    "down": (1, "PORT", "down", TUNNEL_BYTES),
    "raw": (1, "PORT", "raw", TUNNEL_BYTES),
    "up": (1, "PORT", "up", TUNNEL_BYTES),
    "ping-1": (1, "PORT", "ping", 1, SECONDS),
    "ping-16": (1, "PORT", "ping", 16, SECONDS),
    "ping-50": (1, "PORT", "ping", 50, SECONDS),
    "page-1": (1, "PORT", "page", 1, SECONDS),
    "page-8": (1, "PORT", "page", 8, SECONDS),
    "page-new": (1, "PORT", "page-new", 1, NEW),
    "tunnel-new": (1, "PORT", "tunnel-new", 1, NEW),
    "nothing-new": (1, "PORT", "nothing-new", 1, NEW),
    "get": (BODY_COUNT, "PORT", "get", BODY_BYTES),
    "get-chunked": (BODY_COUNT, "PORT", "get-chunked", BODY_BYTES),
    "put": (BODY_COUNT, "PORT", "put", BODY_BYTES),
    "put-chunked": (BODY_COUNT, "PORT", "put-chunked", BODY_BYTES),
}
TLS_MEASUREMENTS = {
    "tls-full-new": (1, "--tls", "PORT", "page-new", 1, NEW),
    "tls-resume-new": (1, "--resume", "PORT", "page-new", 1, NEW),
    "tls-down": (1, "--tls", "PORT", "down", TLS_BYTES),
    "tls-up": (1, "--tls", "PORT", "up", TLS_BYTES),
    "tls-out-new": (1, "PORT", "tunnel-new", 1, NEW),
    "tls-out-down": (1, "PORT", "down", TLS_BYTES),
    "tls-out-up": (1, "PORT", "up", TLS_BYTES),
}


class Failed(Exception):
    pass


@contextlib.contextmanager
def load(*args):
    """build/bench/load, ready to be let go; gives the function that does and returns its result.
    Its connections stay until the block ends."""
    argv = [str(BUILD / "load"), *map(str, args)]
    with subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, start_new_session=True,
                          preexec_fn=child_setup) as process:
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
            process.stdin.close()
            process.wait()
            watchdog.cancel()


def measure(contestant, name, times, *args):
    """One sample: what load.c says, added up, and the CPU that the contestant took for it."""
    sample = {}
    counted = not isinstance(contestant, Direct)
    standing = counted and name.startswith("ping")
    for _ in range(times):
        with load(*(contestant.port_for(name) if a == "PORT" else a for a in args)) as go:
            if name.endswith("-new"):
                contestant.settle()
            before = contestant.calm_cpu()
            switches = contestant.group.switches() if standing else 0
            result = go()
            if name.endswith("-new"):
                contestant.settle()
            after = contestant.group.cpu()
            if standing:    # its processes are those of before
                result["switches"] = contestant.group.switches() - switches
        contestant.settle()
        if counted and before is not None:
            result["cpu"] = after - before
        for key, value in result.items():
            sample[key] = sample.get(key, 0) + value
    return sample


def takes_part(kind, name):
    return name in kind.rows if kind.rows else name != "nothing-new"


def say(text):
    print(text, file=sys.stderr, flush=True)


class Samples:
    """What was found. samples[measurement][contestant]: a list, one for each round."""

    def __init__(self):
        self.samples, self.problems, self.skipped = {}, [], []
        self.instructions, self.units = {}, {}

    def fail(self, problem):
        self.problems.append(str(problem))
        say(f"  FAILED {problem}")

    def skip(self, reason):
        self.skipped.append(str(reason))
        say(f"  skipped: {reason}")

    def take(self, name, contestant, function, *args):
        try:
            sample = function(*args)
        except (Failed, RuntimeError, OSError) as problem:
            self.fail(f"{contestant}, {name}: {problem}")
            return
        self.samples.setdefault(name, {}).setdefault(contestant, []).append(sample)


def turn(items, r):
    """All of them, in each round beginning with another."""
    first = r % max(len(items), 1)
    return items[first:] + items[:first]


def compare(results, what, kinds, measurements, backend):
    """Every contestant in every row, round after round; all stand all the time, one has work."""
    running = []
    try:
        for kind in kinds:
            try:
                running.append(kind(backend))
            except (RuntimeError, OSError) as problem:
                results.fail(problem)
        for r in range(ROUNDS):
            say(f"{what}, round {r + 1} of {ROUNDS}")
            for name, asked in measurements.items():
                for contestant in turn(running, r):
                    if takes_part(contestant, name):
                        results.take(name, contestant.name, measure, contestant, name, *asked)
    finally:
        for contestant in running:
            contestant.close()
        backend.close()


def idle(kind, backend, count):
    """Memory for each of so many tunnels that have all passed on one message, then nothing for
    a second."""
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
            time.sleep(1)   # idle: what is given back at rest has been
            sample = {"count": count, "pss": group.pss() - pss}
            if memory:
                used, kernel = group.memory()
                sample |= {"memory": used - memory[0], "kernel": kernel - memory[1]}
        return sample
    finally:
        contestant.close()
