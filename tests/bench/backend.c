/* SPDX-License-Identifier: MIT */
/*
 * What stands behind the contestants of the bench: page server, master-controller and, for
 * websockify, the bare TCP services behind it, in one event loop so that it is not the bottleneck.
 * Prints its ports in the order of `enum service`; ends when standard input does.
 *
 *   GET /page                   1 KiB
 *   GET /length/N, /chunked/N   N bytes
 *   POST /upload                counts the body, then answers
 *   WebSocket ...?echo          answers each message with as long a one, and a Close
 *   WebSocket ...?down=N        waits for a message, then sends N bytes of frames of 64 KiB
 *   WebSocket ...?raw=N         the same, but the bytes are no frames
 *   WebSocket ...?up=N          takes N bytes, then sends one
 */
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/param.h>
#include <unistd.h>

#include "bench.h"

enum service { PAGES, CONTROLLER, RAW_ECHO, RAW_DOWN, RAW_UP, SERVICES };

enum state { LISTEN, HEAD, BODY, CHUNK_HEAD, CHUNK, ECHO, READY, DOWN, UP, IDLE };

struct conn {
	int fd;
	enum service service;
	enum state state;
	uint64_t left;          /* bytes still to send or to take in this state */
	size_t message, answer; /* ECHO: the length of each */
	bool tunnel, framed, chunked, close;
	size_t len;
	char buf[4096];
};

static int epoll;
static uint64_t raw_bytes; /* for RAW_DOWN, which sends a little more, and RAW_UP */
static char page[PAGE_SIZE];
static char chunk[CHUNK_WIRE];
static char framed[4 * FRAME_DOWN], raw[sizeof(framed)];

static void drop(struct conn *c)
{
	(void)close(c->fd);
	free(c);
}

static void want(struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0)
		fail("epoll_ctl");
}

static void enter(struct conn *c, enum state state, uint64_t left)
{
	if ((c->state == DOWN) != (state == DOWN))
		want(c, state == DOWN ? EPOLLOUT : EPOLLIN);
	c->state = state;
	c->left = left;
}

/* Small answers always fit into an empty socket. */
static void put(struct conn *c, const void *p, size_t n)
{
	if (send(c->fd, p, n, MSG_NOSIGNAL) != (ssize_t)n && errno != EPIPE &&
	    errno != ECONNRESET)
		fail("send");
}

static void put_page(struct conn *c)
{
	static char answer[sizeof(page) + 256];
	int n = snprintf(answer, sizeof(answer),
			 "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
			 "Cache-Control: no-store\r\nContent-Length: %zu\r\n%s\r\n",
			 sizeof(page), c->close ? "Connection: close\r\n" : "");

	memcpy(answer + n, page, sizeof(page));
	put(c, answer, (size_t)n + sizeof(page));
}

static void put_text(struct conn *c, const char *text)
{
	put(c, text, strlen(text));
}

/* After an answer: the next request, or the end. */
static void next(struct conn *c)
{
	c->len = 0;
	enter(c, HEAD, 0);
	if (c->close)
		(void)shutdown(c->fd, SHUT_WR); /* the peer's end brings drop() */
}

static void upload_done(struct conn *c)
{
	put_page(c);
	next(c);
}

static void begin_tunnel(struct conn *c, const char *query)
{
	put_text(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		    "Connection: Upgrade\r\nSec-WebSocket-Accept: " WS_ACCEPT "\r\n\r\n");
	c->tunnel = true;
	c->message = PING_SIZE;
	c->answer = PONG_SIZE;
	c->framed = strncmp(query, "down=", 5) == 0;
	if (c->framed)
		enter(c, READY, strtoull(query + 5, NULL, 10));
	else if (strncmp(query, "raw=", 4) == 0)
		enter(c, READY, strtoull(query + 4, NULL, 10));
	else if (strncmp(query, "up=", 3) == 0)
		enter(c, UP, strtoull(query + 3, NULL, 10));
	else
		enter(c, ECHO, 0);
}

