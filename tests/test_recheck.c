/* SPDX-License-Identifier: MIT */
/* recheck.c: the test is Next.js, and calls poll(2) as the relay does. */
#include "proxy/recheck.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config_text.h"
#include "peers.h"
#include "testing.h"

#define SPAN_MS 60000 /* RecheckSec= */
#define SECRET  "secret"
#define HEAD    "GET /may HTTP/1.1\r\nHost: a\r\nCookie: " SECRET "\r\n\r\n"
#define USER    "X-Novnc-User: alice\r\n"

struct rechecking {
	struct config cfg;
	struct upstream first; /* the connection of the first authorization request */
	struct recheck *r;
	int listener, peer;
	uint64_t since_ms; /* no request has begun since */
};

/* Next.js is given by name, or by address. */
static void rechecking_open(struct rechecking *w, bool by_name)
{
	uint16_t port;
	char text[100], head[] = HEAD;
	struct backend *be = &w->cfg.backend[CONFIG_NEXTJS];
	int fd;

	*w = (struct rechecking){ .peer = -1 };
	w->listener = peer_listen("127.0.0.1", 8, &port);
	(void)snprintf(text, sizeof(text), "[NextJs]\nUrl=http://127.0.0.1:%u\n", port);
	config_good(text, &w->cfg);
	w->cfg.recheck_ms = SPAN_MS;
	w->cfg.authorize_ms = SPAN_MS / 2;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert(connect(fd, (struct sockaddr *)&be->addr, be->addr_len) == 0 ||
		  errno == EINPROGRESS);
	w->peer = peer_accept(w->listener);
	upstream_init(&w->first, be);
	stream_open(fd, &w->first.stream);
	w->first.phase = UPSTREAM_RESPONDED;
	if (by_name) { /* which is not resolved: there is no such name */
		be->literal = false;
		(void)snprintf(be->host, sizeof(be->host), "no-such-host.invalid");
		memset(&be->addr, 0, sizeof(be->addr));
	}
	ck_assert_int_eq(recheck_new(&w->first, slice_str(head), &w->cfg, &w->r), 0);
	memset(head, 'x', sizeof(head)); /* it has a copy */
	upstream_close(&w->first);
	peer_close(&w->peer);
	w->since_ms = clock_ms();
	recheck_begin(w->r, w->since_ms);
}

static void rechecking_close(struct rechecking *w)
{
	recheck_free(&w->r);
	ck_assert_ptr_null(w->r);
	peer_close(&w->peer);
	peer_close(&w->listener);
	config_done(&w->cfg);
}

/* One round of the relay: waits for an event, which must come. */
static enum recheck_result turn(struct rechecking *w)
{
	struct pollfd p = recheck_poll(w->r);

	if (recheck_due_ms(w->r) > clock_ms()) {
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		recheck_note_events(w->r, p.revents);
	}
	return recheck_step(w->r, clock_ms());
}

/* RecheckSec= is over. */
static void time_passes(struct rechecking *w)
{
	uint64_t due_ms = recheck_due_ms(w->r);

	ck_assert(due_ms >= w->since_ms + SPAN_MS && due_ms <= clock_ms() + SPAN_MS);
	ck_assert_int_eq(recheck_step(w->r, due_ms - 1), RECHECK_WAITING);
	ck_assert_int_eq(recheck_poll(w->r).fd, -1);
	w->r->next_ms = clock_ms();
}

/* Next.js gets the request. */
static void asks(struct rechecking *w)
{
	char head[sizeof(HEAD)] = "";

	time_passes(w);
	do
		ck_assert_int_eq(turn(w), RECHECK_WAITING);
	while (w->r->upstream.phase != UPSTREAM_AWAITING);
	w->peer = peer_accept(w->listener);
	ck_assert_int_eq(recv(w->peer, head, sizeof(HEAD) - 1, MSG_WAITALL),
			 sizeof(HEAD) - 1);
	ck_assert_str_eq(head, HEAD);
}

/* The request ends so, and its connection is closed. */
static void ends(struct rechecking *w, enum recheck_result expected)
{
	enum recheck_result r;

	w->since_ms = clock_ms();
	while ((r = turn(w)) == RECHECK_WAITING)
		;
	ck_assert_int_eq(r, expected);
	ck_assert_int_eq(recheck_poll(w->r).fd, -1);
	peer_close(&w->peer);
}

