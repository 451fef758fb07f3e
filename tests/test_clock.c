/* SPDX-License-Identifier: MIT */
/* clock.c: deadlines, and the time-outs that poll(2) takes. */
#include "base/clock.h"

#include "testing.h"

START_TEST(the_clock_does_not_go_back)
{
	uint64_t now_ms = clock_ms();

	ck_assert_uint_gt(now_ms, 0);
	ck_assert_uint_ge(clock_ms(), now_ms);
}
END_TEST

START_TEST(a_deadline_is_now_and_the_span_and_never_wraps)
{
	static const struct {
		uint64_t now_ms, span_ms, deadline_ms;
	} table[] = {
		{ 5, 7, 12 },
		{ 5, 0, 5 },
		{ 0, CLOCK_INFINITY, CLOCK_INFINITY },
		{ 5, CLOCK_INFINITY, CLOCK_INFINITY },
		{ 5, CLOCK_INFINITY - 6, CLOCK_INFINITY - 1 },
		{ 5, CLOCK_INFINITY - 5, CLOCK_INFINITY },
		{ 5, CLOCK_INFINITY - 4, CLOCK_INFINITY },
		{ 5, CLOCK_INFINITY - 1, CLOCK_INFINITY },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		ck_assert_uint_eq(clock_deadline_ms(table[i].now_ms, table[i].span_ms),
				  table[i].deadline_ms);
}
END_TEST

START_TEST(a_timeout_is_rounded_up_and_fits_poll)
{
	static const struct {
		uint64_t now_ms, deadline_ms;
		int timeout_ms;
	} table[] = {
		{ 5, CLOCK_INFINITY, -1 },
		{ 5, 4, 0 },
		{ 5, 5, 0 },
		{ 5, 6, 2 },
		{ 0, INT32_MAX - 1, INT32_MAX },
		{ 0, INT32_MAX, INT32_MAX },
		{ 0, CLOCK_INFINITY - 1, INT32_MAX },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		ck_assert_int_eq(clock_timeout_ms(table[i].now_ms, table[i].deadline_ms),
				 table[i].timeout_ms);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("clock");
	TCase *t = tcase_create("clock");

	suite_add_tcase(s, t);
	tcase_add_test(t, the_clock_does_not_go_back);
	tcase_add_test(t, a_deadline_is_now_and_the_span_and_never_wraps);
	tcase_add_test(t, a_timeout_is_rounded_up_and_fits_poll);
	return suite_run(s);
}
