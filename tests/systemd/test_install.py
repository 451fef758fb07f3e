"""The files that `make install` installs, and that `make uninstall` removes exactly those."""

import contextlib
import itertools
import json
import re
import socket
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from machine import TREE, Session, get, wait_for

ACCEPTED = "72d0afd52f154dfeb3a0b56188c70f13"  # a MESSAGE_ID of the catalog
DISCONNECTED = "5a5fc13451c94dc991b50c878634f521"    # novnc-gatectl's
UMBRELLAS = "novnc-gate.service", "novnc-gate-tls.service", "novnc-gate-proxy.service"
CONF = "/etc/novnc-gate.conf"
COPY = "/usr/local/share/novnc-gate/novnc-gate.conf"
URLS = "NEXTJS=http://127.0.0.1:3001", "CONTROLLER=http://127.0.0.1:4000"
# Logs, databases made from installed files, and the files that have the system user, who stays.
PRUNE = "/var/tmp", "/var/log", "/var/lib/systemd"
USERS = {f"/etc/{n}{s}" for n in ("passwd", "group", "shadow", "gshadow") for s in ("", "-")} | {
    "/etc/.pwd.lock", "/etc"}


def describe(path):
    """The attributes that change with the file; None if there is no file."""
    try:
        st = path.lstat()
    except FileNotFoundError:
        return None
    kind = stat.S_IFMT(st.st_mode)
    return (oct(st.st_mode), st.st_uid, st.st_gid, path.readlink() if kind == stat.S_IFLNK else None,
            st.st_size if kind == stat.S_IFREG else None)


def listing(machine):
    """The files that the machine has changed in directories for installed ones, a line each.

    Only its own layer is looked through: the one below is this machine's root, where others write.
    """
    found = set()
    for top in "etc", "usr", "var", "opt", "home":
        for layer in (machine.upper / top).rglob("*"):
            path = "/" / layer.relative_to(machine.upper)
            now = describe(machine.root / path.relative_to("/"))
            if now != describe(path) and str(path) not in USERS and \
                    not any(path.is_relative_to(p) for p in PRUNE):
                found.add(f"{path}\t{now}")
    return found


@pytest.fixture
def installed(bare):
    before = listing(bare)
    bare.make("install", *URLS)
    yield bare
    bare.make("uninstall")
    bare.run("rm", "-f", CONF)
    assert listing(bare) == before


def test_everything_is_where_systemd_and_the_fhs_want_it(bare):
    before = listing(bare)
    bare.make("install", *URLS)
    added = {line.split("\t")[0] for line in listing(bare) - before}
    assert added >= {
        "/etc/novnc-gate.conf",
        "/usr/local/sbin/novnc-gate",
        "/usr/local/bin/novnc-gatectl",
        "/usr/local/share/bash-completion/completions/novnc-gatectl",
        "/usr/local/share/zsh/site-functions/_novnc-gatectl",
        "/usr/local/share/man/man1/novnc-gatectl.1",
        "/usr/local/lib/systemd/system/novnc-gate.service",
        "/usr/local/lib/systemd/system/novnc-gate-http-00.socket",
        "/usr/local/lib/systemd/system/novnc-gate-http-31@.service",
        "/usr/local/lib/systemd/system/novnc-gate.slice",
        "/usr/local/lib/systemd/system/novnc-gate-tls.service",
        "/usr/local/lib/systemd/system/novnc-gate-tls-00.socket",
        "/usr/local/lib/systemd/system/novnc-gate-tls-31@.service",
        "/usr/local/lib/systemd/system/novnc-gate-proxy.service",
        "/usr/local/lib/systemd/system/novnc-gate-proxy-00.socket",
        "/usr/local/lib/systemd/system/novnc-gate-proxy-31@.service",
        "/usr/local/lib/systemd/system/novnc-gate-tls-ticket.service",
        "/usr/local/lib/systemd/system/novnc-gate-tls-ticket.timer",
        "/usr/local/lib/novnc-gate/novnc-gate-dynamic",
        "/usr/local/lib/novnc-gate/novnc-gate-tls.so",
        "/usr/local/lib/systemd/system-preset/90-novnc-gate.preset",
        "/usr/local/lib/sysusers.d/novnc-gate.conf",
        "/usr/local/lib/systemd/catalog/novnc-gate.catalog",
        "/usr/local/lib/systemd/catalog/novnc-gatectl.catalog",
        "/usr/local/share/doc/novnc-gate/strict.conf",
        "/usr/local/share/doc/novnc-gate/haproxy.cfg",
        "/usr/local/share/man/man8/novnc-gate.8",
        "/usr/local/share/man/man5/novnc-gate.conf.5",
    }
    assert "novnc-gate:" in bare.read("/etc/passwd")

    bare.run("systemctl", "enable", "--now", "novnc-gate")
    bare.make("uninstall")
    assert listing(bare) == before
    # systemd forgets a unit without a file as soon as nothing refers to it
    wait_for(lambda: "novnc-gate" not in bare.run("systemctl", "list-units", "--all"))


