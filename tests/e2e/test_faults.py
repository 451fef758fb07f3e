"""System calls that strace makes fail, while nothing is wrong with the peers."""

import concurrent.futures
import contextlib
import errno
import os
import re
import signal
import subprocess

import pytest

from gate import Ended, chunked, head, request, switching, upgrade
from test_heartbeat import read_messages, send_messages
from test_log import closing_fields, full_pipe, journal
from test_tunnel import BLOCK, crc_of_stream, fill, read_stream, send_stream
from websocket import BINARY, closed, frame, reason_to, receive, receive_close, send, send_close, unframed


if subprocess.run(["strace", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL,
                  check=False).returncode:
    pytest.skip("may not trace processes here", allow_module_level=True)


@contextlib.contextmanager
def failing(pid, *faults):
    """Makes system calls of that process fail; fault: as in strace --inject=writev:error=EIO:when=1."""
    if os.geteuid():
        pytest.skip("only root may trace a process in its sandbox")
    calls = ",".join(fault.split(":")[0] for fault in faults)
    injections = [word for fault in faults for word in ("-e", f"inject={fault}")]
    with subprocess.Popen(["strace", "-f", "-p", str(pid), "-e", f"trace={calls}", *injections,
                           "-o", "/dev/null"], stderr=subprocess.PIPE, text=True) as tracer:
        try:
            assert re.fullmatch(r"strace: Process \d+ attached\n", tracer.stderr.readline())
            yield
        finally:
            tracer.terminate()


LOCAL = ["ENOMEM", "ENOBUFS", "EIO", "EINVAL"]


def words(error):
    return os.strerror(getattr(errno, error))


def close_delimited(world, version="1.1"):
    """A client in the middle of a close-delimited response."""
    c = world.client(request(version=version))
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK") + b"hello")
    c.until(b"hello")
    return c, b


def end_after(peer):
    with pytest.raises(Ended) as e:
        while True:
            peer.more()
    return e.value.how


FAILED = {
    "client": "the connection to the client failed",
    "backend": "the connection to master-controller failed",
    "Next.js": "the connection to Next.js failed",
}


def session_failed(c, reason):
    """After its tunnel, a session has two entries more: the fault and the end, with the same reason."""
    fault, closed = c.log[2:]
    assert fault == f"Internal error: {reason}"
    assert closed.startswith("noVNC session closed: ") and f" ({reason}; " in closed


@pytest.mark.parametrize("error", LOCAL)
def test_a_failed_write_to_the_client_resets_it(world, error):
    c, b = close_delimited(world)
    with failing(c.pid, f"writev:error={error}:when=1"):
        b.send(b"never to be seen")
        assert end_after(c) == "RST"
    assert c.exited() == 0
    assert c.log == [f"Internal error: {FAILED['client']}: {words(error)}"]


@pytest.mark.parametrize("error", ["ENOMEM", "EIO"])
@pytest.mark.parametrize("nth", [1, 2], ids=["in", "out"])
def test_a_failed_splice_resets_the_client(world, nth, error):
    c, b = close_delimited(world)
    sent = fill(b)          # so that the gate makes a pipe
    assert read_stream(c, sent) == crc_of_stream(sent)
    with failing(c.pid, f"splice:error={error}:when={nth}"):
        b.send(b"never to be seen")
        assert end_after(c) == "RST"
    assert c.exited() == 0
    assert c.log == [f"Internal error: {FAILED['Next.js' if nth == 1 else 'client']}: {words(error)}"]


def test_a_failed_write_in_a_chunked_body_ends_the_connection(world):
    c = world.client(request())
    b = world.nextjs.asked()
    b.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + chunked(b"hello")[:-5])
    c.until(b"hello\r\n")
    with failing(c.pid, "writev:error=ENOMEM:when=1"):
        b.send(b"5\r\nnever\r\n")
        assert end_after(c) in ("FIN", "RST")
    assert c.exited() == 0


@pytest.mark.parametrize("error", LOCAL)
@pytest.mark.parametrize("to", ["client", "backend"])
def test_a_write_in_a_tunnel_that_fails_resets_both_sides(world, to, error):
    world.configure("[Limits]\nLingerTimeoutSec=1h")
    c, b = unframed(*world.tunnel())
    sender = b if to == "client" else c
    with failing(c.pid, f"writev:error={error}:when=1"):
        sender.send(b"never to be seen")
        assert end_after(c) == end_after(b) == "RST"
    assert c.exited() == 0
    session_failed(c, f"{FAILED[to]}: {words(error)}")


def told_of_a_fault(c):
    return [(1011, reason_to(c, "a fault of the server"))]


@pytest.mark.parametrize("error", LOCAL)
def test_a_failed_write_to_the_backend_is_told_to_the_client(world, error):
    c, b = world.tunnel()
    with failing(c.pid, f"writev:error={error}:when=1"):
        send(c, BINARY, b"never to be seen")
        assert closed(c) == told_of_a_fault(c)
    end_after(b)
    assert c.exited() == 0
    session_failed(c, f"{FAILED['backend']}: {words(error)}")


