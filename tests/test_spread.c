/* SPDX-License-Identifier: MIT */
/* spread.c: how long a process waits before it exits. */
#include "process/spread.h"

#include "testing.h"

/* For so many processes with so many programs each, the longest wait that a random number may give. */
static const struct {
	uint64_t processes;
	unsigned programs;
	uint64_t longest_ms;
} table[] = {
	{ 0, 2, 0 },
	{ 1, 2, 0 },
	{ 100, 2, 0 }, /* so many may exit at one moment */
	{ 101, 2, 808 },
	{ 101, 1, 404 },
	{ 1000, 2, 8000 },
	{ 1000, 1, 4000 },
	{ 4000, 2, 32000 },
	{ 10000, 2, 80000 },
	{ 11249, 2, 89992 },
	{ 11250, 2, 90000 },
	{ 11264, 2, 90000 }, /* as many as the units admit */
	{ 11264, 1, 45000 },
	{ 15000, 2, 90000 },
	{ UINT64_MAX, 2, 90000 },
};

START_TEST(it_grows_with_their_number_up_to_a_limit)
{
	uint64_t processes = table[_i].processes, longest_ms = table[_i].longest_ms;
	unsigned programs = table[_i].programs;

	if (longest_ms == 0) {
		ck_assert_uint_eq(spread_delay_ms(processes, programs, 7), 0);
		return;
	}
	ck_assert_uint_eq(spread_delay_ms(processes, programs, 0), 1);
	ck_assert_uint_eq(spread_delay_ms(processes, programs, longest_ms - 1),
			  longest_ms);
	ck_assert_uint_eq(spread_delay_ms(processes, programs, longest_ms), 1);
	ck_assert_uint_le(spread_delay_ms(processes, programs, UINT64_MAX), longest_ms);
}
END_TEST

START_TEST(random_numbers_spread_evenly)
{
	const uint64_t seconds = 8, numbers = 100000;
	uint64_t in_second[8] = { 0 }, random = 1;

	for (uint64_t i = 0; i < numbers; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		in_second[(spread_delay_ms(seconds * 125, 2, random) - 1) / 1000]++;
	}
	for (size_t i = 0; i < LENGTH(in_second); i++) {
		ck_assert_uint_ge(in_second[i], numbers / seconds * 9 / 10);
		ck_assert_uint_le(in_second[i], numbers / seconds * 11 / 10);
	}
}
END_TEST

/* With few it would be 0. */
START_TEST(a_file_that_cannot_be_read_counts_as_very_many)
{
	ck_assert_uint_gt(spread_exit_delay_ms(-1, 2), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spread");
	TCase *t = tcase_create("spread");

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, it_grows_with_their_number_up_to_a_limit, 0,
			    (int)LENGTH(table));
	tcase_add_test(t, random_numbers_spread_evenly);
	tcase_add_test(t, a_file_that_cannot_be_read_counts_as_very_many);
	return suite_run(s);
}
