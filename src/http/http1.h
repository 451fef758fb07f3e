/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 heads (RFC 9112), as strictly for an answer as for a request. Read once more with
 * llhttp, the parser that Node.js and so Next.js reads with, and what different versions of
 * it let through is refused. No I/O.
 */
#ifndef NOVNC_GATE_HTTP1_H
#define NOVNC_GATE_HTTP1_H

#include "base/buf.h"
#include "http/lines.h"

/* Field lines in one head. */
#define HTTP1_FIELDS_MAX 256

enum http1_framing { /* RFC 9112 6.3 */
		     HTTP1_NO_BODY,
		     HTTP1_LENGTH, /* Content-Length */
		     HTTP1_CHUNKED,
		     HTTP1_UNTIL_CLOSE, /* answers only */
};

/* Everything points into the buffer that was parsed. */
struct http1_head {
	struct slice method, target; /* requests */
	unsigned status;             /* answers */
	struct slice reason;
	unsigned minor; /* 0 or 1, of HTTP/1.minor */
	enum http1_framing framing;
	uint64_t length; /* with HTTP1_LENGTH, bytes */
	size_t fields;
	struct field field[HTTP1_FIELDS_MAX];
};

/* Why a message was refused: the status that a client gets for it, and words for people. */
struct http1_fault {
	unsigned status;
	const char *why;
};

/*
 * raw: a whole head that lines_scan() has passed. Return 0, or -EBADMSG with *fault
 * filled. The order of judgement is that of novnc-gate(8): syntax and framing (400, 431 for
 * too many fields), version (505), method (405, 501).
 */
int http1_parse_request(struct slice raw, struct http1_head *ret,
			struct http1_fault *fault);

/* request_method decides whether there is a body (HEAD). The fault's status is 502. */
int http1_parse_response(struct slice raw, struct slice request_method,
			 struct http1_head *ret, struct http1_fault *fault);

/* Whether an answer may begin with these bytes; they may be fewer than its first line. */
bool http1_may_be_response(struct slice in);

/*
 * Of bytes that are no answer's: " but PROTOCOL: " and what to do about it, for after "does not
 * speak HTTP"; "" where the protocol is not known.
 */
const char *http1_stranger(struct slice in);

/* The first field of that name, or NULL; how many there are. */
const struct field *http1_field(const struct http1_head *h, struct slice name);
size_t http1_count(const struct http1_head *h, struct slice name);

/* Whether any element of that list-valued field is this token, in any case. */
bool http1_has_token(const struct http1_head *h, struct slice name, struct slice token);

/* Whether the sender keeps the connection open after this message (RFC 9112 9.3). */
bool http1_persistent(const struct http1_head *h);

#endif
