/* SPDX-License-Identifier: MIT */
/*
 * The client of the bench: measures one thing at one port of 127.0.0.1. Prints "ready" once all that
 * is not to be measured has been done, waits for a line, measures, prints the result as JSON, and
 * keeps its connections until standard input ends.
 *
 *   load PORT down|up BYTES                  through one tunnel
 *   load PORT get|get-chunked|put|put-chunked BYTES
 *   load PORT ping|page CONNECTIONS SECONDS  one exchange after the other on each
 *   load PORT page-new|tunnel-new|nothing-new CLIENTS COUNT
 *                                            a connection for each exchange
 *   load PORT idle TUNNELS                   "ready" comes before they are opened
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define FRAME_SIZE 65536
#define FRAME_WIRE (2 + 8 + 4 + FRAME_SIZE)

static int port;

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- samples, in ns */

struct samples {
	uint32_t *ns;
	size_t n, cap;
};

static struct samples samples_shared(size_t cap)
{
	void *p = mmap(NULL, cap * sizeof(uint32_t), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return (struct samples){ .ns = p, .cap = cap };
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void report(struct samples *s, uint64_t ns)
{
	if (s->n == 0)
		fail("no samples");
	qsort(s->ns, s->n, sizeof(*s->ns), compare);
	(void)printf(
		"{\"count\": %zu, \"seconds\": %.6f, \"p50_us\": %.2f, \"p99_us\": %.2f}\n",
		s->n, (double)ns / 1e9, s->ns[s->n / 2] / 1e3,
		s->ns[s->n * 99 / 100] / 1e3);
}

static void report_bytes(uint64_t bytes, uint64_t ns)
{
	(void)printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)bytes,
		     (double)ns / 1e9);
}

/* Whoever measures looks at its clocks and counters, then sends a line. */
static void ready(void)
{
	(void)puts("ready");
	(void)fflush(stdout);
	if (getchar() != '\n')
		exit(EXIT_SUCCESS);
}

/* ---- one connection */

static int dial(void)
{
	static const int on = 1;
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		fail("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void put(int fd, const void *p, size_t len)
{
	const char *at = p;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0)
			fail("send");
		at += n;
		len -= (size_t)n;
	}
}

/* A head as long as a browser's. */
static size_t request(char *buf, size_t cap, const char *line, const char *more)
{
	int n = snprintf(
		buf, cap,
		"%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s"
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
		"Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;"
		"q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: "
		"gzip, deflate, br, zstd\r\nOrigin: http://127.0.0.1:%d\r\nPragma: no-cache\r\n"
		"Cache-Control: no-cache\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Mode: "
		"cors\r\nSec-Fetch-Site: same-origin\r\nCookie: session=3f9a1c5e7b2d4680a1b2c3d4"
		"e5f60718; theme=dark; sidebar=open\r\n\r\n",
		line, port, more, port);

	if (n < 0 || (size_t)n >= cap)
		fail("request");
	return (size_t)n;
}

/* Reads to the end of a head with this status. What follows it was read as well: its length. */
static size_t answer(int fd, const char *status)
{
	char buf[8192], *end = NULL;
	size_t len = 0;

	while (!end) {
		ssize_t n = recv(fd, buf + len, sizeof(buf) - 1 - len, 0);

		if (n <= 0)
			fail("no answer");
		len += (size_t)n;
		buf[len] = '\0';
		end = strstr(buf, "\r\n\r\n");
	}
	if (strncmp(buf, "HTTP/1.1 ", 9) != 0 || strncmp(buf + 9, status, 3) != 0) {
		errno = 0;
		fail(buf);
	}
	return len - (size_t)(end + 4 - buf);
}

/* A tunnel to what backend.c does for `query`; see answer() for what is returned. */
static size_t tunnel(const char *query, int *ret)
{
	char line[128], head[2048];
	size_t n;

	(void)snprintf(line, sizeof(line),
		       "GET /api/auth/session/bench/novnc/websockify?%s", query);
	n = request(head, sizeof(head), line,
		    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
		    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WS_KEY "\r\n");
	*ret = dial();
	put(*ret, head, n);
	return answer(*ret, "101");
}

/* Throws away what arrives, without a copy: n bytes, or (0) all until the end; returns how many. */
static uint64_t discard(int fd, uint64_t n)
{
	uint64_t got = 0;

	while (n == 0 || got < n) {
		ssize_t r = recv(fd, NULL, n ? MIN(n - got, 1UL << 22) : 1UL << 22,
				 MSG_TRUNC);

		if (r < 0)
			fail("recv");
		if (r == 0 && n == 0)
			break;
		if (r == 0)
			fail("early end");
		got += (uint64_t)r;
	}
	return got;
}

/* ---- bulk */

static void bench_down(uint64_t bytes)
{
	char query[64];
	uint64_t start, over;
	int fd;

	ready();

	(void)snprintf(query, sizeof(query), "down=%llu", (unsigned long long)bytes);
	over = tunnel(query, &fd);
	start = now_ns();
	(void)discard(fd, bytes - over);
	report_bytes(bytes, now_ns() - start);
}

