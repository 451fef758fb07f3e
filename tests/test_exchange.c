/* SPDX-License-Identifier: MIT */
/* exchange.c: requests are carried out in a thread, the test is client and backend. */
#include "proxy/exchange.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_text.h"
#include "log/journal.h"
#include "proxy/downstream.h"
#include "still.h"
#include "testing.h"
#include "websocket.h"
#include "world.h"

#define LONG_MS  60000
#define SHORT_MS 60

struct exchanging {
	struct world world;
	struct config cfg;
	struct client who;
	struct downstream down;
	int client, backend; /* the peers */
	int listener[CONFIG_BACKENDS];
	struct http1_head head;
	struct exchange x;
	enum exchange_end end;
	unsigned opened;
	int opened_result; /* what the tunnel is told */
	bool both_end;     /* as soon as it stands, before it is looked at again */
};

static void exchanging_open(struct exchanging *w)
{
	uint16_t port[CONFIG_BACKENDS];
	int client;
	char text[200];

	*w = (struct exchanging){ .backend = -1 };
	world_open(&w->world);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		w->listener[i] = peer_listen("127.0.0.1", 1, &port[i]);
	(void)snprintf(text, sizeof(text),
		       "[NextJs]\nUrl=http://127.0.0.1:%u\n"
		       "[MasterController]\nUrl=http://127.0.0.1:%u\n",
		       port[CONFIG_NEXTJS], port[CONFIG_CONTROLLER]);
	config_good(text, &w->cfg);
	w->cfg.connect_ms = w->cfg.upgrade_ms = w->cfg.response_ms = LONG_MS;
	w->cfg.body_ms = w->cfg.linger_ms = w->cfg.idle_ms = LONG_MS;
	w->who = (struct client){ .text = "192.0.2.1:1", .address = "192.0.2.1" };
	pair_open(true, &client, &w->client);
	ck_assert_int_eq(
		downstream_open(&w->down, client, &w->cfg, &w->who, w->world.stop[0]), 0);
	w->down.random = &tunnel_random;
	w->down.null_fd = -1;
	(void)still_calls();
}

static void exchanging_close(struct exchanging *w)
{
	downstream_done(&w->down);
	peer_close(&w->client);
	peer_close(&w->backend);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		peer_close(&w->listener[i]);
	config_done(&w->cfg);
	world_close(&w->world);
}

static void end_arrives(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	ck_assert_int_eq(poll(&p, 1, LONG_MS), 1);
}

static int on_opened(struct exchanging *w)
{
	w->opened++;
	if (w->both_end) {
		ck_assert_int_eq(shutdown(w->client, SHUT_WR), 0);
		ck_assert_int_eq(shutdown(w->backend, SHUT_WR), 0);
		end_arrives(w->down.stream.fd);
		end_arrives(w->down.upstream[CONFIG_CONTROLLER].stream.fd);
	}
	return w->opened_result;
}

/* Reads a head and carries it out, as conn.c does. */
static void *thread_run(void *userdata)
{
	struct exchanging *w = userdata;
	struct buf *in = &w->down.in;
	struct lines_scan scan = { 0 };
	struct http1_fault fault;
	struct verdict v;
	ssize_t len;

	while ((len = lines_scan(&scan, buf_slice(in), w->cfg.head_max)) == -EAGAIN) {
		buf_compact(in);
		ck_assert_int_eq(downstream_read(&w->down, CLOCK_INFINITY), 0);
		ck_assert(!stream_ended(&w->down.stream));
	}
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(
		http1_parse_request((struct slice){ in->data + in->start, (size_t)len },
				    &w->head, &fault),
		0);
	route_decide(&w->cfg, &w->head, &w->who, &v);
	ck_assert(v.kind == ROUTE_PLAIN || v.kind == ROUTE_UPGRADE);
	w->end = EXCHANGE_AUTHORIZED;
	if (w->cfg.authorize_path && v.backend == CONFIG_CONTROLLER)
		w->end = exchange_authorize(&w->x, &w->down, &w->head, (size_t)len, &v);
	if (w->end == EXCHANGE_AUTHORIZED)
		w->end = exchange_run(&w->x, &w->down, &w->head, (size_t)len, &v);
	if (w->end == EXCHANGE_TUNNEL) {
		int r = on_opened(w);

		w->end = r < 0 ? exchange_abort(&w->x, "opened", r)
			       : exchange_tunnel(&w->x);
	}
	return NULL;
}

/* An exchange begins with what the client says. */
static void begin(struct exchanging *w, const char *request)
{
	peer_say(w->client, request);
	world_start(&w->world, thread_run, w);
}

/* So it ends, and leaves nothing behind in any case. */
static void ends(struct exchanging *w, enum exchange_end end, unsigned status,
		 enum fault_blame blame, const char *reason)
{
	world_join(&w->world);
	ck_assert_msg(w->end == end && w->x.status == status && w->x.fault.blame == blame,
		      "it ended as %d with %u by %d: %s", w->end, w->x.status,
		      w->x.fault.blame, w->x.fault.reason);
	ck_assert_msg(strstr(w->x.fault.reason, reason), "\"%s\" is not \"%s\"",
		      w->x.fault.reason, reason);
	ck_assert_int_eq(w->x.fault.reason[0] != '\0', reason[0] != '\0');
	if (end == EXCHANGE_NO_RESPONSE) /* then the client is told, without an address */
		ck_assert_ptr_null(
			strstr(w->x.fault.shown[0] ? w->x.fault.shown : w->x.fault.reason,
			       "127.0.0.1"));
	ck_assert_uint_eq(buf_len(&w->down.backend_out), 0);
	ck_assert_uint_eq(buf_len(&w->down.backend_in), 0);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		ck_assert(w->down.upstream[i].stream.fd < 0 ||
			  w->down.upstream[i].phase == UPSTREAM_KEPT);
}

static void ends_well(struct exchanging *w, enum exchange_end end, unsigned status)
{
	ends(w, end, status, FAULT_NOBODY, "");
}

/* The next head at fd, as a string that the next call overwrites. */
static const char *hear_head(int fd)
{
	static char head[8192];
	size_t n = 0;

	do {
		ck_assert_uint_lt(n, sizeof(head) - 1);
		ck_assert_int_eq(recv(fd, head + n, 1, 0), 1);
		head[++n] = '\0';
	} while (n < 4 || strcmp(head + n - 4, "\r\n\r\n") != 0);
	return head;
}

static void backend_hears(struct exchanging *w, const char *request_line)
{
	const char *head = hear_head(w->backend);

	ck_assert_msg(strncmp(head, request_line, strlen(request_line)) == 0,
		      "\"%s\" is not %s", head, request_line);
}

/* A new connection, and the request on it. */
static void backend_accepts(struct exchanging *w, enum config_backend which,
			    const char *request_line)
{
	peer_close(&w->backend);
	w->backend = peer_accept(w->listener[which]);
	backend_hears(w, request_line);
}

/* The head that the client gets has, or has not, this line. */
static void client_hears(struct exchanging *w, const char *status_line, bool close)
{
	const char *head = hear_head(w->client);

	ck_assert_msg(strncmp(head, status_line, strlen(status_line)) == 0,
		      "\"%s\" is not %s", head, status_line);
	ck_assert_int_eq(strstr(head, "Connection: close\r\n") != NULL, close);
}

