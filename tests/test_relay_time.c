/* SPDX-License-Identifier: MIT */
/* relay.c: time spans, and SIGTERM. */
#include "relaying.h"

static void prepare_answer(struct relaying *w)
{
	w->request.response_ms = SHORT_MS;
	relaying_await(w);
}

static void prepare_client_gives_none(struct relaying *w)
{
	w->cfg.body_ms = SHORT_MS;
	relaying_await(w);
	flow_begin(&w->relay.up, HTTP1_LENGTH, 10, true);
}

static void prepare_client_gives_no_trailers(struct relaying *w)
{
	w->cfg.body_ms = SHORT_MS;
	relaying_await(w);
	flow_begin(&w->relay.up, HTTP1_CHUNKED, 0, true);
	peer_say(w->client_peer, "0\r\nA: b\r\n");
}

static void prepare_backend_gives_none(struct relaying *w)
{
	w->cfg.body_ms = SHORT_MS;
	flow_begin(&w->relay.down, HTTP1_CHUNKED, 0, true);
	peer_say(w->backend_peer, "4\r\nso");
}

static void prepare_backend_takes_none(struct relaying *w)
{
	w->cfg.body_ms = SHORT_MS;
	relaying_await(w);
	flow_begin(&w->relay.up, HTTP1_LENGTH, 10, true);
	(void)jam(&w->upstream.stream);
	peer_say(w->client_peer, "body");
}

static void prepare_backend_is_deaf(struct relaying *w)
{
	prepare_answer(w);
	flow_begin(&w->relay.up, HTTP1_LENGTH, 10, true);
	ck_assert_int_eq(shutdown(w->backend_peer, SHUT_RD), 0);
	peer_say(w->client_peer, "body");
}

static void prepare_client_takes_none(struct relaying *w)
{
	w->cfg.body_ms = SHORT_MS;
	flow_begin(&w->relay.down, HTTP1_LENGTH, 10, true);
	(void)jam(&w->client);
	peer_say(w->backend_peer, "body");
}

static void prepare_early_answer_stalls(struct relaying *w)
{
	w->cfg.body_ms = SHORT_MS;
	flow_begin(&w->relay.up, HTTP1_LENGTH, 10, true);
	flow_begin(&w->relay.down, HTTP1_LENGTH, 6, true);
	w->relay.up.moved_ms += LONG_MS; /* that one is busy */
}

static void prepare_client_takes_nothing_of_a_dead_backend(struct relaying *w)
{
	prepare_client_takes_none(w);
	peer_close(&w->backend_peer);
}

static void prepare_idle(struct relaying *w)
{
	w->cfg.idle_ms = SHORT_MS;
	relaying_raw_tunnel(w);
}

static void prepare_session(struct relaying *w)
{
	w->cfg.session_ms = SHORT_MS;
	relaying_raw_tunnel(w);
}

static void prepare_linger_after_client(struct relaying *w)
{
	w->cfg.linger_ms = SHORT_MS;
	relaying_raw_tunnel(w);
	ck_assert_int_eq(shutdown(w->client_peer, SHUT_WR), 0);
}

static void prepare_linger_after_backend(struct relaying *w)
{
	w->cfg.linger_ms = SHORT_MS;
	relaying_raw_tunnel(w);
	peer_close(&w->backend_peer);
}

static const struct {
	void (*prepare)(struct relaying *w);
	enum relay_result end;
	enum tunnel_end tunnel_end;
} spans[] = {
	{ prepare_answer, RELAY_UPSTREAM_FAILED, TUNNEL_OPEN },
	{ prepare_backend_is_deaf, RELAY_UPSTREAM_FAILED, TUNNEL_OPEN },
	{ prepare_client_gives_none, RELAY_CLIENT_TIMEOUT, TUNNEL_OPEN },
	{ prepare_client_gives_no_trailers, RELAY_CLIENT_TIMEOUT, TUNNEL_OPEN },
	{ prepare_backend_gives_none, RELAY_BACKEND_TIMEOUT, TUNNEL_OPEN },
	{ prepare_backend_takes_none, RELAY_BACKEND_TIMEOUT, TUNNEL_OPEN },
	{ prepare_client_takes_none, RELAY_CLIENT_TIMEOUT, TUNNEL_OPEN },
	{ prepare_early_answer_stalls, RELAY_BACKEND_TIMEOUT, TUNNEL_OPEN },
	{ prepare_client_takes_nothing_of_a_dead_backend, RELAY_CLIENT_TIMEOUT,
	  TUNNEL_OPEN },
	{ prepare_idle, RELAY_TUNNEL_OVER, TUNNEL_IDLE_TIMEOUT },
	{ prepare_session, RELAY_TUNNEL_OVER, TUNNEL_SESSION_TIMEOUT },
	{ prepare_linger_after_client, RELAY_TUNNEL_OVER, TUNNEL_LINGER_TIMEOUT },
	{ prepare_linger_after_backend, RELAY_TUNNEL_OVER, TUNNEL_LINGER_TIMEOUT },
};

#define SPANS ((int)(sizeof(spans) / sizeof(spans[0])))

