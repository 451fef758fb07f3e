"""The Debian package: installed, upgraded with sessions open, removed and purged."""

import re
import socket
from pathlib import Path

import pytest

from machine import BELOW, TREE, VERSION, Session, get, wait_for
from test_install import listing

CONF = "/etc/novnc-gate.conf"
DPKG = "/var/lib/dpkg", "/var/cache", "/var/lib/apt"
NEXT = f"{VERSION}+next"


def release():
    found = re.search(r'^VERSION_ID="(.*)"', (Path(BELOW) / "etc/os-release").read_text(), re.M)
    return f"+deb{found[1]}"


@pytest.fixture(scope="module")
def package(bare):
    """The package of the machine's release, as a path there."""
    name = f"novnc-gate_{VERSION}{release()}_amd64.deb"
    found = [*(TREE / "build/deb").rglob(name)]
    assert found, f"{name} is missing: make deb"
    return f"/src/{found[0].relative_to(TREE)}"


@pytest.fixture(scope="module")
def newer(bare, package):
    """The same as a newer version."""
    bare.run("sh", "-ec", f"dpkg-deb -R {package} /tmp/newer; sed -i 's/^Version: .*/Version: {NEXT}/' "
             "/tmp/newer/DEBIAN/control; dpkg-deb -z1 --root-owner-group -b /tmp/newer /tmp/newer.deb")
    yield "/tmp/newer.deb"
    bare.run("rm", "-r", "/tmp/newer", "/tmp/newer.deb")


def dpkg(machine, *argv, check=True):
    return machine.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-unsafe-io", *argv, check=check)


def changed(machine):
    """The files that the machine has changed, without dpkg's own."""
    return {line for line in listing(machine) if not line.startswith(DPKG)}


@pytest.fixture
def installed(bare, backends, package):
    bare.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 0\n")   # this machine's may forbid all starts
    bare.run("chmod", "755", "/usr/sbin/policy-rc.d")
    bare.run("rm", "-rf", "/var/lib/man-db/auto-update", "/var/lib/novnc-gate")
    before = changed(bare)
    with bare.programs_in("/usr"):
        dpkg(bare, "-i", package)
        bare.listens()
        yield bare
        dpkg(bare, "--purge", "novnc-gate")
        bare.run("rm", "-f", CONF)
    assert changed(bare) == before


def test_it_works_as_it_is_shipped(installed):
    assert installed.run("systemctl", "is-enabled", "novnc-gate").strip() == "enabled"
    for unit in "novnc-gate-tls.service", "novnc-gate-proxy.service", "novnc-gate-metrics.socket":
        assert installed.run("systemctl", "is-enabled", unit, check=False).strip() == "disabled"
        assert installed.property(unit, "ActiveState") == "inactive"
    assert get() == (200, b"Next.js")
    with Session("mine") as session:
        assert session.echoes()
        assert "mine" in installed.run("novnc-gatectl")
    assert installed.run("novnc-gatectl", "check").startswith("novnc-gate is ready")
    assert "has been allowed" in installed.run("journalctl", "--list-catalog", "72d0afd52f154dfeb3a0b56188c70f13")


def test_dpkg_knows_all_files_and_none_is_in_usr_local(installed):
    files = installed.run("dpkg", "-L", "novnc-gate").splitlines()
    assert {"/usr/sbin/novnc-gate", "/usr/bin/novnc-gatectl", "/usr/lib/novnc-gate/novnc-gate-tls.so",
            "/usr/share/bash-completion/completions/novnc-gatectl", "/usr/share/man/man8/novnc-gate.8.gz",
            "/usr/lib/systemd/catalog/novnc-gate.catalog",
            "/usr/share/doc/novnc-gate/examples/strict.conf", "/usr/share/doc/novnc-gate/README.md.gz"} <= set(files)
    assert [file for file in files if "local" in file] == []
    assert installed.run("dpkg-query", "-W", "-f", "${Conffiles}", "novnc-gate").split()[0] == CONF
    assert installed.run("grep", "-lIs", "/usr/local/", *files, check=False) == ""
    assert installed.run("dpkg", "--verify", "novnc-gate") == ""


def test_the_units_are_those_of_make_install(installed):
    names = lambda directory: set(installed.run("sh", "-c", f"cd {directory}; ls -d novnc-gate*").split())
    of_package = names("/usr/lib/systemd/system")
    installed.make("install", "DESTDIR=/tmp/image")
    try:
        assert of_package == names("/tmp/image/usr/local/lib/systemd/system")
    finally:
        installed.run("rm", "-r", "/tmp/image")


@pytest.mark.parametrize("way", ["upgrade", "downgrade"])
def test_another_version_ends_no_session_and_restarts_the_sockets(installed, package, newer, way):
    first, second = (package, newer) if way == "upgrade" else (newer, package)
    dpkg(installed, "-i", first)
    installed.listens()
    started = lambda: installed.property("novnc-gate-http-00.socket", "ActiveEnterTimestampMonotonic")
    before = started()
    with Session("old") as session:
        assert session.echoes()
        said = dpkg(installed, "-i", second)
        assert "open connections that continue with the earlier program: 1\n" in said and "enable" not in said
        installed.listens()
        assert int(started()) > int(before)
        assert "run an earlier version: 1\n" in installed.run("novnc-gatectl", "status", check=False)
        assert session.echoes()
        with Session("new") as other:
            assert other.echoes() and session.echoes()
    assert get() == (200, b"Next.js")


