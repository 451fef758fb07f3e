"""Both sides of many sessions: a backend for pages and sessions, and clients, each in a process of its
own that can be killed at one moment."""

import contextlib
import multiprocessing
import resource
import select
import socket

FORK = multiprocessing.get_context("fork")
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SWITCH = ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n").encode()
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"
PING, PONG, NO_MASK = b"\x89", b"\x8a", bytes(4)
ADDRESSES = 10      # of the clients, for there is a limit for each
AT_ONCE = 16        # sessions that a process of clients begins at once
STAY, CLOSE, RETURN = range(3)  # what a client does when its session ends
FILES = 1 << 16
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
with contextlib.suppress(ValueError):   # in a container it may stay as it is
    resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))


class Peer:
    """A process that ends with this one."""

    def start(self):
        self.process = FORK.Process(target=self.run, daemon=True)
        self.process.start()

    def kill(self):
        self.process.kill()
        self.process.join()

    def received(self, fd):
        with contextlib.suppress(OSError):
            return self.socks[fd].recv(65536)
        return b""


class Backend(Peer):
    """Accepts every session and keeps it; answers each other request with a page.  The listening socket is
    this process's, so that nothing is refused while that process is killed and started again."""

    def __init__(self, address):
        self.listener = socket.create_server((address, 0), backlog=65535)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        epoll, self.socks = select.epoll(), {}
        epoll.register(self.listener, select.EPOLLIN)
        while True:
            for fd, _ in epoll.poll():
                if fd == self.listener.fileno():
                    sock = self.listener.accept()[0]
                    self.socks[sock.fileno()] = sock
                    epoll.register(sock, select.EPOLLIN)
                elif (data := self.received(fd)).startswith(b"GET "):   # whole, since the gate writes it at once
                    is_upgrade = b"upgrade: websocket" in data.lower()
                    self.socks[fd].sendall(SWITCH if is_upgrade else PAGE)
                else:   # a Close or the end
                    self.socks.pop(fd).close()


def pong(ping):
    """RFC 6455 5.5.3; a client's frame is masked."""
    return PONG + bytes([0x80 | ping[1]]) + NO_MASK + ping[2:]


class Clients(Peer):
    """So many sessions of browsers."""

    def __init__(self, port, count):
        self.port, self.count = port, count
        self.standing, self.ended, self.refused, self.at_end = (FORK.Value("i", 0) for _ in range(4))
        self.at_end.value = CLOSE
        self.start()

    def run(self):
        self.epoll, self.socks, self.opening, begun = select.epoll(), {}, set(), 0
        while True:
            while begun < self.count and len(self.opening) < AT_ONCE:
                self.begin(begun)
                begun += 1
            for fd, _ in self.epoll.poll():
                data = self.received(fd)
                if fd in self.opening:
                    self.has_begun(fd, data)
                elif data.startswith(PING):
                    self.socks[fd].sendall(pong(data))
                else:
                    self.has_ended(fd)

    def begin(self, number):
        sock = socket.create_connection(("127.0.0.1", self.port),
                                        source_address=(f"127.0.0.{number % ADDRESSES + 1}", 0))
        sock.sendall((f"GET /api/auth/session/{number}/novnc/websockify HTTP/1.1\r\n"
                      f"Host: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n").encode())
        self.socks[sock.fileno()] = sock
        self.opening.add(sock.fileno())
        self.epoll.register(sock, select.EPOLLIN)

    def has_begun(self, fd, data):
        self.opening.discard(fd)
        if data.startswith(b"HTTP/1.1 101"):
            self.standing.value += 1
        else:
            self.refused.value += 1
            self.socks.pop(fd).close()

    def has_ended(self, fd):
        """It ends its side too as soon as the gate does or says why, as a browser does; or stays."""
        self.ended.value += 1
        self.standing.value -= 1
        self.epoll.unregister(fd)
        if self.at_end.value != STAY:
            self.socks.pop(fd).close()
        if self.at_end.value == RETURN:
            self.begin(self.ended.value)
