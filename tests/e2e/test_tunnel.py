"""The tunnel of bytes that are no WebSocket frames: every byte, in order, both ways, until both
directions have ended. test_websocket.py has frames."""

import os
import pathlib
import random
import signal
import socket
import statistics
import threading
import time
import zlib

import pytest

from gate import (DEADLINE, GROWTH_KB, SANITIZED, Ended, cpu_seconds, memory_kb, request, switching,
                  upgrade)
from websocket import BINARY, NO_FRAME, receive, send, unframed

# Not a multiple of any buffer.
BLOCK = memoryview(NO_FRAME + os.urandom((1 << 20) + 4098))


def send_stream(peer, total):
    """Send total bytes of the stream that is BLOCK over and over."""
    while total:
        piece = BLOCK[:min(total, len(BLOCK))]
        peer.sock.sendall(piece)
        total -= len(piece)


def read_stream(peer, total):
    """CRC of exactly so many bytes, or of fewer if the end comes first."""
    crc = zlib.crc32(peer.buf)
    total -= len(peer.buf)
    peer.buf = b""
    room = memoryview(bytearray(1 << 20))
    while total and (n := peer.sock.recv_into(room[:min(total, len(room))])):
        crc = zlib.crc32(room[:n], crc)
        total -= n
    assert total == 0, f"{total} bytes never came"
    return crc


def crc_of_stream(total):
    crc = 0
    while total:
        piece = BLOCK[:min(total, len(BLOCK))]
        crc = zlib.crc32(piece, crc)
        total -= len(piece)
    return crc


def fill(peer, stream=BLOCK):
    """Sends the stream until the peer takes no more; returns the number of bytes."""
    sent = 0
    peer.sock.settimeout(0.3)
    try:
        while True:
            sent += peer.sock.send(stream[sent % len(stream):])
    except TimeoutError:
        peer.sock.settimeout(10)
        return sent


def tunnel_in(world, direction):
    """The client, and the ends that the direction leads from and to; the bytes are no frames."""
    c, b = unframed(*world.tunnel())
    return (c, c, b) if direction == "up" else (c, b, c)


with_and_without_tls = pytest.mark.parametrize(
    "world", [(), ("client",), ("backend",), ("client", "backend")], indirect=True,
    ids=["plain", "TLS client", "TLS backend", "TLS on both sides"])


@with_and_without_tls
def test_every_byte_value_both_ways(world):
    c, b = world.tunnel()
    data = bytes(range(256)) * 3
    c.send(data)
    b.send(data[::-1])
    assert b.exactly(len(data)) == data
    assert c.exactly(len(data)) == data[::-1]


@with_and_without_tls
def test_bytes_that_look_like_http_are_just_bytes(world):
    c, b = unframed(*world.tunnel())
    for data in (request("GET", "/x"), upgrade("/evil"), b"0\r\n\r\n", b"GET / HTTP/9.9\n\n"):
        c.send(data)
        assert b.exactly(len(data)) == data
        b.send(switching() + data)
        assert c.exactly(len(switching() + data)) == switching() + data
    world.nextjs.untouched()


@with_and_without_tls
@pytest.mark.parametrize("seed", range(3))
def test_ping_pong_of_random_sizes(world, seed):
    rng = random.Random(seed)
    c, b = unframed(*world.tunnel())
    for _ in range(200):
        a, z = (c, b) if rng.random() < 0.5 else (b, c)
        data = rng.randbytes(rng.choice((1, 2, 100, 1448, 4096, 65536)))
        a.send(data)
        assert z.exactly(len(data)) == data


def test_a_key_stroke_is_not_held_back(world):
    """With Nagle's algorithm a second byte would wait for a delayed ACK, which takes 40 ms."""
    c, b = world.tunnel()
    rounds = []
    for _ in range(50):
        start = time.monotonic()
        for near, far, byte in (c, b, b"a"), (c, b, b"b"), (b, c, b"c"), (b, c, b"d"):
            send(near, BINARY, byte)
            assert receive(far).payload == byte
        rounds.append(time.monotonic() - start)
    assert statistics.median(rounds) < 0.04, rounds


