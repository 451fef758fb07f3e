/* SPDX-License-Identifier: MIT */
/* rewrite.c, error_response.c: heads byte for byte, and the fields that are left out. */
#include "proxy/rewrite.h"

#include "proxy/error_response.h"

#include <stdio.h>

#include "config_text.h"
#include "testing.h"

static struct http1_head head;
static struct verdict verdict;
static struct backend backend;
static struct client client;
static struct rewrite_mode how;
static struct error_response reply;

static int put_request(struct buf *out)
{
	return rewrite_request(&head, &verdict, &backend, &client, out);
}

static int put_response(struct buf *out)
{
	return rewrite_response(&head, &how, out);
}

static int put_reply(struct buf *out)
{
	return error_response_write(&reply, out);
}

/*
 * Expects this text, behind what is in the buffer already, and -ENOBUFS from every buffer
 * that is too small.
 */
static void expect_text(int (*put)(struct buf *out), const char *text, const char *about)
{
	size_t len = strlen(text);
	char room[8192] = "before";
	struct buf out = { room, sizeof(room), 2, 6 };

	ck_assert_msg(put(&out) == 0, "no room: %s", about);
	ck_assert_uint_eq(out.start, 2);
	ck_assert_int_eq(memcmp(room, "before", 6), 0);
	ck_assert_msg(slice_eq(slice_from(buf_slice(&out), 4), slice_str(text)),
		      "%s\ngives\n%.*s\nnot\n%s", about,
		      SLICE_FMT(slice_from(buf_slice(&out), 4)), text);

	for (size_t cap = 0; cap <= len; cap++) {
		char *block = exact(room, cap);

		out = (struct buf){ block, cap, 0, 0 };
		ck_assert_int_eq(put(&out), cap < len ? -ENOBUFS : 0);
		ck_assert(out.start <= out.end && out.end <= out.cap);
		free(block);
	}
}

/* ---- requests */

#define CONTROLLER "10.0.0.5:4000"
#define FORWARDED                                                   \
	"X-Forwarded-Proto: http\r\nX-Forwarded-For: 192.0.2.7\r\n" \
	"X-Forwarded-Host: h:3000\r\nX-Forwarded-Port: 3000\r\n"

static void expect_request(const char *text, enum route_kind kind, enum config_backend to,
			   const char *expected)
{
	struct slice raw = request_read(text, &head);
	const struct field *host = http1_field(&head, SLICE("Host"));

	client = (struct client){ .address = "192.0.2.7", .text = "192.0.2.7:50000" };
	backend = (struct backend){ .authority = CONTROLLER };
	verdict = (struct verdict){ .kind = kind, .backend = to, .target = head.target };
	if (host) {
		verdict.host = host->value;
		verdict.port = 3000;
	}
	expect_text(put_request, expected, text);
	slice_free(raw);
}

START_TEST(a_plain_request_is_written_anew)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{ "GET /a?b HTTP/1.1\r\nHost: h:3000\r\n\r\n",
		  "GET /a?b HTTP/1.1\r\nHost: h:3000\r\n" FORWARDED "\r\n" },
		/* Host comes first, the others keep their order and case, not their padding */
		{ "GET / HTTP/1.1\r\nB:  2\t\r\na:1\r\nHOST: h:3000\r\nB:\r\nCookie: c\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: h:3000\r\nB: 2\r\na: 1\r\nB: \r\nCookie: c\r\n" FORWARDED
		  "\r\n" },
		/* framing */
		{ "POST / HTTP/1.1\r\nHost: h:3000\r\nContent-Length: 007\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: h:3000\r\n" FORWARDED
		  "Content-Length: 7\r\n\r\n" },
		{ "POST / HTTP/1.1\r\nHost: h:3000\r\nContent-Length: 0\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: h:3000\r\n" FORWARDED
		  "Content-Length: 0\r\n\r\n" },
		{ "POST / HTTP/1.1\r\nHost: h:3000\r\nContent-Length: 9223372036854775807\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: h:3000\r\n" FORWARDED
		  "Content-Length: 9223372036854775807\r\n\r\n" },
		{ "POST / HTTP/1.1\r\ntransfer-encoding: CHUNKED\r\nHost: h:3000\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: h:3000\r\n" FORWARDED
		  "Transfer-Encoding: chunked\r\n\r\n" },
		/* hop by hop, whether it says so itself or Connection does */
		{ "GET / HTTP/1.1\r\nHost: h:3000\r\nConnection: keep-alive, X-Mine\r\n"
		  "connection: x-yours\r\nX-Mine: 1\r\nX-YOURS: 2\r\nX-Ours: 3\r\n"
		  "Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
		  "Proxy-Connection: close\r\nProxy-Authorization: x\r\nproxy-x: y\r\n"
		  "Trailer: X\r\nAccept: */*\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: h:3000\r\nX-Ours: 3\r\nTrailer: X\r\n"
		  "Accept: */*\r\n" FORWARDED "\r\n" },
		/* forged */
		{ "GET / HTTP/1.1\r\nHost: h:3000\r\nX-Forwarded-For: 1.2.3.4\r\n"
		  "x-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\n"
		  "X-Forwarded-Prefix: /x\r\nX-Forwarded-: y\r\nForwarded: for=1.2.3.4\r\n"
		  "X-Real-IP: 1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\nA_B: c\r\n_: d\r\n"
		  "X-Forwarded-User: root\r\nX-Novnc-User: root\r\nx-novnc-session: s\r\n"
		  "X_Novnc_User: root\r\n"
		  "X-Forwarded: e\r\nX-Real-IPs: f\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: h:3000\r\nX-Forwarded: e\r\nX-Real-IPs: f\r\n" FORWARDED
		  "\r\n" },
		/* nothing but an upgrade is one */
		{ "GET / HTTP/1.1\r\nHost: h:3000\r\nUpgrade: websocket\r\n"
		  "Sec-WebSocket-Key: x\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: h:3000\r\nSec-WebSocket-Key: x\r\n" FORWARDED
		  "\r\n" },
		/* expectations, which HTTP/1.0 does not know */
		{ "PUT / HTTP/1.1\r\nHost: h:3000\r\nExpect: 100-continue\r\n\r\n",
		  "PUT / HTTP/1.1\r\nHost: h:3000\r\nExpect: 100-continue\r\n" FORWARDED
		  "\r\n" },
		{ "PUT / HTTP/1.0\r\nHost: h:3000\r\nExpect: 100-continue\r\nA: b\r\n\r\n",
		  "PUT / HTTP/1.1\r\nHost: h:3000\r\nA: b\r\n" FORWARDED "\r\n" },
		{ "OPTIONS * HTTP/1.1\r\nHost: h:3000\r\n\r\n",
		  "OPTIONS * HTTP/1.1\r\nHost: h:3000\r\n" FORWARDED "\r\n" },
		{ "GET / HTTP/1.1\r\nHost: h:3000\r\nA: \x80\tb \xff\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: h:3000\r\nA: \x80\tb \xff\r\n" FORWARDED
		  "\r\n" },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		expect_request(table[i].text, ROUTE_PLAIN, CONFIG_NEXTJS,
			       table[i].expected);
}
END_TEST

