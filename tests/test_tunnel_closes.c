/* SPDX-License-Identifier: MIT */
/* tunnel.c: Closes of the peers, answered or not. */
#include "tunnelling.h"

/* ---- answered */

static const struct {
	const char *payload,
		*down; /* as it comes from the backend, and is passed on to the client */
	unsigned code;
	const char *reason;
} closes[] = {
	{ "", "", 1005, "" },
	{ "\x03\xe8", "\x03\xe8", 1000, "" },
	{ "\x03\xe9going away", "\x03\xe9going away", 1001, "going away" },
	{ "\x11\x96 \xe2\x82\xac", "\x11\x96 \xe2\x82\xac", 4502, " \xe2\x82\xac" },
	{ "\x03\xed", "", 1005, "" },
	{ "\x03\xed some", "", 1005, " some" },
	{ "x", "", 1005, "" }, /* half a code */
};

/* The Close of that row is passed on. */
static void pass_row(struct relaying *w, enum direction d, int row)
{
	say_frame(w, d, FIN | FRAMES_CLOSE, closes[row].payload);
	hear_frame(w, d, FIN | FRAMES_CLOSE,
		   d == UP ? closes[row].payload : closes[row].down);
}

#define CLOSES ((int)LENGTH(closes))

static void first_close_is(const struct relaying *w, enum direction d, int row)
{
	const struct frames *f = tunnel_first_close(&w->relay.tunnel);

	ck_assert_int_eq(w->relay.tunnel.closed_first,
			 d == UP ? TUNNEL_CLIENT : TUNNEL_BACKEND);
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(frames_close_code(f), closes[row].code);
	ck_assert_slice_eq(frames_close_reason(f), closes[row].reason);
	ck_assert(tunnel_told(&w->relay.tunnel.client));
}

START_TEST(closes_of_both_peers_end_a_tunnel)
{
	enum direction d = (enum direction)(_i & 1), other = UP + DOWN - d;
	struct relaying w;

	tunnelling_open(&w, _i & 2);
	relaying_start(&w);
	pass_frame(&w, d, FRAMES_TEXT, "a fragment");
	pass_row(&w, d, _i / 4);
	pass_frame(&w, other, FIN | FRAMES_BINARY, "on its way");
	pass_close(&w, other, 4000, "the answer");
	relaying_tunnel_over(&w, TUNNEL_CLOSED);
	first_close_is(&w, d, _i / 4);
	tunnelling_close(&w);
}
END_TEST

/* They are not followed any more, and are passed on like the bytes before. */
START_TEST(bytes_behind_a_close_are_passed_on)
{
	enum direction d = (enum direction)(_i & 1);
	int row = _i / 2;
	struct written all = written_open(200);
	struct relaying w;

	write_text(&all, FIN | FRAMES_CLOSE, closes[row].payload, source_key(d));
	write_text(&all, FIN | FRAMES_CLOSE, "\x03\xe8", source_key(d));
	write_bytes(&all, "no frame", 8);
	tunnelling_open(&w, false);
	peer_send(*side_of(&w, d).source, all.data, all.len);
	relaying_start(&w);
	hear_frame(&w, d, FIN | FRAMES_CLOSE,
		   d == UP ? closes[row].payload : closes[row].down);
	hear_frame(&w, d, FIN | FRAMES_CLOSE, "\x03\xe8");
	peer_hears(*side_of(&w, d).sink, "no frame");
	pass_close(&w, UP + DOWN - d, 1000, "");
	relaying_tunnel_over(&w, TUNNEL_CLOSED);
	first_close_is(&w, d, row);
	written_free(&all);
	tunnelling_close(&w);
}
END_TEST

START_TEST(closes_may_cross)
{
	struct relaying w;

	tunnelling_open(&w, _i);
	for (enum direction d = UP; d < DIRECTIONS; d++)
		say_close(&w, d, 1000 + d, "done");
	relaying_start(&w);
	for (enum direction d = UP; d < DIRECTIONS; d++)
		peer_hears_close(*side_of(&w, d).sink, 1000 + d, "done", source_key(d));
	relaying_tunnel_over(&w, TUNNEL_CLOSED);
	tunnelling_close(&w);
}
END_TEST

