/* SPDX-License-Identifier: MIT */
/* tunnel.c: Pings to a quiet client, and Pongs. */
#include "tunnelling.h"

/* HeartbeatSec= where a busy machine must answer within two of them. */
#define BEAT_MS 400

static void pinging_open(struct relaying *w, uint64_t heartbeat_ms)
{
	tunnelling_open(w, false);
	w->cfg.heartbeat_ms = heartbeat_ms;
	relaying_start(w);
}

static void hear_ping(struct relaying *w)
{
	peer_hears_frame(w->client_peer, FIN | FRAMES_PING, tunnel_random.ping,
			 sizeof(tunnel_random.ping), NULL);
}

static void say_pong(struct relaying *w)
{
	peer_sends_frame(w->client_peer, FIN | FRAMES_PONG, tunnel_random.ping,
			 sizeof(tunnel_random.ping), client_key);
}

/* The client ends its connection. */
static void pinging_close(struct relaying *w)
{
	ck_assert_int_eq(shutdown(w->client_peer, SHUT_WR), 0);
	told(w, UP, 1001, "");
	say_close(w, DOWN, 1001, "");
	over_at_once(w, TUNNEL_CLIENT_LEFT);
	tunnelling_close(w);
}

/* ---- when a Ping goes out */

START_TEST(a_client_to_which_nothing_goes_gets_pings_and_its_pongs_go_no_further)
{
	uint64_t start_ms = clock_ms();
	struct relaying w;

	pinging_open(&w, BEAT_MS);
	for (unsigned i = 1; i <= 4; i++) {
		hear_ping(&w);
		ck_assert_uint_ge(clock_ms() - start_ms, i * BEAT_MS);
		say_pong(&w);
		still_wait();
		peer_hears_nothing(w.backend_peer);
	}
	ck_assert_uint_lt(still_calls(), 60);
	pinging_close(&w);
}
END_TEST

/* Whatever comes from the client does not. */
START_TEST(what_goes_to_the_client_puts_a_ping_off)
{
	enum direction d = (enum direction)_i;
	uint64_t start_ms = clock_ms();
	struct relaying w;

	pinging_open(&w, SPAN_MS);
	for (int i = 0; i < 4; i++) {
		(void)later(SPAN_MS / 5);
		pass_frame(&w, d, FIN | FRAMES_BINARY, "data");
	}
	hear_ping(&w);
	if (d == DOWN)
		ck_assert_uint_ge(clock_ms() - start_ms, SPAN_MS + 4 * SPAN_MS / 5);
	else
		ck_assert_uint_lt(w.relay.tunnel.ping_ms - start_ms,
				  SPAN_MS + 2 * SPAN_MS / 5);
	say_pong(&w);
	pinging_close(&w);
}
END_TEST

START_TEST(no_ping_goes_out_while_a_frame_is_open)
{
	static const size_t cuts[] = { 1, 2, 3, 6 }; /* in its header, in its payload */
	struct written frame = written_open(20);
	struct relaying w;

	write_text(&frame, FRAMES_TEXT, "fragm", NULL);
	tunnelling_open(&w, false);
	w.cfg.heartbeat_ms = SHORT_MS;
	/* before a Ping can be due */
	peer_send(w.backend_peer, frame.data, cuts[_i]);
	relaying_start(&w);
	peer_hears_bytes(w.client_peer, frame.data, cuts[_i]);
	(void)later(4 * SHORT_MS);
	still_wait();
	ck_assert_uint_eq(w.relay.tunnel.pings, 0);
	peer_hears_nothing(w.client_peer);
	w.cfg.heartbeat_ms = BEAT_MS;
	peer_send(w.backend_peer, frame.data + cuts[_i], frame.len - cuts[_i]);
	peer_hears_bytes(w.client_peer, frame.data + cuts[_i], frame.len - cuts[_i]);
	hear_ping(&w); /* in the middle of the message */
	say_pong(&w);
	written_free(&frame);
	pinging_close(&w);
}
END_TEST

