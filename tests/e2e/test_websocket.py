"""The tunnel as a WebSocket: frames pass, and each end of a session has a code and a reason."""

import json
import os
import re
import select
import signal
import subprocess
import threading
import time

import pytest

import nextjs
from gate import NOVNC, PRIVATE, Client, clean_env, switching, upgrade
from test_timeouts import LONG, SHORT, STEP, STEPS, limits, not_before
from test_tunnel import fill, with_and_without_tls
from websocket import (BINARY, CLOSE, CONTINUATION, KEY, NO_CODE, PING, PONG, TEXT, Frame, closed,
                       frame, header, mask, reason_to, receive, receive_close, receive_header,
                       receive_up_to_close, send, send_close)

LEFT = "master-controller closed the connection"
RESET = "master-controller reset the connection"
STOPPED = "the session was ended by the server"
NAMES = {"client": "the client", "controller": "the master-controller"}    # behind "closed by"
PEERS = {"client": "the client", "controller": "master-controller"}
OTHER = {"client": "controller", "controller": "client"}

either_side = pytest.mark.parametrize("who", NAMES)


def ends(world, who):
    """A tunnel: the client, the end that is named, and the other one."""
    c, b = world.tunnel()
    return (c, c, b) if who == "client" else (c, b, c)


def exchange(c, b):
    """So that there is nothing to read any more, as the tickets of TLS."""
    for a, z in (c, b), (b, c):
        send(a, TEXT, b"hello")
        assert receive(z).payload == b"hello"


def stop(c):
    os.kill(c.pid, signal.SIGTERM)


def why(c):
    """The reason in the closing entry, the last one of a session."""
    assert c.exited() == 0
    return re.fullmatch(r"noVNC session closed: \S+ \((.*); \d+ bytes up, \d+ bytes down, [^;]*\)",
                        c.log[-1])[1]


# Frames pass

@with_and_without_tls
def test_frames_pass_both_ways_as_they_are(world):
    c, b = world.tunnel()
    for a, z in (c, b), (b, c):
        for opcode, payload, kw in (
                (TEXT, b"", {}), (BINARY, b"x" * 125, {}), (TEXT, b"y" * 126, {"final": False}),
                (PING, b"in between", {}), (CONTINUATION, b"z" * 65535, {"final": False}),
                (CONTINUATION, b"z" * 65536, {}), (BINARY, b"packed", {"rsv": 4}), (PONG, b"", {}),
                (PING, b"", {}), (PONG, b"p" * 125, {})):
            send(a, opcode, payload, **kw)
            assert receive(z) == Frame(opcode, payload, **kw)


@either_side
def test_a_part_of_a_frame_that_comes_with_the_handshake_is_followed(world, who):
    c = world.client()
    early = frame(c if who == "client" else None, TEXT, b"early")
    c.send(upgrade() + early[:-1] * (who == "client"))
    b = world.tunnel_of(c, switching() + early[:-1] * (who == "controller"))
    first, second = (c, b) if who == "client" else (b, c)
    assert second.exactly(len(early) - 1) == early[:-1]
    stop(c)
    assert receive_close(first)[0] == 1001
    second.quiet()
    first.send(early[-1:])
    assert second.exactly(1) == early[-1:]
    assert receive_close(second)[0] == 1001


# Each end has a code and a reason

@with_and_without_tls
@pytest.mark.parametrize("how, sentence, reason", [
    ("close", LEFT, "master-controller closed first"),
    ("reset", RESET, "the connection to master-controller failed: Connection reset by peer")])
def test_a_controller_that_ends_without_a_close(world, how, sentence, reason):
    c, b = world.tunnel()
    exchange(c, b)
    getattr(b, how)()
    assert closed(c) == [(1014, reason_to(c, sentence))]
    assert why(c) == reason


@with_and_without_tls
@pytest.mark.parametrize("how, reason", [
    ("close", "the client closed first"),
    ("reset", "the connection to the client failed: Connection reset by peer")])
