/* SPDX-License-Identifier: MIT */
#include "http/frames.h"

/* RFC 6455 5.2 */
#define FIN       0x80 /* in the first byte */
#define OPCODE    0x0f
#define MASK      0x80 /* in the second byte */
#define LENGTH    0x7f
#define LENGTH_16 126 /* the length is in the next two bytes */
#define LENGTH_64 127 /* in the next eight */
#define KEY_LEN   4

/* RFC 6455 7.4.1: no Close has them. */
#define NO_CODE  1005
#define NO_CLOSE 1006
#define NO_TLS   1015

static const unsigned char no_key[KEY_LEN]; /* changes nothing */

void frames_init(struct frames *f, bool masked)
{
	*f = (struct frames){ .masked = masked };
}

static bool is_control(enum frames_opcode opcode)
{
	return opcode >= FRAMES_CLOSE;
}

/* ---- headers */

/* The bytes of an extended length. */
static size_t length_bytes(const struct frames *f)
{
	unsigned length = f->header[1] & LENGTH;

	return length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
}

/* The beginning of a header, as far as it has come, is valid. */
static bool header_valid(const struct frames *f)
{
	const unsigned known = 1 << FRAMES_CONTINUATION | 1 << FRAMES_TEXT |
			       1 << FRAMES_BINARY | 1 << FRAMES_CLOSE | 1 << FRAMES_PING |
			       1 << FRAMES_PONG;
	unsigned opcode = f->header[0] & OPCODE;
	bool control = is_control(opcode);

	if (!(known >> opcode & 1) || (control && !(f->header[0] & FIN)))
		return false;
	if (f->header_len < 2)
		return true;
	if (!(f->header[1] & MASK) == f->masked ||
	    (control && (f->header[1] & LENGTH) > FRAMES_CONTROL_MAX))
		return false;
	return f->header_len < 3 || length_bytes(f) < 8 || !(f->header[2] & 0x80);
}

/* The length of a header, as far as its beginning tells. */
static size_t header_size(const struct frames *f)
{
	return f->header_len < 2 ? 2 : 2 + length_bytes(f) + (f->masked ? KEY_LEN : 0);
}

static void frame_end(struct frames *f)
{
	f->state = f->opcode == FRAMES_CLOSE ? FRAMES_CLOSED : FRAMES_BETWEEN;
}

static void payload_begin(struct frames *f)
{
	size_t n = length_bytes(f);

	f->left = n > 0 ? 0 : f->header[1] & LENGTH;
	for (size_t i = 0; i < n; i++)
		f->left = f->left << 8 | f->header[2 + i];
	f->control_len = 0;
	if (f->left > 0)
		f->state = FRAMES_PAYLOAD;
	else
		frame_end(f);
}

/* Copies the next bytes of a header. Returns the count. */
static size_t header_add(struct frames *f, struct slice in)
{
	size_t n = header_size(f) - f->header_len;

	if (n > in.len)
		n = in.len;
	memcpy(f->header + f->header_len, in.p, n);
	f->header_len += n;
	return n;
}

/* The same for a whole header, for which there are bytes enough. */
static size_t header_begin(struct frames *f, const char *p)
{
	memcpy(f->header, p, FRAMES_HEADER_MAX); /* of constant size: inlined */
	f->header_len = 2;
	f->header_len = header_size(f);
	return f->header_len;
}

/* Follows the rest of a header, and an empty payload. Returns the count. */
static size_t follow_header(struct frames *f, struct slice in)
{
	size_t n = 0;

	if (f->state == FRAMES_BETWEEN)
		f->header_len = 0;
	if (f->header_len == 0 && in.len >= FRAMES_HEADER_MAX) {
		n = header_begin(f, in.p);
	} else {
		n = header_add(f, in);
		if (n < in.len && header_valid(f))
			n += header_add(f, slice_from(in, n)); /* its size is known now */
	}
	f->state = header_valid(f) ? FRAMES_HEADER : FRAMES_LOST;
	f->opcode = f->header[0] & OPCODE;
	if (f->state == FRAMES_HEADER && f->header_len == header_size(f))
		payload_begin(f);
	return n;
}

/* ---- payload */

static void control_add(struct frames *f, struct slice payload)
{
	const unsigned char *key =
		f->masked ? &f->header[f->header_len - KEY_LEN] : no_key;

	for (size_t i = 0; i < payload.len; i++, f->control_len++)
		f->control[f->control_len] =
			(unsigned char)payload.p[i] ^ key[f->control_len % KEY_LEN];
}

static void payload_passed(struct frames *f, uint64_t n)
{
	assert(n <= f->left);
	f->left -= n;
	if (f->left == 0)
		frame_end(f);
}

static size_t follow_payload(struct frames *f, struct slice in)
{
	size_t n = in.len < f->left ? in.len : (size_t)f->left;

	if (is_control(f->opcode))
		control_add(f, (struct slice){ in.p, n });
	payload_passed(f, n);
	return n;
}

/* ---- the bytes of a direction */

static void count_data(struct frames *f, uint64_t n)
{
	if (f->state == FRAMES_LOST || !is_control(f->opcode))
		f->data += n;
}

