/* SPDX-License-Identifier: MIT */
/*
 * The client of the bench: measures one thing at one port of 127.0.0.1. Prints "ready" once all that
 * is not to be measured has been done, waits for a line, measures, prints the result as JSON, and
 * keeps its connections until standard input ends.
 *
 *   load PORT down|raw|up BYTES              through one tunnel that stands; raw: no frames
 *   load PORT get|get-chunked|put|put-chunked BYTES
 *                                            on a connection that has had a page
 *   load PORT ping|page CONNECTIONS SECONDS  one exchange after the other on each
 *   load PORT page-new|tunnel-new|nothing-new CLIENTS COUNT
 *                                            a connection for each exchange
 *   load PORT idle TUNNELS                   "ready" comes before they are opened
 *
 * --tls before PORT: over TLS; --resume: likewise, and each connection resumes a session. Neither goes
 * with CONNECTIONS.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "load.h"

#define FRAME_WIRE (2 + 8 + 4 + FRAME_SIZE)

/* ---- bulk */

static void bench_down(const char *what, uint64_t payload)
{
	uint64_t bytes = payload / FRAME_SIZE * FRAME_DOWN, start;
	char query[64];
	struct conn c;

	(void)snprintf(query, sizeof(query), "%s=%llu", what, (unsigned long long)bytes);
	(void)tunnel(query, &c);
	ready();
	start = now_ns();
	conn_put(&c, ping, PING_SIZE);
	(void)conn_discard(&c, bytes);
	report_bytes(bytes, now_ns() - start);
}

/* As WebSocket frames, for websockify; to the others they are bytes. */
static void bench_up(uint64_t bytes)
{
	static char frame[FRAME_WIRE] = { (char)0x82, (char)0xff, 0, 0, 0, 0, 0, 1 };
	uint64_t frames = bytes / FRAME_SIZE, start;
	char query[64], mark;
	struct conn c;

	(void)snprintf(query, sizeof(query), "up=%llu",
		       (unsigned long long)(frames * FRAME_WIRE));
	(void)tunnel(query, &c);
	ready();
	start = now_ns();
	for (uint64_t i = 0; i < frames; i++)
		conn_put(&c, frame, sizeof(frame));
	conn_get_all(&c, &mark, 1); /* the end is confirmed */
	report_bytes(bytes, now_ns() - start);
}

/* A connection that has had its first page. */
static struct conn kept_connection(void)
{
	struct conn c = conn_dial(load_port);
	char head[2048];
	size_t over;

	conn_put(&c, head, request(head, sizeof(head), "GET /page", ""));
	over = answer(&c, "200");
	if (over < PAGE_SIZE)
		(void)conn_discard(&c, PAGE_SIZE - over);
	return c;
}

static void bench_get(uint64_t bytes, bool chunked)
{
	char line[64], head[2048];
	struct conn c = kept_connection();
	uint64_t start, got;
	size_t n;

	(void)snprintf(line, sizeof(line), "GET /%s/%llu", chunked ? "chunked" : "length",
		       (unsigned long long)bytes);
	n = request(head, sizeof(head), line, "Connection: close\r\n");
	ready();
	start = now_ns();
	conn_put(&c, head, n);
	got = answer(&c, "200");
	got += conn_discard(&c, 0);
	if (got < bytes || (!chunked && got > bytes))
		fail("wrong length");
	report_bytes(bytes, now_ns() - start);
}

static void bench_put(uint64_t bytes, bool chunked)
{
	static char chunk[CHUNK_WIRE];
	char more[128], head[2048];
	struct conn c = kept_connection();
	uint64_t start;
	size_t n;

	chunk_fill(chunk);
	(void)snprintf(more, sizeof(more),
		       chunked ? "Connection: close\r\nTransfer-Encoding: chunked\r\n"
			       : "Connection: close\r\nContent-Length: %llu\r\n",
		       (unsigned long long)bytes);
	n = request(head, sizeof(head), "POST /upload", more);
	ready();
	start = now_ns();
	conn_put(&c, head, n);
	for (uint64_t i = 0; i < bytes / CHUNK_SIZE; i++) {
		if (chunked)
			conn_put(&c, chunk, sizeof(chunk));
		else
			conn_put(&c, chunk + 7, CHUNK_SIZE);
	}
	if (chunked)
		conn_put(&c, "0\r\n\r\n", 5);
	(void)answer(&c, "200");
	report_bytes(bytes, now_ns() - start);
}

/* ---- a connection for each */

enum connect_what { CONNECT_ONLY, CONNECT_PAGE, CONNECT_TUNNEL };

/* A tunnel that has passed on a message; *ready_ns is when it stood. */
static struct conn echoing_tunnel(uint64_t *ready_ns)
{
	char buf[PONG_SIZE];
	struct conn c;

	(void)tunnel("echo", &c);
	*ready_ns = now_ns();
	conn_put(&c, ping, PING_SIZE);
	conn_get_all(&c, buf, sizeof(buf));
	return c;
}

