/* SPDX-License-Identifier: MIT */
/* relay.c: peers that reset or vanish. */
#include "traffic.h"

/* ---- resets */

START_TEST(a_reset_at_rest_ends_a_tunnel)
{
	struct relaying w;
	struct side s;

	relaying_open(&w, true);
	s = side_of(&w, (enum direction)_i);
	relaying_raw_tunnel(&w);
	relaying_start(&w);
	still_wait();
	peer_reset(s.source);
	relaying_tunnel_over(&w, tunnel_failed((enum direction)_i));
	ck_assert_int_eq(s.flow->error, -ECONNRESET);
	relaying_close(&w);
}
END_TEST

START_TEST(a_client_that_resets_while_nothing_is_asked_of_it_ends_all)
{
	struct relaying w;

	relaying_open(&w, true);
	relaying_await(&w);
	relaying_start(&w);
	if (_i) { /* having ended its direction before */
		flow_begin(&w.relay.up, HTTP1_NO_BODY, 0, true);
		ck_assert_int_eq(shutdown(w.client_peer, SHUT_WR), 0);
	}
	still_wait();
	peer_reset(&w.client_peer);
	ck_assert_int_eq(relaying_end(&w), RELAY_CLIENT_FAILED);
	ck_assert_int_eq(w.relay.up.error, -ECONNRESET);
	relaying_close(&w);
}
END_TEST

START_TEST(a_client_that_resets_in_mid_transfer_ends_all)
{
	enum direction d = _i & 1 ? UP : DOWN;
	struct message m;
	struct traffic t;
	struct relaying w;

	message_make(&m, HTTP1_UNTIL_CLOSE, MUCH);
	traffic_open(&t, &m, false);
	relaying_open(&w, true);
	relaying_fix_room(&w);
	if (_i & 2)
		relaying_raw_tunnel(&w);
	else
		flow_begin(side_of(&w, d).flow, HTTP1_LENGTH, MUCH, false);
	relaying_start(&w);
	stuff(&t, side_of(&w, d));
	peer_reset(&w.client_peer);
	if (_i & 2)
		relaying_tunnel_over(&w, TUNNEL_CLIENT_FAILED);
	else
		ck_assert_int_eq(relaying_end(&w), RELAY_CLIENT_FAILED);
	ck_assert_int_lt(w.relay.up.error, 0);
	free(t.out);
	message_free(&m);
	relaying_close(&w);
}
END_TEST

START_TEST(what_a_backend_sent_before_its_reset_is_passed_on)
{
	struct relaying w;

	relaying_open(&w, true);
	flow_begin(&w.relay.down, HTTP1_LENGTH, 100, true);
	ck_assert_int_eq(buf_put_slice(w.relay.down.out, SLICE("head, ")), 0);
	relaying_start(&w);
	peer_say(w.backend_peer, "part of a body");
	peer_hears(w.client_peer, "head, part of a body");
	still_wait();
	peer_reset(&w.backend_peer);
	ck_assert_int_eq(relaying_end(&w), RELAY_BACKEND_FAILED);
	ck_assert_int_eq(w.relay.down.error, -ECONNRESET);
	relaying_close(&w);
}
END_TEST

/* ---- peers that vanish */

START_TEST(a_body_ends_whose_bytes_nobody_acknowledges)
{
	enum direction d = (enum direction)_i, other = UP + DOWN - d;
	struct relaying w;
	struct side s;

	relaying_open(&w, true);
	s = side_of(&w, d);
	flow_begin(s.flow, HTTP1_LENGTH, 10, false);
	w.relay.gone_ms = SHORT_MS;
	peer_vanish(*s.sink);
	peer_say(*s.source, "some");
	ck_assert_int_eq(relaying_go(&w), failed(other));
	ck_assert_int_eq(s.other->error, -ETIMEDOUT);
	relaying_close(&w);
}
END_TEST

START_TEST(a_tunnel_ends_whose_bytes_nobody_acknowledges)
{
	struct relaying w;
	struct side s;

	relaying_open(&w, true);
	s = side_of(&w, (enum direction)_i);
	relaying_raw_tunnel(&w);
	w.relay.gone_ms = SHORT_MS;
	peer_vanish(*s.sink);
	peer_say(*s.source, "some");
	ck_assert_int_eq(relaying_go(&w), RELAY_TUNNEL_OVER);
	ck_assert_int_eq(w.relay.tunnel.end,
			 _i == UP ? TUNNEL_BACKEND_SILENT : TUNNEL_CLIENT_FAILED);
	ck_assert_int_eq(s.other->error, -ETIMEDOUT);
	relaying_close(&w);
}
END_TEST

