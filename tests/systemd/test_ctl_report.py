"""novnc-gatectl report: the page that it makes of real entries, and where it is written."""

import html.parser
import json
import re
import socket
import subprocess
import time

import pytest

from machine import PATIENCE, Session, wait_for

CLOSED = "930ee7b5ab8f48f2b1fb9892c90e56b8"
DISCONNECT = "5a5fc13451c94dc991b50c878634f521"
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"     # systemd: a unit has failed


class Checked(html.parser.HTMLParser):
    """Reads a page: each element is closed, no id or attribute is twice, and nothing comes from elsewhere or runs."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.rows, self.cell = [], set(), [], None
        assert text.startswith("<!DOCTYPE html>\n")
        self.feed(text)
        self.close()
        assert self.open == []

    def check(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), attrs
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "use"}
        for name, value in attrs:
            assert name not in {"src", "href", "xlink:href", "style"} and not name.startswith("on"), attrs
            if name == "id":
                assert value not in self.ids
                self.ids.add(value)

    def handle_startendtag(self, tag, attrs):
        self.check(tag, attrs)

    def handle_starttag(self, tag, attrs):
        self.check(tag, attrs)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.cell = ""
        if tag != "meta":   # which has no end
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "td":
            self.rows[-1].append(self.cell)
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data


def run(gate, *arguments, code=0, directory="/tmp"):
    """Runs it in that directory; returns what it printed, both streams together."""
    done = subprocess.run([*gate.enter, "env", "-C", directory, "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
                           "novnc-gatectl", "report", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}"
    return done.stdout


def report(gate, *arguments):
    """The numbers at the top of the page, and the rows of its tables."""
    gate.sync()
    text = run(gate, "--output=-", *arguments)
    facts = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    return {name: int(value) if value.isdigit() else value for name, value in facts.items()}, Checked(text).rows


def now():
    """For --since=, later than all that has happened and earlier than all that comes."""
    time.sleep(0.002)   # the forms of systemd.time(7) have microseconds, but clocks may differ in the last digits
    return "@%.6f" % time.time()


def closed_session(gate, name):
    with Session(name) as session:
        assert session.status == 101 and session.echoes(b"x" * 5000)
    wait_for(lambda: not gate.instances())


@pytest.fixture(scope="module", autouse=True)
def empty_journal(gate):
    """A report reads the whole journal, of other tests as well."""
    gate.run("journalctl", "--rotate")
    gate.run("journalctl", "--vacuum-time=1us")


@pytest.fixture
def since(gate):
    wait_for(lambda: not gate.instances())
    return "--since=" + now()


def test_a_session_is_in_the_page_with_its_bytes(gate, since):
    closed_session(gate, "4711")
    facts, rows = report(gate, since)
    assert (facts["Sessions begun"], facts["Most at the same time"], facts["Open at the end"]) == (1, 1, 0)
    assert (facts["Users"], facts["Client addresses"], facts["Bytes up"]) == (1, 1, "4.8K")
    [client] = [row for row in rows if row[:1] == ["127.0.0.1"]]
    assert client[1] == "1" and client[4:6] == ["4.8K", "4.8K"]
    assert any(row[:3] == ["client closed", "the client closed first", "1"] for row in rows)


def test_open_sessions_count_also_if_they_began_earlier(gate, since):
    with Session("a") as first, Session("b") as second:
        assert first.echoes() and second.echoes()
        assert report(gate, since)[0]["Open at the end"] == 2
        later = report(gate, "--since=" + now())[0]
        assert (later["Sessions begun"], later["Most at the same time"], later["Open at the end"]) == (0, 2, 2)
    wait_for(lambda: not gate.instances())


def test_what_administrators_cut_is_there_with_who_and_why(gate, since):
    with Session("cut") as session:
        assert session.echoes()
        gate.run("novnc-gatectl", "disconnect", "cut", "--reason=<b>has</b> left & \"gone\"")
        client = "%s:%d" % session.sock.getsockname()[:2]
    facts, rows = report(gate, since)
    assert facts["Disconnected"] == 1
    assert [row[1:] for row in rows if row[1:2] == ["cut"]] == \
        [["cut", "-", client, "root", "<b>has</b> left & \"gone\""]]
    assert any(row[:2] == ["stopped", "stopped by SIGTERM"] for row in rows)


def test_a_session_whose_process_was_killed_has_ended(gate, since):
    with Session("killed") as session, Session("stays") as other, \
            socket.create_connection(("::1", 3000), timeout=PATIENCE) as page:
        assert session.echoes() and other.echoes()
        page.sendall(b"GET / HTTP/1.1\r\nHost: localhost:3000\r\n\r\n")
        assert page.recv(100).startswith(b"HTTP/1.1 200")
        earlier = now()
        for sock in session.sock, page:
            gate.run("systemctl", "kill", "--signal=KILL", gate.instance_of(sock))
        assert session.ended()
        wait_for(lambda: len(gate.instances()) == 1)
        facts, rows = report(gate, since)
        assert (facts["Sessions begun"], facts["Open at the end"], facts["Bytes up"]) == (2, 1, "0B")
        assert [row[1:3] for row in rows if row[:1] == ["killed"]] == [["the process was killed by a signal", "1"]]
        assert report(gate, since, "--until=" + earlier)[0]["Open at the end"] == 2
    wait_for(lambda: not gate.instances())


def test_a_session_that_is_not_open_any_more_has_ended_also_without_any_entry(gate, since):
    """For systemd, SIGHUP is no failure."""
    with Session("hup") as session, Session("stays") as other:
        assert session.echoes() and other.echoes()
        gate.run("systemctl", "kill", "--signal=HUP", gate.instance_of(session.sock))
        assert session.ended()
        wait_for(lambda: len(gate.instances()) == 1)
        facts, rows = report(gate, since)
        assert (facts["Sessions begun"], facts["Open at the end"]) == (2, 1)
        assert [row[2] for row in rows if row[:1] == ["unknown"]] == ["1"]
    wait_for(lambda: not gate.instances())


def test_open_sessions_are_known_when_systemd_re_executes_itself(gate, since):
    """Else a session without a closing entry counts as open."""
    with Session("hup") as session:
        assert session.echoes()
        gate.run("systemctl", "kill", "--signal=HUP", gate.instance_of(session.sock))
        assert session.ended()
    wait_for(lambda: not gate.instances())
    gate.sync()
    said = gate.repeat_while_reexecuting(f"/usr/local/bin/novnc-gatectl report --output=- {since} | "
                                         "grep -o '<dt>Open at the end</dt><dd>[0-9]*'")
    assert set(said.splitlines()) == {"<dt>Open at the end</dt><dd>0"}


def test_a_process_that_is_killed_after_its_closing_entry_has_closed(gate, since):
    """As one does that waits before it exits: here systemd kills it."""
    with gate.drop_in("novnc-gate-http-@.service", "[Service]\n"
                      "ExecStopPost=/bin/sh -c 'kill -KILL $$$$'\n"):
        closed_session(gate, "closed")
    gate.sync()
    assert gate.journal(f"MESSAGE_ID={FAILED}", "UNIT_RESULT=signal")
    facts, rows = report(gate, since)
    assert [row[:1] for row in rows if row[:1] in (["killed"], ["client closed"])] == [["client closed"]]


def test_failures_have_their_sentence(gate, since):
    with gate.configured("[MasterController]\nUrl=http://127.0.0.1:9\n"):
        for _ in range(2):
            with Session() as failed:
                assert failed.status == 502
    with Session(path="/evil/socket") as refused:
        assert refused.status == 403
    wait_for(lambda: not gate.instances())
    facts, rows = report(gate, since)
    assert (facts["Sessions begun"], facts["Not opened"]) == (0, 2)
    [failure] = [row for row in rows if row[:1] == ["connect"]]
    assert failure[1:3] == ["cannot connect to 127.0.0.1:9: Connection refused", "2"]
    assert [row[2] for row in rows if row[:1] == ["path"]] == ["1"]


def test_names_of_peers_are_text(gate, since):
    closed_session(gate, "&lt;script&gt;<script>&quot;'")
    gate.run("setpriv", "--reuid=novnc-gate", "--regid=novnc-gate", "--clear-groups", "sh", "-ec",
             f"printf 'MESSAGE_ID={CLOSED}\\nMESSAGE=x\\nNOVNC_GATE_STATUS=101\\nNOVNC_GATE_USER=%s\\n"
             "NOVNC_GATE_REASON=%s\\n' \"$1\" \"$1\" | logger --journald", "sh", "<script>alert(1)</script>")
    facts, rows = report(gate, since)
    assert facts["Users"] == 2
    assert [row[0] for row in rows if row and "<script>" in row[0]] == ["<script>alert(1)</script>"]


def test_nobody_else_can_write_entries_that_count(gate, since):
    for lines in f"{CLOSED}\\nNOVNC_GATE_STATUS=101", f"{DISCONNECT}\\nNOVNC_GATE_BY=root\\nNOVNC_GATE_MANAGER=system\\nNOVNC_GATE_SESSION=forged":
        gate.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-ec",
                 f"printf 'MESSAGE_ID={lines}\\nMESSAGE=x\\n' | logger --journald")
    assert gate.journal("_UID=65534", f"MESSAGE_ID={CLOSED}")
    facts, rows = report(gate, since)
    assert facts["Sessions begun"] == 0
    assert [row[4] for row in rows if row[1:2] == ["forged"]] == ["nobody"]


def test_only_systemd_itself_can_say_that_a_process_was_killed(gate, since):
    with Session("alive") as session:
        assert session.echoes()
        invocation = gate.property(gate.instance_of(session.sock), "InvocationID")
        gate.run("sh", "-ec", f"printf 'MESSAGE_ID={FAILED}\\nMESSAGE=x\\nUNIT_RESULT=signal\\n"
                 f"INVOCATION_ID={invocation}\\n' | logger --journald")
        assert gate.journal(f"MESSAGE_ID={FAILED}", f"INVOCATION_ID={invocation}")
        assert report(gate, since)[0]["Open at the end"] == 1
    wait_for(lambda: not gate.instances())


def test_since_and_until_take_what_journalctl_takes(gate, since):
    closed_session(gate, "first")
    between = now()
    closed_session(gate, "second")
    begun = lambda *arguments: report(gate, *arguments)[0]["Sessions begun"]
    assert begun(since) == 2
    assert begun("--since=" + between) == begun(since, "--until=" + between) == 1
    for form in "today", "yesterday", "-1h", "1 hour ago", "2 weeks 3 days ago", "2026-01-02", "2026-01-02 03:04:05.678", \
            "00:00", "@0":
        assert gate.run("journalctl", "-n0", "--quiet", "--since=" + form) == ""
        assert begun("--since=" + form, "--until=now") >= 2, form
    for form in "", "nonsense", "2026-13-01", "-":
        assert run(gate, "--since=" + form, code=1) == f"--since={form}: not a time, see systemd.time(7)\n"
    # time that has not passed does not count
    days = {gate.run("date", "+%Y-%m-%d").strip()}
    to = re.search(r' to <span class="time">\w+ (\S+) ', run(gate, since, "--until=tomorrow", "--output=-"))[1]
    assert to in days | {gate.run("date", "+%Y-%m-%d").strip()}
    assert run(gate, "--since=now", "--until=-1h", code=1) == "--since= is later than --until=\n"
    assert run(gate, "--since=tomorrow", code=1) == "--since= is in the future\n"


def test_without_entries_the_page_says_so(gate, since):
    assert "The journal has no entries of novnc-gate from this time." in run(gate, since, "--output=-")


def test_a_user_who_may_not_read_the_journal_is_told(gate):
    done = subprocess.run([*gate.enter, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                           "/usr/local/bin/novnc-gatectl", "report", "--output=-"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    assert done.stderr == "The journal shows no entries to this user; see journalctl(1).\n"


# ---- the file

@pytest.fixture
def directory(gate):
    yield gate.run("mktemp", "-d").strip()


def listed(gate, directory):
    return gate.run("ls", "-A", directory).split()


def test_it_is_written_to_report_html_or_to_the_given_file(gate, directory):
    assert re.fullmatch(r"Wrote report.html: \d+ sessions begun, \d+ ended\n", run(gate, directory=directory))
    Checked(gate.read(f"{directory}/report.html"))
    assert gate.run("stat", "-c", "%a", f"{directory}/report.html") == "644\n"
    gate.write(f"{directory}/old", "old")
    gate.run("chmod", "600", f"{directory}/old")
    gate.run("ln", "-s", "old", f"{directory}/link")
    run(gate, f"--output={directory}/link")
    assert gate.run("stat", "-c", "%a %F", f"{directory}/old", f"{directory}/link") == \
        "600 regular file\n777 symbolic link\n"
    Checked(gate.read(f"{directory}/old"))
    assert listed(gate, directory) == ["link", "old", "report.html"]


def test_a_full_disk_leaves_no_half_page(gate, directory):
    gate.run("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", directory)
    try:
        full = "Cannot write report.html: No space left on device\n"
        assert run(gate, code=1, directory=directory) == full
        assert listed(gate, directory) == []
        gate.write(f"{directory}/report.html", "old")
        assert run(gate, code=1, directory=directory) == full
        assert listed(gate, directory) == ["report.html"] and gate.read(f"{directory}/report.html") == "old"
    finally:
        gate.run("umount", directory)


def test_devices_are_written_to_and_not_replaced(gate, directory):
    assert run(gate, "--output=/dev/full", code=1) == "Cannot write /dev/full: No space left on device\n"
    run(gate, "--output=/dev/null")
    assert gate.run("stat", "-c", "%F", "/dev/full", "/dev/null") == "character special file\n" * 2
    assert run(gate, f"--output={directory}", code=1) == f"Cannot write {directory}: Is a directory\n"
    assert run(gate, "--output=/nowhere/x", code=1) == "Cannot write /nowhere/x: No such file or directory\n"


# ---- many

STATE = "/var/lib/novnc-gate/metrics.json"
ENDED = 'novnc_gate_sessions_ended_total{outcome="client_closed"}'
MEMORY = 32 << 20     # of private memory, at most

# Entries as those of the gate; each is a datagram.
SENDER = """
import socket, sys
to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
to.connect("/run/systemd/journal/socket")
for i in range(int(sys.argv[1])):
    path = f"/api/auth/session/{i}/novnc/websock"
    client = f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}:51234"
    common = (f"NOVNC_GATE_CLIENT={client}\\nNOVNC_GATE_REQUEST_ID={i:032x}-1\\nNOVNC_GATE_SESSION={i}\\n"
              f"NOVNC_GATE_USER=user{i % 1000}\\nNOVNC_GATE_PATH={path}\\nNOVNC_GATE_METHOD=GET\\n"
              "NOVNC_GATE_BACKEND=master-controller\\nPRIORITY=5\\nSYSLOG_IDENTIFIER=novnc-gate\\n")
    for id, more in (("72d0afd52f154dfeb3a0b56188c70f13", f"MESSAGE=Handling noVNC connection: {path} (client {client})\\n"),
                     ("f6f9792c04fb43ac86cbf1932436eb7b", f"MESSAGE=Proxying: {path} (client {client})\\n"),
                     ("930ee7b5ab8f48f2b1fb9892c90e56b8",
                      f"MESSAGE=noVNC session closed: {path} (closed by the client (1001); {i} bytes up, {i} bytes down, "
                      f"1.000s; client {client})\\nNOVNC_GATE_STATUS=101\\nNOVNC_GATE_DURATION_MS={i}\\n"
                      "NOVNC_GATE_REASON=closed by the client (1001)\\n"
                      f"NOVNC_GATE_UP_BYTES={i}\\nNOVNC_GATE_DOWN_BYTES={i}\\n")):
        to.send(f"MESSAGE_ID={id}\\n{common}{more}".encode())
