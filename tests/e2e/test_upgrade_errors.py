"""UpgradeErrors=close: a browser learns from a Close why its session cannot be opened."""

import json
import os
import signal
import subprocess
import time

import pytest

import nextjs
from gate import (HOST, KEY, NOVNC, PRIVATE, Responder, accept_of, clean_env, deaf, head, refusing, request,
                  response, switching, upgrade)
from test_log import HANDLING
from test_timeouts import LONG, limits, not_before
from test_websocket import only_process
from websocket import (BINARY, CLOSE, PING, TEXT, closed, frame, receive_close, reason_to, send,
                       send_close)

NAME = "master-controller"
REASON_MAX = 123    # bytes
INVOCATION = "0123456789abcdef0123456789abcdef"
MANY_OPTIONS = "Connection: Upgrade" + ", x" * 64

tls_or_not = pytest.mark.parametrize("world", [(), ("client",)], indirect=True, ids=["plain", "TLS client"])


@pytest.fixture(autouse=True)
def setting(world):
    world.drop_in("50-errors.conf", "[Routes]\nUpgradeErrors=close\n")


def switched(c, protocol=None, key=KEY):
    """The client gets a 101 that answers its handshake and has nothing else."""
    r = c.response()
    assert r.status == 101, r
    assert r["Upgrade"] == "websocket" and r.options("Connection") == ["upgrade"]
    assert r["Sec-WebSocket-Accept"] == accept_of(key)
    assert r["Sec-WebSocket-Protocol"] == protocol
    assert {n for n, _ in r.fields} <= {"Upgrade", "Connection", "Sec-WebSocket-Accept",
                                        "Sec-WebSocket-Protocol", "X-Request-Id"}


def fits(c, sentence):
    """The reason with this sentence, and with the id of the log entries if there is room."""
    reason = reason_to(c, sentence)
    return reason if len(reason) <= REASON_MAX else sentence


def told(c, code, sentence, logged=None, early=()):
    """The client gets a Close, answers it and sees the end; the log has one entry about it."""
    for status in early:
        assert c.response().status == status
    switched(c)
    assert not PRIVATE.search(sentence)
    assert closed(c) == [(code, fits(c, sentence))]
    c.close()
    assert c.exited() == c.exit_code
    assert c.log == [HANDLING, logged or f"WebSocket proxy error: {sentence}"]


def declined(status):
    return f"{NAME} responded with {status} instead of 101"


def refused_by_controller(world, *pieces, sent=None):
    """A client to whose upgrade the master-controller responds with 403."""
    c = world.client(*pieces or (upgrade(),))
    world.controller.asked().send(sent or response(b"why", status="403 Forbidden"))
    return c


def goes_on_sending(c):
    """As fast as it can, for half a second: more than the gate's buffers hold."""
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        send(c, BINARY, bytes(10000))


# Each failure has its code and its sentence

@tls_or_not
def test_a_controller_that_refuses_connections(world):
    with refusing() as backend:
        world.configure(controller=backend.url)
        told(world.client(upgrade()), 4502, f"{NAME} refused the connection",
             f"WebSocket proxy error: cannot connect to {backend.authority}: Connection refused")


def test_a_controller_that_does_not_accept(world):
    with deaf() as backend:
        world.configure("[Limits]\nConnectTimeoutSec=300ms", controller=backend.url)
        told(world.client(upgrade()), 4504, f"timed out connecting to {NAME}",
             f"WebSocket proxy error: cannot connect to {backend.authority}: Connection timed out")


def test_a_controller_whose_name_does_not_resolve(world):
    world.configure(controller="http://no-such-host.invalid:4000")
    c = world.client(upgrade())
    switched(c)
    assert closed(c) == [(4502, reason_to(c, f"cannot resolve the host name of {NAME}"))]
    c.logged("WebSocket proxy error: cannot resolve no-such-host.invalid:4000: ")


@tls_or_not
def test_a_controller_that_never_responds(world):
    limits(world, UpgradeTimeoutSec=1)
    with not_before(1):
        c = world.client(upgrade())
        world.controller.asked()
        told(c, 4504, f"timed out waiting for the response head from {NAME}")


