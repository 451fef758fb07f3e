/* SPDX-License-Identifier: MIT */
/* frames.c: where frames end, bytes that are no frames, control frames; compared with another reading. */
#include "framed.h"

/* Follows all of in, a block of exactly its size. Returns how many frames ended in it. */
static size_t follow_all(struct frames *f, const void *p, size_t len)
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

/* ---- lengths */

/* A frame alone, whose payload is each byte's number; returns the length of its header. */
static size_t write_numbered(struct written *w, unsigned first, size_t len, bool masked)
{
	size_t header;

	w->len = 0;
	write_header(w, first, len, masked ? client_key : NULL);
	header = w->len;
	for (size_t i = 0; i < len; i++)
		w->data[w->len++] = (unsigned char)i;
	return header;
}

static const size_t lengths[] = { 0,   1,     2,     124,   125,   126,
				  127, 65534, 65535, 65536, 65537, 70000 };

static void frame_ends(struct frames *f, const struct written *w, size_t header,
		       size_t cut)
{
	size_t before = follow_all(f, w->data, cut);

	ck_assert_uint_eq(before, cut == w->len);
	if (cut < w->len)
		ck_assert_int_eq(f->state, cut == 0       ? FRAMES_BETWEEN
					   : cut < header ? FRAMES_HEADER
							  : FRAMES_PAYLOAD);
	ck_assert_uint_eq(before + follow_all(f, w->data + cut, w->len - cut), 1);
	ck_assert_int_eq(f->state, FRAMES_BETWEEN);
}

/* In a header and close to either end of the payload. */
START_TEST(a_frame_ends_with_its_payload_wherever_it_is_cut)
{
	struct written w = written_open(FRAMES_HEADER_MAX + lengths[_i]);

	for (int masked = 0; masked < 2; masked++) {
		size_t header =
			write_numbered(&w, FIN | FRAMES_BINARY, lengths[_i], masked);
		struct frames f;

		frames_init(&f, masked);
		for (size_t cut = 0; cut <= w.len; cut++)
			if (cut < header + 20 || cut + 20 > w.len)
				frame_ends(&f, &w, header, cut);
		ck_assert_uint_eq(f.data % w.len, 0); /* headers count */
		ck_assert_uint_gt(f.data, 0);
	}
	written_free(&w);
}
END_TEST

START_TEST(the_longest_payload_has_63_bits)
{
	struct written w = written_open(2 * FRAMES_HEADER_MAX);
	struct frames f;

	frames_init(&f, false);
	write_header(&w, FRAMES_CONTINUATION, INT64_MAX, NULL);
	ck_assert_uint_eq(follow_all(&f, w.data, w.len), 0);
	ck_assert_uint_eq(f.left, INT64_MAX);
	frames_passed(&f, SLICE(""), INT64_MAX - 1);
	ck_assert_int_eq(f.state, FRAMES_PAYLOAD);
	frames_passed(&f, SLICE(""), 1);
	ck_assert_int_eq(f.state, FRAMES_BETWEEN);
	ck_assert_uint_eq(f.data, w.len + INT64_MAX);
	w.len = 0;
	write_header(&w, FRAMES_CONTINUATION, (uint64_t)INT64_MAX + 1, NULL);
	ck_assert_uint_eq(follow_all(&f, w.data, 3), 0);
	ck_assert_int_eq(f.state, FRAMES_LOST);
	written_free(&w);
}
END_TEST

/* Lengths that could be shorter, reserved bits and fragments in any order are not judged. */
START_TEST(what_is_not_judged_is_followed)
{
	static const char *const frames[] = {
		"\x82\x7e\x00\x01x", "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01x",
		"\xf2\x01x",         "\x00\x01x",
		"\x01\x01x",         "\x81\x01x",
	};
	static const size_t len[] = { 5, 11, 3, 3, 3, 3 };
	struct frames f;

	frames_init(&f, false);
	for (size_t i = 0; i < LENGTH(frames); i++)
		ck_assert_uint_eq(follow_all(&f, frames[i], len[i]), 1);
	ck_assert_int_eq(f.state, FRAMES_BETWEEN);
}
END_TEST

/* ---- bytes that are no frames */

static const struct {
	const char *bytes;
	size_t lost_at; /* with this byte */
	bool masked;
} no_frames[] = {
	{ "\x83\x00", 1, false },     { "\x84", 1, false },
	{ "\x85", 1, false },         { "\x86", 1, false },
	{ "\x87", 1, false },         { "\x8b", 1, false },
	{ "\x8c", 1, false },         { "\x8d", 1, false },
	{ "\x8e", 1, false },         { "\x8f", 1, true },
	{ "\x08", 1, false }, /* a fragment of a control frame */
	{ "\x09", 1, false },         { "\x0a", 1, true },
	{ "\x88\x7e", 2, false },     { "\x89\x7f", 2, false },
	{ "\x8a\xfe", 2, true },      { "\x82\x81", 2, false },
	{ "\x82\x01", 2, true },      { "\x82\xff\x80", 3, true },
	{ "RFB 003.008\n", 2, true },
};

