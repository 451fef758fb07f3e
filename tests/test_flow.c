/* SPDX-License-Identifier: MIT */
/* flow.c: chunked bodies by chance, between sockets that take little at once. */
#include "flow.h"

#include "compose.h"
#include "drawn.h"
#include "peers.h"

#define IN_SIZE 6000

static int fds_before;

/* One flow, its buffers in blocks of exactly their size, and its peers. */
struct world {
	struct stream from, to;
	struct buf in, out;
	struct flow flow;
	int source, sink;
};

static void world_open(struct world *w)
{
	size_t out_size = COMPOSE_CHUNK_FRAME + COMPOSE_LAST_CHUNK;
	int from, to, least = 1;

	pair_open(false, &from, &w->source);
	pair_open(false, &to, &w->sink);
	ck_assert_int_eq(setsockopt(to, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
	ck_assert_int_eq(stream_adopt(from, &w->from), 0);
	ck_assert_int_eq(stream_adopt(to, &w->to), 0);
	w->in = (struct buf){ .data = malloc(IN_SIZE), .cap = IN_SIZE };
	w->out = (struct buf){ .data = malloc(out_size), .cap = out_size };
	flow_init(&w->flow, &w->from, &w->to, &w->in, &w->out);
}

static void world_close(struct world *w)
{
	flow_done(&w->flow);
	stream_done(&w->from);
	stream_done(&w->to);
	peer_close(&w->source);
	peer_close(&w->sink);
	free(w->in.data);
	free(w->out.data);
}

/* What the sink has, some of it or all. */
static void hear(struct world *w, size_t most, struct drawn *heard)
{
	char got[DRAWN_MAX];
	ssize_t n = recv(w->sink, got, most, MSG_DONTWAIT);

	if (n > 0)
		drawn_put(heard, got, (size_t)n);
}

/* Steps until nothing moves, the peers doing a little in between. */
static void run(struct world *w, uint64_t *seed, const struct drawn *text,
		struct drawn *heard)
{
	size_t sent = 0, steps = 0;
	int write_error = 0;

	while (!flow_ended(&w->flow) && w->flow.error == 0) {
		size_t n = 1 + draw(seed, 6000);

		if (sent < text->len && draw(seed, 2) > 0) {
			n = n < text->len - sent ? n : text->len - sent;
			peer_send(w->source, text->data + sent, n);
			sent += n;
		}
		w->from.can_read = w->to.can_write = true;
		while (flow_step(&w->flow, 0, &write_error))
			;
		ck_assert_int_eq(write_error, 0);
		ck_assert(!flow_ready(&w->flow)); /* not for ever */
		/* what is to be written from there is still said to be there */
		ck_assert(w->flow.pieces == 0 || buf_len(&w->in) > 0);
		hear(w, 1 + draw(seed, 3000), heard);
		ck_assert_uint_lt(++steps, 100000);
	}
	hear(w, DRAWN_MAX, heard);
}

START_TEST(what_is_passed_on_reads_as_what_came)
{
	bool rechunk = _i > 0;
	uint64_t seed = 7 + (uint64_t)_i;

	for (int i = 0; i < 300; i++) {
		static struct drawn text, heard, payload, passed;
		struct world w;

		draw_body(&seed, &text);
		drawn_say(&text, "and more that belongs to what follows");
		heard.len = 0;
		world_open(&w);
		ck_assert_int_eq(buf_put_slice(&w.out, SLICE("a head")), 0);
		flow_begin(&w.flow, HTTP1_CHUNKED, 0, rechunk);
		run(&w, &seed, &text, &heard);
		ck_assert_int_eq(w.flow.error, 0);
		ck_assert(llhttp_begins(&text, &payload));
		ck_assert_uint_eq(w.flow.bytes, payload.len);
		ck_assert_int_eq(memcmp(heard.data, "a head", 6), 0);
		passed.len = 0;
		if (rechunk)
			ck_assert(llhttp_reads(
				(struct slice){ heard.data + 6, heard.len - 6 },
				&passed));
		else
			drawn_put(&passed, heard.data + 6, heard.len - 6);
		ck_assert_uint_eq(passed.len, payload.len);
		ck_assert_int_eq(memcmp(passed.data, payload.data, payload.len), 0);
		world_close(&w);
	}
}
END_TEST

static void setup(void)
{
	fds_before = fds_open();
}

static void teardown(void)
{
	ck_assert_int_eq(fds_open(), fds_before);
}

int main(void)
{
	Suite *suite = suite_create("flow");
	TCase *t = tcase_create("flow");

	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 2 * PATIENCE_SEC);
	tcase_add_loop_test(t, what_is_passed_on_reads_as_what_came, 0, 2);
	return suite_run(suite);
}