@tls_or_not
@pytest.mark.parametrize("status, code", [
    ("300 Multiple Choices", 4300), ("301 Moved Permanently", 4301), ("401 Unauthorized", 4401),
    ("403 Forbidden", 4403), ("404 Not Found", 4404), ("426 Upgrade Required", 4426),
    ("500 Internal Server Error", 4500), ("503 Service Unavailable", 4503), ("504 Gateway Timeout", 4504),
    ("599 Whatever", 4599), ("200 OK", 4502), ("299 Whatever", 4502)])
def test_a_controller_that_responds_with_another_status(world, status, code):
    sent = response(b"why", "X-Why: 1", "Location: /login", "WWW-Authenticate: Basic", status=status)
    told(refused_by_controller(world, sent=sent), code, declined(status[:3]))


@pytest.mark.parametrize("sent, status", [
    (head("HTTP/1.1 204 No Content"), 204), (head("HTTP/1.1 304 Not Modified"), 304),
    (head("HTTP/1.1 403 Forbidden", "Transfer-Encoding: chunked"), 403),
    (head("HTTP/1.1 403 Forbidden", "Content-Length: 1000000"), 403), (head("HTTP/1.0 403 Forbidden"), 403)],
    ids=["204", "304", "chunked", "long", "close-delimited"])
def test_the_body_of_the_response_is_not_waited_for(world, sent, status):
    told(refused_by_controller(world, sent=sent), 4502 if status < 300 else 4000 + status, declined(status))


def test_interim_responses_come_before_the_101(world):
    sent = head("HTTP/1.1 103 Early Hints") + response(status="403 Forbidden")
    told(refused_by_controller(world, sent=sent), 4403, declined(403), early=[103])


@pytest.mark.parametrize("sent, fault", [
    (switching(f"Sec-WebSocket-Accept: {accept_of('x')}"),
     "Sec-WebSocket-Accept does not match the client's key"),
    (switching(without=["Upgrade"]), "101 without Upgrade: websocket"),
    (switching(without=["Connection"]), "101 without Connection: upgrade"),
    (head("HTTP/1.1 600 Whatever"), "status code is not between 100 and 599"),
    (b"HTTP/1.1 403 Forbidden\r\nX: a\rb\r\n\r\n", "carriage return without line feed")],
    ids=["wrong accept", "no Upgrade", "no Connection", "status 600", "bare CR"])
def test_a_response_that_is_not_valid(world, sent, fault):
    told(refused_by_controller(world, sent=sent), 4502, f"{NAME} sent an invalid response: {fault}")


def test_a_101_that_the_gate_cannot_forward(world):
    told(refused_by_controller(world, sent=switching(MANY_OPTIONS)), 4502,
         f"{NAME} sent a response with more than 64 Connection options")


def test_a_controller_that_does_not_speak_http(world):
    c = refused_by_controller(world, sent=b"RFB 003.008\n")
    switched(c)
    (code, reason), = closed(c)
    assert code == 4502 and reason.startswith(f"{NAME} does not speak HTTP/1.1")
    c.logged(r'^WebSocket proxy error: .* \(it sent "RFB 003.008"\)')


@tls_or_not
@pytest.mark.parametrize("how, sentence", [
    ("close", f"{NAME} closed the connection before its response began"),
    ("reset", f"the connection to {NAME} failed: Connection reset by peer")])
def test_a_controller_that_ends_without_a_response(world, how, sentence):
    c = world.client(upgrade())
    getattr(world.controller.asked(), how)()
    told(c, 4502, sentence)


def test_a_controller_whose_certificate_is_not_accepted(world, backend_tls):
    with Responder(world.backend(tls=backend_tls)) as r:
        world.configure(controller=r.backend.url)
        c = world.client(upgrade())
        switched(c)
        assert closed(c) == [(4502, reason_to(c, f"TLS handshake with {NAME} failed"))]
    c.logged("WebSocket proxy error: TLS handshake with .* failed: ")


def test_a_file_that_is_not_there_is_named_in_the_log_only(world, backend_tls):
    world.configure("[MasterController]\nCaFile=/nowhere", controller=world.backend(tls=backend_tls).url)
    c = world.client(upgrade())
    c.exit_code = 78
    switched(c)
    assert closed(c) == [(4500, reason_to(c, "the gate's configuration cannot be used"))]
    c.logged("CaFile=/nowhere: No such file or directory")


