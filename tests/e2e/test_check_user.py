"""--check as root becomes the user novnc-gate, so that it finds files which only root may read."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from gate import BINARY, Responder, clean_env


class ServiceUser:
    """A machine's /etc with the user novnc-gate, and a directory that this user may read."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="novnc-gate-check.")
        self.path = pathlib.Path(self.directory.name)
        self.path.chmod(0o755)
        (self.path / "etc").mkdir()
        (self.path / "build").mkdir()
        for name in ("novnc-gate", "novnc-gate-dynamic", "novnc-gate-tls.so"):
            if BINARY.with_name(name).exists():
                shutil.copy(BINARY.with_name(name), self.path / "build")

    def file(self, name, source, mode, owner=0):
        path = self.path / name
        shutil.copy(source, path)
        path.chmod(mode)
        os.chown(path, owner, owner)
        return path

    def configure(self, world, text, name="draft.conf", mode=0o600):
        """Writes a configuration, by default one that only root may read."""
        path = self.path / name
        path.write_text(f"[NextJs]\nUrl={world.nextjs.url}\n"
                        f"[MasterController]\nUrl={world.controller.url}\n{text}\n")
        path.chmod(mode)
        return f"--config={path}"

    def check(self, *options, user=True, env=(), through="", stdout=subprocess.PIPE):
        script = f"""mount -t tmpfs none "$0"/etc
mkdir "$0"/etc/new "$0"/etc/work
mount -t overlay none -o lowerdir=/etc,upperdir="$0"/etc/new,workdir="$0"/etc/work /etc
sed -i /^novnc-gate:/d /etc/passwd
{"echo novnc-gate:x:64999:64999::/:/bin/false >>/etc/passwd" if user else ""}
[ ! -e "$0"/novnc-gate.conf ] || cp -p "$0"/novnc-gate.conf /etc
exec {through} "$0"/build/novnc-gate "$@"
"""
        return subprocess.run(["unshare", "-m", "sh", "-ec", script, self.path, *options],
                              env=clean_env(dict(env).items()), stdout=stdout, text=True,
                              stderr=subprocess.PIPE, check=False, stdin=subprocess.DEVNULL,
                              timeout=20)


@pytest.fixture
def service():
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    user = ServiceUser()
    yield user
    user.directory.cleanup()


AS_USER = "novnc-gate: checked as user novnc-gate, which serves the connections\n"


@pytest.mark.parametrize("mode, owner, good", [(0o600, 0, False), (0o640, 0, False), (0o644, 0, True),
                                               (0o600, 64999, True)])
@pytest.mark.parametrize("what", ["--check", "--check=config"])
def test_root_checks_what_the_services_user_may_read(service, world, authority, backend_tls, what,
                                                     mode, owner, good):
    ca = service.file("ca.pem", authority.file, mode, owner)
    world.controller = world.backend(tls=backend_tls)
    config = service.configure(world, f"CaFile={ca}")
    with Responder(world.nextjs), Responder(world.controller):
        r = service.check(config, what)
    if good:
        assert r.returncode == 0 and r.stderr == "", r
        assert "its certificate is verified" in r.stdout or what == "--check=config"
    else:
        assert r.returncode == 78, r
        assert r.stderr == f"[MasterController] CaFile={ca}: Permission denied\n" + AS_USER


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_root_checks_that_the_user_may_read_the_configuration(service, world, mode):
    """That of the service; a draft elsewhere may be readable by root only."""
    draft = service.configure(world, "", "novnc-gate.conf", mode)
    r = service.check("--check=config")
    denied = "/etc/novnc-gate.conf: cannot be read: Permission denied\n" + AS_USER
    assert (r.returncode, r.stderr) == ((0, "") if mode == 0o644 else (78, denied))
    r = service.check("--check=config", draft)
    assert (r.returncode, r.stderr) == (0, "")


def test_root_checks_credentials_as_root(service, world, certificate):
    """Only systemd reads credentials; a file that is named by its path is read by that user."""
    for name, path in zip(("tls.crt", "tls.key"), certificate):
        service.file(name, path, 0o600)
    env = {"CREDENTIALS_DIRECTORY": service.path}
    r = service.check(service.configure(world, ""), "--tls", "--check=config", env=env)
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    config = service.configure(world, f"[Tls]\nCertificate={service.path}/tls.crt")
    r = service.check(config, "--tls", "--check=config", env=env)
    assert r.returncode == 78
    assert r.stderr == f"[Tls] Certificate={service.path}/tls.crt: Permission denied\n" + AS_USER


def test_a_program_in_roots_home_can_check(service, world, authority, backend_tls):
    """As where `sudo make install` checks what it installs, in root's home."""
    (service.path / "build").chmod(0o700)
    ca = service.file("ca.pem", authority.file, 0o644)
    world.controller = world.backend(tls=backend_tls)
    r = service.check(service.configure(world, f"CaFile={ca}"), "--check=config")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")


def test_root_is_told_where_there_is_no_such_user(service, world, authority, backend_tls):
    ca = service.file("ca.pem", authority.file, 0o600)
    world.controller = world.backend(tls=backend_tls)
    config = service.configure(world, f"CaFile={ca}")
    with Responder(world.nextjs), Responder(world.controller):
        r = service.check(config, "--check", user=False)
    assert r.returncode == 0 and r.stdout.startswith("There is no user novnc-gate."), r
    assert service.check(config, "--check=config", user=False).stdout == ""


def test_a_check_that_is_killed_says_so(service, world):
    r = service.check(service.configure(world, ""), "--check=config",
                      through="strace -f -qq -o /dev/null -e inject=setuid:signal=KILL")
    assert (r.returncode, r.stdout) == (71, "")
    assert r.stderr == "novnc-gate: the check as user novnc-gate was killed\n"


@pytest.mark.parametrize("user", [True, False])
def test_a_check_that_cannot_print_fails(service, world, user):
    config = service.configure(world, "")
    with Responder(world.nextjs), Responder(world.controller), open("/dev/full", "w") as full:
        assert service.check(config, "--check", user=user, stdout=full).returncode == 71


def test_root_who_may_not_become_that_user_has_checked_nothing(service, world):
    through = "setpriv --bounding-set -setuid,-setgid"
    r = service.check(service.configure(world, ""), "--check=config", through=through)
    assert (r.returncode, r.stdout) == (71, "")
    assert r.stderr == "novnc-gate: cannot switch to user novnc-gate: Operation not permitted\n"
