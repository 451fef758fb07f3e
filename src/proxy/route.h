/* SPDX-License-Identifier: MIT */
/* Decides where a request goes, or why it is refused. No I/O. */
#pragma once

#include "config/config.h"
#include "http/forwarded.h"
#include "http/http1.h"
#include "net/client.h"

enum route_kind {
	ROUTE_PLAIN,          /* forwarded as a request without upgrade */
	ROUTE_UPGRADE,        /* forwarded as a WebSocket upgrade */
	ROUTE_HEALTH,         /* HealthPath=: the gate responds that it is fine */
	ROUTE_REFUSED,        /* gets an error response */
	ROUTE_REFUSED_PATH,   /* likewise: an upgrade on a path that has none */
	ROUTE_REFUSED_ORIGIN, /* likewise: an upgrade from another site */
};

/*
 * Slices point into the head. For origin-form, target and path are always set. Any other form may
 * contain a password, which must not be logged: target.p is NULL until it has passed all checks.
 */
struct verdict {
	enum route_kind kind;
	enum config_backend backend;
	unsigned status; /* of a refusal */
	const char *why; /* of a refusal, for messages */
	/* origin-form or "*"; after absolute-form it may also be empty or begin with "?" */
	struct slice target; /* an upgrade's begins with exactly one "/" */
	struct slice path;   /* target up to its "?"; "/" if that is empty */
	/* Host, or the authority of absolute-form; HTTP/1.0 may have none */
	struct slice host;
	unsigned port;         /* in host; 0: none */
	struct forwarded said; /* by a trusted proxy */
	/* "X-Request-Id: ID\r\n", for the backend and the client; conn_log_begin() sets it */
	struct slice id_line;
	bool own_origin; /* the backend gets its own Origin in place of the client's */
	struct slice session; /* of a request to the controller: the id in the path */
	struct slice user;    /* likewise, if Next.js has authorized it; set in conn.c */
};

/*
 * Checks, in the order of novnc-gate(8), a head that http1_parse_request() has accepted, and
 * chooses the backend.
 */
void route_decide(const struct config *cfg, const struct http1_head *h,
		  const struct client *client, struct verdict *ret);

/*
 * For a request in plain HTTP to a gate that serves TLS. GET and HEAD with a known host are redirected
 * to https:// (308), also if they would be refused otherwise; every other request is refused.
 */
void route_to_https(const struct http1_head *h, struct verdict *v);

/*
 * The scheme, host and port to which the client made the request: as a trusted proxy says, else as on this
 * connection. The port is that in the host, or the scheme's.
 */
bool route_is_https(const struct verdict *v, const struct client *client);
struct slice route_host(const struct verdict *v);
unsigned route_port(const struct verdict *v, const struct client *client);

/* "/" if an absolute-form target has omitted it, else "". */
struct slice route_root(struct slice target);