def test_a_client_that_ends_without_a_close(world, how, reason):
    c, b = world.tunnel()
    exchange(c, b)
    getattr(c, how)()
    assert closed(b) == [(1001, "")]
    assert why(c) == reason


def test_ends_without_close_notify_have_a_code_too(secure):
    c, b = secure.tunnel()
    b.sock.cut()
    assert closed(c) == [(1014, reason_to(c, LEFT))]
    assert why(c) == "master-controller closed first, without TLS close_notify"
    c, b = secure.tunnel()
    c.sock.cut()
    assert closed(b) == [(1001, "")]
    assert why(c) == "the client closed first, without TLS close_notify"


@with_and_without_tls
def test_sigterm(world):
    c, b = world.tunnel()
    start = time.monotonic()
    stop(c)
    assert closed(c, b) == [(1001, reason_to(c, STOPPED)), (1001, "")]
    assert time.monotonic() - start < 1, "it waits although both have answered"
    assert why(c) == "stopped by SIGTERM"


@with_and_without_tls
@pytest.mark.parametrize("key, sentence, reason", [
    ("IdleTimeoutSec", "no data for IdleTimeoutSec=", "no data for IdleTimeoutSec="),
    ("SessionTimeoutSec", "the session has lasted for SessionTimeoutSec=",
     "open for SessionTimeoutSec=")])
def test_time_limits(world, key, sentence, reason):
    limits(world, **{key: SHORT})
    with not_before():
        c, b = world.tunnel()
        assert closed(c, b) == [(1008, reason_to(c, sentence)), (1001, "")]
    assert why(c) == reason


@with_and_without_tls
def test_a_client_that_answers_no_ping(world):
    limits(world, HeartbeatSec=SHORT)
    c, b = world.tunnel()
    start = time.monotonic()
    assert [receive(c).opcode for _ in range(2)] == [PING, PING]
    close = receive_close(b)
    assert 3 * SHORT - 0.05 < time.monotonic() - start < 3 * SHORT + LONG
    assert close == (1001, "")
    send_close(b, 1001)
    assert c.end() in ("FIN", "RST") and b.end() == "FIN"
    assert why(c) == "the client answered no Ping of HeartbeatSec="


@pytest.mark.parametrize("how, sentence", [("close", "Next.js closed the connection"),
                                           ("reset", "Next.js reset the connection"),
                                           ("SIGTERM", STOPPED)])
def test_hot_reload_names_nextjs(world, how, sentence):
    c, b = world.tunnel(upgrade("/_next/hmr"), backend=world.nextjs)
    stop(c) if how == "SIGTERM" else getattr(b, how)()
    assert closed(c) == [(1001 if how == "SIGTERM" else 1014, reason_to(c, sentence))]
    if how == "SIGTERM":
        assert receive_close(b) == (1001, "")
    assert c.log == []


def test_a_reason_fits_also_with_the_id_of_an_invocation(world):
    limits(world, SessionTimeoutSec=SHORT)
    invocation = "0123456789abcdef0123456789abcdef"
    c = world.direct(upgrade(), env={"INVOCATION_ID": invocation})
    b = world.tunnel_of(c)
    (_, reason), _ = closed(c, b)
    assert reason == f"the session has lasted for SessionTimeoutSec=; log id {invocation}"
    assert len(reason) <= 123 and not PRIVATE.search(reason)


def test_each_tunnel_has_a_masking_key_of_its_own(world):
    keys = set()
    for _ in range(4):
        c, b = world.tunnel()
        c.close()
        keys.add(receive_header(b)[2])
        b.close()
    assert len(keys) == 4 and bytes(4) not in keys


# A Close of their own

@with_and_without_tls
@either_side
@pytest.mark.parametrize("code, reason", [(1000, ""), (NO_CODE, ""), (4001, "b\xfcffer"),
                                          (1011, "x" * 123)], ids=["1000", "none", "4001", "long"])