static const struct {
	const char *answer;
	enum recheck_result result;
	const char *reason;
} answers[] = {
	{ "HTTP/1.1 200 OK\r\n" USER "\r\n", RECHECK_GRANTED, "" },
	{ "HTTP/1.1 200 OK\r\n" USER "Content-Length: 9\r\n\r\nx", RECHECK_GRANTED, "" },
	{ "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 103 x\r\n\r\nHTTP/1.1 204 OK\r\n" USER "\r\n",
	  RECHECK_GRANTED, "" },
	{ "HTTP/1.1 401 x\r\n\r\n", RECHECK_DENIED, "" },
	{ "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 403 x\r\n\r\n", RECHECK_DENIED, "" },
	{ "HTTP/1.1 404 x\r\nContent-Length: 9\r\n\r\n", RECHECK_DENIED, "" },
	{ "HTTP/1.1 200 OK\r\n\r\n", RECHECK_FAILED, "without a valid X-Novnc-User" },
	{ "HTTP/1.1 302 x\r\n" USER "\r\n", RECHECK_FAILED, "responded with 302" },
	{ "HTTP/1.1 101 x\r\n" USER "\r\n", RECHECK_FAILED, "responded with 101" },
	{ "HTTP/1.1 500 x\r\n\r\n", RECHECK_FAILED, "responded with 500" },
	{ "RFB 003.008\n", RECHECK_FAILED, "does not speak HTTP/1.1" },
	{ "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", RECHECK_FAILED, "invalid response" },
};

START_TEST(a_response_decides_whether_it_comes_whole_or_in_two)
{
	const char *answer = answers[_i].answer;

	for (size_t cut = 0; cut < strlen(answer); cut++) {
		struct rechecking w;

		rechecking_open(&w, cut % 2);
		asks(&w);
		if (cut > 0) {
			ck_assert_int_eq(send(w.peer, answer, cut, 0), (ssize_t)cut);
			if (turn(&w) != RECHECK_WAITING) { /* the rest does not matter */
				ck_assert_uint_gt(cut, 0);
				rechecking_close(&w);
				continue;
			}
		}
		peer_say(w.peer, answer + cut);
		ends(&w, answers[_i].result);
		ck_assert_ptr_nonnull(strstr(w.r->fault.reason, answers[_i].reason));
		rechecking_close(&w);
	}
}
END_TEST

START_TEST(each_proper_prefix_is_a_failure)
{
	const char *answer = answers[_i].answer, *end = strstr(answer, "\r\n\r\n");

	for (size_t cut = 0; end && cut < (size_t)(end - answer) + 4; cut++) {
		struct rechecking w;

		rechecking_open(&w, false);
		asks(&w);
		ck_assert_int_eq(send(w.peer, answer, cut, 0), (ssize_t)cut);
		peer_close(&w.peer);
		ends(&w, RECHECK_FAILED);
		rechecking_close(&w);
	}
}
END_TEST

START_TEST(only_the_first_failure_of_a_row_is_told)
{
	struct rechecking w;

	rechecking_open(&w, false);
	for (int row = 0; row < 2; row++) {
		for (int i = 0; i < 3; i++) {
			asks(&w);
			peer_say(w.peer, "HTTP/1.1 500 x\r\n\r\n");
			ends(&w, i == 0 ? RECHECK_FAILED : RECHECK_FAILED_AGAIN);
		}
		asks(&w);
		peer_say(w.peer, "HTTP/1.1 200 OK\r\n" USER "\r\n");
		ends(&w, RECHECK_GRANTED);
	}
	rechecking_close(&w);
}
END_TEST

START_TEST(a_refused_connection_is_a_failure_and_it_is_dialled_again)
{
	struct rechecking w;

	rechecking_open(&w, _i);
	peer_close(&w.listener);
	for (int i = 0; i < 3; i++) {
		time_passes(&w);
		ends(&w, i == 0 ? RECHECK_FAILED : RECHECK_FAILED_AGAIN);
		ck_assert_ptr_nonnull(strstr(w.r->fault.reason, "Connection refused"));
	}
	rechecking_close(&w);
}
END_TEST

