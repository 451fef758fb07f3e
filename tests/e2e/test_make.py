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
    *((goal, False) for goal in ("all", "install", "install-user", "lint", "debug", "bench", "check-long")),
])
def test_few_targets_install_packages(goal, installs):
    commands = make("--dry-run", "--what-if=tests/bench/unpack", goal)
    assert "tests/need" in commands
    assert ("tests/need --install" in commands) == installs
    assert ("tests/bench/unpack" in commands) == (goal in ("deps", "check"))


def test_one_line_installs_the_packages_that_are_missing(tmp_path):
    for name, script in {"dpkg-query": '[ "$4" != installed ] || echo installed', "apt-cache": '[ "$2" = known ]'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    need = lambda *packages: subprocess.run([TREE / "tests/need", "to try it", *packages], capture_output=True,
                                            text=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert need("installed", "installed|a", "a|installed", "a|/bin/sh").returncode == 0
    run = need("installed", "a", "installed|b", "b|known", "known|c", "c|d", "e|/none/such")
    sudo = "" if os.geteuid() == 0 else "sudo "
    assert run.returncode == 1 and run.stdout == ""
    assert run.stderr.splitlines()[1:] == [
        f"    {sudo}apt-get install --no-install-recommends a known known c e"]


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