def test_a_close_of_their_own_is_passed_on(world, who, code, reason):
    c, first, second = ends(world, who)
    send_close(first, code, reason)
    assert receive_close(second) == (code, reason)
    send(second, BINARY, b"last words")
    send_close(second, code)
    assert receive(first).payload == b"last words"
    assert receive_close(first) == (code, "")
    assert first.end() == second.end() == "FIN"
    assert why(c).startswith(f"closed by {NAMES[who]} ({code}")


@pytest.mark.parametrize("world", [("backend",), ("client", "backend")], indirect=True,
                         ids=["TLS backend", "TLS on both sides"])
@either_side
def test_an_end_without_close_notify_after_both_closes_is_a_normal_one(world, who):
    """As websockify does."""
    c, first, second = ends(world, who)
    b = first if who == "controller" else second
    send_close(first, 1000)
    assert receive_close(second) == (1000, "")
    send_close(second, 1000)
    b.sock.cut()
    assert receive_close(first) == (1000, "")
    assert c.end() == "FIN"
    assert why(c) == f"closed by {NAMES[who]} (1000)"
    assert len(c.log) == 3, c.log


@with_and_without_tls
def test_a_controller_that_ends_at_once_behind_its_close(world):
    c, b = world.tunnel()
    send_close(b, 1000, "bye")
    b.close()
    assert receive_close(c) == (1000, "bye")
    send_close(c, 1000)
    assert c.end() == "FIN"
    assert why(c) == "closed by the master-controller (1000: bye)"
    assert len(c.log) == 3, c.log


@with_and_without_tls
@pytest.mark.parametrize("reason", [b"", b"bye"])
def test_a_close_of_the_controller_with_1005_comes_without_a_code(world, reason):
    """As websockify 0.10 sends it. A browser makes 1006 of a Close with a code that must not be sent."""
    c, b = world.tunnel()
    send(b, CLOSE, NO_CODE.to_bytes(2, "big") + reason)
    assert receive_close(c) == (NO_CODE, "")
    send_close(c)
    assert receive_close(b) == (NO_CODE, "")
    assert c.end() == b.end() == "FIN"
    assert why(c).startswith("closed by the master-controller (1005")


@with_and_without_tls
def test_a_client_that_resets_behind_its_close_is_not_told_as_a_reset(world):
    """As a browser does whose page is left while the screen changes."""
    c, b = world.tunnel()
    send_close(c, 1001, "left")
    assert receive_close(b) == (1001, "left")
    c.reset()
    assert b.end() == "FIN"
    assert why(c) == "closed by the client (1001: left)"


@with_and_without_tls
@either_side
def test_an_answer_is_waited_for_lingertimeoutsec(world, who):
    """Then the gate answers with the same code (RFC 6455 5.5.1)."""
    limits(world, LingerTimeoutSec=SHORT)
    c, first, second = ends(world, who)
    with not_before():
        send_close(first, 4000, "bye")
        assert receive_close(second) == (4000, "bye")
        assert receive_close(first)[0] == 4000
    assert first.end() == second.end() == "FIN"
    assert why(c) == f"closed by {NAMES[who]} (4000: bye)"


@with_and_without_tls
@either_side
@pytest.mark.parametrize("how", ["close", "reset"])
def test_one_that_ends_instead_of_answering(world, who, how):
    c, first, second = ends(world, who)
    exchange(first, second)
    send_close(first, 4000, "bye")
    assert receive_close(second) == (4000, "bye")
    getattr(second, how)()
    assert receive_close(first)[0] == 4000
    assert first.end() == "FIN"
    assert why(c) == f"closed by {NAMES[who]} (4000: bye)"


@with_and_without_tls
@either_side
def test_nothing_is_put_in_behind_a_close(world, who):
    c, first, second = ends(world, who)
    send_close(first, 4000)
    assert receive_close(second) == (4000, "")
    stop(c)
    assert receive_close(first)[0] == 4000
    assert first.end() == second.end() == "FIN"
    assert why(c) == f"closed by {NAMES[who]} (4000)"