def test_destdir_holds_all_of_it_and_nothing_else_changes(bare):
    before = listing(bare)
    bare.make("install", "DESTDIR=/tmp/image", "PREFIX=/usr")
    assert listing(bare) == before
    unit = bare.read("/tmp/image/usr/lib/systemd/system/novnc-gate-http-00@.service")
    assert "ExecStart=/usr/sbin/novnc-gate --spread=" in unit
    strict = bare.read("/tmp/image/usr/share/doc/novnc-gate/strict.conf")
    assert "ExecPaths=/usr/sbin/novnc-gate -/usr/lib/novnc-gate " in strict
    bare.make("uninstall", "DESTDIR=/tmp/image", "PREFIX=/usr")
    assert bare.run("find", "/tmp/image", "-type", "f") == ""
    bare.run("rm", "-r", "/tmp/image")


def test_another_sysconfdir_is_that_of_all_that_is_installed(bare):
    """Even if the program has been built for another one before."""
    image = "DESTDIR=/tmp/image", "SYSCONFDIR=/opt/etc"
    bare.make("all")
    bare.make("install", *image)
    try:
        out = bare.run("/tmp/image/usr/local/sbin/novnc-gate", "--check=config", check=False)
        assert "/opt/etc/novnc-gate.conf: " in out
        units = "/tmp/image/usr/local/lib/systemd/system"
        assert "tls.crt:/opt/etc/novnc-gate/tls.crt\n" in bare.read(f"{units}/novnc-gate-tls-00@.service")
        assert "/etc/novnc-gate" not in bare.run("grep", "-rhI", "/etc/novnc-gate", "/tmp/image"
                                                 ).replace("/opt/etc/novnc-gate", "")
    finally:
        bare.make("uninstall", *image)
    assert bare.run("find", "/tmp/image", "-type", "f") == ""
    bare.run("rm", "-r", "/tmp/image")


def test_the_configuration_has_both_urls_and_passes_the_check(installed):
    installed.make("uninstall")
    installed.make("install", "NEXTJS=http://localhost:8001", "CONTROLLER=http://[::1]:4000")
    conf = installed.read(CONF)
    assert "\nUrl=http://localhost:8001\n" in conf and "\nUrl=http://[::1]:4000\n" in conf
    installed.run("novnc-gate", "--check=config")


@pytest.mark.parametrize("url", ["", "localhost:3001", "http://h:1/x y", "http://h:1&", "http://h'",
                                 "http://h:1|e touch /tmp/x", "http://h:1\\n[Log]", "ftp://h",
                                 "http://HOST:4000"])
def test_a_malformed_url_installs_nothing(bare, url):
    before = listing(bare)
    out = bare.make("install", f"CONTROLLER={url}", check=False)
    assert f"CONTROLLER={url.split()[0] if url else ''}" in out and "/tmp/tmp" not in out
    assert listing(bare) == before
    assert bare.run("ls", "/tmp/x", check=False).endswith("No such file or directory\n")