@pytest.mark.parametrize("error", LOCAL)
def test_a_failed_write_to_the_client_is_told_to_the_backend(world, error):
    c, b = world.tunnel()
    with failing(c.pid, f"writev:error={error}:when=1"):
        send(b, BINARY, b"never to be seen")
        assert receive_close(b) == (1001, "")
    b.close()
    end_after(c)
    assert c.exited() == 0
    session_failed(c, f"{FAILED['client']}: {words(error)}")


def test_a_write_to_the_backend_that_fails_does_not_wait_for_the_client_to_read(world):
    c, b = world.tunnel()
    fill(b)
    with failing(c.pid, "writev:error=ENOMEM:when=1"):
        c.send(b"never to be seen")
        c.logged("Internal error: .* Cannot allocate memory")
    assert end_after(c) == "RST"
    b.close()
    assert c.exited() == 0


def test_a_write_to_a_backend_that_is_gone_is_the_last_one(world):
    c, b = world.tunnel()
    fill(b, frame(b, BINARY, bytes(1 << 16)))
    with failing(c.pid, "writev:error=ETIMEDOUT:when=1"):
        send(c, BINARY, b"never to be seen")
        end_after(c)
        assert b.end() in ("FIN", "RST")
    assert c.exited() == 0
    assert f" ({FAILED['backend']}: {words('ETIMEDOUT')}" in c.log[-1]


def test_what_a_client_sent_before_a_write_to_it_fails_is_read(world):
    c, b = world.tunnel()
    with failing(c.pid, "recvfrom:error=EAGAIN:when=1", "writev:error=EPIPE:when=1"):
        os.kill(c.pid, signal.SIGSTOP)
        send(b, BINARY, b"never to be seen")
        send_close(c, 4001, "left")
        os.kill(c.pid, signal.SIGCONT)
        assert receive_close(b) == (4001, "left")
    assert b.end() == "FIN"
    assert c.exited() == 0
    assert "(closed by the client (4001: left); " in c.log[-1]


@pytest.mark.parametrize("of", ["client", "backend"])
def test_a_read_in_a_tunnel_that_fails_resets_both_sides(world, of):
    c, b = unframed(*world.tunnel())
    sender = c if of == "client" else b
    with failing(c.pid, "recvfrom:error=ENOMEM:when=1"):
        sender.send(b"never to be read")
        assert end_after(c) == end_after(b) == "RST"
    assert c.exited() == 0
    session_failed(c, f"{FAILED[of]}: {words('ENOMEM')}")


@pytest.mark.parametrize("of", ["client", "backend"])
def test_a_read_that_fails_is_told_to_both_sides(world, of):
    c, b = world.tunnel()
    with failing(c.pid, "recvfrom:error=ENOMEM:when=1"):
        send(c if of == "client" else b, BINARY, b"never to be read")
        assert [receive_close(c), receive_close(b)] == [*told_of_a_fault(c), (1001, "")]
    c.close()
    b.close()
    assert c.exited() == 0
    session_failed(c, f"{FAILED[of]}: {words('ENOMEM')}")


@pytest.mark.parametrize("error", ["ENOMEM", "EINVAL"])
def test_a_poll_that_fails_resets_both_sides(world, error):
    c, b = unframed(*world.tunnel())
    with failing(c.pid, f"poll,ppoll:error={error}:when=1"):
        c.send(b"x")
        assert end_after(c) == end_after(b) == "RST"
    assert c.exited() == 0
    session_failed(c, f"poll: {words(error)}")


@pytest.mark.parametrize("error", ["ENOMEM", "EINVAL"])
def test_a_poll_that_fails_is_told_to_both_sides(world, error):
    c, b = world.tunnel()
    with failing(c.pid, f"poll,ppoll:error={error}:when=1"):
        send(c, BINARY, b"x")
        assert receive(b).payload == b"x"
        assert closed(c, b) == [*told_of_a_fault(c), (1001, "")]
    assert c.exited() == 0
    session_failed(c, f"poll: {words(error)}")


def test_the_closing_entry_has_the_code_of_a_fault(world, journal):
    journal, arguments = journal
    c = world.direct(upgrade(), **arguments)
    b = world.tunnel_of(c)
    with failing(c.pid, "poll,ppoll:error=ENOMEM:when=1"):
        send(c, BINARY, b"x")
        assert receive(b).payload == b"x"
        closed(c, b)
    assert closing_fields(journal) == ("novnc-gate", "1011")


@pytest.mark.parametrize("error", ["EAGAIN", "EINTR"])
def test_a_poll_that_has_to_be_called_again_is_no_end(world, error):
    c, b = world.tunnel()
    with failing(c.pid, f"poll,ppoll:error={error}:when=1..20"):
        for _ in range(30):
            c.send(b"key")
            assert b.exactly(3) == b"key"
            b.send(b"screen")
            assert c.exactly(6) == b"screen"


