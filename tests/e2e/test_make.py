"""The promises of the Makefile to users and developers, beside the programs that it builds."""

import json
import os
import pathlib
import subprocess

import pytest

from gate import BINARY, request, response

TREE = pathlib.Path(__file__).parents[2]


def make(*argv):
    return subprocess.run(["make", "-C", TREE, *argv], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("goal, installs", [
    ("deps", True), ("demo", True), ("check", True),
    *((goal, False) for goal in ("all", "deb", "install", "install-user", "lint", "debug", "bench", "check-long")),
])
def test_few_targets_install_packages(goal, installs):
    commands = make("--dry-run", "--what-if=tests/bench/unpack", goal)
    assert "tests/need" in commands
    assert ("tests/need --install" in commands) == installs
    assert ("tests/bench/unpack" in commands) == (goal in ("deps", "check"))


def with_commands(directory, **scripts):
    """An environment in which these commands are such scripts of the shell."""
    directory.mkdir(exist_ok=True)
    for name, script in scripts.items():
        file = directory / name.replace("_", "-")
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}


def test_one_line_installs_the_packages_that_are_missing(tmp_path):
    env = with_commands(tmp_path, dpkg_query='[ "$4" != installed ] || echo installed', apt_cache='[ "$2" = known ]')
    need = lambda *packages: subprocess.run([TREE / "tests/need", "to try it", *packages], capture_output=True,
                                            text=True, env=env)
    assert need("installed", "installed|a", "a|installed", "a|/bin/sh").returncode == 0
    run = need("installed", "a", "installed|b", "b|known", "known|c", "c|d", "e|/none/such")
    sudo = "" if os.geteuid() == 0 else "sudo "
    assert run.returncode == 1 and run.stdout == ""
    assert run.stderr.splitlines()[1:] == [
        f"    {sudo}apt-get install --no-install-recommends a known known c e"]


def test_the_package_is_built_with_the_packages_of_the_build():
    control = (TREE / "units/debian/control").read_text().split("Build-Depends:")[1].split("\n\n")[0]
    depends = {"|".join(part.split("(")[0].split()).replace("|||", "|") for part in control.split(",")}
    listed = make("-s", "--no-print-directory", "--eval=list: ; @echo '$(BUILD_PACKAGES)'", "list").split()
    assert set(listed) - {"gcc", "libc6-dev"} == depends - {     # those are in every root for builds
        "debhelper-compat", "dh-sequence-installsysusers"}


def test_an_archive_has_the_same_bytes_again(tmp_path):
    for name in "first", "second":
        subprocess.run([TREE / "units/put-archive", tmp_path / name, "novnc-gate"], check=True)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    names = subprocess.run(["tar", "-tf", tmp_path / "first"], check=True, capture_output=True, text=True).stdout
    assert "novnc-gate/Makefile\n" in names and "novnc-gate/build/" not in names


def test_an_unpacked_archive_is_archived_to_the_same_bytes_whatever_times_and_modes_are(tmp_path):
    subprocess.run([TREE / "units/put-archive", tmp_path / "first", "tree"], check=True)
    subprocess.run(["tar", "-C", tmp_path, "-xf", tmp_path / "first"], check=True)
    for file in (tmp_path / "tree").rglob("*"):
        file.chmod(file.stat().st_mode & ~0o077)
        os.utime(file, (0, 0))
    (tmp_path / "tree/build").mkdir()
    (tmp_path / "tree/build/made").touch()
    subprocess.run([tmp_path / "tree/units/put-archive", tmp_path / "second", "tree"], check=True)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_compile_commands_have_every_source(tmp_path):
    make("compile_commands.json")
    entries = {entry["file"]: entry for entry in json.loads((TREE / "compile_commands.json").read_text())}
    assert {str(file.relative_to(TREE)) for file in (TREE / "src").rglob("*.c")} <= entries.keys()
    main = entries["src/main.c"]
    subprocess.run(f"{main['command']} -o {tmp_path}/main.o", shell=True, cwd=main["directory"], check=True)


