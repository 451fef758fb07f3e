/* SPDX-License-Identifier: MIT */
/*
 * The table of events, and an event as an entry of the journal. All text is escaped here (what
 * is not printable ASCII, and the backslash, as \xNN) and cut, so callers pass it as it came.
 */
#ifndef NOVNC_GATE_LOG_H
#define NOVNC_GATE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * The longest a text gets once it is escaped; what is longer is cut and ends in "...". So who
 * keeps a copy keeps a byte more.
 */
#define LOG_VALUE_MAX 512

/* One row of the table in log.c each: level, MESSAGE_ID, sentence, catalog entry. */
enum log_event {
	LOG_HANDLING, /* notice: Handling noVNC connection: PATH */
	LOG_PROXYING, /* notice: Proxying: PATH */
	LOG_CLOSED,   /* notice: a session's closing entry */
	LOG_REJECTED, /* notice: Rejecting non-noVNC connection: PATH */
	LOG_ORIGIN, /* notice: an Origin that is not allowed; reason names both values */
	LOG_TLS,    /* notice: a client that did not get as far as a request, REASON */
	LOG_UNVERIFIED, /* notice: a session whose backend's certificate nobody checks */
	LOG_REFUSED, /* notice: any other request that was answered with an error, REASON */
	LOG_WS_ERROR, /* warning: WebSocket proxy error: REASON */
	LOG_BACKEND,  /* warning: a backend failed on a plain request, REASON */
	LOG_PAGE,     /* debug: one plain request served */
	LOG_DROPPED,  /* debug: fields that are not passed on; reason has their names */
	LOG_SANDBOX,  /* debug: REASON is not to be had here */
	LOG_CONFIG, /* error: where in the configuration, and what is wrong, in reason */
	LOG_FAULT,  /* error: the gate's own fault, REASON */
	LOG_EVENTS,
};

/*
 * What is known of an event; empty members are left out. Each is a journal field
 * NOVNC_GATE_<MEMBER>=, and a sentence in the table may name it.
 */
struct log_fields {
	struct slice client;  /* "192.0.2.1:51234" */
	struct slice session; /* the id from the path: an id, not a secret */
	struct slice path;    /* of the request; a query is cut off here */
	struct slice method;
	struct slice backend; /* "Next.js", "master-controller" */
	struct slice origin;
	struct slice reason;
	unsigned status;      /* sent to the client; 0: none */
	bool ended;           /* the three below are known */
	uint64_t up_bytes;    /* client to backend */
	uint64_t down_bytes;  /* backend to client */
	uint64_t duration_ms; /* and once more for people: NOVNC_GATE_DURATION_PRETTY */
};

/* Whether an entry of that event would be written. */
bool log_takes(enum log_event ev);

/* Writes one entry, where its level is wanted. Never fails. */
void log_event(enum log_event ev, const struct log_fields *f);

/* What `systemctl status` shows of this connection (STATUS= of sd_notify(3)). */
void log_status(struct slice text);

#endif