START_TEST(bytes_that_are_no_frames_are_not_followed)
{
	struct slice all = slice_str(no_frames[_i].bytes);
	struct frames f;

	frames_init(&f, no_frames[_i].masked);
	(void)follow_all(&f, all.p, no_frames[_i].lost_at - 1);
	ck_assert_int_ne(f.state, FRAMES_LOST);
	(void)follow_all(&f, all.p + no_frames[_i].lost_at - 1, 1);
	ck_assert_int_eq(f.state, FRAMES_LOST);
	f.data = 0;
	ck_assert_uint_eq(follow_all(&f, "\x82\x01x", 3), 0);
	ck_assert_int_eq(f.state, FRAMES_LOST);
	ck_assert_uint_eq(f.data, 3);
}
END_TEST

/* ---- control frames */

/* Of each length, cut at each byte, with and without a mask. */
START_TEST(the_payload_of_a_control_frame_is_unmasked)
{
	char payload[FRAMES_CONTROL_MAX], data[FRAMES_HEADER_MAX + FRAMES_CONTROL_MAX];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (char)(i * 7);
	for (size_t len = 0; len <= sizeof(payload); len++) {
		struct slice put = { payload, len };
		struct buf b = { .data = data, .cap = sizeof(data) };
		const unsigned char *k = _i ? client_key : NULL;

		ck_assert_int_eq(frames_put(FRAMES_PONG, put, k, &b), 0);
		for (size_t cut = 0; cut <= b.end; cut++) {
			struct frames f;

			frames_init(&f, _i);
			(void)follow_all(&f, data, cut);
			(void)follow_all(&f, data + cut, b.end - cut);
			ck_assert_int_eq(f.state, FRAMES_BETWEEN);
			ck_assert_int_eq(f.opcode, FRAMES_PONG);
			ck_assert(slice_eq(
				(struct slice){ (char *)f.control, f.control_len }, put));
		}
	}
}
END_TEST