#define GET   "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET10 "GET /page HTTP/1.0\r\n\r\n"
#define HEAD  "HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST  "POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
#define POSTC "POST /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define WS(more)                                                                     \
	"GET /api/auth/session/s1/novnc/websock HTTP/1.1\r\nHost: a\r\n"             \
	"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" more
#define OK "HTTP/1.1 200 OK\r\n"
#define SWITCH                                                        \
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" \
	"Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

/* ---- what a backend may answer */

enum then { STAYS, CLOSES, RESETS };

static const struct {
	const char *request, *answer;
	enum then then;
	enum exchange_end end;
	unsigned status;
	enum fault_blame blame;
	const char *reason;
	const char *heard; /* by the client, all of it */
	bool kept;         /* where the backend stays */
} answers[] = {
	/* complete */
	{ GET, OK "Content-Length: 2\r\n\r\nok", STAYS, EXCHANGE_NEXT, 200, 0, "",
	  OK "Content-Length: 2\r\n\r\nok", true },
	{ GET, OK "Content-Length: 2\r\nConnection: close\r\n\r\nok", STAYS,
	  EXCHANGE_NEXT, 200, 0, "", OK "Content-Length: 2\r\n\r\nok", false },
	{ GET, OK "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", STAYS,
	  EXCHANGE_NEXT, 200, 0, "", OK "Content-Length: 2\r\n\r\nok", false },
	{ GET, OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", STAYS,
	  EXCHANGE_NEXT, 200, 0, "",
	  OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true },
	{ GET, OK "\r\nall", CLOSES, EXCHANGE_LAST, 200, 0, "",
	  OK "Connection: close\r\n\r\nall", false },
	{ GET, "HTTP/1.1 204 No Content\r\n\r\n", STAYS, EXCHANGE_NEXT, 204, 0, "",
	  "HTTP/1.1 204 No Content\r\n\r\n", true },
	{ GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", STAYS,
	  EXCHANGE_NEXT, 304, 0, "",
	  "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", true },
	{ HEAD, OK "Content-Length: 9\r\n\r\n", STAYS, EXCHANGE_NEXT, 200, 0, "",
	  OK "Content-Length: 9\r\n\r\n", true },
	/* interim heads and the final one in one segment */
	{ GET,
	  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" OK
	  "Content-Length: 2\r\n\r\nok",
	  STAYS, EXCHANGE_NEXT, 200, 0, "",
	  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" OK
	  "Content-Length: 2\r\n\r\nok",
	  true },
	/* to HTTP/1.0: no interim head, no chunks, no further request */
	{ GET10, "HTTP/1.1 103 Early Hints\r\n\r\n" OK "Content-Length: 2\r\n\r\nok",
	  STAYS, EXCHANGE_LAST, 200, 0, "",
	  OK "Content-Length: 2\r\nConnection: close\r\n\r\nok", false },
	{ "GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	  OK "Content-Length: 2\r\n\r\nok", STAYS, EXCHANGE_LAST, 200, 0, "",
	  OK "Content-Length: 2\r\nConnection: close\r\n\r\nok", false },
	{ GET10, OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
	  STAYS, EXCHANGE_LAST, 200, 0, "", OK "Connection: close\r\n\r\nok", false },
	/* none: a reply is due */
	{ GET, "", CLOSES, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND,
	  "Next.js closed the connection before its response began", "", false },
	{ GET, OK "Content-Le", CLOSES, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND,
	  "before its response was complete", "", false },
	{ GET, "", RESETS, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND,
	  "the connection to Next.js failed: Connection reset by peer", "", false },
	{ GET, "rubbish\r\n\r\n", STAYS, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND,
	  "Next.js does not speak HTTP/1.1", "", false },
	{ GET, "HTTP/1.x 200 OK\r\n\r\n", STAYS, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND,
	  "Next.js sent an invalid response: no HTTP/1.1 status line", "", false },
	{ GET, "HTTP/1.1 200 OK\n\n", STAYS, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND,
	  "line feed without", "", false },
	{ GET, OK "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", STAYS,
	  EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND, "together with", "", false },
	{ GET, SWITCH, STAYS, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND, "unsolicited 101",
	  "", false },
	/* incomplete: seen by the plain end of the connection, or only by a reset */
	{ GET, OK "Content-Length: 3\r\n\r\nok", CLOSES, EXCHANGE_CUT, 200, FAULT_BACKEND,
	  "before its response was complete", OK "Content-Length: 3\r\n\r\nok", false },
	{ GET, OK "Content-Length: 3\r\n\r\nok", RESETS, EXCHANGE_CUT, 200, FAULT_BACKEND,
	  "reset by peer", OK "Content-Length: 3\r\n\r\nok", false },
	{ GET, OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", CLOSES, EXCHANGE_CUT,
	  200, FAULT_BACKEND, "before its response was complete",
	  OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false },
	{ GET, OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\nno chunk\r\n", STAYS,
	  EXCHANGE_CUT, 200, FAULT_BACKEND, "an invalid body: ",
	  OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false },
	{ GET10, OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", CLOSES,
	  EXCHANGE_RESET, 200, FAULT_BACKEND, "before its response was complete",
	  OK "Connection: close\r\n\r\nok", false },
	{ GET, OK "\r\nsome", RESETS, EXCHANGE_RESET, 200, FAULT_BACKEND, "reset by peer",
	  OK "Connection: close\r\n\r\nsome", false },
};

START_TEST(an_answer_is_passed_on_or_blamed)
{
	char heard[4096];
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, answers[_i].request);
	backend_accepts(&w, CONFIG_NEXTJS,
			answers[_i].request[0] == 'H' ? "HEAD" : "GET");
	peer_say(w.backend, answers[_i].answer);
	if (answers[_i].then == CLOSES) {
		peer_close(&w.backend);
	} else if (answers[_i].then == RESETS) {
		/* a reset may overtake what was not yet read */
		if (answers[_i].heard[0])
			peer_hears(w.client, answers[_i].heard);
		peer_reset(&w.backend);
	}
	ends(&w, answers[_i].end, answers[_i].status, answers[_i].blame,
	     answers[_i].reason);
	ck_assert_int_eq(w.down.upstream[CONFIG_NEXTJS].stream.fd >= 0, answers[_i].kept);
	stream_shut(&w.down.stream);
	(void)peer_hears_out(w.client, heard, sizeof(heard));
	if (answers[_i].then != RESETS)
		ck_assert_str_eq(heard, answers[_i].heard);
	else
		ck_assert_str_eq(heard, "");
	ck_assert(!w.x.tunnel);
	exchanging_close(&w);
}
END_TEST

START_TEST(a_head_may_be_as_long_as_HeadMaxBytes_and_no_longer)
{
	static const char start[] = OK "Content-Length: 0\r\nX: ";
	char head[CONFIG_HEAD_MIN + 8];
	struct exchanging w;

	memset(head, 'x', sizeof(head));
	memcpy(head, start, sizeof(start) - 1);
	memcpy(head + CONFIG_HEAD_MIN - 4 + _i, "\r\n\r\n", 5);
	exchanging_open(&w);
	w.cfg.head_max = CONFIG_HEAD_MIN;
	begin(&w, GET);
	backend_accepts(&w, CONFIG_NEXTJS, "GET");
	peer_say(w.backend, head);
	if (_i)
		ends(&w, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND, "HeadMaxBytes=");
	else
		ends_well(&w, EXCHANGE_NEXT, 200);
	exchanging_close(&w);
}
END_TEST

