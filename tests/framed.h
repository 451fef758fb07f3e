/* SPDX-License-Identifier: MIT */
/* WebSocket frames (RFC 6455 5.2), written and read without frames.c. */
#pragma once

#include "drawn.h"
#include "http/frames.h"

#define FIN 0x80

/* The masking key of a client. */
static const unsigned char client_key[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* ---- written */

/* Frames one after the other, in a block of this size. */
struct written {
	unsigned char *data;
	size_t len, size;
};

static inline struct written written_open(size_t size)
{
	return (struct written){ malloc(size), 0, size };
}

static inline void written_free(struct written *w)
{
	free(w->data);
}

static inline void write_bytes(struct written *w, const void *p, size_t len)
{
	if (len > w->size - w->len)
		ck_abort_msg("no room for %zu bytes", len);
	if (len > 0)
		memcpy(w->data + w->len, p, len);
	w->len += len;
}

/* key: NULL for a frame without a mask. */
static inline void write_header(struct written *w, unsigned first, uint64_t len,
				const unsigned char *key)
{
	unsigned bits = len > UINT16_MAX ? 64 : len > 125 ? 16 : 0;
	unsigned second = bits == 64 ? 127 : bits == 16 ? 126 : (unsigned)len;
	unsigned char header[14], *end = header;

	*end++ = (unsigned char)first;
	*end++ = (unsigned char)(second | (key ? 0x80 : 0));
	for (; bits > 0; bits -= 8)
		*end++ = (unsigned char)(len >> (bits - 8));
	for (size_t i = 0; key && i < 4; i++)
		*end++ = key[i];
	write_bytes(w, header, (size_t)(end - header));
}

/* By words, since there are megabytes of it. */
static inline void mask(unsigned char *p, size_t len, const unsigned char *key)
{
	uint64_t keys, word;
	size_t i = 0;

	memcpy(&keys, key, 4);
	memcpy((char *)&keys + 4, key, 4);
	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		word ^= keys;
		memcpy(p + i, &word, sizeof(word));
	}
	for (; i < len; i++)
		p[i] ^= key[i % 4];
}

static inline void write_frame(struct written *w, unsigned first, const void *payload,
			       size_t len, const unsigned char *key)
{
	write_header(w, first, len, key);
	write_bytes(w, payload, len);
	if (key)
		mask(w->data + w->len - len, len, key);
}

static inline void write_text(struct written *w, unsigned first, const char *text,
			      const unsigned char *key)
{
	write_frame(w, first, text, strlen(text), key);
}

/* ---- read */

struct frame {
	unsigned first; /* its first byte */
	bool masked;
	unsigned char key[4];
	const unsigned char *payload; /* as it came */
	uint64_t len;
	uint64_t size; /* with the header */
};

enum frame_read { FRAME_WHOLE, FRAME_SHORT, FRAME_NONE };

static inline bool frame_is_control(const struct frame *f)
{
	return f->first & 8;
}

/* The first byte or the first two show that no frame begins so. */
static inline bool no_frame(const unsigned char *p, size_t n, bool masked)
{
	static const bool known[16] = {
		[0] = 1, [1] = 1, [2] = 1, [8] = 1, [9] = 1, [10] = 1
	};
	bool control = p[0] & 8;

	if (!known[p[0] & 15] || (control && !(p[0] & FIN)))
		return true;
	return n > 1 && (p[1] >> 7 != masked || (control && (p[1] & 127) > 125));
}

/* Reads the frame at p. With FRAME_SHORT its size is 0, unless the whole header is there. */
static inline enum frame_read read_frame(const unsigned char *p, size_t n, bool masked,
					 struct frame *ret)
{
	size_t length = 0, header;