/* The client gets all that came before, but only while it reads. */
START_TEST(a_vanished_backend_leaves_the_client_the_linger_span)
{
	struct relaying w;

	relaying_open(&w, _i);
	(void)jam(&w.client);
	relaying_raw_tunnel(&w);
	w.cfg.linger_ms = SHORT_MS;
	ck_assert_int_eq(buf_put_slice(w.relay.down.out, SLICE("unread")), 0);
	flow_fail(&w.relay.down, -ETIMEDOUT);
	ck_assert_int_eq(relaying_go(&w), RELAY_TUNNEL_OVER);
	ck_assert_int_eq(w.relay.tunnel.end, TUNNEL_BACKEND_SILENT);
	relaying_close(&w);
}
END_TEST

/* The same, while each write to that backend fails because of this machine. */
START_TEST(writes_that_fail_do_not_prolong_the_linger_span)
{
	struct relaying w;
	int unwritable = open("/dev/null", O_RDONLY | O_CLOEXEC);

	relaying_open(&w, _i);
	(void)jam(&w.client);
	relaying_raw_tunnel(&w);
	w.cfg.linger_ms = SHORT_MS;
	ck_assert_int_eq(dup2(unwritable, w.upstream.stream.fd), w.upstream.stream.fd);
	ck_assert_int_eq(buf_put_slice(w.relay.up.out, SLICE("unsent")), 0);
	ck_assert_int_eq(buf_put_slice(w.relay.down.out, SLICE("unread")), 0);
	flow_fail(&w.relay.down, -ETIMEDOUT);
	ck_assert_int_eq(relaying_go(&w), RELAY_TUNNEL_OVER);
	ck_assert_int_eq(w.relay.tunnel.end, TUNNEL_BACKEND_SILENT);
	peer_close(&unwritable);
	relaying_close(&w);
}
END_TEST

/* A kept connection whose backend has vanished is like one that was closed. */
START_TEST(a_request_that_nobody_acknowledges_is_sent_once_more)
{
	struct relaying w;
	int listener, peer;

	relaying_open(&w, true);
	listener = relaying_listen(&w);
	w.relay.gone_ms = SHORT_MS;
	relaying_await(&w);
	w.upstream.phase = UPSTREAM_SENDING;
	w.upstream.reused = w.upstream.repeatable = true;
	w.upstream.request_len = strlen("head");
	peer_vanish(w.backend_peer);
	relaying_start(&w);
	peer = peer_accept(listener);
	peer_hears(peer, "head");
	peer_say(peer, RESPONSE);
	ck_assert_int_eq(relaying_end(&w), RELAY_RESPONSE);
	peer_close(&peer);
	peer_close(&listener);
	relaying_close(&w);
}
END_TEST

START_TEST(who_acknowledges_and_does_not_read_ends_nothing)
{
	struct haul h;

	haul_open_tunnel(&h, 1 | _i << 1);
	h.w.relay.gone_ms = 5 * SHORT_MS;
	relaying_start(&h.w);
	stuff(&h.t, h.s);
	/* by then the kernel probes its window less often than that */
	(void)later(50 * SHORT_MS);
	haul_pour(&h);
	relaying_terminate(&h.w);
	haul_close(&h);
}
END_TEST

START_TEST(no_timer_runs_once_all_is_acknowledged)
{
	struct relaying w;
	struct side s;

	relaying_open(&w, true);
	relaying_raw_tunnel(&w);
	s = side_of(&w, (enum direction)_i);
	w.relay.gone_ms = SHORT_MS;
	relaying_start(&w);
	peer_say(*s.source, "some");
	peer_hears(*s.sink, "some");
	while (still_timeout() != -1)
		(void)later(1);
	relaying_terminate(&w);
	relaying_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("relay: failures");
	TCase *t = case_add(s, "resets");

	tcase_add_loop_test(t, a_reset_at_rest_ends_a_tunnel, 0, 2);
	tcase_add_loop_test(t, a_client_that_resets_while_nothing_is_asked_of_it_ends_all,
			    0, 2);
	tcase_add_loop_test(t, a_client_that_resets_in_mid_transfer_ends_all, 0, 4);
	tcase_add_test(t, what_a_backend_sent_before_its_reset_is_passed_on);
	t = case_add(s, "vanished");
	tcase_add_loop_test(t, a_body_ends_whose_bytes_nobody_acknowledges, 0,
			    DIRECTIONS);
	tcase_add_loop_test(t, a_tunnel_ends_whose_bytes_nobody_acknowledges, 0,
			    DIRECTIONS);
	tcase_add_loop_test(t, a_vanished_backend_leaves_the_client_the_linger_span, 0,
			    2);
	tcase_add_loop_test(t, writes_that_fail_do_not_prolong_the_linger_span, 0, 2);
	tcase_add_test(t, a_request_that_nobody_acknowledges_is_sent_once_more);
	tcase_add_loop_test(t, who_acknowledges_and_does_not_read_ends_nothing, 0,
			    DIRECTIONS);
	tcase_add_loop_test(t, no_timer_runs_once_all_is_acknowledged, 0, DIRECTIONS);
	return suite_run(s);
}