@pytest.mark.parametrize("url", ["http://HOST:4000", "https://HOST", "http://HOST/"])
def test_the_word_host_is_to_be_replaced(bare, url):
    out = bare.make("install", f"CONTROLLER={url}", check=False)
    assert f"CONTROLLER={url}: replace HOST with a name or an address\n" in out


def test_an_installed_host_placeholder_is_refused_until_a_url_is_given(installed):
    conf = installed.read(CONF)
    for file in CONF, COPY:
        installed.write(file, conf.replace("//127.0.0.1:4000", "//HOST:4000"))
    out = installed.make("install", check=False)
    assert f"{CONF}, [MasterController] Url=http://HOST:4000: replace HOST with a name or an address" in out
    installed.make("install", "CONTROLLER=http://127.0.0.1:4000")
    assert installed.read(CONF) == conf


def test_a_host_called_host_is_accepted(installed):
    installed.make("install", "CONTROLLER=http://host:4000", "NEXTJS=http://HOST1:3001")
    assert "\nUrl=http://host:4000\n" in installed.read(CONF)


def test_white_space_in_a_path_is_refused(bare):
    before = listing(bare)
    for target in "install", "uninstall":
        assert "DESTDIR= must not" in bare.make(target, "DESTDIR=/tmp/an image", check=False)
    assert listing(bare) == before
    assert bare.run("find", "/tmp", "-name", "an*") == ""


def test_given_urls_go_into_a_configuration_that_nobody_edited(installed):
    installed.make("install", "CONTROLLER=http://10.0.0.9:4000")
    conf = installed.read(CONF)
    assert "\nUrl=http://127.0.0.1:3001\n" in conf and "\nUrl=http://10.0.0.9:4000\n" in conf
    assert installed.read(COPY) == conf
    assert "No such file" in installed.run("ls", f"{CONF}.new", check=False)


def test_a_configuration_that_nobody_edited_is_renewed_with_its_urls(installed):
    installed.make("install", "CONTROLLER=http://10.0.0.9:4000")
    conf = installed.read(CONF)
    for file in CONF, COPY:
        installed.write(file, conf.replace("[Log]\n", "# of an older version\n[Log]\n"))
    installed.make("install")
    assert installed.read(CONF) == conf


def test_an_upgrade_keeps_the_urls(installed):
    installed.make("uninstall")
    installed.make("install", "NEXTJS=http://10.0.0.1:3001", "CONTROLLER=http://[::1]:4000")
    before = listing(installed)
    assert f"{CONF}.new" not in installed.make("install")
    assert listing(installed) == before

    conf = installed.read(CONF)
    installed.write(CONF, conf.replace("Url=http://10", "  Url =  http://10"))
    installed.make("install")
    assert installed.read(f"{CONF}.new") == conf
    installed.make("install", "NEXTJS=http://10.0.0.2:3001")
    assert installed.read(f"{CONF}.new") == conf.replace("10.0.0.1", "10.0.0.2")


def test_a_malformed_installed_url_is_named_with_its_file(installed):
    installed.write(CONF, installed.read(CONF).replace(":4000", ":port"))
    out = installed.make("install", check=False)
    assert f"{CONF}, [MasterController] Url=http://127.0.0.1:port has an invalid port" in out


def test_an_edited_configuration_is_kept_with_the_new_one_beside_it(installed):
    edited = installed.read(CONF) + "# mine\n"
    installed.write(CONF, edited)
    said = f"{CONF} was edited and stays as it is. The new one is {CONF}.new"
    assert f"{said}.\n" in installed.make("install")
    assert f"{said}, with the given URLs.\n" in installed.make("install", *URLS)
    assert installed.read(CONF) == edited
    assert installed.read(f"{CONF}.new") == edited.removesuffix("# mine\n")

    assert f"{CONF} was edited and stays" in installed.make("uninstall")
    assert installed.read(CONF) == edited
    assert "No such file" in installed.run("ls", f"{CONF}.new", check=False)


def test_installing_twice_changes_nothing(installed):
    before = listing(installed)
    installed.make("install", *URLS)
    assert listing(installed) == before


