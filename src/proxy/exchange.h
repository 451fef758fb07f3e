/* SPDX-License-Identifier: MIT */
/* One request with its backend: the response, or the tunnel that it opens. */
#ifndef NOVNC_GATE_EXCHANGE_H
#define NOVNC_GATE_EXCHANGE_H

#include "http/upgrade.h"
#include "proxy/downstream.h"
#include "proxy/relay.h"
#include "proxy/response.h"
#include "proxy/route.h"

enum exchange_end {
	EXCHANGE_TUNNEL, /* a checked 101 is on its way: exchange_tunnel() follows */
	EXCHANGE_NEXT,   /* the connection is ready for another request */
	EXCHANGE_LAST,   /* the response is complete; the connection ends after it */
	EXCHANGE_REFUSED, /* nothing has been sent to the client: an error response is due */
	EXCHANGE_CUT,     /* incomplete, which a plain end of the stream shows */
	EXCHANGE_RESET, /* incomplete, which only a reset shows */
	EXCHANGE_GONE,  /* the client is gone, or the process is to end */
};

struct exchange {
	/* what came of it */
	unsigned
		status; /* of the response, or of the error response that is due; 0: none */
	uint64_t up_bytes, down_bytes; /* of bodies or of the tunnel */
	bool tunnel;                   /* it was opened */
	struct fault fault;
	/* private */
	struct downstream *down;
	struct upstream *up;
	struct relay relay;
	struct request request;
	struct upstream_request up_request;
	enum exchange_end if_failed; /* its end, should it fail now */
	bool last;                   /* the client's connection ends after the response */
	char accept[UPGRADE_ACCEPT_SIZE];
};

/*
 * Carries out a verdict that forwards: the head h (of head_len bytes at the beginning of the
 * client's input, consumed here) goes to the verdict's backend, the response to the client.
 */
enum exchange_end exchange_run(struct exchange *x, struct downstream *d,
			       const struct http1_head *h, size_t head_len,
			       const struct verdict *v);

/* After EXCHANGE_TUNNEL: moves bytes until the tunnel ends. */
enum exchange_end exchange_tunnel(struct exchange *x);

/* Instead of that: the tunnel must not go on; what failed, with -errno. Both sides see a reset. */
enum exchange_end exchange_abort(struct exchange *x, const char *what, int error);

#endif