def test_sigterm_while_the_response_is_awaited(world):
    c = world.client(upgrade())
    world.controller.asked()
    os.kill(c.pid, signal.SIGTERM)
    switched(c)
    assert receive_close(c) == (4503, reason_to(c, "stopped by SIGTERM"))
    assert c.exited() == 0


# The id, and the log

def test_the_id_is_that_of_the_invocation(world):
    c = world.direct(upgrade(), env={"INVOCATION_ID": INVOCATION})
    world.controller.asked().send(response(status="403 Forbidden"))
    switched(c)
    assert closed(c) == [(4403, f"{declined(403)}; log id {INVOCATION}")]


def test_an_id_without_room_is_left_out(world):
    """A part of it leads nowhere."""
    c = world.direct(upgrade(), env={"INVOCATION_ID": INVOCATION})
    world.controller.asked().send(switching(f"Sec-WebSocket-Accept: {accept_of('x')}"))
    switched(c)
    assert closed(c) == [(4502, f"{NAME} sent an invalid response: "
                          "Sec-WebSocket-Accept does not match the client's key")]


@pytest.mark.parametrize("sent", [response(status="403 Forbidden"), switching(without=["Upgrade"]), b""],
                         ids=["403", "invalid", "none"])
def test_the_log_is_the_same_as_with_http(world, sent):
    logs = []
    for errors in "close", "http":
        world.drop_in("60-errors.conf", f"[Routes]\nUpgradeErrors={errors}\n")
        c = world.client(upgrade())
        b = world.controller.asked()
        b.send(sent)
        b.close()
        assert c.response().status == (101 if errors == "close" else 403 if b"403" in sent else 502)
        c.close()
        assert c.exited() == 0
        logs.append(c.log)
    assert logs[0] == logs[1] and len(logs[0]) == 2


# The 101

@pytest.mark.parametrize("lines, protocol", [
    ([], None), (["Sec-WebSocket-Protocol: binary"], "binary"),
    (["Sec-WebSocket-Protocol: binary, base64"], "binary"),
    (["Sec-WebSocket-Protocol: base64,binary"], "base64"),
    (["Sec-WebSocket-Protocol:  \tbinary \t,\tbase64"], "binary"),
    (["sec-websocket-protocol: binary"], "binary"),
    (["Sec-WebSocket-Protocol: binary", "Sec-WebSocket-Protocol: base64"], "binary"),
    (["Sec-WebSocket-Protocol: BINARY"], "BINARY"), ([f"Sec-WebSocket-Protocol: {'x' * 63}  , y"], "x" * 63)],
    ids=["none", "one", "list", "another list", "white space", "lower case", "two lines", "upper case", "long"])
def test_the_first_subprotocol_is_chosen(world, lines, protocol):
    c = refused_by_controller(world, upgrade(NOVNC, *lines))
    switched(c, protocol)
    assert closed(c) == [(4403, reason_to(c, declined(403)))]


def test_a_subprotocol_that_was_not_offered(world):
    c = world.client(upgrade(NOVNC, "Sec-WebSocket-Protocol: binary"))
    world.controller.asked().send(switching("Sec-WebSocket-Protocol: base64"))
    switched(c, "binary")
    assert closed(c) == [(4502, reason_to(c, f"{NAME} sent an invalid response: 101 with an unoffered subprotocol"))]


@pytest.mark.parametrize("lines", [["Sec-WebSocket-Protocol: , binary"],
                                   ["Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: binary"]],
                         ids=["list", "two lines"])
def test_an_empty_element_is_no_subprotocol(world, lines):
    """RFC 9110 5.6.1.2."""
    switched(refused_by_controller(world, upgrade(NOVNC, *lines)), "binary")


@pytest.mark.parametrize("first", ["x" * 64, "a b", '"a', "a/b"])
def test_a_subprotocol_without_room_or_that_is_no_token_gets_a_status(world, first):
    """A 101 without it would be no answer to the offer."""
    c = refused_by_controller(world, upgrade(NOVNC, f"Sec-WebSocket-Protocol: {first}, binary"))
    assert c.response().status == 403


@pytest.mark.parametrize("key", ["AAAAAAAAAAAAAAAAAAAAAA==", "x3JJHMbDL1EzLkh9GBhXDw=="])
def test_the_accept_belongs_to_the_key(world, key):
    switched(refused_by_controller(world, upgrade(NOVNC, f"Sec-WebSocket-Key: {key}")), key=key)


