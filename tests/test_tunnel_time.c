/* SPDX-License-Identifier: MIT */
/* tunnel.c: IdleTimeoutSec= and SessionTimeoutSec= of a tunnel of frames. */
#include "tunnelling.h"

/* Both peers get this Close, and answer; returns when the tunnel was ended. */
static uint64_t hear_timeout(struct relaying *w, enum tunnel_end end,
			     const char *sentence)
{
	told(w, DOWN, 1008, sentence);
	told(w, UP, 1001, "");
	say_close(w, UP, 1008, "");
	say_close(w, DOWN, 1001, "");
	over_at_once(w, end);
	return w->relay.tunnel.end_ms - 2000;
}

static const char idle[] = "no data for IdleTimeoutSec=";
static const char session[] = "the session has lasted for SessionTimeoutSec=";

/* ---- idle */

static void ping_and_pong(struct relaying *w)
{
	pass_frame(w, DOWN, FIN | FRAMES_PING, "of the backend");
	pass_frame(w, UP, FIN | FRAMES_PONG, "of the backend");
	pass_frame(w, UP, FIN | FRAMES_PING, "of the client");
	pass_frame(w, DOWN, FIN | FRAMES_PONG, "of the client");
}

/* A Ping of the gate, or a part of one, since the first fragment is no data. */
static void own_ping(struct relaying *w)
{
	peer_hears_frame(w->client_peer, FIN | FRAMES_PING, tunnel_random.ping,
			 sizeof(tunnel_random.ping), NULL);
	peer_sends_frame(w->client_peer, FIN | FRAMES_PONG, tunnel_random.ping,
			 sizeof(tunnel_random.ping), client_key);
}

START_TEST(frames_without_data_do_not_keep_a_session)
{
	uint64_t start_ms, stop_ms;
	struct relaying w;

	tunnelling_open(&w, false);
	w.cfg.idle_ms = SPAN_MS;
	w.cfg.heartbeat_ms = _i ? SPAN_MS / 4 : 0;
	relaying_start(&w);
	pass_frame(&w, DOWN, FIN | FRAMES_BINARY, "the last data");
	start_ms = clock_ms();
	for (int i = 0; i < 3; i++) {
		if (_i) {
			own_ping(&w);
		} else {
			(void)later(SPAN_MS / 4);
			ping_and_pong(&w);
		}
	}
	w.cfg.heartbeat_ms = 0;
	stop_ms = hear_timeout(&w, TUNNEL_IDLE_TIMEOUT, idle);
	/* the data may have come a little before it was heard */
	ck_assert_uint_ge(stop_ms - start_ms, SPAN_MS - SPAN_MS / 4);
	ck_assert_uint_lt(stop_ms - start_ms, SPAN_MS + SPAN_MS / 2);
	tunnelling_close(&w);
}
END_TEST

/* Of all kinds, either way; a byte of one suffices. */
START_TEST(data_of_either_peer_keeps_a_session)
{
	static const struct {
		const char *bytes;
		size_t len;
	} data[] = {
		{ "\x01", 1 },                 /* a header begins, */
		{ "\x85\x37\xfa\x21\x3d", 5 }, /* goes on */
		{ "a", 1 },                    /* and has a payload */
		{ "\x82\x05", 2 },
	};
	enum direction d = (enum direction)_i;
	struct side s;
	uint64_t last_ms = 0;
	struct relaying w;

	tunnelling_open(&w, false);
	s = side_of(&w, d);
	w.cfg.idle_ms = SPAN_MS;
	relaying_start(&w);
	for (size_t i = d == UP ? 0 : 3; i < (d == UP ? 3 : 4); i++) {
		(void)later(SPAN_MS / 2);
		last_ms = clock_ms();
		peer_send(*s.source, data[i].bytes, data[i].len);
		peer_hears_bytes(*s.sink, data[i].bytes, data[i].len);
	}
	relaying_tunnel_over(&w, TUNNEL_IDLE_TIMEOUT);
	ck_assert_uint_ge(w.relay.tunnel.end_ms - 2000, last_ms + SPAN_MS);
	relaying_close(&w);
}
END_TEST

/* ---- the session's limit */

START_TEST(a_session_ends_at_its_limit_whatever_flows)
{
	uint64_t start_ms, stop_ms;
	struct relaying w;

	tunnelling_open(&w, false);
	start_ms = clock_ms();
	w.relay.tunnel.begun_ms = start_ms;
	w.cfg.session_ms = SPAN_MS;
	relaying_start(&w);
	for (int i = 0; i < 3; i++) {
		(void)later(SPAN_MS / 4);
		pass_frame(&w, UP, FIN | FRAMES_BINARY, "data");
		pass_frame(&w, DOWN, FIN | FRAMES_BINARY, "data");
	}
	stop_ms = hear_timeout(&w, TUNNEL_SESSION_TIMEOUT, session);
	ck_assert_uint_ge(stop_ms - start_ms, SPAN_MS);
	ck_assert_uint_lt(stop_ms - start_ms, SPAN_MS + SPAN_MS / 2);
	tunnelling_close(&w);
}
END_TEST