@pytest.mark.parametrize("reason, shown", [
    (b"", ""), (b"bye; x) (y", ": bye; x) (y"), ("b\xfc\n\\".encode(), r": b\xc3\xbc\x0a\x5c"),
    (b"\x1b[31m\xff", r": \x1b[31m\xff"), (b"%s%n", ": %s%n")])
@either_side
def test_the_text_of_a_close_is_escaped(world, who, reason, shown):
    c, first, second = ends(world, who)
    send(first, CLOSE, b"\x0f\xa1" + reason)
    assert receive(second) == Frame(CLOSE, b"\x0f\xa1" + reason)
    send_close(second, 4001)
    assert receive_close(first) == (4001, "")
    assert why(c) == f"closed by {NAMES[who]} (4001{shown})"


@either_side
def test_a_text_that_is_too_long_when_escaped_is_cut(world, who):
    c, first, second = ends(world, who)
    send(first, CLOSE, b"\x0f\xa1" + b"\x80" * 123)
    receive(second)
    send_close(second, 4001)
    assert re.fullmatch(rf"closed by {NAMES[who]} \(4001: (\\x80)+\.\.\.", why(c))
    assert len(c.log[-1]) < 1024


# Where a Close may be put in

@with_and_without_tls
@either_side
def test_a_close_waits_for_the_end_of_a_frame(world, who):
    c, first, second = ends(world, who)
    data = frame(first, BINARY, b"x" * 1000)
    first.send(data[:-1])
    assert second.exactly(len(data) - 1) == data[:-1]
    stop(c)
    assert receive_close(first)[0] == 1001
    second.quiet()
    first.send(data[-1:] + frame(first, BINARY, b"too late"))
    assert second.exactly(1) == data[-1:]
    assert receive_close(second)[0] == 1001
    send_close(first, 1001)
    send_close(second, 1001)
    assert first.end() == second.end() == "FIN"
    assert why(c) == "stopped by SIGTERM"


@with_and_without_tls
@either_side
def test_a_frame_that_does_not_end_is_cut(world, who):
    c, first, second = ends(world, who)
    data = frame(first, BINARY, b"x" * 1000)
    first.send(data[:-1])
    assert second.exactly(len(data) - 1) == data[:-1]
    with not_before(2):
        stop(c)
        assert receive_close(first)[0] == 1001      # which it cannot answer within its frame
        assert second.end() in ("FIN", "RST")
    assert why(c) == f"stopped by SIGTERM, in the middle of a frame to {PEERS[OTHER[who]]}"


@either_side
@pytest.mark.parametrize("how, reason", [
    ("close", "{} closed first"), ("reset", "the connection to {} failed: Connection reset by peer")])
def test_one_that_ends_in_the_middle_of_a_frame(world, who, how, reason):
    c, first, second = ends(world, who)
    data = frame(first, BINARY, b"x" * 1000)
    first.send(data[:-1])
    assert second.exactly(len(data) - 1) == data[:-1]
    getattr(first, how)()
    assert second.end() == ("FIN" if how == "close" else "RST")
    second.close()
    assert why(c) == f"{reason.format(PEERS[who])}, in the middle of a frame to {PEERS[OTHER[who]]}"


@with_and_without_tls
def test_frames_to_both_sides_are_cut(world):
    c, b = world.tunnel()
    for sender, receiver in (c, b), (b, c):
        data = frame(sender, BINARY, b"x" * 1000)
        sender.send(data[:-1])
        assert receiver.exactly(len(data) - 1) == data[:-1]
    stop(c)
    assert c.end() in ("FIN", "RST")
    assert b.end() in ("FIN", "RST")
    assert why(c) == "stopped by SIGTERM, in the middle of a frame to both sides"


