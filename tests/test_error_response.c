/* SPDX-License-Identifier: MIT */
/* error_response.c: a Close instead of an HTTP response. test_rewrite.c tests the HTTP responses. */
#include "proxy/error_response.h"

#include <stdio.h>

#include "framed.h"

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define HEAD                                   \
	"HTTP/1.1 101 Switching Protocols\r\n" \
	"Upgrade: websocket\r\n"               \
	"Connection: Upgrade\r\n"              \
	"Sec-WebSocket-Accept: " ACCEPT "\r\n"
#define ID         "novnc-gate[17]"
#define INVOCATION "0123456789abcdef0123456789abcdef"
#define NOTE       "; log id "

static char room[1000];

static struct slice written(const struct error_close *e)
{
	struct buf out = { .data = room, .cap = sizeof(room) };

	ck_assert_int_eq(error_close_write(e, &out), 0);
	return buf_slice(&out);
}

/* Reads the one frame behind the head. */
static struct frames close_of(unsigned status, const char *why, const char *log_id)
{
	const struct error_close e = {
		.status = status, .why = why, .log_id = log_id, .accept = ACCEPT
	};
	struct slice frame = slice_from(written(&e), strlen(HEAD "\r\n"));
	struct frames f;

	frames_init(&f, false);
	ck_assert_uint_eq(frames_follow(&f, frame), frame.len);
	ck_assert_int_eq(f.state, FRAMES_CLOSED);
	return f;
}