/* The room that wire.c makes suffices for all heads that are read at once; this is less. */
START_TEST(heads_without_room_are_refused_and_leave_nothing)
{
	static const struct {
		const char *request, *answer;
	} table[] = {
		{ GET,
		  "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" },
		{ GET, OK "Content-Length: 0\r\nCache-Control: no-store\r\n\r\n" },
		{ WS(""), SWITCH },
	};
	struct exchanging w;

	exchanging_open(&w);
	w.down.out.cap = 50;
	begin(&w, table[_i].request);
	backend_accepts(&w, _i == 2 ? CONFIG_CONTROLLER : CONFIG_NEXTJS, "GET");
	peer_say(w.backend, table[_i].answer);
	ends(&w, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND,
	     "header fields that are too large");
	ck_assert_uint_eq(buf_len(&w.down.out), 0);
	ck_assert(!w.x.tunnel);
	exchanging_close(&w);
}
END_TEST

START_TEST(an_answer_may_come_byte_by_byte)
{
	static const char answer[] =
		"HTTP/1.1 100 Continue\r\n\r\n" OK
		"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n";
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, GET);
	backend_accepts(&w, CONFIG_NEXTJS, "GET");
	for (size_t i = 0; i < sizeof(answer) - 1; i++) {
		still_wait();
		peer_send(w.backend, answer + i, 1);
	}
	ends_well(&w, EXCHANGE_NEXT, 200);
	client_hears(&w, "HTTP/1.1 100 Continue", false);
	client_hears(&w, "HTTP/1.1 200 OK", false);
	peer_hears(w.client, "1\r\no\r\n1\r\nk\r\n0\r\nA: b\r\n\r\n");
	ck_assert_uint_eq(w.x.relay.down.bytes, 2);
	exchanging_close(&w);
}
END_TEST

static void one_page(struct exchanging *w, bool new_connection)
{
	begin(w, GET);
	if (new_connection)
		backend_accepts(w, CONFIG_NEXTJS, "GET /page ");
	else
		backend_hears(w, "GET /page ");
	peer_say(w->backend, OK "Content-Length: 2\r\n\r\nok");
	ends_well(w, EXCHANGE_NEXT, 200);
	client_hears(w, "HTTP/1.1 200 OK", false);
	peer_hears(w->client, "ok");
}

/* At once, although it waits for more: of each the backend stays and says nothing else. */
static const struct {
	const char *said, *reply, *sent;
} strangers[] = {
	{ "SSH-2.0-OpenSSH_9.2\r\n", "Next.js does not speak HTTP/1.1",
	  "SSH-2.0-OpenSSH_9.2" },
	{ "220 mail.example ESMTP\r\n", "Next.js does not speak HTTP/1.1",
	  "220 mail.example ESMTP" },
	{ "RFB 003.008\n",
	  "Next.js does not speak HTTP/1.1 but RFB: Url= must point to websockify, "
	  "not to the VNC server",
	  "RFB 003.008" },
	{ "\x15\x03\x01\x02\x02\x46",
	  "Next.js does not speak HTTP/1.1 but TLS: Url= must begin with https://",
	  "\x15\x03\x01\x02\x02\x46" },
	{ "HTTP/2.0 200 OK\r\nA: b\r\n", "Next.js does not speak HTTP/1.1",
	  "HTTP/2.0 200 OK" },
	{ "H0", "Next.js does not speak HTTP/1.1", "H0" },
	{ "HTTP/1,", "Next.js does not speak HTTP/1.1", "HTTP/1," },
	{ "R", "Next.js does not speak HTTP/1.1", "R" },
	{ "\n", "Next.js does not speak HTTP/1.1", "" },
	{ "0123456789012345678901234567890123456789012345678901234567890123456789",
	  "Next.js does not speak HTTP/1.1",
	  "012345678901234567890123456789012345678901234567890123456789012" },
};

START_TEST(a_backend_that_does_not_speak_http_is_told_at_once)
{
	char reason[256];
	struct exchanging w;

	(void)snprintf(reason, sizeof(reason),
		       strangers[_i].sent[0] ? "%s (it sent \"%s\")" : "%s",
		       strangers[_i].reply, strangers[_i].sent);
	exchanging_open(&w);
	begin(&w, POST);
	backend_accepts(&w, CONFIG_NEXTJS, "POST");
	peer_say(w.backend, strangers[_i].said);
	ends(&w, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND, strangers[_i].reply);
	ck_assert_str_eq(w.x.fault.reason, reason);
	ck_assert_str_eq(w.x.fault.shown, strangers[_i].reply);
	peer_hears_nothing(w.client);
	exchanging_close(&w);
}
END_TEST

/* Bytes after an HTTP message may be the rest of a body, so they are not shown. */
START_TEST(what_is_not_http_behind_http_is_not_told)
{
	struct exchanging w;

	exchanging_open(&w);
	if (_i) {
		one_page(&w, true);
		begin(&w, GET);
		backend_hears(&w, "GET /page ");
	} else {
		begin(&w, GET);
		backend_accepts(&w, CONFIG_NEXTJS, "GET");
		peer_say(w.backend, "HTTP/1.1 103 Early Hints\r\n\r\n");
	}
	peer_say(w.backend, "the rest");
	ends(&w, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND,
	     "Next.js sent an invalid response: no HTTP/1.1 status line");
	ck_assert_str_eq(w.x.fault.shown, "");
	exchanging_close(&w);
}
END_TEST

/* ---- request after request */

START_TEST(a_kept_connection_is_used_again)
{
	struct exchanging w;

	exchanging_open(&w);
	one_page(&w, true);
	one_page(&w, false);
	one_page(&w, false);
	peer_close(&w.backend);
	one_page(&w, true); /* it was seen to be closed */
	exchanging_close(&w);
}
END_TEST

/* Not only when it is wanted again. */
START_TEST(a_kept_connection_that_ends_is_closed_at_once)
{
	struct exchanging w;

	exchanging_open(&w);
	one_page(&w, true);
	begin(&w, "GET /pa"); /* waits for the client */
	still_wait();
	if (_i) {
		peer_say(w.backend, "nobody asked");
		peer_hears_reset(w.backend);
	} else {
		ck_assert_int_eq(shutdown(w.backend, SHUT_WR), 0);
		peer_hears_end(w.backend);
	}
	peer_say(w.client, "ge HTTP/1.1\r\nHost: a\r\n\r\n");
	backend_accepts(&w, CONFIG_NEXTJS, "GET /page ");
	peer_say(w.backend, OK "Content-Length: 0\r\n\r\n");
	ends_well(&w, EXCHANGE_NEXT, 200);
	exchanging_close(&w);
}
END_TEST

START_TEST(pipelined_requests_follow_each_other)
{
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, POST "0123456789" POSTC "3\r\nabc\r\n0\r\n\r\n" GET);
	backend_accepts(&w, CONFIG_NEXTJS, "POST");
	peer_hears(w.backend, "0123456789");
	peer_hears_nothing(w.backend);
	peer_say(w.backend, OK "Content-Length: 0\r\n\r\n");
	ends_well(&w, EXCHANGE_NEXT, 200);
	ck_assert_uint_eq(w.x.relay.up.bytes, 10);
	begin(&w, "");
	backend_hears(&w, "POST");
	peer_hears(w.backend, "3\r\nabc\r\n0\r\n\r\n");
	peer_say(w.backend, OK "Content-Length: 0\r\n\r\n");
	ends_well(&w, EXCHANGE_NEXT, 200);
	ck_assert_uint_eq(w.x.relay.up.bytes, 3);
	begin(&w, "");
	backend_hears(&w, "GET");
	peer_say(w.backend, OK "Content-Length: 0\r\n\r\n");
	ends_well(&w, EXCHANGE_NEXT, 200);
	ck_assert_uint_eq(buf_len(&w.down.in), 0);
	exchanging_close(&w);
}
END_TEST

