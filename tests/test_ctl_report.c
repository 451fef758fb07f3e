/* SPDX-License-Identifier: MIT */
/* ctl/report_add.c: what entries count for. */
#include "ctl/report.h"

#include "reporting.h"

START_TEST(a_session_counts_where_it_begins_and_while_it_is_open)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	opened(&r, BEGIN + HOUR, "1");
	opened(&r, BEGIN + 2 * HOUR, "2");
	closed(&r, BEGIN + 3 * HOUR, "1", 2 * 3600000);
	closed(&r, BEGIN + 5 * HOUR, "2", 3 * 3600000);
	report_end(&r, NULL, NULL);
	ck_assert_uint_eq(r.slots.n, 48); /* half hours */
	ck_assert_uint_eq(r.slots.slot[1].most, 0);
	ck_assert_uint_eq(r.slots.slot[2].most, 1);
	ck_assert_uint_eq(r.slots.slot[2].begun, 1);
	ck_assert_uint_eq(r.slots.slot[3].begun, 0);
	ck_assert_uint_eq(r.slots.slot[4].most, 2);
	ck_assert_uint_eq(r.slots.slot[9].most, 1); /* up to 5:00 */
	ck_assert_uint_eq(r.slots.slot[11].most, 0);
	ck_assert_uint_eq(r.begun, 2);
	ck_assert_uint_eq(r.ended, 2);
	ck_assert_uint_eq(r.open_at_end, 0);
	ck_assert_uint_eq(row(&r.users, "alice")->n, 2);
	ck_assert_uint_eq(row(&r.users, "alice")->ms, 5 * 3600000);
	ck_assert_uint_eq(row(&r.clients, "192.0.2.1")->down, 2002);
	ck_assert_uint_eq(r.ups[0], 2); /* 1000 is in the first bucket */
	ck_assert_uint_eq(r.downs[1], 2);
	report_done(&r);
}
END_TEST

START_TEST(sessions_that_follow_each_other_are_not_open_at_the_same_time)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	for (uint64_t i = 0; i < 10; i++) {
		opened(&r, BEGIN + HOUR + 2 * i * SECOND, "1");
		closed(&r, BEGIN + HOUR + (2 * i + 1) * SECOND, "1", 1000);
	}
	report_end(&r, NULL, NULL);
	ck_assert_uint_eq(r.slots.slot[2].most, 1);
	ck_assert_uint_eq(r.slots.slot[2].begun, 10);
	report_done(&r);
}
END_TEST

START_TEST(a_session_from_before_the_span_is_open_in_it)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	opened(&r, BEGIN - 5 * DAY, "1");
	opened(&r, BEGIN - 5 * DAY, "ended");
	closed(&r, BEGIN - DAY, "ended", 4 * 86400000ULL);
	failed(&r, BEGIN - DAY, REFUSED, "too early");
	report_end(&r, NULL, NULL);
	ck_assert(!r.empty);
	ck_assert_uint_eq(r.begun, 0);
	ck_assert_uint_eq(r.ended, 0);
	ck_assert_uint_eq(r.open_at_end, 1);
	ck_assert_uint_eq(r.slots.slot[0].most, 1);
	ck_assert_uint_eq(r.slots.slot[40].most, 1);
	ck_assert_uint_eq(r.ms, 86400000); /* those in the span */
	ck_assert_uint_eq(r.refusals.n, 0);
	report_done(&r);
}
END_TEST

START_TEST(what_comes_after_the_span_does_not_count)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	opened(&r, BEGIN + HOUR, "1");
	closed(&r, BEGIN + DAY + 1, "1", 23 * 3600000);
	opened(&r, BEGIN + 2 * DAY, "2");
	report_end(&r, NULL, NULL);
	ck_assert_uint_eq(r.begun, 1);
	ck_assert_uint_eq(r.ended, 0);
	ck_assert_uint_eq(r.open_at_end, 1);
	ck_assert_uint_eq(r.ms, 23 * 3600000);
	report_done(&r);
}
END_TEST

