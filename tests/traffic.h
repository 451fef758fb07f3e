/* SPDX-License-Identifier: MIT */
/* Messages of some size, sent and received through a relay. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "relaying.h"

/* More than everything between two peers holds: sockets, buffers, a pipe. */
#define MUCH    (6 * 1024 * 1024)
/* The most that all of these may hold. */
#define BETWEEN (3 * 1024 * 1024)

/* ---- messages of some size: raw as it is sent, and the payload in it */

struct message {
	enum http1_framing framing;
	char *raw, *payload;
	size_t raw_len, len;
};

static inline void message_make(struct message *m, enum http1_framing framing, size_t len)
{
	uint32_t noise = 1;
	size_t n = 0;

	*m = (struct message){ framing, malloc(2 * len + 64), malloc(len), 0, len };
	for (size_t i = 0; i < len; i++) {
		noise = noise * 1664525 + 1013904223;
		m->payload[i] = (char)(noise >> 24);
	}
	if (framing != HTTP1_CHUNKED) {
		memcpy(m->raw, m->payload, len);
		m->raw_len = len;
		return;
	}
	for (size_t i = 0; i < len; i += n) { /* chunks of all sizes */
		n = 1 + i % 7919;
		n = n < len - i ? n : len - i;
		m->raw_len += (size_t)sprintf(m->raw + m->raw_len, "%zx\r\n", n);
		memcpy(m->raw + m->raw_len, m->payload + i, n);
		m->raw_len += n;
		m->raw_len += (size_t)sprintf(m->raw + m->raw_len, "\r\n");
	}
	m->raw_len += (size_t)sprintf(m->raw + m->raw_len, "0\r\n\r\n");
}

static inline void message_free(struct message *m)
{
	free(m->raw);
	free(m->payload);
}

/* Takes the chunks away, in place; returns the payload's length, *rest what follows it. */
static inline size_t unchunk(char *text, char **ret_rest)
{
	char *from = text, *to = text;

	for (;;) {
		char *end;
		size_t n = strtoul(from, &end, 16);

		ck_assert_ptr_ne(end, from);
		ck_assert_int_eq(memcmp(end, "\r\n", 2), 0);
		from = end + 2;
		if (n == 0)
			break;
		memmove(to, from, n);
		to += n;
		from += n;
		ck_assert_int_eq(memcmp(from, "\r\n", 2), 0);
		from += 2;
	}
	*ret_rest = from;
	return (size_t)(to - text);
}

/* The bytes sent into one end of a relay and received from the other. */
struct traffic {
	const struct message *m;
	bool chunks; /* so it comes out */
	size_t sent, got;
	char *out;
	size_t out_size;
};

static inline void traffic_open(struct traffic *t, const struct message *m, bool chunks)
{
	size_t size = 2 * m->len + 4096;

	*t = (struct traffic){ m, chunks, 0, 0, malloc(size), size };
}

static inline bool send_some(struct traffic *t, int source)
{
	ssize_t n = send(source, t->m->raw + t->sent, t->m->raw_len - t->sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		ck_assert_int_eq(errno, EAGAIN);
	else
		t->sent += (size_t)n;
	return n > 0;
}

/*
 * Sends until the relay waits for room and nothing between the peers takes more. That the sender's
 * buffer is full does not say so: TCP may hold it back until it probes the window, 200 ms later.
 */
static inline void stuff(struct traffic *t, struct side s)
{
	do {
		while (t->sent < t->m->raw_len && send_some(t, *s.source))
			;
		still_wait();
	} while (t->sent < t->m->raw_len &&
		 (!still_asks(s.to->fd, POLLOUT) || send_some(t, *s.source)));
}

/* Sends what is left and receives at the same time, until all is there. */
static inline void pour(struct traffic *t, int source, int sink)
{
	bool all = false;

	while (!all) {
		struct pollfd p[] = {
			{ .fd = t->sent < t->m->raw_len ? source : -1,
			  .events = POLLOUT },
			{ .fd = sink, .events = POLLIN },
		};
		struct timespec patience = { PATIENCE_SEC, 0 };
		ssize_t n;

		ck_assert_int_gt(ppoll(p, 2, &patience, NULL), 0);
		if (p[0].revents)
			(void)send_some(t, source);
		if (!p[1].revents)
			continue;
		n = recv(sink, t->out + t->got, t->out_size - t->got - 1, 0);
		ck_assert_msg(n > 0, "it ended after %zu bytes", t->got);
		t->got += (size_t)n;
		t->out[t->got] = '\0';
		all = t->chunks ? t->got >= 7 && memcmp(t->out + t->got - 7,
							"\r\n0\r\n\r\n", 7) == 0
				: t->got >= t->m->len;
	}
}

/* All of it arrived and nothing else. */
static inline void traffic_check(struct traffic *t)
{
	char *rest;

	if (t->chunks) {
		t->got = unchunk(t->out, &rest);
		ck_assert_str_eq(rest, "\r\n");
	}
	ck_assert_uint_eq(t->got, t->m->len);
	ck_assert_int_eq(memcmp(t->out, t->m->payload, t->m->len), 0);
	free(t->out);
}

/* ---- much that goes one way through a relay */

struct haul {
	struct message m;
	struct traffic t;
	struct relaying w;
	struct side s;
};

/* chunks: so it comes out. */
static inline void haul_open(struct haul *h, enum direction d, bool tcp,
			     enum http1_framing framing, bool chunks)
{
	message_make(&h->m, framing, MUCH);
	traffic_open(&h->t, &h->m, chunks);
	relaying_open(&h->w, tcp);
	relaying_fix_room(&h->w);
	h->s = side_of(&h->w, d);
}

/* Bytes that are no frames, through a tunnel: either way, over TCP or not, in the four runs of a loop. */
static inline void haul_open_tunnel(struct haul *h, int i)
{
	haul_open(h, i & 2 ? UP : DOWN, i & 1, HTTP1_UNTIL_CLOSE, false);
	relaying_raw_tunnel(&h->w);
}

static inline void haul_pour(struct haul *h)
{
	pour(&h->t, *h->s.source, *h->s.sink);
}

/* All of it, to a sink that makes it wait. */
static inline void haul_pass(struct haul *h)
{
	stuff(&h->t, h->s);
	haul_pour(h);
}

/* As much as there is room for on the way; that is all from here on. */
static inline void haul_stuff_again(struct haul *h)
{
	h->t.sent = h->t.got = 0;
	stuff(&h->t, h->s);
	h->m.raw_len = h->m.len = h->t.sent;
}

static inline void haul_close(struct haul *h)
{
	traffic_check(&h->t);
	message_free(&h->m);
	relaying_close(&h->w);
}
