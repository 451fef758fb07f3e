/* SPDX-License-Identifier: MIT */
/* tunnel.c: how a tunnel of frames ends, and which Close each peer gets. */
#include "proxy/tunnel.h"

#include <limits.h>

#include "tunnelling.h"

/* ---- each end has its codes and its reason */

static void backend_closes(struct relaying *w)
{
	peer_close(&w->backend_peer);
}

static void backend_shuts(struct relaying *w)
{
	ck_assert_int_eq(shutdown(w->backend_peer, SHUT_WR), 0);
}

static void backend_resets(struct relaying *w)
{
	peer_reset(&w->backend_peer);
}

static void backend_vanishes(struct relaying *w)
{
	peer_vanish(w->backend_peer);
	say_frame(w, UP, FIN | FRAMES_BINARY, "unheard");
}

static void client_closes(struct relaying *w)
{
	peer_close(&w->client_peer);
}

static void client_shuts(struct relaying *w)
{
	ck_assert_int_eq(shutdown(w->client_peer, SHUT_WR), 0);
}

static void client_resets(struct relaying *w)
{
	peer_reset(&w->client_peer);
}

static void client_vanishes(struct relaying *w)
{
	peer_vanish(w->client_peer);
	say_frame(w, DOWN, FIN | FRAMES_BINARY, "unheard");
}

static void sigterm_comes(struct relaying *w)
{
	world_terminate(&w->world);
}

/* After a Ping, which has passed on. */
static void poll_fails(struct relaying *w)
{
	still_fail(1);
	pass_frame(w, UP, FIN | FRAMES_PING, "");
}

static void time_passes(struct relaying *w)
{
	(void)w;
}

static const struct {
	void (*happens)(struct relaying *w);
	size_t span; /* of struct config; 0: none is short */
	bool tcp;
	enum tunnel_end end;
	unsigned client, backend; /* codes; 0: that peer gets no Close */
	const char *sentence;
} ends[] = {
	{ backend_closes, 0, false, TUNNEL_BACKEND_LEFT, 1014, 0,
	  "backend closed the connection" },
	{ backend_closes, 0, true, TUNNEL_BACKEND_LEFT, 1014, 0,
	  "backend closed the connection" },
	{ backend_shuts, 0, true, TUNNEL_BACKEND_LEFT, 1014, 0,
	  "backend closed the connection" },
	{ backend_resets, 0, true, TUNNEL_BACKEND_FAILED, 1014, 0,
	  "backend reset the connection" },
	{ backend_vanishes, 0, true, TUNNEL_BACKEND_SILENT, 1014, 0,
	  "backend does not answer" },
	{ client_closes, 0, false, TUNNEL_CLIENT_LEFT, 0, 1001, "" },
	{ client_closes, 0, true, TUNNEL_CLIENT_LEFT, 0, 1001, "" },
	{ client_shuts, 0, true, TUNNEL_CLIENT_LEFT, 0, 1001, "" },
	{ client_resets, 0, true, TUNNEL_CLIENT_FAILED, 0, 1001, "" },
	{ client_vanishes, 0, true, TUNNEL_CLIENT_FAILED, 0, 1001, "" },
	{ sigterm_comes, 0, false, TUNNEL_STOPPED, 1001, 1001,
	  "the session was ended by the server" },
	{ time_passes, offsetof(struct config, idle_ms), false, TUNNEL_IDLE_TIMEOUT, 1008,
	  1001, "no data for IdleTimeoutSec=" },
	{ time_passes, offsetof(struct config, session_ms), false, TUNNEL_SESSION_TIMEOUT,
	  1008, 1001, "the session has lasted for SessionTimeoutSec=" },
	{ poll_fails, 0, false, TUNNEL_FAULT, 1011, 1001, "a fault of the server" },
};

#define ENDS ((int)LENGTH(ends))

/* The peers that get a Close answer it. */
static void hear_end(struct relaying *w, int row)
{
	if (ends[row].client != 0) {
		told(w, DOWN, ends[row].client, ends[row].sentence);
		say_close(w, UP, ends[row].client, "");
	}
	if (ends[row].backend != 0) {
		told(w, UP, ends[row].backend, "");
		say_close(w, DOWN, ends[row].backend, "");
	}
	over_at_once(w, ends[row].end);
}

/* Before any frame, and behind some. */
START_TEST(each_end_has_its_codes_and_its_reason)
{
	int row = _i / 2;
	struct relaying w;

	tunnelling_open(&w, ends[row].tcp);
	if (ends[row].span > 0)
		*(uint64_t *)((char *)&w.cfg + ends[row].span) =
			_i & 1 ? SPAN_MS : SHORT_MS;
	if (ends[row].happens == backend_vanishes || ends[row].happens == client_vanishes)
		w.relay.gone_ms = SHORT_MS;
	relaying_start(&w);
	if (_i & 1) {
		pass_frame(&w, UP, FRAMES_TEXT, "a fragment");
		pass_frame(&w, DOWN, FIN | FRAMES_BINARY, "data");
		pass_frame(&w, DOWN, FIN | FRAMES_PING, "ping");
	}
	still_wait();
	ends[row].happens(&w);
	hear_end(&w, row);
	ck_assert_int_eq(w.relay.tunnel.closed_first, TUNNEL_NEITHER);
	if (ends[row].happens == backend_vanishes) /* it has bytes that it did not hear */
		peer_close(&w.backend_peer);
	if (ends[row].happens == client_vanishes)
		peer_close(&w.client_peer);
	tunnelling_close(&w);
}
END_TEST