def test_each_connection_is_served_while_an_upgrade_is_installed(installed, backends):
    """systemd reads the unit of each connection when it comes. If it finds none, the socket fails."""
    installed.start()
    with ThreadPoolExecutor() as pool:
        upgrade = pool.submit(installed.make, "install")
        while not upgrade.done():
            assert get() == (200, b"Next.js")
        upgrade.result()
    installed.listens()


def test_the_number_of_sockets_stays_until_another_is_given(installed):
    sockets = lambda: len(installed.run("sh", "-c", "ls /usr/local/lib/systemd/system/"
                                        "novnc-gate-http-*@.service").splitlines())
    assert sockets() == 32
    for options, count in ((["SOCKETS=3"], 3), ([], 3), (["SOCKETS=32"], 32)):
        installed.make("install", *options)
        assert sockets() == count


def test_after_fewer_sockets_are_installed_only_these_listen_and_no_session_ends(installed, backends):
    """The kernel distributes connections among all sockets that listen: those without units must not."""
    installed.start()
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(Session(str(n))) for n in range(40)]
        assert all(session.echoes() for session in sessions)
        units = [installed.instance_of(session.sock) for session in sessions]
        of_others = [unit for unit in units if not re.match(r"novnc-gate-http-0[012]@", unit)]
        assert of_others
        said = installed.make("install", "SOCKETS=3")
        kept = re.search("Kept for open connections, until the next installation: (.*)", said)[1].split()
        assert set(kept) == {f"{unit.partition('@')[0]}@.service" for unit in of_others}
        for _ in range(100):
            assert get() == (200, b"Next.js")
        listening = installed.run("systemctl", "list-units", "--plain", "--no-legend", "--full", "--all",
                                  "novnc-gate-*.socket")
        assert [line.split()[0] for line in listening.splitlines() if "listening" in line] == [
            f"novnc-gate-http-0{n}.socket" for n in range(3)]
        assert all(session.echoes() for session in sessions)
        listed = json.loads(installed.run("novnc-gatectl", "list", "--json=short"))
        assert {line["session"] for line in listed} == {str(n) for n in range(40)}
        installed.run("systemctl", "stop", "novnc-gate")
        assert installed.run("ss", "-Hltn", "sport = :3000") == ""
        assert all(session.echoes() for session in sessions)
        installed.run("systemctl", "stop", "novnc-gate.slice")
        assert all(session.ended() for session in sessions)
    wait_for(lambda: not installed.instances())
    assert "Kept for open connections" not in installed.make("install")
    assert len(installed.run("sh", "-c", "ls /usr/local/lib/systemd/system/novnc-gate-http-*@.service").split()) == 3
    installed.make("install", "SOCKETS=32")


def test_the_ticket_key_goes_with_the_rest(installed):
    installed.run("systemctl", "start", "novnc-gate-tls-ticket.service")
    installed.run("test", "-e", "/run/novnc-gate-tls/tls.ticket")
    installed.make("uninstall")
    assert "No such file" in installed.run("ls", "/run/novnc-gate-tls", check=False)


def test_no_unit_stays_failed_after_uninstall(installed):
    sockets = ["novnc-gate-metrics.socket", "novnc-gate-http-07.socket"]
    failed = lambda: {line.split()[0] for line in installed.run(
        "systemctl", "list-units", "--failed", "--plain", "--no-legend", "novnc-gate*").splitlines()}
    with installed.drop_in(sockets[1], "[Socket]\nListenStream=192.0.2.1:3000\n"):
        installed.run("systemctl", "start", sockets[1], check=False)
    installed.run("systemctl", "stop", "novnc-gate")
    with socket.create_server(("127.0.0.1", 3000)), socket.create_server(("127.0.0.1", 9464)):
        installed.run("systemctl", "start", *UMBRELLAS, sockets[0], check=False)
    assert failed() >= {*UMBRELLAS, *sockets}
    installed.make("uninstall")
    assert failed() == set()


