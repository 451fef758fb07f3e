/* SPDX-License-Identifier: MIT */
/* relay.c: ends of messages, and early answers. */
#include "proxy/relay.h"

#include "relaying.h"

/* ---- ends of messages */

START_TEST(a_body_of_known_length_passes_and_what_follows_stays)
{
	struct relaying w;
	struct side s;

	relaying_open(&w, false);
	s = side_of(&w, (enum direction)_i);
	flow_begin(s.flow, HTTP1_LENGTH, 10, true);
	peer_say(*s.source, "0123456789next");
	ck_assert_int_eq(relaying_go(&w), RELAY_DONE);
	peer_hears(*s.sink, "0123456789");
	peer_hears_nothing(*s.sink);
	holds(s.flow->in, "next");
	ck_assert_uint_eq(s.flow->bytes, 10);
	ck_assert(s.to->output == STREAM_OUT_OPEN);
	relaying_close(&w);
}
END_TEST

START_TEST(what_was_composed_goes_before_what_was_read)
{
	struct relaying w;
	struct side s;

	relaying_open(&w, false);
	s = side_of(&w, (enum direction)_i);
	flow_begin(s.flow, HTTP1_LENGTH, 6, true);
	ck_assert_int_eq(buf_put_slice(s.flow->out, SLICE("head, ")), 0);
	ck_assert_int_eq(buf_put_slice(s.flow->in, SLICE("body")), 0);
	peer_say(*s.source, "!!");
	ck_assert_int_eq(relaying_go(&w), RELAY_DONE);
	peer_hears(*s.sink, "head, body!!");
	ck_assert_uint_eq(s.flow->bytes, 6);
	relaying_close(&w);
}
END_TEST

START_TEST(nothing_is_read_where_no_body_is_due)
{
	struct relaying w;
	struct side s;

	relaying_open(&w, false);
	s = side_of(&w, (enum direction)_i);
	flow_begin(s.flow, HTTP1_NO_BODY, 0, true);
	peer_say(*s.source, "next");
	ck_assert_int_eq(relaying_go(&w), RELAY_DONE);
	peer_hears_nothing(*s.sink);
	ck_assert_uint_eq(buf_len(s.flow->in), 0);
	relaying_close(&w);
}
END_TEST

START_TEST(a_body_until_close_ends_with_the_stream)
{
	struct relaying w;

	relaying_open(&w, false);
	flow_begin(&w.relay.down, HTTP1_UNTIL_CLOSE, 0, false);
	relaying_start(&w);
	peer_say(w.backend_peer, "all there is");
	still_wait();
	peer_hears(w.client_peer, "all there is");
	peer_close(&w.backend_peer);
	ck_assert_int_eq(relaying_end(&w), RELAY_DONE);
	ck_assert(w.client.output == STREAM_OUT_OPEN);
	peer_hears_nothing(w.client_peer);
	relaying_close(&w);
}
END_TEST

/* Bytes and the end have been read before anybody knew of a body. */
START_TEST(an_end_that_was_seen_before_the_body_began_counts)
{
	static const struct {
		enum http1_framing framing;
		uint64_t length;
		const char *body, *heard;
		enum relay_result end;
	} table[] = {
		{ HTTP1_UNTIL_CLOSE, 0, "some", "some", RELAY_DONE },
		{ HTTP1_UNTIL_CLOSE, 0, "", "", RELAY_DONE },
		{ HTTP1_LENGTH, 4, "some", "some", RELAY_DONE },
		{ HTTP1_LENGTH, 5, "some", "some", RELAY_BACKEND_FAILED },
		{ HTTP1_LENGTH, 5, "", "", RELAY_BACKEND_FAILED },
		{ HTTP1_CHUNKED, 0, "4\r\nsome\r\n0\r\n\r\n", "4\r\nsome\r\n0\r\n\r\n",
		  RELAY_DONE },
		{ HTTP1_CHUNKED, 0, "4\r\nsome\r\n0\r\n", "4\r\nsome\r\n",
		  RELAY_BACKEND_FAILED },
		{ HTTP1_CHUNKED, 0, "", "", RELAY_BACKEND_FAILED },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct relaying w;

		relaying_open(&w, false);
		relaying_await(&w);
		peer_say(w.backend_peer, RESPONSE);
		peer_say(w.backend_peer, table[i].body);
		peer_close(&w.backend_peer);
		relaying_read_answer(&w);
		ck_assert_int_eq(relaying_go(&w), RELAY_RESPONSE);
		relaying_respond(&w, table[i].framing, table[i].length, true);
		ck_assert_int_eq(relaying_go(&w), table[i].end);
		if (table[i].end == RELAY_BACKEND_FAILED)
			ck_assert_int_eq(w.relay.down.failure, FLOW_INCOMPLETE);
		peer_hears(w.client_peer, table[i].heard);
		peer_hears_nothing(w.client_peer);
		relaying_close(&w);
	}
}
END_TEST

