"""The rows of the bench: what is computed from samples, and what the gate aims at."""

import statistics

COLUMNS = ("direct", "floor", "gate", "nginx", "nginx-64k", "haproxy", "haproxy-splice", "node",
           "proxyd", "websockify")
TLS_COLUMNS = ("gate", "stunnel-inetd", "stunnel", "nginx", "haproxy", "hitch")
NO_PEER = {"direct", "floor", "gate"}


def per(key, count, scale=1.0):
    """The quotient of two of a sample's figures; None where one was not measured."""
    return lambda s: s[key] / s[count] * scale if key in s and s.get(count) else None


def figure(key):
    return lambda s: s.get(key)


CPU_MS = per("cpu", "count", 1e3)
CGROUP_KB = per("memory", "count", 1e-3)
P50 = figure("p50_us")
BULK = [("", "MB/s", per("bytes", "seconds", 1e-6), True),
        ("-cpu", "CPU, s/GB", per("cpu", "bytes", 1e9), False)]
PAGES = [("", "per second", per("count", "seconds"), True),
         ("-cpu", "CPU, µs each", per("cpu", "count", 1e6), False)]
PING = [("", "p50, µs", P50, False), ("-p99", "p99, µs", figure("p99_us"), False),
        ("-cpu", "CPU, µs each", per("cpu", "count", 1e6), False),
        ("-switches", "context switches each", per("switches", "count"), False)]
NEW_PAGE = [("", "first byte, p50, µs", P50, False), ("-cpu", "CPU, ms each", CPU_MS, False)]
NEW_TUNNEL = [("", "its 101, p50, µs", P50, False),
              ("-cpu", "CPU with its log entries, ms each", CPU_MS, False)]
IDLE = [("", "memory (control group), kB", CGROUP_KB, False),
        ("-kernel", "of that the kernel's, kB", per("kernel", "count", 1e-3), False),
        ("-pss", "its processes' share (PSS), kB", per("pss", "count", 1e-3), False)]

# Measurement: what it is, and its figures (suffix, what it says, from a sample, is more better).
PLAIN = {
    "down": ("Tunnel to the browser", BULK),
    "raw": ("… with bytes that are no frames", BULK),
    "up": ("Tunnel to the VM", BULK),
    "ping-1": ("Round trip of 64 bytes, 1 tunnel", PING),
    "ping-16": ("Round trip, 16 tunnels at once", PING),
    "ping-50": ("Round trip, 50 tunnels at once", PING),
    "page-1": ("Pages on 1 kept connection", PAGES),
    "page-8": ("Pages on 8 kept connections", PAGES),
    "page-new": ("Page on a new connection", NEW_PAGE),
    "tunnel-new": ("New tunnel", NEW_TUNNEL),
    "get": ("Download of 64 MiB", BULK),
    "get-chunked": ("Download, chunked", BULK),
    "put": ("Upload of 64 MiB", BULK),
    "put-chunked": ("Upload, chunked", BULK),
    "idle": ("Idle tunnel", IDLE),
}
TLS = {
    "tls-full-new": ("TLS page, full handshake", NEW_PAGE),
    "tls-resume-new": ("TLS page, session resumed", NEW_PAGE),
    "tls-down": ("Tunnel, TLS to the browser", BULK),
    "tls-up": ("Tunnel, TLS from the browser", BULK),
    "tls-out-new": ("New tunnel, TLS to the controller", NEW_TUNNEL),
    "tls-out-down": ("Tunnel, TLS from the controller", BULK),
    "tls-out-up": ("Tunnel, TLS to the controller", BULK),
}

# Key (measurement and suffix): measurement, title, figure, is more better.
ROW = {name + suffix: (name, f"{what}: {said}", of, more)
       for name, (what, figures) in {**PLAIN, **TLS}.items()
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
    ("tls-resume-new", "stunnel-inetd", 1.30), ("tls-resume-new-cpu", "stunnel-inetd", 1.30),
    ("tls-down-cpu", "best peer", 1.00), ("tls-up-cpu", "best peer", 1.00),
    ("tls-out-down-cpu", "best peer", 1.00), ("tls-out-up-cpu", "best peer", 1.00),
]

