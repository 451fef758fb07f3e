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

#define NO_CODE 1005 /* RFC 6455 7.4.1 */

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
	unsigned opcode = f->header[0] & OPCODE;
	bool control = is_control(opcode);

	if ((opcode > FRAMES_BINARY && !control) || opcode > FRAMES_PONG ||
	    (control && !(f->header[0] & FIN)))
		return false;
	if (f->header_len < 2)
		return true;
	if (!(f->header[1] & MASK) == f->masked ||
	    (control && (f->header[1] & LENGTH) > FRAMES_CONTROL_MAX))
		return false;
	return f->header_len < 3 || length_bytes(f) < 8 || !(f->header[2] & 0x80);
}

static bool header_complete(const struct frames *f)
{
	return f->header_len >= 2 &&
	       f->header_len == 2 + length_bytes(f) + (f->masked ? KEY_LEN : 0);
}

static void payload_begin(struct frames *f)
{
	size_t n = length_bytes(f);

	f->left = n > 0 ? 0 : f->header[1] & LENGTH;
	for (size_t i = 0; i < n; i++)
		f->left = f->left << 8 | f->header[2 + i];
	f->opcode = f->header[0] & OPCODE;
	f->control_len = 0;
	f->state = f->left > 0 ? FRAMES_PAYLOAD : FRAMES_BETWEEN;
}

static void header_add(struct frames *f, char byte)
{
	if (f->state == FRAMES_BETWEEN)
		f->header_len = 0;
	f->state = FRAMES_HEADER;
	f->header[f->header_len++] = (unsigned char)byte;
	if (!header_valid(f))
		f->state = FRAMES_LOST;
	else if (header_complete(f))
		payload_begin(f);
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

void frames_passed(struct frames *f, uint64_t n)
{
	assert(n <= f->left);
	f->left -= n;
	if (f->left == 0)
		f->state = FRAMES_BETWEEN;
}

size_t frames_follow(struct frames *f, struct slice in)
{
	size_t n = 0, payload;

	while (f->state <= FRAMES_HEADER && n < in.len) {
		header_add(f, in.p[n++]);
		if (f->state == FRAMES_BETWEEN)
			return n; /* a frame without payload */
	}
	if (f->state != FRAMES_PAYLOAD)
		return in.len;
	payload = in.len - n < f->left ? in.len - n : (size_t)f->left;
	if (is_control(f->opcode))
		control_add(f, (struct slice){ in.p + n, payload });
	if (payload > 0)
		frames_passed(f, payload);
	return n + payload;
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

int frames_put(enum frames_opcode opcode, struct slice payload,
	       const unsigned char key[4], struct buf *out)
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

int frames_put_close(unsigned code, struct slice reason, const unsigned char key[4],
		     struct buf *out)
{
	char payload[FRAMES_CONTROL_MAX] = { (char)(code >> 8), (char)code };

	reason.len = cut(reason, FRAMES_REASON_MAX);
	if (reason.len > 0)
		memcpy(payload + 2, reason.p, reason.len);
	return frames_put(FRAMES_CLOSE, (struct slice){ payload, 2 + reason.len }, key,
			  out);
}