START_TEST(no_ping_goes_out_or_counts_while_bytes_wait_for_the_client)
{
	struct relaying w;
	size_t jammed;

	tunnelling_open(&w, _i);
	w.cfg.heartbeat_ms = SHORT_MS;
	jammed = jam(&w.client);
	relaying_start(&w);
	say_frame(&w, DOWN, FIN | FRAMES_BINARY, "waits");
	(void)later(5 * SHORT_MS);
	still_wait();
	ck_assert_uint_eq(w.relay.tunnel.pings, 0);
	ck_assert_int_eq(w.relay.tunnel.end, TUNNEL_OPEN);
	w.cfg.heartbeat_ms = BEAT_MS;
	unjam(w.client_peer, jammed);
	hear_frame(&w, DOWN, FIN | FRAMES_BINARY, "waits");
	hear_ping(&w);
	say_pong(&w);
	pinging_close(&w);
}
END_TEST

static void client_closes(struct relaying *w)
{
	pass_close(w, UP, 1000, "");
}

static void backend_closes(struct relaying *w)
{
	pass_close(w, DOWN, 1000, "");
}

static void client_ends_in_a_frame(struct relaying *w)
{
	peer_send(w->client_peer, "\x82", 1);
	peer_hears_bytes(w->backend_peer, "\x82", 1);
	ck_assert_int_eq(shutdown(w->client_peer, SHUT_WR), 0);
	peer_hears_end(w->backend_peer);
}

static void backend_speaks_no_frames(struct relaying *w)
{
	peer_say(w->backend_peer, "x");
	peer_hears(w->client_peer, "x");
}

static void (*const quiet[])(struct relaying *w) = {
	client_closes,
	backend_closes,
	client_ends_in_a_frame,
	backend_speaks_no_frames,
};

START_TEST(no_ping_goes_out_where_it_would_be_of_no_use)
{
	struct relaying w;

	tunnelling_open(&w, false);
	w.cfg.heartbeat_ms = SPAN_MS; /* until it has happened */
	relaying_start(&w);
	quiet[_i](&w);
	still_wait();
	w.cfg.heartbeat_ms = SHORT_MS;
	if (quiet[_i] != client_ends_in_a_frame)
		pass_frame(&w, UP, FIN | FRAMES_PING, "it looks at the time");
	(void)later(SPAN_MS + SHORT_MS);
	still_wait();
	ck_assert_uint_eq(w.relay.tunnel.pings, 0);
	ck_assert_int_eq(w.relay.tunnel.end, TUNNEL_OPEN);
	peer_hears_nothing(w.client_peer);
	peer_close(&w.client_peer);
	peer_close(&w.backend_peer);
	ck_assert_int_eq(relaying_end(&w), RELAY_TUNNEL_OVER);
	relaying_close(&w);
}
END_TEST

/* ---- Pongs */

/* In pieces that end anywhere, alone and between other frames. */
START_TEST(the_own_pong_is_left_out_however_it_comes)
{
	struct written all = written_open(200), passed = written_open(200);
	struct relaying w;

	pinging_open(&w, BEAT_MS);
	hear_ping(&w);
	still_wait();
	w.cfg.heartbeat_ms = LONG_MS;
	write_text(&passed, FRAMES_TEXT, "before", client_key);
	write_bytes(&all, passed.data, passed.len);
	write_frame(&all, FIN | FRAMES_PONG, tunnel_random.ping,
		    sizeof(tunnel_random.ping), client_key);
	write_text(&all, FIN | FRAMES_CONTINUATION, "behind", client_key);
	write_text(&passed, FIN | FRAMES_CONTINUATION, "behind", client_key);
	for (size_t i = 0; i < all.len; i++) {
		peer_send(w.client_peer, all.data + i, 1);
		still_wait();
	}
	peer_hears_bytes(w.backend_peer, passed.data, passed.len);
	for (size_t cut = 0; cut <= all.len; cut++) {
		peer_send(w.client_peer, all.data, cut);
		still_wait();
		peer_send(w.client_peer, all.data + cut, all.len - cut);
		peer_hears_bytes(w.backend_peer, passed.data, passed.len);
	}
	written_free(&all);
	written_free(&passed);
	pinging_close(&w);
}
END_TEST