START_TEST(the_controller_gets_its_own_authority_as_Host)
{
	expect_request("GET /a HTTP/1.1\r\nHost: h:3000\r\nOrigin: http://h:3000\r\n\r\n",
		       ROUTE_PLAIN, CONFIG_CONTROLLER,
		       "GET /a HTTP/1.1\r\nHost: " CONTROLLER
		       "\r\nOrigin: http://h:3000\r\n" FORWARDED "\r\n");
}
END_TEST

START_TEST(without_Host_it_is_the_backends_authority)
{
	expect_request("GET /a HTTP/1.0\r\n\r\n", ROUTE_PLAIN, CONFIG_NEXTJS,
		       "GET /a HTTP/1.1\r\nHost: " CONTROLLER "\r\n"
		       "X-Forwarded-Proto: http\r\nX-Forwarded-For: 192.0.2.7\r\n"
		       "X-Forwarded-Port: 80\r\n\r\n");
}
END_TEST

START_TEST(a_port_is_the_hosts_or_that_of_the_scheme)
{
	static const struct {
		bool tls;
		unsigned port;
		const char *expected;
	} table[] = {
		{ false, 0, "80" },      { true, 0, "443" },    { false, 80, "80" },
		{ true, 80, "80" },      { false, 443, "443" }, { true, 443, "443" },
		{ false, 3000, "3000" }, { true, 1, "1" },      { false, 65535, "65535" },
	};
	struct slice raw = request_read("GET / HTTP/1.1\r\nHost: h\r\n\r\n", &head);
	char expected[200];

	backend = (struct backend){ .authority = CONTROLLER };
	for (size_t i = 0; i < LENGTH(table); i++) {
		client = (struct client){ .tls = table[i].tls };
		verdict = (struct verdict){ .target = SLICE("/"),
					    .host = SLICE("h"),
					    .port = table[i].port };
		(void)snprintf(expected, sizeof(expected),
			       "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: %s\r\n"
			       "X-Forwarded-Host: h\r\nX-Forwarded-Port: %s\r\n\r\n",
			       table[i].tls ? "https" : "http", table[i].expected);
		expect_text(put_request, expected, table[i].expected);
	}
	slice_free(raw);
}
END_TEST

/* RewriteOrigin=; which requests it is for, the verdict says. */
START_TEST(an_origin_becomes_the_backends_own)
{
	static const struct {
		bool tls;
		const char *authority, *origin;
	} table[] = {
		{ false, CONTROLLER, "http://" CONTROLLER },
		{ true, CONTROLLER, "https://" CONTROLLER },
		{ true, "controller.example", "https://controller.example" },
		{ false, "[::1]:4000", "http://[::1]:4000" },
		{ false, "localhost", "http://localhost" }, /* a Unix socket's */
	};
	static const char text[] = "GET / HTTP/1.1\r\nA: b\r\norigin: https://h:3000\r\n"
				   "X-Origin: c\r\nHost: h:3000\r\n\r\n";
	struct slice raw = request_read(text, &head);
	char expected[300];

	client = (struct client){ .address = "192.0.2.7" };
	for (size_t i = 0; i < LENGTH(table); i++) {
		backend = (struct backend){ .tls = table[i].tls };
		(void)strcpy(backend.authority, table[i].authority);
		verdict = (struct verdict){ .backend = CONFIG_CONTROLLER,
					    .target = SLICE("/"),
					    .host = SLICE("h:3000"),
					    .port = 3000,
					    .own_origin = true };
		(void)snprintf(expected, sizeof(expected),
			       "GET / HTTP/1.1\r\nHost: %s\r\nA: b\r\nOrigin: %s\r\n"
			       "X-Origin: c\r\n" FORWARDED "\r\n",
			       table[i].authority, table[i].origin);
		expect_text(put_request, expected, table[i].origin);
		verdict.own_origin = false;
		(void)snprintf(expected, sizeof(expected),
			       "GET / HTTP/1.1\r\nHost: %s\r\nA: b\r\n"
			       "origin: https://h:3000\r\nX-Origin: c\r\n" FORWARDED
			       "\r\n",
			       table[i].authority);
		expect_text(put_request, expected, table[i].origin);
	}
	slice_free(raw);
}
END_TEST

