/* SPDX-License-Identifier: MIT */
/*
 * The body of one message, followed as it is read: where its payload lies and where it ends
 * (RFC 9112 6.3 and 7.1). No I/O.
 */
#ifndef NOVNC_GATE_BODY_H
#define NOVNC_GATE_BODY_H

#include "base/buf.h"
#include "http/http1.h"

/* A chunk's size line with its extensions, and the end of the chunk before it, bytes. */
#define BODY_CHUNK_LINE_MAX 4096
/* A trailer section, bytes; field lines in it. */
#define BODY_TRAILERS_MAX   16384
#define BODY_FIELDS_MAX     256

struct body {
	enum http1_framing framing;
	bool done;             /* the last byte of the message has been seen */
	uint64_t left;         /* payload to come: of the whole, or of this chunk */
	struct slice trailers; /* with HTTP1_CHUNKED, once done: the section's lines */
	const char *why;       /* with -EBADMSG: what is wrong, for people */
	/* with HTTP1_CHUNKED, private */
	int state;
	size_t gap;             /* bytes since the last of payload */
	struct lines_scan scan; /* of the trailer section */
};

/* length: with HTTP1_LENGTH, bytes. */
void body_init(struct body *b, enum http1_framing framing, uint64_t length);

/*
 * Takes the next payload off the beginning of in, with the framing before it, and sets *ret
 * to where it lies. Returns 1; 0 where more has to come first or the body is done; -EBADMSG
 * for what is no chunked coding. *ret and trailers stay valid until in is filled again.
 */
int body_take(struct body *b, struct buf *in, struct slice *ret);

/* n bytes of payload have passed another way; not with HTTP1_CHUNKED. */
void body_passed(struct body *b, uint64_t n);

#endif
