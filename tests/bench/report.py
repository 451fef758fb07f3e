#!/usr/bin/python3
"""report.py [DIRECTORY]: the results.json there (here, unless given) as RESULTS.md and results.svg.
report.py --man: what it has of the units, as the table in novnc-gate(8)."""

import json
import re
import statistics
import sys
from pathlib import Path

import picture
from figures import (CGROUP_KB, COLUMNS, CPU_MS, PLAIN, PRICES, ROW, STRICT_EXPOSURE, TARGETS, TLS,
                     TLS_COLUMNS, UNIT_EXPOSURE, UNIT_RATE, WHY_MISSED, Results, number)

BENCH = Path(__file__).resolve().parent
MAN = BENCH.parents[1] / "man/novnc-gate.8"
PID1 = BENCH.parent / "kernels/pid1.json"   # what pid1.py there has found


def spread(values):
    """Half of what lies between the least and the most, in percent of the median."""
    middle = statistics.median(values)
    return round((max(values) - min(values)) / 2 / middle * 100) if middle else 0


def table(head, lines, align=""):
    rule = ["---:" if a == "r" else "---" for a in align.ljust(len(head), "r")]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in (head, rule, *lines))


def cell(values):
    if not values:
        return ""
    text = number(statistics.median(values))
    if len(values) == 1:
        return text
    if (percent := spread(values)) > 100:
        return f"{text} ({number(min(values))} to {number(max(values))})"
    return f"{text} ±{percent} %"


def figures_table(r, measurements, columns):
    who = [c for c in columns if any(c in r.samples.get(m, {}) for m in measurements)]
    lines = []
    for key, (name, title, _, _) in ROW.items():
        if name in measurements and r.columns(key):
            lines.append([title if key == name else "… " + title.split(": ")[1],
                          *(cell(r.values(key, c)) for c in who)])
    labels = [f"**{r.data['labels'][c]}**" if c == "gate" else r.data["labels"][c] for c in who]
    return table(["", *labels], lines, "l")


def verdict(value, limit, more, text=None):
    met = value >= limit if more else value <= limit
    return [f"{'≥' if more else '≤'} {limit:.2f}", text or f"{value:.2f}",
            "yes" if met else "**no**"]


def of_ratio(ratio, limit, more):
    return verdict(ratio[0], limit, more, f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})")


def unit_targets(r):
    units = r.data["units"]
    if "gate" in units:
        yield ["Connections per second under systemd, unit as shipped", "the floor in a bare unit",
               *of_ratio(r.unit_ratio("gate"), UNIT_RATE, True)]
        if "gate-tunnel" in units:
            yield ["… with a tunnel each", "the floor in a bare unit",
                   *of_ratio(r.unit_ratio("gate-tunnel"), UNIT_RATE, True)]
        yield ["Exposure of the unit as shipped", "",
               *verdict(float(units["gate"]["exposure"]), UNIT_EXPOSURE, False)]
    if "gate-strict" in units:
        rate = number(statistics.median(units["gate-strict"]["rates"]))
        yield [f"Exposure with strict.conf ({rate} connections per second)", "",
               *verdict(float(units["gate-strict"]["exposure"]), STRICT_EXPOSURE, False)]


def targets(r):
    """(row, of whom, [target, reached, met], whether rounds lie on both sides of the target)."""
    for key, other, limit in TARGETS:
        who = r.best_peer(key) if other == "best peer" else other
        if ratio := who and r.ratio(key, who):
            named = r.data["labels"][who] + (" (best peer)" if other == "best peer" else "")
            yield (key, named, of_ratio(ratio, limit, ROW[key][3]), ratio[1] <= limit <= ratio[2])


def targets_table(r):
    lines = [[ROW[key][1], whose, *reached] for key, whose, reached, _ in targets(r)]
    many = r.samples.get("idle-many", {}).get("gate", [])
    lines.append(["10,000 tunnels on one machine", "", "all stand",
                  f"{many[0]['count']:,} did" if many else "not tried",
                  "yes" if many and many[0]["count"] >= 10000 else "see below"])
    head = ["novnc-gate's", "by that of", "target", "reached", "met"]
    return table(head, lines + list(unit_targets(r)), "llrrl")