static void begin_download(struct conn *c, uint64_t n)
{
	char head[256];

	(void)snprintf(head, sizeof(head),
		       "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n%s%s",
		       c->chunked ? "Transfer-Encoding: chunked\r\n" : "",
		       c->close ? "Connection: close\r\n" : "");
	if (!c->chunked)
		(void)snprintf(head + strlen(head), sizeof(head) - strlen(head),
			       "Content-Length: %llu\r\n", (unsigned long long)n);
	(void)strcat(head, "\r\n");
	put_text(c, head);
	enter(c, DOWN, c->chunked ? n / CHUNK_SIZE * CHUNK_WIRE : n);
}

/* A chunk's size line, with the line end before it; what follows it is payload. */
static void on_chunk_head(struct conn *c)
{
	char *p = c->buf, *end = c->buf + c->len, *line;
	uint64_t size;

	for (;;) {
		while (p < end && (*p == '\r' || *p == '\n'))
			p++;
		line = memchr(p, '\n', (size_t)(end - p));
		if (!line) {
			c->len = (size_t)(end - p);
			memmove(c->buf, p, c->len);
			return;
		}
		size = strtoull(p, NULL, 16);
		p = line + 1;
		if (size == 0) {
			/* the empty line after it is all that follows, and may still come */
			if (end - p < 2)
				(void)recv(c->fd, c->buf, 2 - (size_t)(end - p),
					   MSG_WAITALL);
			upload_done(c);
			return;
		}
		if (size > (uint64_t)(end - p))
			break;
		p += size;
	}
	c->len = 0;
	enter(c, CHUNK, size - (uint64_t)(end - p));
}

/* What came after a head that ends at `end` belongs to the body. */
static void begin_upload(struct conn *c, const char *head, const char *end)
{
	size_t over = (size_t)(c->buf + c->len - end);
	const char *length = strcasestr(head, "\r\ncontent-length:");

	memmove(c->buf, end, over);
	c->len = over;
	if (length) {
		c->len = 0;
		enter(c, BODY, strtoull(length + 17, NULL, 10) - over);
	} else {
		enter(c, CHUNK_HEAD, 0);
		on_chunk_head(c);
	}
}

static void on_head(struct conn *c)
{
	char head[sizeof(c->buf) + 1];
	char *end, *query;

	memcpy(head, c->buf, c->len);
	head[c->len] = '\0';
	end = strstr(head, "\r\n\r\n");
	if (!end) {
		if (c->len == sizeof(c->buf))
			fail("a head too long");
		return;
	}
	end += 4;
	c->close = strcasestr(head, "\r\nconnection: close") != NULL;
	c->chunked = strncmp(head, "GET /chunked/", 13) == 0;
	if (strncmp(head, "POST ", 5) == 0) {
		begin_upload(c, head, c->buf + (end - head));
	} else if (strcasestr(head, "\r\nupgrade: websocket")) {
		query = strchr(head, '?');
		begin_tunnel(c, query ? query + 1 : "");
	} else if (c->chunked || strncmp(head, "GET /length/", 12) == 0) {
		begin_download(c, strtoull(strchr(head + 5, '/') + 1, NULL, 10));
	} else {
		put_page(c);
		next(c);
	}
}

