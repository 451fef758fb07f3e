/* SPDX-License-Identifier: MIT */
/*
 * The body of one message while it is read: where its payload is and where it ends (RFC 9112 6.3
 * and 7.1). No I/O.
 */
#pragma once

#include "base/buf.h"
#include "http/http1.h"

/* The end of a chunk and the next one's size with its extensions, bytes. */
#define BODY_CHUNK_LINE_MAX 4096
/* A trailer section: bytes, and field lines. */
#define BODY_TRAILERS_MAX   16384
#define BODY_FIELDS_MAX     256

struct body {
	enum http1_framing framing;
	bool done;             /* the last byte of the message has been taken */
	uint64_t left;         /* payload to come, of the body or of this chunk */
	struct slice trailers; /* with HTTP1_CHUNKED, when done: the trailer section */
	const char *why;       /* after -EBADMSG: the fault, in words */
	/* with HTTP1_CHUNKED, private */
	int state;
	size_t gap;             /* bytes since the last of payload */
	struct lines_scan scan; /* of the trailer section */
};

/* length is used with HTTP1_LENGTH only. */
void body_init(struct body *b, enum http1_framing framing, uint64_t length);

/*
 * Takes the next payload off the beginning of in, with the framing before it, and sets *ret to
 * where it is. Returns 1; 0 if more has to come first or the body is done; -EBADMSG if it is
 * malformed. *ret and trailers stay valid until in is filled again.
 */
int body_next(struct body *b, struct buf *in, struct slice *ret);

/* n bytes of payload went past without being in a buffer; not with HTTP1_CHUNKED. */
void body_passed(struct body *b, uint64_t n);