/* The examples of RFC 6455 5.7. */
START_TEST(control_frames_are_written_as_the_rfc_has_them)
{
	char data[32];
	struct buf b = { .data = data, .cap = sizeof(data) };

	ck_assert_int_eq(frames_put(FRAMES_PING, SLICE("Hello"), NULL, &b), 0);
	ck_assert_int_eq(frames_put(FRAMES_PONG, SLICE("Hello"), client_key, &b), 0);
	ck_assert_slice_eq(buf_slice(&b),
			   "\x89\x05Hello\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
	ck_assert_int_eq(frames_put(FRAMES_PING, SLICE("0123456789"), client_key, &b),
			 -ENOBUFS);
	ck_assert_uint_eq(buf_len(&b), 18);
}
END_TEST

static struct frames close_followed(unsigned code, struct slice reason)
{
	char data[FRAMES_HEADER_MAX + FRAMES_CONTROL_MAX], payload[FRAMES_CONTROL_MAX];
	struct slice close = { payload, frames_close(code, reason, payload) };
	struct buf b = { .data = data, .cap = sizeof(data) };
	struct frames f;

	frames_init(&f, true);
	ck_assert_int_eq(frames_put(FRAMES_CLOSE, close, client_key, &b), 0);
	ck_assert_uint_eq(follow_all(&f, data, b.end), 1);
	ck_assert_int_eq(f.state, FRAMES_CLOSED);
	return f;
}

START_TEST(a_close_has_code_and_reason)
{
	struct frames f = close_followed(4502, SLICE("gone"));

	ck_assert_uint_eq(frames_close_code(&f), 4502);
	ck_assert_slice_eq(frames_close_reason(&f), "gone");
	f = close_followed(1000, SLICE(""));
	ck_assert_uint_eq(frames_close_code(&f), 1000);
	ck_assert_slice_eq(frames_close_reason(&f), "");
	for (size_t len = 0; len < 2; len++) {
		frames_init(&f, false);
		ck_assert_uint_eq(follow_all(&f, len ? "\x88\x01x" : "\x88\x00", 2 + len),
				  1);
		ck_assert_uint_eq(frames_close_code(&f), 1005);
		ck_assert_slice_eq(frames_close_reason(&f), "");
	}
}
END_TEST

/* Up to 123 bytes, and characters of two, three and four bytes at the limit. */
START_TEST(a_long_reason_is_cut_between_characters)
{
	static const char *const last[] = { "x", "\xc3\xa9", "\xe2\x82\xac",
					    "\xf0\x9f\x96\xa5" };
	char text[200];

	for (size_t i = 0; i < LENGTH(last); i++)
		for (size_t before = 115; before <= 130; before++) {
			size_t len = strlen(last[i]), fits = before + len <= 123;
			struct frames f;

			memset(text, 'a', before);
			snprintf(text + before, sizeof(text) - before, "%s", last[i]);
			f = close_followed(1001, slice_str(text));
			ck_assert_uint_eq(frames_close_reason(&f).len, fits ? before + len
								       : before < 123
									       ? before
									       : 123);
		}
}
END_TEST

START_TEST(a_close_without_a_code_is_empty)
{
	struct frames f = close_followed(1005, SLICE("never sent"));

	ck_assert_uint_eq(f.control_len, 0);
	ck_assert_uint_eq(frames_close_code(&f), 1005);
}
END_TEST

START_TEST(bytes_behind_a_close_are_not_followed)
{
	struct frames f;

	frames_init(&f, false);
	ck_assert_uint_eq(follow_all(&f, "\x82\x01x\x88\x02\x03\xe8\x88\x02\x03\xe9", 11),
			  2);
	ck_assert_int_eq(f.state, FRAMES_CLOSED);
	ck_assert_uint_eq(frames_close_code(&f), 1000);
	ck_assert_uint_eq(follow_all(&f, "x\x88\x02\x03\xe9", 5), 0);
	ck_assert_int_eq(f.state, FRAMES_CLOSED);
	ck_assert_uint_eq(frames_close_code(&f), 1000);
	ck_assert_uint_eq(f.data, 3);
}
END_TEST

/* ---- many frames */

/* The stream's bytes in pieces by chance; after each the state is that of the other reading. */
static void follow_stream(uint64_t *seed, const struct written *w, bool masked)
{
	struct reading r = { .stream = w, .masked = masked };
	struct frames f;

	frames_init(&f, masked);
	for (size_t at = 0, n; at < w->len; at += n) {
		n = 1 + draw(seed, draw(seed, 4) ? 40 : 100000);
		n = n < w->len - at ? n : w->len - at;
		(void)follow_all(&f, w->data + at, n);
		read_to(&r, at + n);
		ck_assert_int_eq(f.state, r.state);
		if (f.state == FRAMES_BETWEEN && frame_is_control(&r.last))
			ck_assert(frame_says(&r.last, (struct slice){ (char *)f.control,
								      f.control_len }));
		if (f.state == FRAMES_BETWEEN || f.state == FRAMES_CLOSED)
			ck_assert_uint_eq(f.data, r.data);
		if (f.state == FRAMES_PAYLOAD)
			ck_assert_uint_gt(f.left, 0);
	}
}

START_TEST(a_stream_by_chance_is_followed_to_its_close)
{
	struct written w = written_open(1 << 20);
	uint64_t seed = (uint64_t)_i + 1;
	bool masked = _i & 1;

	w.size -= 100;
	while (draw_frame(&seed, &w, masked))
		;
	w.size += 100;
	write_text(&w, FIN | FRAMES_CLOSE, "\x03\xe8", masked ? client_key : NULL);
	write_text(&w, FIN | FRAMES_TEXT, "too late", masked ? client_key : NULL);
	follow_stream(&seed, &w, masked);
	written_free(&w);
}
END_TEST

START_TEST(a_stream_with_a_wrong_byte_is_read_as_the_other_reading_has_it)
{
	struct written w = written_open(2000);
	uint64_t seed = (uint64_t)_i + 1;
	bool masked = _i & 1;

	for (int i = 0; i < 1000; i++) {
		w.len = 0;
		while (draw_frame(&seed, &w, masked))
			;
		w.data[draw(&seed, w.len)] = (unsigned char)draw(&seed, 256);
		follow_stream(&seed, &w, masked);
	}
	written_free(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("frames");
	TCase *t = tcase_create("frames");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_frame_ends_with_its_payload_wherever_it_is_cut, 0,
			    (int)LENGTH(lengths));
	tcase_add_test(t, the_longest_payload_has_63_bits);
	tcase_add_test(t, what_is_not_judged_is_followed);
	tcase_add_loop_test(t, bytes_that_are_no_frames_are_not_followed, 0,
			    (int)LENGTH(no_frames));
	tcase_add_loop_test(t, the_payload_of_a_control_frame_is_unmasked, 0, 2);
	tcase_add_test(t, control_frames_are_written_as_the_rfc_has_them);
	tcase_add_test(t, a_close_has_code_and_reason);
	tcase_add_test(t, a_long_reason_is_cut_between_characters);
	tcase_add_test(t, a_close_without_a_code_is_empty);
	tcase_add_test(t, bytes_behind_a_close_are_not_followed);
	tcase_add_loop_test(t, a_stream_by_chance_is_followed_to_its_close, 0, 8);
	tcase_add_loop_test(
		t, a_stream_with_a_wrong_byte_is_read_as_the_other_reading_has_it, 0, 4);
	return suite_run(s);
}