/* One read, of as much as this state can use; false at the end of the connection. */
static bool on_input(struct conn *c)
{
	static char scratch[65536];
	ssize_t n;

	switch (c->state) {
	case HEAD:
	case CHUNK_HEAD:
		n = recv(c->fd, c->buf + c->len, sizeof(c->buf) - c->len, MSG_DONTWAIT);
		if (n > 0)
			c->len += (size_t)n;
		break;
	case BODY:
	case CHUNK:
	case UP: /* the kernel throws it away without a copy */
		n = recv(c->fd, NULL, MIN(c->left, 1UL << 22), MSG_DONTWAIT | MSG_TRUNC);
		if (n > 0)
			c->left -= (uint64_t)n;
		break;
	default:
		n = recv(c->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
		if (n == sizeof(close_up) && c->left == 0 && scratch[0] == close_up[0]) {
			put(c, close_down, sizeof(close_down));
			(void)shutdown(c->fd, SHUT_WR); /* the peer's end brings drop() */
		} else if (n > 0 && c->state == ECHO) {
			c->left += (uint64_t)n;
		}
	}
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;

	if (c->state == HEAD)
		on_head(c);
	else if (c->state == CHUNK_HEAD)
		on_chunk_head(c);
	else if (c->state == BODY && c->left == 0)
		upload_done(c);
	else if (c->state == READY)
		enter(c, DOWN, c->left);
	else if (c->state == CHUNK && c->left == 0)
		enter(c, CHUNK_HEAD, 0);
	else if (c->state == UP && c->left == 0) {
		put_text(c, "!");
		enter(c, IDLE, 0);
	}
	for (; c->state == ECHO && c->left >= c->message; c->left -= c->message)
		put(c, pong + (PONG_SIZE - c->answer), c->answer);
	return true;
}

static bool on_room(struct conn *c)
{
	size_t unit = c->chunked ? CHUNK_WIRE : FRAME_DOWN, at = c->left % unit;
	const char *bytes = c->framed ? framed : raw;
	ssize_t n;

	/* whole chunks or frames, so what is left tells where in one we are */
	at = at ? unit - at : 0;
	if (c->chunked) {
		n = send(c->fd, chunk + at, CHUNK_WIRE - at, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		n = send(c->fd, bytes + at, MIN(c->left, sizeof(framed) - at),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	if (n < 0)
		return errno == EAGAIN;
	c->left -= (uint64_t)n;
	if (c->left > 0)
		return true;
	if (c->chunked)
		put_text(c, "0\r\n\r\n");
	if (c->tunnel)
		enter(c, IDLE, 0);
	else
		next(c);
	return true;
}

static struct conn *add(int fd, enum service service, enum state state)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	if (!c)
		fail("calloc");
	c->fd = fd;
	c->service = service;
	c->state = state;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		fail("epoll_ctl");
	return c;
}

static void on_connection(const struct conn *l)
{
	static const int on = 1;
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	struct conn *c;

	if (fd < 0)
		return; /* gone already */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c = add(fd, l->service, HEAD);
	c->tunnel = l->service >= RAW_ECHO;
	if (l->service == RAW_ECHO) {
		c->message = c->answer = MESSAGE_SIZE;
		enter(c, ECHO, 0);
	} else if (l->service == RAW_DOWN) {
		/* websockify's frames may have shorter heads than those of FRAME_DOWN */
		enter(c, READY, raw_bytes + raw_bytes / FRAME_SIZE * 10);
	} else if (l->service == RAW_UP) {
		enter(c, UP, raw_bytes);
	}
}

static void listen_on(enum service service)
{
	int port;

	(void)add(listen_anywhere(&port), service, LISTEN);
	(void)printf("%d%c", port, service == SERVICES - 1 ? '\n' : ' ');
}

int main(int argc, char *argv[])
{
	struct epoll_event ev[64];

	if (argc != 2)
		fail("usage: backend BYTES");
	raw_bytes = strtoull(argv[1], NULL, 10);
	memset(page, 'x', sizeof(page));
	chunk_fill(chunk);
	frames_fill(framed, sizeof(framed), true);
	frames_fill(raw, sizeof(raw), false);
	files_max();
	(void)signal(SIGPIPE, SIG_IGN);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	for (int s = 0; s < SERVICES; s++)
		listen_on((enum service)s);
	(void)fflush(stdout);
	ev[0] = (struct epoll_event){ .events = EPOLLIN, .data.ptr = NULL };
	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ev[0]);
	for (;;) {
		int n = epoll_wait(epoll, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (!c)
				return EXIT_SUCCESS;
			if (c->state == LISTEN)
				on_connection(c);
			else if (c->state == DOWN ? !on_room(c) : !on_input(c))
				drop(c);
		}
	}
}