START_TEST(a_code_is_4000_more_than_a_status)
{
	static const struct {
		unsigned status, code;
	} table[] = {
		{ 0, 4502 },   { 200, 4502 }, { 204, 4502 }, { 299, 4502 }, { 300, 4300 },
		{ 301, 4301 }, { 401, 4401 }, { 403, 4403 }, { 404, 4404 }, { 500, 4500 },
		{ 502, 4502 }, { 503, 4503 }, { 504, 4504 }, { 599, 4599 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct frames f = close_of(table[i].status, "It failed", ID);

		ck_assert_msg(frames_close_code(&f) == table[i].code, "%u becomes %u",
			      table[i].status, frames_close_code(&f));
		ck_assert_slice_eq(frames_close_reason(&f), "It failed" NOTE ID);
	}
}
END_TEST

START_TEST(a_101_comes_first_and_has_no_extension)
{
	static const char *const protocols[][2] = {
		{ "", "" },
		{ "binary", "Sec-WebSocket-Protocol: binary\r\n" },
		{ "v10.stomp", "Sec-WebSocket-Protocol: v10.stomp\r\n" },
	};
	char expected[500];

	for (size_t i = 0; i < LENGTH(protocols); i++) {
		struct slice protocol = exact_str(protocols[i][0]);
		const struct error_close e = {
			.status = 404,
			.why = "no",
			.log_id = "1",
			.accept = ACCEPT,
			.protocol = protocol,
			.id_line = SLICE("X-Request-Id: abc-1\r\n"),
		};

		(void)snprintf(expected, sizeof(expected),
			       HEAD "%sX-Request-Id: abc-1\r\n\r\n\x88\x0e\x11\x34no" NOTE
				    "1",
			       protocols[i][1]);
		ck_assert_slice_eq(written(&e), expected);
		slice_free(protocol);
	}
}
END_TEST

/* The reason for a sentence with so many characters of one byte, of two bytes, and again of one. */
static struct slice reason_of(struct frames *f, size_t before, size_t wide, size_t behind,
			      const char *log_id)
{
	char why[600];
	struct buf text = { .data = why, .cap = sizeof(why) - 1 };

	for (size_t i = 0; i < before; i++)
		ck_assert_int_eq(buf_put_slice(&text, SLICE("a")), 0);
	for (size_t i = 0; i < wide; i++)
		ck_assert_int_eq(buf_put_slice(&text, SLICE("\xc3\xbc")), 0);
	for (size_t i = 0; i < behind; i++)
		ck_assert_int_eq(buf_put_slice(&text, SLICE("z")), 0);
	why[text.end] = '\0';
	*f = close_of(403, why, log_id);
	return frames_close_reason(f);
}

START_TEST(a_reason_is_cut_between_two_characters)
{
	static const struct {
		size_t before, wide, behind, len;
	} table[] = {
		{ 123, 0, 0, 123 }, { 124, 0, 0, 123 }, { 511, 0, 0, 123 },
		{ 121, 1, 0, 123 }, { 121, 1, 1, 123 }, { 122, 1, 0, 122 },
		{ 122, 1, 9, 122 }, { 123, 1, 0, 123 }, { 0, 61, 1, 123 },
		{ 0, 62, 0, 122 },  { 1, 61, 0, 123 },  { 1, 255, 0, 123 },
		{ 0, 255, 0, 122 }, { 254, 1, 0, 123 }, { 255, 1, 0, 123 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct frames f;
		struct slice reason = reason_of(&f, table[i].before, table[i].wide,
						table[i].behind, INVOCATION);

		ck_assert_msg(reason.len == table[i].len, "%zu, %zu, %zu: %zu bytes",
			      table[i].before, table[i].wide, table[i].behind,
			      reason.len);
		ck_assert(!memchr(reason.p, ';', reason.len));
	}
}
END_TEST

/* The id of a process, and that of systemd. */
START_TEST(the_id_is_there_where_it_fits)
{
	static const char *const ids[] = { ID, INVOCATION };

	for (size_t i = 0; i < LENGTH(ids); i++) {
		size_t most = FRAMES_REASON_MAX - strlen(NOTE) - strlen(ids[i]);

		for (size_t len = 0; len <= most; len++) {
			struct frames f;
			struct slice reason = reason_of(&f, len, 0, 0, ids[i]);
			struct slice rest = slice_from(reason, len);

			ck_assert_slice_eq(slice_from(rest, strlen(NOTE)), ids[i]);
			rest.len = strlen(NOTE);
			ck_assert_slice_eq(rest, NOTE);
		}
	}
}
END_TEST

/* A part of it is not enough to look anything up. */
START_TEST(an_id_that_does_not_fit_is_left_out)
{
	static const char *const ids[] = { ID, INVOCATION };

	for (size_t i = 0; i < LENGTH(ids); i++) {
		size_t most = FRAMES_REASON_MAX - strlen(NOTE) - strlen(ids[i]);

		for (size_t len = most + 1; len <= FRAMES_REASON_MAX; len++) {
			struct frames f;
			struct slice reason = reason_of(&f, len, 0, 0, ids[i]);

			ck_assert_msg(reason.len == len, "%zu bytes become '%.*s'", len,
				      SLICE_FMT(reason));
		}
	}
}
END_TEST

START_TEST(no_room_is_an_error)
{
	const struct error_close e = {
		.status = 404,
		.why = "no",
		.log_id = ID,
		.accept = ACCEPT,
		.protocol = SLICE("binary"),
	};
	size_t len = written(&e).len;

	for (size_t cap = 0; cap <= len; cap++) {
		struct buf out = { .data = malloc(cap), .cap = cap };

		ck_assert_int_eq(error_close_write(&e, &out), cap < len ? -ENOBUFS : 0);
		free(out.data);
	}
}
END_TEST

START_TEST(it_is_appended)
{
	const struct error_close e = {
		.status = 404, .why = "no", .log_id = ID, .accept = ACCEPT
	};
	struct buf out = { .data = room, .cap = sizeof(room) };

	ck_assert_int_eq(buf_put_slice(&out, SLICE("before")), 0);
	ck_assert_int_eq(error_close_write(&e, &out), 0);
	ck_assert_int_eq(memcmp(room, "before" HEAD, strlen("before" HEAD)), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error_response");
	TCase *tc = tcase_create("closes");

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, a_code_is_4000_more_than_a_status);
	tcase_add_test(tc, a_101_comes_first_and_has_no_extension);
	tcase_add_test(tc, a_reason_is_cut_between_two_characters);
	tcase_add_test(tc, the_id_is_there_where_it_fits);
	tcase_add_test(tc, an_id_that_does_not_fit_is_left_out);
	tcase_add_test(tc, no_room_is_an_error);
	tcase_add_test(tc, it_is_appended);
	return suite_run(suite);
}