START_TEST(a_stream_that_ends_in_mid_body_has_failed)
{
	static const struct {
		enum http1_framing framing;
		const char *sent, *heard; /* in chunks of the gate's own */
	} table[] = {
		{ HTTP1_LENGTH, "123456789", "123456789" },
		{ HTTP1_LENGTH, "", "" },
		{ HTTP1_CHUNKED, "", "" },
		{ HTTP1_CHUNKED, "4", "" },
		{ HTTP1_CHUNKED, "4\r\nso", "2\r\nso\r\n" },
		{ HTTP1_CHUNKED, "4\r\nsome\r\n", "4\r\nsome\r\n" },
		{ HTTP1_CHUNKED, "4\r\nsome\r\n0\r\n", "4\r\nsome\r\n" },
		{ HTTP1_CHUNKED, "4\r\nsome\r\n0\r\nA: b\r\n", "4\r\nsome\r\n" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct relaying w;
		struct side s;

		relaying_open(&w, false);
		s = side_of(&w, (enum direction)_i);
		flow_begin(s.flow, table[i].framing, 10, true);
		relaying_start(&w);
		peer_say(*s.source, table[i].sent);
		still_wait();
		peer_close(s.source);
		ck_assert_int_eq(relaying_end(&w), failed((enum direction)_i));
		ck_assert_int_eq(s.flow->failure, FLOW_INCOMPLETE);
		peer_hears(*s.sink, table[i].heard);
		peer_hears_nothing(*s.sink); /* no last chunk above all */
		relaying_close(&w);
	}
}
END_TEST

/* ---- early answers */

START_TEST(an_answer_may_come_while_the_body_is_still_coming)
{
	struct relaying w;

	relaying_open(&w, false);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 10, true);
	relaying_await(&w);
	relaying_start(&w);
	peer_say(w.client_peer, "01234");
	peer_hears(w.backend_peer, "01234");
	peer_say(w.backend_peer, RESPONSE);
	ck_assert_int_eq(relaying_end(&w), RELAY_RESPONSE);
	relaying_respond(&w, HTTP1_LENGTH, 6, true);
	relaying_start(&w);
	peer_say(w.backend_peer, "answer");
	peer_hears(w.client_peer, "answer");
	still_wait();
	peer_say(w.client_peer, "56789");
	ck_assert_int_eq(relaying_end(&w), RELAY_DONE);
	peer_hears(w.backend_peer, "56789");
	relaying_close(&w);
}
END_TEST

START_TEST(an_answer_may_suffice)
{
	struct relaying w;

	relaying_open(&w, false);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 10, true);
	flow_begin(&w.relay.down, HTTP1_LENGTH, 6, true);
	w.relay.response_suffices = true;
	peer_say(w.backend_peer, "answer");
	ck_assert_int_eq(relaying_go(&w), RELAY_DONE);
	peer_hears(w.client_peer, "answer");
	relaying_close(&w);
}
END_TEST

/* The backend answers, then closes with some of the body unread, which resets. */
static void answer_and_reset(struct relaying *w, const char *answer)
{
	ck_assert_int_eq(send(w->upstream.stream.fd, "unread", 6, 0), 6);
	peer_say(w->backend_peer, answer);
	peer_close(&w->backend_peer);
	peer_say(w->client_peer, "body");
}

