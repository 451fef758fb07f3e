"""Real Node and real Next.js, which close a kept connection after 5 s of idleness."""

import time

import pytest

import nextjs
from gate import request

PAUSES = (0.5, 3, 4, 4.7, 4.9, 4.95, 5, 5.05, 5.1, 5.3, 6, 6.5)
SERVER = """
require('http').createServer((q, r) => {
  let n = 0;
  q.on('data', d => n += d.length).on('end', () => r.end(`${q.method} ${q.url} ${n}`));
}).listen(process.argv[1], '127.0.0.1', () => console.log('Ready'));
"""


@pytest.fixture(scope="module", params=["Node", "Next.js"])
def server(request):
    """The URL of a running server."""
    with (nextjs.start(lambda port: ["-e", SERVER, str(port)], "/") if request.param == "Node"
          else nextjs.start_next(nextjs.DEMO / "dashboard")) as url:
        yield url


def status(c, message):
    c.send(message)
    r = c.response(message.split(b" ")[0].decode())
    assert "novnc-gate[" not in r.body.decode(errors="replace"), r.body
    return r


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_after_any_pause_a_request_gets_its_response(world, server, method):
    """The pauses run at the same time and include the moment in which the server closes."""
    world.configure(nextjs=server)
    clients = [world.client() for _ in PAUSES]
    answered = {}
    for c in clients:
        status(c, request("GET", "/"))
        answered[c] = time.monotonic()
    for c, pause in zip(clients, PAUSES):
        time.sleep(max(0, answered[c] + pause - time.monotonic()))
        message = request(method, "/", body=b"hello" if method == "POST" else b"")
        assert status(c, message).status < 500


def test_a_hundred_requests_down_one_connection(world, server):
    world.configure(nextjs=server)
    c = world.client()
    sizes = {len(status(c, request("GET", "/nowhere-%d" % (n % 10))).body) for n in range(100)}
    assert 0 not in sizes


def test_the_fields_that_a_browser_sends(world, server):
    world.configure(nextjs=server)
    c = world.client()
    lines = ("Connection: keep-alive", "Cache-Control: max-age=0", "Upgrade-Insecure-Requests: 1",
             "User-Agent: Mozilla/5.0", "Accept: text/html,*/*;q=0.8", "Sec-Fetch-Site: none",
             "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-US,en;q=0.9")
    for target in ("/", "/dashboard/remote-cli", "/favicon.ico", "/_next/static/none.js"):
        assert status(c, request("GET", target, *lines)).status in (200, 307, 404)


def test_uploads_in_both_framings(world, server):
    world.configure(nextjs=server)
    c = world.client()
    assert status(c, request("POST", "/x", body=b"x" * 100000)).status < 500
    chunked = request("POST", "/x", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"
    assert status(c, chunked).status < 500
