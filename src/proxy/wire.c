/* SPDX-License-Identifier: MIT */
/* A connection's streams and buffers. */
#include "proxy/wire.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "net/wait.h"
#include "process/pages.h"

/* A lingering close: how long and how much is still read. */
#define WIRE_LINGER_MS    2000
#define WIRE_LINGER_BYTES (256 * 1024)
/* What is read at once of a chunked body, bytes; pages that it does not use cost nothing. */
#define WIRE_INPUT_MIN    (256 * 1024)
/* Room for what frames a body, and for all interim answers that are read at once, bytes. */
#define WIRE_OUTPUT_MIN   (96 * 1024)

static struct buf carve(char **rest, size_t cap)
{
	struct buf b = { .data = *rest, .cap = cap };

	*rest += cap;
	return b;
}

/* One mapping for the four buffers; its pages come into being when they are used. */
static int buffers_map(struct wire *w)
{
	size_t head = w->cfg->head_max;
	size_t in = head > WIRE_INPUT_MIN ? head : WIRE_INPUT_MIN;
	size_t out = 2 * head + WIRE_OUTPUT_MIN; /* X-Forwarded-Host may double a head */
	char *rest;

	w->storage_len = 2 * (in + out);
	w->storage = mmap(NULL, w->storage_len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->storage == MAP_FAILED)
		return -errno;
	rest = w->storage;
	w->client_in = carve(&rest, in);
	w->backend_in = carve(&rest, in);
	w->up_out = carve(&rest, out);
	w->down_out = carve(&rest, out);
	return 0;
}

int wire_open(struct wire *ret, int fd, const struct config *cfg,
	      const struct client *who, int sigfd)
{
	AUTO_FD int owned = fd;
	struct wire w = { .cfg = cfg, .who = *who, .sigfd = sigfd };
	int r = stream_adopt(fd, &w.client);

	if (r == 0)
		r = buffers_map(&w);
	if (r < 0)
		return r;
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		w.link[i] = LINK_NONE;
	(void)fd_take(&owned); /* w.client has it now */
	*ret = w;
	return 0;
}

void wire_done(struct wire *w)
{
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		link_drop(&w->link[i]);
	stream_done(&w->client);
	(void)munmap(w->storage, w->storage_len); /* nothing is left in it */
}

void wire_rest(struct wire *w)
{
	if (buf_len(&w->client_in) > 0 || buf_len(&w->backend_in) > 0 ||
	    buf_len(&w->up_out) > 0 || buf_len(&w->down_out) > 0)
		return;
	pages_release(w->storage, w->storage_len);
}

/*
 * Waits for events on the client: 0, -ETIMEDOUT, -ECANCELED for SIGTERM, or -errno. The same
 * poll tells of the links, which are at rest, whether the next request can use them.
 */
static int client_wait(struct wire *w, short events, uint64_t deadline_ms)
{
	struct pollfd p[2 + CONFIG_BACKENDS] = {
		{ .fd = w->sigfd },
		{ .fd = w->client.fd, .events = events },
	};

	for (;;) {
		int n;

		for (size_t i = 0; i < CONFIG_BACKENDS; i++) {
			p[2 + i].fd = link_watch(&w->link[i]);
			p[2 + i].events = POLLIN;
		}
		n = wait_poll(p, 2 + CONFIG_BACKENDS, clock_ms(), deadline_ms);
		if (n < 0)
			return n;
		for (size_t i = 0; i < CONFIG_BACKENDS; i++)
			link_watched(&w->link[i], p[2 + i].revents);
		if (p[1].revents)
			return 0;
	}
}

/* Looks at the first byte: 0 where it may be TLS, or as wire_secure(). */
static int client_first_byte(struct wire *w, uint64_t deadline_ms)
{
	int r = client_wait(w, POLLIN, deadline_ms);
	unsigned char byte;
	ssize_t n;

	if (r < 0)
		return r;
	n = recv(w->client.fd, &byte, 1, MSG_PEEK);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ENODATA;
	return isalpha(byte) ? -EPROTONOSUPPORT : 0; /* a method; TLS begins with 0x16 */
}

int wire_secure(struct wire *w, struct stream_tls *tls, uint64_t deadline_ms,
		struct tls_why *why)
{
	int r = client_first_byte(w, deadline_ms);

	if (r < 0) {
		(void)snprintf(why->text, sizeof(why->text), "%s", strerror(-r));
		return r;
	}
	if (tls->error != TLS_READY) {
		*why = tls->why;
		return tls->error == TLS_MISCONFIGURED ? -ENOKEY : -ELIBACC;
	}
	stream_secure(&w->client, tls);
	while ((r = stream_handshake(&w->client)) == -EAGAIN) {
		r = client_wait(w, w->client.read_wants, deadline_ms);
		if (r < 0)
			break;
	}
	if (r < 0)
		(void)snprintf(why->text, sizeof(why->text), "%s",
			       r == -ETIMEDOUT ? "timed out waiting for the handshake"
					       : stream_strerror(&w->client, r));
	w->who.tls = r == 0;
	w->who.subject = stream_subject(&w->client);
	return r;
}

int wire_read(struct wire *w, struct buf *b, uint64_t deadline_ms)
{
	ssize_t n = w->client.can_read ? stream_read(&w->client, b) : -EAGAIN;
	int r = 0;

	while (n == -EAGAIN && r == 0) {
		r = client_wait(w, w->client.read_wants, deadline_ms);
		if (r == 0)
			n = stream_read(&w->client, b);
		/* TLS has events that bring nothing */
		if (r == 0 && n == -EAGAIN && clock_ms() >= deadline_ms)
			r = -ETIMEDOUT;
	}
	return r < 0 ? r : n < 0 ? (int)n : 0;
}

int wire_flush(struct wire *w)
{
	uint64_t deadline_ms = clock_deadline_ms(clock_ms(), WIRE_LINGER_MS);
	struct buf *out = &w->down_out;
	int r = 0;

	while (buf_len(out) > 0 && r == 0) {
		struct iovec iov = { .iov_base = out->data + out->start,
				     .iov_len = buf_len(out) };
		ssize_t n = stream_write(&w->client, &iov, 1);

		if (n == -EAGAIN)
			r = client_wait(w, w->client.write_wants, deadline_ms);
		else if (n < 0)
			r = (int)n;
		else
			buf_consume(out, (size_t)n);
	}
	return r;
}

void wire_linger(struct wire *w)
{
	uint64_t deadline_ms = clock_deadline_ms(clock_ms(), WIRE_LINGER_MS);
	struct buf *in = &w->client_in;
	size_t seen = 0;

	stream_shut(&w->client);
	while (w->client.output == STREAM_OUT_SHUTTING) {
		if (client_wait(w, w->client.write_wants, deadline_ms) < 0)
			return;
		stream_shut(&w->client);
	}
	while (!stream_ended(&w->client) && seen < WIRE_LINGER_BYTES) {
		in->start = in->end = 0;
		if (wire_read(w, in, deadline_ms) < 0)
			return;
		seen += buf_len(in);
	}
}
