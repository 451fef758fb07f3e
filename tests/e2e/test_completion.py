"""What bash offers for novnc-gatectl."""

import os
import re
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
SCRIPT = TREE / "units/completion.bash"
# As readline splits the line: COMP_WORDBREAKS has "=".
COMPLETE = """source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _novnc_gatectl; printf '%s\\n' "${COMPREPLY[@]}" """


def offered(*words, path=""):
    out = subprocess.run(["bash", "-c", COMPLETE, "bash", SCRIPT, "novnc-gatectl", *words],
                         env=os.environ | {"PATH": f"{path}:{os.environ['PATH']}"},
                         capture_output=True, text=True, check=True)
    assert out.stderr == ""
    return out.stdout.split()


def said(*options):
    return subprocess.run([TREE / "build/novnc-gatectl", *options], capture_output=True, text=True,
                          check=True).stdout


@pytest.mark.parametrize("words, expected", [
    (["l"], ["list"]),
    (["--no-l"], ["--no-legend"]),
    (["--json", "="], ["short", "pretty", "off"]),
    (["--json", "=", "p"], ["pretty"]),
    (["report", "--until", "=", "y"], ["yesterday"]),
    (["report", "--out"], ["--output="]),
    (["--json", "p"], ["pretty"]),
    (["list", "l"], []),
    (["-n", "5", "st"], ["status"]),
    (["-ln", "5", "st"], ["status"]),
    (["--lines", "5", "st"], ["status"]),
    (["--lines", "=", "5", "st"], ["status"]),
    (["--reason", "has left", "disc"], ["disconnect"]),
    (["--watch", "li"], ["list"]),
])
def test_bash_completes(words, expected):
    assert offered(*words) == expected


# Not every id is offered: bash would expand the last one.
LIST = """#!/bin/sh
case "$*" in
"--user list"*) echo 'mine - local' ;;
*list*) printf '%s alice 192.0.2.1:1\\n' 4711 4712 - a* --all -n ;;
esac
"""


@pytest.mark.parametrize("words, expected", [
    (["status", ""], ["4711", "4712"]),
    (["disconnect", "4711", "4712"], ["4712"]),
    (["-n", "5", "status", "4"], ["4711", "4712"]),
    (["--user", "status", ""], ["mine"]),
    (["--user", "--system", "status", ""], ["4711", "4712"]),
    (["--user", "check", "--session", "=", ""], ["mine"]),
    (["check", "--session", "="], ["4711", "4712"]),
    (["check", "--session", "4711"], ["4711"]),
    (["check", ""], []),
])
def test_bash_offers_ids_of_open_sessions(words, expected, tmp_path):
    (tmp_path / "novnc-gatectl").write_text(LIST)
    (tmp_path / "novnc-gatectl").chmod(0o755)
    assert offered(*words, path=tmp_path) == expected


def test_all_commands_and_options_are_offered_and_in_the_manual():
    text, manual = said("--help"), (TREE / "man/novnc-gatectl.1").read_text()
    zsh = (TREE / "units/completion.zsh").read_text()
    commands = [line.split()[0] for line in text.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
    options = [word.partition("=")[0].partition("[")[0] for word in text.split() if word.startswith("--")]
    assert offered("") == commands and len(options) > 5
    for option in options:
        assert option in [offer.rstrip("=") for offer in offered(option)]
        assert option in zsh and re.search(f"(Fl|,) -{option.removeprefix('--')}( |$)", manual, re.M), option
    for command in commands:
        assert f"'{command}:" in zsh and f".It Cm {command}" in manual
