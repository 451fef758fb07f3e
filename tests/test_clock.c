/* SPDX-License-Identifier: MIT */
/*
 * clock.c: deadlines, and how a wait ends. poll(2) is replaced where a test wants another result of
 * it.
 */
#include "base/clock.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "peers.h"
#include "testing.h"

#define SHORT_MS 20

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

/* The results of poll() before it is asked in earnest, and the time-outs it was given. */
static struct {
	struct {
		int r, error;
	} scripted[3];
	size_t n, calls;
	int timeout_ms[4];
} script;

int scripted_poll(struct pollfd *p, nfds_t n, int timeout_ms) __asm__("poll");

int scripted_poll(struct pollfd *p, nfds_t n, int timeout_ms)
{
	struct timespec span = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	size_t call = script.calls++;

	ck_assert_uint_lt(call, LENGTH(script.timeout_ms));
	script.timeout_ms[call] = timeout_ms;
	if (call >= script.n)
		return ppoll(p, n, timeout_ms < 0 ? NULL : &span, NULL);
	errno = script.scripted[call].error;
	return script.scripted[call].r;
}

/* The signalfd's place and one more, both the reading ends of pipes. */
struct world {
	int term[2], other[2];
	struct pollfd p[2];
};

static void world_open(struct world *w)
{
	memset(&script, 0, sizeof(script));
	ck_assert_int_eq(pipe2(w->term, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(w->other, O_CLOEXEC), 0);
	w->p[0] = (struct pollfd){ .fd = w->term[0] };
	w->p[1] = (struct pollfd){ .fd = w->other[0], .events = POLLIN };
}

static void world_close(struct world *w)
{
	for (size_t i = 0; i < 2; i++) {
		close(w->term[i]);
		close(w->other[i]);
	}
}

START_TEST(events_are_counted)
{
	struct world w;

	world_open(&w);
	ck_assert_int_eq(write(w.other[1], "x", 1), 1);
	ck_assert_int_eq(clock_wait(w.p, 2, clock_ms(), CLOCK_INFINITY), 1);
	ck_assert_int_eq(w.p[1].revents, POLLIN);
	ck_assert_int_eq(script.timeout_ms[0], -1);
	world_close(&w);
}
END_TEST

START_TEST(sigterm_comes_before_all_else)
{
	struct world w;

	world_open(&w);
	ck_assert_int_eq(write(w.other[1], "x", 1), 1);
	ck_assert_int_eq(write(w.term[1], "T", 1), 1);
	ck_assert_int_eq(clock_wait(w.p, 2, clock_ms(), CLOCK_INFINITY), -ECANCELED);
	world_close(&w);
}
END_TEST

START_TEST(a_deadline_passes_with_and_without_a_signalfd)
{
	struct world w;
	uint64_t start_ms = clock_ms();

	world_open(&w);
	if (_i)
		w.p[0].fd = -1;
	ck_assert_int_eq(clock_wait(w.p, 2, start_ms, start_ms + SHORT_MS), -ETIMEDOUT);
	ck_assert_uint_ge(clock_ms(), start_ms + SHORT_MS);
	ck_assert_uint_eq(script.calls, 1);
	world_close(&w);
}
END_TEST

START_TEST(past_its_deadline_it_still_looks_once)
{
	struct world w;

	world_open(&w);
	ck_assert_int_eq(clock_wait(w.p, 2, 5, 5), -ETIMEDOUT);
	ck_assert_int_eq(write(w.other[1], "x", 1), 1);
	ck_assert_int_eq(clock_wait(w.p, 2, 5, 4), 1);
	world_close(&w);
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

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct world w;

		world_open(&w);
		script.scripted[0].r = 1;
		script.n = 1;
		ck_assert_int_eq(
			clock_wait(w.p, 2, table[i].now_ms, table[i].deadline_ms), 1);
		ck_assert_int_eq(script.timeout_ms[0], table[i].timeout_ms);
		world_close(&w);
	}
}
END_TEST

START_TEST(an_interrupted_wait_goes_on_with_the_time_that_is_left)
{
	struct world w;
	uint64_t start_ms = clock_ms();

	world_open(&w);
	script.scripted[0].r = script.scripted[1].r = -1;
	script.scripted[0].error = EINTR;
	script.scripted[1].error = EAGAIN;
	script.n = 2;
	/* as if it had been read some time ago */
	ck_assert_int_eq(clock_wait(w.p, 2, start_ms - 1000, start_ms + SHORT_MS),
			 -ETIMEDOUT);
	ck_assert_uint_eq(script.calls, 3);
	ck_assert_int_eq(script.timeout_ms[0], 1000 + SHORT_MS + 1);
	ck_assert_int_le(script.timeout_ms[1], SHORT_MS + 1);
	ck_assert_int_le(script.timeout_ms[2], script.timeout_ms[1]);
	ck_assert_uint_ge(clock_ms(), start_ms + SHORT_MS);
	world_close(&w);
}
END_TEST

START_TEST(a_deadline_beyond_the_reach_of_one_poll_is_waited_for_again)
{
	struct world w;

	world_open(&w);
	script.scripted[0].r = 0;
	script.n = 1;
	ck_assert_int_eq(write(w.other[1], "x", 1), 1);
	ck_assert_int_eq(clock_wait(w.p, 2, 0, CLOCK_INFINITY - 1), 1);
	ck_assert_int_eq(script.timeout_ms[0], INT32_MAX);
	ck_assert_uint_eq(script.calls, 2);
	world_close(&w);
}
END_TEST

START_TEST(another_error_is_returned)
{
	struct world w;

	world_open(&w);
	script.scripted[0].r = -1;
	script.scripted[0].error = ENOMEM;
	script.n = 1;
	ck_assert_int_eq(clock_wait(w.p, 2, 0, CLOCK_INFINITY), -ENOMEM);
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("clock");
	TCase *t = tcase_create("clock");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, PATIENCE_SEC);
	tcase_add_test(t, the_clock_does_not_go_back);
	tcase_add_test(t, a_deadline_is_now_and_the_span_and_never_wraps);
	tcase_add_test(t, events_are_counted);
	tcase_add_test(t, sigterm_comes_before_all_else);
	tcase_add_loop_test(t, a_deadline_passes_with_and_without_a_signalfd, 0, 2);
	tcase_add_test(t, past_its_deadline_it_still_looks_once);
	tcase_add_test(t, a_timeout_is_rounded_up_and_fits_poll);
	tcase_add_test(t, an_interrupted_wait_goes_on_with_the_time_that_is_left);
	tcase_add_test(t, a_deadline_beyond_the_reach_of_one_poll_is_waited_for_again);
	tcase_add_test(t, another_error_is_returned);
	return suite_run(s);
}