/* A backend that is about to close gets a request on a kept connection. */
START_TEST(a_kept_connection_that_closes_is_tried_once_more)
{
	struct exchanging w;

	exchanging_open(&w);
	one_page(&w, true);
	begin(&w, GET);
	backend_hears(&w, "GET /page ");
	if (_i)
		peer_reset(&w.backend);
	backend_accepts(&w, CONFIG_NEXTJS, "GET /page ");
	peer_say(w.backend, OK "Content-Length: 2\r\n\r\nok");
	ends_well(&w, EXCHANGE_NEXT, 200);
	client_hears(&w, "HTTP/1.1 200 OK", false);
	peer_hears(w.client, "ok");
	one_page(&w, false);
	exchanging_close(&w);
}
END_TEST

START_TEST(it_is_tried_once_more_and_no_more)
{
	struct exchanging w;

	exchanging_open(&w);
	one_page(&w, true);
	begin(&w, GET);
	backend_hears(&w, "GET /page ");
	backend_accepts(&w, CONFIG_NEXTJS, "GET /page ");
	peer_close(&w.backend);
	ends(&w, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND, "before its response began");
	exchanging_close(&w);
}
END_TEST

START_TEST(what_may_have_been_done_is_not_tried_again)
{
	static const struct {
		const char *request, *answer, *reason;
	} table[] = {
		{ POST "0123456789", "", "Next.js" },
		{ "POST /page HTTP/1.1\r\nHost: a\r\n\r\n", "", "Next.js" },
		{ "PATCH /page HTTP/1.1\r\nHost: a\r\n\r\n", "", "Next.js" },
		{ "PUT /page HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1", "",
		  "Next.js" },
		{ GET, "HTTP", "was complete" },
		{ GET, "HTTP/1.1 103 Early Hints\r\n\r\n", "Next.js" },
	};
	struct exchanging w;

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct pollfd p = { .events = POLLIN };

		exchanging_open(&w);
		one_page(&w, true);
		begin(&w, table[i].request);
		(void)hear_head(w.backend);
		peer_say(w.backend, table[i].answer);
		still_wait();
		peer_close(&w.backend);
		p.fd = w.listener[CONFIG_NEXTJS];
		ends(&w, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND, table[i].reason);
		ck_assert_int_eq(still_ppoll(&p, 1, 0), 0);
		exchanging_close(&w);
	}
}
END_TEST

/* ---- bodies, and answers that do not wait for them */

START_TEST(a_body_that_is_wrong_is_the_clients_fault)
{
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, _i == 0 ? POSTC "no chunk\r\n" : POST "01234");
	backend_accepts(&w, CONFIG_NEXTJS, "POST");
	if (_i == 1) {
		ck_assert_int_eq(shutdown(w.client, SHUT_WR), 0);
	} else if (_i == 2) {
		peer_hears(w.backend, "01234");
		peer_reset(&w.client);
	}
	if (_i == 0)
		ends(&w, EXCHANGE_NO_RESPONSE, 400, FAULT_CLIENT,
		     "invalid request body: ");
	else if (_i == 1)
		ends(&w, EXCHANGE_NO_RESPONSE, 400, FAULT_CLIENT,
		     "incomplete request body");
	else
		ends(&w, EXCHANGE_GONE, 0, FAULT_NOBODY,
		     "the connection to the client failed: Connection reset by peer");
	exchanging_close(&w);
}
END_TEST

START_TEST(an_early_answer_waits_for_the_body_if_the_backend_does)
{
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, POST "0123");
	backend_accepts(&w, CONFIG_NEXTJS, "POST");
	peer_hears(w.backend, "0123");
	peer_say(w.backend, OK "Content-Length: 2\r\n\r\nok");
	client_hears(&w, "HTTP/1.1 200 OK", false);
	peer_hears(w.client, "ok");
	still_wait();
	peer_say(w.client, "456789");
	ends_well(&w, EXCHANGE_NEXT, 200);
	peer_hears(w.backend, "456789");
	one_page(&w, false);
	exchanging_close(&w);
}
END_TEST

START_TEST(an_early_answer_that_closes_is_the_last)
{
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, POST "0123");
	backend_accepts(&w, CONFIG_NEXTJS, "POST");
	peer_say(w.backend, OK "Content-Length: 2\r\nConnection: close\r\n\r\nok");
	ends_well(&w, EXCHANGE_LAST, 200);
	client_hears(&w, "HTTP/1.1 200 OK", true);
	peer_hears(w.client, "ok");
	exchanging_close(&w);
}
END_TEST

/* It closes with part of the body unread: a reset, and the answer counts all the same. */
START_TEST(an_early_answer_before_a_reset_counts)
{
	char body[100000];
	struct exchanging w;

	memset(body, 'x', sizeof(body));
	exchanging_open(&w);
	begin(&w, "POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
	backend_accepts(&w, CONFIG_NEXTJS, "POST");
	peer_send(w.client, body, sizeof(body));
	still_wait();
	peer_say(w.backend, OK "Content-Length: 2\r\n\r\nok");
	client_hears(&w, "HTTP/1.1 200 OK", false);
	peer_hears(w.client, "ok");
	peer_close(&w.backend);
	peer_send(w.client, body, sizeof(body));
	ends_well(&w, EXCHANGE_LAST, 200);
	exchanging_close(&w);
}
END_TEST

#define EXPECT                                                                        \
	"POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue" \
	"\r\n\r\n"

START_TEST(a_body_that_was_not_asked_for_may_never_come)
{
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, EXPECT);
	backend_accepts(&w, CONFIG_NEXTJS, "POST");
	if (_i) {
		peer_say(w.backend, "HTTP/1.1 100 Continue\r\n\r\n");
		client_hears(&w, "HTTP/1.1 100 Continue", false);
		peer_say(w.client, "body");
		peer_hears(w.backend, "body");
	}
	peer_say(w.backend, OK "Content-Length: 0\r\n\r\n");
	ends_well(&w, _i ? EXCHANGE_NEXT : EXCHANGE_LAST, 200);
	client_hears(&w, "HTTP/1.1 200 OK", !_i);
	exchanging_close(&w);
}
END_TEST

/* ---- connecting */

START_TEST(a_refusal_is_the_backends_fault)
{
	struct exchanging w;

	exchanging_open(&w);
	ck_assert_int_eq(shutdown(w.listener[CONFIG_NEXTJS], SHUT_RDWR), 0);
	begin(&w, GET);
	ends(&w, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND, "Connection refused");
	exchanging_close(&w);
}
END_TEST

START_TEST(without_a_descriptor_it_is_our_own_fault)
{
	struct rlimit saved;
	struct exchanging w;

	exchanging_open(&w);
	saved = fds_forbid();
	begin(&w, GET);
	ends(&w, EXCHANGE_NO_RESPONSE, 500, FAULT_GATE, "Too many open files");
	fds_allow(saved);
	exchanging_close(&w);
}
END_TEST