START_TEST(a_session_whose_opening_entry_is_gone_is_known_from_its_end)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	closed(&r, BEGIN + 4 * HOUR, "1", 2 * 3600000);
	closed(&r, BEGIN + 4 * HOUR, "2", 48 * 3600000);
	report_end(&r, NULL, NULL);
	ck_assert_uint_eq(r.begun, 1);
	ck_assert_uint_eq(r.slots.slot[0].most, 1);
	ck_assert_uint_eq(r.slots.slot[4].begun, 1);
	ck_assert_uint_eq(r.slots.slot[6].most, 2);
	ck_assert_uint_eq(r.slots.slot[9].most, 0);
	ck_assert_uint_eq(r.ms, 6 * 3600000);
	report_done(&r);
}
END_TEST

START_TEST(no_session_survives_a_restart_of_the_machine)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);
	struct entry e = plain;

	opened(&r, BEGIN + HOUR, "1");
	failed(&r, BEGIN + 2 * HOUR, REFUSED, "later");
	e.boot = "2";
	e.id = REFUSED;
	e.time_us = BEGIN + 5 * HOUR;
	report_add(&r, &e);
	report_end(&r, NULL, NULL);
	ck_assert_uint_eq(r.open_at_end, 0);
	ck_assert_uint_eq(r.ms, 3600000); /* up to the last entry before it */
	has(&r, "<td class=\"time\">lost</td>");
	report_done(&r);
}
END_TEST

/* As killed.c completes the entry of systemd. */
START_TEST(a_session_whose_process_was_killed_ends_there_with_unknown_bytes)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);
	struct entry e = plain;

	opened(&r, BEGIN + HOUR, "1");
	e.id = KILLED;
	e.time_us = BEGIN + 3 * HOUR;
	e.reason = "the process was killed by a signal";
	e.duration_ms = 2 * 3600000;
	report_add(&r, &e);
	report_end(&r, NULL, NULL);
	ck_assert_uint_eq(r.open_at_end, 0);
	ck_assert_uint_eq(r.ended, 1);
	ck_assert_uint_eq(r.ms, 2 * 3600000);
	ck_assert_uint_eq(r.slots.slot[6].most, 1); /* up to 3:00 */
	ck_assert_uint_eq(r.slots.slot[7].most, 0);
	ck_assert_uint_eq(r.durations[7], 1); /* up to 4 hours */
	ck_assert_uint_eq(r.ups[0], 0);
	has(&r,
	    "<td class=\"time\">killed</td><td dir=\"auto\">the process was killed by a "
	    "signal</td>");
	report_done(&r);
}
END_TEST

static bool is_second(void *userdata, const struct open_session *s)
{
	(void)userdata;
	return strcmp(s->request_id, "2") == 0;
}

START_TEST(a_session_that_is_not_open_any_more_has_ended_at_an_unknown_time)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	opened(&r, BEGIN - HOUR, "0");
	opened(&r, BEGIN + HOUR, "1");
	opened(&r, BEGIN + 22 * HOUR, "2");
	report_end(&r, is_second, NULL);
	ck_assert_uint_eq(r.open_at_end, 1);
	ck_assert_uint_eq(r.ms, 2 * 3600000);
	ck_assert_uint_eq(r.slots.slot[1].most, 0);
	ck_assert_uint_eq(r.slots.slot[2].most, 1); /* where it began */
	ck_assert_uint_eq(r.slots.slot[3].most, 0);
	ck_assert_uint_eq(r.slots.slot[44].most, 1);
	ck_assert_uint_eq(r.slots.slot[47].most, 1);
	has(&r,
	    "<td class=\"time\">unknown</td><td dir=\"auto\">it is not open any more, "
	    "but no entry says when it ended</td><td class=\"number\">1</td>");
	report_done(&r);
}
END_TEST

START_TEST(a_session_that_ended_at_an_unknown_time_before_the_span_is_not_in_it)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	opened(&r, BEGIN - HOUR, "1");
	report_end(&r, is_second, NULL);
	ck_assert(r.empty);
	ck_assert_uint_eq(r.open_at_end, 0);
	ck_assert_uint_eq(r.users.n, 0);
	report_done(&r);
}
END_TEST

