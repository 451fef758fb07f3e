/* SPDX-License-Identifier: MIT */
/* ctl/slots.c: a span of time in slots. */
#include "ctl/slots.h"

#include <time.h>

#include "testing.h"

#define SECOND 1000000ULL

START_TEST(slots_cover_the_span_and_begin_at_local_times)
{
	static const struct {
		const char *zone;
		uint64_t since_s, span_s;
		size_t n;
		uint64_t width_s, second_s; /* the begin of the second slot */
	} table[] = {
		{ "UTC", 1795996800, 0, 1, 1, 1795996801 },
		{ "UTC", 1795996800, 72, 72, 1, 1795996801 },
		{ "UTC", 1795996800, 73, 15, 5, 1795996805 },
		{ "UTC", 1795996830, 3600, 61, 60, 1795996860 },
		{ "UTC", 1795996830, 86400, 49, 1800, 1795998600 },
		/* 5:45 ahead */
		{ "Asia/Kathmandu", 1795996800, 30 * 86400, 61, 43200, 1796019300 },
		/* the day after which the clocks go back has 25 hours: 2026-10-25 */
		{ "Europe/Berlin", 1792879200, 72 * 86400, 72, 86400, 1792969200 },
		/* 2026-09-06 has no midnight and begins at 1:00, the day after it does not */
		{ "America/Santiago", 1788609600, 60 * 86400, 61, 86400, 1788667200 },
		{ "America/Santiago", 1788667200, 60 * 86400, 61, 86400, 1788750000 },
		{ "UTC", 0, 0xffffffff, 14, 3640 * 86400, 3640 * 86400 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slots s;
		uint64_t since_us = table[i].since_s * SECOND;
		uint64_t until_us = since_us + table[i].span_s * SECOND;

		ck_assert_int_eq(setenv("TZ", table[i].zone, true), 0);
		tzset();
		slots_init(&s, since_us, until_us);
		ck_assert_msg(s.width_s == table[i].width_s, "%zu: %zu", i,
			      (size_t)s.width_s);
		ck_assert_msg(s.n == table[i].n, "%zu: %zu", i, s.n);
		ck_assert_uint_le(s.slot[0].begin_us, since_us);
		ck_assert_uint_ge(s.slot[s.n].begin_us, until_us);
		ck_assert_uint_eq(s.slot[1].begin_us, table[i].second_s * SECOND);
		ck_assert_uint_eq(slots_find(&s, since_us), 0);
		ck_assert_uint_eq(slots_find(&s, until_us), s.n - 1);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_slots");
	TCase *t = tcase_create("ctl_slots");

	suite_add_tcase(suite, t);
	tcase_add_test(t, slots_cover_the_span_and_begin_at_local_times);
	return suite_run(suite);
}
