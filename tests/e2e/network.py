"""Network namespaces of a test's own: a gate, a router, and machines behind it.

A namespace is a descriptor. Sockets that are made in it stay in it.
"""

import concurrent.futures
import ctypes
import os
import pathlib
import subprocess

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def _call(function, *args):
    if function(*args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _in_a_thread(function):
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(function).result()


class Namespace:
    def __init__(self):
        def make():
            _call(LIBC.unshare, CLONE_NEWNET)
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.fd = _in_a_thread(make)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self.enter = ("nsenter", f"--net={self.path}", "--")

    def run(self, function):
        """Calls function in this namespace, to which the sockets that it makes belong."""
        def inside():
            _call(LIBC.setns, self.fd, CLONE_NEWNET)
            return function()
        return _in_a_thread(inside)

    def ip(self, *commands):
        for command in commands:
            subprocess.run([*self.enter, "ip", *command.split()], check=True)

    def sysctl(self, name, value):
        path = pathlib.Path("/proc/sys/net", *name.split("."))
        self.run(lambda: path.write_text(str(value)))

    def close(self):
        os.close(self.fd)


class Network:
    """near (the gate's machine) -- router -- far; down() and up() make the router lose all."""

    NEAR, FAR = "192.0.2.2", "198.51.100.2"

    def __init__(self):
        self.near, self.router, self.far = (Namespace() for _ in range(3))
        for n in self.near, self.router, self.far:
            n.ip("link set lo up")
        for host, name, subnet in ((self.near, "near", "192.0.2"), (self.far, "far", "198.51.100")):
            self.router.ip(f"link add {name} type veth peer name out netns {host.path}",
                           f"address add {subnet}.1/24 dev {name}", f"link set {name} up")
            host.ip(f"address add {subnet}.2/24 dev out", "link set out up",
                    f"route add default via {subnet}.1")
        self.up()

    def up(self):
        self.router.sysctl("ipv4.ip_forward", 1)

    def down(self):
        self.router.sysctl("ipv4.ip_forward", 0)

    def close(self):
        for n in self.near, self.router, self.far:
            n.close()
