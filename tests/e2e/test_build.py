"""The program as distributions build it, with the flags of their packages."""

import pathlib
import shutil
import subprocess

import pytest

from gate import SANITIZED, request, response, upgrade

TREE = pathlib.Path(__file__).parents[2]
FLAGS = ["CFLAGS=-g -O2 -flto=auto -ffat-lto-objects -fstack-clash-protection -fcf-protection",
         "CPPFLAGS=-Wdate-time", "LDFLAGS=-flto=auto -Wl,-z,relro -Wl,-z,now"]

pytestmark = pytest.mark.skipif(SANITIZED, reason="these flags are not for sanitizers")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    tree = tmp_path_factory.mktemp("tree")
    for part in ("Makefile", "src", "units/install.mk", "units/debian/changelog", "tests/need"):
        copy = shutil.copytree if (TREE / part).is_dir() else shutil.copy
        (tree / part).parent.mkdir(parents=True, exist_ok=True)
        copy(TREE / part, tree / part)
    subprocess.run(["make", "-s", "-C", tree, *FLAGS], check=True, timeout=900)
    return tree / "build/novnc-gate"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_link_time_optimization(world, packaged, name):
    """A page, and a tunnel that has been at rest: both programs."""
    world.configure(nextjs=f"http://{name}:{world.nextjs.port}",
                    controller=f"http://{name}:{world.controller.port}")
    c = world.direct(request(), binary=packaged)
    b = world.nextjs.asked()
    b.send(response(b"x"))
    assert c.response().status == 200
    c = world.direct(upgrade(), binary=packaged)
    b = world.tunnel_of(c)
    for sender, receiver in ((c, b), (b, c)) * 2:
        sender.send(b"message")
        assert receiver.exactly(7) == b"message"
        c.quiet()
    c.close()
    b.close()
    assert c.exited() == 0