START_TEST(it_does_not_wait_for_ever)
{
	struct rechecking w;
	uint64_t due_ms;

	rechecking_open(&w, false);
	asks(&w);
	due_ms = recheck_due_ms(w.r);
	ck_assert_uint_le(due_ms, clock_ms() + SPAN_MS / 2);
	ck_assert_int_eq(recheck_step(w.r, due_ms - 1), RECHECK_WAITING);
	ck_assert_int_eq(recheck_step(w.r, due_ms), RECHECK_FAILED);
	ck_assert_str_eq(w.r->fault.reason,
			 "timed out waiting for the response head from Next.js");
	peer_hears_end(w.peer);
	rechecking_close(&w);
}
END_TEST

START_TEST(stopped_it_asks_no_more)
{
	struct rechecking w;

	rechecking_open(&w, false);
	if (_i)
		asks(&w);
	recheck_stop(w.r);
	if (_i)
		peer_hears_end(w.peer);
	ck_assert_uint_eq(recheck_due_ms(w.r), CLOCK_INFINITY);
	ck_assert_int_eq(recheck_step(w.r, clock_ms() + 10 * (uint64_t)SPAN_MS),
			 RECHECK_WAITING);
	ck_assert_int_eq(recheck_poll(w.r).fd, -1);
	rechecking_close(&w);
}
END_TEST

START_TEST(it_has_the_family_of_the_first_connection)
{
	struct rechecking w;

	ck_assert_int_eq(recheck_family(NULL), AF_UNSPEC);
	rechecking_open(&w, _i);
	ck_assert_int_eq(recheck_family(w.r), AF_INET);
	rechecking_close(&w);
}
END_TEST

START_TEST(without_a_peer_there_is_none)
{
	struct rechecking w;
	struct recheck *r = NULL;

	rechecking_open(&w, true);
	w.first.stream.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(recheck_new(&w.first, SLICE(HEAD), &w.cfg, &r), -ENOTCONN);
	ck_assert_ptr_null(r);
	upstream_close(&w.first);
	rechecking_close(&w);
}
END_TEST

/* The mapping whose end is looked at: does it have the credentials then? */
static const void *mapping;
static enum { MAPPED, UNMAPPED_WIPED, UNMAPPED_WITH_SECRET } mapping_state;

static bool has_secret(const void *p, size_t len)
{
	return memmem(p, len, SECRET, strlen(SECRET)) != NULL;
}

/* In place of the one of the C library, as in the program. */
int munmap(void *p, size_t len)
{
	if (p == mapping && mapping_state == MAPPED)
		mapping_state =
			has_secret(p, len) ? UNMAPPED_WITH_SECRET : UNMAPPED_WIPED;
	return (int)syscall(SYS_munmap, p, len);
}

/* Before the first request, while Next.js has it, after the response, and stopped. */
START_TEST(the_credentials_are_wiped_at_the_end)
{
	struct rechecking w;

	rechecking_open(&w, false);
	mapping = w.r;
	if (_i >= 1)
		asks(&w);
	if (_i >= 2) {
		peer_say(w.peer, "HTTP/1.1 200 OK\r\n" USER "\r\n");
		ends(&w, RECHECK_GRANTED);
	}
	if (_i >= 3)
		recheck_stop(w.r);
	ck_assert(has_secret(w.r, w.r->storage_len));
	ck_assert_int_eq(mapping_state, MAPPED);
	rechecking_close(&w);
	ck_assert_int_eq(mapping_state, UNMAPPED_WIPED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("recheck");
	TCase *t = tcase_create("recheck");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	(void)signal(SIGPIPE, SIG_IGN); /* as main() does */
	tcase_add_loop_test(t, a_response_decides_whether_it_comes_whole_or_in_two, 0,
			    (int)LENGTH(answers));
	tcase_add_loop_test(t, each_proper_prefix_is_a_failure, 0, 7);
	tcase_add_test(t, only_the_first_failure_of_a_row_is_told);
	tcase_add_loop_test(t, a_refused_connection_is_a_failure_and_it_is_dialled_again,
			    0, 2);
	tcase_add_test(t, it_does_not_wait_for_ever);
	tcase_add_loop_test(t, stopped_it_asks_no_more, 0, 2);
	tcase_add_loop_test(t, it_has_the_family_of_the_first_connection, 0, 2);
	tcase_add_test(t, without_a_peer_there_is_none);
	tcase_add_loop_test(t, the_credentials_are_wiped_at_the_end, 0, 4);
	return suite_run(s);
}
