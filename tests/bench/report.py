#!/usr/bin/python3
"""What the bench found: results.json as RESULTS.md and results.svg.  report.py [DIRECTORY]"""

import json
import statistics
import sys
from pathlib import Path
from xml.sax.saxutils import escape

COLUMNS = ("direct", "floor", "gate", "nginx", "nginx-64k", "haproxy", "haproxy-splice", "node",
           "proxyd", "websockify")
PEERS = COLUMNS[3:]


def per(key, count, scale=1.0):
    """The quotient of two of a sample's figures; None where one was not measured."""
    return lambda s: s[key] / s[count] * scale if key in s and s.get(count) else None


def figure(key):
    return lambda s: s.get(key)


MBPS = per("bytes", "seconds", 1e-6)
CPU_GB = per("cpu", "bytes", 1e9)
CPU_US = per("cpu", "count", 1e6)
CPU_MS = per("cpu", "count", 1e3)
RATE = per("count", "seconds")
CGROUP_KB = per("memory", "count", 1e-3)
P50, P99 = figure("p50_us"), figure("p99_us")
BULK = [("", "MB/s", MBPS, True), ("-cpu", "CPU, s/GB", CPU_GB, False)]
PAGES = [("", "per second", RATE, True), ("-cpu", "CPU, µs each", CPU_US, False)]
PING = [("", "p50, µs", P50, False), ("-p99", "p99, µs", P99, False),
        ("-cpu", "CPU, µs each", CPU_US, False)]

# Measurement: what it is, and its figures (suffix, what it says, from a sample, is more better).
MEASUREMENTS = {
    "down": ("Tunnel to the browser", BULK),
    "up": ("Tunnel to the VM", BULK),
    "ping-1": ("Round trip of 64 bytes, 1 tunnel", PING),
    "ping-16": ("Round trip, 16 tunnels at once", PING),
    "ping-50": ("Round trip, 50 tunnels at once", PING),
    "page-1": ("Pages on 1 kept connection", PAGES),
    "page-8": ("Pages on 8 kept connections", PAGES),
    "page-new": ("Page on a new connection", [
        ("", "first byte, p50, µs", P50, False), ("-cpu", "CPU, ms each", CPU_MS, False)]),
    "tunnel-new": ("New tunnel", [
        ("", "its 101, p50, µs", P50, False),
        ("-cpu", "CPU with its log entries, ms each", CPU_MS, False)]),
    "get": ("Download of 64 MiB", BULK),
    "get-chunked": ("Download, chunked", BULK),
    "put": ("Upload of 64 MiB", BULK),
    "put-chunked": ("Upload, chunked", BULK),
    "idle": ("Idle tunnel", [
        ("", "memory (control group), kB", CGROUP_KB, False),
        ("-kernel", "of that the kernel's, kB", per("kernel", "count", 1e-3), False),
        ("-pss", "its processes' share (PSS), kB", per("pss", "count", 1e-3), False)]),
}

# Key (measurement and suffix): measurement, title, figure, is more better.
ROW = {name + suffix: (name, f"{what}: {said}", of, more)
       for name, (what, figures) in MEASUREMENTS.items()
       for suffix, said, of, more in figures}

# (row, of whom, limit): the gate's figure divided by theirs, at most, or (more is better) at least
TARGETS = [
    ("down-cpu", "floor", 1.05), ("down-cpu", "best peer", 0.60),
    ("up-cpu", "floor", 1.05), ("up-cpu", "best peer", 0.60),
    ("down", "floor", 0.95), ("down", "best peer", 1.00),
    ("up", "floor", 0.95), ("up", "best peer", 1.00),
    ("ping-1", "floor", 1.05), ("ping-1", "best peer", 1.00),
    ("ping-50-p99", "nginx", 1.00),
    ("page-1-cpu", "nginx", 1.00), ("page-1-cpu", "haproxy", 1.00),
    ("get-cpu", "floor", 1.05), ("put-cpu", "floor", 1.05),
    ("get-chunked-cpu", "haproxy", 1.00), ("put-chunked-cpu", "haproxy", 1.00),
    ("page-new-cpu", "floor", 1.30),
    ("tunnel-new-cpu", "floor", 2.30),
    ("idle", "floor", 1.50),
]

