"""This build's gate beside that of an earlier build: `make bench BEFORE=DIRECTORY`."""

import os
import shutil
import statistics

import tls_contestants
from contestant import INSTALLED, Backend
from contestants import Gate
from figures import PLAIN, TLS
from measure import IDLE, MEASUREMENTS, ROUNDS, TLS_MEASUREMENTS, TUNNEL_BYTES, Samples, compare, idle, say
from tls_contestants import GateTls, TlsBackend

PROGRAMS = INSTALLED / "before"


class GateBefore(Gate):
    name, programs = "before", PROGRAMS


class GateTlsBefore(GateTls):
    name, programs = "before", PROGRAMS


def install(build):
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    for name in ("novnc-gate", "novnc-gate-dynamic", "novnc-gate-tls.so"):
        shutil.copy(os.path.join(build, name), PROGRAMS)
    os.sync()


def ratios(samples, figure):
    """Of each round."""
    pairs = zip(samples.get("gate", ()), samples.get("before", ()))
    return [figure(now) / figure(before) for now, before in pairs if figure(before)]


def table(samples):
    """Each row's ratio of this build to the earlier one: median, least and most of the rounds."""
    for name, (what, figures) in {**PLAIN, **TLS}.items():
        for _, unit, figure, _ in figures:
            if found := ratios(samples.get(name, {}), figure):
                row = f"{what}: {unit}"
                yield f"{row:70} {statistics.median(found):.3f} ({min(found):.2f} to {max(found):.2f})"


def run(build):
    """Returns whether all was measured."""
    install(build)
    results = Samples()
    compare(results, "plain", (GateBefore, Gate), MEASUREMENTS, Backend(TUNNEL_BYTES))
    tls_contestants.make_certificate()
    compare(results, "TLS", (GateTlsBefore, GateTls), TLS_MEASUREMENTS, TlsBackend())
    backend = Backend()
    for r in range(min(ROUNDS, 3)):
        for kind in (GateBefore, Gate):
            say(f"{IDLE} idle tunnels, round {r + 1}: {kind.name}")
            results.take("idle", kind.name, idle, kind, backend, IDLE)
    backend.close()
    print("this build's figures divided by the earlier build's, median of the rounds (least to most):")
    print("\n".join(table(results.samples)))
    return not results.problems
