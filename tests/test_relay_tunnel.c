/* SPDX-License-Identifier: MIT */
/* relay.c: tunnels at rest, and how those end whose bytes are no frames. */
#include "traffic.h"

/* ---- tunnels rest */

START_TEST(a_tunnel_at_rest_has_no_pipes_and_makes_them_again)
{
	struct haul h;

	haul_open_tunnel(&h, _i);
	for (int i = 0; i < 2; i++) {
		h.t.sent = h.t.got = 0;
		relaying_start(&h.w);
		haul_pass(&h);
		still_wait();
		ck_assert_int_ge(h.s.flow->splicer.pipe.fd[0], 0);
		relaying_end_at_rest(&h.w, h.s);
		ck_assert_int_lt(h.s.flow->splicer.pipe.fd[0], 0);
	}
	haul_close(&h);
}
END_TEST

START_TEST(a_tunnel_rests_once_and_after_much_again)
{
	static const char much[16 * 1024] = "much";
	static char heard[sizeof(much)];
	struct relaying w;
	struct side s;

	relaying_open(&w, false);
	s = side_of(&w, _i ? UP : DOWN);
	relaying_raw_tunnel(&w);
	relaying_rest(&w);
	w.relay.tunnel.release_ms = SHORT_MS;
	relaying_start(&w);
	still_wait();
	peer_say(*s.source, "little");
	peer_hears(*s.sink, "little");
	still_wait();
	ck_assert_uint_lt(still_calls(), 12);
	ck_assert_int_eq(still_timeout(), -1); /* nothing wakes it up */
	peer_send(*s.source, much, sizeof(much));
	ck_assert_int_eq(relaying_end(&w), RELAY_RELEASE);
	ck_assert_int_eq(recv(*s.sink, heard, sizeof(heard), MSG_WAITALL), sizeof(much));
	ck_assert_int_eq(memcmp(heard, much, sizeof(much)), 0);
	relaying_close(&w);
}
END_TEST

START_TEST(what_is_in_a_pipe_stays_there_at_rest)
{
	struct haul h;

	haul_open_tunnel(&h, _i);
	relaying_start(&h.w);
	haul_pass(&h); /* there is a pipe now */
	haul_stuff_again(&h);
	ck_assert_uint_gt(h.s.flow->splicer.pipe.bytes, 0);
	relaying_end_at_rest(&h.w, h.s);
	relaying_start(&h.w);
	haul_pour(&h);
	still_wait();
	if (h.s.flow->releasable)
		relaying_end_at_rest(&h.w, h.s);
	else /* room came before it rested, and all has gone on then */
		relaying_terminate(&h.w);
	ck_assert_int_lt(h.s.flow->splicer.pipe.fd[0], 0);
	haul_close(&h);
}
END_TEST

/* ---- tunnels end one direction at a time */

START_TEST(the_end_of_one_direction_is_passed_on_and_the_other_goes_on)
{
	struct relaying w;
	struct side s;

	relaying_open(&w, _i & 1);
	s = side_of(&w, _i & 2 ? UP : DOWN);
	relaying_raw_tunnel(&w);
	relaying_start(&w);
	peer_say(*s.source, "last words");
	ck_assert_int_eq(shutdown(*s.source, SHUT_WR), 0);
	peer_hears(*s.sink, "last words");
	peer_hears_end(*s.sink);
	still_wait();
	for (int i = 0; i < 3; i++) {
		peer_say(*s.sink, "still here");
		peer_hears(*s.source, "still here");
	}
	peer_hears_nothing(*s.source);
	ck_assert_uint_lt(still_calls(), 30);
	peer_close(s.sink);
	relaying_tunnel_over(&w, TUNNEL_ENDED);
	peer_hears_end(*s.source);
	ck_assert_int_eq(w.relay.tunnel.ended_first, s.peer);
	relaying_close(&w);
}
END_TEST

START_TEST(the_end_comes_after_all_that_was_sent_before_it)
{
	struct haul h;

	haul_open_tunnel(&h, _i);
	relaying_start(&h.w);
	haul_pass(&h); /* there is a pipe now */
	ck_assert_int_ge(h.s.flow->splicer.pipe.fd[0], 0);
	haul_stuff_again(&h);
	ck_assert_int_eq(shutdown(*h.s.source, SHUT_WR), 0);
	still_wait();
	haul_pour(&h);
	peer_hears_end(*h.s.sink);
	peer_close(h.s.sink);
	relaying_tunnel_over(&h.w, TUNNEL_ENDED);
	haul_close(&h);
}
END_TEST

/* A tunnel whose one side takes nothing; the other says so much that it is not read any more. */
static size_t relaying_stall(struct relaying *w, enum direction d)
{
	struct side s = side_of(w, d);
	size_t jammed = jam(s.to);

	relaying_raw_tunnel(w);
	relaying_start(w);
	peer_say(*s.source, "read, ");
	still_wait();
	ck_assert(!still_asks(s.from->fd, POLLIN));
	peer_say(*s.source, "unread");
	still_wait();
	return jammed;
}