START_TEST(a_poll_that_always_fails_does_not_keep_the_codes_back)
{
	struct relaying w;

	tunnelling_open(&w, false);
	relaying_start(&w);
	still_wait();
	still_fail(UINT_MAX);
	say_frame(&w, UP, FIN | FRAMES_PING, "");
	(void)relaying_end(&w);
	still_fail(0);
	stream_shut(&w.client);
	stream_shut(&w.upstream.stream);
	hear_frame(&w, UP, FIN | FRAMES_PING, "");
	told(&w, UP, 1001, "");
	told(&w, DOWN, 1011, "a fault of the server");
	relaying_close(&w);
}
END_TEST

/* ---- answers */

/* Neither peer answers, or one of them. */
START_TEST(an_answer_is_awaited_for_two_seconds)
{
	uint64_t start_ms;
	struct relaying w;

	tunnelling_open(&w, false);
	relaying_start(&w);
	still_wait();
	start_ms = clock_ms();
	world_terminate(&w.world);
	told(&w, UP, 1001, "");
	told(&w, DOWN, 1001, "the session was ended by the server");
	if (_i < DIRECTIONS)
		say_close(&w, (enum direction)_i, 1001, "");
	relaying_tunnel_over(&w, TUNNEL_STOPPED);
	ck_assert_uint_ge(clock_ms() - start_ms, 2000);
	ck_assert_uint_lt(still_calls(), 20);
	tunnelling_close(&w);
}
END_TEST

/* Its Close need not be the next frame, nor come in one piece. */
START_TEST(what_comes_before_the_answer_is_dropped)
{
	struct relaying w;

	tunnelling_open(&w, false);
	relaying_start(&w);
	still_wait();
	world_terminate(&w.world);
	told(&w, UP, 1001, "");
	told(&w, DOWN, 1001, "the session was ended by the server");
	for (enum direction d = UP; d < DIRECTIONS; d++) {
		struct written close = written_open(100);

		say_frame(&w, d, FRAMES_TEXT, "late");
		say_frame(&w, d, FIN | FRAMES_PING, "late");
		write_text(&close, FIN | FRAMES_CLOSE, "\x03\xe9", source_key(d));
		for (size_t i = 0; i < close.len; i++) {
			still_wait();
			peer_send(*side_of(&w, d).source, close.data + i, 1);
		}
		written_free(&close);
	}
	over_at_once(&w, TUNNEL_STOPPED);
	tunnelling_close(&w);
}
END_TEST

START_TEST(the_end_of_a_connection_is_an_answer)
{
	struct relaying w;

	tunnelling_open(&w, _i);
	relaying_start(&w);
	still_wait();
	world_terminate(&w.world);
	told(&w, UP, 1001, "");
	told(&w, DOWN, 1001, "the session was ended by the server");
	ck_assert_int_eq(shutdown(w.client_peer, SHUT_WR), 0);
	peer_close(&w.backend_peer);
	over_at_once(&w, TUNNEL_STOPPED);
	tunnelling_close(&w);
}
END_TEST

/* ---- ends that follow one another */

/* The machine is shut down: the backend goes first, then the gate is stopped. */
START_TEST(sigterm_does_not_disturb_an_end)
{
	struct relaying w;

	tunnelling_open(&w, false);
	relaying_start(&w);
	still_wait();
	peer_close(&w.backend_peer);
	told(&w, DOWN, 1014, "backend closed the connection");
	still_wait();
	world_terminate(&w.world);
	say_close(&w, UP, 1014, "");
	over_at_once(&w, TUNNEL_BACKEND_LEFT);
	tunnelling_close(&w);
}
END_TEST

/* Its Close waits for room, which never comes. */
START_TEST(a_peer_that_resets_while_its_close_waits_is_no_busy_loop)
{
	enum direction d = (enum direction)_i, other = UP + DOWN - d;
	struct relaying w;
	struct side s;

	tunnelling_open(&w, true);
	s = side_of(&w, d);
	(void)jam(s.to);
	relaying_start(&w);
	still_wait();
	world_terminate(&w.world);
	told(&w, other, 1001, "the session was ended by the server");
	say_close(&w, d, 1001, "");
	still_wait();
	(void)still_calls();
	peer_reset(s.sink);
	over_at_once(&w, TUNNEL_STOPPED);
	ck_assert_uint_lt(still_calls(), 20);
	tunnelling_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("tunnel");
	TCase *t = case_add(s, "ends");

	tcase_add_loop_test(t, each_end_has_its_codes_and_its_reason, 0, 2 * ENDS);
	tcase_add_test(t, a_poll_that_always_fails_does_not_keep_the_codes_back);
	t = case_add(s, "answers");
	tcase_add_loop_test(t, an_answer_is_awaited_for_two_seconds, 0, DIRECTIONS + 1);
	tcase_add_test(t, what_comes_before_the_answer_is_dropped);
	tcase_add_loop_test(t, the_end_of_a_connection_is_an_answer, 0, 2);
	t = case_add(s, "one after the other");
	tcase_add_test(t, sigterm_does_not_disturb_an_end);
	tcase_add_loop_test(t, a_peer_that_resets_while_its_close_waits_is_no_busy_loop,
			    0, DIRECTIONS);
	return suite_run(s);
}