/* It is held back, so the backend is between two frames. */
START_TEST(behind_half_a_pong_a_close_can_be_put_in)
{
	struct written pong = written_open(20);
	struct relaying w;

	write_frame(&pong, FIN | FRAMES_PONG, tunnel_random.ping,
		    sizeof(tunnel_random.ping), client_key);
	pinging_open(&w, BEAT_MS);
	hear_ping(&w);
	peer_send(w.client_peer, pong.data, pong.len - 1);
	still_wait();
	peer_hears_nothing(w.backend_peer);
	ck_assert_int_eq(shutdown(w.client_peer, SHUT_WR), 0);
	told(&w, UP, 1001, "");
	say_close(&w, DOWN, 1001, "");
	over_at_once(&w, TUNNEL_CLIENT_LEFT);
	written_free(&pong);
	tunnelling_close(&w);
}
END_TEST

/* The first Ping goes out while the client is in a Pong of its own, which comes in three parts. */
START_TEST(no_close_is_put_into_a_pong_that_has_begun_before_the_first_ping)
{
	struct written pong = written_open(20);
	struct relaying w;

	write_text(&pong, FIN | FRAMES_PONG, "payload", client_key);
	tunnelling_open(&w, false);
	w.cfg.heartbeat_ms = BEAT_MS;
	peer_send(w.client_peer, pong.data, 7);
	relaying_start(&w);
	peer_hears_bytes(w.backend_peer, pong.data, 7);
	hear_ping(&w);
	peer_send(w.client_peer, pong.data + 7, 2);
	still_wait();
	world_terminate(&w.world);
	told(&w, DOWN, 1001, "the session was ended by the server");
	peer_send(w.client_peer, pong.data + 9, pong.len - 9);
	peer_hears_bytes(w.backend_peer, pong.data + 7, pong.len - 7);
	told(&w, UP, 1001, "");
	say_close(&w, UP, 1001, "");
	say_close(&w, DOWN, 1001, "");
	over_at_once(&w, TUNNEL_STOPPED);
	written_free(&pong);
	tunnelling_close(&w);
}
END_TEST

START_TEST(pings_and_pongs_of_the_peers_are_their_own)
{
	struct relaying w;

	pinging_open(&w, BEAT_MS);
	hear_ping(&w);
	pass_frame(&w, UP, FIN | FRAMES_PONG, "");
	pass_frame(&w, UP, FIN | FRAMES_PONG, "payload"); /* its last byte is missing */
	pass_frame(&w, UP, FIN | FRAMES_PONG, "payload!");
	pass_frame(&w, UP, FIN | FRAMES_PONG, "payload!!");
	pass_frame(&w, UP, FIN | FRAMES_PING, "of the client");
	pass_frame(&w, DOWN, FIN | FRAMES_PONG, "of the client");
	pass_frame(&w, DOWN, FIN | FRAMES_PING, "of the backend");
	peer_sends_frame(w.backend_peer, FIN | FRAMES_PONG, tunnel_random.ping,
			 sizeof(tunnel_random.ping), NULL);
	peer_hears_frame(w.client_peer, FIN | FRAMES_PONG, tunnel_random.ping,
			 sizeof(tunnel_random.ping), NULL);
	say_pong(&w);
	pass_frame(&w, UP, FIN | FRAMES_BINARY, "data");
	pinging_close(&w);
}
END_TEST

/* ---- a client that is gone */

START_TEST(a_client_that_answers_no_ping_is_gone)
{
	uint64_t start_ms = clock_ms();
	struct relaying w;

	pinging_open(&w, SHORT_MS);
	hear_ping(&w);
	hear_ping(&w);
	told(&w, UP, 1001, "");
	say_close(&w, DOWN, 1001, "");
	over_at_once(&w, TUNNEL_CLIENT_SILENT);
	ck_assert_uint_ge(clock_ms() - start_ms, 3 * SHORT_MS);
	ck_assert_uint_lt(still_calls(), 30);
	tunnelling_close(&w);
}
END_TEST