/* Returns the time from connect() to the first byte of the answer. */
static uint64_t connect_once(enum connect_what what)
{
	static const char good[] = "HTTP/1.1 200";
	char head[2048], buf[4096];
	uint64_t start = now_ns(), end;
	struct conn c;

	if (what == CONNECT_TUNNEL) {
		c = echoing_tunnel(&end);
		conn_put(&c, close_up, sizeof(close_up));
		(void)conn_discard(&c, 0);
	} else if (what == CONNECT_PAGE) {
		size_t n =
			request(head, sizeof(head), "GET /page", "Connection: close\r\n");

		c = conn_dial(load_port);
		conn_put(&c, head, n);
		conn_get_all(&c, buf, 1);
		end = now_ns();
		conn_get_all(&c, buf + 1, sizeof(good) - 2);
		errno = 0;
		if (memcmp(buf, good, sizeof(good) - 1) != 0)
			fail("not the page");
		(void)conn_discard(&c, 0);
	} else {
		c = conn_dial(load_port);
		(void)recv(c.fd, buf, sizeof(buf), 0); /* an end, or a reset */
		end = now_ns();
	}
	conn_close(&c);
	return end - start;
}

static void bench_connect(enum connect_what what, size_t clients, size_t count)
{
	struct samples s = samples_shared(count);
	uint64_t start;
	int status;

	ready();
	start = now_ns();
	for (size_t i = 0; i < clients; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid > 0)
			continue;
		for (size_t k = i; k < count; k += clients)
			s.ns[k] = (uint32_t)connect_once(what);
		_exit(EXIT_SUCCESS);
	}
	for (size_t i = 0; i < clients; i++)
		if (wait(&status) < 0 || status != 0)
			exit(EXIT_FAILURE);
	s.n = count;
	report(&s, now_ns() - start);
}

/* ---- tunnels that stand */

static struct conn *idle;
static size_t idle_count;

/*
 * One after the other, whatever ends this process: Linux 6.18 was once seen not to survive
 * thousands of processes with a seccomp filter that end at once.
 */
static void end_idle(void)
{
	static const struct timeval patience = { .tv_sec = 2 };
	char end;

	for (size_t i = 0; i < idle_count; i++) {
		(void)setsockopt(idle[i].fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
				 sizeof(patience));
		(void)shutdown(idle[i].fd, SHUT_WR);
		(void)recv(idle[i].fd, &end, 1, 0);
		conn_close(&idle[i]);
	}
}

static void bench_idle(size_t n)
{
	uint64_t ignored;

	idle = calloc(n, sizeof(*idle));
	if (!idle || atexit(end_idle) != 0)
		fail("idle");
	ready();
	for (; idle_count < n; idle_count++)
		idle[idle_count] = echoing_tunnel(&ignored);
	(void)printf("{\"count\": %zu}\n", n);
}

/* A page, for the ticket that comes with it. */
static void use_tls(bool resume)
{
	conn_use_tls();
	load_scheme = "https";
	if (resume) {
		(void)connect_once(CONNECT_PAGE);
		conn_use_session();
	}
}

static bool run(int argc, char *argv[])
{
	const char *what = argv[0];
	uint64_t n = strtoull(argv[1], NULL, 10);

	if (argc == 2 && (strcmp(what, "down") == 0 || strcmp(what, "raw") == 0))
		bench_down(what, n);
	else if (argc == 2 && strcmp(what, "up") == 0)
		bench_up(n);
	else if (argc == 2 && strncmp(what, "get", 3) == 0)
		bench_get(n, what[3] == '-');
	else if (argc == 2 && strncmp(what, "put", 3) == 0)
		bench_put(n, what[3] == '-');
	else if (argc == 2 && strcmp(what, "idle") == 0)
		bench_idle(n);
	else if (argc == 3 && strcmp(what, "ping") == 0)
		bench_exchange(false, n, atof(argv[2]));
	else if (argc == 3 && strcmp(what, "page") == 0)
		bench_exchange(true, n, atof(argv[2]));
	else if (argc == 3 && strcmp(what, "page-new") == 0)
		bench_connect(CONNECT_PAGE, n, strtoull(argv[2], NULL, 10));
	else if (argc == 3 && strcmp(what, "tunnel-new") == 0)
		bench_connect(CONNECT_TUNNEL, n, strtoull(argv[2], NULL, 10));
	else if (argc == 3 && strcmp(what, "nothing-new") == 0)
		bench_connect(CONNECT_ONLY, n, strtoull(argv[2], NULL, 10));
	else
		return false;
	return true;
}

int main(int argc, char *argv[])
{
	bool resume = argc > 1 && strcmp(argv[1], "--resume") == 0;
	bool tls = resume || (argc > 1 && strcmp(argv[1], "--tls") == 0);

	argc -= 1 + tls;
	argv += 1 + tls;
	files_max();
	(void)signal(SIGPIPE, SIG_IGN);
	load_port = argc > 0 ? atoi(argv[0]) : 0;
	if (tls)
		use_tls(resume);
	if (argc < 3 || !run(argc - 1, argv + 1))
		fail("usage: see load.c");
	(void)fflush(stdout);
	while (getchar() != EOF)
		;
	return EXIT_SUCCESS;
}
