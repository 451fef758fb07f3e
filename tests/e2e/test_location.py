"""No response leads the browser to a backend: URLs of the backend itself become paths."""

import pytest

from gate import HOST, head, request, response, upgrade

ROUTES = "[Routes]\nControllerPath=/api/auth/session/*/novnc/**"
TARGETS = {"nextjs": "/x", "controller": "/api/auth/session/s-1/novnc/x"}
FIELDS = {"Location": "{}", "Content-Location": "{}", "Refresh": "0;url={}"}

both = pytest.mark.parametrize("kind", TARGETS)
every_field = pytest.mark.parametrize("field", FIELDS)


def seen_url(world, kind, field, url, status="302 Found", message=None, backend=None):
    """The URL in that field as the browser gets it."""
    text = FIELDS.get(field, "{}")
    _, r = world.exchange(world.client(), message or request("GET", TARGETS[kind]),
                          response(b"", f"{field}: {text.format(url)}", status=status),
                          backend=backend or getattr(world, kind))
    before, _, behind = text.partition("{}")
    assert r[field].startswith(before)
    return r[field].removeprefix(before).removesuffix(behind)


@both
@every_field
@pytest.mark.parametrize("url, path", [
    ("http://{}/novnc/vnc.html?path=x#y", "/novnc/vnc.html?path=x#y"),
    ("https://{}/x", "/x"),
    ("HTTP://{}/x", "/x"),
    ("//{}/x", "/x"),
    ("http://{}/", "/"),
    ("http://{}", "/"),
    ("http://{}?x", "/?x"),
    ("http://{}#x", "/#x"),
])
def test_a_url_of_its_own_backend_becomes_a_path(world, kind, field, url, path):
    world.configure(ROUTES)
    assert seen_url(world, kind, field, url.format(getattr(world, kind).authority)) == path


@both
@every_field
@pytest.mark.parametrize("url", [
    "/x?y", "x/y", "http://elsewhere.example/x", "http://{}.evil.example/x", "http://{}1/x",
    "http://{}@evil.example/x", "http://user@{}/x", "http://evil.example/http://{}/x",
    "ws://{}/x", "http:/{}/x", f"http://{HOST}/x", "http://127.0.0.1/x",
    "http://{}//evil.example/x", "http://{}/\\evil.example/x", "//{}//evil.example/x",
    "http://{}/\t/evil.example/x"])
def test_every_other_url_is_unchanged(world, kind, field, url):
    world.configure(ROUTES)
    url = url.format(getattr(world, kind).authority)
    assert seen_url(world, kind, field, url) == url


@both
@every_field
def test_the_other_backend_is_another_host(world, kind, field):
    world.configure(ROUTES)
    other = {"nextjs": world.controller, "controller": world.nextjs}[kind]
    assert seen_url(world, kind, field, f"{other.url}/x") == f"{other.url}/x"


@both
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "[::]"])
def test_names_of_this_machine_are_one_host(world, kind, host):
    """Next.js, listening on 127.0.0.1, calls itself localhost."""
    world.configure(ROUTES)
    port = getattr(world, kind).port
    assert seen_url(world, kind, "Location", f"http://{host}:{port}/page2") == "/page2"
    elsewhere = f"http://{host}:{1 + port % 65535}/page2"
    assert seen_url(world, kind, "Location", elsewhere) == elsewhere


def test_a_backend_on_ipv6(world):
    backend = world.backend(host="::1")
    world.configure(nextjs=backend.url)
    assert seen_url(world, "nextjs", "Location", f"http://localhost:{backend.port}/x",
               backend=backend) == "/x"


def test_a_backend_that_is_given_by_name(world):
    backend = world.backend()
    world.configure(nextjs=f"http://localhost:{backend.port}")
    assert seen_url(world, "nextjs", "Location", f"http://127.0.0.1:{backend.port}/x",
               backend=backend) == "/x"
    url = f"http://127.0.0.2:{backend.port}/x"
    assert seen_url(world, "nextjs", "Location", url, backend=backend) == url


def test_no_url_is_that_of_a_unix_socket(world, tmp_path):
    backend = world.backend(path=tmp_path / "next")
    world.configure(nextjs=backend.url)
    url = "http://localhost/x"
    assert seen_url(world, "nextjs", "Location", url, backend=backend) == url


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_over_tls_on_both_sides(secure, scheme):
    """Next.js takes the scheme from X-Forwarded-Proto, whichever it speaks itself."""
    secure.configure(ROUTES)
    for kind in TARGETS:
        url = f"{scheme}://{getattr(secure, kind).authority}/x"
        assert seen_url(secure, kind, "Location", url) == "/x"


@pytest.mark.parametrize("status", ["201 Created", "200 OK", "308 Permanent Redirect",
                                    "401 Unauthorized"])
def test_with_any_status(world, status):
    assert seen_url(world, "nextjs", "Location", f"{world.nextjs.url}/x", status) == "/x"


def test_in_an_interim_response(world):
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 103 Early Hints", f"Location: {world.nextjs.url}/x"), response(b"ok"))
    assert c.response()["Location"] == "/x"
    assert c.response().body == b"ok"


@pytest.mark.parametrize("target, kind", [("/_next/hmr", "nextjs"),
                                          ("/api/auth/session/s/novnc/websock", "controller")])
def test_a_redirect_in_response_to_an_upgrade(world, target, kind):
    url = f"{getattr(world, kind).url}/login"
    assert seen_url(world, kind, "Location", url, message=upgrade(target)) == "/login"


@both
@pytest.mark.parametrize("refresh, seen", [
    ("5; URL='http://{}/x'", "5; URL='/x'"),
    ('5; url="http://{}/x"', '5; url="/x"'),
    ("0 , Url = http://{}", "0 , Url = /"),
    ("5; http://{}/x", "5; /x"),
    ("5", "5"),
    ("http://{}/x", "http://{}/x"),
    ("5; uri=http://{}/x", "5; uri=http://{}/x"),
    ("5; url='http://{}//evil.example'", "5; url='http://{}//evil.example'"),
])
def test_a_refresh_as_browsers_read_it(world, kind, refresh, seen):
    world.configure(ROUTES)
    authority = getattr(world, kind).authority
    _, r = world.exchange(world.client(), request("GET", TARGETS[kind]),
                          response(b"", f"Refresh: {refresh.format(authority)}"),
                          backend=getattr(world, kind))
    assert r["Refresh"] == seen.format(authority)
