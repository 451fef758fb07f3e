/* SPDX-License-Identifier: MIT */
#include "proxy/downstream.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "http/frames.h"
#include "net/proxy_header.h"
#include "process/pages.h"

/* The limits of a lingering close. */
#define DOWNSTREAM_LINGER_MS    2000
#define DOWNSTREAM_LINGER_BYTES (256 * 1024)
/* The same for a client that is still reading. */
#define DOWNSTREAM_SLOW_MS      30000
/* The least size of an input buffer: much of a chunked body is read at once. */
#define DOWNSTREAM_INPUT_MIN    (256 * 1024)
/* Room for the framing of a body, and for interim responses that come together, bytes. */
#define DOWNSTREAM_OUTPUT_MIN   (96 * 1024)

/* One mapping for the four buffers; the kernel allocates its pages when they are used. */
static int buffers_map(struct downstream *d)
{
	size_t head = d->cfg->head_max;
	size_t in = head > DOWNSTREAM_INPUT_MIN ? head : DOWNSTREAM_INPUT_MIN;
	/* X-Forwarded-Host may double a head */
	size_t out = 2 * head + DOWNSTREAM_OUTPUT_MIN;
	char *p;

	d->storage_len = 2 * (in + out);
	p = mmap(NULL, d->storage_len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	d->in = (struct buf){ .data = p, .cap = in };
	d->backend_in = (struct buf){ .data = p + in, .cap = in };
	d->backend_out = (struct buf){ .data = p + 2 * in, .cap = out };
	d->out = (struct buf){ .data = p + 2 * in + out, .cap = out };
	return 0;
}

int downstream_open(struct downstream *ret, int fd, const struct config *cfg,
		    const struct client *client, int sigfd)
{
	int r = stream_adopt(fd, &ret->stream);

	ret->cfg = cfg;
	ret->client = *client;
	ret->sigfd = sigfd;
	ret->recheck = NULL;
	if (r == 0)
		r = buffers_map(ret);
	if (r < 0) {
		fd_close_auto(&fd);
		return r;
	}
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		upstream_init(&ret->upstream[i], &cfg->backend[i]);
	return 0;
}

void downstream_done(struct downstream *d)
{
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		upstream_close(&d->upstream[i]);
	recheck_free(&d->recheck);
	stream_done(&d->stream);
	(void)munmap(d->in.data, d->storage_len); /* cannot fail */
}

void downstream_release(struct downstream *d)
{
	if (buf_len(&d->in) > 0 || buf_len(&d->backend_in) > 0 ||
	    buf_len(&d->backend_out) > 0 || buf_len(&d->out) > 0)
		return;
	pages_release(d->in.data, d->storage_len);
}

/*
 * Waits for events on the client: 0, -ETIMEDOUT, -ECANCELED for SIGTERM, or -errno. The same poll
 * finds kept connections that a backend has closed.
 */
static int client_wait(struct downstream *d, short events, uint64_t deadline_ms)
{
	struct pollfd p[2 + CONFIG_BACKENDS] = {
		{ .fd = d->sigfd },
		{ .fd = d->stream.fd, .events = events },
	};
	int n;

	do {
		for (size_t i = 0; i < CONFIG_BACKENDS; i++)
			p[2 + i] = (struct pollfd){
				.fd = upstream_kept_fd(&d->upstream[i]),
				.events = POLLIN,
			};
		n = clock_wait(p, 2 + CONFIG_BACKENDS, clock_ms(), deadline_ms);
		for (size_t i = 0; n > 0 && i < CONFIG_BACKENDS; i++)
			upstream_kept_events(&d->upstream[i], p[2 + i].revents);
	} while (n > 0 && p[1].revents == 0);
	return n < 0 ? n : 0;
}

/* Reads once into b; see downstream_read(). */
static int client_read(struct downstream *d, struct buf *b, uint64_t deadline_ms)
{
	ssize_t n = d->stream.can_read ? stream_read(&d->stream, b) : -EAGAIN;
	int r = 0;

	while (n == -EAGAIN && r == 0) {
		r = client_wait(d, d->stream.read_wants, deadline_ms);
		if (r == 0)
			n = stream_read(&d->stream, b);
		/* an event of TLS may bring no payload */
		if (r == 0 && n == -EAGAIN && clock_ms() >= deadline_ms)
			r = -ETIMEDOUT;
	}
	return r < 0 ? r : n < 0 ? (int)n : 0;
}

enum downstream_header downstream_read_header(struct downstream *d, bool trusted,
					      uint64_t deadline_ms, const char **why)
{
	char piece[4096]; /* the values of version 2 may be longer, and are dropped */
	struct proxy_header h;

	proxy_header_init(&h);
	do {
		struct buf b = { .data = piece };
		int r;

		b.cap = h.wanted < sizeof(piece) ? h.wanted : sizeof(piece);
		r = client_read(d, &b, deadline_ms);
		if (buf_len(&b) == 0) {
			*why = r == -ETIMEDOUT
				       ? "timed out waiting for its PROXY header"
				       : "it ended before its PROXY header was complete";
			return r == -ECANCELED || (h.len == 0 && r != -ETIMEDOUT)
				       ? DOWNSTREAM_HEADER_NONE
				       : DOWNSTREAM_HEADER_REFUSED;
		}
		*why = "its address is not in TrustedProxies=";
		if (!trusted)
			return DOWNSTREAM_HEADER_REFUSED;
		proxy_header_add(&h, buf_slice(&b));
	} while (h.state == PROXY_HEADER_INCOMPLETE);
	if (h.state == PROXY_HEADER_INVALID) {
		*why = h.why;
		return DOWNSTREAM_HEADER_REFUSED;
	}
	if (h.state == PROXY_HEADER_NAMED)
		client_set_address(&d->client, &h.address, h.port);
	/* a short read has cleared it, but poll(2) does not show bytes that TLS reads ahead */
	d->stream.can_read = true;
	return DOWNSTREAM_HEADER_READ;
}

static enum downstream_tls client_handshake(struct downstream *d, uint64_t deadline_ms,
					    struct tls_why *why)
{
	int r;

	while ((r = stream_handshake(&d->stream)) == -EAGAIN) {
		r = client_wait(d, d->stream.read_wants, deadline_ms);
		if (r == 0 && clock_ms() >= deadline_ms)
			r = -ETIMEDOUT;
		if (r < 0)
			break;
	}
	d->client.tls = r == 0;
	d->client.subject = stream_subject(&d->stream);
	if (r == 0)
		return DOWNSTREAM_TLS;
	(void)snprintf(why->text, sizeof(why->text), "%s",
		       r == -ETIMEDOUT ? "timed out waiting for the handshake"
				       : stream_strerror(&d->stream, r));
	return r == -ECANCELED ? DOWNSTREAM_GONE : DOWNSTREAM_TLS_FAILED;
}

enum downstream_tls downstream_secure(struct downstream *d, struct stream_tls *tls,
				      uint64_t deadline_ms, struct tls_why *why)
{
	unsigned char byte;

	if (client_wait(d, POLLIN, deadline_ms) < 0 ||
	    recv(d->stream.fd, &byte, 1, MSG_PEEK) <= 0)
		return DOWNSTREAM_GONE;
	if (isalpha(byte)) /* of a method; TLS begins with 0x16 (RFC 8446 5.1) */
		return DOWNSTREAM_PLAIN;
	*why = tls->why;
	switch (tls->result) {
	case TLS_MISCONFIGURED: return DOWNSTREAM_MISCONFIGURED;
	case TLS_LOCAL_FAULT: return DOWNSTREAM_LOCAL_FAULT;
	case TLS_READY: break;
	}
	stream_secure(&d->stream, tls);
	return client_handshake(d, deadline_ms, why);
}

int downstream_read(struct downstream *d, uint64_t deadline_ms)
{
	return client_read(d, &d->in, deadline_ms);
}

int downstream_flush(struct downstream *d)
{
	uint64_t deadline_ms = clock_deadline_ms(clock_ms(), DOWNSTREAM_LINGER_MS);
	struct buf *out = &d->out;
	int r = 0;

	while (buf_len(out) > 0 && r == 0) {
		struct iovec iov = { .iov_base = out->data + out->start,
				     .iov_len = buf_len(out) };
		ssize_t n = stream_write(&d->stream, &iov, 1);

		if (n == -EAGAIN)
			r = client_wait(d, d->stream.write_wants, deadline_ms);
		else if (n < 0)
			r = (int)n;
		else
			buf_consume(out, (size_t)n);
	}
	return r;
}

/* Ends our direction. Returns as downstream_read(). */
static int downstream_shut(struct downstream *d, uint64_t deadline_ms)
{
	int r = 0;

	stream_shut(&d->stream);
	while (r == 0 && d->stream.output == STREAM_OUT_SHUTTING) {
		r = client_wait(d, d->stream.write_wants, deadline_ms);
		if (r == 0)
			stream_shut(&d->stream);
	}
	return r;
}

void downstream_await_close(struct downstream *d)
{
	uint64_t deadline_ms = clock_deadline_ms(clock_ms(), DOWNSTREAM_LINGER_MS);
	struct frames f;

	frames_init(&f, true);
	do {
		while (buf_len(&d->in) > 0)
			buf_consume(&d->in, frames_follow(&f, buf_slice(&d->in)));
	} while (f.state != FRAMES_CLOSED && !stream_ended(&d->stream) &&
		 clock_ms() < deadline_ms && downstream_read(d, deadline_ms) == 0);
	(void)downstream_shut(d, deadline_ms);
}

/* Drops what comes, but no more than *left bytes. Returns as downstream_read(). */
static int downstream_drop(struct downstream *d, uint64_t deadline_ms, size_t *left)
{
	int r = 0;

	while (r == 0 && !stream_ended(&d->stream) && *left > 0) {
		buf_reset(&d->in);
		r = downstream_read(d, deadline_ms);
		*left -= buf_len(&d->in) < *left ? buf_len(&d->in) : *left;
	}
	return r;
}

void downstream_linger(struct downstream *d)
{
	uint64_t now_ms = clock_ms();
	uint64_t last_ms = clock_deadline_ms(now_ms, DOWNSTREAM_SLOW_MS);
	uint64_t deadline_ms = clock_deadline_ms(now_ms, DOWNSTREAM_LINGER_MS);
	unsigned before, unacknowledged = stream_unacknowledged(&d->stream);
	size_t left = DOWNSTREAM_LINGER_BYTES;
	int r = downstream_shut(d, deadline_ms);

	if (r < 0)
		return;
	do {
		before = unacknowledged;
		r = downstream_drop(d, deadline_ms, &left);
		unacknowledged = stream_unacknowledged(&d->stream);
		deadline_ms += DOWNSTREAM_LINGER_MS;
	} while (r == -ETIMEDOUT && unacknowledged > 0 && unacknowledged < before &&
		 deadline_ms <= last_ms);
}