START_TEST(where_no_origin_came_none_is_added)
{
	struct slice raw = request_read("GET / HTTP/1.1\r\nHost: h\r\n\r\n", &head);

	client = (struct client){ .address = "" };
	backend = (struct backend){ .authority = CONTROLLER };
	verdict = (struct verdict){ .backend = CONFIG_CONTROLLER,
				    .target = SLICE("/"),
				    .host = SLICE("h"),
				    .own_origin = true };
	expect_text(put_request,
		    "GET / HTTP/1.1\r\nHost: " CONTROLLER
		    "\r\nX-Forwarded-Proto: http\r\n"
		    "X-Forwarded-Host: h\r\nX-Forwarded-Port: 80\r\n\r\n",
		    "no Origin");
	slice_free(raw);
}
END_TEST

START_TEST(an_upgrade_says_only_websocket)
{
	static const char text[] =
		"GET /w HTTP/1.1\r\nHost: h:3000\r\nConnection: keep-alive, Upgrade, X-A\r\n"
		"Upgrade: h2c, WebSocket\r\nX-A: b\r\nContent-Length: 0\r\n"
		"Origin: http://h:3000\r\nCookie: c=d\r\nSec-WebSocket-Key: k\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n"
		"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
	static const char rest[] =
		"Origin: http://h:3000\r\nCookie: c=d\r\nSec-WebSocket-Key: k\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n"
		"Sec-WebSocket-Extensions: permessage-deflate\r\n" FORWARDED
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
	char expected[1000];

	(void)snprintf(expected, sizeof(expected),
		       "GET /w HTTP/1.1\r\nHost: " CONTROLLER "\r\n%s", rest);
	expect_request(text, ROUTE_UPGRADE, CONFIG_CONTROLLER, expected);
	(void)snprintf(expected, sizeof(expected),
		       "GET /w HTTP/1.1\r\nHost: h:3000\r\n%s", rest);
	expect_request(text, ROUTE_UPGRADE, CONFIG_NEXTJS, expected);
}
END_TEST

START_TEST(an_id_is_the_gates_own)
{
	static const char text[] =
		"GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: forged\r\n"
		"x-request-ID: forged\r\nX-Request-Ids: a\r\n"
		"traceparent: 00-1-2-00\r\nX_Request_Id: forged\r\n\r\n";
	struct slice raw = request_read(text, &head);

	client = (struct client){ .text = "local" };
	backend = (struct backend){ .authority = CONTROLLER };
	verdict = (struct verdict){ .target = SLICE("/"),
				    .host = SLICE("h"),
				    .id_line = SLICE("X-Request-Id: abc-1\r\n") };
	expect_text(put_request,
		    "GET / HTTP/1.1\r\nHost: h\r\nX-Request-Ids: a\r\n"
		    "traceparent: 00-1-2-00\r\nX-Forwarded-Proto: http\r\n"
		    "X-Forwarded-Host: h\r\nX-Forwarded-Port: 80\r\n"
		    "X-Request-Id: abc-1\r\n\r\n",
		    text);
	slice_free(raw);
}
END_TEST

static int put_authorization(struct buf *out)
{
	return rewrite_authorization(&head, &verdict, &backend, &client, "/may?x", out);
}

START_TEST(an_authorization_request_has_only_the_credentials)
{
	static const char text[] =
		"POST %s HTTP/1.1\r\nHost: h:3000\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"Content-Length: 5\r\nExpect: 100-continue\r\nCOOKIE: \t c=d \r\nAccept: x\r\n"
		"X-Novnc-User: root\r\nX-Novnc-Session: other\r\nX-Forwarded-Uri: /\r\n"
		"X-Forwarded-User: root\r\nCook_ie: x\r\nCookies: x\r\nAuthorization: e\r\n"
		"X-Request-Id: forged\r\n"
		"Proxy-Authorization: x\r\nCookie:\r\nOrigin: http://h\r\n\r\n";
	static const char expected[] =
		"GET /may?x HTTP/1.1\r\nHost: %s\r\nCOOKIE: c=d\r\nAuthorization: e\r\nCookie: \r\n"
		"X-Forwarded-Proto: https\r\nX-Client-Cert-Subject: CN=a\r\n"
		"X-Forwarded-For: 192.0.2.7\r\n%sX-Forwarded-Port: %s\r\n"
		"X-Forwarded-Method: POST\r\nX-Forwarded-Uri: %s\r\n%s\r\n";
	char request[1000], out[1000];
	struct slice raw;

	client =
		(struct client){ .address = "192.0.2.7", .tls = true, .subject = "CN=a" };
	backend = (struct backend){ .authority = "n:3001" };
	(void)snprintf(request, sizeof(request), text, "/s%41/ws?y");
	raw = request_read(request, &head);
	verdict = (struct verdict){ .kind = ROUTE_UPGRADE,
				    .backend = CONFIG_CONTROLLER,
				    .target = head.target,
				    .host = SLICE("h:3000"),
				    .port = 3000,
				    .session = SLICE("s%41"),
				    .id_line = SLICE("X-Request-Id: abc-1\r\n") };
	(void)snprintf(out, sizeof(out), expected, "h:3000",
		       "X-Forwarded-Host: h:3000\r\n", "3000", "/s%41/ws?y",
		       "X-Novnc-Session: s%41\r\nX-Request-Id: abc-1\r\n");
	expect_text(put_authorization, out, "all");
	verdict = (struct verdict){ .backend = CONFIG_CONTROLLER, .target = SLICE("?y") };
	(void)snprintf(out, sizeof(out), expected, "n:3001", "", "443", "/?y", "");
	expect_text(put_authorization, out, "neither Host nor session");
	slice_free(raw);
}
END_TEST