START_TEST(a_span_passes_once_and_not_in_a_busy_loop)
{
	uint64_t start_ms, took_ms;
	struct relaying w;

	relaying_open(&w, false);
	start_ms = clock_ms();
	spans[_i].prepare(&w);
	ck_assert_int_eq(relaying_go(&w), spans[_i].end);
	ck_assert_int_eq(w.relay.tunnel.end, spans[_i].tunnel_end);
	took_ms = clock_ms() - start_ms;
	ck_assert_uint_ge(took_ms, SHORT_MS);
	ck_assert_uint_lt(took_ms, LONG_MS / 2);
	ck_assert_uint_lt(still_calls(), 12);
	relaying_close(&w);
}
END_TEST

START_TEST(sigterm_ends_it_at_once)
{
	struct relaying w;

	relaying_open(&w, false);
	spans[_i].prepare(&w);
	w.request.response_ms = w.cfg.body_ms = w.cfg.linger_ms = LONG_MS;
	w.cfg.idle_ms = w.cfg.session_ms = LONG_MS;
	relaying_start(&w);
	still_wait();
	relaying_terminate(&w);
	relaying_close(&w);
}
END_TEST

static void say_byte(struct relaying *w, enum direction d)
{
	peer_say(*side_of(w, d).source, "4");
	peer_hears(*side_of(w, d).sink, "4");
}

START_TEST(each_byte_begins_a_span_anew)
{
	enum direction d = (enum direction)(_i & 1);
	uint64_t last_ms = 0;
	struct relaying w;

	relaying_open(&w, false);
	if (_i & 2) {
		w.cfg.idle_ms = SPAN_MS;
		relaying_raw_tunnel(&w);
	} else {
		w.cfg.body_ms = SPAN_MS;
		flow_begin(side_of(&w, d).flow, HTTP1_LENGTH, 10, true);
	}
	relaying_start(&w);
	for (int i = 0; i < 3; i++) {
		last_ms = later(SPAN_MS / 6);
		say_byte(&w, d);
	}
	if (_i & 2)
		relaying_tunnel_over(&w, TUNNEL_IDLE_TIMEOUT);
	else
		ck_assert_int_eq(relaying_end(&w),
				 d == UP ? RELAY_CLIENT_TIMEOUT : RELAY_BACKEND_TIMEOUT);
	ck_assert_uint_ge(clock_ms() - last_ms, SPAN_MS);
	relaying_close(&w);
}
END_TEST

/* The span for an answer begins when the last byte of the request has gone. */
START_TEST(an_answer_is_due_from_the_end_of_the_request_on)
{
	uint64_t last_ms;
	struct relaying w;

	relaying_open(&w, false);
	w.request.response_ms = SHORT_MS;
	relaying_await(&w);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 2, true);
	relaying_start(&w);
	say_byte(&w, UP);
	last_ms = later(2 * SHORT_MS);
	say_byte(&w, UP);
	ck_assert_int_eq(relaying_end(&w), RELAY_UPSTREAM_FAILED);
	ck_assert_uint_ge(clock_ms() - last_ms, SHORT_MS);
	relaying_close(&w);
}
END_TEST

/* The time that it took to connect and to send the head does not count. */
START_TEST(a_body_is_due_from_the_end_of_the_head_on)
{
	uint64_t start_ms;
	struct relaying w;

	relaying_open(&w, false);
	w.cfg.body_ms = SHORT_MS;
	relaying_await(&w);
	w.upstream.phase = UPSTREAM_SENDING;
	ck_assert_int_eq(buf_put_slice(w.upstream.out, SLICE("head")), 0);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 10, true);
	start_ms = clock_ms();
	w.relay.up.moved_ms = start_ms - 2 * SHORT_MS;
	ck_assert_int_eq(relaying_go(&w), RELAY_CLIENT_TIMEOUT);
	ck_assert_uint_ge(clock_ms() - start_ms, SHORT_MS);
	peer_hears(w.backend_peer, "head");
	relaying_close(&w);
}
END_TEST

/* On a busy machine the process may run only after the time has passed. */
START_TEST(a_backend_that_has_accepted_in_time_is_used)
{
	struct relaying w;
	struct pollfd p;
	int listener;

	relaying_open(&w, true);
	listener = relaying_listen(&w);
	stream_done(&w.upstream.stream);
	w.request.response_ms = SHORT_MS;
	relaying_await(&w);
	ck_assert_int_eq(upstream_start(&w.upstream, &w.request, &w.buf[2], &w.buf[1],
					&w.response),
			 UPSTREAM_WAITING);
	p = upstream_poll(&w.upstream, true, false);
	ck_assert_int_eq(still_ppoll(&p, 1, LONG_MS), 1);
	w.upstream.dial.deadline_ms = clock_ms();
	ck_assert_int_eq(relaying_go(&w), RELAY_UPSTREAM_FAILED);
	ck_assert_ptr_nonnull(strstr(w.fault.reason, "response head"));
	upstream_close(&w.upstream);
	peer_close(&listener);
	relaying_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("relay: time");
	TCase *t = case_add(s, "time");

	tcase_add_loop_test(t, a_span_passes_once_and_not_in_a_busy_loop, 0, SPANS);
	tcase_add_loop_test(t, sigterm_ends_it_at_once, 0, SPANS);
	tcase_add_loop_test(t, each_byte_begins_a_span_anew, 0, 4);
	tcase_add_test(t, an_answer_is_due_from_the_end_of_the_request_on);
	tcase_add_test(t, a_body_is_due_from_the_end_of_the_head_on);
	tcase_add_test(t, a_backend_that_has_accepted_in_time_is_used);
	return suite_run(s);
}