def test_installed_files_name_the_directories_of_the_installation(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    texts = {file: text for file in tmp_path.rglob("*") if file.is_file()
             and not (text := file.read_bytes()).startswith(b"\x7fELF")}
    assert tmp_path / "usr/share/man/man8/novnc-gate.8" in texts
    assert [str(file) for file, text in texts.items() if b"/usr/local/" in text] == []
    version = (TREE / "units/debian/changelog").read_text().split("(")[1].split(")")[0]
    assert all(f"\n.Os novnc-gate {version}\n".encode() in text for file, text in texts.items()
               if "man" in file.parts)


def test_uninstall_removes_a_drop_in_for_a_systemd_that_is_gone(tmp_path):
    root = tmp_path / "root"
    for goal, version in (("install", "systemd 255"), ("uninstall", "systemd 252")):
        env = with_commands(tmp_path / "bin", systemctl=f"echo {version}")
        subprocess.run(["make", "-C", TREE, goal, f"DESTDIR={root}"], check=True, capture_output=True, env=env)
        drop_in = root / "usr/local/lib/systemd/system/novnc-gate-.socket.d/poll-limit.conf"
        assert drop_in.exists() == (goal == "install")
    assert [file for file in root.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("units, etc", [("etc", "etc"), ("lib", "etc")])
def test_the_drop_ins_of_older_units_are_moved(tmp_path, units, etc):
    """For the system, and for a user, whose units and drop-ins are in the same directory."""
    old, new = (tmp_path / etc / f"novnc-gate{middle}.socket.d/port.conf" for middle in ("", "-http-"))
    shipped = tmp_path / units / "novnc-gate.socket.d/poll-limit.conf"
    for file in (old, shipped, tmp_path / units / "novnc-gate.socket"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
    subprocess.run([TREE / "units/move-over", "true", tmp_path / units, tmp_path / etc], check=True)
    assert new.read_text() == "port.conf"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [new]


def test_a_new_configuration_that_was_put_in_place_is_no_edited_one(tmp_path):
    put_conf = lambda **urls: subprocess.run(
        [TREE / "units/put-conf", tmp_path / "conf", tmp_path / "copy", *urls], check=True,
        env={**os.environ, "NEXTJS": "http://127.0.0.1:3001", "CONTROLLER": "http://127.0.0.1:4000", **urls})
    put_conf()
    (tmp_path / "conf").write_text((tmp_path / "conf").read_text() + "# mine\n")
    put_conf(NEXTJS="http://127.0.0.1:3002")
    (tmp_path / "conf.new").rename(tmp_path / "conf")
    put_conf()
    put_conf(NEXTJS="http://127.0.0.1:3003")
    assert not (tmp_path / "conf.new").exists()
    assert "Url=http://127.0.0.1:3003\n" in (tmp_path / "conf").read_text()


def port_is_free(tmp_path, own, ss):
    env = with_commands(tmp_path, systemctl=f'case $* in *--property=Listen*) echo "{own}:3000 (Stream)" ;; esac',
                        ss=ss)
    return subprocess.run([TREE / "units/port-is-free", "novnc-gate-http"], capture_output=True, text=True, env=env)


@pytest.mark.parametrize("own, other, free", [    # as systemd and ss write them
    ("127.0.0.1", "127.0.0.1", False), ("127.0.0.1", "127.0.0.2", True), ("127.0.0.1", "0.0.0.0", False),
    ("127.0.0.1", "*", False), ("127.0.0.1", "[::]", True), ("127.0.0.1", "[::1]", True),
    ("[::1]", "[::1]", False), ("[::1]", "0.0.0.0", True), ("[::1]", "*", False), ("[::1]", "[::]", False),
    ("0.0.0.0", "0.0.0.0", False), ("0.0.0.0", "127.0.0.1", False), ("0.0.0.0", "[::1]", True),
    ("0.0.0.0", "[::]", True), ("0.0.0.0", "*", False),
    *(("[::]", other, False) for other in ("127.0.0.1", "0.0.0.0", "*", "[::]", "[::1]")),
])
def test_only_a_program_on_an_address_that_overlaps_is_a_hindrance(tmp_path, own, other, free):
    run = port_is_free(tmp_path, own, f"echo 'LISTEN 0 128 {other}:3000 *:* users:((\"x\",pid=1,fd=3))'")
    assert (run.returncode == 0) == free
    assert free == (run.stderr == "")
    assert free or f'cannot listen on {own}:3000: users:(("x",pid=1,fd=3)) already listens there' in run.stderr


@pytest.mark.parametrize("own", ["[::]", "0.0.0.0", "127.0.0.1"])
def test_a_port_on_which_nobody_listens_is_free(tmp_path, own):
    run = port_is_free(tmp_path, own, "")
    assert (run.returncode, run.stderr) == (0, "")


def test_without_ss_it_says_that_the_port_was_not_checked(tmp_path):
    run = port_is_free(tmp_path, "127.0.0.1", "exit 127")
    assert run.returncode == 0
    assert run.stderr == "Not checked if another program listens on the port: ss (iproute2) cannot be run\n"


def test_a_recorded_request(world, tmp_path):
    recorded = tmp_path / "request"
    recorded.write_bytes(request("GET", "/recorded", "Connection: close"))
    run = subprocess.Popen([TREE / "tests/with-request", recorded, BINARY, f"--config={world.gate.config}"],
                           stdout=subprocess.PIPE)
    backend = world.nextjs.accept()
    assert backend.request().target == "/recorded"
    backend.send(response(b"response"))
    assert run.communicate()[0].endswith(b"\r\n\r\nresponse")
    assert run.returncode == 0
