/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 messages (RFC 9112): bytes to heads and to the ends of messages, as strictly for
 * an answer as for a request. Reads with llhttp, the parser that Node.js and so Next.js
 * reads with, and refuses what different versions of it let through. No I/O.
 */
#ifndef NOVNC_GATE_HTTP1_H
#define NOVNC_GATE_HTTP1_H

#include "buf.h"
#include "lines.h"

/* Field lines in one head, field lines in one trailer section. */
#define HTTP1_FIELDS_MAX     256
/* A trailer section, bytes. */
#define HTTP1_TRAILERS_MAX   16384
/* A chunk's size line with its extensions, and the end of the chunk before it, bytes. */
#define HTTP1_CHUNK_LINE_MAX 4096

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

/* The first field of that name, or NULL; how many there are. */
const struct field *http1_field(const struct http1_head *h, struct slice name);
size_t http1_count(const struct http1_head *h, struct slice name);

/* Whether any element of that list-valued field is this token, in any case. */
bool http1_has_token(const struct http1_head *h, struct slice name, struct slice token);

/* Whether the sender keeps the connection open after this message (RFC 9112 9.3). */
bool http1_persistent(const struct http1_head *h);

/* The end of one message's body, followed as it passes. */
struct http1_body {
	enum http1_framing framing;
	bool done;             /* the last byte of the message has been seen */
	uint64_t left;         /* with HTTP1_LENGTH: bytes to come */
	struct slice trailers; /* with HTTP1_CHUNKED, once done: the section's lines */
	const char *why;       /* with -EBADMSG: what is wrong, for people */
	/* with HTTP1_CHUNKED, private */
	bool in_trailers;
	size_t gap;                             /* bytes since the last payload byte */
	struct lines_scan scan;                 /* of the trailer section */
	_Alignas(16) unsigned char parser[192]; /* llhttp_t */
};

void http1_body_init(struct http1_body *b, enum http1_framing framing, uint64_t length);

/*
 * With HTTP1_CHUNKED: moves payload from in to the end of out, at most room bytes of it,
 * and consumes what framed it. Returns 0 whether or not it got further, -EBADMSG for what
 * is no chunked coding. trailers stay valid until in is filled again.
 */
int http1_body_decode(struct http1_body *b, struct buf *in, struct buf *out, size_t room);

/* The other framings: n bytes have passed. */
void http1_body_passed(struct http1_body *b, uint64_t n);

#endif
