/* SPDX-License-Identifier: MIT */
/* tunnel.c, flow.c: a Close is put in between two frames, and what comes behind it is dropped. */
#include "tunnelling.h"

#define KIB 1024

/* ---- a stream of frames through a tunnel */

struct passage {
	struct relaying w;
	enum direction d, other;
	struct side s;
	struct written all; /* frames, then the Close of their source */
	size_t sent, heard;
};

/* Either way, over TCP or not, in the four runs of a loop. */
static void passage_open(struct passage *p, int i, size_t size)
{
	*p = (struct passage){ .d = i & 1 ? UP : DOWN, .other = i & 1 ? DOWN : UP };
	tunnelling_open(&p->w, i & 2);
	p->s = side_of(&p->w, p->d);
	p->all = written_open(size);
}

static void passage_close(struct passage *p)
{
	written_free(&p->all);
	relaying_close(&p->w);
}

/* Payloads begin somewhere in it. */
static const unsigned char *noise(void)
{
	static unsigned char bytes[2048 * KIB];

	for (size_t i = 0; bytes[7] == 0 && i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 ^ i >> 8 ^ 1);
	return bytes;
}

static void add_frame(struct passage *p, unsigned first, size_t len)
{
	write_frame(&p->all, first, noise(), len, source_key(p->d));
}

/* The end of the frame that is open after so many bytes. */
static size_t boundary_from(const struct passage *p, size_t at)
{
	struct frame f;
	size_t end = 0;

	while (end < at) {
		ck_assert_int_eq(
			read_frame(p->all.data + end, p->all.len - end, p->d == UP, &f),
			FRAME_WHOLE);
		end += f.size;
	}
	return end;
}