	*ret = (struct frame){ .masked = masked };
	if (n > 0 && no_frame(p, n, masked))
		return FRAME_NONE;
	if (n < 2)
		return FRAME_SHORT;
	if ((p[1] & 127) > 125)
		length = (p[1] & 127) == 126 ? 2 : 8;
	if (length == 8 && n > 2 && p[2] > 127)
		return FRAME_NONE;
	header = 2 + length + (masked ? 4 : 0);
	if (n < header)
		return FRAME_SHORT;
	ret->first = p[0];
	ret->len = length == 0 ? p[1] & 127 : 0;
	for (size_t i = 0; i < length; i++)
		ret->len = ret->len * 256 + p[2 + i];
	if (masked)
		memcpy(ret->key, p + header - 4, 4);
	ret->payload = p + header;
	ret->size = header + ret->len;
	return n < ret->size ? FRAME_SHORT : FRAME_WHOLE;
}

/* The payload of a control frame is this text. */
static inline bool frame_says(const struct frame *f, struct slice text)
{
	bool same = f->len == text.len;

	for (size_t i = 0; same && i < text.len; i++)
		same = (f->payload[i] ^ f->key[i % 4]) == (unsigned char)text.p[i];
	return same;
}

/* A stream that is read on and on. */
struct reading {
	const struct written *stream;
	bool masked;
	enum frames_state state;
	size_t begin;      /* of the frame that is not yet whole */
	struct frame last; /* the last one that is whole */
	uint64_t data;     /* bytes of data frames */
};

/* Reads on up to so many bytes. */
static inline void read_to(struct reading *r, size_t len)
{
	enum frame_read read = FRAME_WHOLE;
	struct frame f;

	while (r->state < FRAMES_CLOSED) {
		size_t rest = len - r->begin;

		read = read_frame(r->stream->data + r->begin, rest, r->masked, &f);
		if (read != FRAME_WHOLE)
			break;
		r->last = f;
		r->begin += f.size;
		r->data += frame_is_control(&f) ? 0 : f.size;
		r->state = (f.first & 15) == 8 ? FRAMES_CLOSED : FRAMES_BETWEEN;
	}
	if (read == FRAME_NONE)
		r->state = FRAMES_LOST;
	else if (r->state < FRAMES_CLOSED)
		r->state = len == r->begin ? FRAMES_BETWEEN
			   : f.size > 0    ? FRAMES_PAYLOAD
					   : FRAMES_HEADER;
}

/* ---- followed */

/* Follows all of in, a block of exactly its size. Returns how many frames ended in it. */
static inline size_t follow_all(struct frames *f, const void *p, size_t len)
{
	char *block = exact(p, len);
	struct slice in = { block, len };
	bool closed = f->state == FRAMES_CLOSED;
	size_t ended = 0;

	while (in.len > 0) {
		size_t n = frames_follow(f, in);

		ck_assert_uint_gt(n, 0);
		ck_assert_uint_le(n, in.len);
		in = slice_from(in, n);
		ended += f->state == FRAMES_BETWEEN ||
			 (f->state == FRAMES_CLOSED && !closed);
		closed = f->state == FRAMES_CLOSED;
	}
	free(block);
	return ended;
}

/* ---- by chance */

/* The longest frame by chance. */
#define DRAWN_FRAME_MAX (14 + (1 << 17))

/* Appends a frame by chance, but no Close, if one fits; its length is drawn log-uniformly. */
static inline bool draw_frame(uint64_t *seed, struct written *w, bool masked)
{
	static const unsigned firsts[] = { 0, 1, 2, FIN, FIN | 1, FIN | 2, 0x89, 0x8a };
	static unsigned char payload[DRAWN_FRAME_MAX];
	unsigned first = firsts[draw(seed, LENGTH(firsts))];
	size_t most = (size_t)2 << draw(seed, 17), room = w->size - w->len;
	unsigned char key[4];

	most = first & 8 && most > 126 ? 126 : most;
	if (room < 14 + 126)
		return false;
	most = draw(seed, most < room - 14 ? most : room - 14);
	for (size_t i = 0; i < 4; i++)
		key[i] = (unsigned char)draw(seed, 256);
	for (size_t i = 0; i < most; i++)
		payload[i] = (unsigned char)(*seed >> 8 ^ i);
	first |= (unsigned)draw(seed, 8) << 4; /* reserved bits */
	write_frame(w, first, payload, most, masked ? key : NULL);
	return true;
}