def test_disabled_units_stay_disabled_at_the_first_boot_of_an_image(bare):
    """Without /etc/machine-id systemd enables all that no preset disables, and nothing more."""
    bare.make("install", "DESTDIR=/tmp/image")
    systemctl = "systemctl", "--root=/tmp/image"
    example = "/usr/local/share/doc/novnc-gate/novnc-gate-nextjs.service"
    try:
        bare.run("install", "-D", "-m", "644", "-t", "/tmp/image/etc/systemd/system",
                 f"/tmp/image{example}")
        for on in (), UMBRELLAS[:1]:
            for unit in on:
                bare.run(*systemctl, "enable", unit)
            bare.run(*systemctl, "preset-all", "--preset-mode=enable-only")
            for unit in *UMBRELLAS, "novnc-gate-nextjs.service":
                state = bare.run(*systemctl, "is-enabled", unit, check=False)
                assert state == ("enabled\n" if unit in on else "disabled\n"), unit
    finally:
        bare.run("rm", "-r", "/tmp/image")


def test_the_example_for_nextjs_says_at_once_that_node_is_too_old(installed):
    """Next.js prints the version that it needs, as a stand-in does here. Before that, Node 18 tries a
    system call that the unit forbids, and continues without it."""
    unit, home = "/etc/systemd/system/novnc-gate-nextjs.service", "/srv/dashboard"
    program = f"{home}/node_modules/next/dist/bin/next"
    try:
        installed.run("mkdir", "-p", program.rpartition("/")[0], f"{home}/.next")
        pkey_alloc = "import ctypes; ctypes.CDLL(None).pkey_alloc(0, 0)"
        installed.write(program, f"/usr/bin/python3 -c '{pkey_alloc}' || exit\n"
                                  "echo 'You are using Node.js 18.20.4.'; exit 1\n")
        installed.run("sed", f"s|/usr/bin/node|/bin/sh|; w {unit}",
                      "/usr/local/share/doc/novnc-gate/novnc-gate-nextjs.service")
        installed.run("systemctl", "daemon-reload")
        assert "failed" in installed.run("systemctl", "start", "novnc-gate-nextjs", check=False)
        said = [entry["MESSAGE"] for entry in installed.journal("--unit=novnc-gate-nextjs")]
        assert "You are using Node.js 18.20.4." in said
    finally:
        installed.run("systemctl", "stop", "novnc-gate-nextjs", check=False)
        installed.run("systemctl", "reset-failed", "novnc-gate-nextjs", check=False)
        installed.run("rm", "-rf", unit, home)
        installed.run("systemctl", "daemon-reload")


def test_no_description_names_a_port_that_may_be_another(installed):
    for unit in *UMBRELLAS, *(f"novnc-gate-{kind}-00.socket" for kind in ("http", "tls", "proxy")):
        assert not re.search(r"\d{3}", installed.property(unit, "Description")), unit


def blocks(after):
    """The indented blocks of README.md after these words."""
    text = (TREE / "README.md").read_text()
    lines = text[text.index(after):].splitlines()
    return [[line[4:] for line in group] for indented, group in
            itertools.groupby(lines, lambda line: line.startswith("    ")) if indented]


def test_the_readmes_drop_in_makes_it_listen_on_loopback_only(installed):
    drop_in, = (block for block in blocks("**Who can reach it.**")[:2] if "[Socket]" in block)
    installed.start()
    with installed.drop_in("novnc-gate-http-.socket", "\n".join(drop_in) + "\n"):
        installed.start(verb="restart")
        listening = installed.run("ss", "-Hltn", "sport = :3000")
        assert {line.split()[3] for line in listening.splitlines()} == {
            "127.0.0.1:3000", "[::1]:3000"}


def test_each_command_in_the_documents_finds_the_program():
    """Only root's PATH has its directory: each command has sudo or the absolute path."""
    commands = [line for block in blocks("# novnc-gate") for line in block if "novnc-gate --" in line]
    commands += [line.strip() for line in (TREE / "units/novnc-gate.catalog").read_text().splitlines()
                 if line.startswith("    novnc-gate ") or line.startswith("    sudo novnc-gate ")]
    assert len(commands) > 4
    for command in commands:
        assert re.match(r"sudo (env \S+ )?novnc-gate |~/.local/bin/novnc-gate ", command), command


