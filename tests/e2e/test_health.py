"""HealthPath=: the gate's own 200, for the health checks of load balancers."""

import pytest

from gate import HOST, NOVNC, Responder, request, upgrade

HEALTHY = "[Routes]\nHealthPath=/healthz /status/*\nControllerPath=/status/** /healthz"


def healthy(world, c, method="GET"):
    r = c.response(method)
    assert r.start == "HTTP/1.1 200 OK" and r.body == (b"" if method == "HEAD" else b"ok")
    assert r["Content-Length"] == "2" and r["Content-Type"] == "text/plain; charset=utf-8"
    assert r["Cache-Control"] == "no-store" and r["Server"] == "novnc-gate"
    assert r["X-Request-Id"].startswith(f"novnc-gate[{c.pid}]-") and "Proxy-Status" not in r
    assert c.end() == "FIN"
    c.close()
    assert c.exited() == 0 and c.log == []
    world.nextjs.untouched()
    world.controller.untouched()


@pytest.mark.parametrize("level", ["notice", "debug"])
@pytest.mark.parametrize("method, target, kw", [
    ("GET", "/healthz", {}), ("HEAD", "/healthz", {}), ("GET", "/healthz?x=y", {}),
    ("GET", "/status/gate", {}), ("GET", "/healthz", {"version": "1.0", "host": None}),
    ("HEAD", "/healthz", {"version": "1.0"}), ("GET", "/healthz", {"body": b"x" * 1000}),
    ("GET", f"http://{HOST}/healthz", {})])
def test_it_is_answered_without_a_backend_and_without_an_entry(world, level, method, target, kw):
    world.configure(f"{HEALTHY}\n[Log]\nLevel={level}")
    healthy(world, world.client(request(method, target, **kw)), method)


def test_after_another_request(world):
    world.configure(HEALTHY)
    c = world.client()
    world.exchange(c, request())
    c.send(request("GET", "/healthz"))
    r = c.response()
    assert (r.status, r.body) == (200, b"ok") and c.end() == "FIN"


def test_over_tls(secure):
    secure.configure(HEALTHY)
    healthy(secure, secure.client(request("GET", "/healthz")))


@pytest.mark.parametrize("lines, status", [((), 308), (None, 400)])
def test_plain_http_on_the_port_for_tls(secure, lines, status):
    secure.configure(HEALTHY)
    message = request("GET", "/healthz") if lines is not None else \
        request("GET", "/healthz", host=None, version="1.0")
    secure.refused(secure.client(message, tls=False), status)


@pytest.mark.parametrize("method, target", [
    ("POST", "/healthz"), ("OPTIONS", "/healthz"), ("GET", "/healthz/"), ("GET", "/Healthz"),
    ("GET", "//healthz"), ("GET", "/x/../healthz"), ("GET", "/%68ealthz"), ("GET", "/status")])
def test_any_other_request_goes_to_a_backend(world, method, target):
    world.configure("[Routes]\nHealthPath=/healthz /status/*")
    world.seen(request(method, target))


def test_without_the_key_there_is_no_such_path(world):
    world.seen(request("GET", "/healthz"))


@pytest.mark.parametrize("message, status", [
    (upgrade("/healthz"), 403), (request("GET", "/healthz", host=None), 400),
    (request("GET", "/healthz", "Connection: cookie"), 400)], ids=["upgrade", "no Host", "Connection"])
def test_the_checks_come_first(world, message, status):
    world.configure(HEALTHY)
    world.refused(world.client(message), status)


def test_a_session_on_such_a_path_is_a_session(world):
    world.configure(f"[Routes]\nHealthPath={NOVNC}")
    world.tunnel()


def test_a_broken_configuration_is_not_healthy(world):
    world.configure(f"{HEALTHY}\n[Limits]\nNonsense=1")
    c = world.client(request("GET", "/healthz"))
    c.exit_code = 78
    world.refused(c, 500)


def test_check_shows_it_before_the_backends(world):
    world.configure(HEALTHY)
    with Responder(world.nextjs), Responder(world.controller):
        lines = world.check().stdout.splitlines()
    first = lines.index("GET or HEAD /healthz -> 200, from the gate itself")
    assert lines[first + 1] == "GET or HEAD /status/* -> 200, from the gate itself"
    assert first + 2 == lines.index(f"request /status/** -> {world.controller.url}")