def missed(r):
    """(key of WHY_MISSED, sentence: whether that is more than noise)"""
    for key, whose, (*_, met), both_sides in targets(r):
        if met != "yes":
            noise = "some rounds meet it, some do not" if both_sides else "no round meets it"
            yield key, f"{ROW[key][1]}, by that of {whose}: {noise}"
    for row, whose, _, reached, met in unit_targets(r):
        if met != "yes":
            yield "units", f"{row}, by that of {whose or 'systemd-analyze'}: {reached}"


def reasons(r):
    """Of each target that is missed, with the causes as footnotes."""
    lines, whys = [], {}
    for key, line in missed(r):
        why = WHY_MISSED.get(key, "")
        lines.append(line + (f" ({whys.setdefault(why, len(whys) + 1)})" if why else ""))
    return bullets(lines) + "".join(f"\n\n({n}) {why}." for why, n in whys.items())


def prices_table(r):
    lines = []
    for key, buys in PRICES:
        peer = r.best_peer(key)
        if peer and (ratio := r.ratio(key, peer)):
            lines.append([ROW[key][1], number(r.median(key, "gate")),
                          f"{number(r.median(key, peer))} ({r.data['labels'][peer]})",
                          f"{number(ratio[0])} times", buys])
    return table(["", "novnc-gate", "best peer", "", "what that buys"], lines, "lrrrl") if lines \
        else ""


def units_table(r):
    return table(
        ["Unit", "connections per second", "of the bare floor", "CPU, ms each", "exposure"],
        [[unit["label"], cell(unit["rates"]), f"{r.unit_ratio(name)[0]:.2f}",
          cell(unit["cpu_ms"]), unit["exposure"]] for name, unit in r.data["units"].items()], "l")


def pid1_table():
    lines = [[machine, f"{count:,}", f"{ms:.1f}", f"{ms / found[0][1]:.2f}", f"{mb:.1f}"]
             for machine, found in json.loads(PID1.read_text()).items() for count, ms, mb in found]
    return table(["", "open connections", "CPU, ms each", "by that with none", "memory, MB"], lines, "l")


def how_long(r):
    if r.data["quick"]:
        return f"**QUICK=1, to try the bench: not for comparing.** {r.data['took_s']} s"
    return f"{r.data['rounds']} rounds in {r.data['took_s'] / 60:.0f} minutes"


def introduction(r):
    m = r.data["machine"]
    return (
        f"`make bench` on {m['date']}: Debian {m['debian_version']}, Linux {m['kernel']}, "
        f"{m['cores']} cores ({m['cpu']}), {m['ram_gib']} GiB; load before {m['load_before']}. "
        f"{how_long(r)}, every contestant in "
        "each row of each round, over loopback, with load generator and backend on the same cores. "
        "A cell is the median of the rounds and half of what lies between the least and the most, "
        "or these two where that is more than the median; "
        "a ratio is the median of each round's. CPU is user and system time of the contestant's "
        "control group, processes that ended included; load generator and backend are not in it. "
        "What flows (tunnel, download, upload) is counted from when its connection stands. "
        "The *floor* ([floor.c](floor.c)) is about the least that a process for each connection can "
        "do: it connects to one backend and splices, and parses nothing.")


def remarks(r):
    """Text that belongs to the table of figures and is no column of it."""
    alone = r.samples.get("nothing-new", {}).get("activate")
    if alone and (costs := [c for s in alone if (c := CPU_MS(s)) is not None]):
        yield ("novnc-gate, the floor and stunnel's inetd mode run under `systemd-socket-activate "
               f"--inetd -a`, which for a connection without a program takes {cell(costs)} ms of "
               "CPU of its own; the rows of new connections contain that.")
    for many in r.samples.get("idle-many", {}).get("gate", []):
        size = CGROUP_KB(many)
        yield (f"{many['count']:,} tunnels at once through novnc-gate: all stood and passed on a "
               "message" + (f", {number(size)} kB each." if size else ".") +
               " (As shipped, the units admit at least 4,096.)")
    if counted := r.data["instructions"]:
        yield ("User-space instructions of novnc-gate from exec to exit (callgrind): " +
               "; ".join(f"{what} {n:,}" for what, n in counted.items()) + ".")


