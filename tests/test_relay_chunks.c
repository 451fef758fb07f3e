/* SPDX-License-Identifier: MIT */
/* relay.c: chunked bodies. */
#include "traffic.h"

static const char chunked[] = "4\r\nWiki\r\n"
			      "6;name=\"value\"\r\npedia \r\n"
			      "00E\r\nin \r\n\r\nchunks.\r\n"
			      "0;last\r\nX-Sum: 1\r\nA:b\r\n\r\n";
static const char unchunked[] = "Wikipedia in \r\n\r\nchunks.";

/* The sink has received the message and nothing else. */
static void hears_message(struct side s, bool rechunk)
{
	char out[4096], *rest = out;
	size_t got;

	stream_shut(s.to);
	got = peer_hears_out(*s.sink, out, sizeof(out));
	if (rechunk)
		got = unchunk(out, &rest);
	ck_assert_uint_eq(got, strlen(unchunked));
	ck_assert_int_eq(memcmp(out, unchunked, got), 0);
	if (rechunk)
		ck_assert_str_eq(rest, "X-Sum: 1\r\nA: b\r\n\r\n");
}

/* One relay gets the message in pieces that end at these two places. */
static void pass_chunks(enum direction d, bool rechunk, size_t first, size_t second)
{
	size_t len = sizeof(chunked) - 1;
	struct relaying w;
	struct side s;

	relaying_open(&w, false);
	s = side_of(&w, d);
	flow_begin(s.flow, HTTP1_CHUNKED, 0, rechunk);
	peer_send(*s.source, chunked, first);
	relaying_start(&w);
	still_wait();
	peer_send(*s.source, chunked + first, second - first);
	still_wait();
	ck_assert(!flow_complete(s.flow));
	peer_send(*s.source, chunked + second, len - second);
	peer_say(*s.source, "next");
	ck_assert_int_eq(relaying_end(&w), RELAY_DONE);
	ck_assert_uint_eq(s.flow->bytes, strlen(unchunked));
	hears_message(s, rechunk);
	stream_read(s.from, s.flow->in); /* where it has not been read with the rest */
	holds(s.flow->in, "next");
	relaying_close(&w);
}

START_TEST(a_chunked_body_may_be_split_anywhere)
{
	for (size_t at = 0; at < sizeof(chunked) - 1; at++)
		pass_chunks((enum direction)(_i & 1), _i & 2, at, at);
	pass_chunks((enum direction)(_i & 1), _i & 2, 1, 2);
}
END_TEST

START_TEST(a_chunked_body_may_come_byte_by_byte)
{
	struct relaying w;
	struct side s;

	relaying_open(&w, false);
	s = side_of(&w, (enum direction)_i);
	flow_begin(s.flow, HTTP1_CHUNKED, 0, true);
	relaying_start(&w);
	for (size_t i = 0; i < sizeof(chunked) - 1; i++) {
		peer_send(*s.source, chunked + i, 1);
		if (i < sizeof(chunked) - 2)
			still_wait();
	}
	ck_assert_int_eq(relaying_end(&w), RELAY_DONE);
	hears_message(s, true);
	relaying_close(&w);
}
END_TEST

START_TEST(what_is_no_chunk_is_a_fault_with_its_reason)
{
	static const char *const table[] = {
		"x\r\n",
		"4\r\nsomething",
		"-1\r\n",
		"0\r\nA b\r\n\r\n",
		"0\r\n folded\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct relaying w;
		struct side s;

		relaying_open(&w, false);
		s = side_of(&w, (enum direction)_i);
		flow_begin(s.flow, HTTP1_CHUNKED, 0, true);
		peer_say(*s.source, "2\r\nok\r\n");
		peer_say(*s.source, table[i]);
		ck_assert_int_eq(relaying_go(&w), failed((enum direction)_i));
		ck_assert_int_eq(s.flow->failure, FLOW_INVALID);
		ck_assert_ptr_nonnull(s.flow->body.why);
		relaying_close(&w);
	}
}
END_TEST

START_TEST(what_came_before_a_fault_goes_out_before_it_is_told)
{
	struct relaying w;
	size_t jammed;

	relaying_open(&w, false);
	jammed = jam(&w.client);
	flow_begin(&w.relay.down, HTTP1_CHUNKED, 0, true);
	relaying_start(&w);
	peer_say(w.backend_peer, "2\r\nok\r\nno chunk");
	still_wait();
	unjam(w.client_peer, jammed);
	ck_assert_int_eq(relaying_end(&w), RELAY_BACKEND_FAILED);
	ck_assert_int_eq(w.relay.down.failure, FLOW_INVALID);
	peer_hears(w.client_peer, "2\r\nok\r\n");
	peer_hears_nothing(w.client_peer);
	relaying_close(&w);
}
END_TEST

/* The bytes read are more than the other buffer takes at once, and the end has been seen. */
START_TEST(an_end_waits_for_what_is_still_to_be_decoded)
{
	struct message m;
	struct traffic t;
	struct relaying w;

	message_make(&m, HTTP1_CHUNKED, IN_SIZE / 2);
	traffic_open(&t, &m, true);
	relaying_open(&w, false);
	w.buf[3].cap = BODY_TRAILERS_MAX + 1024;
	peer_send(w.backend_peer, m.raw, m.raw_len);
	peer_close(&w.backend_peer);
	relaying_read_answer(&w);
	flow_begin(&w.relay.down, HTTP1_CHUNKED, 0, true);
	ck_assert_int_eq(relaying_go(&w), RELAY_DONE);
	t.sent = m.raw_len;
	pour(&t, -1, w.client_peer);
	traffic_check(&t);
	message_free(&m);
	relaying_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("relay: chunks");
	TCase *t = case_add(s, "chunks");

	tcase_add_loop_test(t, a_chunked_body_may_be_split_anywhere, 0, 4);
	tcase_add_loop_test(t, a_chunked_body_may_come_byte_by_byte, 0, 2);
	tcase_add_loop_test(t, what_is_no_chunk_is_a_fault_with_its_reason, 0, 2);
	tcase_add_test(t, an_end_waits_for_what_is_still_to_be_decoded);
	tcase_add_test(t, what_came_before_a_fault_goes_out_before_it_is_told);
	return suite_run(s);
}