/* Nobody is accepted by the controller until these are closed. */
static void controller_fill(const struct exchanging *w, int fill[static 2])
{
	const struct backend *be = &w->cfg.backend[CONFIG_CONTROLLER];

	for (size_t i = 0; i < 2; i++) { /* a backlog of one */
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(
			connect(fill[i], (struct sockaddr *)&be->addr, be->addr_len), 0);
	}
}

/* Nobody accepts: it times out, or SIGTERM or the client end it. */
START_TEST(what_ends_a_dial_is_told)
{
	int fill[2];
	struct exchanging w;

	exchanging_open(&w);
	controller_fill(&w, fill);
	w.cfg.connect_ms = _i == 0 ? SHORT_MS : LONG_MS;
	begin(&w, WS(""));
	if (_i > 0) /* the first is over soon */
		still_wait();
	if (_i == 0) {
		ends(&w, EXCHANGE_NO_RESPONSE, 504, FAULT_BACKEND, "timed out");
	} else if (_i == 1) {
		world_terminate(&w.world);
		ends(&w, EXCHANGE_NO_RESPONSE, 503, FAULT_NOBODY, "stopped by SIGTERM");
	} else {
		peer_reset(&w.client);
		ends(&w, EXCHANGE_GONE, 0, FAULT_NOBODY,
		     "the connection to the client failed: Connection reset by peer");
	}
	close(fill[0]);
	close(fill[1]);
	exchanging_close(&w);
}
END_TEST

/* A client that has closed still gets its upgrade, and must not be polled for. */
START_TEST(a_hangup_during_a_dial_is_no_busy_loop)
{
	int fill[2];
	struct exchanging w;

	exchanging_open(&w);
	controller_fill(&w, fill);
	stream_done(&w.down.stream);
	peer_close(&w.client);
	stream_pair(false, &w.down.stream, &w.client); /* unlike TCP has POLLHUP */
	begin(&w, WS(""));
	still_wait();
	peer_close(&w.client);
	still_wait();
	ck_assert_uint_lt(still_calls(), 10);
	world_terminate(&w.world);
	ends(&w, EXCHANGE_NO_RESPONSE, 503, FAULT_NOBODY, "stopped by SIGTERM");
	close(fill[0]);
	close(fill[1]);
	exchanging_close(&w);
}
END_TEST

/* ---- time */

static const struct {
	const char *request;
	size_t span; /* of struct config */
	const char *answer;
	enum exchange_end end;
	unsigned status;
	enum fault_blame blame;
	const char *reason;
} spans[] = {
	{ GET, offsetof(struct config, response_ms), "", EXCHANGE_NO_RESPONSE, 504,
	  FAULT_BACKEND, "timed out waiting for the response head from Next.js" },
	{ GET, offsetof(struct config, response_ms), "HTTP/1.1 100 Continue\r\n\r\nHTTP",
	  EXCHANGE_NO_RESPONSE, 504, FAULT_BACKEND, "timed out waiting" },
	{ WS(""), offsetof(struct config, upgrade_ms), "", EXCHANGE_NO_RESPONSE, 504,
	  FAULT_BACKEND,
	  "timed out waiting for the response head from master-controller" },
	{ POST "01234", offsetof(struct config, body_ms), "", EXCHANGE_NO_RESPONSE, 408,
	  FAULT_CLIENT, "the client stalled" },
	{ GET, offsetof(struct config, body_ms), OK "Content-Length: 3\r\n\r\nok",
	  EXCHANGE_CUT, 200, FAULT_BACKEND, "stalled in the middle" },
	{ GET, offsetof(struct config, body_ms), OK "\r\nok", EXCHANGE_RESET, 200,
	  FAULT_BACKEND, "stalled in the middle" },
	{ GET10, offsetof(struct config, body_ms),
	  OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", EXCHANGE_RESET, 200,
	  FAULT_BACKEND, "stalled in the middle" },
	{ WS(""), offsetof(struct config, idle_ms), SWITCH, EXCHANGE_LAST, 101,
	  FAULT_NOBODY, "IdleTimeoutSec=" },
};

START_TEST(a_span_that_passes_is_told)
{
	enum config_backend which =
		strstr(spans[_i].request, "novnc") ? CONFIG_CONTROLLER : CONFIG_NEXTJS;
	uint64_t start_ms = clock_ms();
	struct exchanging w;

	exchanging_open(&w);
	*(uint64_t *)((char *)&w.cfg + spans[_i].span) = SHORT_MS;
	begin(&w, spans[_i].request);
	backend_accepts(&w, which, "");
	peer_say(w.backend, spans[_i].answer);
	ends(&w, spans[_i].end, spans[_i].status, spans[_i].blame, spans[_i].reason);
	ck_assert_uint_ge(clock_ms() - start_ms, SHORT_MS);
	ck_assert_uint_lt(still_calls(), 20);
	exchanging_close(&w);
}
END_TEST

START_TEST(sigterm_before_an_answer_refuses_and_later_cuts)
{
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, GET);
	backend_accepts(&w, CONFIG_NEXTJS, "GET");
	if (_i) {
		peer_say(w.backend, OK "Content-Length: 3\r\n\r\nok");
		client_hears(&w, "HTTP/1.1 200 OK", false);
	}
	still_wait();
	world_terminate(&w.world);
	if (_i)
		ends(&w, EXCHANGE_CUT, 200, FAULT_NOBODY, "stopped by SIGTERM");
	else
		ends(&w, EXCHANGE_NO_RESPONSE, 503, FAULT_NOBODY, "stopped by SIGTERM");
	exchanging_close(&w);
}
END_TEST

/* ---- tunnels */

static void tunnel_open(struct exchanging *w, const char *request, const char *answer)
{
	begin(w, request);
	backend_accepts(w, CONFIG_CONTROLLER, "GET /api/auth/session/s1/novnc/websock ");
	peer_say(w->backend, answer);
	client_hears(w, "HTTP/1.1 101 Switching Protocols", false);
}

START_TEST(bytes_before_the_101_wait_for_it)
{
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, WS("early"));
	backend_accepts(&w, CONFIG_CONTROLLER, "GET");
	still_wait();
	peer_hears_nothing(w.backend);
	ck_assert_uint_eq(w.opened, 0);
	peer_say(w.backend, SWITCH "hello");
	client_hears(&w, "HTTP/1.1 101 Switching Protocols", false);
	peer_hears(w.client, "hello");
	peer_hears(w.backend, "early");
	still_wait();
	ck_assert_uint_eq(w.opened, 1);
	peer_say(w.client, "up");
	peer_hears(w.backend, "up");
	peer_close(&w.client);
	peer_hears_end(w.backend);
	peer_close(&w.backend);
	ends(&w, EXCHANGE_LAST, 101, FAULT_NOBODY, "the client closed first");
	ck_assert(w.x.tunnel);
	ck_assert_uint_eq(w.opened, 1);
	ck_assert_uint_eq(w.x.relay.up.bytes, strlen("earlyup"));
	ck_assert_uint_eq(w.x.relay.down.bytes, strlen("hello"));
	exchanging_close(&w);
}
END_TEST

START_TEST(a_tunnel_that_cannot_be_confined_is_reset_before_a_byte_of_it)
{
	struct exchanging w;

	exchanging_open(&w);
	w.opened_result = -EPERM;
	begin(&w, WS("early"));
	backend_accepts(&w, CONFIG_CONTROLLER, "GET");
	peer_say(w.backend, SWITCH "hello");
	ends(&w, EXCHANGE_RESET, 101, FAULT_GATE, "Operation not permitted");
	ck_assert(w.x.tunnel);
	peer_hears_nothing(w.client);
	peer_hears_reset(w.backend);
	exchanging_close(&w);
}
END_TEST

