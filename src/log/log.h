/* SPDX-License-Identifier: MIT */
/*
 * Events and their log entries. Callers pass all text as it was received. It is escaped and cut
 * here: a backslash, and each byte that is not printable ASCII, becomes \xNN.
 */
#pragma once

#include "base/buf.h"

/*
 * The longest text of a field, escaped; a longer one is cut and ends in "...". If a caller cuts a text
 * before, it must keep at least LOG_VALUE_MAX + 1 bytes; otherwise the "..." is missing.
 */
#define LOG_VALUE_MAX 512

/* Each has a row in the table in log.c and an entry in the catalog. */
enum log_event {
	LOG_HANDLING,     /* notice: Handling noVNC connection: PATH */
	LOG_PROXYING,     /* notice: Proxying: PATH */
	LOG_CLOSED,       /* notice: the end of a session */
	LOG_REFUSED_PATH, /* notice: Rejecting non-noVNC connection: PATH */
	LOG_ORIGIN, /* notice: an Origin that is not allowed; REASON has it and the Host */
	LOG_DENIED,    /* notice: a request that Next.js does not authorize */
	LOG_TLS,       /* notice: the TLS handshake with a client failed, REASON */
	LOG_NO_HEADER, /* notice: a connection without a valid PROXY header ended, REASON */
	LOG_UNVERIFIED, /* notice: a session with VerifyTls=no */
	LOG_REFUSED,    /* notice: an error response without another event, REASON */
	LOG_WS_ERROR,   /* warning: WebSocket proxy error: REASON */
	LOG_UNDECIDED,  /* warning: an open session cannot be authorized again, REASON */
	LOG_BACKEND,    /* warning: the backend of a plain request failed, REASON */
	LOG_PAGE, /* info: a plain request, or the end of a WebSocket to Next.js; its entry is a notice */
	LOG_DROPPED, /* debug: fields that are not passed on; REASON has their names */
	LOG_SANDBOX, /* debug: REASON has what the sandbox lacks */
	LOG_CONFIG,  /* error: in the configuration; REASON has file, line and error */
	LOG_FAULT,   /* error: the gate's own fault, REASON */
	LOG_EVENTS,
};

/*
 * The known facts of an event; empty members are left out. Each but `ended` is a journal field
 * NOVNC_GATE_<MEMBER>=, and a sentence in the table may name it.
 */
struct log_fields {
	struct slice client;     /* "192.0.2.1:51234" */
	struct slice request_id; /* X-Request-Id */
	struct slice session;    /* the id from the path: an id, not a secret */
	struct slice user;       /* who the client is, as Next.js says */
	struct slice path;       /* of the request; a query is cut off here */
	struct slice method;
	/* the three of LOG_PAGE only */
	struct slice protocol; /* "HTTP/1.1" */
	struct slice referer;  /* without a query */
	struct slice user_agent;
	struct slice backend; /* "Next.js", "master-controller" */
	struct slice origin;
	struct slice reason;
	struct slice
		closed_by; /* whose Close ended a tunnel: "client", a backend's name, "novnc-gate" */
	unsigned close_code;  /* its code (RFC 6455 7.4); 0: no Close */
	unsigned status;      /* sent to the client; 0: none */
	bool ended;           /* the three below are known */
	uint64_t up_bytes;    /* client to backend */
	uint64_t down_bytes;  /* backend to client */
	uint64_t duration_ms; /* and once more for people: NOVNC_GATE_DURATION_PRETTY */
};

/* Returns true if an entry of that event would be written. */
bool log_enabled(enum log_event ev);

/* Reports an event; writes an entry if its level is logged. Never fails. */
void log_event(enum log_event ev, const struct log_fields *f);

/*
 * Sets the status of this connection in `systemctl status` (STATUS= of sd_notify(3)): all parts, each of them escaped
 * and cut like a field. LOG_STATUS_MAX bytes have room for four parts of that length; systemd takes PIPE_BUF.
 */
#define LOG_STATUS_MAX (4 * LOG_VALUE_MAX)
void log_status(const struct slice parts[], size_t n);