"""


@pytest.mark.long
def test_a_hundred_thousand_sessions_take_seconds_and_little_memory(gate, since):
    conf = "/etc/systemd/journald.conf.d/zz-many.conf"
    gate.write(conf, "[Journal]\nStorage=persistent\nRateLimitBurst=0\nSystemMaxUse=1500M\n")
    gate.run("mkdir", "-p", "/var/log/journal")
    gate.run("systemctl", "restart", "systemd-journald")
    try:
        gate.write("/tmp/sender.py", SENDER)
        gate.run("setpriv", "--reuid=novnc-gate", "--regid=novnc-gate", "--clear-groups", "/usr/bin/python3",
                 "/tmp/sender.py", "100000")
        gate.sync()
        before = time.monotonic()
        # without the pages of the journal's files, which the kernel can drop at any time
        out = gate.run("prlimit", f"--data={MEMORY}", "novnc-gatectl", "report", since, "--output=/tmp/many.html")
        print(f"{time.monotonic() - before:.1f} s")
        assert out == "Wrote /tmp/many.html: 100000 sessions begun, 100000 ended\n"
        assert time.monotonic() - before < 10
        # a call that is ended continues where it has saved last; no entry counts twice
        gate.run("rm", "-f", STATE)
        first = subprocess.Popen([*gate.enter, "/usr/local/bin/novnc-gatectl", "metrics"], stdout=subprocess.DEVNULL)
        wait_for(lambda: gate.run("find", "/var/lib/novnc-gate", "-name", "metrics.json", check=False) == f"{STATE}\n")
        gate.run("pkill", "-KILL", "-x", "novnc-gatectl")
        first.wait(PATIENCE)
        begun = json.loads(gate.read(STATE))["counters"][ENDED]
        before = time.monotonic()
        assert f"\n{ENDED} 100000\n" in gate.run("novnc-gatectl", "metrics")
        print(f"metrics: {time.monotonic() - before:.1f} s for {100000 - begun} sessions")
        assert 0 < begun < 100000
    finally:
        gate.run("rm", "-f", STATE)
        gate.run("rm", "-rf", conf, "/var/log/journal", "/tmp/many.html")
        gate.run("systemctl", "restart", "systemd-journald")
