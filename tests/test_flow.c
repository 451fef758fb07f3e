/* SPDX-License-Identifier: MIT */
/* flow.c: chunked bodies by chance, to sockets that take little; writes cut anywhere. */
#include "proxy/flow.h"

#include "drawn.h"
#include "world.h"

#define IN_SIZE 6000

/* The most that the next writes take, bytes. */
static size_t most = SIZE_MAX;

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	static char text[65536];
	size_t len = 0;

	for (int i = 0; i < n; i++) {
		size_t room = (most < sizeof(text) ? most : sizeof(text)) - len;
		size_t part = iov[i].iov_len < room ? iov[i].iov_len : room;

		memcpy(text + len, iov[i].iov_base, part);
		len += part;
	}
	return write(fd, text, len);
}

/* One flow, its buffers in blocks of exactly their size, and its peers. */
struct pump {
	struct stream from, to;
	struct buf in, out;
	struct flow flow;
	int source, sink;
};

static void pump_open(struct pump *w)
{
	size_t out_size = BODY_FRAME_MAX + BODY_LAST_MAX;
	int least = 1;

	stream_pair(false, &w->from, &w->source);
	stream_pair(false, &w->to, &w->sink);
	ck_assert_int_eq(
		setsockopt(w->to.fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
	w->in = (struct buf){ .data = malloc(IN_SIZE), .cap = IN_SIZE };
	w->out = (struct buf){ .data = malloc(out_size), .cap = out_size };
	flow_init(&w->flow, &w->from, &w->to, &w->in, &w->out);
}

static void pump_close(struct pump *w)
{
	flow_done(&w->flow);
	stream_done(&w->from);
	stream_done(&w->to);
	peer_close(&w->source);
	peer_close(&w->sink);
	free(w->in.data);
	free(w->out.data);
}

/* Receives some or all of the bytes that the sink has. */
static void hear(struct pump *w, size_t room, struct drawn *heard)
{
	char got[DRAWN_MAX];
	ssize_t n = recv(w->sink, got, room, MSG_DONTWAIT);

	if (n > 0)
		drawn_put(heard, got, (size_t)n);
}

/* Steps until nothing moves, the peers doing a little in between. */
static void run(struct pump *w, uint64_t *seed, const struct drawn *text,
		struct drawn *heard)
{
	size_t sent = 0, steps = 0;
	int write_error = 0;

	while (!flow_complete(&w->flow) && w->flow.failure == FLOW_OK) {
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

	for (size_t n = rounds(300); n > 0; n--) {
		static struct drawn text, heard, payload, passed;
		struct pump w;

		draw_body(&seed, &text);
		drawn_say(&text, "and more that belongs to what follows");
		heard.len = 0;
		pump_open(&w);
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
		pump_close(&w);
	}
}
END_TEST

/* The least that is written as a piece of its own. */
#define LARGE 2048

/* The framing of one chunk in place of two. */
static const char lead[] = "803\r\n", trail[] = "\r\n0\r\nA: b\r\n\r\n";

/* A message of those chunks and what follows it have been read. */
static void pump_read(struct pump *w, char payload[static 3 + LARGE])
{
	struct buf *in = &w->in;

	for (size_t i = 0; i < 3 + LARGE; i++)
		payload[i] = (char)('a' + i % 26);
	ck_assert_int_eq(buf_put_slice(in, SLICE("3\r\n")), 0);
	ck_assert_int_eq(buf_put(in, payload, 3), 0);
	ck_assert_int_eq(buf_put_slice(in, SLICE("\r\n800\r\n")), 0);
	ck_assert_int_eq(buf_put(in, payload + 3, LARGE), 0);
	ck_assert_int_eq(buf_put_slice(in, slice_str(trail)), 0);
	ck_assert_int_eq(buf_put_slice(in, SLICE("next")), 0);
	flow_begin(&w->flow, HTTP1_CHUNKED, 0, true);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The sink has the first n bytes of the output, and the flow has counted as many. */
static void expect_written(const struct pump *w, const char *payload, size_t n,
			   const struct drawn *heard)
{
	size_t leads = least(n, sizeof(lead) - 1);
	size_t len = least(n - leads, 3 + LARGE);
	size_t trails = n - leads - len;

	ck_assert_uint_eq(heard->len, n);
	ck_assert_mem_eq(heard->data, lead, leads);
	ck_assert_mem_eq(heard->data + leads, payload, len);
	ck_assert_mem_eq(heard->data + leads + len, trail, trails);
	ck_assert_uint_eq(w->flow.bytes, len);
	ck_assert_int_eq(flow_complete(&w->flow), trails == sizeof(trail) - 1);
	/* it stays until the last of it has been written */
	if (len == 3 + LARGE)
		ck_assert_slice_eq(buf_slice(&w->in), "next");
	else
		ck_assert_uint_gt(buf_len(&w->in), 3 + LARGE);
}

/* Steps until nothing moves, each write taking so much; returns whether there is more. */
static bool write_some(struct pump *w, size_t n, struct drawn *heard)
{
	int write_error = 0;

	most = n;
	w->from.can_read = w->to.can_write = true;
	while (flow_step(&w->flow, 0, &write_error))
		;
	most = SIZE_MAX;
	ck_assert_int_eq(write_error, 0);
	hear(w, DRAWN_MAX, heard);
	return flow_pending(&w->flow);
}

START_TEST(a_write_may_end_anywhere)
{
	size_t total = sizeof(lead) - 1 + 3 + LARGE + sizeof(trail) - 1;
	char payload[3 + LARGE];

	for (size_t n = 1; n <= total; n++) {
		struct drawn heard = { .len = 0 };
		struct pump w;

		pump_open(&w);
		pump_read(&w, payload);
		ck_assert_int_eq(write_some(&w, n, &heard), n < total);
		expect_written(&w, payload, n, &heard);
		(void)write_some(&w, SIZE_MAX, &heard);
		expect_written(&w, payload, total, &heard);
		pump_close(&w);
	}
}
END_TEST

START_TEST(what_is_written_may_go_byte_by_byte)
{
	struct drawn heard = { .len = 0 };
	char payload[3 + LARGE];
	struct pump w;
	size_t n = 0;

	pump_open(&w);
	pump_read(&w, payload);
	while (write_some(&w, 1, &heard))
		expect_written(&w, payload, ++n, &heard);
	expect_written(&w, payload, ++n, &heard);
	ck_assert(flow_complete(&w.flow));
	pump_close(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flow");
	TCase *t = case_add(suite, "flow");

	tcase_add_loop_test(t, what_is_passed_on_reads_as_what_came, 0, 2);
	tcase_add_test(t, a_write_may_end_anywhere);
	tcase_add_test(t, what_is_written_may_go_byte_by_byte);
	return suite_run(suite);
}
