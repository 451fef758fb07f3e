/* SPDX-License-Identifier: MIT */
/* The responses that the gate makes itself. No I/O. */
#ifndef NOVNC_GATE_ERROR_RESPONSE_H
#define NOVNC_GATE_ERROR_RESPONSE_H

#include "base/buf.h"

/* Its Server field. */
#define ERROR_RESPONSE_SERVER "novnc-gate"

/* One of the gate's own responses. Its content is a sentence and the id of its log entries. */
struct error_response {
	unsigned status;
	struct slice sentence;     /* no full stop, no bytes that a peer sent */
	const char *log_id;        /* journal_id() */
	bool head_request;         /* of HEAD: no content */
	struct slice host, target; /* 308: the redirection; target is in origin-form */
};

/* Appends it to out. Returns 0 or -ENOBUFS. */
int error_response_write(const struct error_response *r, struct buf *out);

#endif
