/* SPDX-License-Identifier: MIT */
/* A connection's streams and buffers, and what is read from and written to the client. */
#ifndef NOVNC_GATE_WIRE_H
#define NOVNC_GATE_WIRE_H

#include "config/config.h"
#include "net/client.h"
#include "net/stream.h"
#include "proxy/link.h"

/* What the exchanges of a connection share. Owns the streams and the buffers' storage. */
struct wire {
	const struct config *cfg;
	struct client who;
	int sigfd; /* borrowed; readable when SIGTERM has come */
	struct stream client;
	struct link link[CONFIG_BACKENDS];
	struct buf client_in;  /* from the client; after an exchange, the next requests */
	struct buf backend_in; /* from the backend of the current exchange */
	struct buf up_out, down_out; /* composed for the backend, for the client */
	char *storage;               /* of the four buffers */
	size_t storage_len;
};

/* Takes fd over, also where it fails. Returns 0 or -errno; then *ret owns nothing. */
int wire_open(struct wire *ret, int fd, const struct config *cfg,
	      const struct client *who, int sigfd);

/* Closes everything. */
void wire_done(struct wire *w);

/* Gives the buffers' memory back, if all of them are empty. */
void wire_rest(struct wire *w);

/*
 * Has the client speak TLS, if it could be prepared. Returns 0; -EPROTONOSUPPORT where it
 * speaks plain HTTP, which is then what is read; -ENOKEY or -ELIBACC for
 * tls->error; -ENODATA where it ended
 * before it sent a byte; -ETIMEDOUT, -ECANCELED for SIGTERM, or another -errno for what
 * the client did. *why has words for it.
 */
int wire_secure(struct wire *w, struct stream_tls *tls, uint64_t deadline_ms,
		struct tls_why *why);

/*
 * Reads once from the client, waiting until deadline_ms where nothing has come yet.
 * Returns 0 with more in b or, at the end, with the stream's eof set; -ETIMEDOUT,
 * -ECANCELED for SIGTERM, or another -errno.
 */
int wire_read(struct wire *w, struct buf *b, uint64_t deadline_ms);

/* Writes all of down_out within the time of a lingering close. 0, or as wire_read(). */
int wire_flush(struct wire *w);

/*
 * Ends our direction and reads on for a while, or the reset that unread bytes provoke
 * would overtake what was sent (RFC 9112 9.6).
 */
void wire_linger(struct wire *w);

#endif
