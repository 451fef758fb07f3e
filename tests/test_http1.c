/* SPDX-License-Identifier: MIT */
/* http1.c: heads and framing. The same tables pass with llhttp 8 and 9. */
#include "http/http1.h"

#include <stdio.h>

#include "testing.h"

#define GET(fields)  "GET / HTTP/1.1\r\nHost: h\r\n" fields "\r\n"
#define POST(fields) "POST / HTTP/1.1\r\nHost: h\r\n" fields "\r\n"
#define OK(fields)   "HTTP/1.1 200 OK\r\n" fields "\r\n"

static struct http1_head head;

/* 0, or the status of the refusal, whose words are in *why. */
static unsigned request_judge(const char *text, const char **why)
{
	struct slice raw = head_raw(text);
	struct http1_fault fault = { 0 };
	int r = http1_parse_request(raw, &head, &fault);

	ck_assert_int_eq(r, fault.status ? -EBADMSG : 0);
	slice_free(raw);
	*why = fault.why;
	return fault.status;
}

static unsigned answer_judge(const char *text, const char *method, const char **why)
{
	struct slice raw = head_raw(text), m = exact_str(method);
	struct http1_fault fault = { 0 };
	int r = http1_parse_response(raw, m, &head, &fault);

	ck_assert_int_eq(r, fault.status ? -EBADMSG : 0);
	slice_free(raw);
	slice_free(m);
	*why = fault.why;
	return fault.status;
}

/* The start of a text that fills a head with n more fields. */
static char *head_of(const char *start, const char *field, size_t n)
{
	char *text = malloc(strlen(start) + n * strlen(field) + strlen("\r\n") + 1);
	char *end = stpcpy(text, start);

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < n; i++)
		end = stpcpy(end, field);
	(void)stpcpy(end, "\r\n");
	return text;
}

/* ---- requests */