OLD_SOCKET = """[Socket]
ListenStream=3000
Accept=yes
[Install]
WantedBy=sockets.target
"""
OLD_SERVICE = """[Service]
ExecStart=/usr/local/sbin/novnc-gate
StandardInput=socket
User=novnc-gate
"""


def test_units_of_version_01_are_replaced_with_their_port_and_their_sessions(installed, backends):
    units, etc = "/usr/local/lib/systemd/system", "/etc/systemd/system"
    installed.write(f"{units}/novnc-gate.socket", OLD_SOCKET)
    installed.write(f"{units}/novnc-gate@.service", OLD_SERVICE)
    installed.run("mkdir", f"{etc}/novnc-gate.socket.d")
    installed.write(f"{etc}/novnc-gate.socket.d/port.conf", "[Socket]\nListenStream=\nListenStream=3100\n")
    installed.run("systemctl", "daemon-reload")
    installed.run("systemctl", "enable", "--now", "novnc-gate.socket")
    with Session("1", port=3100) as session:
        assert "novnc-gate-http-.socket.d" in installed.make("install")
        installed.listens()
        assert session.echoes()
        assert get(port=3100) == (200, b"Next.js")
        assert installed.run("systemctl", "is-enabled", "novnc-gate").strip() == "enabled"
        assert "No such file" in installed.run("ls", f"{units}/novnc-gate.socket", check=False)
        assert "No such file" in installed.run("ls", f"{units}/novnc-gate@.service", check=False)
    installed.run("systemctl", "stop", "novnc-gate")
    installed.run("rm", "-r", f"{etc}/novnc-gate-http-.socket.d")
    installed.run("systemctl", "daemon-reload")


def test_systemd_analyze_has_nothing_to_say(installed):
    units = ("novnc-gate.service", "novnc-gate-http-00.socket", "novnc-gate-http-00@1.service",
             "novnc-gate.slice", "novnc-gate-tls.service", "novnc-gate-tls-00.socket",
             "novnc-gate-tls-00@1.service", "novnc-gate-proxy.service", "novnc-gate-proxy-00.socket",
             "novnc-gate-proxy-00@1.service",
             "novnc-gate-tls-ticket.service", "novnc-gate-tls-ticket.timer")
    example = "/usr/local/share/doc/novnc-gate/novnc-gate-nextjs.service"
    installed.run("install", "-m", "755", "/bin/true", "/tmp/node")
    installed.run("sed", "s|/usr/bin/node|/tmp/node|; w /tmp/novnc-gate-nextjs.service", example)
    out = installed.run("systemd-analyze", "--man=no", "verify", *units, "/tmp/novnc-gate-nextjs.service")
    assert [line for line in out.splitlines() if "novnc" in line] == []


def test_the_poll_limit_is_lifted_where_systemd_has_one(installed):
    version = int(installed.run("systemctl", "--version").split()[1])
    limit = installed.property("novnc-gate-http-00.socket", "PollLimitIntervalUSec")
    assert limit == ("0" if version >= 255 else "")
    assert installed.property("novnc-gate-http-00.socket", "TriggerLimitIntervalUSec") == "0"