# Connections per second by the bare floor's, at least; `systemd-analyze security`, at most.
UNIT_RATE, UNIT_EXPOSURE, STRICT_EXPOSURE = 0.85, 6.5, 1.0

# The cause, as measured, for a row whose target is missed.
BYTES = ("systemd-socket-proxyd and HAProxy with splice do what the floor does, and all of them spend the "
         "kernel's price of a byte: `perf record` has them in skb_splice_from_iter, handle_softirqs "
         "and skb_append_pagefrags, and next to nothing in user space. Nor are system calls what "
         "costs: `strace -c` of one GiB, in November 2026, had 2,162 splices and 99 polls of the "
         "gate, 2,067 and 1,039 of the floor, and 32,777 splices of HAProxy for the same CPU")
SWITCHES = ("Fifty processes take turns on the cores, with load generator and backend. The row's "
            "context switches, which are the floor's as well, are what an event loop saves. Slices "
            "of 0.1 and 0.5 ms (sched_setattr(2)), SCHED_BATCH and a nice value of -5 change "
            "nothing (11 rounds each)")
USER = (
    "Most of the difference is User=: for each connection systemd looks up the supplementary groups of that "
    "user, and nss-systemd(8) asks PID 1 for some. In ten rounds of 200 connections in November 2026 a "
    "connection took 2.9 ms of CPU with the floor in a bare unit, 4.2 with User= added, 4.3 with the gate in "
    "its unit; with the line `initgroups: files` in /etc/nsswitch.conf 3.2, 3.4 and 3.7. That was with "
    "StandardError=journal, which took 0.2 to 0.3 ms of it, and which the unit no longer has; the rest is within "
    "the noise, 0.2 ms. If the gate changed its user itself, each process would start as root")
WHY_MISSED = {"down": BYTES, "down-cpu": BYTES, "up": BYTES, "up-cpu": BYTES,
              "ping-50-p99": SWITCHES, "units": USER}

# Rows that a process for each connection cannot win against an event loop, and the reason for it.
PRICES = [
    ("page-new", "a fault, a limit, a sandbox and `systemctl stop` are this connection's alone; a "
     "browser keeps its connections and pays once for each"),
    ("page-new-cpu", "the same"),
    ("tunnel-new", "a new binary, a restart or a crash elsewhere cuts no session"),
    ("tunnel-new-cpu", "each session has its own unit, log entries and accounts"),
    ("idle", "no other session's bytes are in its memory, and `MemoryMax=` holds for it alone"),
    ("tls-full-new", "a renewed certificate holds from the next connection on, with no reload"),
    ("tls-resume-new", "the process that reads a client's bytes has no other client's secrets"),
    ("tls-resume-new-cpu", "the same"),
]


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

    def columns(self, key):
        """Who has figures in this row."""
        every = TLS_COLUMNS if ROW[key][0] in TLS else COLUMNS
        return [c for c in every if self.values(key, c)]

    def best_peer(self, key):
        found = {c: self.median(key, c) for c in self.columns(key) if c not in NO_PEER}
        return (max if ROW[key][3] else min)(found, key=found.get) if found else None

    def ratio(self, key, who):
        """The gate's figure by another's, round by round: (median, least, most)."""
        return middle_and_ends(a / b for a, b in
                               zip(self.values(key, "gate"), self.values(key, who)) if b)

    def unit_ratio(self, name):
        """Connections per second by the bare floor's, likewise."""
        units = self.data["units"]
        floor = "floor-tunnel" if name.endswith("-tunnel") else "floor"
        return middle_and_ends(a / b for a, b in zip(units[name]["rates"], units[floor]["rates"]))


def middle_and_ends(values):
    values = list(values)
    return (statistics.median(values), min(values), max(values)) if values else None


def number(value):
    """Three digits that count."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