START_TEST(the_span_begins_with_the_first_entry_unless_it_is_said)
{
	struct report r = begun_at(0, BEGIN + DAY);

	failed(&r, BEGIN, REFUSED, "x");
	report_end(&r, NULL, NULL);
	ck_assert_uint_eq(r.since_us, BEGIN);
	report_done(&r);
}
END_TEST

START_TEST(failures_and_refusals_count_by_sentence)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);
	const char *sentence = "cannot connect to a:1: Connection refused";
	const char *label = "connect\tcannot connect to a:1: Connection refused";

	failed(&r, BEGIN + 1, WS_ERROR, sentence);
	failed(&r, BEGIN + 2, WS_ERROR, sentence);
	failed(&r, BEGIN + 3, WS_ERROR, "cannot resolve a: x");
	failed(&r, BEGIN + 4, REFUSED, "a bare CR");
	report_end(&r, NULL, NULL);
	ck_assert_uint_eq(r.not_opened, 3);
	ck_assert_uint_eq(r.failures.n, 2);
	ck_assert_uint_eq(row(&r.failures, label)->n, 2);
	ck_assert_uint_eq(row(&r.refusals, "malformed\ta bare CR")->n, 1);
	has(&r, "<td dir=\"auto\">cannot connect to a:1: Connection refused</td>"
		"<td class=\"number\">2</td>");
	report_done(&r);
}
END_TEST

/* Everybody can write such an entry: only root's words are believed. */
START_TEST(who_has_ended_a_session_is_known_from_the_kernel)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);
	struct entry e = plain;

	e.id = DISCONNECTED;
	e.by = "bob";
	e.reason = "has left";
	e.time_us = BEGIN + HOUR;
	report_add(&r, &e);
	e.uid = "65534";
	report_add(&r, &e);
	report_end(&r, NULL, NULL);
	ck_assert_str_eq(r.cuts[0].by, "bob");
	ck_assert_str_eq(r.cuts[1].by, "nobody");
	has(&r, "<td dir=\"auto\">bob</td><td dir=\"auto\">has left</td>");
	report_done(&r);
}
END_TEST

START_TEST(the_last_ones_that_were_ended_are_listed)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);
	struct entry e = plain;
	char id[16];

	e.id = DISCONNECTED;
	e.session = id;
	e.time_us = BEGIN + HOUR;
	for (unsigned i = 0; i < REPORT_CUTS + 5; i++) {
		(void)snprintf(id, sizeof(id), "id%03u", i);
		report_add(&r, &e);
	}
	report_end(&r, NULL, NULL);
	has(&r, ">id104<");
	has(&r, ">id005<");
	has(&r, "<p>5 earlier ones are not listed.</p>");
	report_done(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_report");
	TCase *t = tcase_create("ctl_report");

	suite_add_tcase(suite, t);
	tcase_add_test(t, a_session_counts_where_it_begins_and_while_it_is_open);
	tcase_add_test(t, sessions_that_follow_each_other_are_not_open_at_the_same_time);
	tcase_add_test(t, a_session_from_before_the_span_is_open_in_it);
	tcase_add_test(t, what_comes_after_the_span_does_not_count);
	tcase_add_test(t, a_session_whose_opening_entry_is_gone_is_known_from_its_end);
	tcase_add_test(t, no_session_survives_a_restart_of_the_machine);
	tcase_add_test(t,
		       a_session_whose_process_was_killed_ends_there_with_unknown_bytes);
	tcase_add_test(t,
		       a_session_that_is_not_open_any_more_has_ended_at_an_unknown_time);
	tcase_add_test(
		t, a_session_that_ended_at_an_unknown_time_before_the_span_is_not_in_it);
	tcase_add_test(t, the_span_begins_with_the_first_entry_unless_it_is_said);
	tcase_add_test(t, failures_and_refusals_count_by_sentence);
	tcase_add_test(t, who_has_ended_a_session_is_known_from_the_kernel);
	tcase_add_test(t, the_last_ones_that_were_ended_are_listed);
	return suite_run(suite);
}
