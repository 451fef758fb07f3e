/* SPDX-License-Identifier: MIT */
/* frames.c: bytes that are passed on, held and left out. */
#include "framed.h"

static const struct slice own = SLICE_INIT("payload\0");

/* The bytes read, in a block of exactly their size, and those passed on. */
struct passing {
	struct frames frames;
	struct buf in;
	struct written out;
};

static void passing_open(struct passing *w, bool masked, size_t size)
{
	*w = (struct passing){ .out = written_open(size) };
	frames_init(&w->frames, masked);
	w->frames.own_pong = own;
}

static void passing_close(struct passing *w)
{
	free(w->in.data);
	written_free(&w->out);
}

/* Passes on as much as it can. */
static void pass(struct passing *w)
{
	struct slice part;

	while (frames_next(&w->frames, &w->in, &part))
		write_bytes(&w->out, part.p, part.len);
	ck_assert_uint_eq(part.len, 0);
}

static void read_and_pass(struct passing *w, const unsigned char *p, size_t len)
{
	size_t before = buf_len(&w->in);
	char *block = malloc(before + len);

	if (before > 0)
		memcpy(block, w->in.data + w->in.start, before);
	if (len > 0)
		memcpy(block + before, p, len);
	free(w->in.data);
	w->in = (struct buf){ block, before + len, 0, before + len };
	pass(w);
}

static void has_passed(const struct passing *w, const unsigned char *p, size_t len)
{
	ck_assert_uint_eq(w->out.len, len);
	if (len > 0)
		ck_assert_mem_eq(w->out.data, p, len);
}

/* ---- Pongs that are left out */

/* Each letter is a frame: o the own Pong, p other Pongs, P a Ping, t, T, b a message, e an empty one. */
static const char *const orders[] = {
	"o", "to", "ot", "tot", "oo", "pop", "too", "tPoTpb", "oepoe", "eoeobobo",
};

/* Appends to `all`, and to `passed` unless it is to be left out. */
static void write_letter(char letter, const unsigned char *key, struct written *all,
			 struct written *passed)
{
	static const struct slice others[] = { SLICE_INIT("payload"),
					       SLICE_INIT("payload\1"),
					       SLICE_INIT("payload\0\0"),
					       SLICE_INIT("") };
	size_t begin = all->len;

	switch (letter) {
	case 'o': write_frame(all, FIN | FRAMES_PONG, own.p, own.len, key); return;
	case 'p':
		for (size_t i = 0; i < LENGTH(others); i++)
			write_frame(all, FIN | FRAMES_PONG, others[i].p, others[i].len,
				    key);
		break;
	case 'P': write_frame(all, FIN | FRAMES_PING, own.p, own.len, key); break;
	case 't': write_text(all, FRAMES_TEXT, "a fragment", key); break;
	case 'T': write_text(all, FIN | FRAMES_CONTINUATION, "its end", key); break;
	case 'b': write_frame(all, FIN | FRAMES_BINARY, own.p, own.len, key); break;
	default: write_text(all, FIN | FRAMES_BINARY, "", key); break;
	}
	write_bytes(passed, all->data + begin, all->len - begin);
}

static void write_order(const char *letters, const unsigned char *key,
			struct written *all, struct written *passed)
{
	*all = written_open(1000);
	*passed = written_open(1000);
	for (; *letters; letters++)
		write_letter(*letters, key, all, passed);
}

START_TEST(the_own_pong_is_left_out_wherever_it_is_cut)
{
	bool masked = _i & 1;
	struct written all, passed;

	write_order(orders[_i / 2], masked ? client_key : NULL, &all, &passed);
	for (size_t first = 0; first <= all.len; first++)
		for (size_t second = first; second <= all.len; second++) {
			struct passing w;

			passing_open(&w, masked, all.len);
			read_and_pass(&w, all.data, first);
			read_and_pass(&w, all.data + first, second - first);
			read_and_pass(&w, all.data + second, all.len - second);
			has_passed(&w, passed.data, passed.len);
			ck_assert_uint_eq(buf_len(&w.in), 0);
			passing_close(&w);
		}
	written_free(&all);
	written_free(&passed);
}
END_TEST