/* A peer ends its direction at once behind its Close, as some do. */
START_TEST(an_end_behind_a_close_is_passed_on_and_the_answer_still_comes)
{
	enum direction d = (enum direction)(_i & 1);
	struct relaying w;
	struct side s;

	tunnelling_open(&w, _i & 2);
	s = side_of(&w, d);
	relaying_start(&w);
	pass_row(&w, d, 1);
	ck_assert_int_eq(shutdown(*s.source, SHUT_WR), 0);
	peer_hears_end(*s.sink);
	pass_close(&w, UP + DOWN - d, 1000, "");
	relaying_tunnel_over(&w, TUNNEL_CLOSED);
	first_close_is(&w, d, 1);
	peer_hears_nothing(*s.source);
	relaying_close(&w);
}
END_TEST

/* ---- not answered */

/* The source of a Close hears it from the gate, with the reason if it is the client. */
static void hears_own_close(struct relaying *w, enum direction d, int row,
			    const char *sentence)
{
	enum direction other = UP + DOWN - d;

	if (closes[row].code == 1005)
		peer_hears_frame(*side_of(w, d).source, FIN | FRAMES_CLOSE, "", 0,
				 gate_key(other));
	else
		told(w, other, closes[row].code, sentence);
}

START_TEST(a_close_that_is_not_answered_comes_back_after_the_linger_span)
{
	enum direction d = (enum direction)(_i & 1);
	uint64_t start_ms;
	struct relaying w;

	tunnelling_open(&w, false);
	w.cfg.linger_ms = SHORT_MS;
	relaying_start(&w);
	start_ms = clock_ms();
	pass_row(&w, d, _i / 2);
	hears_own_close(&w, d, _i / 2, "backend did not answer the Close");
	over_at_once(&w, TUNNEL_CLOSE_TIMEOUT);
	ck_assert_uint_ge(clock_ms() - start_ms, SHORT_MS);
	first_close_is(&w, d, _i / 2);
	ck_assert_uint_lt(still_calls(), 20);
	tunnelling_close(&w);
}
END_TEST

/* The peer that does not answer sends other frames. */
START_TEST(an_answer_is_awaited_no_longer_than_the_linger_span)
{
	enum direction d = (enum direction)_i;
	uint64_t start_ms, stop_ms;
	struct relaying w;

	tunnelling_open(&w, false);
	w.cfg.linger_ms = SPAN_MS;
	relaying_start(&w);
	start_ms = clock_ms();
	pass_row(&w, d, 1);
	for (int i = 0; i < 8; i++) {
		(void)later(SPAN_MS / 4);
		say_frame(&w, UP + DOWN - d, FIN | FRAMES_BINARY, "data");
	}
	relaying_tunnel_over(&w, TUNNEL_CLOSE_TIMEOUT);
	stop_ms = w.relay.tunnel.end_ms - 2000;
	/* the relay may have read the clock a little before this test did */
	ck_assert_uint_gt(stop_ms - start_ms, SPAN_MS * 3 / 4);
	ck_assert_uint_lt(stop_ms - start_ms, 2 * SPAN_MS);
	relaying_close(&w);
}
END_TEST

/* In place of an answer. */
START_TEST(a_connection_that_ends_without_an_answer_is_a_close)
{
	enum direction d = (enum direction)(_i & 1);
	struct relaying w;

	tunnelling_open(&w, _i & 2);
	relaying_start(&w);
	pass_row(&w, d, _i / 4);
	peer_close(side_of(&w, d).sink);
	hears_own_close(&w, d, _i / 4, "backend closed the connection");
	over_at_once(&w, d == UP ? TUNNEL_BACKEND_LEFT : TUNNEL_CLIENT_LEFT);
	first_close_is(&w, d, _i / 4);
	tunnelling_close(&w);
}
END_TEST