/* The sink reads all of it in the end. */
static void unstall(struct side s, size_t jammed)
{
	unjam(*s.sink, jammed);
	peer_hears(*s.sink, "read, unread");
	peer_hears_end(*s.sink);
}

START_TEST(the_end_of_a_side_that_is_not_read_begins_the_linger_span)
{
	enum direction d = _i & 2 ? UP : DOWN;
	uint64_t start_ms;
	struct relaying w;

	relaying_open(&w, _i & 1);
	w.cfg.linger_ms = SPAN_MS;
	w.cfg.idle_ms = LONG_MS;
	(void)relaying_stall(&w, d);
	start_ms = later(SPAN_MS); /* not with the last byte */
	(void)still_calls();
	ck_assert_int_eq(shutdown(*side_of(&w, d).source, SHUT_WR), 0);
	relaying_tunnel_over(&w, TUNNEL_LINGER_TIMEOUT);
	ck_assert_uint_ge(clock_ms() - start_ms, SPAN_MS);
	ck_assert_uint_lt(still_calls(), 12);
	ck_assert_int_eq(w.relay.tunnel.ended_first, side_of(&w, d).peer);
	relaying_close(&w);
}
END_TEST

/* At once, but not before what was sent has been passed on. */
START_TEST(without_linger_no_byte_is_lost_either)
{
	enum direction d = _i & 2 ? UP : DOWN;
	struct relaying w;
	struct side s;
	size_t jammed;

	relaying_open(&w, _i & 1);
	w.cfg.linger_ms = 0;
	jammed = relaying_stall(&w, d);
	s = side_of(&w, d);
	ck_assert_int_eq(shutdown(*s.source, SHUT_WR), 0);
	still_wait();
	unstall(s, jammed);
	relaying_tunnel_over(&w, TUNNEL_LINGER_TIMEOUT);
	relaying_close(&w);
}
END_TEST

START_TEST(an_end_that_was_seen_early_comes_after_all_the_bytes)
{
	enum direction d = _i & 2 ? UP : DOWN;
	struct relaying w;
	struct side s;
	size_t jammed;

	relaying_open(&w, _i & 1);
	jammed = relaying_stall(&w, d);
	s = side_of(&w, d);
	ck_assert_int_eq(shutdown(*s.source, SHUT_WR), 0);
	still_wait();
	ck_assert_int_eq(w.relay.tunnel.ended_first, s.peer);
	unstall(s, jammed);
	peer_say(*s.sink, "still here");
	peer_hears(*s.source, "still here");
	peer_close(s.sink);
	relaying_tunnel_over(&w, TUNNEL_ENDED);
	relaying_close(&w);
}
END_TEST

/* A peer that is gone for good leaves a POLLHUP that no read takes away. */
START_TEST(a_hangup_is_no_busy_loop)
{
	struct relaying w;

	relaying_open(&w, false);
	relaying_fix_room(&w);
	if (_i == 0) { /* the client waits for its answer no more */
		relaying_await(&w);
		relaying_start(&w);
		peer_close(&w.client_peer);
	} else if (_i == 1) { /* a backend that is gone, a client that does not read */
		struct message m;
		struct traffic t;

		message_make(&m, HTTP1_UNTIL_CLOSE, MUCH);
		traffic_open(&t, &m, false);
		relaying_raw_tunnel(&w);
		relaying_start(&w);
		stuff(&t, side_of(&w, DOWN));
		peer_close(&w.backend_peer);
		free(t.out);
		message_free(&m);
	} else { /* likewise, and a client that says nothing */
		relaying_raw_tunnel(&w);
		relaying_start(&w);
		peer_close(&w.backend_peer);
	}
	still_wait();
	ck_assert_uint_lt(still_calls(), 2000);
	relaying_terminate(&w);
	ck_assert_uint_lt(still_calls(), 5);
	relaying_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("relay: tunnel");
	TCase *t = case_add(s, "rest");

	tcase_add_loop_test(t, a_tunnel_at_rest_has_no_pipes_and_makes_them_again, 0, 4);
	tcase_add_loop_test(t, a_tunnel_rests_once_and_after_much_again, 0, 2);
	tcase_add_loop_test(t, what_is_in_a_pipe_stays_there_at_rest, 0, 4);
	t = case_add(s, "ends");
	tcase_add_loop_test(
		t, the_end_of_one_direction_is_passed_on_and_the_other_goes_on, 0, 4);
	tcase_add_loop_test(t, the_end_comes_after_all_that_was_sent_before_it, 0, 4);
	tcase_add_loop_test(t, the_end_of_a_side_that_is_not_read_begins_the_linger_span,
			    0, 4);
	tcase_add_loop_test(t, without_linger_no_byte_is_lost_either, 0, 4);
	tcase_add_loop_test(t, an_end_that_was_seen_early_comes_after_all_the_bytes, 0,
			    4);
	tcase_add_loop_test(t, a_hangup_is_no_busy_loop, 0, 3);
	return suite_run(s);
}
