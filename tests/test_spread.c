/* SPDX-License-Identifier: MIT */
/* spread.c: how long a process waits before it exits. */
#include "process/spread.h"

#include "testing.h"

/* For so many processes, the longest wait that a random number may give. */
static const struct {
	uint64_t processes, longest_ms;
} table[] = {
	{ 0, 0 },         { 1, 0 },
	{ 100, 0 }, /* so many may exit at one moment */
	{ 101, 808 },     { 1000, 8000 },
	{ 4000, 32000 },  { 10000, 80000 },
	{ 11249, 89992 }, { 11250, 90000 },
	{ 11264, 90000 }, /* as many as the units admit; see TimeoutStopSec= in the units */
	{ 15000, 90000 }, { UINT64_MAX, 90000 },
};

START_TEST(it_grows_with_their_number_up_to_a_limit)
{
	uint64_t processes = table[_i].processes, longest_ms = table[_i].longest_ms;

	ck_assert_uint_eq(spread_delay_ms(processes, longest_ms), longest_ms);
	ck_assert_uint_eq(spread_delay_ms(processes, longest_ms + 1), 0);
	ck_assert_uint_le(spread_delay_ms(processes, UINT64_MAX), longest_ms);
}
END_TEST

START_TEST(random_numbers_spread_evenly)
{
	const uint64_t seconds = 8, numbers = 100000;
	uint64_t in_second[8] = { 0 }, random = 1;

	for (uint64_t i = 0; i < numbers; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		in_second[spread_delay_ms(seconds * 125, random) % (seconds * 1000) /
			  1000]++;
	}
	for (size_t i = 0; i < LENGTH(in_second); i++) {
		ck_assert_uint_ge(in_second[i], numbers / seconds * 9 / 10);
		ck_assert_uint_le(in_second[i], numbers / seconds * 11 / 10);
	}
}
END_TEST

/* Longer than with few processes, where it is 0. */
START_TEST(a_file_that_cannot_be_read_counts_as_very_many)
{
	ck_assert_uint_gt(spread_exit_delay_ms(-1), 0); /* the odds are 1 in 90,001 */
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
