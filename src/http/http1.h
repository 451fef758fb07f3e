/* SPDX-License-Identifier: MIT */
/*
 * Parses the heads of requests and responses (RFC 9112), both equally strictly. A head is also
 * read with llhttp, the parser of Node.js and so of Next.js; malformed heads that only some
 * versions of it accept are refused. No I/O.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "http/lines.h"

/* Field lines in one head. */
#define HTTP1_FIELDS_MAX 256

/* RFC 9112 6.3 */
enum http1_framing {
	HTTP1_NO_BODY,
	HTTP1_LENGTH, /* Content-Length */
	HTTP1_CHUNKED,
	HTTP1_UNTIL_CLOSE, /* responses only */
};

/* Everything points into the buffer that was parsed. */
struct http1_head {
	struct slice method, target; /* requests */
	unsigned status;             /* responses */
	struct slice reason;         /* responses */
	unsigned minor;              /* of HTTP/1.minor: 0 or 1 */
	enum http1_framing framing;
	uint64_t length; /* with HTTP1_LENGTH, bytes */
	size_t fields;
	struct field field[HTTP1_FIELDS_MAX];
};

/* The fault of a message that is refused: the status that the client gets, and the reason in words. */
struct http1_fault {
	unsigned status;
	const char *why;
};

/*
 * Parses raw, a whole head that lines_scan() has accepted. Returns 0, or -EBADMSG with *fault set.
 * The order of the checks is that of novnc-gate(8): syntax and framing (400, 431 for too many
 * fields), version (505), method (405), transfer coding (501), llhttp (501 for an unknown
 * method, else 400).
 */
int http1_parse_request(struct slice raw, struct http1_head *ret,
			struct http1_fault *fault);

/* The same for the response to a request with that method. The fault's status is 502. */
int http1_parse_response(struct slice raw, struct slice request_method,
			 struct http1_head *ret, struct http1_fault *fault);

/*
 * Sets method and target of a head that is refused, for messages; `in` begins with it, complete or not. False if it
 * has no complete and well-formed request line.
 */
bool http1_request_line(struct slice in, struct http1_head *ret);

/* True if an HTTP response may begin with these bytes, which may be only the first few. */
bool http1_may_be_response(struct slice in);

/*
 * For bytes that are not HTTP: returns text to append to "does not speak HTTP/1.1", such as " but
 * TLS: Url= must begin with https://"; "" if the protocol is not known.
 */
const char *http1_foreign_hint(struct slice in);

/* The first field of that name, or NULL; and the number of such fields. */
const struct field *http1_field(const struct http1_head *h, struct slice name);
size_t http1_count(const struct http1_head *h, struct slice name);

/* The value of a field that occurs once, else "". */
struct slice http1_only(const struct http1_head *h, struct slice name);

/*
 * The next element of a list-valued field, from all lines of that name; false if there is none. Empty
 * elements are left out (RFC 9110 5.6.1.2). Quotes are not known. Begins with
 *	struct http1_list elements = { .head = h, .name = name };
 */
struct http1_list {
	const struct http1_head *head;
	struct slice name;
	size_t fields; /* gone through so far */
	struct slice rest;
};
bool http1_list_next(struct http1_list *l, struct slice *ret);

/* An element of that list-valued field is this token, without regard to case. */
bool http1_has_token(const struct http1_head *h, struct slice name, struct slice token);

/* A request with that method may be sent twice (RFC 9110 9.2.2). */
bool http1_is_idempotent(struct slice method);

/* The sender keeps the connection open after this message (RFC 9112 9.3). */
bool http1_persistent(const struct http1_head *h);

/*
 * The time for which the sender keeps the connection without a message, ms: `Keep-Alive: timeout=5`
 * (in RFC 2068 19.7.1.1, but no RFC defines its parameters). CLOCK_INFINITY if it does not say.
 */
uint64_t http1_keep_alive_ms(const struct http1_head *h);