/* The limit is over when the relay begins, and a small buffer makes it go round many times. */
START_TEST(bytes_that_are_always_there_do_not_put_the_limit_off)
{
	struct written frames = written_open(150000);
	char text[1000] = "";
	struct relaying w;

	tunnelling_open(&w, false);
	w.buf[2].cap = 4096;
	w.cfg.session_ms = 1;
	w.relay.tunnel.begun_ms -= 1;
	while (frames.size - frames.len > 2 * sizeof(text))
		write_frame(&frames, FIN | FRAMES_BINARY, text, sizeof(text), NULL);
	write_text(&frames, FIN | FRAMES_CLOSE, "\x03\xe9", NULL);
	peer_send(w.backend_peer, frames.data, frames.len);
	relaying_start(&w);
	told(&w, UP, 1001, "");
	say_close(&w, UP, 1008, "");
	over_at_once(&w, TUNNEL_SESSION_TIMEOUT);
	ck_assert_uint_lt(w.relay.down.bytes, frames.len / 2);
	written_free(&frames);
	relaying_close(&w);
}
END_TEST

/* ---- floods */

/* Frames that one peer sends without a pause, and the other one reads, for so long. */
struct flood {
	struct side s;
	struct written frames;
	uint64_t until_ms;
	pthread_t source, sink;
};

static void *flood_send(void *userdata)
{
	struct flood *f = userdata;
	size_t at = 0;
	ssize_t n = 0;

	for (; n >= 0 && clock_ms() < f->until_ms; at = (at + (size_t)n) % f->frames.len)
		n = send(*f->s.source, f->frames.data + at, f->frames.len - at,
			 MSG_NOSIGNAL);
	return NULL;
}

static void *flood_read(void *userdata)
{
	static char got[1 << 20];
	struct flood *f = userdata;

	while (recv(*f->s.sink, got, sizeof(got), 0) > 0)
		;
	return NULL;
}

static void flood_start(struct flood *f, struct relaying *w, unsigned first, size_t len)
{
	static const char payload[1 << 20];

	*f = (struct flood){ .s = side_of(w, DOWN), .frames = written_open(2 << 20) };
	while (f->frames.len + len + 14 < f->frames.size)
		write_frame(&f->frames, first, payload, len, NULL);
	f->until_ms = clock_ms() + SPAN_MS;
	ck_assert_int_eq(pthread_create(&f->sink, NULL, flood_read, f), 0);
	ck_assert_int_eq(pthread_create(&f->source, NULL, flood_send, f), 0);
}

static const struct {
	size_t span;
	unsigned first;
	size_t len;
	enum tunnel_end end;
} floods[] = {
	{ offsetof(struct config, session_ms), FIN | FRAMES_BINARY, 100,
	  TUNNEL_SESSION_TIMEOUT },
	{ offsetof(struct config, session_ms), FIN | FRAMES_BINARY, 65536,
	  TUNNEL_SESSION_TIMEOUT },
	{ offsetof(struct config, session_ms), FIN | FRAMES_BINARY, 1 << 20,
	  TUNNEL_SESSION_TIMEOUT },
	{ offsetof(struct config, idle_ms), FIN | FRAMES_PING, 10, TUNNEL_IDLE_TIMEOUT },
};

START_TEST(a_span_passes_in_a_flood)
{
	int row = _i / 2;
	uint64_t start_ms, stop_ms;
	struct flood f;
	struct relaying w;

	tunnelling_open(&w, _i & 1);
	relaying_fix_room(&w);
	start_ms = clock_ms();
	*(uint64_t *)((char *)&w.cfg + floods[row].span) = SHORT_MS;
	flood_start(&f, &w, floods[row].first, floods[row].len);
	relaying_start(&w);
	relaying_tunnel_over(&w, floods[row].end);
	stop_ms = w.relay.tunnel.end_ms - 2000;
	(void)shutdown(*f.s.source, SHUT_RDWR);
	stream_shut(&w.client);
	pthread_join(f.source, NULL);
	pthread_join(f.sink, NULL);
	written_free(&f.frames);
	ck_assert_uint_lt(stop_ms - start_ms, SPAN_MS);
	relaying_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("tunnel: time");
	TCase *t = case_add(s, "idle");

	tcase_add_loop_test(t, frames_without_data_do_not_keep_a_session, 0, 2);
	tcase_add_loop_test(t, data_of_either_peer_keeps_a_session, 0, DIRECTIONS);
	t = case_add(s, "limit");
	tcase_add_test(t, a_session_ends_at_its_limit_whatever_flows);
	tcase_add_test(t, bytes_that_are_always_there_do_not_put_the_limit_off);
	tcase_add_loop_test(t, a_span_passes_in_a_flood, 0, 2 * (int)LENGTH(floods));
	return suite_run(s);
}