/* A tunnel of bytes that are no frames. */
START_TEST(it_is_told_who_ended_a_tunnel)
{
	struct exchanging w;

	exchanging_open(&w);
	w.cfg.linger_ms = _i == 4 ? SHORT_MS : LONG_MS;
	tunnel_open(&w, WS("x"), SWITCH "x");
	peer_hears(w.backend, "x");
	peer_hears(w.client, "x");
	still_wait();
	switch (_i) {
	case 0:
		peer_close(&w.backend);
		peer_hears_end(w.client);
		peer_close(&w.client);
		ends(&w, EXCHANGE_LAST, 101, FAULT_NOBODY,
		     "master-controller closed first");
		break;
	case 1:
		peer_reset(&w.backend);
		ends(&w, EXCHANGE_RESET, 101, FAULT_BACKEND,
		     "the connection to master-controller failed: Connection reset by peer");
		break;
	case 2:
		peer_reset(&w.client);
		ends(&w, EXCHANGE_RESET, 101, FAULT_NOBODY,
		     "the connection to the client failed: Connection reset by peer");
		peer_hears_reset(w.backend);
		break;
	case 3:
		world_terminate(&w.world);
		ends(&w, EXCHANGE_GONE, 101, FAULT_NOBODY, "stopped by SIGTERM");
		peer_hears_end(w.backend);
		break;
	case 5:
		ck_assert_int_eq(shutdown(w.client, SHUT_WR), 0);
		peer_hears_end(w.backend);
		peer_reset(&w.backend);
		ends(&w, EXCHANGE_RESET, 101, FAULT_BACKEND,
		     "the client closed first, "
		     "then the connection to master-controller failed: Connection reset by peer");
		break;
	default:
		ck_assert_int_eq(shutdown(w.client, SHUT_WR), 0);
		ends(&w, EXCHANGE_LAST, 101, FAULT_NOBODY,
		     "the client closed, then no data for LingerTimeoutSec=");
	}
	ck_assert_uint_eq(w.opened, 1);
	exchanging_close(&w);
}
END_TEST

/* ---- tunnels of frames */

/* The client gets a Close with this sentence, and answers. */
static void client_is_told(struct exchanging *w, unsigned code, const char *sentence)
{
	char reason[124];

	(void)snprintf(reason, sizeof(reason), "%s; log id %s", sentence, journal_id());
	peer_hears_close(w->client, code, reason, NULL);
	peer_says_close(w->client, code, "", client_key);
}

static void backend_is_told(struct exchanging *w, unsigned code)
{
	peer_hears_close(w->backend, code, "", tunnel_random.key);
	peer_says_close(w->backend, code, "", NULL);
}

static void backend_closes(struct exchanging *w)
{
	peer_close(&w->backend);
	client_is_told(w, 1014, "master-controller closed the connection");
}

static void backend_resets(struct exchanging *w)
{
	peer_reset(&w->backend);
	client_is_told(w, 1014, "master-controller reset the connection");
}

static void client_closes(struct exchanging *w)
{
	peer_close(&w->client);
	backend_is_told(w, 1001);
}

static void sigterm_comes(struct exchanging *w)
{
	world_terminate(&w->world);
	backend_is_told(w, 1001);
	client_is_told(w, 1001, "the session was ended by the server");
}

static void time_passes(struct exchanging *w)
{
	backend_is_told(w, 1001);
	client_is_told(w, 1008, "no data for IdleTimeoutSec=");
}

static void client_says_close(struct exchanging *w)
{
	peer_says_close(w->client, 1000, "", client_key);
	peer_hears_close(w->backend, 1000, "", client_key);
	peer_says_close(w->backend, 1000, "bye", NULL);
	peer_hears_close(w->client, 1000, "bye", NULL);
}

static void backend_says_close(struct exchanging *w)
{
	peer_says_close(w->backend, 1011, "no disk", NULL);
	peer_hears_close(w->client, 1011, "no disk", NULL);
	peer_says_close(w->client, 1011, "", client_key);
	peer_hears_close(w->backend, 1011, "", client_key);
}

/* The other one does not answer. */
static void client_says_close_alone(struct exchanging *w)
{
	peer_says_close(w->client, 1000, "", client_key);
	peer_hears_close(w->backend, 1000, "", client_key);
	client_is_told(w, 1000, "master-controller did not answer the Close");
}

/* The gate does not say that a peer closed that has only answered. */
static const struct {
	void (*happens)(struct exchanging *w);
	enum exchange_end end;
	enum fault_blame blame;
	const char *reason;
} frame_ends[] = {
	{ backend_closes, EXCHANGE_LAST, FAULT_NOBODY, "master-controller closed first" },
	{ backend_resets, EXCHANGE_LAST, FAULT_BACKEND,
	  "the connection to master-controller failed: Connection reset by peer" },
	{ client_closes, EXCHANGE_LAST, FAULT_NOBODY, "the client closed first" },
	{ sigterm_comes, EXCHANGE_LAST, FAULT_NOBODY, "stopped by SIGTERM" },
	{ time_passes, EXCHANGE_LAST, FAULT_NOBODY, "no data for IdleTimeoutSec=" },
	{ client_says_close, EXCHANGE_LAST, FAULT_NOBODY, "closed by the client (1000)" },
	{ backend_says_close, EXCHANGE_LAST, FAULT_NOBODY,
	  "master-controller (1011: no disk)" },
	{ client_says_close_alone, EXCHANGE_LAST, FAULT_NOBODY,
	  "closed by the client (1000)" },
};

/* The backend, unless it is gone, hears the end of its connection and no reset. */
START_TEST(it_is_told_how_a_tunnel_of_frames_ended)
{
	struct exchanging w;

	exchanging_open(&w);
	w.cfg.linger_ms =
		frame_ends[_i].happens == client_says_close_alone ? SHORT_MS : LONG_MS;
	w.cfg.idle_ms = frame_ends[_i].happens == time_passes ? SHORT_MS : LONG_MS;
	tunnel_open(&w, WS(""), SWITCH);
	still_wait();
	frame_ends[_i].happens(&w);
	ends(&w, frame_ends[_i].end, 101, frame_ends[_i].blame, frame_ends[_i].reason);
	if (w.backend >= 0)
		peer_hears_end(w.backend);
	if (w.client >= 0)
		peer_hears_nothing(w.client);
	exchanging_close(&w);
}
END_TEST

/* Also if it does not answer its Close: a reset might overtake that. */
START_TEST(a_backend_hears_the_end_after_a_client_has_reset)
{
	struct exchanging w;

	exchanging_open(&w);
	tunnel_open(&w, WS(""), SWITCH);
	still_wait();
	peer_reset(&w.client);
	peer_hears_close(w.backend, 1001, "", tunnel_random.key);
	if (_i)
		peer_says_close(w.backend, 1001, "", NULL);
	world_join(&w.world);
	ck_assert_int_ne(w.end, EXCHANGE_RESET);
	ck_assert_str_eq(w.x.fault.reason,
			 "the connection to the client failed: Connection reset by peer");
	peer_hears_end(w.backend);
	exchanging_close(&w);
}
END_TEST