def test_user_units_serve_a_user_on_loopback_without_root(bare, backends):
    before = listing(bare)
    bare.run("useradd", "--create-home", "dev")
    try:
        bare.run("systemctl", "start", "systemd-logind")
        bare.run("usermod", "--append", "--groups", "systemd-journal", "dev")
        bare.run("loginctl", "enable-linger", "dev")
        bare.run("systemctl", "start", f"user@{bare.run('id', '-u', 'dev').strip()}.service")
        fresh = listing(bare)
        said = bare.make("install-user", *URLS, user="dev")
        bare.run("systemctl", "--user", "enable", "--now", "novnc-gate", user="dev")
        wait_for(lambda: "listening" in bare.run("systemctl", "--user", "show", "novnc-gate-http-00.socket",
                                                 "-p", "SubState", user="dev"))
        assert get() == (200, b"Next.js")
        assert get(address="::1") == (200, b"Next.js")
        listens = bare.run("systemctl", "--user", "show", "-p", "Listen", "novnc-gate-http-00.socket",
                           user="dev")
        assert sorted(listens.split()) == ["(Stream)", "(Stream)", "Listen=127.0.0.1:3000",
                                           "Listen=[::1]:3000"]
        # without a D-Bus daemon
        control = lambda *words: bare.run("env", "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere",
                                          "/home/dev/.local/bin/novnc-gatectl", "--user", *words, user="dev")
        # the user's program is looked at also if novnc-gatectl is elsewhere
        bare.run("cp", "/home/dev/.local/bin/novnc-gatectl", "/tmp", user="dev")
        elsewhere = lambda *words: bare.run("/tmp/novnc-gatectl", "--user", *words, user="dev")
        assert elsewhere("check").startswith("novnc-gate is ready")
        assert json.loads(elsewhere("status", "--json=short"))["installed"] > 0
        bare.run("rm", "/tmp/novnc-gatectl")
        with Session("mine") as session:
            assert session.echoes()
            assert control().splitlines()[1].startswith("mine ")
            assert "open: 1 session, " in control("status")
            assert control("check").startswith("novnc-gate is ready")
            assert control("disconnect", "mine").startswith("Disconnected session mine")
            assert session.ended()
        instances = lambda: [line.split()[0] for line in bare.run(
            "systemctl", "--user", "list-units", "--plain", "--no-legend", "--full", "novnc-gate-*@*.service",
            user="dev").splitlines()]
        wait_for(lambda: not instances())
        with Session("killed") as session:
            assert session.echoes()
            bare.run("systemctl", "--user", "kill", "--signal=KILL", *instances(), user="dev")
            assert session.ended()
        wait_for(lambda: not instances())
        # dev ends a session of the system as well, if polkit allows it
        bare.run("sh", "-ec", "printf '%s\\n' \"$@\" | logger --journald", "sh", "MESSAGE=x", f"MESSAGE_ID={DISCONNECTED}",
                 "NOVNC_GATE_SESSION=other", "NOVNC_GATE_BY=dev", "NOVNC_GATE_MANAGER=system", user="dev")
        bare.sync()
        mine = control("report", "--output=-")
        system = bare.run("/home/dev/.local/bin/novnc-gatectl", "report", "--output=-")
        assert (">mine<" in mine, ">other<" in mine, ">mine<" in system, ">other<" in system) == (True, False, False, True)
        assert "<td dir=\"auto\">the process was killed by a signal</td><td class=\"number\">1</td>" in mine
        verify = bare.run("systemd-analyze", "--man=no", "--user", "verify", "novnc-gate.service",
                          "novnc-gate-http-00.socket", "novnc-gate-http-00@1.service", "novnc-gate.slice", user="dev")
        assert [line for line in verify.splitlines() if "novnc" in line] == []
        explain = "journalctl", "--list-catalog", ACCEPTED
        assert "has been allowed" not in bare.run(*explain, user="dev", check=False)
        for_root = said.partition("once root has run:\n")[2].splitlines()[:3]
        assert "Permission denied" in bare.run("sh", "-c", for_root[-1], user="dev", check=False)
        bare.run("sh", "-ec", "\n".join(for_root))
        assert "has been allowed" in bare.run(*explain, user="dev")
        bare.run("rm", "-r", "/usr/local/lib/systemd/catalog")
        bare.run("rmdir", "/usr/local/lib/systemd")
        bare.run("journalctl", "--update-catalog")
        bare.make("uninstall-user", user="dev")
        left = {line.split("\t")[0] for line in listing(bare) - fresh}
        assert [p for p in left if "novnc" in p] == []
    finally:
        bare.run("loginctl", "disable-linger", "dev", check=False)
        bare.run("loginctl", "terminate-user", "dev", check=False)
        bare.run("systemctl", "stop", f"user@{bare.run('id', '-u', 'dev').strip()}.service")
        # its last processes may end a moment later
        wait_for(lambda: "used by process" not in bare.run("userdel", "--remove", "dev", check=False))
    assert {l for l in listing(bare) - before if "subuid" not in l and "subgid" not in l} == set()