/* Frames that go to it put the Pings off, and prove nothing. */
START_TEST(a_client_is_gone_no_sooner_than_its_pings_are_due)
{
	uint64_t start_ms = clock_ms();
	struct relaying w;

	pinging_open(&w, BEAT_MS);
	hear_ping(&w);
	(void)later(BEAT_MS / 2);
	pass_frame(&w, DOWN, FIN | FRAMES_BINARY, "data");
	hear_ping(&w);
	told(&w, UP, 1001, "");
	say_close(&w, DOWN, 1001, "");
	over_at_once(&w, TUNNEL_CLIENT_SILENT);
	ck_assert_uint_ge(clock_ms() - start_ms, 3 * BEAT_MS + BEAT_MS / 2);
	tunnelling_close(&w);
}
END_TEST

/* No Pong can come while the client is in the middle of a frame. */
START_TEST(pings_do_not_count_while_the_client_is_in_a_frame)
{
	static const char frame[6] = "\x82\x80\x01\x02\x03\x04";
	struct relaying w;

	pinging_open(&w, BEAT_MS);
	for (size_t i = 0; i < sizeof(frame); i += 3) {
		peer_send(w.client_peer, &frame[i], 3);
		peer_hears_bytes(w.backend_peer, &frame[i], 3);
		hear_ping(&w);
		hear_ping(&w);
		if (i == 0)
			hear_ping(&w);
	}
	told(&w, UP, 1001, "");
	say_close(&w, DOWN, 1001, "");
	over_at_once(&w, TUNNEL_CLIENT_SILENT);
	tunnelling_close(&w);
}
END_TEST

/* Its Pongs cannot be read then; when they can, they are before it is judged. */
START_TEST(a_client_that_cannot_be_read_is_not_gone)
{
	struct relaying w;
	size_t jammed;

	tunnelling_open(&w, _i);
	w.cfg.heartbeat_ms = SHORT_MS;
	jammed = jam(&w.upstream.stream);
	relaying_start(&w);
	say_frame(&w, UP, FIN | FRAMES_BINARY, "read");
	for (int i = 0; i < 4; i++) {
		hear_ping(&w);
		say_pong(&w);
	}
	still_wait();
	/* the next one is due as soon as it looks, and no other one after that */
	w.cfg.heartbeat_ms = LONG_MS;
	w.relay.down.moved_ms -= LONG_MS;
	unjam(w.backend_peer, jammed);
	hear_frame(&w, UP, FIN | FRAMES_BINARY, "read");
	still_wait();
	ck_assert_int_eq(w.relay.tunnel.end, TUNNEL_OPEN);
	ck_assert_uint_le(w.relay.tunnel.pings, 1);
	pass_frame(&w, UP, FIN | FRAMES_BINARY, "data");
	peer_close(&w.client_peer);
	told(&w, UP, 1001, "");
	say_close(&w, DOWN, 1001, "");
	ck_assert_int_eq(relaying_end(&w), RELAY_TUNNEL_OVER);
	tunnelling_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("tunnel: pings");
	TCase *t = case_add(s, "pings");

	tcase_add_test(
		t, a_client_to_which_nothing_goes_gets_pings_and_its_pongs_go_no_further);
	tcase_add_loop_test(t, what_goes_to_the_client_puts_a_ping_off, 0, DIRECTIONS);
	tcase_add_loop_test(t, no_ping_goes_out_while_a_frame_is_open, 0, 4);
	tcase_add_loop_test(t, no_ping_goes_out_or_counts_while_bytes_wait_for_the_client,
			    0, 2);
	tcase_add_loop_test(t, no_ping_goes_out_where_it_would_be_of_no_use, 0,
			    (int)LENGTH(quiet));
	t = case_add(s, "pongs");
	tcase_add_test(t, the_own_pong_is_left_out_however_it_comes);
	tcase_add_test(t, behind_half_a_pong_a_close_can_be_put_in);
	tcase_add_test(t,
		       no_close_is_put_into_a_pong_that_has_begun_before_the_first_ping);
	tcase_add_test(t, pings_and_pongs_of_the_peers_are_their_own);
	t = case_add(s, "gone");
	tcase_add_test(t, a_client_that_answers_no_ping_is_gone);
	tcase_add_test(t, a_client_is_gone_no_sooner_than_its_pings_are_due);
	tcase_add_test(t, pings_do_not_count_while_the_client_is_in_a_frame);
	tcase_add_loop_test(t, a_client_that_cannot_be_read_is_not_gone, 0, 2);
	return suite_run(s);
}
