/* SPDX-License-Identifier: MIT */
/* The responses that the gate makes itself. No I/O. */
#pragma once

#include "base/buf.h"

#define ERROR_RESPONSE_SERVER "novnc-gate" /* the Server field */

/* The content is the sentence "WHAT: WHY." and the id of the log entries. */
struct error_response {
	unsigned status;
	const char *type; /* for Proxy-Status, RFC 9209 2.3; NULL: that of the status */
	const char *what, *why;    /* no bytes that a peer sent */
	const char *log_id;        /* journal_id() */
	struct slice id_line;      /* as in struct verdict */
	bool is_head_method;       /* to HEAD: no content */
	struct slice host, target; /* for Location of 308; as in struct verdict */
};

/* Appends it to `out`. Returns 0 or -ENOBUFS. */
int error_response_write(const struct error_response *e, struct buf *out);

/* The response for HealthPath=, a 200. Returns 0 or -ENOBUFS. */
int error_response_health(bool is_head_method, struct slice id_line, struct buf *out);

/* For a browser, which hides the response to a WebSocket handshake: a 101, then a Close. */
struct error_close {
	unsigned
		status; /* the code of the Close is 4000 + status; 4502 if status < 300 */
	const char *why;    /* no bytes that a peer sent */
	const char *log_id; /* journal_id() */
	const char *accept; /* Sec-WebSocket-Accept */
	struct slice
		protocol; /* Sec-WebSocket-Protocol: the first one offered; "": none */
	struct slice id_line; /* as in struct verdict */
};
int error_close_write(const struct error_close *e, struct buf *out);
