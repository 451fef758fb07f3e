/* SPDX-License-Identifier: MIT */
/* upstream.c: a backend is asked step by step, without a client; its connection is used again. */
#include "proxy/upstream.h"

#include "peers.h"
#include "testing.h"

/* The clock may move on so far during a test without changing what is expected, ms. */
#define SLACK_MS 900
#define LONG_MS  60000
#define SHORT_MS 60
#define ROOM     4096

#define REQUEST "GET / HTTP/1.1\r\n\r\n"

/* A backend, which is the test, and the connection to it. */
struct asking {
	struct backend be;
	int listener, peer;
	struct upstream up;
	struct upstream_request request;
	struct fault fault;
	struct buf in, out;
	struct http1_head response;
};

static void asking_open(struct asking *a)
{
	struct sockaddr_in *address = (struct sockaddr_in *)&a->be.addr;
	uint16_t port;

	fds_note();
	*a = (struct asking){ .peer = -1 };
	a->listener = peer_listen("127.0.0.1", 1, &port);
	*address = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_port = htons(port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	a->be.addr_len = sizeof(*address);
	a->be.literal = true;
	a->be.name = "backend";
	a->be.section = "NextJs";
	a->be.url = "http://127.0.0.1";
	a->request = (struct upstream_request){
		.repeatable = true,
		.connect_ms = LONG_MS,
		.response_ms = LONG_MS,
		.head_max = ROOM / 2,
		.fault = &a->fault,
	};
	a->in = (struct buf){ .data = malloc(ROOM), .cap = ROOM };
	a->out = (struct buf){ .data = malloc(ROOM), .cap = ROOM };
	upstream_init(&a->up, &a->be);
}

static void asking_close(struct asking *a)
{
	upstream_close(&a->up);
	upstream_close(&a->up); /* does no harm */
	ck_assert_int_eq(a->up.stream.fd, -1);
	peer_close(&a->peer);
	peer_close(&a->listener);
	free(a->in.data);
	free(a->out.data);
	fds_check();
}

static enum upstream_result asking_start(struct asking *a)
{
	buf_reset(&a->out);
	ck_assert_int_eq(buf_put_slice(&a->out, SLICE(REQUEST)), 0);
	return upstream_start(&a->up, &a->request, &a->in, &a->out, &a->response);
}

/* One poll, and the step after it. */
static enum upstream_result asking_step(struct asking *a)
{
	struct upstream *u = &a->up;
	struct pollfd p[] = { { .fd = -1 }, upstream_poll(u, true, false) };
	int r = upstream_ready(u) ? 0
				  : clock_wait(p, 2, clock_ms(), upstream_deadline_ms(u));

	if (r == -ETIMEDOUT)
		return upstream_expire(u);
	ck_assert_int_ge(r, 0);
	upstream_note_events(u, p[1].revents);
	return upstream_step(u);
}

/* Goes on until it has a result. */
static enum upstream_result asking_go(struct asking *a)
{
	enum upstream_result result;

	do
		result = asking_step(a);
	while (result == UPSTREAM_WAITING);
	return result;
}

/* Goes on until the request has gone; then the backend has it. */
static void asking_send(struct asking *a)
{
	while (a->up.phase != UPSTREAM_AWAITING)
		ck_assert_int_eq(asking_step(a), UPSTREAM_WAITING);
	if (a->peer < 0)
		a->peer = peer_accept(a->listener);
	peer_hears(a->peer, REQUEST);
}

static void asking_fails(struct asking *a, enum fault_blame blame, unsigned status,
			 const char *reason)
{
	const struct fault *f = &a->fault;

	ck_assert_msg(f->blame == blame && f->status == status &&
			      strstr(f->reason, reason),
		      "%d, %u: %s", f->blame, f->status, f->reason);
}

/* ---- one request */

START_TEST(a_request_goes_and_its_responses_come_one_after_the_other)
{
	struct asking a;

	asking_open(&a);
	ck_assert_int_eq(asking_start(&a), UPSTREAM_WAITING);
	ck_assert_int_eq(a.up.phase, UPSTREAM_DIALLING);
	asking_send(&a);
	peer_say(a.peer, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
			 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
	for (unsigned i = 0; i < 3; i++) {
		static const unsigned status[] = { 103, 102, 200 };

		ck_assert_msg(asking_go(&a) == UPSTREAM_RESPONSE, "%s", a.fault.reason);
		ck_assert_uint_eq(a.response.status, status[i]);
		ck_assert_int_eq(a.up.phase,
				 i < 2 ? UPSTREAM_AWAITING : UPSTREAM_RESPONDED);
		upstream_next(&a.up);
	}
	ck_assert(slice_eq(buf_slice(&a.in), SLICE("body")));
	asking_close(&a);
}
END_TEST

START_TEST(a_head_may_come_byte_by_byte)
{
	static const char head[] = "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n";
	struct asking a;

	asking_open(&a);
	(void)asking_start(&a);
	asking_send(&a);
	for (size_t i = 0; i + 1 < sizeof(head); i++) {
		enum upstream_result due =
			i + 2 < sizeof(head) ? UPSTREAM_WAITING : UPSTREAM_RESPONSE;

		peer_send(a.peer, &head[i], 1);
		ck_assert_int_eq(asking_step(&a), due);
	}
	ck_assert_uint_eq(a.response.status, 204);
	asking_close(&a);
}
END_TEST

static const struct {
	const char *said;
	const char *reason;
} wrong[] = {
	{ "", "closed the connection before its response began" },
	{ "HTTP/1.1 200 OK\r\n",
	  "closed the connection before its response was complete" },
	{ "HTTP/1.1 100 Continue\r\n\r\n", "before its response began" },
	{ "SSH-2.0-x\r\n", "does not speak HTTP/1.1 (it sent \"SSH-2.0-x\")" },
	{ "HTTP/1.1 200 OK\n\n", "sent an invalid response: " },
	{ "HTTP/1.1 99 x\r\n\r\n", "sent an invalid response: " },
};

START_TEST(a_wrong_response_is_the_backends_fault)
{
	enum upstream_result result;
	struct asking a;

	asking_open(&a);
	(void)asking_start(&a);
	asking_send(&a);
	peer_say(a.peer, wrong[_i].said);
	ck_assert_int_eq(shutdown(a.peer, SHUT_WR), 0);
	while ((result = asking_go(&a)) == UPSTREAM_RESPONSE)
		upstream_next(&a.up);
	ck_assert_int_eq(result, UPSTREAM_FAILED);
	asking_fails(&a, FAULT_BACKEND, 502, wrong[_i].reason);
	asking_close(&a);
}
END_TEST

START_TEST(a_refusal_is_the_backends_fault)
{
	enum upstream_result result;
	struct asking a;

	asking_open(&a);
	peer_close(&a.listener);
	result = asking_start(&a);
	if (result == UPSTREAM_WAITING)
		result = asking_go(&a);
	ck_assert_int_eq(result, UPSTREAM_FAILED);
	asking_fails(&a, FAULT_BACKEND, 502, "Connection refused");
	ck_assert_str_eq(a.fault.shown, "backend refused the connection");
	asking_close(&a);
}
END_TEST

START_TEST(the_response_is_due_from_the_end_of_the_request_on)
{
	struct asking a;
	uint64_t sent_ms;

	asking_open(&a);
	a.request.response_ms = SHORT_MS;
	(void)asking_start(&a);
	asking_send(&a);
	sent_ms = clock_ms();
	upstream_body_sent(&a.up, sent_ms);
	ck_assert_int_eq(asking_go(&a), UPSTREAM_FAILED);
	ck_assert_uint_ge(clock_ms() - sent_ms, SHORT_MS);
	asking_fails(&a, FAULT_BACKEND, 504, "timed out waiting for the response head");
	asking_close(&a);
}
END_TEST

/* ---- a response before all of the request is sent */

#define LARGE (16 * 1024 * 1024) /* more than the sockets of the kernel take */

/* Goes on until the sockets are full; the backend has accepted the connection and reads nothing. */
static void asking_fill(struct asking *a)
{
	free(a->out.data);
	a->out = (struct buf){ .data = calloc(1, LARGE), .cap = LARGE, .end = LARGE };
	ck_assert_ptr_nonnull(a->out.data);
	ck_assert_int_eq(
		upstream_start(&a->up, &a->request, &a->in, &a->out, &a->response),
		UPSTREAM_WAITING);
	while (a->peer < 0 || upstream_ready(&a->up)) {
		ck_assert_int_eq(asking_step(a), UPSTREAM_WAITING);
		if (a->peer < 0 && a->up.phase == UPSTREAM_SENDING)
			a->peer = peer_accept(a->listener);
	}
	ck_assert_int_eq(a->up.phase, UPSTREAM_SENDING);
	ck_assert_uint_gt(buf_len(&a->out), 0);
}

START_TEST(a_response_may_come_before_all_of_the_request_is_sent)
{
	struct asking a;

	asking_open(&a);
	asking_fill(&a);
	peer_say(a.peer, "HTTP/1.1 103 Early Hints\r\n\r\n"
			 "HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n");
	ck_assert_int_eq(asking_go(&a), UPSTREAM_RESPONSE);
	ck_assert_uint_eq(a.response.status, 103);
	ck_assert_int_eq(a.up.phase, UPSTREAM_SENDING);
	upstream_next(&a.up);
	ck_assert_int_eq(asking_go(&a), UPSTREAM_RESPONSE);
	ck_assert_uint_eq(a.response.status, 431);
	ck_assert_int_eq(a.up.phase, UPSTREAM_RESPONDED);
	upstream_next(&a.up);
	/* another head would follow half of this one */
	upstream_keep(&a.up);
	ck_assert_int_eq(a.up.phase, UPSTREAM_CLOSED);
	asking_close(&a);
}
END_TEST

static const struct {
	const char *said, *reason;
} early[] = {
	{ "", "closed the connection before its response began" },
	{ "HTTP/1.1 101 Switching Protocols\r\n\r\n",
	  "sent 101 before it had read the request" },
	{ "SSH-2.0-x\r\n", "does not speak HTTP/1.1 (it sent \"SSH-2.0-x\")" },
};

START_TEST(a_wrong_response_before_all_of_the_request_is_sent)
{
	struct asking a;

	asking_open(&a);
	asking_fill(&a);
	peer_say(a.peer, early[_i].said);
	ck_assert_int_eq(shutdown(a.peer, SHUT_WR), 0);
	ck_assert_int_eq(asking_go(&a), UPSTREAM_FAILED);
	asking_fails(&a, FAULT_BACKEND, 502, early[_i].reason);
	asking_close(&a);
}
END_TEST

/* ---- the connection is used again */

#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
#define END  "\r\n"
#define KEPT "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
#define HOUR 3600000
#define DAY  (24 * HOUR)
#define WEEK (7 * (uint64_t)DAY)

static const struct {
	const char *response;
	uint64_t rest_ms;
	bool once, twice; /* for a request that cannot be repeated; for one that can */
} table[] = {
	/* the response's own word */
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
	{ OK "Keep-Alive: max=100\r\nKeep-Alive: timeout=5\r\n" END, 4000, false, false },
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

/* A connection at rest since so many ms after that response. */
static void asking_rest(struct asking *a, const char *response, uint64_t rest_ms)
{
	asking_open(a);
	(void)asking_start(a);
	asking_send(a);
	peer_say(a->peer, response);
	ck_assert_int_eq(asking_go(a), UPSTREAM_RESPONSE);
	upstream_next(&a->up);
	upstream_keep(&a->up);
	a->up.since_ms -= rest_ms;
}

/* Is the next request sent on the kept connection? Else that is closed, and another one dialled. */
static bool is_used_again(struct asking *a, bool repeatable)
{
	int before = a->up.stream.fd;
	bool used;

	a->request.repeatable = repeatable;
	(void)asking_start(a);
	used = a->up.phase == UPSTREAM_SENDING && before >= 0 &&
	       a->up.stream.fd == before;
	if (used)
		peer_hears_nothing(a->peer);
	return used;
}

START_TEST(it_obeys_the_response_and_the_time)
{
	struct asking a;

	asking_rest(&a, table[_i].response, table[_i].rest_ms);
	ck_assert_int_eq(is_used_again(&a, false), table[_i].once);
	asking_close(&a);
	asking_rest(&a, table[_i].response, table[_i].rest_ms);
	ck_assert_int_eq(is_used_again(&a, true), table[_i].twice);
	asking_close(&a);
}
END_TEST

/* Bytes that nobody asked for are no response to what comes next (response splitting). */
START_TEST(input_at_rest_spoils_it)
{
	for (int kind = 0; kind < 3; kind++) {
		struct asking a;

		asking_rest(&a, OK END, 0);
		if (kind == 0)
			peer_say(a.peer, OK END);
		else if (kind == 1)
			ck_assert_int_eq(shutdown(a.peer, SHUT_WR), 0);
		else
			peer_reset(&a.peer);
		ck_assert(!is_used_again(&a, true));
		asking_close(&a);
	}
}
END_TEST

/* The word of a poll saves another look at the socket; input that poll told of spoils it. */
START_TEST(what_poll_has_seen_is_not_looked_at_again)
{
	struct asking a;

	asking_rest(&a, OK END, 0);
	ck_assert_int_eq(upstream_kept_fd(&a.up), a.up.stream.fd);
	upstream_kept_events(&a.up, 0);
	peer_say(a.peer, OK END); /* later than poll */
	ck_assert(is_used_again(&a, true));
	asking_close(&a);

	asking_rest(&a, OK END, 0);
	upstream_kept_events(&a.up, 0);
	peer_say(a.peer, OK END);
	upstream_quiet_clear(&a.up);
	ck_assert(!is_used_again(&a, true));
	asking_close(&a);

	asking_rest(&a, OK END, 0);
	upstream_kept_events(&a.up, POLLIN);
	ck_assert_int_eq(a.up.phase, UPSTREAM_CLOSED);
	ck_assert_int_eq(upstream_kept_fd(&a.up), -1);
	peer_hears_end(a.peer);
	asking_close(&a);
}
END_TEST

/* It closes just as it is used: once more on a new one, and no more. */
START_TEST(a_kept_connection_that_ends_is_dialled_anew_once)
{
	struct asking a;

	asking_rest(&a, OK END, 0);
	ck_assert(is_used_again(&a, true));
	asking_send(&a);
	peer_close(&a.peer);
	while (a.up.phase != UPSTREAM_AWAITING || a.up.reused)
		ck_assert_int_eq(asking_step(&a), UPSTREAM_WAITING);
	asking_send(&a);
	peer_close(&a.peer);
	ck_assert_int_eq(asking_go(&a), UPSTREAM_FAILED);
	asking_fails(&a, FAULT_BACKEND, 502, "before its response began");
	asking_close(&a);
}
END_TEST

START_TEST(what_may_have_been_done_is_not_sent_again)
{
	struct asking a;

	asking_rest(&a, OK END, 0);
	ck_assert(is_used_again(&a, false));
	asking_send(&a);
	peer_close(&a.peer);
	ck_assert_int_eq(asking_go(&a), UPSTREAM_FAILED);
	asking_fails(&a, FAULT_BACKEND, 502, "before its response began");
	asking_close(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("upstream");
	TCase *t = case_add(s, "request");

	tcase_add_test(t, a_request_goes_and_its_responses_come_one_after_the_other);
	tcase_add_test(t, a_head_may_come_byte_by_byte);
	tcase_add_loop_test(t, a_wrong_response_is_the_backends_fault, 0,
			    (int)LENGTH(wrong));
	tcase_add_test(t, a_refusal_is_the_backends_fault);
	tcase_add_test(t, the_response_is_due_from_the_end_of_the_request_on);
	tcase_add_test(t, a_response_may_come_before_all_of_the_request_is_sent);
	tcase_add_loop_test(t, a_wrong_response_before_all_of_the_request_is_sent, 0,
			    (int)LENGTH(early));
	t = case_add(s, "kept");
	tcase_add_loop_test(t, it_obeys_the_response_and_the_time, 0, (int)LENGTH(table));
	tcase_add_test(t, input_at_rest_spoils_it);
	tcase_add_test(t, what_poll_has_seen_is_not_looked_at_again);
	tcase_add_test(t, a_kept_connection_that_ends_is_dialled_anew_once);
	tcase_add_test(t, what_may_have_been_done_is_not_sent_again);
	return suite_run(s);
}
