"""HeartbeatSec: the Pings to a quiet client, which its Pongs answer, and the bytes around them."""

import contextlib
import os
import random
import select
import signal
import socket
import threading
import time
import zlib

import pytest

from gate import GROWTH_KB, Client, memory_kb
from test_timeouts import LONG, SHORT, STEP, STEPS, limits, not_before
from test_tunnel import fill, with_and_without_tls
from test_websocket import either_side, ends, why
from websocket import (BINARY, CLOSE, CONTINUATION, NO_FRAME, PING, PONG, TEXT, Frame, closed, code_and_reason,
                       frame, header, payload_in_pieces, receive, receive_close, receive_header,
                       receive_payload, send, send_close, unframed)


def answer(c):
    """The client gets a Ping and answers it; returns its payload."""
    ping = receive(c)
    assert ping.opcode == PING and ping.payload and ping.rsv == 0, ping
    send(c, PONG, ping.payload)
    return ping.payload


@with_and_without_tls
def test_a_quiet_client_gets_pings_and_its_pongs_go_no_further(world):
    limits(world, HeartbeatSec=SHORT)
    with not_before(5 * SHORT):
        c, b = world.tunnel()
        for _ in range(5):
            answer(c)
    send(c, TEXT, b"key")
    assert receive(b) == Frame(TEXT, b"key")
    send(b, TEXT, b"screen")
    assert receive(c) == Frame(TEXT, b"screen")


def test_heartbeatsec_of_0_is_no_ping(world):
    limits(world, HeartbeatSec=0)
    c, _ = world.tunnel()
    c.quiet(LONG)


def test_no_ping_goes_to_a_client_that_gets_something(world):
    limits(world, HeartbeatSec=LONG)
    c, b = world.tunnel()
    for _ in range(2 * STEPS):
        send(b, BINARY, b"x")
        assert receive(c).opcode == BINARY
        time.sleep(STEP)


def test_a_client_that_sends_gets_pings_all_the_same(world):
    """A proxy on its way may cut a connection on which nothing goes to the client."""
    limits(world, HeartbeatSec=LONG)
    c, b = world.tunnel()
    for _ in range(2 * STEPS):
        send(c, BINARY, b"x")
        assert receive(b).opcode == BINARY
        time.sleep(STEP)
    assert select.select([c.sock], [], [], 0)[0], "no Ping has come"
    assert receive(c).opcode == PING


@with_and_without_tls
def test_all_that_the_client_sends_is_a_sign_of_life(world):
    limits(world, HeartbeatSec=SHORT)
    c, b = world.tunnel()
    key = frame(c, BINARY, b"key")
    for piece in key, frame(c, PONG, b"of another Ping"), key[:1], key[1:]:
        for _ in range(2):
            assert receive(c).opcode == PING
        c.send(piece)
    assert [receive(b).payload for _ in range(3)] == [b"key", b"of another Ping", b"key"]


@with_and_without_tls
def test_no_ping_is_put_into_a_frame(world):
    limits(world, HeartbeatSec=SHORT)
    c, b = world.tunnel()
    data = frame(b, BINARY, b"x" * 1000)
    b.send(data[:1])
    assert c.exactly(1) == data[:1]
    c.quiet(3 * SHORT)
    b.send(data[1:-1])
    assert c.exactly(len(data) - 2) == data[1:-1]
    c.quiet(3 * SHORT)
    b.send(data[-1:])
    assert c.exactly(1) == data[-1:]
    answer(c)


def test_a_ping_may_come_between_two_fragments(world):
    limits(world, HeartbeatSec=SHORT)
    c, b = world.tunnel()
    send(b, TEXT, b"once upon", final=False)
    assert receive(c) == Frame(TEXT, b"once upon", final=False)
    answer(c)
    send(b, CONTINUATION, b" a time")
    assert receive(c) == Frame(CONTINUATION, b" a time")


def test_a_client_in_the_middle_of_its_own_frame_is_not_gone(world):
    """There it can send no Pong."""
    limits(world, HeartbeatSec=SHORT)
    c, b = world.tunnel()
    data = frame(c, BINARY, b"x" * 1000)
    c.send(data[:-1])
    assert b.exactly(len(data) - 1) == data[:-1]
    b.quiet(5 * SHORT)
    c.send(data[-1:] + frame(c, TEXT, b"and on"))
    assert b.exactly(1) == data[-1:]
    assert receive(b) == Frame(TEXT, b"and on")