/* A frame for the client that is open at SIGTERM; it ends too late; one that is dropped behind its Close. */
START_TEST(it_is_told_that_a_frame_was_open)
{
	const char *half = "\x82\x05half";
	struct exchanging w;

	exchanging_open(&w);
	tunnel_open(&w, WS(""), SWITCH);
	if (_i < 2) {
		peer_say(w.backend, half);
		peer_hears(w.client, half);
	}
	still_wait();
	world_terminate(&w.world);
	peer_hears_close(w.backend, 1001, "", tunnel_random.key);
	if (_i == 1) {
		struct timespec span = { 1, 100000000 };

		(void)ppoll(NULL, 0, &span, NULL);
		peer_say(w.backend, "s");
		peer_says_close(w.backend, 1001, "", NULL);
	} else if (_i == 2) {
		client_is_told(&w, 1001, "the session was ended by the server");
		peer_say(w.backend, half);
	}
	ends(&w, _i < 2 ? EXCHANGE_GONE : EXCHANGE_LAST, 101, FAULT_NOBODY,
	     _i < 2 ? "stopped by SIGTERM, in the middle of a frame to the client"
		    : "stopped by SIGTERM");
	ck_assert(_i < 2 || !strstr(w.x.fault.reason, "frame"));
	peer_hears_nothing(w.client);
	exchanging_close(&w);
}
END_TEST

START_TEST(of_ends_that_are_there_together_none_is_the_first)
{
	struct exchanging w;

	exchanging_open(&w);
	w.both_end = true;
	begin(&w, WS(""));
	backend_accepts(&w, CONFIG_CONTROLLER, "GET");
	peer_say(w.backend, SWITCH);
	ends(&w, EXCHANGE_LAST, 101, FAULT_NOBODY, "both sides closed at the same time");
	exchanging_close(&w);
}
END_TEST

START_TEST(an_end_together_with_the_101_is_passed_on)
{
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, WS(""));
	backend_accepts(&w, CONFIG_CONTROLLER, "GET");
	peer_say(w.backend, SWITCH "last words");
	peer_close(&w.backend);
	client_hears(&w, "HTTP/1.1 101", false);
	peer_hears(w.client, "last words");
	peer_hears_end(w.client);
	peer_close(&w.client);
	ends(&w, EXCHANGE_LAST, 101, FAULT_NOBODY, "master-controller closed first");
	exchanging_close(&w);
}
END_TEST

START_TEST(a_101_that_does_not_stand_the_check_opens_nothing)
{
	static const char *const table[] = {
		"HTTP/1.1 101 X\r\n\r\n",
		"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
		"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct exchanging w;

		exchanging_open(&w);
		begin(&w, WS("early"));
		backend_accepts(&w, CONFIG_CONTROLLER, "GET");
		peer_say(w.backend, table[i]);
		ends(&w, EXCHANGE_NO_RESPONSE, 502, FAULT_BACKEND,
		     "master-controller sent an invalid response: ");
		ck_assert(!w.x.tunnel);
		ck_assert_uint_eq(w.opened, 0);
		peer_hears_nothing(w.client);
		exchanging_close(&w);
	}
}
END_TEST

