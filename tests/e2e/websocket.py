"""WebSocket frames (RFC 6455 5.2), made and read by hand. What comes is read strictly."""

import typing

from gate import Client

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FINAL, MASKED = 0x80, 0x80
NO_CODE = 1005              # of a Close without a code
KEY = b"\x37\xfa\x21\x3d"
NO_FRAME = b"x"             # has a reserved opcode, so that the bytes after it are no frames either


class Frame(typing.NamedTuple):
    opcode: int
    payload: bytes = b""
    final: bool = True
    rsv: int = 0


def mask(payload, key):
    pad = (key * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")


def header(sender, opcode, length, final=True, rsv=0, key=KEY):
    """The header of a frame, which is masked if the sender is the client."""
    masked = isinstance(sender, Client)
    short, size = (length, 0) if length < 126 else (126, 2) if length < 1 << 16 else (127, 8)
    return bytes([final * FINAL | rsv << 4 | opcode, masked * MASKED | short]) \
        + (length.to_bytes(size, "big") if size else b"") + (key if masked else b"")


def frame(sender, opcode, payload=b"", key=KEY, **kw):
    return header(sender, opcode, len(payload), key=key, **kw) \
        + (mask(payload, key) if isinstance(sender, Client) else payload)


def close_payload(code=NO_CODE, reason=""):
    return b"" if code == NO_CODE else code.to_bytes(2, "big") + reason.encode()


def send(sender, opcode, payload=b"", **kw):
    sender.send(frame(sender, opcode, payload, **kw))


def send_close(sender, code=NO_CODE, reason=""):
    send(sender, CLOSE, close_payload(code, reason))


def receive_header(peer):
    """The next header: the frame without its payload, the payload's length, its key and all the bytes."""
    head = peer.exactly(2)
    masked = bool(head[1] & MASKED)
    assert masked == (not isinstance(peer, Client)), f"masked: {masked}"
    size = {126: 2, 127: 8}.get(head[1] & 0x7f, 0)
    head += peer.exactly(size + 4 * masked)
    length = int.from_bytes(head[2:2 + size], "big") if size else head[1] & 0x7f
    f = Frame(head[0] & 15, b"", bool(head[0] & FINAL), head[0] >> 4 & 7)
    assert f.opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), f
    assert f.opcode < CLOSE or (f.final and length < 126), f
    return f, length, head[2 + size:], head


def receive_payload(peer, length, key):
    payload = peer.exactly(length)
    return mask(payload, key) if key else payload


def payload_in_pieces(peer, left):
    """As it came; for a long one. A piece is valid until the next."""
    room = memoryview(bytearray(min(left, 1 << 20)))
    while left:
        n = min(left, len(peer.buf)) or peer.sock.recv_into(room[:left])
        assert n, f"the end came {left} bytes before that of a frame"
        yield peer.buf[:n] or room[:n]
        left, peer.buf = left - n, peer.buf[n:]


def receive(peer):
    f, length, key, _ = receive_header(peer)
    return f._replace(payload=receive_payload(peer, length, key))


def receive_up_to_close(peer):
    """Skips what comes before it; returns its code and reason."""
    while True:
        f, length, key, _ = receive_header(peer)
        if f.opcode == CLOSE:
            return code_and_reason(f._replace(payload=receive_payload(peer, length, key)))
        for _ in payload_in_pieces(peer, length):
            pass


def code_and_reason(close):
    """Those of a Close, in which a reason is valid UTF-8."""
    assert close.opcode == CLOSE and close.rsv == 0 and len(close.payload) != 1, close
    return int.from_bytes(close.payload[:2], "big") if close.payload else NO_CODE, \
        close.payload[2:].decode()


def receive_close(peer):
    return code_and_reason(receive(peer))


def closed(*peers):
    """Each gets a Close, answers it as an endpoint does, and sees the end; returns codes and reasons."""
    closes = [receive_close(peer) for peer in peers]
    for peer, (code, _) in zip(peers, closes):
        send_close(peer, code)
    for peer in peers:
        assert peer.end() == "FIN"
    return closes


def reason_to(c, sentence):
    """The reason with this sentence in a Close of the gate's own to that client."""
    return f"{sentence}; log id novnc-gate[{c.pid}]"


def unframed(c, b):
    """A tunnel after bytes that are no frames, in both directions: nothing is put in any more."""
    for sender, receiver in ((c, b), (b, c)):
        sender.send(NO_FRAME)
        assert receiver.exactly(1) == NO_FRAME
    return c, b