def test_a_gibibyte_each_way_at_once(world, threads):
    total = 1 << 30
    c, b = world.tunnel()
    before = memory_kb(c.pid)
    up, down = threads.submit(read_stream, b, total), threads.submit(read_stream, c, total)
    ends = threads.submit(send_stream, c, total), threads.submit(send_stream, b, total)
    expected = crc_of_stream(total)
    for end in ends:
        end.result()
    assert up.result() == down.result() == expected
    assert memory_kb(c.pid) - before < GROWTH_KB


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_reader_that_stalls_costs_no_memory_and_no_byte(world, direction):
    c, sender, reader = tunnel_in(world, direction)
    before = memory_kb(c.pid)
    sent = fill(sender)
    assert sent < 64 << 20, "the sender was never held back"
    assert memory_kb(c.pid) - before < GROWTH_KB
    used = cpu_seconds(c.pid)
    reader.sock.settimeout(0.5)
    sender.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        sender.sock.recv(1)
    assert cpu_seconds(c.pid) - used < 0.05, "busy while nothing can move"
    reader.sock.settimeout(10)
    assert read_stream(reader, sent) == crc_of_stream(sent)
    sender.sock.settimeout(10)
    sender.send(b"still there")
    assert reader.exactly(11) == b"still there"


def test_a_stalled_direction_does_not_stall_the_other(world):
    c, b = world.tunnel()
    sent = fill(b)
    for _ in range(20):
        c.send(b"key")
        assert b.exactly(3) == b"key"
    assert read_stream(c, sent) == crc_of_stream(sent)


def test_both_directions_stalled_at_once_lose_nothing(world):
    c, b = world.tunnel()
    down, up = fill(b), fill(c)
    assert read_stream(c, down) == crc_of_stream(down)
    assert read_stream(b, up) == crc_of_stream(up)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def wake_ups(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("voluntary_ctxt_switches:")[1].split()[0])


PAGES_KEPT_KB = 8   # a page for each direction
TAKEN_KB = 48       # less than one read into a buffer


class Peak:
    """The maximum of a process's private memory, which a thread samples."""

    def __init__(self, pid):
        self.pid, self.kb, self.stop = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self):
        while not self.stop.is_set():
            self.kb = max(self.kb, memory_kb(self.pid, "Private_Dirty"))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def test_a_tunnel_at_rest_gives_back_memory_and_descriptors(world):
    c, b = world.tunnel()
    fresh, files = memory_kb(c.pid, "Private_Dirty"), descriptors(c.pid)
    for _ in range(2):
        with Peak(c.pid) as peak:
            for sender, receiver in ((c, b), (b, c)):
                sent = fill(sender)
                assert read_stream(receiver, sent) == crc_of_stream(sent)
        # the memory of a sanitizer grows with each call and is never given back
        allowed = peak.kb - TAKEN_KB if SANITIZED else fresh + PAGES_KEPT_KB
        end = time.monotonic() + DEADLINE
        while memory_kb(c.pid, "Private_Dirty") > allowed or descriptors(c.pid) > files:
            assert time.monotonic() < end, "it keeps what it had"
            c.quiet(0.05)
    before = wake_ups(c.pid)
    c.quiet(1.2)
    assert wake_ups(c.pid) == before
    c.send(b"x")
    assert b.exactly(1) == b"x"


def wakes_up(pid, before, seconds):
    end = time.monotonic() + seconds
    while wake_ups(pid) == before and time.monotonic() < end:
        time.sleep(0.001)
    return wake_ups(pid) != before


def test_a_tunnel_at_rest_keeps_bytes_that_are_not_sent_yet(world):
    c, b = world.tunnel()
    sent, taken = 0, True
    while taken:    # in pieces too small for a pipe, until one stays in the gate's buffer
        before = wake_ups(c.pid)
        sent += c.sock.send(BLOCK[sent % len(BLOCK):][:16384])
        taken = wakes_up(c.pid, before, 0.3)
    assert wakes_up(c.pid, before, DEADLINE), "it gives nothing back"
    assert read_stream(b, sent) == crc_of_stream(sent)


def test_a_tls_tunnel_gives_back_memory_again_and_again(secure):
    c, b = secure.tunnel()

    def gives_back_after_much():
        c.send(b"x" * 100_000)
        assert b.exactly(100_000) == b"x" * 100_000
        b.send(b"y" * 100_000)
        assert c.exactly(100_000) == b"y" * 100_000
        much, end = memory_kb(c.pid), time.monotonic() + 2
        while memory_kb(c.pid) >= much and time.monotonic() < end:
            time.sleep(0.001)
        return memory_kb(c.pid) < much
    # on a busy machine the test may miss it once
    assert any(gives_back_after_much() for _ in range(4)), "it gives nothing back"
    assert any(gives_back_after_much() for _ in range(4)), "it gives nothing back"


