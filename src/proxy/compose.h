/* SPDX-License-Identifier: MIT */
/*
 * Heads written anew from what was parsed, and the gate's own replies. Nothing is
 * ever copied raw: hop-by-hop fields (RFC 9110 7.6.1) and what could be forged stay behind.
 * No I/O. All return 0, -ENOBUFS where out has no room (its content is then undefined), or
 * -E2BIG where a head has more than COMPOSE_OPTIONS_MAX.
 */
#ifndef NOVNC_GATE_COMPOSE_H
#define NOVNC_GATE_COMPOSE_H

#include "config/config.h"
#include "http/http1.h"
#include "net/client.h"
#include "proxy/route.h"

/* Options in the Connection fields of one head; what has more is refused, in these words. */
#define COMPOSE_OPTIONS_MAX  64
#define COMPOSE_OPTIONS_MANY "more than 64 Connection options"

/*
 * The request of that verdict for its backend. Host, X-Forwarded-*, X-Client-Cert-Subject and,
 * where the verdict says so, Origin are the gate's own.
 */
int compose_request(const struct http1_head *h, const struct verdict *v,
		    const struct backend *be, const struct client *who, struct buf *out);

/* How an answer is passed on. */
struct compose_how {
	const struct backend *from; /* URLs that name it become paths */
	bool chunked;               /* the body is sent in chunks */
	bool close;                 /* the connection ends after it */
};

/* An answer for the client, final or interim (1xx), or the checked 101. */
int compose_response(const struct http1_head *h, const struct compose_how *how,
		     struct buf *out);

/* The Server field of the gate's own replies. */
#define COMPOSE_SERVER "novnc-gate"

/* The gate's own reply: status, one sentence, and the id its log entries are found by. */
struct compose_reply {
	unsigned status;
	struct slice sentence; /* without its full stop, and without bytes of a peer */
	const char *log_id;    /* journal_id() */
	bool head_request;     /* no content */
	struct slice host, target; /* 308: where to; the target is origin-form */
};

int compose_reply(const struct compose_reply *r, struct buf *out);

#endif
