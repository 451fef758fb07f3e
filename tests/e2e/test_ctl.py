"""novnc-gatectl, as far as it needs no systemd."""

import os
import pty
import subprocess
import tempfile
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[2] / "build"
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def on_terminal(directory, *, user=None, **environment):
    """Standard output of check --verbose on a terminal, which goes through a pager."""
    (directory / "bin").mkdir()
    (directory / "bin/less").write_text('#!/bin/sh\necho "secure mode: ${LESSSECURE-}"\nexec cat\n')
    (directory / "bin/less").chmod(0o755)
    (directory / "gate.conf").write_text("")
    ours, theirs = pty.openpty()
    subprocess.run([BUILD / "novnc-gatectl", "check", "--verbose", f"--config={directory}/gate.conf"], stdout=theirs,
                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user,
                   env={"PATH": f"{directory}/bin:/usr/bin:/bin", "TERM": "dumb"} | environment)
    os.close(theirs)
    text = b""
    try:
        while more := os.read(ours, 65536):
            text += more
    except OSError:     # the terminal is gone, and so is all output
        pass
    os.close(ours)
    assert b"[Routes]" in text
    return text.decode().replace("\r", "").splitlines()[0]


def said(*arguments, code=1):
    done = subprocess.run([BUILD / "novnc-gatectl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == code, done.stdout
    return done.stdout


def test_metrics_are_those_of_the_system():
    assert said("metrics", "--user") == "metrics --user: there are metrics only of the system's gate\n"


def test_a_file_without_cookies_is_an_error(tmp_path):
    file = tmp_path / "cookies"
    assert said("check", "--session=x", f"--cookie=@{file}") == f"--cookie=@{file}: No such file or directory\n"
    file.write_text("")
    assert said("check", "--session=x", f"--cookie=@{file}") == f"--cookie=@{file}: empty\n"
    file.write_text("a=b\tc\n")
    assert said("check", "--session=x", f"--cookie=@{file}") == (
        f"--cookie=@{file}: only printable ASCII is allowed\n")


CHOSEN = "sh -c 'echo chosen $LESSSECURE; cat'"


@pytest.mark.parametrize("environment, first", [
    ({}, "secure mode: 1"),
    ({"SYSTEMD_PAGER": CHOSEN}, "secure mode: 1"),
    ({"PAGER": CHOSEN}, "secure mode: 1"),
    ({"PAGER": CHOSEN, "SYSTEMD_PAGERSECURE": "1"}, "chosen 1"),
    ({"PAGER": CHOSEN, "SYSTEMD_PAGERSECURE": "no", "LESSSECURE": "1"}, "chosen"),
    ({"PAGER": CHOSEN, "SYSTEMD_PAGER": "cat"}, "novnc-gate is not ready"),
    ({"PAGER": "", "SYSTEMD_PAGERSECURE": "1"}, "novnc-gate is not ready"),
])
def test_behind_sudo_only_less_is_a_pager_and_starts_nothing(environment, first, tmp_path):
    assert on_terminal(tmp_path, SUDO_UID="1000", **environment).startswith(first)


@ROOT
def test_so_it_is_for_root(tmp_path):
    assert on_terminal(tmp_path, PAGER=CHOSEN) == "secure mode: 1"


def test_other_users_have_the_pager_that_they_choose():
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        user = "nobody" if os.geteuid() == 0 else None
        assert on_terminal(Path(directory), user=user, PAGER=CHOSEN) == "chosen"
