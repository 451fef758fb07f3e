/* SPDX-License-Identifier: MIT */
/*
 * The body of one message: where its payload is and where it ends while it is read (RFC 9112 6.3),
 * and the framing of chunks that are written (RFC 9112 7.1). No I/O.
 */
#pragma once

#include "base/buf.h"
#include "http/http1.h"

/* Bytes between two payloads: CRLF, chunk size and extensions. */
#define BODY_CHUNK_LINE_MAX 4096
/* A trailer section: bytes, and field lines. */
#define BODY_TRAILERS_MAX   16384
#define BODY_FIELDS_MAX     256
/* The most that body_chunk_begin() and body_chunk_end() append together, bytes. */
#define BODY_FRAME_MAX      20
/* The most that body_chunk_last() appends, bytes; "A: b" is one byte longer than "A:b". */
#define BODY_LAST_MAX       (3 + BODY_TRAILERS_MAX + BODY_FIELDS_MAX)

struct body {
	enum http1_framing framing;
	bool done;             /* the last byte of the message has been consumed */
	uint64_t left;         /* payload to come, of the body or of this chunk */
	struct slice trailers; /* with HTTP1_CHUNKED, when done; may be empty */
	const char *why;       /* after -EBADMSG: the fault, in words */
	/* with HTTP1_CHUNKED, private */
	int state;
	size_t gap;             /* bytes since the last payload */
	struct lines_scan scan; /* of the trailer section */
};

/* length is used with HTTP1_LENGTH only. */
void body_init(struct body *b, enum http1_framing framing, uint64_t length);

/*
 * Takes the next payload off the beginning of `in`, with the framing before it, and sets *ret to
 * where it is. Returns 1; 0 if more has to come first or the body is done; -EBADMSG if it is
 * malformed. *ret and trailers stay valid until `in` is filled again.
 */
int body_next(struct body *b, struct buf *in, struct slice *ret);

/* Counts n bytes of payload that did not go through body_next(); never with HTTP1_CHUNKED. */
void body_passed(struct body *b, uint64_t n);

/*
 * Append the framing before and after a chunk's len bytes; the caller writes the payload itself.
 * Each body_chunk_...() returns 0, or -ENOBUFS if `out` has no room (its content is then undefined).
 */
int body_chunk_begin(size_t len, struct buf *out);
int body_chunk_end(struct buf *out);

/* Appends the last chunk and those of the trailer fields that are allowed in a trailer section. */
int body_chunk_last(struct slice trailers, struct buf *out);
