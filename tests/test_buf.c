/* SPDX-License-Identifier: MIT */
/* buf.h: numbers in slices. */
#include "base/buf.h"

#include "testing.h"

START_TEST(a_number_is_digits_up_to_its_maximum)
{
	static const struct {
		const char *text;
		uint64_t max, number;
		bool valid;
	} table[] = {
		{ "0", 9, 0, true },
		{ "9", 9, 9, true },
		{ "0065535", 65535, 65535, true },
		{ "9223372036854775807", INT64_MAX, INT64_MAX, true },
		{ "00000000000000000000000000000000007", 7, 7, true },
		{ "10", 9, 0, false },
		{ "65536", 65535, 0, false },
		{ "9223372036854775808", INT64_MAX, 0, false },
		{ "18446744073709551616", INT64_MAX, 0, false },
		{ "92233720368547758070", INT64_MAX, 0, false },
		{ "8", 7, 0, false },
		{ "", 9, 0, false },
		{ "-1", 9, 0, false },
		{ "+1", 9, 0, false },
		{ " 1", 9, 0, false },
		{ "1 ", 9, 0, false },
		{ "1:", 9, 0, false },
		{ "1/", 9, 0, false },
		{ "0x1", 9, 0, false },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice s = exact_str(table[i].text);
		uint64_t number = 7;

		ck_assert_msg(slice_number(s, table[i].max, &number) == table[i].valid,
			      "%s", table[i].text);
		ck_assert_uint_eq(number, table[i].valid ? table[i].number : 7);
		slice_free(s);
	}
}
END_TEST

START_TEST(a_number_is_taken_off_the_beginning)
{
	static const struct {
		const char *text, *rest;
		uint64_t number;
		bool valid;
	} table[] = {
		{ "7", "", 7, true },
		{ "007x8", "x8", 7, true },
		{ "18446744073709551614.", ".", UINT64_MAX - 1, true },
		{ "18446744073709551615:", ":", UINT64_MAX, true },
		{ "18446744073709551616/", "/", UINT64_MAX, true },
		{ "184467440737095516150 1", " 1", UINT64_MAX, true },
		{ "", "", 0, false },
		{ "-1", "-1", 0, false },
		{ " 1", " 1", 0, false },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice s = exact_str(table[i].text), rest = s;
		uint64_t number = 7;

		ck_assert_msg(slice_take_number(&rest, &number) == table[i].valid, "%s",
			      table[i].text);
		ck_assert_uint_eq(number, table[i].number);
		ck_assert(slice_eq(rest, slice_str(table[i].rest)));
		slice_free(s);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tc = tcase_create("numbers");

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, a_number_is_digits_up_to_its_maximum);
	tcase_add_test(tc, a_number_is_taken_off_the_beginning);
	return suite_run(suite);
}