static const struct {
	const char *text, *method, *target;
	unsigned minor;
	enum http1_framing framing;
	uint64_t length;
	size_t fields;
} requests[] = {
	{ "GET / HTTP/1.1\r\n\r\n", "GET", "/", 1, HTTP1_NO_BODY, 0, 0 },
	{ "GET /a?b HTTP/1.0\r\n\r\n", "GET", "/a?b", 0, HTTP1_NO_BODY, 0, 0 },
	{ "HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HEAD", "/", 1, HTTP1_NO_BODY,
	  0, 2 },
	{ "OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS", "*", 1, HTTP1_NO_BODY, 0, 0 },
	{ "PUT http://h:1/?x HTTP/1.1\r\n\r\n", "PUT", "http://h:1/?x", 1, HTTP1_NO_BODY,
	  0, 0 },
	{ "PATCH HTTPS://[::1] HTTP/1.1\r\n\r\n", "PATCH", "HTTPS://[::1]", 1,
	  HTTP1_NO_BODY, 0, 0 },
	{ "DELETE //a//b/../%2e HTTP/1.1\r\n\r\n", "DELETE", "//a//b/../%2e", 1,
	  HTTP1_NO_BODY, 0, 0 },
	{ "GET /\"<>\\^`{|}[]!$&'()*+,;=:@?? HTTP/1.1\r\n\r\n", "GET",
	  "/\"<>\\^`{|}[]!$&'()*+,;=:@??", 1, HTTP1_NO_BODY, 0, 0 },
	{ "PROPFIND / HTTP/1.1\r\n\r\n", "PROPFIND", "/", 1, HTTP1_NO_BODY, 0, 0 },
	{ "M-SEARCH / HTTP/1.1\r\n\r\n", "M-SEARCH", "/", 1, HTTP1_NO_BODY, 0, 0 },
	{ GET("A:\r\nB: \t \r\nC: a\tb \x80\xff\r\n"), "GET", "/", 1, HTTP1_NO_BODY, 0,
	  4 },
	{ GET("!#$%&'*+-.^_`|~09azAZ: x\r\n"), "GET", "/", 1, HTTP1_NO_BODY, 0, 2 },
	{ GET("Connection:\r\nConnection: close, keep-alive\r\n"), "GET", "/", 1,
	  HTTP1_NO_BODY, 0, 3 },
	{ POST(""), "POST", "/", 1, HTTP1_NO_BODY, 0, 1 },
	{ POST("Content-Length: 0\r\n"), "POST", "/", 1, HTTP1_LENGTH, 0, 2 },
	{ GET("CONTENT-LENGTH:007 \r\n"), "GET", "/", 1, HTTP1_LENGTH, 7, 2 },
	{ POST("Content-Length: 9223372036854775807\r\n"), "POST", "/", 1, HTTP1_LENGTH,
	  INT64_MAX, 2 },
	{ "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", "POST", "/", 0, HTTP1_LENGTH, 5,
	  1 },
	{ POST("Transfer-Encoding: chunked\r\n"), "POST", "/", 1, HTTP1_CHUNKED, 0, 2 },
	{ GET("transfer-encoding:\tChUnKeD \t\r\n"), "GET", "/", 1, HTTP1_CHUNKED, 0, 2 },
	{ GET("Content-Lengthx: a\r\nTransfer-Encodin: b\r\n"), "GET", "/", 1,
	  HTTP1_NO_BODY, 0, 3 },
	{ GET("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "GET", "/", 1,
	  HTTP1_NO_BODY, 0, 3 },
	{ POST("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n"), "POST",
	  "/", 1, HTTP1_LENGTH, 3, 4 },
	{ POST("Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n"),
	  "POST", "/", 1, HTTP1_CHUNKED, 0, 4 },
	{ "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET",
	  "/", 0, HTTP1_NO_BODY, 0, 2 },
};

/* s lies within the block. */
static bool is_within(struct slice s, struct slice block)
{
	return s.p >= block.p && s.p + s.len <= block.p + block.len;
}

START_TEST(a_request_is_taken_apart)
{
	for (size_t i = 0; i < LENGTH(requests); i++) {
		struct slice raw;

		memset(&head, 0xa5, sizeof(head)); /* nothing is taken for granted */
		raw = request_read(requests[i].text, &head);
		ck_assert_slice_eq(head.method, requests[i].method);
		ck_assert_slice_eq(head.target, requests[i].target);
		ck_assert_uint_eq(head.minor, requests[i].minor);
		ck_assert_int_eq(head.framing, requests[i].framing);
		ck_assert_uint_eq(head.length, requests[i].length);
		ck_assert_uint_eq(head.fields, requests[i].fields);
		ck_assert(is_within(head.method, raw) && is_within(head.target, raw));
		for (size_t k = 0; k < head.fields; k++)
			ck_assert(is_within(head.field[k].name, raw) &&
				  is_within(head.field[k].value, raw));
		slice_free(raw);
	}
}
END_TEST

START_TEST(fields_keep_their_order_and_lose_their_padding)
{
	struct slice raw = request_read(GET("A: 1\r\nb:\t2 3 \r\nA:\r\n"), &head);

	ck_assert_uint_eq(head.fields, 4);
	ck_assert_slice_eq(head.field[1].name, "A");
	ck_assert_slice_eq(head.field[1].value, "1");
	ck_assert_slice_eq(head.field[2].name, "b");
	ck_assert_slice_eq(head.field[2].value, "2 3");
	ck_assert_slice_eq(head.field[3].name, "A");
	ck_assert_slice_eq(head.field[3].value, "");
	slice_free(raw);
}
END_TEST

#define BAD_LINE     "malformed request line"
#define BAD_FIELD    "malformed header field"
#define BAD_LENGTH   "malformed Content-Length"
#define TWO_LENGTHS  "more than one Content-Length"
#define BAD_CODING   "malformed Transfer-Encoding"
#define NOT_CHUNKED  "Transfer-Encoding does not end in chunked"
#define BOTH         "Transfer-Encoding together with Content-Length"
#define CODING_10    "Transfer-Encoding with HTTP/1.0"
#define BAD_VERSION  "HTTP version is neither 1.0 nor 1.1"
#define NOT_SERVED   "method not allowed"
#define OTHER_CODING "transfer coding other than chunked"
#define UNKNOWN      "unknown method"

static const struct {
	const char *text;
	unsigned status;
	const char *why;
} refusals[] = {
	/* the request line */
	{ "GET / HTTP/1.1 \r\n\r\n", 400, BAD_LINE },
	{ " GET / HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET  / HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET  HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET /  HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET\t/ HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET /\tHTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET /a\tb HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET /a b HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET /\r\n\r\n", 400, BAD_LINE },
	{ "GET\r\n\r\n", 400, BAD_LINE },
	{ "/ HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "G(T / HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "G\x80T / HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET /\x80 HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET /\xff HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET /#a HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET # HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET / http/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET / HTTP/1.10\r\n\r\n", 400, BAD_LINE },
	{ "GET / HTTP/11.1\r\n\r\n", 400, BAD_LINE },
	{ "GET / HTTP/1,1\r\n\r\n", 400, BAD_LINE },
	{ "GET / HTTP/a.1\r\n\r\n", 400, BAD_LINE },
	{ "GET / HTTP/1.a\r\n\r\n", 400, BAD_LINE },
	{ "GET / HTTP/1\r\n\r\n", 400, BAD_LINE },
	{ "GET / HTTPS1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET / ICE/1.0\r\n\r\n", 400, BAD_LINE },
	{ "GET / RTSP/1.0\r\n\r\n", 400, BAD_LINE },
	{ "HTTP/1.1 200 OK\r\n\r\n", 400, BAD_LINE },
	{ "GET a HTTP/1.1\r\n\r\n", 400, "malformed request head" },
	{ "GET a:80 HTTP/1.1\r\n\r\n", 400, "malformed request head" },
	{ "GET ?a HTTP/1.1\r\n\r\n", 400, "malformed request head" },
	/* field lines */
	{ GET("A\r\n"), 400, BAD_FIELD },
	{ GET(": a\r\n"), 400, BAD_FIELD },
	{ GET("A : b\r\n"), 400, BAD_FIELD },
	{ GET("A\t: b\r\n"), 400, BAD_FIELD },
	{ GET("A B: c\r\n"), 400, BAD_FIELD },
	{ GET("\xc3\x84: c\r\n"), 400, BAD_FIELD },
	{ GET("(a): c\r\n"), 400, BAD_FIELD },
	{ "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400, BAD_FIELD },
	/* lengths */
	{ POST("Content-Length:\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: -1\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: +1\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 0x1\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 1 1\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 1.\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 1:\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 1/\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 1,1\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 1, 1\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: \"1\"\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: \xb2\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 9223372036854775808\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 18446744073709551616\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 18446744073709551621\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 99999999999999999999999\r\n"), 400, BAD_LENGTH },
	{ POST("Content-Length: 1\r\ncontent-length: 1\r\n"), 400, TWO_LENGTHS },
	{ POST("Content-Length: 1\r\nContent-Length: 2\r\n"), 400, TWO_LENGTHS },
	{ POST("Content-Length: 0\r\nA: b\r\nContent-Length: 0\r\n"), 400, TWO_LENGTHS },
	/* transfer codings */
	{ POST("Transfer-Encoding:\r\n"), 400, BAD_CODING },
	{ POST("Transfer-Encoding: ,chunked\r\n"), 400, BAD_CODING },
	{ POST("Transfer-Encoding: chunked,\r\n"), 400, BAD_CODING },
	{ POST("Transfer-Encoding: gzip,,chunked\r\n"), 400, BAD_CODING },
	{ POST("Transfer-Encoding: chunked, chunked\r\n"), 400, BAD_CODING },
	{ POST("Transfer-Encoding: chunked, gzip\r\n"), 400, BAD_CODING },
	{ POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400,
	  BAD_CODING },
	{ POST("Transfer-Encoding: chunked\r\ntransfer-encoding: gzip\r\n"), 400,
	  BAD_CODING },
	{ POST("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n"), 400, BAD_CODING },
	{ POST("Transfer-Encoding: gzip\r\n"), 400, NOT_CHUNKED },
	{ POST("Transfer-Encoding: identity\r\n"), 400, NOT_CHUNKED },
	{ POST("Transfer-Encoding: xchunked\r\n"), 400, NOT_CHUNKED },
	{ POST("Transfer-Encoding: chunkedx\r\n"), 400, NOT_CHUNKED },
	{ POST("Transfer-Encoding: chunked;a=b\r\n"), 400, NOT_CHUNKED },
	{ POST("Transfer-Encoding: \"chunked\"\r\n"), 400, NOT_CHUNKED },
	{ POST("Transfer-Encoding: chunked gzip\r\n"), 400, NOT_CHUNKED },
	{ POST("Transfer-Encoding: gzip\r\nTransfer-Encoding: deflate\r\n"), 400,
	  NOT_CHUNKED },
	{ POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400, BOTH },
	{ POST("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), 400, BOTH },
	{ POST("Content-Length: 5\r\nTransfer-Encoding: identity\r\n"), 400, BOTH },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, CODING_10 },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", 400, CODING_10 },
	/* versions */
	{ "GET / HTTP/0.9\r\n\r\n", 505, BAD_VERSION },
	{ "GET / HTTP/1.2\r\n\r\n", 505, BAD_VERSION },
	{ "GET / HTTP/1.9\r\n\r\n", 505, BAD_VERSION },
	{ "GET / HTTP/2.0\r\n\r\n", 505, BAD_VERSION },
	{ "GET / HTTP/2.1\r\n\r\n", 505, BAD_VERSION },
	{ "GET / HTTP/0.0\r\n\r\n", 505, BAD_VERSION },
	{ "PRI * HTTP/2.0\r\n\r\n", 505, BAD_VERSION },
	{ "POST / HTTP/2.0\r\nTransfer-Encoding: chunked\r\n\r\n", 505, BAD_VERSION },
	/* methods, codings */
	{ "CONNECT a:443 HTTP/1.1\r\n\r\n", 405, NOT_SERVED },
	{ "CONNECT / HTTP/1.1\r\n\r\n", 405, NOT_SERVED },
	{ "TRACE / HTTP/1.1\r\n\r\n", 405, NOT_SERVED },
	{ "TRACE / HTTP/1.0\r\n\r\n", 405, NOT_SERVED },
	{ "BREW / HTTP/1.1\r\n\r\n", 501, UNKNOWN },
	{ "get / HTTP/1.1\r\n\r\n", 501, UNKNOWN },
	{ "Get / HTTP/1.1\r\n\r\n", 501, UNKNOWN },
	{ "GE / HTTP/1.1\r\n\r\n", 501, UNKNOWN },
	{ "GETT / HTTP/1.1\r\n\r\n", 501, UNKNOWN },
	{ "trace / HTTP/1.1\r\n\r\n", 501, UNKNOWN },
	{ "TRACEX / HTTP/1.1\r\n\r\n", 501, UNKNOWN },
	{ "DESCRIBE / HTTP/1.1\r\n\r\n", 501, UNKNOWN },
	{ "PLAY / HTTP/1.0\r\n\r\n", 501, UNKNOWN },
	{ POST("Transfer-Encoding: gzip, chunked\r\n"), 501, OTHER_CODING },
	{ POST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 501,
	  OTHER_CODING },
	{ POST("Transfer-Encoding: identity, chunked\r\n"), 501, OTHER_CODING },
	/* where two meet, the earlier step answers */
	{ "GET / HTTP/1.1 x\r\nA : b\r\n\r\n", 400, BAD_LINE },
	{ "GET /\x80 HTTP/2.0\r\n\r\n", 400, BAD_LINE },
	{ "TRACE /# HTTP/1.1\r\n\r\n", 400, BAD_LINE },
	{ "GET / HTTP/2.0\r\nA : b\r\n\r\n", 400, BAD_FIELD },
	{ "TRACE / HTTP/1.1\r\nA : b\r\n\r\n", 400, BAD_FIELD },
	{ "BREW / HTTP/1.1\r\nA : b\r\n\r\n", 400, BAD_FIELD },
	{ "BREW / HTTP/2.0\r\nContent-Length: x\r\n\r\n", 400, BAD_LENGTH },
	{ "CONNECT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400,
	  TWO_LENGTHS },
	{ "CONNECT / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n", 400, NOT_CHUNKED },
	{ "CONNECT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, CODING_10 },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400, CODING_10 },
	{ POST("Transfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n"), 400, BOTH },
	{ "CONNECT a:443 HTTP/2.0\r\n\r\n", 505, BAD_VERSION },
	{ "BREW / HTTP/2.0\r\n\r\n", 505, BAD_VERSION },
	{ "POST / HTTP/1.2\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 505,
	  BAD_VERSION },
	{ "TRACE / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 405,
	  NOT_SERVED },
	/* fields that are missing or too many are for route.c */
};

START_TEST(what_is_wrong_with_a_request_is_named_in_order)
{
	for (size_t i = 0; i < LENGTH(refusals); i++) {
		const char *why = "accepted";
		unsigned status = request_judge(refusals[i].text, &why);

		ck_assert_msg(status == refusals[i].status &&
				      strcmp(why, refusals[i].why) == 0,
			      "%u %s, not %u %s: %s", status, why, refusals[i].status,
			      refusals[i].why, refusals[i].text);
	}
}
END_TEST

START_TEST(the_request_line_of_a_refused_head_is_known_once_it_is_complete)
{
	static const char line[] = "BREW /a?b HTTP/2.0\r\n", rest[] = "A : b\r\n\r\n";

	for (size_t n = 0; n < sizeof(line) - 1; n++) {
		char *block = exact(line, n);

		ck_assert(!http1_request_line((struct slice){ block, n }, &head));
		free(block);
	}
	for (size_t n = 0; n < sizeof(rest); n++) {
		struct slice in = exact_str(line);
		char *block = malloc(in.len + n);

		ck_assert_ptr_nonnull(block);
		memcpy(block, in.p, in.len);
		memcpy(block + in.len, rest, n);
		memset(&head, 0xa5, sizeof(head));
		ck_assert(http1_request_line((struct slice){ block, in.len + n }, &head));
		ck_assert_slice_eq(head.method, "BREW");
		ck_assert_slice_eq(head.target, "/a?b");
		free(block);
		slice_free(in);
	}
	ck_assert(!http1_request_line(SLICE("GET / HTTP/1.1\rx"), &head));
	ck_assert(!http1_request_line(SLICE("GET / HTTQ/1.1\r\n"), &head));
	ck_assert(!http1_request_line(SLICE("\x16\x03\x01\r\n"), &head));
	ck_assert(!http1_request_line((struct slice){ 0 }, &head));
}
END_TEST

/* ---- white space, in requests and in answers */

/* The fields of a head that the parser interprets. */
struct said {
	unsigned status; /* of the refusal */
	enum http1_framing framing;
	uint64_t length;
	bool persistent, upgrade;
};

static struct said field_said(bool answer, const char *name, const char *value)
{
	struct http1_fault fault = { 0 };
	struct said s;
	struct slice raw;
	char text[200];

	(void)snprintf(text, sizeof(text), "%s\r\n%s:%s\r\n\r\n",
		       answer ? "HTTP/1.1 200 OK" : "POST / HTTP/1.1\r\nHost: h", name,
		       value);
	raw = head_raw(text);
	if (answer)
		(void)http1_parse_response(raw, SLICE("GET"), &head, &fault);
	else
		(void)http1_parse_request(raw, &head, &fault);
	s = (struct said){
		.status = fault.status,
		.framing = head.framing,
		.length = head.length,
		.persistent = http1_persistent(&head),
		.upgrade =
			http1_has_token(&head, SLICE("Connection"), SLICE("upgrade")) &&
			http1_has_token(&head, SLICE("Upgrade"), SLICE("websocket")),
	};
	slice_free(raw);
	return s;
}

/* OWS, RFC 9110 5.6.3: any spaces and tabs around a value, and around a list's commas. */
START_TEST(white_space_around_a_value_says_nothing)
{
	static const struct {
		const char *name, *first, *second; /* elements of a list, or one value */
	} fields[] = {
		{ "Content-Length", "5", NULL },
		{ "Content-Length", "0", NULL },
		{ "Transfer-Encoding", "chunked", NULL },
		{ "Transfer-Encoding", "gzip", "chunked" }, /* 501 */
		{ "Connection", "close", NULL },
		{ "Connection", "keep-alive", "close" },
		{ "Connection", "close", "x" },
		{ "Connection", "keep-alive", "Upgrade\r\nUpgrade: websocket" },
		{ "Connection", "Upgrade", "x\r\nUpgrade:\twebsocket" },
		{ "Connection", "upgrade\r\nUpgrade: h2c", "websocket" },
		{ "Proxy-Connection", "close", "keep-alive" },
		{ "Upgrade", "websocket\r\nConnection: upgrade", NULL },
		{ "Upgrade", "h2c", "websocket\r\nConnection:\tupgrade" },
		{ "Host", "h", NULL }, /* a second one, which is for route.c */
		{ "X", "v", NULL },
	};
	static const char *const spaces[] = { "", "\t", " \t", "\t " };
	size_t n = LENGTH(spaces);

	for (size_t i = 0; i < LENGTH(fields) * n * n * n * n * 2; i++) {
		bool answer = i % 2;
		const char *before = spaces[i / 2 % n], *left = spaces[i / 2 / n % n];
		const char *right = spaces[i / 2 / n / n % n];
		const char *behind = spaces[i / 2 / n / n / n % n];
		const char *name = fields[i / 2 / n / n / n / n].name;
		const char *first = fields[i / 2 / n / n / n / n].first;
		const char *second = fields[i / 2 / n / n / n / n].second;
		char usual[100], spaced[100];
		struct said a, b;

		(void)snprintf(usual, sizeof(usual), " %s%s%s", first, second ? ", " : "",
			       second ? second : "");
		(void)snprintf(spaced, sizeof(spaced), "%s%s%s%s%s%s%s", before, first,
			       second ? left : "", second ? "," : "", second ? right : "",
			       second ? second : "", behind);
		a = field_said(answer, name, usual);
		b = field_said(answer, name, spaced);
		ck_assert_msg(a.status == b.status && a.framing == b.framing &&
				      a.length == b.length &&
				      a.persistent == b.persistent &&
				      a.upgrade == b.upgrade,
			      "%u, framing %d, length %u: %s:%s", b.status, b.framing,
			      (unsigned)b.length, name, spaced);
	}
}
END_TEST

START_TEST(white_space_within_a_value_still_says_something)
{
	static const struct {
		const char *name, *value;
		unsigned status;
	} table[] = {
		{ "Content-Length", "5\t5", 400 },
		{ "Content-Length", "5 \t5", 400 },
		{ "Content-Length", "5\t,\t5", 400 },
		{ "Content-Length", "\t", 400 },
		{ "Content-Length", "5\t\r\nContent-Length:\t5", 400 },
		{ "Transfer-Encoding", "chun\tked", 400 },
		{ "Transfer-Encoding", "chunked\tx", 400 },
		{ "Transfer-Encoding", "x\tchunked", 400 },
		{ "Transfer-Encoding", "chunked\t,", 400 },
		{ "Transfer-Encoding", "chunked\t,\tchunked", 400 },
		{ "Transfer-Encoding", "\t", 400 },
		{ "Transfer-Encoding", "chunked\t\r\nContent-Length: 5\t", 400 },
		{ "Content-Length\t", "5", 400 },
		{ "X", "a\tb\t\tc", 0 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		unsigned status = field_said(false, table[i].name, table[i].value).status;

		ck_assert_msg(status == table[i].status, "%u: %s:%s", status,
			      table[i].name, table[i].value);
		status = field_said(true, table[i].name, table[i].value).status;
		ck_assert_msg(status == (table[i].status ? 502 : 0), "%u: %s:%s", status,
			      table[i].name, table[i].value);
	}
}
END_TEST

/* A head cut after n bytes, and then ended. NULL where it is none to lines_scan(). */
static char *head_cut(const char *text, size_t n)
{
	struct lines_scan scan = { 0 };
	char *cut = malloc(n + sizeof("\r\n\r\n"));

	ck_assert_ptr_nonnull(cut);
	memcpy(cut, text, n);
	(void)strcpy(cut + n, n >= 2 && text[n - 1] == '\n' ? "\r\n" : "\r\n\r\n");
	if (lines_scan(&scan, slice_str(cut), SIZE_MAX) == (ssize_t)strlen(cut))
		return cut;
	free(cut);
	return NULL;
}

START_TEST(a_request_that_ends_anywhere_is_judged)
{
	for (size_t i = 0; i < LENGTH(requests); i++) {
		size_t line = strcspn(requests[i].text, "\r");

		for (size_t n = 0; n < strlen(requests[i].text); n++) {
			char *cut = head_cut(requests[i].text, n);
			const char *why = "";
			unsigned status;

			if (!cut)
				continue;
			status = request_judge(cut, &why);
			ck_assert_msg(n >= line || status == 400, "%u %s: %s", status,
				      why, cut);
			ck_assert(status == 0 || status == 400 || status == 501);
			free(cut);
		}
	}
}
END_TEST

START_TEST(a_head_has_room_for_so_many_fields)
{
	for (size_t n = HTTP1_FIELDS_MAX - 1; n <= HTTP1_FIELDS_MAX + 1; n++) {
		char *request = head_of("GET / HTTP/1.1\r\n", "A: b\r\n", n);
		char *answer = head_of("HTTP/1.1 200 OK\r\n", "A: b\r\n", n);
		bool fits = n <= HTTP1_FIELDS_MAX;
		const char *why;

		ck_assert_uint_eq(request_judge(request, &why), fits ? 0 : 431);
		ck_assert_uint_eq(head.fields, fits ? n : HTTP1_FIELDS_MAX);
		if (!fits)
			ck_assert_str_eq(why, "too many header fields");
		ck_assert_uint_eq(answer_judge(answer, "GET", &why), fits ? 0 : 502);
		if (!fits)
			ck_assert_str_eq(why, "too many header fields");
		free(request);
		free(answer);
	}
}
END_TEST

/* ---- answers */

static const struct {
	const char *text, *method;
	unsigned status, minor;
	const char *reason;
	enum http1_framing framing;
	uint64_t length;
} answers[] = {
	{ OK(""), "GET", 200, 1, "OK", HTTP1_UNTIL_CLOSE, 0 },
	{ "HTTP/1.0 200 OK\r\n\r\n", "GET", 200, 0, "OK", HTTP1_UNTIL_CLOSE, 0 },
	{ "HTTP/1.1 200 \r\n\r\n", "GET", 200, 1, "", HTTP1_UNTIL_CLOSE, 0 },
	{ "HTTP/1.1 200\r\n\r\n", "GET", 200, 1, "", HTTP1_UNTIL_CLOSE, 0 },
	{ "HTTP/1.1 404 Not  Found \t\xc3\xa9\r\n\r\n", "GET", 404, 1,
	  "Not  Found \t\xc3\xa9", HTTP1_UNTIL_CLOSE, 0 },
	{ "HTTP/1.1 599 x\r\n\r\n", "GET", 599, 1, "x", HTTP1_UNTIL_CLOSE, 0 },
	{ OK("Content-Length: 0\r\n"), "GET", 200, 1, "OK", HTTP1_LENGTH, 0 },
	{ OK("Content-Length: 5\r\n"), "GET", 200, 1, "OK", HTTP1_LENGTH, 5 },
	{ OK("Content-Length: 5\r\n"), "POST", 200, 1, "OK", HTTP1_LENGTH, 5 },
	{ OK("Transfer-Encoding: chunked\r\n"), "GET", 200, 1, "OK", HTTP1_CHUNKED, 0 },
	{ OK("Upgrade: h2c\r\nConnection: Upgrade\r\n"), "GET", 200, 1, "OK",
	  HTTP1_UNTIL_CLOSE, 0 },
	/* no body, whatever the fields say */
	{ OK(""), "HEAD", 200, 1, "OK", HTTP1_NO_BODY, 0 },
	{ OK("Content-Length: 5\r\n"), "HEAD", 200, 1, "OK", HTTP1_NO_BODY, 5 },
	{ OK("Transfer-Encoding: chunked\r\n"), "HEAD", 200, 1, "OK", HTTP1_NO_BODY, 0 },
	{ OK(""), "HEADER", 200, 1, "OK", HTTP1_UNTIL_CLOSE, 0 },
	{ OK(""), "head", 200, 1, "OK", HTTP1_UNTIL_CLOSE, 0 },
	{ "HTTP/1.1 204 No Content\r\n\r\n", "GET", 204, 1, "No Content", HTTP1_NO_BODY,
	  0 },
	{ "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", "GET", 204, 1, "x",
	  HTTP1_NO_BODY, 5 },
	{ "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", "GET", 304, 1, "x",
	  HTTP1_NO_BODY, 5 },
	{ "HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 304, 1, "x",
	  HTTP1_NO_BODY, 0 },
	{ "HTTP/1.1 205 x\r\n\r\n", "GET", 205, 1, "x", HTTP1_UNTIL_CLOSE, 0 },
	{ "HTTP/1.1 100 Continue\r\n\r\n", "POST", 100, 1, "Continue", HTTP1_NO_BODY, 0 },
	{ "HTTP/1.1 100 x\r\nContent-Length: 5\r\n\r\n", "POST", 100, 1, "x",
	  HTTP1_NO_BODY, 5 },
	{ "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "GET", 103, 1, "Early Hints",
	  HTTP1_NO_BODY, 0 },
	{ "HTTP/1.1 199 x\r\n\r\n", "GET", 199, 1, "x", HTTP1_NO_BODY, 0 },
	{ "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "GET",
	  101, 1, "x", HTTP1_NO_BODY, 0 },
	{ "HTTP/1.1 101 x\r\n\r\n", "GET", 101, 1, "x", HTTP1_NO_BODY, 0 },
};

START_TEST(an_answer_is_taken_apart)
{
	for (size_t i = 0; i < LENGTH(answers); i++) {
		struct slice raw = head_raw(answers[i].text),
			     method = exact_str(answers[i].method);
		struct http1_fault fault;

		memset(&head, 0xa5, sizeof(head));
		ck_assert_msg(http1_parse_response(raw, method, &head, &fault) == 0,
			      "%s: %s", fault.why, answers[i].text);
		ck_assert_uint_eq(head.status, answers[i].status);
		ck_assert_uint_eq(head.minor, answers[i].minor);
		ck_assert_slice_eq(head.reason, answers[i].reason);
		ck_assert_msg(head.framing == answers[i].framing, "framing %d: %s",
			      head.framing, answers[i].text);
		ck_assert_uint_eq(head.length, answers[i].length);
		slice_free(raw);
		slice_free(method);
	}
}
END_TEST

#define BAD_STATUS   "no HTTP/1.1 status line"
#define OUT_OF_RANGE "status code is not between 100 and 599"

START_TEST(what_is_wrong_with_an_answer_is_a_502)
{
	static const struct {
		const char *text, *why;
	} table[] = {
		{ "GET / HTTP/1.1\r\n\r\n", BAD_STATUS },
		{ " HTTP/1.1 200 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1  200 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1\t200 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 200\tOK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 \r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 20\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 20 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 2000 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 2x0 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 -20 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 000 OK\r\n\r\n", OUT_OF_RANGE },
		{ "HTTP/1.1 099 OK\r\n\r\n", OUT_OF_RANGE },
		{ "HTTP/1.1 600 OK\r\n\r\n", OUT_OF_RANGE },
		{ "HTTP/1.1 999 \r\n\r\n", OUT_OF_RANGE },
		{ "HTTP/1.0 600\r\n\r\n", OUT_OF_RANGE },
		{ "HTTP/1.2 200 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/0.9 200 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/2.0 200 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/2 200\r\n\r\n", BAD_STATUS },
		{ "http/1.1 200 OK\r\n\r\n", BAD_STATUS },
		{ "ICY 200 OK\r\n\r\n", BAD_STATUS },
		{ "RTSP/1.0 200 OK\r\n\r\n", BAD_STATUS },
		{ "SSH-2.0-OpenSSH\r\n\r\n", BAD_STATUS },
		{ OK("A : b\r\n"), BAD_FIELD },
		{ OK("A\r\n"), BAD_FIELD },
		{ OK("Content-Length: x\r\n"), BAD_LENGTH },
		{ OK("Content-Length: 5, 5\r\n"), BAD_LENGTH },
		{ OK("Content-Length: 5\r\nContent-Length: 5\r\n"), TWO_LENGTHS },
		{ OK("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), BOTH },
		{ OK("Transfer-Encoding: chunked, chunked\r\n"), BAD_CODING },
		{ OK("Transfer-Encoding: identity\r\n"), NOT_CHUNKED },
		{ OK("Transfer-Encoding: gzip, chunked\r\n"), OTHER_CODING },
		{ "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CODING_10 },
		/* where there is no body all the same */
		{ "HTTP/1.1 304 x\r\nContent-Length: x\r\n\r\n", BAD_LENGTH },
		{ "HTTP/1.1 100 x\r\nTransfer-Encoding: gzip\r\n\r\n", NOT_CHUNKED },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		const char *why = "accepted";

		ck_assert_msg(answer_judge(table[i].text, "GET", &why) == 502 &&
				      strcmp(why, table[i].why) == 0,
			      "%s, not %s: %s", why, table[i].why, table[i].text);
	}
}
END_TEST

START_TEST(an_answer_that_ends_anywhere_is_judged)
{
	for (size_t i = 0; i < LENGTH(answers); i++)
		for (size_t n = 0; n < strlen(answers[i].text); n++) {
			char *cut = head_cut(answers[i].text, n);
			const char *why = "";
			unsigned status;

			if (!cut)
				continue;
			status = answer_judge(cut, answers[i].method, &why);
			ck_assert_uint_eq(status,
					  n < strlen("HTTP/1.1 200") ? 502 : status);
			ck_assert(status == 0 || status == 502);
			free(cut);
		}
}
END_TEST

START_TEST(an_answer_is_known_by_its_first_bytes)
{
	static const char start[] = "HTTP/1.";
	static const char *const more[] = { "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0",
					    "HTTP/1.x\n" };

	for (size_t n = 0; n <= strlen(start); n++) {
		char *block = exact(start, n);

		ck_assert(http1_may_be_response((struct slice){ block, n }));
		if (n > 0) {
			block[n - 1] ^= 0x20;
			ck_assert(!http1_may_be_response((struct slice){ block, n }));
		}
		free(block);
	}
	for (size_t i = 0; i < LENGTH(more); i++) {
		struct slice in = exact_str(more[i]);

		ck_assert(http1_may_be_response(in));
		slice_free(in);
	}
}
END_TEST

/* ---- what a head says */

START_TEST(fields_are_found_in_any_case)
{
	struct slice earlier =
		request_read(GET("C: 1\r\nC: upgrade\r\nb: 2\r\nC: 3\r\n"), &head);
	struct slice raw = request_read(GET("A: 1\r\na: 2\r\nab: 3\r\n"), &head);

	ck_assert_slice_eq(http1_field(&head, SLICE("a"))->value, "1");
	ck_assert_slice_eq(http1_field(&head, SLICE("AB"))->value, "3");
	ck_assert_slice_eq(http1_field(&head, SLICE("HOST"))->value, "h");
	ck_assert_ptr_null(http1_field(&head, SLICE("b")));
	ck_assert_ptr_null(http1_field(&head, SLICE("")));
	ck_assert_uint_eq(http1_count(&head, SLICE("A")), 2);
	ck_assert_uint_eq(http1_count(&head, SLICE("Ab")), 1);
	ck_assert_uint_eq(http1_count(&head, SLICE("b")), 0);
	/* nothing is left of the head before */
	ck_assert_ptr_null(http1_field(&head, SLICE("c")));
	ck_assert_uint_eq(http1_count(&head, SLICE("c")), 0);
	ck_assert(!http1_has_token(&head, SLICE("c"), SLICE("3")));
	slice_free(earlier);
	slice_free(raw);
}
END_TEST

START_TEST(tokens_are_found_anywhere_in_a_list)
{
	static const struct {
		const char *fields;
		bool found; /* "upgrade" in Connection */
	} table[] = {
		{ "Connection: upgrade\r\n", true },
		{ "connection: UPGRADE\r\n", true },
		{ "Connection: keep-alive, Upgrade\r\n", true },
		{ "Connection: Upgrade,keep-alive\r\n", true },
		{ "Connection: a,\tupgrade\t,b\r\n", true },
		{ "Connection: ,,upgrade,\r\n", true },
		{ "Connection: a\r\nConnection: upgrade\r\n", true },
		{ "Connection: upgrade\r\nConnection: a\r\n", true },
		{ "", false },
		{ "Connection:\r\n", false },
		{ "Connection: ,\r\n", false },
		{ "Connection: upgraded\r\n", false },
		{ "Connection: xupgrade\r\n", false },
		{ "Connection: upgrade x\r\n", false },
		{ "Connection: up, grade\r\n", false },
		{ "Connection: \"upgrade\"\r\n", false },
		{ "Connection: upgrade;q=1\r\n", false },
		{ "Upgrade: upgrade\r\n", false },
	};
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw;

		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n",
			       table[i].fields);
		raw = request_read(text, &head);
		ck_assert_msg(http1_has_token(&head, SLICE("Connection"),
					      SLICE("upgrade")) == table[i].found,
			      "%s", text);
		slice_free(raw);
	}
}
END_TEST

START_TEST(a_connection_persists_as_its_version_says)
{
	static const struct {
		const char *text;
		bool persistent;
	} table[] = {
		{ GET(""), true },
		{ GET("Connection: keep-alive\r\n"), true },
		{ GET("Connection: upgrade\r\n"), true },
		{ GET("Connection: close\r\n"), false },
		{ GET("Connection: a, CLOSE\r\n"), false },
		{ GET("Connection: keep-alive\r\nConnection: close\r\n"), false },
		{ GET("Connection: closed\r\n"), true },
		{ GET("Keep-Alive: close\r\n"), true },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: x, keep-alive\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", false },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw = request_read(table[i].text, &head);

		ck_assert_msg(http1_persistent(&head) == table[i].persistent, "%s",
			      table[i].text);
		slice_free(raw);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http1");
	TCase *requests_ = tcase_create("requests"), *answers_ = tcase_create("answers");
	TCase *said = tcase_create("what a head says");

	suite_add_tcase(suite, requests_);
	tcase_set_timeout(requests_, 60); /* under valgrind */
	tcase_add_test(requests_, a_request_is_taken_apart);
	tcase_add_test(requests_, fields_keep_their_order_and_lose_their_padding);
	tcase_add_test(requests_, what_is_wrong_with_a_request_is_named_in_order);
	tcase_add_test(requests_,
		       the_request_line_of_a_refused_head_is_known_once_it_is_complete);
	tcase_add_test(requests_, white_space_around_a_value_says_nothing);
	tcase_add_test(requests_, white_space_within_a_value_still_says_something);
	tcase_add_test(requests_, a_request_that_ends_anywhere_is_judged);
	tcase_add_test(requests_, a_head_has_room_for_so_many_fields);

	suite_add_tcase(suite, answers_);
	tcase_set_timeout(answers_, 60);
	tcase_add_test(answers_, an_answer_is_taken_apart);
	tcase_add_test(answers_, what_is_wrong_with_an_answer_is_a_502);
	tcase_add_test(answers_, an_answer_that_ends_anywhere_is_judged);
	tcase_add_test(answers_, an_answer_is_known_by_its_first_bytes);

	suite_add_tcase(suite, said);
	tcase_add_test(said, fields_are_found_in_any_case);
	tcase_add_test(said, tokens_are_found_anywhere_in_a_list);
	tcase_add_test(said, a_connection_persists_as_its_version_says);
	return suite_run(suite);
}