/* The client is still between two frames. */
START_TEST(in_place_of_half_a_close_the_gate_sends_its_own)
{
	struct relaying w;

	tunnelling_open(&w, false);
	relaying_start(&w);
	peer_send(w.backend_peer, "\x88\x08\x03\xe8 ", 5);
	still_wait();
	peer_hears_nothing(w.client_peer);
	if (_i == 0) {
		world_terminate(&w.world);
		told(&w, DOWN, 1001, "the session was ended by the server");
		told(&w, UP, 1001, "");
		say_close(&w, DOWN, 1001, "");
	} else {
		peer_close(&w.backend_peer);
		told(&w, DOWN, 1014, "backend closed the connection");
	}
	say_close(&w, UP, 1001, "");
	relaying_tunnel_over(&w, _i == 0 ? TUNNEL_STOPPED : TUNNEL_BACKEND_LEFT);
	tunnelling_close(&w);
}
END_TEST

/* ---- nothing comes behind a Close */

START_TEST(nothing_is_put_in_behind_a_close_that_has_passed)
{
	enum direction d = (enum direction)_i;
	struct relaying w;

	tunnelling_open(&w, false);
	relaying_start(&w);
	pass_row(&w, d, 2);
	still_wait();
	world_terminate(&w.world);
	hears_own_close(&w, d, 2, "the session was ended by the server");
	over_at_once(&w, TUNNEL_STOPPED);
	first_close_is(&w, d, 2);
	tunnelling_close(&w);
}
END_TEST

/* A client's is completed, and no other one follows; a server's has not been passed on. */
START_TEST(sigterm_may_come_in_the_middle_of_a_close)
{
	enum direction d = (enum direction)_i, other = UP + DOWN - d;
	struct written close = written_open(100);

	write_text(&close, FIN | FRAMES_CLOSE, closes[2].payload, source_key(d));
	for (size_t cut = 1; cut < close.len; cut++) {
		struct relaying w;

		tunnelling_open(&w, false);
		relaying_start(&w);
		peer_send(*side_of(&w, d).source, close.data, cut);
		if (d == UP) /* one of a server is looked at before it is passed on */
			peer_hears_bytes(*side_of(&w, d).sink, close.data, cut);
		still_wait();
		world_terminate(&w.world);
		told(&w, other, 1001, "the session was ended by the server");
		peer_send(*side_of(&w, d).source, close.data + cut, close.len - cut);
		if (d == UP)
			peer_hears_bytes(*side_of(&w, d).sink, close.data + cut,
					 close.len - cut);
		else
			told(&w, d, 1001, "the session was ended by the server");
		say_close(&w, other, 1001, "");
		over_at_once(&w, TUNNEL_STOPPED);
		ck_assert_uint_lt(clock_ms(), w.relay.tunnel.boundary_ms);
		tunnelling_close(&w);
	}
	written_free(&close);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("tunnel: closes");
	TCase *t = case_add(s, "answered");

	tcase_add_loop_test(t, closes_of_both_peers_end_a_tunnel, 0, 4 * CLOSES);
	tcase_add_loop_test(t, bytes_behind_a_close_are_passed_on, 0, 2 * CLOSES);
	tcase_add_loop_test(t, closes_may_cross, 0, 2);
	tcase_add_loop_test(
		t, an_end_behind_a_close_is_passed_on_and_the_answer_still_comes, 0, 4);
	t = case_add(s, "not answered");
	tcase_add_loop_test(t,
			    a_close_that_is_not_answered_comes_back_after_the_linger_span,
			    0, 2 * CLOSES);
	tcase_add_loop_test(t, an_answer_is_awaited_no_longer_than_the_linger_span, 0,
			    DIRECTIONS);
	tcase_add_loop_test(t, in_place_of_half_a_close_the_gate_sends_its_own, 0, 2);
	tcase_add_loop_test(t, a_connection_that_ends_without_an_answer_is_a_close, 0,
			    4 * CLOSES);
	t = case_add(s, "nothing behind a close");
	tcase_add_loop_test(t, nothing_is_put_in_behind_a_close_that_has_passed, 0,
			    DIRECTIONS);
	tcase_add_loop_test(t, sigterm_may_come_in_the_middle_of_a_close, 0, DIRECTIONS);
	return suite_run(s);
}
