"""The picture of the bench: one panel for each of some rows, one bar for each contestant."""

import statistics
from xml.sax.saxutils import escape

from figures import ROW, number

PANELS = ("down", "down-cpu", "get-cpu",
          "ping-1", "ping-50-p99", "page-1-cpu",
          "tls-down-cpu", "tls-out-down-cpu", "tls-resume-new-cpu",
          "page-new-cpu", "tunnel-new-cpu", "idle")
ACROSS = 3
BAR, GAP, LABEL, FIGURE, WIDTH, PAD = 13, 5, 140, 90, 400, 16
DWARFS = "websockify"  # the others, where it is far behind
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


def bar(label, kind, values, scale, left, top):
    room = WIDTH - LABEL - FIGURE
    middle = statistics.median(values)
    end, low, high = (left + min(v * scale, room) for v in (middle, min(values), max(values)))
    cut = " (bar cut)" if middle * scale > room else ""
    return (f'<text x="{left - 6}" y="{top + 10}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="{kind}" x="{left}" y="{top}" width="{end - left:.1f}" '
            f'height="{BAR}" rx="2"/>'
            f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{top + BAR / 2}" '
            f'y2="{top + BAR / 2}"/>'
            f'<text class="value" x="{max(end, high) + 5:.1f}" y="{top + 10}">'
            f'{number(middle)}{cut}</text>')


def panel(r, key, x, y):
    who = r.columns(key)
    most = max((max(r.values(key, c)) for c in who if c != DWARFS), default=1)
    better = "more is better" if ROW[key][3] else "less is better"
    out = [f'<text class="title" x="{x}" y="{y + 10}">{escape(ROW[key][1])}</text>',
           f'<text class="value" x="{x}" y="{y + 24}">{better}</text>']
    for i, c in enumerate(who):
        kind = c if c in ("gate", "floor") else "bar"
        out.append(bar(r.data["labels"][c], kind, r.values(key, c),
                       (WIDTH - LABEL - FIGURE) / most, x + LABEL, y + 32 + i * (BAR + GAP)))
    return "\n".join(out)


def svg(r):
    keys = [k for k in PANELS if r.columns(k)]
    panels, y = [], PAD
    for row in (keys[i:i + ACROSS] for i in range(0, len(keys), ACROSS)):
        panels += [panel(r, key, PAD + i * (WIDTH + PAD), y) for i, key in enumerate(row)]
        y += 32 + max(len(r.columns(key)) for key in row) * (BAR + GAP) + PAD
    return (f'<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {ACROSS * (WIDTH + PAD) + PAD} {y}" role="img">\n'
            f'<title>novnc-gate beside other proxies</title>\n<style>{STYLE}</style>\n'
            f'<rect class="paper" width="100%" height="100%"/>\n' + "\n".join(panels) +
            "\n</svg>\n")
