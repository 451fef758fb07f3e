/* SPDX-License-Identifier: MIT */
/* frames.c: control frames, as they are read and written. */
#include "framed.h"

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
	static const unsigned codes[] = { 1005, 1006, 1015 };

	for (size_t i = 0; i < LENGTH(codes); i++) {
		struct frames f = close_followed(codes[i], SLICE("never sent"));

		ck_assert_uint_eq(f.control_len, 0);
		ck_assert_uint_eq(frames_close_code(&f), 1005);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("frames: control");
	TCase *t = tcase_create("control frames");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_payload_of_a_control_frame_is_unmasked, 0, 2);
	tcase_add_test(t, control_frames_are_written_as_the_rfc_has_them);
	tcase_add_test(t, a_close_has_code_and_reason);
	tcase_add_test(t, a_long_reason_is_cut_between_characters);
	tcase_add_test(t, a_close_without_a_code_is_empty);
	return suite_run(s);
}