@with_and_without_tls
@either_side
def test_a_close_may_come_between_two_fragments(world, who):
    c, first, second = ends(world, who)
    send(first, TEXT, b"once upon", final=False)
    assert receive(second) == Frame(TEXT, b"once upon", final=False)
    stop(c)
    assert [code for code, _ in closed(first, second)] == [1001, 1001]


@with_and_without_tls
def test_what_comes_after_the_closes_is_dropped(world):
    c, b = world.tunnel()
    stop(c)
    assert receive_close(c)[0] == receive_close(b)[0] == 1001
    for peer in c, b:
        send(peer, BINARY, b"too late")
        send_close(peer, 1001, "also too late")
    assert c.end() == b.end() == "FIN"


def test_half_a_frame_after_the_closes_is_not_cut(world):
    """The gate drops it, whether it is whole or not."""
    c, b = world.tunnel()
    stop(c)
    assert receive_close(c)[0] == receive_close(b)[0] == 1001
    b.send(frame(b, BINARY, b"too late")[:-1])
    b.close()
    send_close(c, 1001)
    assert c.end() == "FIN"
    assert why(c) == "stopped by SIGTERM"


@with_and_without_tls
@either_side
def test_large_frames_after_the_closes_are_dropped(world, threads, who):
    """The gate has opened a pipe for them."""
    c, first, second = ends(world, who)
    large = bytes(1 << 20)
    for _ in range(4):
        sending = threads.submit(send, first, BINARY, large)
        assert receive(second).payload == large
        sending.result()
    stop(c)
    assert receive_close(first)[0] == receive_close(second)[0] == 1001
    send(first, BINARY, large)
    send_close(first, 1001)
    send_close(second, 1001)
    assert first.end() == second.end() == "FIN"


def goes_on_sending(peer):
    """Sends frames until something comes, and some more; returns the Close that has come."""
    while not select.select([peer.sock], [], [], 0)[0]:
        send(peer, BINARY, b"x" * 1000)
    for _ in range(1000):
        send(peer, BINARY, b"x" * 1000)
    return receive_close(peer)


@with_and_without_tls
@either_side
@pytest.mark.parametrize("how", ["SIGTERM", "SessionTimeoutSec", "the other ends"])
def test_one_that_keeps_sending_gets_the_code(world, threads, who, how):
    limits(world, **({"SessionTimeoutSec": LONG} if how == "SessionTimeoutSec" else {}))
    c, first, second = ends(world, who)
    exchange(c, second if who == "client" else first)
    reading = None
    if how == "the other ends":
        second.half_close()
    else:
        reading = threads.submit(receive_up_to_close, second)
    if how == "SIGTERM":
        stop(c)
    code, _ = goes_on_sending(first)
    assert code == {"SIGTERM": 1001, "SessionTimeoutSec": 1008 if who == "client" else 1001,
                    "the other ends": 1014 if who == "client" else 1001}[how]
    send_close(first, code)
    if reading:
        reading.result()
        send_close(second, 1001)
    assert first.end() == "FIN"