@pytest.mark.parametrize("error", ["EAGAIN", "EINTR"])
def test_a_poll_that_has_to_be_called_again_extends_no_time_out(world, error):
    world.configure("[Limits]\nIdleTimeoutSec=500ms")
    c, b = world.tunnel()
    with failing(c.pid, f"poll,ppoll:error={error}:when=1+"):
        send(c, BINARY, b"x")
        assert receive(b).payload == b"x"
        assert [receive_close(c)[0], receive_close(b)[0]] == [1008, 1001]
        c.logged("IdleTimeoutSec=")


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("when", ["", ":when=2+2", ":when=1", ":when=2"],
                         ids=["always", "out", "the first", "the second"])
def test_without_splice_bytes_are_copied(world, when, direction):
    c, b = unframed(*world.tunnel())
    source, sink = (c, b) if direction == "up" else (b, c)
    sent = fill(source)     # so that the gate makes a pipe
    assert read_stream(sink, sent) == crc_of_stream(sent)
    with failing(c.pid, f"splice:error=EINVAL{when}"):
        total = 30 * len(BLOCK)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            sending = pool.submit(send_stream, source, total)
            assert read_stream(sink, total) == crc_of_stream(total)
            sending.result()
    sink.close()
    assert source.end() == "FIN"
    source.close()
    c.exited()
    side = "master-controller" if direction == "up" else "the client"
    assert f"({side} closed first; " in c.log[-1]
    assert str(1 + sent + total) in c.log[-1]


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("when", ["", ":when=2+2", ":when=1", ":when=2"],
                         ids=["always", "out", "the first", "the second"])
def test_without_splice_frames_are_copied(world, threads, when, direction):
    c, b = world.tunnel()
    source, sink = (c, b) if direction == "up" else (b, c)
    for _ in range(4):      # so that the gate makes a pipe
        sending = threads.submit(send, source, BINARY, BLOCK)
        assert receive(sink).payload == BLOCK
        sending.result()
    with failing(c.pid, f"splice:error=EINVAL{when}"):
        total = 30 * len(BLOCK)
        sending = threads.submit(send_messages, source, total, pause=0)
        assert read_messages(sink) >= total
        sending.result()
    send_close(sink, 1000)
    assert receive_close(source) == (1000, "")


# While the gate enters its sandbox. strace starts it and runs as its grandchild (-D), so that the process
# id stays that of the gate.

def under(fault):
    return ("strace", "-D", "-o", "/dev/null", "-e", f"trace={fault.split(':')[0]}",
            "-e", f"inject={fault}")


@pytest.mark.parametrize("error", ["EINVAL", "ENOSYS", "ENOMEM"])
@pytest.mark.parametrize("nth", ["2", "2+"], ids=["once", "always"])
def test_a_tunnel_whose_sandbox_fails_is_reset_and_logged(world, nth, error):
    c = world.direct(upgrade(), wrapper=under(f"seccomp:error={error}:when={nth}"))
    b = world.controller.asked()
    b.send(switching())
    assert end_after(c) == end_after(b) == "RST"
    assert c.exited() == 0
    session_failed(c, f"cannot tighten the sandbox: {words(error)}")


@pytest.mark.parametrize("nth", [1, 3], ids=["for the log", "for the limits"])
def test_a_standard_error_that_fstat_fails_on(world, nth):
    c = world.direct(request(), wrapper=under(f"fstat,newfstatat:error=EIO:when={nth}"))
    if nth == 1:    # the log is a file and works without it
        b = world.nextjs.asked()
        b.close()
        assert c.response().status == 502
        assert c.exited() == 0
        assert c.log == ["Proxy error: Next.js closed the connection before its response began"]
    else:
        c.exit_code = 71
        assert c.response().status == 500
        assert c.exited() == 71
        assert c.log == ["Internal error: cannot enter the sandbox: Input/output error"]


# Those of TLS, or those for the tunnel.
NO_RANDOM = r"Internal error: (no random numbers from the kernel \(getrandom\)" \
    "|cannot draw random numbers: Input/output error)"


def test_without_random_numbers_a_tls_client_is_not_served(secure):
    c = secure.direct(b"\x16", wrapper=under("getrandom:error=EIO"), options=["--tls"])
    c.exit_code = 71
    assert c.end() in ("FIN", "RST")
    assert c.exited() == 71
    assert len(c.log) == 1 and re.fullmatch(NO_RANDOM, c.log[0]), c.log


def test_without_random_numbers_a_plain_client_gets_a_500(world):
    c = world.direct(request(), wrapper=under("getrandom:error=EIO"))
    c.exit_code = 71
    assert c.response().status == 500
    assert c.exited() == 71
    assert len(c.log) == 1 and re.fullmatch(NO_RANDOM, c.log[0]), c.log