START_TEST(the_user_is_told_to_the_controller)
{
	struct slice raw = request_read("GET / HTTP/1.1\r\nHost: h\r\n"
					"X-Forwarded-User: root\r\n\r\n",
					&head);

	client = (struct client){ .address = "" };
	backend = (struct backend){ .authority = CONTROLLER };
	verdict = (struct verdict){ .backend = CONFIG_CONTROLLER,
				    .target = SLICE("/"),
				    .user = SLICE("alice") };
	expect_text(put_request,
		    "GET / HTTP/1.1\r\nHost: " CONTROLLER
		    "\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n"
		    "X-Forwarded-User: alice\r\n\r\n",
		    "a user");
	slice_free(raw);
}
END_TEST

START_TEST(an_absolute_target_becomes_origin_form)
{
	static const char *const table[][2] = {
		{ "", "/" },        { "?a", "/?a" }, { "/", "/" },
		{ "/a?b", "/a?b" }, { "*", "*" },
	};
	struct slice raw =
		request_read("GET http://h/ HTTP/1.1\r\nHost: other\r\n\r\n", &head);
	char expected[200];

	client = (struct client){ .text = "local" }; /* which has no address */
	backend = (struct backend){ .authority = CONTROLLER };
	for (size_t i = 0; i < LENGTH(table); i++) {
		verdict = (struct verdict){ .target = slice_str(table[i][0]),
					    .host = SLICE("h") };
		(void)snprintf(expected, sizeof(expected),
			       "GET %s HTTP/1.1\r\nHost: h\r\n"
			       "X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"
			       "X-Forwarded-Port: 80\r\n\r\n",
			       table[i][1]);
		expect_text(put_request, expected, table[i][0]);
	}
	slice_free(raw);
}
END_TEST

/* ---- answers */

static void expect_response(const char *text, const char *expected)
{
	struct slice raw = answer_read(text, &head);

	expect_text(put_response, expected, text);
	slice_free(raw);
}

START_TEST(a_final_answer_has_the_id_of_the_request)
{
	static const char *const table[][2] = {
		{ "HTTP/1.1 200 OK\r\nx-request-id: forged\r\nA: b\r\nContent-Length: 0\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nA: b\r\nX-Request-Id: abc-1\r\n"
		  "Content-Length: 0\r\n\r\n" },
		{ "HTTP/1.1 304 N\r\n\r\n",
		  "HTTP/1.1 304 N\r\nX-Request-Id: abc-1\r\n\r\n" },
		{ "HTTP/1.1 101 S\r\n\r\n", "HTTP/1.1 101 S\r\nX-Request-Id: abc-1\r\n"
					    "Connection: Upgrade\r\n"
					    "Upgrade: websocket\r\n\r\n" },
		{ "HTTP/1.1 103 E\r\nX-Request-Id: x\r\nLink: l\r\n\r\n",
		  "HTTP/1.1 103 E\r\nLink: l\r\n\r\n" },
	};

	how = (struct rewrite_mode){ .from = &backend,
				     .id_line = SLICE("X-Request-Id: abc-1\r\n") };
	backend = (struct backend){ .authority = CONTROLLER };
	for (size_t i = 0; i < LENGTH(table); i++)
		expect_response(table[i][0], table[i][1]);
	how = (struct rewrite_mode){ 0 };
}
END_TEST

START_TEST(an_answer_is_written_anew)
{
	static const char *const table[][2] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n" },
		{ "HTTP/1.0 404 Not  Found \x80\r\nA:b\r\n\r\n",
		  "HTTP/1.1 404 Not  Found \x80\r\nA: b\r\n\r\n" },
		{ "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n" },
		/* framing */
		{ "HTTP/1.1 200 OK\r\ncontent-length: 007\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
		{ "HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n",
		  "HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n" },
		{ "HTTP/1.1 204 x\r\nContent-Length: 7\r\n\r\n",
		  "HTTP/1.1 204 x\r\n\r\n" },
		{ "HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\n",
		  "HTTP/1.1 100 Continue\r\n\r\n" },
		{ "HTTP/1.1 103 x\r\nLink: </a>\r\nLink: </b>\r\n\r\n",
		  "HTTP/1.1 103 x\r\nLink: </a>\r\nLink: </b>\r\n\r\n" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		  "HTTP/1.1 200 OK\r\n\r\n" }, /* not said to be sent in chunks */
		/* hop by hop */
		{ "HTTP/1.1 200 OK\r\nConnection: close, X-A\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\n"
		  "Upgrade: h2c\r\nProxy-Authenticate: x\r\nX-B: 2\r\nTrailer: c\r\n"
		  "Set-Cookie: a\r\nSet-Cookie: b\r\nA_B: c\r\nForwarded: d\r\nHost: e\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nX-B: 2\r\nTrailer: c\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
		  "A_B: c\r\nForwarded: d\r\nHost: e\r\n\r\n" },
		/* what proxies behind the gate say stays as it is */
		{ "HTTP/1.1 502 B\r\nProxy-Status: a; error=dns_error\r\nproxy-status: b, c\r\n\r\n",
		  "HTTP/1.1 502 B\r\nProxy-Status: a; error=dns_error\r\nproxy-status: b, c\r\n\r\n" },
		{ "HTTP/1.1 200 OK\r\nConnection: proxy-status\r\nProxy-Status: a\r\n\r\n",
		  "HTTP/1.1 200 OK\r\n\r\n" },
		/* for the gate alone */
		{ "HTTP/1.1 200 OK\r\nX-Novnc-User: a\r\nx-novnc-: b\r\nX-Novnc: c\r\n"
		  "X-Forwarded-User: d\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nX-Novnc: c\r\nX-Forwarded-User: d\r\n\r\n" },
		{ "HTTP/1.1 103 x\r\nX-Novnc-User: a\r\n\r\n", "HTTP/1.1 103 x\r\n\r\n" },
		{ "HTTP/1.1 302 Found\r\nLocation: http://" CONTROLLER "/a\r\n\r\n",
		  "HTTP/1.1 302 Found\r\nLocation: http://" CONTROLLER "/a\r\n\r\n" },
	};

	how = (struct rewrite_mode){ .from = &backend };
	for (size_t i = 0; i < LENGTH(table); i++)
		expect_response(table[i][0], table[i][1]);
}
END_TEST

