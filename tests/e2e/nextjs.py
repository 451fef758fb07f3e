"""Servers that run in Node; tests/demo and tests/next build them."""

import contextlib
import pathlib
import shutil
import signal
import subprocess
import threading

import pytest

from gate import clean_env, free_port

BUILD = pathlib.Path(__file__).parents[2] / "build"
DEMO = BUILD / "demo"


def node():
    """The path of node."""
    found = next(iter(DEMO.glob("node_modules/node-linux-*/bin/node")), None) or shutil.which("node")
    if not found:
        pytest.skip("node is not there")
    return found


@contextlib.contextmanager
def start(arguments, cwd):
    """Starts node and yields its URL once it has printed "Ready"; arguments: a function of its port."""
    for _ in range(5):      # each try has a port of its own
        port = free_port()
        with subprocess.Popen([node(), *arguments(port)], cwd=cwd, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, start_new_session=True,
                              env=clean_env({"NEXT_TELEMETRY_DISABLED": "1"})) as p:
            if any(b"Ready" in line for line in p.stdout):
                threading.Thread(target=p.stdout.read, daemon=True).start()
                try:
                    yield f"http://127.0.0.1:{port}"
                finally:
                    p.send_signal(signal.SIGTERM)
                    p.wait(20)
                return
    raise RuntimeError("the server does not start")


def start_next(app):
    """`next start` of a built app, as README.md says, with the Next.js beside it."""
    if not (app / ".next/BUILD_ID").exists():
        pytest.skip(f"{app} is not built; tests/run e2e and tests/run next do that")
    return start(lambda port: [app.parent / "node_modules/next/dist/bin/next", "start",
                               "-H", "127.0.0.1", "-p", str(port)], app)