/* As WebSocket frames, for websockify; to the others they are bytes. */
static void bench_up(uint64_t bytes)
{
	static char frame[FRAME_WIRE] = { (char)0x82, (char)0xff, 0, 0, 0, 0, 0, 1 };
	uint64_t frames = bytes / FRAME_SIZE, start;
	char query[64], mark;
	int fd;

	ready();
	(void)snprintf(query, sizeof(query), "up=%llu",
		       (unsigned long long)(frames * FRAME_WIRE));
	(void)tunnel(query, &fd);
	start = now_ns();
	for (uint64_t i = 0; i < frames; i++)
		put(fd, frame, sizeof(frame));
	if (recv(fd, &mark, 1, 0) != 1)
		fail("the end was not confirmed");
	report_bytes(bytes, now_ns() - start);
}

static void bench_get(uint64_t bytes, bool chunked)
{
	char line[64], head[2048];
	uint64_t start, got;
	size_t n;
	int fd;

	(void)snprintf(line, sizeof(line), "GET /%s/%llu", chunked ? "chunked" : "length",
		       (unsigned long long)bytes);
	n = request(head, sizeof(head), line, "Connection: close\r\n");
	ready();
	start = now_ns();
	fd = dial();
	put(fd, head, n);
	got = answer(fd, "200");
	got += discard(fd, 0);
	if (got < bytes || (!chunked && got > bytes))
		fail("wrong length");
	report_bytes(bytes, now_ns() - start);
}

static void bench_put(uint64_t bytes, bool chunked)
{
	static char chunk[CHUNK_WIRE];
	char more[128], head[2048];
	uint64_t start;
	size_t n;
	int fd;

	chunk_fill(chunk);
	(void)snprintf(more, sizeof(more),
		       chunked ? "Connection: close\r\nTransfer-Encoding: chunked\r\n"
			       : "Connection: close\r\nContent-Length: %llu\r\n",
		       (unsigned long long)bytes);
	n = request(head, sizeof(head), "POST /upload", more);
	ready();
	start = now_ns();
	fd = dial();
	put(fd, head, n);
	for (uint64_t i = 0; i < bytes / CHUNK_SIZE; i++) {
		if (chunked)
			put(fd, chunk, sizeof(chunk));
		else
			put(fd, chunk + 7, CHUNK_SIZE);
	}
	if (chunked)
		put(fd, "0\r\n\r\n", 5);
	(void)answer(fd, "200");
	report_bytes(bytes, now_ns() - start);
}

/* ---- exchanges on connections that stand */

#define WARM_NS 50000000

struct peer {
	int fd;
	uint64_t sent_ns; /* 0: not a sample */
	size_t len;
	char buf[4096];
};

struct exchange {
	bool is_page;
	const char *message;
	size_t len;
	int epoll;
};

/* Whether the answer is there, and whole. */
static bool is_whole(const struct peer *p, bool is_page)
{
	const char *end, *length;

	if (!is_page)
		return p->len == PONG_SIZE;
	end = memmem(p->buf, p->len, "\r\n\r\n", 4);
	if (!end)
		return false;
	length = strcasestr(p->buf, "\r\ncontent-length:");
	if (strncmp(p->buf, "HTTP/1.1 200", 12) != 0 || !length)
		fail("not the page");
	return p->len == (size_t)(end + 4 - p->buf) + strtoull(length + 17, NULL, 10);
}

/* One read; after a whole answer the next message. */
static void exchange_on(const struct exchange *x, struct peer *p, struct samples *s)
{
	ssize_t n =
		recv(p->fd, p->buf + p->len, sizeof(p->buf) - 1 - p->len, MSG_DONTWAIT);
	uint64_t now = now_ns();

	if (n <= 0)
		fail("recv");
	p->len += (size_t)n;
	p->buf[p->len] = '\0';
	if (!is_whole(p, x->is_page))
		return;
	if (p->sent_ns > 0 && s->n < s->cap)
		s->ns[s->n++] = (uint32_t)(now - p->sent_ns);
	p->len = 0;
	p->sent_ns = now;
	put(p->fd, x->message, x->len);
}

static void exchange_for(const struct exchange *x, uint64_t ns, struct samples *s)
{
	uint64_t end = now_ns() + ns;
	struct epoll_event ev[64];

	s->n = 0;
	while (now_ns() < end) {
		int n = epoll_wait(x->epoll, ev, 64, 1000);

		if (n <= 0)
			fail("no answer");
		for (int i = 0; i < n; i++)
			exchange_on(x, ev[i].data.ptr, s);
	}
}