START_TEST(an_answer_says_how_it_is_sent)
{
	how = (struct rewrite_mode){ .from = &backend, .close = true };
	expect_response(
		"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 7\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n");
	how = (struct rewrite_mode){ .from = &backend, .chunked = true };
	expect_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n",
			"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n");
	how = (struct rewrite_mode){ .from = &backend, .chunked = true, .close = true };
	expect_response(
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
}
END_TEST

START_TEST(a_101_keeps_its_upgrade)
{
	how = (struct rewrite_mode){ .from = &backend };
	expect_response(
		"HTTP/1.1 101 Switching\r\nUPGRADE: WebSocket\r\nConnection: upgrade, X-A\r\n"
		"X-A: b\r\nSec-WebSocket-Accept: c\r\nSec-WebSocket-Protocol: binary\r\n"
		"Content-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: c\r\n"
		"Sec-WebSocket-Protocol: binary\r\n"
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}
END_TEST

/* As the configuration has it, for which config_url.c takes a URL apart. */
static void backend_at(const char *url)
{
	static struct config cfg;
	char text[200];

	(void)snprintf(text, sizeof(text), "[NextJs]\nUrl=%s\n", url);
	config_done(&cfg);
	config_good(text, &cfg);
	backend = cfg.backend[CONFIG_NEXTJS];
	how = (struct rewrite_mode){ .from = &backend };
}

/* The three fields, with text before and behind the URL in the last one. */
static void expect_led(const char *at, const char *url, const char *to,
		       const char *before, const char *behind)
{
	static const char format[] = "HTTP/1.1 302 x\r\nlocation: %s\r\n"
				     "Content-Location: %s\r\nREFRESH: %s%s%s\r\n"
				     "X-Location: %s\r\n\r\n";
	char text[1000], expected[1000];

	backend_at(at);
	(void)snprintf(text, sizeof(text), format, url, url, before, url, behind, url);
	(void)snprintf(expected, sizeof(expected), format, to, to, before, to, behind,
		       url);
	expect_response(text, expected);
}

/* A URL and the path that it becomes; NULL: it stays as it is. */
struct led {
	const char *url, *path;
};

static void expect_all_led(const char *at, const struct led *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_led(at, table[i].url, table[i].path ? table[i].path : table[i].url,
			   "0;url=", "");
}

START_TEST(a_location_at_its_backend_becomes_a_path)
{
	static const struct led table[] = {
		{ "http://" CONTROLLER "/a?b#c", "/a?b#c" },
		{ "https://" CONTROLLER "/a", "/a" },
		{ "HTTP://" CONTROLLER "/", "/" },
		{ "http://" CONTROLLER, "/" },
		{ "http://" CONTROLLER "?a", "/?a" },
		{ "http://" CONTROLLER "#a", "/#a" },
		{ "//" CONTROLLER "/a", "/a" },
		{ "http://" CONTROLLER "/a//b", "/a//b" },
		{ "http://" CONTROLLER "/a\\b", "/a\\b" },
		{ "http://" CONTROLLER "/?a=//b", "/?a=//b" },
		{ "http://" CONTROLLER "/http://evil/", "/http://evil/" },
		/* elsewhere */
		{ "/", NULL },
		{ "/a", NULL },
		{ "a", NULL },
		{ "?a", NULL },
		{ "http", NULL },
		{ "http:", NULL },
		{ "http://", NULL },
		{ "http:///a", NULL },
		{ "//", NULL },
		{ "http:/" CONTROLLER "/a", NULL },
		{ "http:" CONTROLLER "/a", NULL },
		{ "http:\\\\" CONTROLLER "/a", NULL },
		{ "http://" CONTROLLER "0/a", NULL },
		{ "http://" CONTROLLER ".evil/a", NULL },
		{ "http://" CONTROLLER "@evil/a", NULL },
		{ "http://10.0.0.5/a", NULL },
		{ "http://10.0.0.5:/a", NULL },
		{ "http://10.0.0.5:400", NULL },
		{ "http://10.0.0.5:4001/a", NULL },
		{ "http://110.0.0.5:4000/a", NULL },
		{ "http://10.0.0.50:4000/a", NULL },
		{ "http://u@" CONTROLLER "/a", NULL },
		{ "http://evil/" CONTROLLER "/a", NULL },
		{ "http://evil/?http://" CONTROLLER "/a", NULL },
		{ "http://localhost:4000/a", NULL },
		{ "ws://" CONTROLLER "/a", NULL },
		{ "httpx://" CONTROLLER "/a", NULL },
		{ CONTROLLER "/a", NULL },
		/* what would name another host on its own */
		{ "http://" CONTROLLER "//evil/a", NULL },
		{ "http://" CONTROLLER "//", NULL },
		{ "http://" CONTROLLER "/\\evil/a", NULL },
		{ "http://" CONTROLLER "/\t/evil/a", NULL },
		{ "http://" CONTROLLER "\\evil/a", NULL },
		{ "https://" CONTROLLER "//evil/a", NULL },
		{ "//" CONTROLLER "//evil/a", NULL },
	};

	expect_all_led("http://" CONTROLLER, table, LENGTH(table));
}
END_TEST

/* Next.js says localhost of 127.0.0.1, and what it was told with -H of others. */
START_TEST(the_names_of_this_machine_are_one_host)
{
	static const char *const names[] = { "127.0.0.1", "localhost", "[::1]",
					     "0.0.0.0",   "[::]",      "LocalHost",
					     "[0:0::1]" };
	static const char *const others[] = {
		"127.0.0.2", "localhost.",         "localhost.evil",
		"[::2]",     "[::ffff:127.0.0.1]", "0",
		"::1",       "10.0.0.5",
	};
	char at[100], url[100];

	for (size_t i = 0; i < LENGTH(names); i++) {
		(void)snprintf(at, sizeof(at), "http://%s:3001", names[i]);
		for (size_t k = 0; k < LENGTH(names); k++) {
			(void)snprintf(url, sizeof(url), "http%s://%s:3001/page2",
				       k % 2 ? "s" : "", names[k]);
			expect_led(at, url, "/page2", "0;url=", "");
			(void)snprintf(url, sizeof(url), "http://%s:3000/page2",
				       names[k]);
			expect_led(at, url, url, "0;url=", "");
		}
		for (size_t k = 0; k < LENGTH(others); k++) {
			(void)snprintf(url, sizeof(url), "http://%s:3001/page2",
				       others[k]);
			expect_led(at, url, url, "0;url=", "");
		}
	}
	expect_led("http://10.0.0.5:3001", "http://localhost:3001/",
		   "http://localhost:3001/", "0;url=", "");
}
END_TEST

/* One that is not said is the default of either scheme: which it is, X-Forwarded-Proto said. */
START_TEST(a_port_may_be_the_default)
{
	static const struct led eighty[] = {
		{ "http://ctl/a", "/a" },     { "http://CTL:80/a", "/a" },
		{ "http://ctl:/a", "/a" },    { "http://ctl:0080/a", "/a" },
		{ "https://ctl:80/a", "/a" }, { "https://ctl/a", "/a" },
		{ "//ctl/a", "/a" },          { "https://ctl:443/a", NULL },
		{ "http://ctl:443/a", NULL }, { "http://ctl.:80/a", NULL },
	};
	static const struct led tls[] = {
		{ "https://ctl/a", "/a" },    { "https://ctl:443/a", "/a" },
		{ "http://ctl:443/a", "/a" }, { "http://ctl/a", "/a" },
		{ "//ctl/a", "/a" },          { "http://ctl:80/a", NULL },
		{ "https://ctl:80/a", NULL },
	};
	static const struct led odd[] = {
		{ "http://ctl:443/a", "/a" },
		{ "https://ctl/a", "/a" },
		{ "http://ctl/a", NULL },
		{ "http://ctl:80/a", NULL },
	};
	static const struct led other[] = {
		{ "https://ctl:4443/a", "/a" }, { "http://ctl:4443/a", "/a" },
		{ "https://ctl/a", NULL },      { "http://ctl/a", NULL },
		{ "http://ctl:44430/a", NULL }, { "http://ctl:004443/a", NULL },
		{ "http://ctl:4443x/a", NULL }, { "http://ctl:-4443/a", NULL },
		{ "http://ctl:69979/a", NULL }, /* 4443 in 16 bits */
	};

	expect_all_led("http://ctl", eighty, LENGTH(eighty));
	expect_all_led("https://Ctl", tls, LENGTH(tls));
	expect_all_led("http://ctl:443", odd, LENGTH(odd));
	expect_all_led("https://ctl:4443", other, LENGTH(other));
}
END_TEST

START_TEST(an_address_may_be_written_in_several_ways)
{
	static const struct led table[] = {
		{ "http://[2001:db8::1]:3001/a", "/a" },
		{ "http://[2001:DB8::1]:3001/a", "/a" },
		{ "http://[2001:db8:0::0:1]:3001/a", "/a" },
		{ "http://[2001:db8::2]:3001/a", NULL },
		{ "http://[2001:db8::1]/a", NULL },
		{ "http://[2001:db8::1:3001/a", NULL },
		{ "http://2001:db8::1:3001/a", NULL },
		{ "http://[2001:db8::1%25eth0]:3001/a", NULL },
	};

	expect_all_led("http://[2001:db8::1]:3001", table, LENGTH(table));
}
END_TEST

/* As browsers read it (the HTML standard's "shared declarative refresh steps"). */
START_TEST(a_refresh_has_a_time_before_its_url)
{
	static const struct {
		const char *before, *behind;
	} table[] = {
		{ "0;url=", "" },        { "5; URL=", "" },  { "5 ,\turl =  ", "" },
		{ "0.5; url=\"", "\"" }, { "5;url='", "'" }, { "5;url='", "'; more" },
		{ "5; ", "" },           { "5 ", "" },       { "5;'", "'" },
		{ "5;url=\"", "" },
	};
	static const char *const stay[] = {
		"http://" CONTROLLER "/a",
		";url=http://" CONTROLLER "/a",
		"5url=http://" CONTROLLER "/a",
		"5http://" CONTROLLER "/a",
		"x;url=http://" CONTROLLER "/a",
		"5;uri=http://" CONTROLLER "/a",
		"5;url=url=http://" CONTROLLER "/a",
		"5;;url=http://" CONTROLLER "/a",
		"5;url=http://evil/http://" CONTROLLER "/a",
		"5",
		"5;",
		"5;url",
		"5;url=",
		"5;url='",
		"5;url=''",
		"5;url='/a'",
		"5;url=\"'http://" CONTROLLER "/a'\"",
		"5;url='http:'//" CONTROLLER "/a",
	};
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		expect_led("http://" CONTROLLER, "http://" CONTROLLER "/a?b", "/a?b",
			   table[i].before, table[i].behind);
		expect_led("http://" CONTROLLER, "http://" CONTROLLER, "/",
			   table[i].before, table[i].behind);
		expect_led("http://" CONTROLLER, "http://evil/a", "http://evil/a",
			   table[i].before, table[i].behind);
		expect_led("http://" CONTROLLER, "http://" CONTROLLER "//evil",
			   "http://" CONTROLLER "//evil", table[i].before,
			   table[i].behind);
	}
	for (size_t i = 0; i < LENGTH(stay); i++) {
		(void)snprintf(text, sizeof(text),
			       "HTTP/1.1 200 x\r\nRefresh: %s\r\n\r\n", stay[i]);
		expect_response(text, text);
	}
}
END_TEST