/* Without an own Pong nothing waits. */
START_TEST(all_is_passed_on_at_once_as_long_as_no_pong_is_expected)
{
	bool masked = _i & 1;
	struct written all, passed;
	struct passing w;

	write_order(orders[_i / 2], masked ? client_key : NULL, &all, &passed);
	passing_open(&w, masked, all.len);
	w.frames.own_pong = SLICE("");
	for (size_t i = 0; i < all.len; i++) {
		read_and_pass(&w, all.data + i, 1);
		has_passed(&w, all.data, i + 1);
	}
	passing_close(&w);
	written_free(&all);
	written_free(&passed);
}
END_TEST

/* A text, and a Pong that may have to be left out. */
START_TEST(a_pong_is_held_until_it_is_whole_or_not_expected_any_more)
{
	bool masked = _i & 1;
	const unsigned char *key = masked ? client_key : NULL;
	struct written all = written_open(100);
	size_t begin;

	write_text(&all, FIN | FRAMES_TEXT, "text", key);
	begin = all.len;
	write_text(&all, FIN | FRAMES_PONG, "payloaf", key);
	for (size_t cut = begin; cut < all.len; cut++) {
		struct passing w;

		passing_open(&w, masked, all.len);
		for (size_t i = 0; i < cut; i++)
			read_and_pass(&w, all.data + i, 1);
		has_passed(&w, all.data, begin);
		ck_assert_uint_eq(buf_len(&w.in), cut - begin);
		if (_i & 2)
			w.frames.own_pong = SLICE("");
		pass(&w);
		has_passed(&w, all.data, _i & 2 ? cut : begin);
		read_and_pass(&w, all.data + cut, all.len - cut);
		has_passed(&w, all.data, all.len);
		passing_close(&w);
	}
	written_free(&all);
}
END_TEST

/* A Pong whose header turns out to be none. */
START_TEST(held_bytes_that_are_no_frame_are_passed_on)
{
	static const unsigned char no_pong[] = { 0x8a, 0x08, 'x' };
	struct passing w;

	passing_open(&w, true, sizeof(no_pong));
	read_and_pass(&w, no_pong, 1);
	has_passed(&w, no_pong, 0);
	read_and_pass(&w, no_pong + 1, 1);
	has_passed(&w, no_pong, 2);
	read_and_pass(&w, no_pong + 2, 1);
	has_passed(&w, no_pong, 3);
	ck_assert_int_eq(w.frames.state, FRAMES_LOST);
	passing_close(&w);
}
END_TEST

/* ---- Closes of a server */

/* A text, a Close with this payload, and what may come behind it. */
static const struct {
	struct slice payload;
	bool replaced; /* by one that is empty */
} server_closes[] = {
	{ SLICE_INIT("\x03\xed"), true },
	{ SLICE_INIT("\x03\xed and a reason"), true },
	{ SLICE_INIT("\x03"), true },
	{ SLICE_INIT(""), false },
	{ SLICE_INIT("\x03\xe8"), false },
	{ SLICE_INIT("\x03\xec"), false },
	{ SLICE_INIT("\x03\xee a reason"), true },
	{ SLICE_INIT("\x03\xf7"), true },
	{ SLICE_INIT("\x03\xf6"), false },
};

#define SERVER_CLOSES ((int)LENGTH(server_closes))

/* A client's is none of the gate's business, since a server takes it well. */
START_TEST(a_close_with_a_bad_code_is_passed_on_without_it)
{
	const unsigned char *key = _i & 1 ? client_key : NULL;
	struct slice payload = server_closes[_i / 4].payload;
	struct written all = written_open(200), passed = written_open(200);
	size_t begin, end;

	if (_i & 2)
		write_text(&all, FIN | FRAMES_TEXT, "text", key);
	begin = all.len;
	write_bytes(&passed, all.data, begin);
	write_frame(&all, FIN | FRAMES_CLOSE, payload.p, payload.len, key);
	end = all.len;
	if (!key && server_closes[_i / 4].replaced)
		write_text(&passed, FIN | FRAMES_CLOSE, "", key);
	else
		write_bytes(&passed, all.data + begin, end - begin);
	for (size_t cut = 0; cut <= end; cut++) {
		size_t whole = cut == end ? passed.len : begin;
		struct passing w;

		passing_open(&w, key, all.len);
		read_and_pass(&w, all.data, cut);
		has_passed(&w, passed.data, key || cut < begin ? cut : whole);
		read_and_pass(&w, all.data + cut, end - cut);
		has_passed(&w, passed.data, passed.len);
		ck_assert_int_eq(w.frames.state, FRAMES_CLOSED);
		passing_close(&w);
	}
	written_free(&all);
	written_free(&passed);
}
END_TEST