/* The flow up finds out first, and the answer is there all the same. */
START_TEST(an_answer_sent_before_a_reset_is_read)
{
	struct relaying w;

	relaying_open(&w, _i);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 100, true);
	relaying_await(&w);
	answer_and_reset(&w, RESPONSE "answer");
	ck_assert_int_eq(relaying_go(&w), RELAY_RESPONSE);
	ck_assert_int_eq(w.relay.up.state, FLOW_TARGET_CLOSED);
	relaying_respond(&w, HTTP1_LENGTH, 6, true);
	ck_assert_int_eq(relaying_go(&w), RELAY_DONE);
	peer_hears(w.client_peer, "answer");
	relaying_close(&w);
}
END_TEST

/* Only a reset shows that such an answer is not complete, so it must not get lost. */
START_TEST(a_reset_is_no_end_of_an_answer_until_close)
{
	struct relaying w;

	relaying_open(&w, _i);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 100, true);
	flow_begin(&w.relay.down, HTTP1_UNTIL_CLOSE, 0, true);
	answer_and_reset(&w, "part of an answer");
	ck_assert_int_eq(relaying_go(&w), RELAY_BACKEND_FAILED);
	ck_assert_int_eq(w.relay.up.state, FLOW_TARGET_CLOSED);
	ck_assert_int_eq(w.relay.down.error, -ECONNRESET);
	peer_hears(w.client_peer, "part of an answer");
	relaying_close(&w);
}
END_TEST

/* Back-pressure: else a backend with many of them would fill the buffer. */
START_TEST(no_response_is_read_before_the_client_has_the_interim_one)
{
	struct relaying w;
	size_t jammed;

	relaying_open(&w, _i);
	relaying_await(&w);
	jammed = jam(&w.client);
	ck_assert_int_eq(buf_put_slice(w.relay.down.out, SLICE("interim")), 0);
	relaying_start(&w);
	peer_say(w.backend_peer, RESPONSE);
	still_wait();
	ck_assert(still_asks(w.client.fd, POLLOUT));
	ck_assert(!still_asks(w.upstream.stream.fd, POLLIN));
	ck_assert_uint_lt(still_calls(), 10);
	unjam(w.client_peer, jammed);
	ck_assert_int_eq(relaying_end(&w), RELAY_RESPONSE);
	peer_hears(w.client_peer, "interim");
	relaying_close(&w);
}
END_TEST

/* A backend that reads no more, but has not said anything yet. */
START_TEST(what_nobody_takes_is_no_busy_loop)
{
	struct relaying w;

	relaying_open(&w, false);
	flow_begin(&w.relay.up, HTTP1_LENGTH, 100, true);
	relaying_await(&w);
	ck_assert_int_eq(shutdown(w.backend_peer, SHUT_RD), 0);
	relaying_start(&w);
	peer_say(w.client_peer, "body");
	still_wait();
	ck_assert_int_eq(w.relay.up.state, FLOW_TARGET_CLOSED);
	ck_assert_uint_lt(still_calls(), 10);
	peer_say(w.backend_peer, RESPONSE);
	ck_assert_int_eq(relaying_end(&w), RELAY_RESPONSE);
	relaying_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = relay_suite("relay");
	TCase *t = case_add(s, "ends of messages");

	tcase_add_loop_test(t, a_body_of_known_length_passes_and_what_follows_stays, 0,
			    2);
	tcase_add_loop_test(t, what_was_composed_goes_before_what_was_read, 0, 2);
	tcase_add_loop_test(t, nothing_is_read_where_no_body_is_due, 0, 2);
	tcase_add_test(t, a_body_until_close_ends_with_the_stream);
	tcase_add_test(t, an_end_that_was_seen_before_the_body_began_counts);
	tcase_add_loop_test(t, a_stream_that_ends_in_mid_body_has_failed, 0, 2);
	t = case_add(s, "early answers");
	tcase_add_test(t, an_answer_may_come_while_the_body_is_still_coming);
	tcase_add_test(t, an_answer_may_suffice);
	tcase_add_loop_test(t, no_response_is_read_before_the_client_has_the_interim_one,
			    0, 2);
	tcase_add_loop_test(t, an_answer_sent_before_a_reset_is_read, 0, 2);
	tcase_add_loop_test(t, a_reset_is_no_end_of_an_answer_until_close, 0, 2);
	tcase_add_test(t, what_nobody_takes_is_no_busy_loop);
	return suite_run(s);
}