/* It has neither host nor port, whatever its Host says. */
START_TEST(nothing_names_a_unix_socket)
{
	static const struct led table[] = {
		{ "http://localhost/a", NULL },
		{ "http://localhost:80/a", NULL },
		{ "http:///a", NULL },
		{ "//localhost/a", NULL },
		{ "http://localhost:0/a", NULL },
	};

	expect_all_led("unix:/run/next.sock", table, LENGTH(table));
}
END_TEST

/* A field's value at the end of a block, so that reading past it shows. */
static void expect_cut(const char *name, const char *value, size_t n,
		       const char *expected)
{
	char text[100], room[300];
	struct buf out = { room, sizeof(room), 0, 0 };
	char *block = exact(value, n);
	struct slice raw;

	(void)snprintf(text, sizeof(text), "HTTP/1.1 302 x\r\n%s: x\r\n\r\n", name);
	raw = answer_read(text, &head);
	head.field[0].value = (struct slice){ block, n };
	ck_assert_int_eq(put_response(&out), 0);
	(void)snprintf(text, sizeof(text), "HTTP/1.1 302 x\r\n%s: %s\r\n\r\n", name,
		       expected);
	ck_assert_slice_eq(buf_slice(&out), text);
	free(block);
	slice_free(raw);
}

START_TEST(a_location_may_be_cut_anywhere)
{
	static const char location[] = "http://" CONTROLLER "/a",
			  refresh[] = "5; url = 'http://" CONTROLLER "/a'";
	size_t authority = strlen(location) - 2, quoted = strlen(refresh) - 3;
	char expected[100];

	backend_at("http://" CONTROLLER);
	for (size_t n = 0; n < sizeof(location); n++) {
		(void)snprintf(expected, sizeof(expected), "%.*s", (int)n, location);
		if (n >= authority)
			(void)snprintf(expected, sizeof(expected), "%s",
				       n < strlen(location) ? "/" : "/a");
		expect_cut("Location", location, n, expected);
	}
	for (size_t n = 0; n < sizeof(refresh); n++) {
		(void)snprintf(expected, sizeof(expected), "%.*s", (int)n, refresh);
		if (n >= quoted)
			(void)snprintf(expected, sizeof(expected), "5; url = '/%s",
				       n < quoted + 2   ? ""
				       : n < quoted + 3 ? "a"
							: "a'");
		expect_cut("Refresh", refresh, n, expected);
	}
}
END_TEST