PANELS = ("down", "down-cpu", "ping-1", "ping-50-p99", "page-1-cpu", "get-cpu", "page-new-cpu",
          "tunnel-new-cpu", "idle")

UNIT_TARGET = 0.55


class Results:
    def __init__(self, data):
        self.data, self.samples = data, data["samples"]

    def values(self, key, who):
        """One figure for each round; empty where not measured."""
        measurement, _, of, _ = ROW[key]
        found = [of(s) for s in self.samples.get(measurement, {}).get(who, [])]
        return [v for v in found if v is not None]

    def median(self, key, who):
        values = self.values(key, who)
        return statistics.median(values) if values else None

    def best_peer(self, key):
        found = {p: m for p in PEERS if (m := self.median(key, p)) is not None}
        return (max if ROW[key][3] else min)(found, key=found.get) if found else None

    def ratio(self, key, who):
        """The gate's figure by another's, round by round: (median, least, most)."""
        pairs = list(zip(self.values(key, "gate"), self.values(key, who)))
        ratios = [a / b for a, b in pairs if b]
        return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def number(value):
    """Three digits that count."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


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
    return text if len(values) == 1 else f"{text} ±{spread(values)} %"


def main_table(r):
    labels = r.data["labels"]
    who = [c for c in COLUMNS if any(c in m for m in r.samples.values())]
    lines = []
    for key, (name, title, _, _) in ROW.items():
        cells = [cell(r.values(key, c)) for c in who]
        if any(cells):
            lines.append([title if key == name else "… " + title.split(": ")[1], *cells])
    return table(["", *(f"**{labels[c]}**" if c == "gate" else labels[c] for c in who)], lines, "l")


def verdict(ratio, limit, more):
    met = ratio[0] >= limit if more else ratio[0] <= limit
    return [f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})",
            f"{'≥' if more else '≤'} {limit:.2f}", "yes" if met else "**no**"]


def targets_table(r):
    lines = []
    for key, other, limit in TARGETS:
        who = r.best_peer(key) if other == "best peer" else other
        ratio = who and r.ratio(key, who)
        if not ratio:
            continue
        named = r.data["labels"][who]
        lines.append([ROW[key][1], f"{named} (best peer)" if other == "best peer" else named,
                      *verdict(ratio, limit, ROW[key][3])])
    if r.data["units"]:
        ratios = unit_ratios(r, "gate")
        lines.append(["Under systemd: connections per second", "floor, in a bare unit",
                      *verdict((statistics.median(ratios), min(ratios), max(ratios)),
                               UNIT_TARGET, True)])
    head = ["The gate's", "by that of", "ratio", "target", "reached"]
    return table(head, lines, "llrrl") if lines else ""


def unit_ratios(r, name):
    """Connections per second by the bare floor's, round by round."""
    units = r.data["units"]
    return [a / b for a, b in zip(units[name]["rates"], units["floor"]["rates"])]


def units_table(r):
    lines = [[unit["label"], cell(unit["rates"]), f"{statistics.median(unit_ratios(r, name)):.2f}",
              cell(unit["cpu_ms"]), unit["exposure"]]
             for name, unit in r.data["units"].items()]
    return table(["Unit", "connections per second", "of the bare floor", "CPU, ms each",
                  "exposure"], lines, "l")


