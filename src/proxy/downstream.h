/* SPDX-License-Identifier: MIT */
/*
 * The client's side of the connection: its stream, TLS, reading, lingering close. It also owns the
 * buffers and the connections to backends, which are kept from request to request.
 */
#pragma once

#include "config/config.h"
#include "net/client.h"
#include "proxy/recheck.h"
#include "proxy/tunnel.h"
#include "proxy/upstream.h"

/* Owns the streams and the buffers' storage. */
struct downstream {
	const struct config *cfg;
	struct client client;
	int sigfd;                          /* borrowed; readable after SIGTERM */
	const struct tunnel_random *random; /* borrowed */
	int null_fd;                        /* of /dev/null; borrowed */
	struct stream stream;
	struct buf in, out;                 /* from the client, to the client */
	struct buf backend_in, backend_out; /* from and to the exchange's backend */
	size_t storage_len; /* of the four buffers, which begin at `in.data` */
	struct upstream upstream[CONFIG_BACKENDS];
	struct recheck *recheck;    /* owned; of an authorized session, else NULL */
	struct http1_head response; /* of the current exchange; large, so it is last */
};

/* Takes fd over, even if it fails. Returns 0 or -errno; after an error *ret owns nothing. */
int downstream_open(struct downstream *ret, int fd, const struct config *cfg,
		    const struct client *client, int sigfd);

/* Closes everything. */
void downstream_done(struct downstream *d);

/* Gives the buffers' memory back to the kernel, if all of them are empty. */
void downstream_release(struct downstream *d);

enum downstream_header {
	DOWNSTREAM_HEADER_READ,
	DOWNSTREAM_HEADER_NONE, /* the client closed before its first byte; or SIGTERM */
	DOWNSTREAM_HEADER_REFUSED, /* *why is set */
};

/*
 * Reads the header of the PROXY protocol, until deadline_ms, and nothing beyond it. Then `client` is the
 * client that it names, if it names one.
 */
enum downstream_header downstream_read_header(struct downstream *d, bool trusted,
					      uint64_t deadline_ms, const char **why);

enum downstream_tls {
	DOWNSTREAM_TLS,   /* the handshake is done */
	DOWNSTREAM_PLAIN, /* the client speaks plain HTTP; nothing is read yet */
	DOWNSTREAM_GONE, /* the client closed or timed out before its first byte; or SIGTERM */
	DOWNSTREAM_TLS_FAILED,
	DOWNSTREAM_MISCONFIGURED, /* the certificate, its key or the like */
	DOWNSTREAM_LOCAL_FAULT,   /* no memory, or no TLS module */
};

/* Does the TLS handshake, until deadline_ms. *why is set with each of the last three results. */
enum downstream_tls downstream_secure(struct downstream *d, struct stream_tls *tls,
				      uint64_t deadline_ms, struct tls_why *why);

/*
 * Reads once from the client; waits until deadline_ms if nothing has come yet. Returns 0, also at
 * the end of the stream; -ETIMEDOUT; -ECANCELED for SIGTERM; or another -errno.
 */
int downstream_read(struct downstream *d, uint64_t deadline_ms);

/* Writes all of `out`, within the time that a lingering close has. Returns as downstream_read(). */
int downstream_flush(struct downstream *d);

/* After a WebSocket's Close: drops what comes until the client's Close, for a while; then ends our direction. */
void downstream_await_close(struct downstream *d);

/*
 * Ends our direction and reads on for a while. Without that, unread bytes would cause a reset, which
 * may reach the client before the response does (RFC 9112 9.6).
 */
void downstream_linger(struct downstream *d);