/* ---- pauses */

/* The end of the frame that is open after so many bytes. */
static size_t boundary_from(const struct written *w, bool masked, size_t at)
{
	struct frame f;
	size_t end = 0;

	while (end < at) {
		ck_assert_int_eq(read_frame(w->data + end, w->len - end, masked, &f),
				 FRAME_WHOLE);
		end += f.size;
	}
	return end;
}

START_TEST(a_pause_begins_at_the_next_boundary)
{
	bool masked = _i & 1;
	struct written all, passed;

	write_order("tPTpbeb", masked ? client_key : NULL, &all, &passed);
	for (size_t cut = 0; cut <= all.len; cut++) {
		size_t end = boundary_from(&all, masked, cut);
		struct passing w;

		passing_open(&w, masked, all.len);
		w.frames.own_pong = SLICE("");
		read_and_pass(&w, all.data, cut);
		w.frames.paused = true;
		for (size_t i = cut; i < all.len; i++) {
			read_and_pass(&w, all.data + i, 1);
			has_passed(&w, all.data, i < end ? i + 1 : end);
		}
		ck_assert_int_eq(w.frames.state, FRAMES_BETWEEN);
		w.frames.paused = false;
		pass(&w);
		has_passed(&w, all.data, all.len);
		passing_close(&w);
	}
	written_free(&all);
	written_free(&passed);
}
END_TEST

/* ---- many frames */

/* Frames by chance with own Pongs among them, and those frames without them. */
static void draw_stream(uint64_t *seed, bool masked, struct written *all,
			struct written *passed)
{
	*all = written_open(1 << 20);
	*passed = written_open(1 << 20);
	for (;;) {
		size_t begin = all->len;

		if (!draw_frame(seed, all, masked))
			return;
		write_bytes(passed, all->data + begin, all->len - begin);
		for (size_t n = draw(seed, 4); n > 2 && all->size - all->len > 100; n--)
			write_letter('o', masked ? client_key : NULL, all, passed);
	}
}

START_TEST(of_a_stream_by_chance_all_is_passed_on_but_own_pongs)
{
	uint64_t seed = (uint64_t)_i + 1;
	bool masked = _i & 1;
	struct written all, passed;
	struct passing w;

	draw_stream(&seed, masked, &all, &passed);
	passing_open(&w, masked, all.len);
	for (size_t at = 0, n; at < all.len; at += n) {
		n = 1 + draw(&seed, draw(&seed, 8) ? 40 : 100000);
		n = n < all.len - at ? n : all.len - at;
		w.frames.paused = draw(&seed, 2);
		read_and_pass(&w, all.data + at, n);
		ck_assert(buf_len(&w.in) == 0 || w.frames.opcode == FRAMES_PONG ||
			  (w.frames.paused && w.frames.state == FRAMES_BETWEEN));
	}
	w.frames.paused = false;
	pass(&w);
	ck_assert_uint_eq(buf_len(&w.in), 0);
	has_passed(&w, passed.data, passed.len);
	ck_assert_uint_gt(all.len - passed.len, 14 * 20); /* there have been own Pongs */
	passing_close(&w);
	written_free(&all);
	written_free(&passed);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("frames: next");
	TCase *t = tcase_create("passed on");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_own_pong_is_left_out_wherever_it_is_cut, 0,
			    2 * (int)LENGTH(orders));
	tcase_add_loop_test(t, all_is_passed_on_at_once_as_long_as_no_pong_is_expected, 0,
			    2 * (int)LENGTH(orders));
	tcase_add_loop_test(t, a_pong_is_held_until_it_is_whole_or_not_expected_any_more,
			    0, 4);
	tcase_add_test(t, held_bytes_that_are_no_frame_are_passed_on);
	tcase_add_loop_test(t, a_close_with_a_bad_code_is_passed_on_without_it, 0,
			    4 * SERVER_CLOSES);
	tcase_add_loop_test(t, a_pause_begins_at_the_next_boundary, 0, 2);
	tcase_add_loop_test(t, of_a_stream_by_chance_all_is_passed_on_but_own_pongs, 0,
			    8);
	return suite_run(s);
}
