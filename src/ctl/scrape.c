/* SPDX-License-Identifier: MIT */
#include "ctl/scrape.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "http/http1.h"
#include "http/lines.h"

#define SCRAPE_HEAD_MAX  16384
#define SCRAPE_MS        10000 /* for the head, and for the response */
#define SCRAPE_LINGER_MS 2000

/* Waits; false after the deadline. */
static bool await(int fd, short events, uint64_t end_ms)
{
	struct pollfd p[] = { { .fd = -1 }, { .fd = fd, .events = events } };

	return clock_wait(p, 2, clock_ms(), end_ms) > 0;
}

static const char *phrase_of(unsigned status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 431: return "Request Header Fields Too Large";
	case 501: return "Not Implemented";
	case 505: return "HTTP Version Not Supported";
	default: return "Service Unavailable";
	}
}

/* In the form of RFC 9110 5.6.7, whatever the locale is. */
static void format_date(char *ret, size_t size)
{
	locale_t english = newlocale(LC_ALL_MASK, "C", NULL); /* always there */
	time_t now = time(NULL);
	struct tm tm = { 0 };

	(void)strftime_l(ret, size, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm),
			 english);
	freelocale(english);
}

static bool send_all(int fd, struct slice text, uint64_t end_ms)
{
	while (text.len > 0) {
		ssize_t n = await(fd, POLLOUT, end_ms) ? send(fd, text.p, text.len,
							      MSG_NOSIGNAL | MSG_DONTWAIT)
						       : -1;

		if (n < 0 && (errno == EAGAIN || errno == EINTR) && clock_ms() < end_ms)
			continue;
		if (n < 0)
			return false;
		text = slice_from(text, (size_t)n);
	}
	return true;
}

/* Reads on until the client closes: a reset would overtake the response (RFC 9112 9.6). */
static void linger(int fd)
{
	uint64_t end_ms = clock_ms() + SCRAPE_LINGER_MS;
	char unread[4096];

	(void)shutdown(fd, SHUT_WR);
	while (await(fd, POLLIN, end_ms) &&
	       recv(fd, unread, sizeof(unread), MSG_DONTWAIT) > 0)
		;
}

void scrape_respond(const struct scrape *s, unsigned status, struct slice text)
{
	char head[512], date[64];
	uint64_t end_ms = clock_ms() + SCRAPE_MS;

	format_date(date, sizeof(date));
	(void)snprintf(
		head, sizeof(head),
		"HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: text/plain; %s\r\n"
		"Content-Length: %zu\r\nCache-Control: no-store\r\n%sConnection: close\r\n\r\n",
		status, phrase_of(status), date,
		status == 200 ? "version=0.0.4; charset=utf-8" : "charset=utf-8",
		text.len, status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (send_all(s->fd, slice_str(head), end_ms) &&
	    (s->is_head || send_all(s->fd, text, end_ms)))
		linger(s->fd);
}

static bool refuse(const struct scrape *s, unsigned status, const char *why)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%s\n", why);
	scrape_respond(s, status, slice_str(text));
	return false;
}

/* Returns the length of the head; 0 if the client has gone or an error response was sent. */
static size_t read_head(const struct scrape *s, char *room)
{
	uint64_t end_ms = clock_ms() + SCRAPE_MS;
	struct lines_scan scan = { 0 };
	size_t used = 0;

	for (;;) {
		ssize_t n =
			lines_scan(&scan, (struct slice){ room, used }, SCRAPE_HEAD_MAX);

		if (n > 0)
			return (size_t)n;
		if (n == -EMSGSIZE)
			return refuse(s, 431, "The head of the request is too large.");
		if (n != -EAGAIN)
			return refuse(s, 400, scan.why);
		if (!await(s->fd, POLLIN, end_ms))
			return used > 0 ? refuse(s, 408, "The request came too slowly.")
					: 0;
		n = recv(s->fd, room + used, SCRAPE_HEAD_MAX - used, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return 0;
		used += n > 0 ? (size_t)n : 0;
	}
}

bool scrape_read(struct scrape *ret, int fd)
{
	struct http1_head h;
	char room[SCRAPE_HEAD_MAX];
	struct http1_fault fault;
	struct slice path;
	size_t len;

	*ret = (struct scrape){ .fd = fd };
	len = read_head(ret, room);
	if (len == 0)
		return false;
	ret->is_head = len > 5 && memcmp(room, "HEAD ", 5) == 0;
	if (http1_parse_request((struct slice){ room, len }, &h, &fault) < 0)
		return refuse(ret, fault.status, fault.why);
	if (!ret->is_head && !slice_eq(h.method, SLICE("GET")))
		return refuse(ret, 405, "Only GET and HEAD are allowed.");
	path = (struct slice){ h.target.p, slice_find(h.target, '?') };
	if (!slice_eq(path, SLICE("/metrics")))
		return refuse(ret, 404, "The metrics are at /metrics.");
	return true;
}