def test_an_upgrade_neither_enables_nor_starts_what_is_off(installed, newer):
    installed.run("systemctl", "disable", "--now", "novnc-gate")
    installed.run("systemctl", "enable", "--now", "novnc-gate-metrics.socket")
    assert "\nnovnc-gate.service is not enabled. " in dpkg(installed, "-i", newer)
    assert installed.run("systemctl", "is-enabled", "novnc-gate", check=False).strip() == "disabled"
    assert installed.property("novnc-gate", "ActiveState") == "inactive"
    assert installed.property("novnc-gate-metrics.socket", "ActiveState") == "active"
    installed.run("systemctl", "disable", "--now", "novnc-gate-metrics.socket")


def test_an_upgrade_starts_what_is_enabled_and_has_failed(installed, newer):
    installed.run("systemctl", "enable", "--now", "novnc-gate-proxy", check=False)
    assert installed.property("novnc-gate-proxy", "ActiveState") == "failed"    # there is no TrustedProxies=
    installed.write("/etc/novnc-gate.conf.d/mended.conf", "[Client]\nTrustedProxies=127.0.0.1\n")
    try:
        dpkg(installed, "-i", newer)
        assert installed.property("novnc-gate-proxy", "ActiveState") == "active"
    finally:
        installed.run("systemctl", "disable", "--now", "novnc-gate-proxy")
        installed.run("rm", "-r", "/etc/novnc-gate.conf.d")


def test_an_edited_configuration_stays_until_the_purge(installed, newer):
    edited = installed.read(CONF) + "# mine\n"
    installed.write(CONF, edited)
    dpkg(installed, "-i", newer)
    dpkg(installed, "--remove", "novnc-gate")
    assert installed.read(CONF) == edited
    dpkg(installed, "-i", newer)
    assert installed.read(CONF) == edited
    dpkg(installed, "--purge", "novnc-gate")
    assert "No such file" in installed.run("ls", CONF, check=False)


def test_removal_ends_sessions_with_a_close_and_leaves_no_unit(installed):
    with Session("open") as session:
        assert session.echoes()
        dpkg(installed, "--remove", "novnc-gate")
        assert session.ended()
    with pytest.raises(ConnectionRefusedError):
        get()
    wait_for(lambda: installed.run("systemctl", "list-units", "--no-legend", "novnc-gate*") == "")


def test_purge_leaves_no_unit_failed_but_those_of_the_administrator(installed):
    failed = lambda: {line.split()[0] for line in installed.run(
        "systemctl", "list-units", "--failed", "--plain", "--no-legend", "novnc-gate*").splitlines()}
    of_package = {"novnc-gate.service", "novnc-gate-http-07.socket", "novnc-gate-tls.service",
                  "novnc-gate-proxy.service", "novnc-gate-metrics.socket"}
    mine = "novnc-gate-nextjs.service"
    installed.write(f"/etc/systemd/system/{mine}", "[Service]\nType=oneshot\nExecStart=false\n")
    try:
        with installed.drop_in("novnc-gate-http-07.socket", "[Socket]\nListenStream=192.0.2.1:3000\n"):
            installed.run("systemctl", "restart", "novnc-gate-http-07.socket", check=False)
        installed.run("systemctl", "stop", "novnc-gate")
        with socket.create_server(("127.0.0.1", 3000)), socket.create_server(("127.0.0.1", 9464)):
            installed.run("systemctl", "start", "novnc-gate", "novnc-gate-tls", "novnc-gate-proxy",
                          "novnc-gate-metrics.socket", mine, check=False)
        assert failed() == of_package | {mine}
        dpkg(installed, "--purge", "novnc-gate")
        assert failed() == {mine}
    finally:
        installed.run("rm", f"/etc/systemd/system/{mine}")
        installed.run("systemctl", "daemon-reload")
        installed.run("systemctl", "reset-failed", mine)


def test_a_taken_port_does_not_break_the_installation(installed, package):
    dpkg(installed, "--purge", "novnc-gate")
    with socket.create_server(("127.0.0.1", 3000)):
        said = dpkg(installed, "-i", package)
        assert "novnc-gate.service does not listen; for the reason: systemctl status novnc-gate.service\n" in said
        assert installed.property("novnc-gate", "ActiveState") == "failed"
        assert "already listens there" in installed.run("systemctl", "status", "novnc-gate", check=False)
    installed.run("systemctl", "restart", "novnc-gate")
    installed.listens()


def test_make_install_says_that_there_is_a_package(installed):
    try:
        said = installed.make("install")
        assert f"The Debian package novnc-gate {VERSION}{release()} is installed, too." in said
    finally:
        said = installed.make("uninstall")
    assert f"{CONF} belongs to a Debian package and stays." in said
    assert "To start the gate of the Debian package again: systemctl enable --now novnc-gate" in said
    installed.run("systemctl", "enable", "--now", "novnc-gate")
    installed.listens()
    assert get() == (200, b"Next.js")


def test_the_package_says_that_there_is_an_installation_in_usr_local(installed, newer):
    unit = "/usr/local/lib/systemd/system/novnc-gate.service"
    installed.write(unit, "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n")
    try:
        assert "`make install`, are used instead of those of this package" in dpkg(installed, "-i", newer)
        assert "has put into /usr/local stops as well" in dpkg(installed, "--remove", "novnc-gate")
    finally:
        installed.run("rm", unit)
        installed.run("rmdir", "-p", "--ignore-fail-on-non-empty", "/usr/local/lib/systemd/system")
        installed.run("systemctl", "daemon-reload")


@pytest.mark.skipif(BELOW != "/", reason="the demo is made for this machine")
def test_the_demo_is_served_by_the_package(installed):
    said = installed.run("/src/units/debian/tests/demo")
    assert "/dashboard/remote-cli and its terminal were served." in said
