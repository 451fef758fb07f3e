/* SPDX-License-Identifier: MIT */
/*
 * Asks Next.js again and again, while a session is open, if it is still authorized. The relay of the tunnel
 * polls for it, and nothing here waits. The tunnel's sandbox forbids files and names, so the address and the
 * TLS context are those of the first authorization request.
 */
#pragma once

#include "proxy/authorize.h"
#include "proxy/upstream.h"

struct recheck {
	struct upstream upstream;
	struct upstream_request request;
	struct dial_known known;
	struct fault fault;
	uint64_t span_ms; /* RecheckSec= */
	uint64_t next_ms; /* when the next request begins; CLOCK_INFINITY: never */
	bool failed;      /* the last request has failed */
	struct buf in, out;
	size_t head_len; /* of the request, which begins at `out.data`: it has the credentials */
	size_t storage_len; /* of the mapping that has all of this, and both buffers */
	struct http1_head response;
};

/*
 * For a session that Next.js has just authorized by the request `head` on u. Takes over the TLS context of u,
 * so that the caller has to close u, also after a failure. Returns 0 or -errno; free *ret with recheck_free().
 */
int recheck_new(struct upstream *u, struct slice head, const struct config *cfg,
		struct recheck **ret);

/* Closes its connection, wipes the credentials, and sets *r to NULL; it may be NULL already. */
void recheck_free(struct recheck **r);

/* The address family of its connections, for sandbox_tighten(); AF_UNSPEC for NULL. */
int recheck_family(const struct recheck *r);

/* The tunnel is established: the first request follows after RecheckSec=. */
void recheck_begin(struct recheck *r, uint64_t now_ms);

/* No request follows. */
void recheck_stop(struct recheck *r);

enum recheck_result {
	RECHECK_WAITING, /* call poll(2), then recheck_step() */
	RECHECK_GRANTED,
	RECHECK_DENIED,
	RECHECK_FAILED, /* the fault is set; the request before it did not fail */
	RECHECK_FAILED_AGAIN,
};

enum recheck_result recheck_step(struct recheck *r, uint64_t now_ms);

/* For poll(2): what to wait for, the events that came, and when recheck_step() is due without any. */
struct pollfd recheck_poll(const struct recheck *r);
void recheck_note_events(struct recheck *r, short revents);
uint64_t recheck_due_ms(const struct recheck *r);