def test_no_extension_is_accepted(world):
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    c = refused_by_controller(world, upgrade(NOVNC, offer))
    switched(c)
    assert receive_close(c)[0] == 4403


def test_it_may_follow_pages(world):
    c = world.client()
    world.exchange(c, request())
    c.send(upgrade())
    world.controller.asked().send(response(status="404 Not Found"))
    told(c, 4404, declined(404))


CLIENT = """
const WebSocket = require('next/dist/compiled/ws');
const socket = new WebSocket(process.argv[1], ['binary', 'base64']);
socket.on('open', () => socket.send('hello'));
socket.on('close', (code, reason) => console.log(JSON.stringify([code, String(reason), socket.protocol])));
socket.on('error', (e) => console.log(JSON.stringify(String(e))));
"""


def test_a_client_that_checks_the_handshake_gets_the_code(world):
    """The package ws, which Next.js has."""
    with refusing() as backend:
        world.configure(controller=backend.url)
        result = subprocess.run([nextjs.node(), "-e", CLIENT, f"ws://127.0.0.1:{world.gate.port}{NOVNC}"],
                                cwd=nextjs.DEMO, stdout=subprocess.PIPE, text=True, env=clean_env(),
                                timeout=30, check=True)
    process = only_process(world.gate)
    assert process.wait() == 0
    assert json.loads(result.stdout) == [
        4502, f"{NAME} refused the connection; log id novnc-gate[{process.pid}]", "binary"]


# Up to the end

@tls_or_not
def test_what_comes_before_its_close_is_dropped(world):
    c = refused_by_controller(world)
    switched(c)
    assert receive_close(c)[0] == 4403
    send(c, TEXT, b"too late")
    send(c, PING, b"x")
    send(c, BINARY, bytes(70000))
    send_close(c, 4403)
    assert c.end() == "FIN"
    c.close()
    assert c.exited() == 0
    world.nextjs.untouched()
    world.controller.untouched()


@tls_or_not
@pytest.mark.parametrize("early", [b"\x82\x80abcd", b"\x82\xff" + (70000).to_bytes(8, "big") + bytes(70004),
                                   request("GET", "/admin")], ids=["a frame", "a long frame", "a request"])
def test_bytes_that_come_with_the_handshake_are_dropped(world, early):
    c = refused_by_controller(world, upgrade() + early)
    told(c, 4403, declined(403))
    world.nextjs.untouched()
    world.controller.untouched()
    assert not world.controller.peers[0].buf


@tls_or_not
def test_a_client_that_sends_no_close_is_waited_for_two_seconds(world):
    c = refused_by_controller(world)
    with not_before(2):
        switched(c)
        assert receive_close(c)[0] == 4403
        send(c, TEXT, b"no Close")
        assert c.exited() == 0
    assert c.end() in ("FIN", "RST")


@tls_or_not
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_ends_is_not_waited_for(world, how):
    c = refused_by_controller(world)
    switched(c)
    assert receive_close(c)[0] == 4403
    start = time.monotonic()
    getattr(c, how)()
    assert c.exited() == 0
    assert time.monotonic() - start < LONG


def test_a_client_that_has_ended_its_direction_gets_the_code(world):
    c = world.client(upgrade())
    b = world.controller.asked()
    c.half_close()
    b.send(response(status="403 Forbidden"))
    switched(c)
    assert receive_close(c) == (4403, reason_to(c, declined(403)))
    assert c.end() == "FIN"


def test_a_client_that_is_gone_before_the_response(world):
    c = world.client(upgrade())
    b = world.controller.asked()
    assert c.pid
    c.reset()
    b.send(response(status="403 Forbidden"))
    assert c.exited() == 0


@tls_or_not
def test_sigterm_while_its_close_is_awaited(world):
    c = refused_by_controller(world)
    switched(c)
    assert receive_close(c)[0] == 4403
    start = time.monotonic()
    os.kill(c.pid, signal.SIGTERM)
    assert c.exited() == 0
    assert time.monotonic() - start < LONG


@tls_or_not
def test_its_close_ends_the_connection(world):
    """The client waits for the end (RFC 6455 7.1.1)."""
    c = refused_by_controller(world)
    switched(c)
    assert receive_close(c)[0] == 4403
    start = time.monotonic()
    send_close(c, 4403)
    assert c.exited() == 0
    assert time.monotonic() - start < LONG