def contestants_list(r):
    m, lines = r.data["machine"], []
    for what, listed in r.data["contestants"].items():
        for c in listed:
            label = f"TLS: {c['label']}" if what == "tls" else c["label"]
            lines.append(f"- {label}{', ' * bool(c['version'])}{c['version']}: {c['note']}")
    return "\n".join([f"- {m['gate']}, Node {m['node']}", *lines])


def bullets(items):
    return "\n".join(f"- {item}" for item in items)


def sections(r):
    """(title, text); what has no text was not measured."""
    plain, tls = (bool(set(m) & set(r.samples)) for m in (PLAIN, TLS))
    prices = prices_table(r)
    yield "Figures", plain and figures_table(r, PLAIN, COLUMNS)
    yield "", "\n\n".join(remarks(r))
    yield "TLS", tls and (
        "TLS 1.3, one certificate with a P-256 key, AES-128-GCM; the controller's certificate is "
        "verified by all.\n\n" + figures_table(r, TLS, TLS_COLUMNS))
    yield "Targets", targets_table(r)
    yield "Why targets are missed", not r.data["quick"] and reasons(r)
    yield "What a process per connection costs, and buys", prices and (
        "To an event loop a new connection is one more descriptor; here a program is started for "
        "it. These rows this design cannot win.\n\n" + prices)
    yield "Under systemd itself", r.data["units"] and (
        "A page, or a tunnel, on each new connection, many clients at once, systemd and its journal in a "
        "container; CPU is all of the container's. Exposure is what `systemd-analyze security "
        "--offline=yes` says: 10 is no confinement at all.\n\n" + units_table(r))
    yield "What open connections cost PID 1", (
        "CPU time of systemd's PID 1 for one connection that comes and goes, and its memory, by the "
        "connections that are open meanwhile: the units as installed, with a program that does nothing, in "
        "QEMU, which counts instructions of 2 ns each ([pid1.py](../kernels/pid1.py)). `make check-long` fails "
        "where 800 open connections make it 1.6 times as much.\n\n" + pid1_table())
    yield "Contestants", contestants_list(r)
    yield "What was skipped", bullets(r.data["skipped"])
    yield "What failed", bullets(r.data["problems"])


def markdown(r):
    parts = ["# What novnc-gate costs", "![](results.svg)", introduction(r)]
    for title, text in sections(r):
        if text:
            parts += [f"## {title}"] * bool(title) + [text]
    return "\n\n".join(parts) + "\n"


def load(directory):
    return Results(json.loads((directory / "results.json").read_text()))


def write(directory):
    """Writes both beside results.json; returns the Markdown."""
    r = load(directory)
    text = markdown(r)
    (directory / "RESULTS.md").write_text(text)
    (directory / "results.svg").write_text(picture.svg(r))
    return text


def man_table(r):
    """Exposure and connections per second, as mdoc."""
    def line(name, what):
        unit = r.data["units"][name]
        return f".It {what} Ta {unit['exposure']} Ta {statistics.median(unit['rates']):.0f}\n"

    return ('.Bl -column "novnc-gate-http-NN@.service with strict.conf" "Exposure" "Connections/s"\n'
            ".It Sy Unit Ta Sy Exposure Ta Sy Connections/s\n" +
            line("gate", "novnc-gate-http-NN@.service") +
            line("gate-strict", "novnc-gate-http-NN@.service with strict.conf") +
            line("gate-tls", "novnc-gate-tls-NN@.service, TLS resumption") +
            line("floor", "an empty unit with a minimal program") + ".El\n")


def put_man_table(r):
    page, n = re.subn(r'(?ms)^\.Bl -column [^\n]*"Exposure".*?^\.El\n',
                      lambda _: man_table(r), MAN.read_text())
    assert n == 1, f"{MAN} has {n} such tables"
    MAN.write_text(page)


if __name__ == "__main__":
    if sys.argv[1:] == ["--man"]:
        put_man_table(load(BENCH))
    else:
        print(write(Path(sys.argv[1]) if sys.argv[1:] else BENCH), end="")