size_t frames_follow(struct frames *f, struct slice in)
{
	size_t n = 0;

	if (in.len == 0)
		return 0;
	if (f->state <= FRAMES_HEADER)
		n = follow_header(f, in);
	if (f->state == FRAMES_PAYLOAD)
		n += follow_payload(f, slice_from(in, n));
	if (f->state == FRAMES_LOST || n == 0)
		n = in.len;
	count_data(f, n);
	return n;
}

/* In a frame that is perhaps not passed on as it is: a Pong, or a server's Close. */
static bool is_held(const struct frames *f)
{
	bool may_be = f->opcode == FRAMES_PONG ? f->own_pong.len > 0
					       : f->opcode == FRAMES_CLOSE && !f->masked;

	return may_be && (f->state == FRAMES_HEADER || f->state == FRAMES_PAYLOAD);
}

/* At the end of the Pong that is to be left out. */
static bool is_own_pong(const struct frames *f)
{
	struct slice payload = { (const char *)f->control, f->control_len };

	return f->own_pong.len > 0 && f->opcode == FRAMES_PONG &&
	       f->state == FRAMES_BETWEEN && slice_eq(payload, f->own_pong);
}

static bool must_not_be_sent(unsigned code)
{
	return code == NO_CODE || code == NO_CLOSE || code == NO_TLS;
}

/*
 * At the end of a server's Close with a code that must not be sent, such as 1005 from websockify 0.10, or
 * with one byte, which is half a code.
 */
static bool has_bad_code(const struct frames *f)
{
	return !f->masked && f->state == FRAMES_CLOSED && f->control_len > 0 &&
	       must_not_be_sent(frames_close_code(f));
}

int frames_next(struct frames *f, struct buf *in, struct slice *ret)
{
	struct slice all = buf_slice(in);
	size_t n = f->held;
	bool left_out = false;

	if (f->replace) {
		/* in place: the caller moves later bytes up to it */
		in->data[in->start] = (char)(FIN | FRAMES_CLOSE);
		in->data[in->start + 1] = 0;
		*ret = (struct slice){ all.p, 2 };
		buf_consume(in, n);
		f->held = 0;
		f->replace = false;
		return 1;
	}
	*ret = (struct slice){ all.p, 0 };
	while (n < all.len && !left_out && !f->replace &&
	       !(f->paused && f->state == FRAMES_BETWEEN)) {
		bool open = f->state < FRAMES_CLOSED;

		n += frames_follow(f, slice_from(all, n));
		left_out = is_own_pong(f);
		f->replace = open && has_bad_code(f);
		if (!left_out && !f->replace && !is_held(f))
			ret->len = n;
	}
	if (!left_out && !f->replace && !is_held(f))
		ret->len = n; /* nothing is held any more */
	f->held = left_out ? 0 : n - ret->len;
	buf_consume(in, left_out ? n : ret->len);
	return left_out || f->replace || ret->len > 0;
}

uint64_t frames_left(const struct frames *f)
{
	if (f->state >= FRAMES_CLOSED)
		return UINT64_MAX;
	return f->state == FRAMES_PAYLOAD && !is_control(f->opcode) ? f->left : 0;
}

void frames_passed(struct frames *f, uint64_t n)
{
	if (f->state == FRAMES_PAYLOAD)
		payload_passed(f, n);
	count_data(f, n);
}

/* ---- control frames */

unsigned frames_close_code(const struct frames *f)
{
	return f->control_len < 2 ? NO_CODE
				  : (unsigned)f->control[0] << 8 | f->control[1];
}

struct slice frames_close_reason(const struct frames *f)
{
	return f->control_len < 2 ? SLICE("")
				  : (struct slice){ (const char *)f->control + 2,
						    f->control_len - 2 };
}

int frames_put(enum frames_opcode opcode, struct slice payload, const unsigned char *key,
	       struct buf *out)
{
	unsigned char frame[2 + KEY_LEN + FRAMES_CONTROL_MAX];
	size_t n = 0;

	assert(is_control(opcode) && payload.len <= FRAMES_CONTROL_MAX);
	frame[n++] = (unsigned char)(FIN | opcode);
	frame[n++] = (unsigned char)((key ? MASK : 0) | payload.len);
	for (size_t i = 0; key && i < KEY_LEN; i++)
		frame[n++] = key[i];
	for (size_t i = 0; i < payload.len; i++)
		frame[n++] =
			(unsigned char)payload.p[i] ^ (key ? key : no_key)[i % KEY_LEN];
	return buf_put(out, frame, n);
}

/* UTF-8 has bytes of the form 10xxxxxx inside of characters only. */
static size_t cut(struct slice text, size_t max)
{
	size_t len = text.len < max ? text.len : max;

	while (len < text.len && len > 0 && (text.p[len] & 0xc0) == 0x80)
		len--;
	return len;
}

size_t frames_close(unsigned code, struct slice reason,
		    char ret[static FRAMES_CONTROL_MAX])
{
	if (must_not_be_sent(code))
		return 0;
	ret[0] = (char)(code >> 8);
	ret[1] = (char)code;
	reason.len = cut(reason, FRAMES_REASON_MAX);
	if (reason.len > 0)
		memcpy(ret + 2, reason.p, reason.len);
	return 2 + reason.len;
}