@tls_or_not
def test_its_close_may_come_with_the_handshake(world):
    c = world.client()
    c.send(upgrade() + frame(c, TEXT, b"hello") + frame(c, CLOSE, b"\x03\xe8"))
    start = time.monotonic()
    world.controller.asked().send(response(status="403 Forbidden"))
    switched(c)
    assert receive_close(c)[0] == 4403
    assert c.exited() == 0
    assert time.monotonic() - start < LONG


def test_the_end_is_not_before_its_close(world):
    c = refused_by_controller(world)
    switched(c)
    assert receive_close(c)[0] == 4403
    c.quiet()
    send_close(c, 4403)
    assert c.end() == "FIN"


@tls_or_not
def test_a_client_that_keeps_sending_gets_the_code(world, threads):
    c = world.client(upgrade())
    b = world.controller.asked()
    sent = threads.submit(goes_on_sending, c)
    b.send(response(status="403 Forbidden"))
    switched(c)
    sent.result()
    assert receive_close(c) == (4403, reason_to(c, declined(403)))
    send_close(c, 4403)
    assert c.end() == "FIN"


# What keeps its status

@pytest.mark.parametrize("message, status", [
    (upgrade("/evil/socket"), 403), (upgrade(NOVNC, "Origin: http://evil.example"), 403),
    (upgrade(NOVNC, "Origin: null"), 403), (upgrade(without=["Sec-WebSocket-Key"]), 400),
    (upgrade(NOVNC, "Sec-WebSocket-Key: short"), 400), (upgrade(method="POST"), 400),
    (upgrade(NOVNC, "Content-Length: 1"), 400), (upgrade(NOVNC, version="1.0"), 400),
    (upgrade(NOVNC, "Sec-WebSocket-Version: 8"), 426), (upgrade(NOVNC, "X : 1"), 400),
    (upgrade(host=None), 400), (upgrade(f"http://{HOST}{NOVNC}"), 400), (upgrade(method="TRACE"), 405),
    (upgrade(method="CONNECT", target=HOST), 405), (upgrade(NOVNC, "X: " + "a" * 40000), 431)],
    ids=["path", "origin", "null", "no key", "key", "POST", "body", "1.0", "version", "syntax", "no Host",
         "absolute", "TRACE", "CONNECT", "size"])
def test_what_the_gate_itself_refuses(world, message, status):
    world.refused(world.client(message), status)


def test_a_request_that_the_gate_cannot_forward(world):
    world.refused(world.client(upgrade(NOVNC, MANY_OPTIONS)), 431)


def test_hot_reload(world):
    c = world.client(upgrade("/_next/hmr"))
    world.nextjs.asked().send(response(b"why", status="403 Forbidden"))
    r = c.response()
    assert r.status == 403 and r.body == b"why"
    c = world.client(upgrade("/_next/hmr"))
    world.nextjs.asked().close()
    assert world.error(c, 502).body.startswith(b"WebSocket proxy error: Next.js closed the connection ")


def test_pages(world):
    world.configure(f"[Routes]\nControllerPath={NOVNC}")
    c = world.client()
    for target, backend in ("/", world.nextjs), (NOVNC, world.controller):
        _, r = world.exchange(c, request("GET", target), response(b"why", status="403 Forbidden"), backend)
        assert r.status == 403 and r.body == b"why"
        backend.peers[-1].close()
    with refusing() as refusing_one:
        world.configure(nextjs=refusing_one.url)
        world.error(world.client(request()), 502)


def test_a_session_that_opens(world):
    c, b = world.tunnel()
    send(c, TEXT, b"hello")
    assert b.exactly(11)
    send_close(b, 1000)
    assert receive_close(c) == (1000, "")
    send_close(c, 1000)
    assert c.end() == "FIN"


@pytest.mark.parametrize("text", ["UpgradeErrors=http", "UpgradeErrors="])
def test_http_keeps_the_status(world, text):
    world.drop_in("60-errors.conf", f"[Routes]\n{text}\n")
    for status in "200 OK", "301 Moved Permanently", "401 Unauthorized", "404 Not Found", "503 x":
        c = refused_by_controller(world, sent=response(b"why", status=status))
        r = c.response()
        assert r.status == int(status[:3]) and r.body == b"why"
    with refusing() as backend:
        world.configure(controller=backend.url)
        world.error(world.client(upgrade()), 502)