/* ---- the gate's own replies */

START_TEST(a_reply_is_a_complete_answer)
{
	static const char close_only[] = "Connection: close\r\n";
	static const struct {
		unsigned status;
		const char *reason, *fields;
	} table[] = {
		{ 400, "Bad Request", close_only },
		{ 403, "Forbidden", close_only },
		{ 405, "Method Not Allowed",
		  "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nConnection: close\r\n" },
		{ 408, "Request Timeout", close_only },
		{ 414, "URI Too Long", close_only },
		{ 426, "Upgrade Required",
		  "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"
		  "Connection: close, Upgrade\r\n" },
		{ 431, "Request Header Fields Too Large", close_only },
		{ 500, "Internal Server Error", close_only },
		{ 501, "Not Implemented", close_only },
		{ 502, "Bad Gateway", close_only },
		{ 503, "Service Unavailable", close_only },
		{ 504, "Gateway Timeout", close_only },
		{ 505, "HTTP Version Not Supported", close_only },
	};
	static const char *const bodies[][2] = {
		{ "novnc-gate[17]", "It did not: that.\nLog entries: novnc-gate[17]\n" },
		{ "0123456789abcdef",
		  "It did not: that.\nLog entries: journalctl _SYSTEMD_INVOCATION_ID=0123456789abcdef\n" },
	};
	char expected[1000];

	for (size_t i = 0; i < LENGTH(table); i++)
		for (size_t k = 0; k < LENGTH(bodies); k++)
			for (int no_content = 0; no_content <= 1; no_content++) {
				reply = (struct error_response){
					.status = table[i].status,
					.what = "It did not",
					.why = "that",
					.type = "some_type",
					.log_id = bodies[k][0],
					.is_head_method = no_content,
				};
				(void)snprintf(
					expected, sizeof(expected),
					"HTTP/1.1 %u %s\r\n"
					"Content-Type: text/plain; charset=utf-8\r\n"
					"Content-Length: %zu\r\n"
					"Cache-Control: no-store\r\n"
					"Server: novnc-gate\r\n"
					"Proxy-Status: novnc-gate; error=some_type\r\n"
					"%s\r\n%s",
					table[i].status, table[i].reason,
					strlen(bodies[k][1]), table[i].fields,
					no_content ? "" : bodies[k][1]);
				expect_text(put_reply, expected, table[i].reason);
			}
}
END_TEST