@pytest.mark.parametrize("world", [(), ("client",)], indirect=True, ids=["plain", "TLS client"])
def test_a_client_for_which_bytes_wait_gets_no_ping_and_is_not_gone(world):
    limits(world, HeartbeatSec=SHORT)
    c, b = world.tunnel()
    data = frame(b, BINARY, bytes(range(250)) * 240)
    sent = fill(b, data)
    time.sleep(5 * SHORT)
    for _ in range(sent // len(data)):
        assert c.exactly(len(data)) == data
    b.send(data[sent % len(data):])
    assert c.exactly(len(data)) == data
    answer(c)
    send(c, TEXT, b"key")
    assert receive(b).payload == b"key"


def test_a_client_that_is_held_back_is_not_gone_when_its_bytes_move_again(world):
    """Behind them are its Pongs."""
    limits(world, HeartbeatSec=SHORT)
    c, b = world.tunnel()
    data = frame(c, BINARY, bytes(60000))
    sent = fill(c, data)
    for _ in range(3):
        assert receive(c).opcode == PING
    os.kill(c.pid, signal.SIGSTOP)      # so that a Ping is due in the moment in which they move
    while select.select([b.sock], [], [], SHORT)[0]:
        b.more()
    os.kill(c.pid, signal.SIGCONT)
    for _ in range(sent // len(data)):
        assert b.exactly(len(data)) == data
    c.send(data[sent % len(data):] + frame(c, TEXT, b"and on"))
    assert b.exactly(len(data)) == data
    assert receive(b) == Frame(TEXT, b"and on")


def read_slowly(c, stop):
    """Reads binary frames, with pauses, up to what stop(frame) is true for; returns it and the bytes before."""
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    total = 0
    while not stop(f := receive(c)):
        if f.opcode == BINARY:
            total += len(f.payload)
            time.sleep(0.03)
    return f, total


def test_a_client_that_reads_slowly_is_not_gone(world):
    """All that it has to read is in the kernel's buffers, and before a Ping that would be sent."""
    limits(world, HeartbeatSec=0.2)
    c, b = world.tunnel()
    count, size = 100, 1 << 14
    b.send(frame(b, BINARY, bytes(size)) * count)
    send(b, TEXT, b"last")
    last, total = read_slowly(c, lambda f: f.opcode == TEXT)
    assert (last.payload, total) == (b"last", count * size)


def test_a_client_that_reads_slowly_gets_all_and_the_close(world):
    """It takes longer than the two seconds for an answer, and sends meanwhile."""
    c, b = world.tunnel()
    count, size = 250, 1 << 14
    b.send(frame(b, BINARY, bytes(size)) * count)
    b.close()

    def stop(f):
        with contextlib.suppress(ConnectionError):      # the gate may have gone before the last one is read
            send(c, BINARY, b"key")
        return f.opcode == CLOSE

    f, total = read_slowly(c, stop)
    assert (f.payload[:2], total) == ((1014).to_bytes(2, "big"), count * size)


@with_and_without_tls
def test_pings_and_pongs_of_their_own_pass(world):
    limits(world, HeartbeatSec=LONG)
    c, b = world.tunnel()
    own = answer(c)
    for opcode in PING, PONG:
        for payload in b"", own[:-1], own + b"x", own[:-1] + bytes([own[-1] ^ 1]):
            for a, z in (c, b), (b, c):
                send(a, opcode, payload)
                assert receive(z) == Frame(opcode, payload)
    send(c, PING, own)
    assert receive(b) == Frame(PING, own)
    send(b, PONG, own)
    assert receive(c) == Frame(PONG, own)


@with_and_without_tls
def test_a_pong_is_recognised_however_it_comes(world):
    limits(world, HeartbeatSec=LONG)
    c, b = world.tunnel()
    own = answer(c)
    c.send(frame(c, TEXT, b"before") + frame(c, PONG, own, key=b"abcd") + frame(c, PONG, own)
           + frame(c, TEXT, b"behind"))
    assert [receive(b).payload for _ in range(2)] == [b"before", b"behind"]
    for byte in frame(c, PONG, own):
        c.send(bytes([byte]))
    b.quiet()
    other = frame(c, PONG, own[:-1] + bytes([own[-1] ^ 1]))
    for byte in other + frame(c, TEXT, b"behind"):
        c.send(bytes([byte]))
    assert b.exactly(len(other)) == other
    assert receive(b).payload == b"behind"


def test_a_part_of_a_pong_is_not_passed_on_before_the_end(world):
    limits(world, HeartbeatSec=SHORT)
    c, b = world.tunnel()
    c.send(frame(c, PONG, receive(c).payload)[:-1])
    c.half_close()
    assert closed(b) == [(1001, "")]


def test_bytes_that_are_no_frames_get_no_ping(world):
    limits(world, HeartbeatSec=SHORT)
    c, b = unframed(*world.tunnel())
    c.quiet(5 * SHORT)
    c.send(b"y")
    assert b.exactly(1) == b"y"


def test_a_client_that_sends_no_frames_is_not_gone(world):
    """It would not understand a Ping."""
    limits(world, HeartbeatSec=SHORT)
    c, b = world.tunnel()
    c.send(NO_FRAME)
    assert b.exactly(1) == NO_FRAME
    c.quiet(5 * SHORT)
    c.send(b"y")
    assert b.exactly(1) == b"y"


@either_side
def test_no_ping_follows_a_close(world, who):
    limits(world, HeartbeatSec=SHORT)
    c, first, second = ends(world, who)
    send_close(first, 1000)
    assert receive_close(second) == (1000, "")
    c.quiet(4 * SHORT)
    send_close(second, 1000)
    assert receive_close(first) == (1000, "")


def test_pings_and_pongs_are_no_data(world):
    limits(world, HeartbeatSec=STEP, IdleTimeoutSec=LONG)
    c, b = world.tunnel()
    with not_before(LONG):
        for _ in range(2 * STEPS):
            if (f := receive(c)).opcode == PING:
                send(c, PONG, f.payload)
            else:
                break
    assert code_and_reason(f)[0] == 1008
    assert receive_close(b) == (1001, "")


# Frames of all lengths, and pauses in which Pings go out

NOISE = memoryview(os.urandom(1 << 24))
PAUSE = 0.1


def lengths(rng):
    """The limits of each form of a length first, then at random; as many from 1 to 2 as from 8 M to 16 M."""
    yield from (0, 125, 126, 65535, 65536, len(NOISE))
    while True:
        yield int(2 ** rng.uniform(-1, 24))


def send_messages(sender, total, enough=lambda: True, lock=None, pause=PAUSE):
    """Sends so many bytes, or up to four times as many until it is enough; in messages of up to five
    fragments, with pauses at their boundaries, and the backend also within a fragment. Then a Close with
    the checksum of all."""
    rng, crc, lock = random.Random(type(sender).__name__), 0, lock or threading.Lock()
    length, limit = lengths(rng), -3 * total
    while total > 0 or (total > limit and not enough()):
        fragments = rng.choice((1, 1, 2, 5))
        for n in range(fragments):
            size = next(length)
            start = rng.randrange(len(NOISE) - size + 1)
            payload = NOISE[start:start + size]
            head = header(sender, CONTINUATION if n else BINARY, size, final=n == fragments - 1,
                          key=rng.randbytes(4))
            cut = rng.randrange(size + 1) if rng.random() < 0.2 else size
            with lock:
                sender.send(head, payload[:cut])
                if cut < size and not isinstance(sender, Client):
                    time.sleep(pause)
                sender.send(payload[cut:])
            crc = zlib.crc32(payload, zlib.crc32(head, crc))
            total -= len(head) + size
            if rng.random() < 0.9:
                time.sleep(pause)
    with lock:
        send_close(sender, 1000, str(crc))


def read_messages(peer, on_ping=None):
    """Reads up to the Close, whose checksum must be right; returns the number of bytes without Pings."""
    crc = total = 0
    while True:
        f, length, key, head = receive_header(peer)
        if f.opcode == PING:
            on_ping(receive_payload(peer, length, key))
        elif f.opcode == CLOSE:
            close = f._replace(payload=receive_payload(peer, length, key))
            assert code_and_reason(close) == (1000, str(crc))
            return total
        else:
            total += len(head) + length
            crc = zlib.crc32(head, crc)
            for piece in payload_in_pieces(peer, length):
                crc = zlib.crc32(piece, crc)


def both_ways(world, threads, total, beat, least_pings):
    world.configure(f"[Limits]\nHeartbeatSec={beat}")
    c, b = world.tunnel()
    before = memory_kb(c.pid)
    pings, lock = [], threading.Lock()

    def pong(payload):
        with lock:
            send(c, PONG, payload)
        pings.append(payload)

    def enough():
        return len(pings) >= least_pings or any(r.done() for r in reading)

    reading = threads.submit(read_messages, b), threads.submit(read_messages, c, pong)
    sending = (threads.submit(send_messages, c, total, enough, lock),
               threads.submit(send_messages, b, total, enough))
    while not all(s.done() for s in sending):
        with contextlib.suppress(OSError):      # it has exited
            assert memory_kb(c.pid) - before < GROWTH_KB
        time.sleep(PAUSE)
    for s in sending:
        s.result()
    for r in reading:
        assert r.result() >= total
    assert len(pings) >= least_pings and len(set(pings)) == 1
    assert c.end() == b.end() == "FIN"
    assert why(c).startswith("closed by ")


def test_frames_of_all_lengths_both_ways_with_fifty_pings(world, threads):
    both_ways(world, threads, 64 << 20, "70ms", 50)


@pytest.mark.long
def test_a_gibibyte_of_frames_both_ways_with_a_thousand_pings(world, threads):
    both_ways(world, threads, 1 << 30, "50ms", 1000)


def test_frames_of_all_lengths_down_through_tls(secure, threads):
    secure.configure("[Limits]\nHeartbeatSec=50ms")
    c, b = secure.tunnel()
    pings = []

    def pong(payload):
        send(c, PONG, payload)
        pings.append(payload)

    def enough():
        return len(pings) >= 30 or reading.done()

    reading = threads.submit(read_messages, c, pong)
    sending = threads.submit(send_messages, b, 32 << 20, enough)
    assert reading.result() >= 32 << 20
    sending.result()
    send_close(c, 1000)
    assert receive_close(b) == (1000, "")


def test_frames_of_all_lengths_up_through_tls(secure, threads):
    c, b = secure.tunnel()
    sending = threads.submit(send_messages, c, 32 << 20, pause=0)
    assert read_messages(b) >= 32 << 20
    sending.result()
    send_close(b, 1000)
    assert receive_close(c) == (1000, "")