static void bench_exchange(bool is_page, size_t n, double seconds)
{
	struct samples s = samples_shared(1 << 24);
	struct peer *peers = calloc(n, sizeof(*peers));
	char head[2048];
	struct exchange x = {
		.is_page = is_page,
		.message = is_page ? head : ping,
		.len = is_page ? request(head, sizeof(head), "GET /page", "") : PING_SIZE,
		.epoll = epoll_create1(EPOLL_CLOEXEC),
	};
	uint64_t start;

	if (!peers || x.epoll < 0)
		fail("epoll");
	for (size_t i = 0; i < n; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &peers[i] };

		if (is_page)
			peers[i].fd = dial();
		else
			(void)tunnel("echo", &peers[i].fd);
		if (epoll_ctl(x.epoll, EPOLL_CTL_ADD, peers[i].fd, &ev) < 0)
			fail("epoll_ctl");
		put(peers[i].fd, x.message, x.len);
	}
	exchange_for(&x, WARM_NS, &s);
	ready();
	for (size_t i = 0; i < n; i++)
		peers[i].sent_ns = 0; /* they waited for us */
	start = now_ns();
	exchange_for(&x, (uint64_t)(seconds * 1e9), &s);
	report(&s, now_ns() - start);
}

/* ---- a connection for each */

enum connect_what { CONNECT_ONLY, CONNECT_PAGE, CONNECT_TUNNEL };

/* Returns the time from connect() to the first byte of the answer. */
static uint64_t connect_once(enum connect_what what)
{
	char head[2048], buf[4096];
	uint64_t start = now_ns(), ns = 0;
	int fd;

	if (what == CONNECT_TUNNEL) {
		(void)tunnel("echo", &fd);
		ns = now_ns() - start;
		put(fd, ping, PING_SIZE);
		if (recv(fd, buf, PONG_SIZE, MSG_WAITALL) != PONG_SIZE)
			fail("no message");
		(void)shutdown(fd, SHUT_WR);
		(void)discard(fd, 0);
	} else if (what == CONNECT_PAGE) {
		size_t n =
			request(head, sizeof(head), "GET /page", "Connection: close\r\n");

		fd = dial();
		put(fd, head, n);
		if (recv(fd, buf, sizeof(buf), 0) <= 0)
			fail("no page");
		ns = now_ns() - start;
		(void)discard(fd, 0);
	} else {
		fd = dial();
		(void)recv(fd, buf, sizeof(buf), 0); /* an end, or a reset */
		ns = now_ns() - start;
	}
	(void)close(fd);
	return ns;
}

static void bench_connect(enum connect_what what, size_t clients, size_t count)
{
	struct samples s = samples_shared(count);
	uint64_t start;
	int status;

	ready();
	start = now_ns();
	for (size_t c = 0; c < clients; c++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid > 0)
			continue;
		for (size_t i = c; i < count; i += clients)
			s.ns[i] = (uint32_t)connect_once(what);
		_exit(EXIT_SUCCESS);
	}
	for (size_t c = 0; c < clients; c++)
		if (wait(&status) < 0 || status != 0)
			exit(EXIT_FAILURE);
	s.n = count;
	report(&s, now_ns() - start);
}

static void bench_idle(size_t n)
{
	char buf[PONG_SIZE];

	ready();
	for (size_t i = 0; i < n; i++) {
		int fd;

		(void)tunnel("echo", &fd);
		put(fd, ping, PING_SIZE);
		if (recv(fd, buf, sizeof(buf), MSG_WAITALL) != PONG_SIZE)
			fail("no message");
	}
	(void)printf("{\"count\": %zu}\n", n);
}

int main(int argc, char *argv[])
{
	const char *what = argc > 2 ? argv[2] : "";
	uint64_t n = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;

	port = argc > 1 ? atoi(argv[1]) : 0;
	files_max();
	if (argc == 4 && strcmp(what, "down") == 0)
		bench_down(n);
	else if (argc == 4 && strcmp(what, "up") == 0)
		bench_up(n);
	else if (argc == 4 && strncmp(what, "get", 3) == 0)
		bench_get(n, what[3] == '-');
	else if (argc == 4 && strncmp(what, "put", 3) == 0)
		bench_put(n, what[3] == '-');
	else if (argc == 4 && strcmp(what, "idle") == 0)
		bench_idle(n);
	else if (argc == 5 && strcmp(what, "ping") == 0)
		bench_exchange(false, n, atof(argv[4]));
	else if (argc == 5 && strcmp(what, "page") == 0)
		bench_exchange(true, n, atof(argv[4]));
	else if (argc == 5 && strcmp(what, "page-new") == 0)
		bench_connect(CONNECT_PAGE, n, strtoull(argv[4], NULL, 10));
	else if (argc == 5 && strcmp(what, "tunnel-new") == 0)
		bench_connect(CONNECT_TUNNEL, n, strtoull(argv[4], NULL, 10));
	else if (argc == 5 && strcmp(what, "nothing-new") == 0)
		bench_connect(CONNECT_ONLY, n, strtoull(argv[4], NULL, 10));
	else
		fail("usage: see load.c");
	(void)fflush(stdout);
	while (getchar() != EOF)
		;
	return EXIT_SUCCESS;
}
