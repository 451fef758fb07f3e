/* SPDX-License-Identifier: MIT */
/*
 * The framing of a chunked body as it is written (RFC 9112 7.1); body.h reads it. No I/O. All
 * return 0, or -ENOBUFS where out has no room (its content is then undefined).
 */
#pragma once

#include "http/body.h"

/* The most that chunk_begin() and chunk_end() append together, bytes. */
#define CHUNK_FRAME_MAX 20
/* The most that chunk_last() appends, bytes: "A:b" becomes "A: b". */
#define CHUNK_LAST_MAX  (3 + BODY_TRAILERS_MAX + BODY_FIELDS_MAX)

/* The framing before and after a chunk's len bytes; those the caller writes. */
int chunk_begin(size_t len, struct buf *out);
int chunk_end(struct buf *out);

/* The last chunk and the trailer section (of struct body; may be empty) that may follow it. */
int chunk_last(struct slice trailers, struct buf *out);