def markdown(r):
    m, v = r.data["machine"], r.data["machine"]["versions"]
    labels = r.data["labels"]
    parts = [
        "# What novnc-gate costs",
        "![](results.svg)",
        f"`make bench` on {m['date']}: {m['system']}, Linux {m['kernel']}, {m['cores']} cores "
        f"({m['cpu']}), {m['ram_gib']} GiB. {r.data['rounds']} rounds, every contestant in each "
        "row of each round, over loopback. A cell is the median of the rounds and half of what "
        "lies between the least and the most; a ratio is the median of each round's. CPU is user "
        "and system time of the contestant's control group, processes that ended included; load "
        "generator and backend are not in it.",
        *([main_table(r)] if r.samples else []),
    ]
    alone = r.samples.get("nothing-new", {}).get("activate")
    if alone:
        cost = cell([c for s in alone if (c := CPU_MS(s)) is not None])
        parts.append(f"novnc-gate and the floor run under `systemd-socket-activate --inetd -a`, "
                     f"which for a connection without a program takes {cost} ms of CPU of its own; "
                     "the rows of new connections contain that.")
    for many in r.samples.get("idle-many", {}).get("gate", []):
        size = CGROUP_KB(many)
        parts.append(f"{many['count']:,} tunnels at once through novnc-gate: all stood and passed "
                     "on a message" + (f", {number(size)} kB each." if size else "."))
    if targets := targets_table(r):
        parts += ["## Targets", targets]
    if r.data["units"]:
        parts += ["## Under systemd itself",
                  "A page on each new connection, 16 clients, systemd and its journal in a "
                  "container; CPU is all of the container's. Exposure is what `systemd-analyze "
                  "security` says.", units_table(r)]
    parts += ["## Contestants", "\n".join(
        f"- {labels[name]}" + (f" ({v[name]})" if name in v else "") +
        (f": {r.data['notes'][name]}" if name in r.data["notes"] else "")
        for name in (*COLUMNS[1:],) if name in v or name in r.data["notes"])]
    if r.data["skipped"]:
        parts += ["## What was skipped", "\n".join(f"- {reason}" for reason in r.data["skipped"])]
    if r.data["problems"]:
        parts += ["## What failed", "\n".join(f"- {p}" for p in r.data["problems"])]
    return "\n\n".join(parts) + "\n"


# ---- the picture: one panel for each row, one bar for each contestant

BAR, GAP, LABEL, WIDTH, PAD, ACROSS = 13, 5, 130, 380, 24, 3
STYLE = """
text { font: 11px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 12px; }
.value { fill: #57606a; }
.paper { fill: #ffffff; } .bar { fill: #afb8c1; } .floor { fill: #6e7781; } .gate { fill: #1f6feb; }
.spread { stroke: #24292f; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .value { fill: #9198a1; } .paper { fill: #0d1117; }
.bar { fill: #484f58; } .floor { fill: #848d97; } .gate { fill: #4493f8; }
.spread { stroke: #e6edf3; } }
"""


def panel(r, key, x, y):
    who = [c for c in COLUMNS if r.values(key, c)]
    most = max(max(r.values(key, c)) for c in who if c != "websockify")  # it would dwarf the rest
    room = WIDTH - LABEL - 60
    better = "more is better" if ROW[key][3] else "less is better"
    out = [f'<text class="title" x="{x}" y="{y + 10}">{escape(ROW[key][1])}</text>',
           f'<text class="value" x="{x}" y="{y + 24}">{better}</text>']
    for i, c in enumerate(who):
        values = r.values(key, c)
        middle = statistics.median(values)
        top, left = y + 32 + i * (BAR + GAP), x + LABEL
        end, low, high = (left + min(v / most, 1) * room
                          for v in (middle, min(values), max(values)))
        kind = c if c in ("gate", "floor") else "bar"
        out += [f'<text x="{left - 6}" y="{top + 10}" text-anchor="end">'
                f'{escape(r.data["labels"][c])}</text>',
                f'<rect class="{kind}" x="{left}" y="{top}" width="{end - left:.1f}" '
                f'height="{BAR}" rx="2"/>',
                f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{top + BAR / 2}" '
                f'y2="{top + BAR / 2}"/>',
                f'<text class="value" x="{max(end, high) + 5:.1f}" y="{top + 10}">'
                f'{number(middle)}</text>']
    return "\n".join(out)


def svg(r):
    keys = [k for k in PANELS if any(r.values(k, c) for c in COLUMNS)]
    height = 32 + len(COLUMNS) * (BAR + GAP) + PAD
    rows = -(-len(keys) // ACROSS)
    size = (ACROSS * (WIDTH + PAD) + PAD, rows * height + PAD)
    panels = [panel(r, key, PAD + i % ACROSS * (WIDTH + PAD), PAD + i // ACROSS * height)
              for i, key in enumerate(keys)]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" '
            f'role="img">\n<title>novnc-gate beside other proxies</title>\n<style>{STYLE}</style>\n'
            f'<rect class="paper" width="100%" height="100%"/>\n' + "\n".join(panels) +
            "\n</svg>\n")


def write(directory):
    """Writes both beside results.json; returns the Markdown."""
    r = Results(json.loads((directory / "results.json").read_text()))
    text = markdown(r)
    (directory / "RESULTS.md").write_text(text)
    (directory / "results.svg").write_text(svg(r))
    return text


if __name__ == "__main__":
    print(write(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)), end="")
