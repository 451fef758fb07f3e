"""What bash offers for novnc-gatectl."""

import re
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
SCRIPT = TREE / "units/completion.bash"
# As readline splits the line: COMP_WORDBREAKS has "=".
COMPLETE = """source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _novnc_gatectl; printf '%s\\n' "${COMPREPLY[@]}" """


def offered(*words):
    out = subprocess.run(["bash", "-c", COMPLETE, "bash", SCRIPT, "novnc-gatectl", *words],
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
    (["list", "l"], []),
])
def test_bash_completes(words, expected):
    assert offered(*words) == expected


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
