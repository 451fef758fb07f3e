/* SPDX-License-Identifier: MIT */
/*
 * tls_backend CERTIFICATE KEY: a master-controller behind https://, with the tunnels of backend.c. Few
 * of them stand at once, so each has a process of its own. Prints its port; ends when standard
 * input does.
 */
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "bench.h"
#include "conn.h"

/* n is the length of whole frames. */
static void send_frames(struct conn *c, uint64_t n)
{
	static char frame[FRAME_DOWN];

	frames_fill(frame, sizeof(frame), true);
	for (; n > 0; n -= sizeof(frame))
		conn_put(c, frame, sizeof(frame));
}

static void echo(struct conn *c)
{
	char message[PING_SIZE];

	while (conn_get(c, message, 1) == 1) {
		if (message[0] == close_up[0]) {
			conn_put(c, close_down, sizeof(close_down));
			return;
		}
		conn_get_all(c, message + 1, sizeof(message) - 1);
		conn_put(c, pong, sizeof(pong));
	}
}

static void serve(struct conn *c)
{
	static const char answer[] =
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: " WS_ACCEPT "\r\n\r\n";
	char head[8192], message[PING_SIZE], *query;
	size_t len, over = conn_get_head(c, head, sizeof(head), &len);

	if (len == 0)
		return;
	query = strchr(head, '?');
	conn_put(c, answer, sizeof(answer) - 1);
	if (query && strncmp(query, "?down=", 6) == 0) {
		(void)conn_get(c, message, sizeof(message));
		send_frames(c, strtoull(query + 6, NULL, 10));
	} else if (query && strncmp(query, "?up=", 4) == 0) {
		(void)conn_discard(c, strtoull(query + 4, NULL, 10) - over);
		conn_put(c, "!", 1);
	} else {
		echo(c);
	}
	conn_shut(c);
	(void)conn_discard(c, 0);
}

static void serve_in_child(int listener, SSL_CTX *ctx)
{
	static const int on = 1;
	int fd = accept(listener, NULL, NULL);
	struct conn c;

	if (fd < 0)
		return; /* gone already */
	if (fork() == 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		c = conn_accept(fd, ctx);
		serve(&c);
		_exit(EXIT_SUCCESS);
	}
	(void)close(fd);
}

int main(int argc, char *argv[])
{
	SSL_CTX *ctx;
	int listener, port;

	if (argc != 3)
		fail("usage: tls_backend CERTIFICATE KEY");
	ctx = conn_server(argv[1], argv[2]);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN);
	listener = listen_anywhere(&port);
	(void)printf("%d\n", port);
	(void)fflush(stdout);
	for (;;) {
		struct pollfd p[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				      { .fd = listener, .events = POLLIN } };

		if (poll(p, 2, -1) < 0)
			fail("poll");
		if (p[0].revents)
			return EXIT_SUCCESS;
		serve_in_child(listener, ctx);
	}
}
