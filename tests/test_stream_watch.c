/* SPDX-License-Identifier: MIT */
/* stream_watch.c: what the kernel says of a connection, as a table and from real ones. */
#include "net/stream.h"

#include <poll.h>

#include "testing.h"
#include "world.h"

#define SPAN 125000 /* as the gate has it */

/* ---- the judgement, look by look */

#define START   1000000 /* when the first byte was written, ms */
#define ALL     false
#define SOME    true
#define HERE    false
#define GONE    true
#define NO_MORE 0

/* Times are ms since then; of acks: is some outstanding, silent for so long, tries. */
static const struct {
	const char *name;
	struct {
		unsigned at;
		struct stream_acks acks;
		bool gone;
		unsigned next;
	} look[3];
} peers[] = {
	{ "acknowledges all", { { 125000, { ALL, 100, 0 }, HERE, NO_MORE } } },
	{ "acknowledges, and there is always more",
	  { { 125000, { SOME, 10, 0 }, HERE, 249990 },
	    { 249990, { SOME, 5, 0 }, HERE, 374985 },
	    { 374985, { ALL, 5, 0 }, HERE, NO_MORE } } },
	{ "is looked at early", { { 5, { SOME, 5, 1 }, HERE, 125000 } } },
	{ "was silent before, and has had no time to answer",
	  { { 1000, { SOME, 900000, 2 }, HERE, 125000 } } },
	{ "vanishes at once", { { 125000, { SOME, 125000, 9 }, GONE, NO_MORE } } },
	{ "was silent for long, then vanishes",
	  { { 125000, { SOME, 900000, 9 }, GONE, NO_MORE } } },
	{ "vanishes later",
	  { { 125000, { SOME, 65000, 8 }, HERE, 185000 },
	    { 185000, { SOME, 125000, 9 }, GONE, NO_MORE } } },
	{ "has a network on which a try takes minutes",
	  { { 125000, { SOME, 125000, 1 }, HERE, 140626 },
	    { 140626, { SOME, 2000, 0 }, HERE, 263626 } } },
	{ "does not read, and answers every two minutes",
	  { { 125000, { SOME, 40000, 0 }, HERE, 210000 },
	    { 210000, { SOME, 5000, 0 }, HERE, 330000 },
	    { 330000, { SOME, 5000, 0 }, HERE, 450000 } } },
	{ "does not read, and one answer is lost",
	  { { 125000, { SOME, 125000, 1 }, HERE, 140626 },
	    { 140626, { SOME, 140626, 1 }, HERE, 156252 },
	    { 240626, { SOME, 10, 0 }, HERE, 365616 } } },
	{ "does not read, one answer is lost, and the next is on its way",
	  { { 125000, { SOME, 125000, 1 }, HERE, 140626 },
	    { 240010, { SOME, 240010, 2 }, HERE, 255636 },
	    { 255636, { SOME, 15600, 0 }, HERE, 365036 } } },
	{ "does not read, then vanishes",
	  { { 125000, { SOME, 125000, 1 }, HERE, 140626 },
	    { 240010, { SOME, 240010, 2 }, HERE, 255636 },
	    { 255636, { SOME, 255636, 2 }, GONE, NO_MORE } } },
	{ "was not looked at for a day in which the gate was stopped",
	  { { 86400000, { SOME, 3000, 1 }, HERE, 86522000 } } },
};

START_TEST(who_is_gone)
{
	struct stream s = { .fd = -1, .watch = STREAM_UNWATCHED };

	stream_watch_begin(&s, START, SPAN);
	ck_assert(s.watch.look_ms == START + SPAN);
	stream_watch_begin(&s, START + 7, SPAN); /* more bytes put nothing off */
	ck_assert(s.watch.look_ms == START + SPAN);
	for (size_t i = 0; i < LENGTH(peers[_i].look) && peers[_i].look[i].at > 0; i++) {
		unsigned at = peers[_i].look[i].at, next = peers[_i].look[i].next;
		bool gone = stream_watch_judge(&s.watch, &peers[_i].look[i].acks,
					       START + at, SPAN);

		ck_assert_msg(gone == peers[_i].look[i].gone, "%s: at %u", peers[_i].name,
			      at);
		ck_assert_msg(s.watch.look_ms == (next ? START + next : CLOCK_INFINITY),
			      "%s: at %u: next at %jd", peers[_i].name, at,
			      (intmax_t)s.watch.look_ms - START);
	}
}
END_TEST

