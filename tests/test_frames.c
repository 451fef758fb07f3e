/* SPDX-License-Identifier: MIT */
/* frames.c: where frames end, and bytes that are no frames; compared with another reading. */
#include "framed.h"

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
	frames_passed(&f, INT64_MAX - 1);
	ck_assert_int_eq(f.state, FRAMES_PAYLOAD);
	frames_passed(&f, 1);
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

	for (size_t n = rounds(1000); n > 0; n--) {
		w.len = 0;
		while (draw_frame(&seed, &w, masked))
			;
		w.data[draw(&seed, w.len)] = (unsigned char)draw(&seed, 256);
		follow_stream(&seed, &w, masked);
	}
	written_free(&w);
}
END_TEST

/* ---- without a buffer */

START_TEST(a_stream_by_chance_is_followed_without_its_payloads)
{
	struct written all = written_open(4 << 20);
	struct reading r = { .stream = &all, .masked = _i & 1 };
	uint64_t seed = (uint64_t)_i + 1, moved = 0;
	struct frames f;

	while (draw_frame(&seed, &all, r.masked))
		;
	frames_init(&f, r.masked);
	for (size_t at = 0, n; at < all.len; at += n) {
		uint64_t left = frames_left(&f);
		struct frame now;

		(void)read_frame(all.data + r.begin, all.len - r.begin, r.masked, &now);
		ck_assert_uint_eq(left,
				  r.state == FRAMES_PAYLOAD && !frame_is_control(&now)
					  ? now.size - (at - r.begin)
					  : 0);
		n = 1 + draw(&seed, left > 0 ? left : 20);
		n = n < all.len - at ? n : all.len - at;
		if (left > 0)
			frames_passed(&f, n);
		else
			n = frames_follow(&f, (struct slice){ (char *)all.data + at, n });
		moved += left > 0 ? n : 0;
		read_to(&r, at + n);
		ck_assert_int_eq(f.state, r.state);
		if (f.state == FRAMES_BETWEEN)
			ck_assert_uint_eq(f.data, r.data);
	}
	ck_assert_uint_gt(moved, all.len / 2);
	written_free(&all);
}
END_TEST

START_TEST(bytes_that_are_not_followed_may_be_moved_without_an_end)
{
	struct slice stream = _i ? SLICE("\x88\x02\x03\xe8") : SLICE("x");
	struct frames f;

	frames_init(&f, false);
	ck_assert_uint_eq(frames_follow(&f, stream), stream.len);
	ck_assert_int_eq(f.state, _i ? FRAMES_CLOSED : FRAMES_LOST);
	ck_assert_uint_eq(frames_left(&f), UINT64_MAX);
	frames_passed(&f, 1000);
	ck_assert_uint_eq(frames_left(&f), UINT64_MAX);
	ck_assert_int_eq(f.state, _i ? FRAMES_CLOSED : FRAMES_LOST);
	ck_assert_uint_eq(f.data, _i ? 0 : 1001);
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
	tcase_add_test(t, bytes_behind_a_close_are_not_followed);
	tcase_add_loop_test(t, a_stream_by_chance_is_followed_to_its_close, 0, 8);
	tcase_add_loop_test(
		t, a_stream_with_a_wrong_byte_is_read_as_the_other_reading_has_it, 0, 4);
	tcase_add_loop_test(t, a_stream_by_chance_is_followed_without_its_payloads, 0, 8);
	tcase_add_loop_test(t, bytes_that_are_not_followed_may_be_moved_without_an_end, 0,
			    2);
	return suite_run(s);
}
