/* SPDX-License-Identifier: MIT */
/* chunk.c: chunks and the trailer section as they are written. */
#include "http/chunk.h"

#include <stdio.h>

#include "testing.h"

START_TEST(a_chunk_is_its_size_and_its_bytes)
{
	static const struct {
		size_t len;
		const char *before;
	} table[] = {
		{ 1, "1\r\n" },
		{ 15, "f\r\n" },
		{ 16, "10\r\n" },
		{ 0x1234, "1234\r\n" },
		{ 0x60c0de, "60c0de\r\n" },
		{ SIZE_MAX, "ffffffffffffffff\r\n" },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		size_t cap = strlen(table[i].before) + strlen("\r\n");
		struct buf out = { malloc(cap), cap, 0,
				   0 }; /* no byte more than it takes */

		ck_assert_uint_le(cap, CHUNK_FRAME_MAX);
		ck_assert_int_eq(chunk_begin(table[i].len, &out), 0);
		ck_assert_slice_eq(buf_slice(&out), table[i].before);
		ck_assert_int_eq(chunk_end(&out), 0);
		ck_assert_uint_eq(out.end, cap);
		ck_assert_int_eq(memcmp(out.data + cap - 2, "\r\n", 2), 0);
		ck_assert_int_eq(chunk_end(&out), -ENOBUFS);
		free(out.data);
	}
}
END_TEST

START_TEST(the_last_chunk_has_trailers_that_concern_the_receiver)
{
	static const char *const table[][2] = {
		{ "", "0\r\n\r\n" },
		{ "\r\n", "0\r\n\r\n" },
		{ "A:b\r\nc: \t d e\t\r\n\r\n", "0\r\nA: b\r\nc: d e\r\n\r\n" },
		{ "Content-Length: 1\r\nTransfer-Encoding: x\r\nHost: h\r\nConnection: close\r\n"
		  "Keep-Alive: 1\r\nUpgrade: x\r\nTE: x\r\nProxy-X: x\r\nForwarded: x\r\n"
		  "X-Forwarded-For: x\r\nX-Real-IP: x\r\nA_B: x\r\nX: y\r\n\r\n",
		  "0\r\nX: y\r\n\r\n" },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice trailers = exact_str(table[i][0]);
		size_t len = strlen(table[i][1]);

		for (size_t cap = 0; cap <= len; cap++) {
			struct buf out = { malloc(cap), cap, 0, 0 };

			ck_assert_int_eq(chunk_last(trailers, &out),
					 cap < len ? -ENOBUFS : 0);
			if (cap == len)
				ck_assert_slice_eq(buf_slice(&out), table[i][1]);
			free(out.data);
		}
		slice_free(trailers);
	}
}
END_TEST

/* As many fields as there may be, in a section as long as it may be, each gaining a space. */
START_TEST(the_last_chunk_fits_where_there_is_room_for_it)
{
	static char section[BODY_TRAILERS_MAX + 1];
	char storage[CHUNK_LAST_MAX];
	struct buf out = { storage, sizeof(storage), 0, 0 };
	size_t len = 0;

	for (size_t i = 0; i < BODY_FIELDS_MAX - 1; i++)
		len += (size_t)sprintf(section + len, "A:b\r\n");
	section[len++] = 'C';
	section[len++] = ':';
	memset(section + len, 'd', BODY_TRAILERS_MAX - 4 - len);
	(void)strcpy(section + BODY_TRAILERS_MAX - 4, "\r\n\r\n");
	ck_assert_int_eq(chunk_last(slice_str(section), &out), 0);
	ck_assert_uint_eq(buf_len(&out), BODY_TRAILERS_MAX + 3 + BODY_FIELDS_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chunk");
	TCase *t = tcase_create("chunk");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60); /* under valgrind */
	tcase_add_test(t, a_chunk_is_its_size_and_its_bytes);
	tcase_add_test(t, the_last_chunk_has_trailers_that_concern_the_receiver);
	tcase_add_test(t, the_last_chunk_fits_where_there_is_room_for_it);
	return suite_run(s);
}