/* ---- real connections, with a span that passes */

#define SHORT_MS 400

static void wait_ms(int ms)
{
	ck_assert_int_eq(poll(NULL, 0, ms), 0);
}

struct ends {
	struct stream s;
	int peer;
};

static void ends_open(struct ends *e, bool tcp)
{
	stream_pair(tcp, &e->s, &e->peer);
}

static void ends_close(struct ends *e)
{
	stream_done(&e->s);
	peer_close(&e->peer);
}

/* Writes a byte, or as much as is taken; returns how much. */
static size_t say(struct ends *e, bool much)
{
	static char block[65536];
	struct iovec iov = { block, much ? sizeof(block) : 1 };
	size_t total = 0;
	ssize_t n;

	do {
		n = stream_write(&e->s, &iov, 1);
		total += n > 0 ? (size_t)n : 0;
	} while (much && n > 0);
	stream_watch_begin(&e->s, clock_ms(), SHORT_MS);
	return total;
}

/* Looks whenever it is time for it, for so long: whether the peer was found to be gone. */
static bool is_gone_within(struct ends *e, uint64_t ms)
{
	uint64_t end_ms = clock_ms() + ms;

	while (clock_ms() < end_ms) {
		if (stream_peer_gone(&e->s, clock_ms(), SHORT_MS))
			return true;
		wait_ms(5);
	}
	return false;
}

START_TEST(a_peer_that_vanishes_is_gone_after_the_span)
{
	struct ends e;
	uint64_t start_ms;

	ends_open(&e, true);
	if (_i) /* it did not read before */
		(void)say(&e, true);
	peer_vanish(e.peer);
	start_ms = clock_ms();
	if (!_i)
		(void)say(&e, false);
	ck_assert(is_gone_within(&e, PATIENCE_SEC * 1000));
	ck_assert_uint_ge(clock_ms() - start_ms, _i ? SHORT_MS / 2 : SHORT_MS);
	ck_assert(e.s.watch.look_ms == CLOCK_INFINITY);
	ends_close(&e);
}
END_TEST

START_TEST(a_peer_that_is_back_within_the_span_is_not)
{
	struct ends e;

	ends_open(&e, true);
	peer_vanish(e.peer);
	(void)say(&e, false);
	ck_assert(!is_gone_within(&e, SHORT_MS / 2));
	peer_return(e.peer);
	ck_assert(!is_gone_within(&e, 4 * SHORT_MS));
	peer_hears(e.peer, "");
	ends_close(&e);
}
END_TEST

/* Soon the kernel's pauses between two probes are longer than the span. */
START_TEST(a_peer_that_does_not_read_is_not_gone)
{
	struct ends e;

	ends_open(&e, true);
	(void)say(&e, true);
	ck_assert(!is_gone_within(&e, 10 * SHORT_MS));
	ck_assert(e.s.watch.look_ms != CLOCK_INFINITY);
	ends_close(&e);
}
END_TEST

START_TEST(once_all_is_acknowledged_nothing_is_looked_at)
{
	struct ends e;

	for (int tcp = 0; tcp < 2; tcp++) {
		ends_open(&e, tcp);
		(void)say(&e, !tcp); /* of a local socket there is nothing to ask */
		ck_assert(!is_gone_within(&e, 2 * SHORT_MS));
		ck_assert(e.s.watch.look_ms == CLOCK_INFINITY);
		ends_close(&e);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream_watch");
	TCase *t = case_add(suite, "stream_watch");

	tcase_add_loop_test(t, who_is_gone, 0, (int)LENGTH(peers));
	tcase_add_loop_test(t, a_peer_that_vanishes_is_gone_after_the_span, 0, 2);
	tcase_add_test(t, a_peer_that_is_back_within_the_span_is_not);
	tcase_add_test(t, a_peer_that_does_not_read_is_not_gone);
	tcase_add_test(t, once_all_is_acknowledged_nothing_is_looked_at);
	return suite_run(suite);
}
