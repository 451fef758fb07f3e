/* SPDX-License-Identifier: MIT */
/* link.c: when the connection that was kept to a backend may be used again. */
#include "proxy/link.h"

#include <poll.h>

#include "testing.h"
#include "world.h"

/* What the clock may move on during a test without changing what is expected, ms. */
#define SLACK_MS 900

/* A link at rest since so many ms after that answer; its peer. */
static struct link link_after(const char *answer, uint64_t rest_ms, int *peer)
{
	struct link l = LINK_NONE;
	struct http1_head head;
	struct slice raw = answer_read(answer, &head);

	stream_pair(true, &l.stream, peer);
	link_take_answer(&l, &head);
	link_rest(&l);
	ck_assert_uint_le(clock_ms() - l.since_ms, SLACK_MS);
	l.since_ms -= rest_ms;
	slice_free(raw);
	return l;
}

/* Whether it may be used again; what may not is closed. */
static bool reusable(struct link *l, int *peer, bool repeatable)
{
	bool good = link_reusable(l, repeatable);

	ck_assert_int_eq(l->stream.fd >= 0, good);
	if (good)
		peer_hears_nothing(*peer);
	link_drop(l);
	link_drop(l);
	ck_assert_int_eq(l->stream.fd, -1);
	ck_assert(!link_reusable(l, repeatable));
	peer_close(peer);
	return good;
}

#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
#define END  "\r\n"
#define KEPT "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
#define HOUR 3600000
#define DAY  (24 * HOUR)
#define WEEK (7 * (uint64_t)DAY)

static const struct {
	const char *answer;
	uint64_t rest_ms;
	bool once, twice; /* for a request that cannot be repeated; for one that can */
} table[] = {
	/* what the answer says */
	{ OK END, 0, true, true },
	{ KEPT, 0, true, true },
	{ OK "Connection: close\r\n" END, 0, false, false },
	{ OK "Connection: x, Close\r\n" END, 0, false, false },
	{ "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 0, false, false },
	{ "HTTP/1.1 200 OK\r\n\r\n", 0, false, false }, /* until close */
	{ "HTTP/1.1 204 No Content\r\n\r\n", 0, true, true },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, true, true },
	/* the few seconds in which a request that cannot be repeated is trusted to it */
	{ OK END, 2000 - SLACK_MS - 1, true, true },
	{ OK END, 2000, false, true },
	{ OK END, WEEK, false, true },
	/* the backend's own time-out, less a second */
	{ OK "Keep-Alive: timeout=5\r\n" END, 4000 - SLACK_MS - 1, false, true },
	{ OK "Keep-Alive: timeout=5\r\n" END, 4000, false, false },
	{ OK "Keep-Alive: timeout=2\r\n" END, 0, true, true },
	{ OK "Keep-Alive: timeout=1\r\n" END, 0, false, false },
	{ OK "Keep-Alive: timeout=0\r\n" END, 0, false, false },
	{ OK "Keep-Alive: timeout=\r\n" END, 0, false, false },
	{ OK "keep-alive: max=100 ,\tTimeout=5, x\r\n" END, 4000, false, false },
	{ OK "Keep-Alive: max=100, xtimeout=5\r\n" END, HOUR, false, true },
	{ OK "Keep-Alive: timeout=86400\r\n" END, DAY - 1000, false, false },
	{ OK "Keep-Alive: timeout=86400\r\n" END, DAY - 1001 - SLACK_MS, false, true },
	{ OK "Keep-Alive: timeout=86401\r\n" END, DAY - 1000, false, false },
	{ OK "Keep-Alive: timeout=99999999999999999999999\r\n" END, HOUR, false, true },
	{ OK "Keep-Alive: timeout=99999999999999999999999\r\n" END, DAY, false, false },
};

START_TEST(it_obeys_the_answer_and_the_time)
{
	int peer;
	struct link l = link_after(table[_i].answer, table[_i].rest_ms, &peer);

	ck_assert_int_eq(reusable(&l, &peer, false), table[_i].once);
	l = link_after(table[_i].answer, table[_i].rest_ms, &peer);
	ck_assert_int_eq(reusable(&l, &peer, true), table[_i].twice);
}
END_TEST

/* Bytes that nobody asked for are no answer to what comes next (response splitting). */
START_TEST(what_came_meanwhile_spoils_it)
{
	for (int what = 0; what < 3; what++) {
		int peer;
		struct link l = link_after(OK END, 0, &peer);

		if (what == 0)
			peer_say(peer, OK END);
		else if (what == 1)
			ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
		else
			peer_reset(&peer);
		ck_assert(!reusable(&l, &peer, true));
	}
}
END_TEST

/* What poll has seen need not be looked for again, and what it has seen spoils it. */
START_TEST(what_was_watched_is_not_looked_at_again)
{
	int peer;
	struct link l = link_after(OK END, 0, &peer);

	ck_assert_int_eq(link_watch(&l), l.stream.fd);
	link_watched(&l, 0);
	peer_say(peer, OK END); /* later than poll */
	ck_assert(link_reusable(&l, true));
	link_unwatch(&l);
	ck_assert(!reusable(&l, &peer, true));
	l = link_after(OK END, 0, &peer);
	link_watched(&l, POLLIN);
	ck_assert_int_eq(l.stream.fd, -1);
	ck_assert_int_eq(link_watch(&l), -1);
	peer_hears_end(peer);
	peer_close(&peer);
}
END_TEST

START_TEST(a_link_to_nowhere_is_not_reusable)
{
	struct link l = LINK_NONE;

	ck_assert(!link_reusable(&l, true));
	ck_assert_int_eq(link_watch(&l), -1);
	link_watched(&l, 0);
	ck_assert(!link_reusable(&l, true));
	link_drop(&l);
	ck_assert_int_eq(l.stream.fd, -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("link");
	TCase *t = case_add(s, "link");

	tcase_add_loop_test(t, it_obeys_the_answer_and_the_time, 0, (int)LENGTH(table));
	tcase_add_test(t, what_came_meanwhile_spoils_it);
	tcase_add_test(t, what_was_watched_is_not_looked_at_again);
	tcase_add_test(t, a_link_to_nowhere_is_not_reusable);
	return suite_run(s);
}
