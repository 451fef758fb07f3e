/* SPDX-License-Identifier: MIT */
#include "http/body.h"

#include <ctype.h>

#include "http/fields.h"

/* The next byte of a chunked body. */
enum state {
	SIZE, /* the first digit of a chunk's size */
	SIZE_MORE,
	EXTENSION, /* the first character of an extension's name */
	EXTENSION_MORE,
	VALUE, /* the first character of its value */
	VALUE_MORE,
	QUOTED,
	QUOTED_END,
	LINE_END, /* the LF that ends the chunk-size line */
	PAYLOAD,
	CHUNK_END, /* the CR after payload */
	CHUNK_END_LF,
	TRAILERS,
	BROKEN, /* no byte: the body is malformed */
};

void body_init(struct body *b, enum http1_framing framing, uint64_t length)
{
	*b = (struct body){ .framing = framing, .state = SIZE };
	if (framing == HTTP1_LENGTH)
		b->left = length;
	else if (framing == HTTP1_UNTIL_CLOSE)
		b->left = UINT64_MAX;
	b->done = framing == HTTP1_NO_BODY || (framing == HTTP1_LENGTH && length == 0);
}

static enum state size_add(struct body *b, unsigned char digit)
{
	unsigned value =
		isdigit(digit) ? digit - (unsigned)'0' : (digit | 0x20u) - ('a' - 10u);

	if (b->left > INT64_MAX >> 4)
		return BROKEN;
	b->left = b->left << 4 | value;
	return SIZE_MORE;
}

/* The state after c, which follows a size, an extension name or an extension value. */
static enum state element_end(unsigned char c)
{
	return c == ';' ? EXTENSION : c == '\r' ? LINE_END : BROKEN;
}

/*
 * The state after a byte: RFC 9112 7.1, but only as much of it as llhttp reads, so no white space
 * around extensions, and neither tabs nor quoted pairs in them.
 */
static enum state step(struct body *b, unsigned char c)
{
	switch ((enum state)b->state) {
	case SIZE: return isxdigit(c) ? size_add(b, c) : BROKEN;
	case SIZE_MORE: return isxdigit(c) ? size_add(b, c) : element_end(c);
	case EXTENSION: return lines_is_tchar(c) ? EXTENSION_MORE : BROKEN;
	case EXTENSION_MORE:
		if (lines_is_tchar(c))
			return EXTENSION_MORE;
		return c == '=' ? VALUE : element_end(c);
	case VALUE:
		if (lines_is_tchar(c))
			return VALUE_MORE;
		return c == '"' ? QUOTED : BROKEN;
	case VALUE_MORE: return lines_is_tchar(c) ? VALUE_MORE : element_end(c);
	case QUOTED:
		if (c == '"')
			return QUOTED_END;
		return c >= ' ' && c != '\\' && c != 0x7f ? QUOTED : BROKEN;
	case QUOTED_END: return element_end(c);
	case LINE_END:
		if (c != '\n')
			return BROKEN;
		return b->left > 0 ? PAYLOAD : TRAILERS;
	case CHUNK_END: return c == '\r' ? CHUNK_END_LF : BROKEN;
	case CHUNK_END_LF: return c == '\n' ? SIZE : BROKEN;
	case PAYLOAD:
	case TRAILERS:
	case BROKEN: break;
	}
	return BROKEN;
}

static int refuse(struct body *b, const char *why)
{
	b->why = why;
	return -EBADMSG;
}

/* Consumes the framing before the next payload or the trailers, as far as it has come. */
static int read_framing(struct body *b, struct buf *in)
{
	struct slice rest = buf_slice(in);
	size_t n = 0;

	for (; n < rest.len && b->state != PAYLOAD && b->state != TRAILERS; n++) {
		if (b->gap == BODY_CHUNK_LINE_MAX)
			return refuse(b, "chunk extensions are too long");
		b->gap++;
		b->state = (int)step(b, (unsigned char)rest.p[n]);
		if (b->state == BROKEN)
			return refuse(b, "malformed chunk");
	}
	buf_consume(in, n);
	return 0;
}

/* The trailer section is read as strictly as a head. */
static int read_trailers(struct body *b, struct buf *in)
{
	ssize_t len = lines_scan(&b->scan, buf_slice(in), BODY_TRAILERS_MAX);
	struct slice rest;
	struct field field;
	size_t fields = 0;
	int r;

	if (len == -EAGAIN)
		return 0;
	if (len < 0)
		return refuse(b,
			      b->scan.why ? b->scan.why : "trailer fields are too long");
	rest = b->trailers = (struct slice){ in->data + in->start, (size_t)len };
	while ((r = lines_field(&rest, &field)) > 0)
		if (++fields > BODY_FIELDS_MAX)
			return refuse(b, "too many trailer fields");
	if (r < 0)
		return refuse(b, "malformed trailer field");
	b->done = true;
	buf_consume(in, (size_t)len);
	return 0;
}

int body_next(struct body *b, struct buf *in, struct slice *ret)
{
	size_t n;
	int r = 0;

	if (b->done)
		return 0;
	if (b->framing == HTTP1_CHUNKED) {
		r = read_framing(b, in);
		if (r == 0 && b->state == TRAILERS)
			r = read_trailers(b, in);
		if (r < 0 || b->state != PAYLOAD)
			return r;
	}
	n = buf_len(in) < b->left ? buf_len(in) : (size_t)b->left;
	if (n == 0)
		return 0;
	*ret = (struct slice){ in->data + in->start, n };
	buf_consume(in, n);
	body_passed(b, n);
	return 1;
}

void body_passed(struct body *b, uint64_t n)
{
	if (b->framing == HTTP1_UNTIL_CLOSE)
		return;
	assert(n <= b->left);
	b->left -= n;
	if (b->left > 0)
		return;
	b->done = b->framing == HTTP1_LENGTH;
	b->state = CHUNK_END; /* state and gap matter with HTTP1_CHUNKED only */
	b->gap = 0;
}

/* ---- chunks as they are written */

int body_chunk_begin(size_t len, struct buf *out)
{
	int r = buf_put_number(out, len, 16);

	return r == 0 ? buf_put_slice(out, SLICE("\r\n")) : r;
}

int body_chunk_end(struct buf *out)
{
	return buf_put_slice(out, SLICE("\r\n"));
}

int body_chunk_last(struct slice trailers, struct buf *out)
{
	const unsigned no_trailer =
		FIELDS_HOP_BY_HOP | FIELDS_RESERVED | FIELDS_HEAD_ONLY;
	struct field f;
	int r = buf_put_slice(out, SLICE("0\r\n"));

	while (r == 0 && trailers.len > 0 && lines_field(&trailers, &f) > 0)
		if (!(fields_rules(f.name) & no_trailer))
			r = BUF_PUT(out, f.name, SLICE(": "), f.value, SLICE("\r\n"));
	return r == 0 ? buf_put_slice(out, SLICE("\r\n")) : r;
}