START_TEST(an_upgrade_that_is_not_granted_is_a_plain_answer)
{
	struct exchanging w;

	exchanging_open(&w);
	begin(&w, _i ? WS("early") : WS(""));
	backend_accepts(&w, CONFIG_CONTROLLER, "GET");
	peer_say(w.backend, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
	ends_well(&w, _i ? EXCHANGE_LAST : EXCHANGE_NEXT, 404);
	client_hears(&w, "HTTP/1.1 404 Not Found", _i);
	peer_hears(w.client, "no");
	ck_assert_uint_eq(w.opened, 0);
	if (!_i)
		one_page(&w, true);
	exchanging_close(&w);
}
END_TEST

START_TEST(an_upgrade_gets_a_connection_of_its_own)
{
	struct exchanging w;

	exchanging_open(&w);
	for (int i = 0; i < 2; i++) {
		begin(&w, WS(""));
		still_wait();
		if (i > 0) /* but an end */
			peer_hears_end(w.backend);
		backend_accepts(&w, CONFIG_CONTROLLER, "GET");
		peer_say(w.backend,
			 "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
		ends_well(&w, EXCHANGE_NEXT, 404);
	}
	exchanging_close(&w);
}
END_TEST

/* ---- authorization */

static const char *const page_path[] = { "/page", NULL };

static void authorizing_open(struct exchanging *w)
{
	exchanging_open(w);
	w->cfg.authorize_path = "/may";
	w->cfg.authorize_ms = LONG_MS;
	w->cfg.controller_path = page_path;
}

static void authorizing_close(struct exchanging *w)
{
	struct config defaults;

	config_init(&defaults);
	w->cfg.controller_path = defaults.controller_path;
	exchanging_close(w);
}

#define USER "X-Novnc-User: alice\r\n"

/* The content of a 2xx is dropped; if it has not all come, the connection is not kept. */
static const struct {
	const char *answer;
	bool kept;
} grants[] = {
	{ OK USER "Content-Length: 0\r\n\r\n", true },
	{ OK USER "Content-Length: 5\r\n\r\nHTTP/", true },
	{ OK USER "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
	  true },
	{ "HTTP/1.1 204 No Content\r\n" USER "\r\n", true },
	{ "HTTP/1.1 103 Early\r\nLink: a\r\n\r\n" OK USER "Content-Length: 1\r\n\r\nx",
	  true },
	{ OK USER "Content-Length: 6\r\n\r\nHTTP/", false },
	{ OK USER "Content-Length: 5\r\n\r\nHTTP/1", false },
	{ OK USER "Content-Length: 1\r\nConnection: close\r\n\r\nx", false },
	{ OK USER "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", false },
	{ OK USER "Transfer-Encoding: chunked\r\n\r\nx\r\n", false },
	{ OK USER "\r\nx", false },
	{ "HTTP/1.0 200 OK\r\n" USER "Content-Length: 1\r\n\r\nx", false },
};

START_TEST(an_authorized_request_goes_on_with_its_body)
{
	struct exchanging w;
	int nextjs;

	authorizing_open(&w);
	begin(&w, POST "0123456789");
	backend_accepts(&w, CONFIG_NEXTJS, "GET /may ");
	nextjs = fd_take(&w.backend);
	peer_say(nextjs, grants[_i].answer);
	backend_accepts(&w, CONFIG_CONTROLLER, "POST /page ");
	peer_hears(w.backend, "0123456789");
	ck_assert_str_eq(w.x.user, "alice");
	if (!grants[_i].kept)
		peer_hears_end(nextjs);
	peer_say(w.backend, OK "Content-Length: 2\r\n\r\nok");
	ends_well(&w, EXCHANGE_NEXT, 200);
	client_hears(&w, "HTTP/1.1 200 OK", false);
	peer_hears(w.client, "ok");
	ck_assert_int_eq(w.down.upstream[CONFIG_NEXTJS].phase,
			 grants[_i].kept ? UPSTREAM_KEPT : UPSTREAM_CLOSED);
	peer_close(&nextjs);
	authorizing_close(&w);
}
END_TEST

#define NO "HTTP/1.1 403 Forbidden\r\n"

static const struct {
	const char *request, *answer;
	enum exchange_end end;
	unsigned status;
	const char *reason;
	const char *heard;
} denials[] = {
	{ GET, NO USER "Set-Cookie: a\r\nContent-Length: 2\r\n\r\nno", EXCHANGE_NEXT, 403,
	  "", NO "Set-Cookie: a\r\nContent-Length: 2\r\n\r\nno" },
	{ HEAD, NO "Content-Length: 2\r\n\r\nno", EXCHANGE_NEXT, 403, "",
	  NO "Content-Length: 2\r\n\r\n" },
	{ HEAD, NO "Transfer-Encoding: chunked\r\n\r\n2\r\nno", EXCHANGE_NEXT, 403, "",
	  NO "\r\n" },
	{ GET10, NO "Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
	  EXCHANGE_LAST, 403, "", NO "Connection: close\r\n\r\nno" },
	{ POST "0123456789", NO "Content-Length: 2\r\n\r\nno", EXCHANGE_LAST, 403, "",
	  NO "Content-Length: 2\r\nConnection: close\r\n\r\nno" },
	{ POSTC, NO "Content-Length: 2\r\n\r\nno", EXCHANGE_LAST, 403, "",
	  NO "Content-Length: 2\r\nConnection: close\r\n\r\nno" },
	{ WS(""), NO "Content-Length: 2\r\n\r\nno", EXCHANGE_NEXT, 403, "",
	  NO "Content-Length: 2\r\n\r\nno" },
	{ WS("early"), NO "Content-Length: 2\r\n\r\nno", EXCHANGE_LAST, 403, "",
	  NO "Content-Length: 2\r\nConnection: close\r\n\r\nno" },
	/* neither */
	{ WS(""), SWITCH, EXCHANGE_NO_RESPONSE, 502, "unsolicited 101", "" },
	{ WS("early"), "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", EXCHANGE_NO_RESPONSE,
	  502, "Next.js responded with 302 to the authorization request", "" },
	{ POST "0123456789", OK "\r\n", EXCHANGE_NO_RESPONSE, 502,
	  "without a valid X-Novnc-User", "" },
	{ GET, "HTTP/1.1 2", EXCHANGE_NO_RESPONSE, 504,
	  "timed out waiting for the response head from Next.js", "" },
};

START_TEST(without_an_authorization_the_controller_is_not_contacted)
{
	struct pollfd waiting = { .events = POLLIN };
	struct exchanging w;

	authorizing_open(&w);
	if (denials[_i].status == 504)
		w.cfg.authorize_ms = SHORT_MS;
	waiting.fd = w.listener[CONFIG_CONTROLLER];
	begin(&w, denials[_i].request);
	backend_accepts(&w, CONFIG_NEXTJS, "GET /may ");
	peer_say(w.backend, denials[_i].answer);
	ends(&w, denials[_i].end, denials[_i].status,
	     denials[_i].reason[0] ? FAULT_BACKEND : FAULT_NOBODY, denials[_i].reason);
	ck_assert_int_eq(w.x.denied, denials[_i].status == 403);
	peer_hears(w.client, denials[_i].heard);
	peer_hears_nothing(w.client);
	ck_assert_int_eq(poll(&waiting, 1, 0), 0);
	if (denials[_i].end == EXCHANGE_NEXT)
		ck_assert_uint_eq(buf_len(&w.down.in), 0);
	authorizing_close(&w);
}
END_TEST

START_TEST(the_connection_of_an_authorization_may_be_a_kept_one)
{
	struct exchanging w;

	authorizing_open(&w);
	w.cfg.controller_path = (const char *const[]){ NULL };
	one_page(&w, true);
	w.cfg.controller_path = page_path;
	begin(&w, GET);
	backend_hears(&w, "GET /may ");
	if (_i) { /* the backend has closed it: asked once more */
		peer_close(&w.backend);
		backend_accepts(&w, CONFIG_NEXTJS, "GET /may ");
	}
	peer_say(w.backend, NO "Content-Length: 0\r\n\r\n");
	ends_well(&w, EXCHANGE_NEXT, 403);
	client_hears(&w, NO, false);
	authorizing_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exchange");
	TCase *t = case_add(s, "exchange");

	(void)signal(SIGPIPE, SIG_IGN); /* as main() does */
	tcase_add_loop_test(t, an_answer_is_passed_on_or_blamed, 0, (int)LENGTH(answers));
	tcase_add_loop_test(t, a_head_may_be_as_long_as_HeadMaxBytes_and_no_longer, 0, 2);
	tcase_add_loop_test(t, heads_without_room_are_refused_and_leave_nothing, 0, 3);
	tcase_add_loop_test(t, a_backend_that_does_not_speak_http_is_told_at_once, 0,
			    (int)LENGTH(strangers));
	tcase_add_loop_test(t, what_is_not_http_behind_http_is_not_told, 0, 2);
	tcase_add_test(t, an_answer_may_come_byte_by_byte);
	tcase_add_test(t, a_kept_connection_is_used_again);
	tcase_add_loop_test(t, a_kept_connection_that_ends_is_closed_at_once, 0, 2);
	tcase_add_test(t, pipelined_requests_follow_each_other);
	tcase_add_loop_test(t, a_kept_connection_that_closes_is_tried_once_more, 0, 2);
	tcase_add_test(t, it_is_tried_once_more_and_no_more);
	tcase_add_test(t, what_may_have_been_done_is_not_tried_again);
	tcase_add_loop_test(t, a_body_that_is_wrong_is_the_clients_fault, 0, 3);
	tcase_add_test(t, an_early_answer_waits_for_the_body_if_the_backend_does);
	tcase_add_test(t, an_early_answer_that_closes_is_the_last);
	tcase_add_test(t, an_early_answer_before_a_reset_counts);
	tcase_add_loop_test(t, a_body_that_was_not_asked_for_may_never_come, 0, 2);
	tcase_add_test(t, a_refusal_is_the_backends_fault);
	tcase_add_test(t, without_a_descriptor_it_is_our_own_fault);
	tcase_add_loop_test(t, what_ends_a_dial_is_told, 0, 3);
	tcase_add_test(t, a_hangup_during_a_dial_is_no_busy_loop);
	tcase_add_loop_test(t, a_span_that_passes_is_told, 0, (int)LENGTH(spans));
	tcase_add_loop_test(t, sigterm_before_an_answer_refuses_and_later_cuts, 0, 2);
	tcase_add_test(t, bytes_before_the_101_wait_for_it);
	tcase_add_test(t, a_tunnel_that_cannot_be_confined_is_reset_before_a_byte_of_it);
	tcase_add_loop_test(t, it_is_told_who_ended_a_tunnel, 0, 6);
	tcase_add_loop_test(t, it_is_told_how_a_tunnel_of_frames_ended, 0,
			    (int)LENGTH(frame_ends));
	tcase_add_loop_test(t, a_backend_hears_the_end_after_a_client_has_reset, 0, 2);
	tcase_add_loop_test(t, it_is_told_that_a_frame_was_open, 0, 3);
	tcase_add_test(t, of_ends_that_are_there_together_none_is_the_first);
	tcase_add_test(t, an_end_together_with_the_101_is_passed_on);
	tcase_add_test(t, a_101_that_does_not_stand_the_check_opens_nothing);
	tcase_add_loop_test(t, an_upgrade_that_is_not_granted_is_a_plain_answer, 0, 2);
	tcase_add_test(t, an_upgrade_gets_a_connection_of_its_own);
	tcase_add_loop_test(t, an_authorized_request_goes_on_with_its_body, 0,
			    (int)LENGTH(grants));
	tcase_add_loop_test(t, without_an_authorization_the_controller_is_not_contacted,
			    0, (int)LENGTH(denials));
	tcase_add_loop_test(t, the_connection_of_an_authorization_may_be_a_kept_one, 0,
			    2);
	return suite_run(s);
}
