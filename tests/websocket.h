/* SPDX-License-Identifier: MIT */
/* Peers that send and receive WebSocket frames. */
#pragma once

#include "framed.h"
#include "peers.h"
#include "proxy/tunnel.h"

/* In place of the gate's random numbers. */
static const struct tunnel_random tunnel_random = { { 0x01, 0x80, 0xfe, 0x7f },
						    "payload" };

/* key: the client's, or NULL for the backend, which has none. */
static inline void peer_sends_frame(int fd, unsigned first, const void *payload,
				    size_t len, const unsigned char *key)
{
	struct written w = written_open(14 + len);

	write_frame(&w, first, payload, len, key);
	peer_send(fd, w.data, w.len);
	written_free(&w);
}

static inline void peer_says_frame(int fd, unsigned first, const char *text,
				   const unsigned char *key)
{
	peer_sends_frame(fd, first, text, strlen(text), key);
}

/* The next bytes are these. */
static inline void peer_hears_bytes(int fd, const void *bytes, size_t len)
{
	char *got = malloc(len);
	size_t n = 0;
	ssize_t r = 1;

	while (n < len && (r = recv(fd, got + n, len - n, 0)) > 0)
		n += (size_t)r;
	ck_assert_msg(n == len, "%zu bytes of %zu: %s", n, len,
		      r < 0 ? strerror(errno) : "the end");
	ck_assert_mem_eq(got, bytes, len);
	free(got);
}

/* The next bytes are this frame; key: the gate's, if the peer is the backend. */
static inline void peer_hears_frame(int fd, unsigned first, const void *payload,
				    size_t len, const unsigned char *key)
{
	struct written w = written_open(14 + len);

	write_frame(&w, first, payload, len, key);
	peer_hears_bytes(fd, w.data, w.len);
	written_free(&w);
}

/* The payload of a Close. Returns its length. */
static inline size_t close_payload(char ret[125], unsigned code, const char *reason)
{
	ret[0] = (char)(code >> 8);
	ret[1] = (char)code;
	return 2 + (size_t)snprintf(ret + 2, 123, "%s", reason);
}

static inline void peer_says_close(int fd, unsigned code, const char *reason,
				   const unsigned char *key)
{
	char payload[125];

	peer_sends_frame(fd, FIN | 8, payload, close_payload(payload, code, reason), key);
}

static inline void peer_hears_close(int fd, unsigned code, const char *reason,
				    const unsigned char *key)
{
	char payload[125];

	peer_hears_frame(fd, FIN | 8, payload, close_payload(payload, code, reason), key);
}