@either_side
@pytest.mark.parametrize("size", [100, 60000, 1 << 20])
def test_one_that_sends_as_fast_as_it_can_gets_the_code(world, threads, who, size):
    limits(world, SessionTimeoutSec=SHORT)
    c, first, second = ends(world, who)
    data, enough = frame(first, BINARY, bytes(size)) * max(1, (1 << 20) // size), threading.Event()

    def flood():
        while not enough.is_set():
            first.send(data)
    flooding, reading = threads.submit(flood), threads.submit(receive_up_to_close, second)
    try:
        assert receive_close(first)[0] == (1008 if who == "client" else 1001)
        assert reading.result()[0] == (1001 if who == "client" else 1008)
    finally:
        enough.set()
    flooding.result()
    send_close(first, 1001)
    send_close(second, 1001)
    assert first.end() == second.end() == "FIN"
    assert why(c) == "open for SessionTimeoutSec="


@pytest.mark.parametrize("world", [(), ("backend",)], indirect=True, ids=["plain", "TLS backend"])
def test_a_client_that_can_send_no_more_gets_the_code(world):
    """Its bytes cannot be dropped while the master-controller reads none of them."""
    c, b = world.tunnel()
    c.send(header(c, BINARY, 1 << 40))
    fill(c)
    stop(c)
    assert receive_close(c) == (1001, reason_to(c, STOPPED))


@pytest.mark.parametrize("world", [(), ("client",)], indirect=True, ids=["plain", "TLS client"])
def test_a_client_that_reads_late_gets_whole_frames_and_the_code(world):
    c, b = world.tunnel()
    data = frame(b, BINARY, bytes(range(250)) * 240)
    fill(b, data)
    stop(c)
    count = 0
    while (f := receive(c)).opcode == BINARY:
        assert frame(b, BINARY, f.payload) == data
        count += 1
    assert count > 0 and f.opcode == CLOSE and f.payload[:2] == b"\x03\xe9"


@with_and_without_tls
def test_peers_that_do_not_answer_are_waited_for_two_seconds(world):
    c, b = world.tunnel()
    with not_before(2):
        stop(c)
        assert receive_close(c)[0] == receive_close(b)[0] == 1001
        assert c.end() == b.end() == "FIN"
    assert why(c) == "stopped by SIGTERM"


# Time limits

@with_and_without_tls
@either_side
def test_a_ping_of_their_own_is_no_data(world, who):
    limits(world, IdleTimeoutSec=LONG)
    c, first, second = ends(world, who)
    with not_before(LONG):
        for _ in range(2 * STEPS):
            send(first, PING, b"x")
            if receive(second).opcode == CLOSE:
                break
            time.sleep(STEP)
        else:
            pytest.fail("a Ping counts as data")
    receive_close(first)
    send_close(first, 1001)
    send_close(second, 1001)
    assert why(c) == "no data for IdleTimeoutSec="


# Bytes that are no frames

def with_key(sender, head, payload=b"rest"):
    """A frame with its first bytes as given, but for the bit of the mask."""
    if isinstance(sender, Client):
        return head[:1] + bytes([head[1] | 0x80]) + head[2:] + KEY + mask(payload, KEY)
    return head + payload


INVALID = {
    "reserved data opcode": lambda s: with_key(s, b"\x83\x04"),
    "reserved control opcode": lambda s: with_key(s, b"\x8b\x04"),
    "long Ping": lambda s: with_key(s, b"\x89\x7e\x00\x7e", b"x" * 126),
    "fragment of a Ping": lambda s: with_key(s, b"\x09\x04"),
    "wrong mask": lambda s: with_key(None, b"\x82\x04") if isinstance(s, Client)
    else b"\x82\x84" + KEY + b"rest",
    "length of 64 bits": lambda s: with_key(s, b"\x82\x7f" + b"\xff" * 8),
}
VALID = {
    "length in 2 bytes": lambda s: with_key(s, b"\x82\x7e\x00\x04"),
    "length in 8 bytes": lambda s: with_key(s, b"\x82\x7f" + bytes(7) + b"\x04"),
    "RSV bits": lambda s: with_key(s, b"\xf2\x04"),
    "continuation of nothing": lambda s: with_key(s, b"\x80\x04"),
    "message in a message": lambda s: with_key(s, b"\x01\x04") + with_key(s, b"\x82\x04"),
    "no UTF-8": lambda s: with_key(s, b"\x81\x01", b"\xff"),
}


def pass_on(first, second, data):
    for piece in (frame(first, TEXT, b"before"), data, b""):
        first.send(piece)
        assert second.exactly(len(piece)) == piece


@either_side
@pytest.mark.parametrize("what", INVALID)
def test_behind_bytes_that_are_no_frame_nothing_is_put_in(world, who, what):
    c, first, second = ends(world, who)
    pass_on(first, second, INVALID[what](first) + b"and more")
    stop(c)
    assert first.end() in ("FIN", "RST") and second.end() in ("FIN", "RST")
    assert why(c) == "stopped by SIGTERM"


@either_side
@pytest.mark.parametrize("what", VALID)
def test_what_is_not_judged_is_followed(world, who, what):
    c, first, second = ends(world, who)
    pass_on(first, second, VALID[what](first))
    stop(c)
    assert [code for code, _ in closed(first, second)] == [1001, 1001]


# permessage-deflate, by the client and the server of the package ws, which Next.js has

SERVER = """
const { WebSocketServer } = require('next/dist/compiled/ws');
new WebSocketServer({ port: process.argv[1], host: '127.0.0.1', perMessageDeflate: { threshold: 0 } },
                    () => console.log('Ready'))
  .on('connection', (socket) => socket
    .on('pong', () => socket.close(4009, 'a Pong without a Ping'))
    .on('message', (data, binary) =>
      String(data) === 'die' ? socket.terminate() : socket.send(data, { binary })));
"""
CLIENT = """
const WebSocket = require('next/dist/compiled/ws');
const [url, end] = process.argv.slice(1);
const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0 } });
const sent = ['', 'text '.repeat(200000), Buffer.alloc(1 << 20),
              require('crypto').randomBytes(70000), '\u00e9'];
const got = [];
let pings = 0;
socket.on('ping', () => pings++);
socket.on('open', () => {
  for (const message of sent.slice(0, -1)) socket.send(message);
  socket.send(sent[1].slice(0, 1000), { fin: false });
  setTimeout(() => { socket.send(sent[1].slice(1000)); socket.send(sent.at(-1)); }, 1500);
});
socket.on('message', (data, binary) => {
  got.push(binary ? data : String(data));
  if (got.length < sent.length + 1) return;
  const expected = sent.slice(0, -1).concat(sent[1], sent.at(-1));
  console.log(JSON.stringify({ extensions: socket.extensions, pings,
    same: got.every((g, i) => Buffer.from(g).equals(Buffer.from(expected[i]))) }));
  if (end === 'client') socket.close(4001, 'done');
  if (end === 'server') socket.send('die');
});
socket.on('close', (code, reason) => console.log(JSON.stringify([code, String(reason)])));
socket.on('error', (e) => console.log(JSON.stringify(String(e))));
"""


@pytest.fixture(scope="module")
def deflating_server():
    with nextjs.start(lambda port: ["-e", SERVER, str(port)], nextjs.DEMO) as url:
        yield url


@pytest.mark.parametrize("end", ["client", "server", "SIGTERM"])
def test_permessage_deflate_passes(world, deflating_server, end):
    world.configure("[Limits]\nHeartbeatSec=300ms", controller=deflating_server)
    with subprocess.Popen([nextjs.node(), "-e", CLIENT, f"ws://127.0.0.1:{world.gate.port}{NOVNC}", end],
                          cwd=nextjs.DEMO, stdout=subprocess.PIPE, text=True, env=clean_env()) as p:
        exchanged = json.loads(p.stdout.readline())
        process = only_process(world.gate)
        if end == "SIGTERM":
            os.kill(process.pid, signal.SIGTERM)
        code, reason = json.loads(p.stdout.readline())
    assert exchanged["extensions"] == "permessage-deflate" and exchanged["same"]
    assert exchanged["pings"] >= 2
    assert process.wait() == 0
    assert (code, reason) == {
        "client": (4001, "done"), "server": (1014, f"{LEFT}; log id novnc-gate[{process.pid}]"),
        "SIGTERM": (1001, f"{STOPPED}; log id novnc-gate[{process.pid}]")}[end]
    up = int(re.search(r"; (\d+) bytes up, ", process.log[-1])[1])
    assert up < 100_000, "it was not compressed"


def only_process(gate):
    """The newest process, that of a connection of which the tests have no socket."""
    with gate.changed:
        return gate.by_port.popitem()[1]