START_TEST(a_reply_reads_as_an_answer)
{
	char room[2000];
	struct buf out = { room, sizeof(room), 0, 0 };
	struct http1_fault fault;
	struct lines_scan scan = { 0 };
	ssize_t len;

	reply = (struct error_response){
		.status = 426, .what = "a", .why = "a", .log_id = "b"
	};
	ck_assert_int_eq(put_reply(&out), 0);
	len = lines_scan(&scan, buf_slice(&out), sizeof(room));
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(http1_parse_response((struct slice){ room, (size_t)len },
					      SLICE("GET"), &head, &fault),
			 0);
	ck_assert_int_eq(head.framing, HTTP1_LENGTH);
	ck_assert_uint_eq(head.length, buf_len(&out) - (size_t)len);
	ck_assert(!http1_persistent(&head));
}
END_TEST

START_TEST(a_reply_to_an_error_has_its_type)
{
	static const struct {
		unsigned status;
		const char *type, *expected; /* NULL: no Proxy-Status */
	} table[] = {
		{ 308, NULL, NULL },
		{ 400, NULL, "http_request_error" },
		{ 403, NULL, "http_request_denied" },
		{ 405, NULL, "http_request_error" },
		{ 408, NULL, "http_request_error" },
		{ 414, NULL, "http_request_error" },
		{ 426, NULL, "http_request_error" },
		{ 431, NULL, "http_request_error" },
		{ 500, NULL, "proxy_internal_error" },
		{ 500, "proxy_loop_detected", "proxy_loop_detected" },
		{ 501, NULL, "proxy_internal_response" },
		{ 502, "connection_refused", "connection_refused" },
		{ 503, NULL, "proxy_internal_error" },
		{ 504, "connection_timeout", "connection_timeout" },
		{ 505, NULL, "proxy_internal_response" },
	};
	char room[2048], line[100];

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct buf out = { room, sizeof(room), 0, 0 };

		reply = (struct error_response){ .status = table[i].status,
						 .type = table[i].type,
						 .what = "x",
						 .why = "x",
						 .log_id = "1" };
		ck_assert_int_eq(error_response_write(&reply, &out), 0);
		room[out.end] = '\0';
		(void)snprintf(line, sizeof(line),
			       "\r\nProxy-Status: novnc-gate; error=%s\r\n",
			       table[i].expected ? table[i].expected : "");
		ck_assert_msg(table[i].expected ? strstr(room, line) != NULL
						: !strstr(room, "Proxy-Status"),
			      "%s", room);
	}
}
END_TEST

START_TEST(a_308_says_where_to)
{
	static const struct {
		const char *target, *location;
	} table[] = {
		{ "/a?b", "\r\nLocation: https://h:1/a?b\r\n" },
		{ "?b", "\r\nLocation: https://h:1/?b\r\n" },
		{ "", "\r\nLocation: https://h:1/\r\n" },
	};
	char room[2048];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buf out = { room, sizeof(room), 0, 0 };

		reply = (struct error_response){ .status = 308,
						 .what = "x",
						 .why = "x",
						 .log_id = "novnc-gate[1]",
						 .host = SLICE("h:1"),
						 .target = slice_str(table[i].target) };
		ck_assert_int_eq(error_response_write(&reply, &out), 0);
		room[out.end] = '\0';
		ck_assert_ptr_nonnull(strstr(room, table[i].location));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rewrite");
	TCase *requests = tcase_create("requests"), *answers = tcase_create("answers");
	TCase *replies = tcase_create("replies");

	suite_add_tcase(suite, requests);
	tcase_set_timeout(requests, 60); /* under valgrind */
	tcase_add_test(requests, a_plain_request_is_written_anew);
	tcase_add_test(requests, the_controller_gets_its_own_authority_as_Host);
	tcase_add_test(requests, without_Host_it_is_the_backends_authority);
	tcase_add_test(requests, a_port_is_the_hosts_or_that_of_the_scheme);
	tcase_add_test(requests, an_origin_becomes_the_backends_own);
	tcase_add_test(requests, where_no_origin_came_none_is_added);
	tcase_add_test(requests, an_upgrade_says_only_websocket);
	tcase_add_test(requests, an_id_is_the_gates_own);
	tcase_add_test(requests, an_authorization_request_has_only_the_credentials);
	tcase_add_test(requests, the_user_is_told_to_the_controller);
	tcase_add_test(requests, an_absolute_target_becomes_origin_form);

	suite_add_tcase(suite, answers);
	tcase_set_timeout(answers, 60);
	tcase_add_test(answers, a_final_answer_has_the_id_of_the_request);
	tcase_add_test(answers, an_answer_is_written_anew);
	tcase_add_test(answers, an_answer_says_how_it_is_sent);
	tcase_add_test(answers, a_101_keeps_its_upgrade);
	tcase_add_test(answers, a_location_at_its_backend_becomes_a_path);
	tcase_add_test(answers, the_names_of_this_machine_are_one_host);
	tcase_add_test(answers, a_port_may_be_the_default);
	tcase_add_test(answers, an_address_may_be_written_in_several_ways);
	tcase_add_test(answers, a_refresh_has_a_time_before_its_url);
	tcase_add_test(answers, nothing_names_a_unix_socket);
	tcase_add_test(answers, a_location_may_be_cut_anywhere);

	suite_add_tcase(suite, replies);
	tcase_set_timeout(replies, 60);
	tcase_add_test(replies, a_reply_is_a_complete_answer);
	tcase_add_test(replies, a_reply_reads_as_an_answer);
	tcase_add_test(replies, a_reply_to_an_error_has_its_type);
	tcase_add_test(replies, a_308_says_where_to);
	return suite_run(suite);
}
