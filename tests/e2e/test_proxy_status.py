"""Proxy-Status (RFC 9209): the type of each error of the gate itself."""

import os
import signal
import ssl

import pytest

from gate import NOVNC, deaf, head, refusing, request, response, switching, upgrade
from test_tls_backend import accept_failing, behind_tls, demanding


def typed(world, c, status, error):
    assert world.error(c, status)["Proxy-Status"] == f"novnc-gate; error={error}"


@pytest.mark.parametrize("message, status, error", [
    (request("GET", "/", "Bad : x"), 400, "http_request_error"),
    (request("GET", "/", host=None), 400, "http_request_error"),
    (upgrade("/elsewhere"), 403, "http_request_denied"),
    (upgrade(NOVNC, "Origin: http://evil.example"), 403, "http_request_denied"),
    (request("TRACE", "/"), 405, "http_request_error"),
    (request("GET", "/" + "x" * 40000), 414, "http_request_error"),
    (upgrade(NOVNC, "Sec-WebSocket-Version: 8"), 426, "http_request_error"),
    (request("GET", "/", "X: " + "x" * 40000), 431, "http_request_error"),
    (request("BREW", "/"), 501, "proxy_internal_response"),
    (request("GET", "/", version="1.2"), 505, "proxy_internal_response")])
def test_a_refused_request(world, message, status, error):
    typed(world, world.client(message), status, error)


def test_a_slow_head(world):
    world.configure("[Limits]\nHeadTimeoutSec=200ms")
    typed(world, world.client(b"GET / HTTP/1.1\r\n"), 408, "http_request_error")


def test_a_broken_configuration(world):
    world.configure("[Limits]\nNonsense=1")
    c = world.client(request())
    c.exit_code = 78
    typed(world, c, 500, "proxy_configuration_error")


def test_a_loop(world):
    world.configure(nextjs=f"http://127.0.0.1:{world.gate.port}")
    c = world.client(request())
    c.exit_code = 78
    typed(world, c, 500, "proxy_loop_detected")


def test_a_stop(world):
    c = world.client(request())
    world.nextjs.asked()
    os.kill(c.pid, signal.SIGTERM)
    typed(world, c, 503, "proxy_internal_error")


# Backends

def test_a_backend_that_refuses(world):
    with refusing() as backend:
        world.configure(nextjs=backend.url)
        typed(world, world.client(request()), 502, "connection_refused")


def test_a_backend_that_does_not_accept(world):
    with deaf() as backend:
        world.configure("[Limits]\nConnectTimeoutSec=200ms", nextjs=backend.url)
        typed(world, world.client(request()), 504, "connection_timeout")


@pytest.mark.parametrize("url, error", [("http://no-such-host.invalid:1", "dns_error"),
                                        ("unix:/nowhere/sock", "destination_unavailable")])
def test_a_backend_that_is_not_there(world, url, error):
    world.configure(nextjs=url)
    typed(world, world.client(request()), 502, error)


@pytest.mark.parametrize("sent, error", [
    (b"SSH-2.0-x\r\n", "http_protocol_error"), (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "http_protocol_error"),
    (b"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", "http_protocol_error"),
    (switching(), "http_protocol_error"),
    (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 40000, "http_response_header_section_size"),
    (head("HTTP/1.1 200 OK", "Connection: " + ",".join(f"x{i}" for i in range(65))),
     "http_response_header_section_size")],
    ids=["SSH", "space", "control", "101", "long", "options"])
def test_an_invalid_response(world, sent, error):
    c = world.client(request())
    world.nextjs.asked().send(sent)
    typed(world, c, 502, error)


@pytest.mark.parametrize("how, sent, error", [
    ("close", b"", "connection_terminated"), ("reset", b"", "connection_terminated"),
    ("close", b"HTTP/1.1 200", "http_response_incomplete"),
    ("reset", b"HTTP/1.1 200", "connection_terminated")])
def test_a_backend_that_ends(world, how, sent, error):
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(sent)
    getattr(b, how)()
    typed(world, c, 502, error)


@pytest.mark.parametrize("lines", [("Sec-WebSocket-Accept: x",), ("Upgrade: h2c",)])
def test_a_101_that_is_wrong(world, lines):
    c = world.client(upgrade())
    world.controller.asked().send(switching(*lines))
    typed(world, c, 502, "http_upgrade_failed")


@pytest.mark.parametrize("message", [request(), upgrade()], ids=["plain", "upgrade"])
def test_a_backend_that_does_not_respond(world, message):
    world.configure("[Limits]\nResponseTimeoutSec=200ms\nUpgradeTimeoutSec=200ms")
    typed(world, world.client(message), 504, "http_response_timeout")


def test_a_backend_that_does_not_read(world, tmp_path):
    backend = world.backend(path=tmp_path / "next.sock")
    world.configure("[Limits]\nBodyTimeoutSec=300ms", nextjs=backend.url)
    c = world.client(head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"))
    backend.accept().until(b"\r\n\r\n")
    c.send(b"%x\r\n%s\r\n" % (3000, bytes(3000)) * 150)
    typed(world, c, 504, "connection_write_timeout")


# TLS

def test_a_certificate_that_is_not_accepted(world, backend_tls):
    backend = behind_tls(world, backend_tls)
    accept_failing(backend)
    typed(world, world.client(upgrade()), 502, "tls_certificate_error")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_client_certificate(world, authority, version):
    backend = behind_tls(world, demanding(authority, authority, version=version),
                         f"CaFile={authority.file}")
    accept_failing(backend)
    typed(world, world.client(upgrade()), 502, "tls_alert_received")


def test_a_backend_that_does_not_speak_tls(world):
    world.configure(controller=world.controller.url.replace("http:", "https:"))
    c = world.client(upgrade())
    world.controller.accept().send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    typed(world, c, 502, "tls_protocol_error")


# Responses of backends

STATUSES = pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "502 Bad Gateway"])


@STATUSES
def test_a_backends_response_gets_none(world, status):
    _, r = world.exchange(world.client(), request(), response(b"x", status=status))
    assert "Proxy-Status" not in r


@STATUSES
def test_that_of_a_backend_is_passed_on(world, status):
    said = ["cache.example; hit", 'cdn; error=dns_error; details="a, b", other']
    lines = [f"Proxy-Status: {value}" for value in said]
    _, r = world.exchange(world.client(), request(), response(b"x", *lines, status=status))
    assert r.all("Proxy-Status") == said


def test_that_of_a_refused_handshake_is_passed_on(world):
    c = world.client(upgrade())
    world.controller.asked().send(response(b"x", "Proxy-Status: cdn; error=dns_error", status="502 Bad Gateway"))
    assert c.response()["Proxy-Status"] == "cdn; error=dns_error"


def test_a_redirect_to_https_has_none(secure):
    r = secure.refused(secure.client(request(), tls=False), 308)
    assert "Proxy-Status" not in r
