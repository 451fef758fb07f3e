/* SPDX-License-Identifier: MIT */
/*
 * Writes heads from parsed ones, and the gate's own responses. A raw head is never
 * copied. Hop-by-hop fields (RFC 9110 7.6.1) and fields that a client could forge are left out.
 * No I/O. All functions return 0, -ENOBUFS if out has no room (its content is then undefined),
 * or -E2BIG if a head has more than COMPOSE_OPTIONS_MAX options.
 */
#ifndef NOVNC_GATE_COMPOSE_H
#define NOVNC_GATE_COMPOSE_H

#include "config/config.h"
#include "http/http1.h"
#include "net/client.h"
#include "proxy/route.h"

/* The most options in the Connection fields of one head, and the message about more. */
#define COMPOSE_OPTIONS_MAX  64
#define COMPOSE_OPTIONS_MANY "more than 64 Connection options"

/*
 * A request for the backend of a verdict. The gate itself sets Host, X-Forwarded-*,
 * X-Client-Cert-Subject and, if the verdict says so, Origin.
 */
int compose_request(const struct http1_head *h, const struct verdict *v,
		    const struct backend *be, const struct client *who, struct buf *out);

/* How a response is forwarded. */
struct compose_how {
	const struct backend *from; /* URLs that name this backend become paths */
	bool chunked;               /* the body is sent in chunks */
	bool close;                 /* with Connection: close */
};

/* A response for the client: final, interim (1xx), or the checked 101. */
int compose_response(const struct http1_head *h, const struct compose_how *how,
		     struct buf *out);

/* The Server field of the gate's own responses. */
#define COMPOSE_SERVER "novnc-gate"

/* One of the gate's own responses. Its content is a sentence and the id of its log entries. */
struct compose_reply {
	unsigned status;
	struct slice sentence;     /* no full stop, no bytes that a peer sent */
	const char *log_id;        /* journal_id() */
	bool head_request;         /* of HEAD: no content */
	struct slice host, target; /* 308: the redirection; target is in origin-form */
};

int compose_reply(const struct compose_reply *r, struct buf *out);

#endif