# Half-close

@with_and_without_tls
@pytest.mark.parametrize("direction", ["up", "down"])
def test_half_close_is_passed_on_and_the_other_direction_lives(world, direction):
    c, first, second = tunnel_in(world, direction)
    first.send(b"bye")
    first.half_close()
    assert second.exactly(3) == b"bye" and second.end() == "FIN"
    used = cpu_seconds(c.pid)
    first.quiet(0.5)
    assert cpu_seconds(c.pid) - used < 0.05, "busy while one direction has ended"
    for _ in range(10):
        second.send(b"x" * 1000)
        assert first.exactly(1000) == b"x" * 1000
    second.close()
    assert first.end() == "FIN"
    assert c.exited() == 0


@pytest.mark.parametrize("direction", ["up", "down"])
def test_bytes_sent_before_a_half_close_arrive(world, direction, threads):
    _, first, second = tunnel_in(world, direction)
    total = 20_000_000

    def all_and_fin():
        send_stream(first, total)
        first.half_close()
    sending = threads.submit(all_and_fin)
    second.send(b"go")
    assert first.exactly(2) == b"go"
    assert read_stream(second, total) == crc_of_stream(total)
    sending.result()
    assert second.end() == "FIN"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_bytes_sent_before_a_close_arrive(world, direction):
    """Also with all of them still on their way."""
    c, first, second = tunnel_in(world, direction)
    sent = fill(first)
    first.close()
    assert read_stream(second, sent) == crc_of_stream(sent)
    assert second.end() == "FIN"
    second.close()
    assert c.exited() == 0


@with_and_without_tls
def test_both_close_at_once(world):
    c, b = unframed(*world.tunnel())
    c.close()
    b.close()
    assert c.exited() == 0


# Resets

@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("stalled", [False, True], ids=["idle", "with bytes on the way"])
def test_a_reset_ends_both_sides(world, stalled, direction):
    c, first, second = tunnel_in(world, direction)
    pid = c.pid
    if stalled:
        fill(first)
    first.reset()
    with pytest.raises((Ended, ConnectionResetError)):
        while True:
            second.more()
            second.buf = b""
    second.close()
    assert c.exited() == 0 and pid == c.pid


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_reset_of_one_that_does_not_read(world, direction):
    c, first, second = tunnel_in(world, direction)
    pid = c.pid
    fill(second)
    first.reset()
    with pytest.raises((OSError, Ended)):
        while True:
            second.send(b"x" * 65536)
    second.close()
    assert c.exited() == 0 and pid == c.pid


@with_and_without_tls
def test_sigterm_ends_a_tunnel_at_once(world):
    """Without the second in which the end of a frame would be waited for."""
    c, b = unframed(*world.tunnel())
    start = time.monotonic()
    os.kill(c.pid, signal.SIGTERM)
    assert c.end() in ("FIN", "RST") and b.end() in ("FIN", "RST")
    assert time.monotonic() - start < 0.9
    assert c.exited() == 0


def test_sigterm_amid_a_stream(world):
    c, b = world.tunnel()
    fill(b)
    os.kill(c.pid, signal.SIGTERM)
    assert c.exited() == 0
    with pytest.raises((OSError, Ended)):
        while True:
            b.send(b"x" * 65536)


# The sockets

def timer_of(local, remote):
    """The kernel's timer of a connection on 127.0.0.1; "02" is a keep-alive probe's."""
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(f.split(":")[1], 16) for f in fields[1:3]]
        if ports == [local, remote]:
            return fields[5].split(":")[0]
    raise AssertionError("no such connection")


def test_both_ends_have_keep_alive_probes(world):
    c, b = world.tunnel()
    c.send(b"x")
    b.exactly(1)
    b.send(b"x")
    c.exactly(1)
    for end in c, b:
        for _ in range(100):
            if timer_of(end.sock.getpeername()[1], end.sock.getsockname()[1]) == "02":
                break
            end.quiet()     # until the byte is acknowledged
        else:
            pytest.fail("not probed")


@pytest.mark.parametrize("buffer", [4096, 100000])
def test_small_socket_buffers_lose_nothing(world, buffer, threads):
    world.controller.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    c, b = world.tunnel()
    total = 2_000_000
    sending = threads.submit(send_stream, c, total)
    assert read_stream(b, total) == crc_of_stream(total)
    sending.result()
