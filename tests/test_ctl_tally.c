/* SPDX-License-Identifier: MIT */
/* ctl/tally.c: counting by text. */
#include "ctl/tally.h"

#include <stdio.h>

#include "testing.h"

START_TEST(the_number_of_texts_is_limited)
{
	struct tally t = { 0 };
	char text[16];

	for (unsigned i = 0; i < TALLY_MAX + 3; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		tally_row(&t, text)->n++;
	}
	tally_row(&t, "0")->n++; /* is known */
	ck_assert_uint_eq(t.n, TALLY_MAX);
	ck_assert_uint_eq(t.others.n, 3);
	tally_done(&t);
}
END_TEST

START_TEST(rows_are_sorted_by_number_then_by_text)
{
	struct tally t = { 0 };
	struct tally_row **sorted;

	tally_row(&t, "c")->n = 1;
	tally_row(&t, "a")->n = 1;
	tally_row(&t, "b")->n = 2;
	sorted = tally_sort(&t);
	ck_assert_str_eq(sorted[0]->text, "b");
	ck_assert_str_eq(sorted[1]->text, "a");
	ck_assert_str_eq(sorted[2]->text, "c");
	free(sorted);
	tally_done(&t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_tally");
	TCase *t = tcase_create("ctl_tally");

	suite_add_tcase(suite, t);
	tcase_add_test(t, the_number_of_texts_is_limited);
	tcase_add_test(t, rows_are_sorted_by_number_then_by_text);
	return suite_run(suite);
}
