/* SPDX-License-Identifier: MIT */
/*
 * The client's side of the connection: its stream, reading a head, TLS, lingering close; with the
 * buffers, and the connections to backends, that are kept from one request to the next.
 */
#ifndef NOVNC_GATE_DOWNSTREAM_H
#define NOVNC_GATE_DOWNSTREAM_H

#include "config/config.h"
#include "net/client.h"
#include "proxy/upstream.h"

/* Owns the streams and the buffers' storage. */
struct downstream {
	const struct config *cfg;
	struct client client; /* who it is: for logs, routing and the backends */
	int sigfd;            /* borrowed; readable when SIGTERM has come */
	struct stream stream;
	struct buf in;  /* from the client; after an exchange, the next requests */
	struct buf out; /* for the client */
	struct buf up_in, up_out; /* likewise of the backend of the current exchange */
	char *storage;            /* of the four buffers */
	size_t storage_len;
	struct upstream upstream[CONFIG_BACKENDS];
};

/* Takes fd over, also where it fails. Returns 0 or -errno; then *ret owns nothing. */
int downstream_open(struct downstream *ret, int fd, const struct config *cfg,
		    const struct client *client, int sigfd);

/* Closes everything. */
void downstream_done(struct downstream *d);

/* Gives the buffers' memory back, if all of them are empty. */
void downstream_release(struct downstream *d);

enum downstream_tls {
	DOWNSTREAM_TLS,   /* the handshake is done */
	DOWNSTREAM_PLAIN, /* it speaks plain HTTP, which is read next */
	DOWNSTREAM_GONE,  /* it ended before it sent a byte, or SIGTERM came */
	DOWNSTREAM_TLS_FAILED,
	DOWNSTREAM_MISCONFIGURED, /* the certificate, its key or the like */
	DOWNSTREAM_LOCAL_FAULT,   /* no memory, or no TLS module */
};

/* Has the client speak TLS, if it could be prepared, until deadline_ms. *why has words for it. */
enum downstream_tls downstream_secure(struct downstream *d, struct stream_tls *tls,
				      uint64_t deadline_ms, struct tls_why *why);

/*
 * Reads once from the client, waiting until deadline_ms where nothing has come yet. Returns 0 with
 * more in b or, at the end, with the stream ended; -ETIMEDOUT, -ECANCELED for SIGTERM, or another
 * -errno.
 */
int downstream_read(struct downstream *d, struct buf *b, uint64_t deadline_ms);

/* Writes all of out within the time of a lingering close. 0, or as downstream_read(). */
int downstream_flush(struct downstream *d);

/*
 * Ends our direction and reads on for a while, or the reset that unread bytes provoke would overtake
 * what was sent (RFC 9112 9.6).
 */
void downstream_linger(struct downstream *d);

#endif