static bool send_some(struct passage *p, size_t len)
{
	ssize_t n = send(*p->s.source, p->all.data + p->sent, len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	ck_assert(n > 0 || errno == EAGAIN);
	p->sent += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void hear_some(struct passage *p, size_t len)
{
	static unsigned char got[256 * KIB];
	ssize_t n = recv(*p->s.sink, got, len < sizeof(got) ? len : sizeof(got), 0);

	ck_assert_int_gt(n, 0);
	ck_assert_mem_eq(got, p->all.data + p->heard, (size_t)n);
	p->heard += (size_t)n;
}

/* Sends up to one byte and hears up to another, for all of it may not fit in between. */
static void go_on(struct passage *p, size_t sent, size_t heard)
{
	while (p->sent < sent || p->heard < heard) {
		struct pollfd fds[] = {
			{ p->sent < sent ? *p->s.source : -1, POLLOUT, 0 },
			{ p->heard < heard ? *p->s.sink : -1, POLLIN, 0 },
		};

		ck_assert_int_gt(still_ppoll(fds, 2, LONG_MS), 0);
		if (fds[0].revents)
			(void)send_some(p, sent - p->sent);
		if (fds[1].revents)
			hear_some(p, heard - p->heard);
	}
}

/* Sends all the rest, of which the sink hears nothing. */
static void go_on_unheard(struct passage *p)
{
	while (p->sent < p->all.len) {
		struct pollfd fds[] = {
			{ *p->s.source, POLLOUT, 0 },
			{ *p->s.sink, POLLIN, 0 },
		};

		ck_assert_int_gt(still_ppoll(fds, 2, LONG_MS), 0);
		ck_assert_int_eq(fds[1].revents, 0);
		(void)send_some(p, p->all.len - p->sent);
	}
}

/* ---- SIGTERM while it flows */

static const char stopped[] = "the session was ended by the server";

/*
 * After so many bytes. The frame that is open then is completed. Both peers get a Close, and all that the
 * source sends from there on is dropped.
 */
static void stop_at(struct passage *p, size_t at)
{
	size_t end = boundary_from(p, at);

	go_on(p, at, at);
	still_wait();
	world_terminate(&p->w.world);
	told(&p->w, p->other, 1001, stopped);
	still_wait();
	if (at < end)
		peer_hears_nothing(*p->s.sink);
	go_on(p, end + 50 < p->all.len ? end + 50 : p->all.len, end);
	told(&p->w, p->d, 1001, stopped);
	go_on_unheard(p);
	say_close(&p->w, p->other, 1001, "");
	over_at_once(&p->w, TUNNEL_STOPPED);
	ck_assert_int_ne(p->w.relay.tunnel.client.close, TUNNEL_CLOSE_CUT);
	ck_assert_int_ne(p->w.relay.tunnel.backend.close, TUNNEL_CLOSE_CUT);
	nothing_is_left(&p->w);
}

static void add_fragments(struct passage *p)
{
	add_frame(p, FRAMES_TEXT, 10);
	add_frame(p, FIN | FRAMES_PING, 125);
	add_frame(p, FRAMES_CONTINUATION, 0);
	add_frame(p, FIN | FRAMES_PONG, 0);
	add_frame(p, FRAMES_CONTINUATION, 1);
	add_frame(p, FIN | FRAMES_CONTINUATION, 20);
	add_frame(p, 0x70 | FRAMES_BINARY, 126);
	add_frame(p, FIN | FRAMES_CONTINUATION, 65536);
	write_text(&p->all, FIN | FRAMES_CLOSE, "\x03\xe9", source_key(p->d));
}

/* Each byte, but for most of those in the long payload. */
START_TEST(a_close_is_put_in_as_soon_as_no_frame_is_open)
{
	size_t end = SIZE_MAX;

	for (size_t at = 0; at < end; at = at == 400 ? end - 20 : at + 1) {
		struct passage p;

		passage_open(&p, _i, 70000);
		add_fragments(&p);
		end = p.all.len - (p.d == UP ? 8 : 4); /* of its Close */
		relaying_start(&p.w);
		stop_at(&p, at);
		passage_close(&p);
	}
}
END_TEST

/* ---- frames that are spliced */

/* With the first one a pipe is opened. What comes behind the fifth one fills all that is in between. */
static const size_t long_frames[] = { 128 * KIB, 64 * KIB,   1024 * KIB, 300000,
				      70000,     2048 * KIB, 2048 * KIB, 2048 * KIB };

static void start_spliced(struct passage *p, int i, size_t frames)
{
	passage_open(p, i, 9 * 1024 * KIB);
	relaying_fix_room(&p->w);
	for (size_t n = 0; n < frames; n++)
		add_frame(p, n % 2 ? FIN | FRAMES_CONTINUATION : FRAMES_BINARY,
			  long_frames[n]);
	write_text(&p->all, FIN | FRAMES_CLOSE, "\x03\xe9", source_key(p->d));
	go_on(p, 100 * KIB, 0);
	relaying_start(&p->w);
	go_on(p, 128 * KIB, 128 * KIB);
	still_wait();
	ck_assert_int_eq(p->s.flow->splicer.pipe.state, PIPE_OPEN);
}

/* A place in the frame with this number: its beginning, in its header, in its payload. */
static size_t place_in(const struct passage *p, size_t frame, int place)
{
	size_t begin = 0, end;

	while (frame-- > 0)
		begin = boundary_from(p, begin + 1);
	end = boundary_from(p, begin + 1);
	switch (place) {
	case 0: return begin;
	case 1: return begin + 3;
	case 2: return begin + 20;
	case 3: return begin + (end - begin) / 2;
	default: return end - 1;
	}
}

#define PLACES 5

START_TEST(a_close_is_put_in_between_frames_that_are_spliced)
{
	for (size_t frame = 1; frame < 5; frame++) {
		struct passage p;

		/* no more than can be dropped in 2 s, also under valgrind */
		start_spliced(&p, _i / PLACES, 6);
		stop_at(&p, place_in(&p, frame, _i % PLACES));
		passage_close(&p);
	}
}
END_TEST

/* Alone, and behind a short frame that came with it; a browser would take 1005 for an error. */
START_TEST(a_close_with_1005_behind_spliced_frames_loses_its_code)
{
	struct passage p;
	struct written last = written_open(100);
	size_t end;

	start_spliced(&p, _i & 1 ? 2 : 0, LENGTH(long_frames));
	end = boundary_from(&p, p.sent);
	go_on(&p, end, end);
	still_wait();
	if (_i & 2)
		write_text(&last, FIN | FRAMES_TEXT, "the last frame", NULL);
	write_text(&last, FIN | FRAMES_CLOSE, "\x03\xed", NULL);
	peer_send(*p.s.source, last.data, last.len);
	if (_i & 2)
		hear_frame(&p.w, DOWN, FIN | FRAMES_TEXT, "the last frame");
	hear_frame(&p.w, DOWN, FIN | FRAMES_CLOSE, "");
	pass_close(&p.w, UP, 1000, "");
	relaying_tunnel_over(&p.w, TUNNEL_CLOSED);
	written_free(&last);
	passage_close(&p);
}
END_TEST

/* ---- a sink that does not read */

/* It reads in the end: the rest of the frame that was open, and the Close. */
START_TEST(a_close_waits_for_the_frames_before_it)
{
	struct passage p;
	size_t end;

	start_spliced(&p, _i, LENGTH(long_frames));
	do {
		size_t before = p.sent;

		while (send_some(&p, p.all.len - p.sent))
			;
		still_wait();
		end = p.sent - before;
	} while (end > 0);
	ck_assert(still_asks(p.s.to->fd, POLLOUT));
	ck_assert_uint_eq(p.s.flow->pieces, 0);
	end = boundary_from(&p, p.s.flow->bytes);
	world_terminate(&p.w.world);
	told(&p.w, p.other, 1001, stopped);
	go_on(&p, end, end);
	told(&p.w, p.d, 1001, stopped);
	go_on_unheard(&p);
	say_close(&p.w, p.other, 1001, "");
	over_at_once(&p.w, TUNNEL_STOPPED);
	nothing_is_left(&p.w);
	passage_close(&p);
}
END_TEST

/* Bytes that were copied, not spliced. */
START_TEST(a_close_waits_for_room)
{
	enum direction d = (enum direction)(_i & 1), other = UP + DOWN - d;
	struct relaying w;
	size_t jammed;

	tunnelling_open(&w, _i & 2);
	jammed = jam(side_of(&w, d).to);
	relaying_start(&w);
	say_frame(&w, d, FIN | FRAMES_TEXT, "before it");
	still_wait();
	world_terminate(&w.world);
	told(&w, other, 1001, stopped);
	say_frame(&w, d, FIN | FRAMES_TEXT, "behind it");
	say_close(&w, d, 1001, "");
	say_close(&w, other, 1001, "");
	unjam(*side_of(&w, d).sink, jammed);
	hear_frame(&w, d, FIN | FRAMES_TEXT, "before it");
	told(&w, d, 1001, stopped);
	over_at_once(&w, TUNNEL_STOPPED);
	tunnelling_close(&w);
}
END_TEST

/* ---- a frame that does not end */

/* In a header, in a payload, in one that is spliced. */
static void start_in_frame(struct passage *p, int i)
{
	static const size_t cuts[] = { 1, 20, 700 * KIB };

	if (i / 4 < 2) {
		passage_open(p, i, 1000);
		add_frame(p, FIN | FRAMES_BINARY, 100);
		write_text(&p->all, FIN | FRAMES_CLOSE, "\x03\xe9", source_key(p->d));
		relaying_start(&p->w);
	} else {
		/* no more than can be dropped in 2 s, also under valgrind */
		start_spliced(p, i, 4);
	}
	go_on(p, cuts[i / 4], cuts[i / 4]);
	still_wait();
}

static bool is_cut(const struct passage *p)
{
	const struct tunnel *t = &p->w.relay.tunnel;
	const struct tunnel_side *to = p->d == DOWN ? &t->client : &t->backend;
	const struct tunnel_side *other = p->d == DOWN ? &t->backend : &t->client;

	ck_assert_int_ne(other->close, TUNNEL_CLOSE_CUT);
	return to->close == TUNNEL_CLOSE_CUT;
}

/* After a second it is too late: the rest is dropped. */
START_TEST(nothing_is_put_into_a_frame_that_does_not_end)
{
	struct passage p;

	start_in_frame(&p, _i);
	world_terminate(&p.w.world);
	told(&p.w, p.other, 1001, stopped);
	(void)later(1100);
	still_wait();
	ck_assert(is_cut(&p));
	go_on_unheard(&p);
	over_at_once(&p.w, TUNNEL_STOPPED);
	ck_assert(!tunnel_told(&p.w.relay.tunnel.client) || p.d == UP);
	nothing_is_left(&p.w);
	passage_close(&p);
}
END_TEST

/* A half-close, as for bytes that are no frames. */
START_TEST(a_source_that_ends_in_a_frame_ends_its_direction_only)
{
	struct passage p;

	start_in_frame(&p, _i);
	ck_assert_int_eq(shutdown(*p.s.source, SHUT_WR), 0);
	peer_hears_end(*p.s.sink);
	pass_frame(&p.w, p.other, FIN | FRAMES_TEXT, "still here");
	ck_assert_int_eq(shutdown(*p.s.sink, SHUT_WR), 0);
	told(&p.w, p.other, p.d == UP ? 1014 : 1001, "backend closed the connection");
	over_at_once(&p.w, p.d == UP ? TUNNEL_BACKEND_LEFT : TUNNEL_CLIENT_LEFT);
	ck_assert(is_cut(&p));
	peer_hears_nothing(*p.s.source);
	passage_close(&p);
}
END_TEST

START_TEST(a_source_that_resets_in_a_frame_ends_all)
{
	struct passage p;

	start_in_frame(&p, _i | 2);
	peer_reset(p.s.source);
	over_at_once(&p.w, tunnel_failed(p.d));
	ck_assert(is_cut(&p));
	nothing_is_left(&p.w);
	passage_close(&p);
}
END_TEST

/* ---- bytes that are no frames */

/* Nor into those of the other direction. */
START_TEST(nothing_is_put_into_bytes_that_are_no_frames)
{
	struct passage p;

	passage_open(&p, _i, 100);
	add_frame(&p, FIN | FRAMES_BINARY, 10);
	write_bytes(&p.all, "x", 1);
	relaying_start(&p.w);
	go_on(&p, p.all.len, p.all.len);
	pass_frame(&p.w, p.other, FIN | FRAMES_TEXT, "a frame");
	still_wait();
	world_terminate(&p.w.world);
	over_at_once(&p.w, TUNNEL_STOPPED);
	ck_assert_int_eq(p.w.relay.tunnel.client.close, TUNNEL_CLOSE_NONE);
	ck_assert_int_eq(p.w.relay.tunnel.backend.close, TUNNEL_CLOSE_NONE);
	nothing_is_left(&p.w);
	passage_close(&p);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("tunnel: frames");
	TCase *t = case_add(s, "between frames");

	tcase_add_loop_test(t, a_close_is_put_in_as_soon_as_no_frame_is_open, 0, 4);
	tcase_add_loop_test(t, a_close_is_put_in_between_frames_that_are_spliced, 0,
			    4 * PLACES);
	tcase_add_loop_test(t, a_close_with_1005_behind_spliced_frames_loses_its_code, 0,
			    4);
	tcase_add_loop_test(t, a_close_waits_for_the_frames_before_it, 0, 4);
	tcase_add_loop_test(t, a_close_waits_for_room, 0, 4);
	t = case_add(s, "in a frame");
	tcase_add_loop_test(t, nothing_is_put_into_a_frame_that_does_not_end, 0, 12);
	tcase_add_loop_test(t, a_source_that_ends_in_a_frame_ends_its_direction_only, 0,
			    12);
	tcase_add_loop_test(t, a_source_that_resets_in_a_frame_ends_all, 0, 12);
	t = case_add(s, "no frames");
	tcase_add_loop_test(t, nothing_is_put_into_bytes_that_are_no_frames, 0, 4);
	return suite_run(s);
}
