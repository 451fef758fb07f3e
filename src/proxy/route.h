/* SPDX-License-Identifier: MIT */
/* Configuration, head and client to a verdict: where to, or why nowhere. No I/O. */
#ifndef NOVNC_GATE_ROUTE_H
#define NOVNC_GATE_ROUTE_H

#include "config/config.h"
#include "http/http1.h"
#include "net/client.h"

enum route_kind {
	ROUTE_PLAIN,          /* one request, one answer */
	ROUTE_UPGRADE,        /* a WebSocket upgrade */
	ROUTE_REFUSED,        /* answered here: status and why */
	ROUTE_REFUSED_PATH,   /* likewise: an upgrade on a path that has none */
	ROUTE_REFUSED_ORIGIN, /* likewise: an upgrade from another site */
};

/*
 * Slices point into the head; all but the refusals' members are set in any case. Target and
 * path have no p where the target is refused and did not come in origin-form: what it is
 * then may hold a password. An upgrade's begin with one slash, however many came.
 */
struct verdict {
	enum route_kind kind;
	enum config_backend backend;
	unsigned status;     /* refusals */
	const char *why;     /* refusals: for people */
	struct slice target; /* origin-form; without the "/" if absolute-form had none */
	struct slice path;   /* target up to its "?" */
	struct slice host;   /* what it is for; no length: HTTP/1.0 without Host */
	unsigned port;       /* the host's; 0: none */
	bool own_origin; /* the backend gets its own Origin in place of the client's */
	struct slice session; /* upgrades to the controller: the id in the path */
};

/* Judges in the order of novnc-gate(8) what http1_parse_request() let through. */
void route_decide(const struct config *cfg, const struct http1_head *h,
		  const struct client *who, struct verdict *ret);

/*
 * What becomes of a request that came in plain where TLS is spoken: a GET or HEAD is sent
 * to https:// (308), all else is refused.
 */
void route_to_https(const struct http1_head *h, struct verdict *v);

#endif
