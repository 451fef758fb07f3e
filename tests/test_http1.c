/* SPDX-License-Identifier: MIT */
/* http1.c: heads, framing, and the ends of bodies. The same tables pass with llhttp 8 and 9. */
#include "http1.h"

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

/* Whether s lies within the block. */
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

#define BAD_LINE     "a malformed request line"
#define BAD_FIELD    "a malformed header line"
#define BAD_LENGTH   "a malformed Content-Length"
#define TWO_LENGTHS  "more than one Content-Length"
#define BAD_CODING   "a malformed Transfer-Encoding"
#define NOT_CHUNKED  "a Transfer-Encoding that does not end in chunked"
#define BOTH         "Transfer-Encoding together with Content-Length"
#define CODING_10    "Transfer-Encoding with HTTP/1.0"
#define BAD_VERSION  "an HTTP version other than 1.0 and 1.1"
#define NOT_SERVED   "a method that is not served here"
#define OTHER_CODING "a transfer coding other than chunked"
#define UNKNOWN      "an unknown method"

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
	{ "GET a HTTP/1.1\r\n\r\n", 400, "a malformed request head" },
	{ "GET a:80 HTTP/1.1\r\n\r\n", 400, "a malformed request head" },
	{ "GET ?a HTTP/1.1\r\n\r\n", 400, "a malformed request head" },
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

#define BAD_STATUS "no HTTP/1.1 status line"

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
		{ "HTTP/1.1 000 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 099 OK\r\n\r\n", BAD_STATUS },
		{ "HTTP/1.1 600 OK\r\n\r\n", BAD_STATUS },
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

/* ---- bodies that are not chunked */

START_TEST(a_body_of_known_length_ends_with_its_last_byte)
{
	struct http1_body b;

	http1_body_init(&b, HTTP1_NO_BODY, 0);
	ck_assert(b.done);
	http1_body_init(&b, HTTP1_LENGTH, 0);
	ck_assert(b.done);
	http1_body_init(&b, HTTP1_LENGTH, INT64_MAX);
	ck_assert(!b.done);
	http1_body_passed(&b, INT64_MAX - 2);
	ck_assert_uint_eq(b.left, 2);
	http1_body_passed(&b, 0);
	http1_body_passed(&b, 1);
	ck_assert(!b.done);
	http1_body_passed(&b, 1);
	ck_assert(b.done);
	ck_assert_uint_eq(b.left, 0);
}
END_TEST

START_TEST(a_body_until_close_does_not_end_by_itself)
{
	struct http1_body b;

	http1_body_init(&b, HTTP1_UNTIL_CLOSE, 0);
	http1_body_passed(&b, UINT64_MAX);
	http1_body_passed(&b, UINT64_MAX);
	ck_assert(!b.done);
	http1_body_init(&b, HTTP1_CHUNKED, 0);
	ck_assert(!b.done);
}
END_TEST

/* ---- chunked bodies */

#define BODY_MAX 20000

/* A body under way. What has not been consumed lies in a block of exactly its size. */
struct decoding {
	struct http1_body body;
	char *rest;
	size_t rest_len;
	char payload[BODY_MAX];
	size_t payload_len;
};

static void decoding_begin(struct decoding *d)
{
	http1_body_init(&d->body, HTTP1_CHUNKED, 0);
	d->rest = NULL;
	d->rest_len = d->payload_len = 0;
}

/* Decodes once into a block of `room` bytes; true where that got something done. */
static bool decode_once(struct decoding *d, size_t room, int *ret)
{
	struct buf in = { d->rest, d->rest_len, 0, d->rest_len };
	struct buf out = { malloc(room), room, 0, 0 };
	size_t rest_len;

	*ret = http1_body_decode(&d->body, &in, &out, room);
	ck_assert_uint_le(d->payload_len + buf_len(&out), sizeof(d->payload));
	if (buf_len(&out) > 0)
		memcpy(d->payload + d->payload_len, out.data, buf_len(&out));
	d->payload_len += buf_len(&out);
	rest_len = buf_len(&in);
	if (!d->body.done) { /* else trailers point into it */
		char *moved = exact(in.data + in.start, rest_len);

		free(d->rest);
		d->rest = moved;
	}
	free(out.data);
	if (rest_len == d->rest_len)
		return false;
	d->rest_len = rest_len;
	return true;
}

/* Appends to what is there and decodes as far as it goes. Returns as http1_body_decode(). */
static int decode(struct decoding *d, const char *p, size_t len, size_t room)
{
	char *grown = malloc(d->rest_len + len);
	int r;

	ck_assert_ptr_nonnull(grown);
	if (d->rest_len > 0)
		memcpy(grown, d->rest, d->rest_len);
	memcpy(grown + d->rest_len, p, len);
	free(d->rest);
	d->rest = grown;
	d->rest_len += len;
	while (decode_once(d, room, &r) && r == 0 && !d->body.done)
		;
	return r;
}

/* Likewise the whole text, `first` bytes at once and then `step` by `step`. */
static int decode_in_steps(struct decoding *d, const char *text, size_t len, size_t first,
			   size_t step, size_t room)
{
	int r = 0;

	decoding_begin(d);
	for (size_t n = 0, take = first; n < len && r == 0 && !d->body.done;
	     take = step) {
		if (take > len - n)
			take = len - n;
		if (take > 0)
			r = decode(d, text + n, take, room);
		n += take;
	}
	return r;
}

static void decoding_end(struct decoding *d)
{
	free(d->rest);
}

/* Tries every way to cut text in two, and byte by byte, each with much room and little. */
static void decode_every_way(const char *text, size_t len,
			     void (*check)(struct decoding *d, int r, size_t row),
			     size_t row)
{
	static const size_t rooms[] = { 1, 3, 100 };
	static struct decoding d;

	for (size_t i = 0; i < LENGTH(rooms); i++)
		for (size_t first = 0; first <= len; first++) {
			size_t step = first == 0 ? 1 : len;

			check(&d, decode_in_steps(&d, text, len, first, step, rooms[i]),
			      row);
			decoding_end(&d);
		}
}

static const struct {
	const char *text, *payload, *trailers;
	size_t len; /* of the body: what follows is another message's */
} bodies[] = {
#define BODY(text, payload, trailers, follows)                                      \
	{                                                                           \
		text trailers follows, payload, trailers, sizeof(text trailers) - 1 \
	}
	BODY("0\r\n", "", "\r\n", ""),
	BODY("000\r\n", "", "\r\n", ""),
	BODY("5\r\nhello\r\n0\r\n", "hello", "\r\n", ""),
	BODY("1\r\nh\r\n4\r\nello\r\n0\r\n", "hello", "\r\n", ""),
	BODY("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n", "01234567890123456789",
	     "\r\n", ""),
	BODY("10\r\n0\r\n\r\n0\r\n\r\n012345\r\n0\r\n", "0\r\n\r\n0\r\n\r\n012345",
	     "\r\n", ""),
	BODY("0000000000000000000000000000002\r\n\r\n\r\n0\r\n", "\r\n", "\r\n", ""),
	BODY("2;a\r\nhi\r\n0;b;c=\"d e\";f=g\r\n", "hi", "\r\n", ""),
	BODY("2;a=\"\x80\xff\"\r\nhi\r\n0\r\n", "hi", "\r\n", ""),
	BODY("2\r\nhi\r\n0\r\n", "hi", "\r\n", "GET / HTTP/1.1\r\n\r\n"),
	BODY("2\r\nhi\r\n0\r\n", "hi", "\r\n", "\r\n\r\n"),
	BODY("2\r\nhi\r\n0\r\n", "hi", "A: b\r\n\r\n", ""),
	BODY("2\r\nhi\r\n0;x\r\n", "hi", "A:\r\nContent-Length: 9\r\nA: \tb \x80\r\n\r\n",
	     "POST"),
#undef BODY
};

static void check_body(struct decoding *d, int r, size_t i)
{
	size_t follows = strlen(bodies[i].text) - bodies[i].len;

	ck_assert_int_eq(r, 0);
	ck_assert(d->body.done);
	ck_assert_slice_eq(((struct slice){ d->payload, d->payload_len }),
			   bodies[i].payload);
	ck_assert_slice_eq(d->body.trailers, bodies[i].trailers);
	ck_assert_uint_le(d->rest_len, follows);
}

START_TEST(a_chunked_body_is_the_same_however_it_comes)
{
	for (size_t i = 0; i < LENGTH(bodies); i++)
		decode_every_way(bodies[i].text, strlen(bodies[i].text), check_body, i);
}
END_TEST

START_TEST(a_chunked_body_ends_with_its_last_byte)
{
	static struct decoding d;

	for (size_t i = 0; i < LENGTH(bodies); i++) {
		const char *text = bodies[i].text;
		size_t len = bodies[i].len;

		for (size_t n = 1; n < len; n++) {
			ck_assert_msg(decode_in_steps(&d, text, n, n, 0, 100) == 0,
				      "%s: %s", d.body.why, text);
			ck_assert(!d.body.done);
			decoding_end(&d);
		}
		/* what follows is not consumed */
		ck_assert_int_eq(
			decode_in_steps(&d, text, strlen(text), strlen(text), 0, 100), 0);
		ck_assert(d.body.done);
		ck_assert_uint_eq(d.rest_len, strlen(text) - len);
		decoding_end(&d);
	}
}
END_TEST

START_TEST(without_room_nothing_is_consumed)
{
	static struct decoding d;

	decoding_begin(&d);
	ck_assert_int_eq(decode(&d, "5\r\nhello\r\n0\r\n\r\n", 15, 0), 0);
	ck_assert_uint_eq(d.rest_len, 15);
	/* but trailers need none */
	ck_assert_int_eq(decode(&d, "", 0, 5), 0);
	while (!d.body.in_trailers)
		ck_assert_int_eq(decode(&d, "", 0, 1), 0);
	ck_assert_int_eq(decode(&d, "", 0, 0), 0);
	ck_assert(d.body.done);
	decoding_end(&d);
}
END_TEST

#define BAD_CHUNK   "a malformed chunk"
#define LONG_CHUNK  "chunk extensions that are too long"
#define BAD_TRAILER "a malformed trailer line"

static const struct {
	const char *text, *payload; /* what was passed on before */
	const char *why;
} broken[] = {
	{ "\r\n", "", BAD_CHUNK },
	{ "\r\n5\r\nhello\r\n", "", BAD_CHUNK },
	{ "g\r\n", "", BAD_CHUNK },
	{ "0x5\r\nhello\r\n", "", BAD_CHUNK },
	{ "+5\r\nhello\r\n", "", BAD_CHUNK },
	{ "-5\r\nhello\r\n", "", BAD_CHUNK },
	{ " 5\r\nhello\r\n", "", BAD_CHUNK },
	{ "5 \r\nhello\r\n", "", BAD_CHUNK },
	{ "5\t\r\nhello\r\n", "", BAD_CHUNK },
	{ "5 ;a\r\nhello\r\n", "", BAD_CHUNK },
	{ "5,5\r\nhello\r\n", "", BAD_CHUNK },
	{ "5_\r\nhello\r\n", "", BAD_CHUNK },
	{ ";a\r\nhello\r\n", "", BAD_CHUNK },
	{ "10000000000000000\r\n", "", BAD_CHUNK },
	{ "10000000000000005\r\nhello\r\n", "", BAD_CHUNK },
	{ "5\nhello\r\n", "", BAD_CHUNK },
	{ "5\rhello\r\n", "", BAD_CHUNK },
	{ "5\r\rhello\r\n", "", BAD_CHUNK },
	{ "5;a\nhello\r\n", "", BAD_CHUNK },
	{ "5;a\rhello\r\n", "", BAD_CHUNK },
	{ "5;\rhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"b\n\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"b\r\n\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a\x01\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"\x7f\x01\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;;\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;\r\nhello\r\n", "", BAD_CHUNK },
	{ "5\r\nhello\n0\r\n\r\n", "hello", BAD_CHUNK },
	{ "5\r\nhello\r0\r\n\r\n", "hello", BAD_CHUNK },
	{ "5\r\nhello0\r\n\r\n", "hello", BAD_CHUNK },
	{ "5\r\nhelloworld\r\n", "hello", BAD_CHUNK },
	{ "5\r\nhello\r\n5\n", "hello", BAD_CHUNK },
	{ "0\n\r\n", "", BAD_CHUNK },
	{ "0\r\r\n", "", BAD_CHUNK },
	{ "0;\x01\r\n", "", BAD_CHUNK },
	{ "0\r\n\n", "", "a line feed without a carriage return" },
	{ "0\r\n\rX", "", "a carriage return without a line feed" },
	{ "0\r\nA: b\nC: d\r\n\r\n", "", "a line feed without a carriage return" },
	{ "0\r\nA: b\rC: d\r\n\r\n", "", "a carriage return without a line feed" },
	{ "0\r\nA: b\r\n c\r\n\r\n", "", "a folded header line" },
	{ "0\r\nA: \x01\r\n\r\n", "", "a control character" },
	{ "0\r\n A: b\r\n\r\n", "", BAD_TRAILER },
	{ "0\r\nA : b\r\n\r\n", "", BAD_TRAILER },
	{ "0\r\n: b\r\n\r\n", "", BAD_TRAILER },
	{ "0\r\nA\r\n\r\n", "", BAD_TRAILER },
	{ "0\r\nA: b\r\nGET / HTTP/1.1\r\n\r\n", "", BAD_TRAILER },
};

static void check_broken(struct decoding *d, int r, size_t i)
{
	ck_assert_msg(r == -EBADMSG, "accepted: %s", broken[i].text);
	ck_assert(!d->body.done);
	ck_assert_str_eq(d->body.why, broken[i].why);
	ck_assert_slice_eq(((struct slice){ d->payload, d->payload_len }),
			   broken[i].payload);
}

START_TEST(what_is_no_chunked_body_is_refused_however_it_comes)
{
	for (size_t i = 0; i < LENGTH(broken); i++)
		decode_every_way(broken[i].text, strlen(broken[i].text), check_broken, i);
}
END_TEST

/* Decodes what has a filler of so many bytes in the middle, at once and in two ways cut. */
static void expect_filled(const char *before, char filler, size_t n, const char *after,
			  const char *why)
{
	size_t len = strlen(before) + n + strlen(after);
	size_t steps[] = { len, 1000, 97 };
	static struct decoding d;
	char *text = malloc(len + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, filler, len);
	memcpy(text, before, strlen(before));
	(void)strcpy(text + strlen(before) + n, after);
	for (size_t i = 0; i < LENGTH(steps); i++) {
		int r = decode_in_steps(&d, text, len, steps[i], steps[i], 1000);

		ck_assert_int_eq(r, why ? -EBADMSG : 0);
		ck_assert(d.body.done == !why);
		if (why)
			ck_assert_str_eq(d.body.why, why);
		decoding_end(&d);
	}
	free(text);
}

START_TEST(a_chunk_line_is_bounded)
{
	size_t max = HTTP1_CHUNK_LINE_MAX;

	/* with the end of the chunk before it: CRLF */
	for (size_t over = 0; over <= 1; over++) {
		const char *why = over ? LONG_CHUNK : NULL;

		expect_filled("2;", 'a', max - 4 + over, "\r\nhi\r\n0\r\n\r\n", why);
		expect_filled("2\r\nhi\r\n2;", 'a', max - 6 + over, "\r\nhi\r\n0\r\n\r\n",
			      why);
		expect_filled("2\r\nhi\r\n0;", 'a', max - 6 + over, "\r\n\r\n", why);
		expect_filled("", '0', max - 3 + over, "2\r\nhi\r\n0\r\n\r\n", why);
		expect_filled("", '0', max - 2 + over, "\r\n\r\n", why);
	}
}
END_TEST

START_TEST(a_chunk_line_that_is_too_long_is_refused_before_its_end)
{
	expect_filled("2;", 'a', HTTP1_CHUNK_LINE_MAX - 1, "", LONG_CHUNK);
	expect_filled("2\r\nhi\r\n", '0', HTTP1_CHUNK_LINE_MAX - 1, "", LONG_CHUNK);
}
END_TEST

START_TEST(chunk_lines_do_not_add_up)
{
	size_t chunks = HTTP1_CHUNK_LINE_MAX; /* of one byte each, each with a line */
	char *text = head_of("", "1\r\nx\r\n", chunks), *end;
	static struct decoding d;

	text = realloc(text, strlen(text) + sizeof("0\r\n\r\n"));
	ck_assert_ptr_nonnull(text);
	end = text + strlen(text) - strlen("\r\n");
	(void)strcpy(end, "0\r\n\r\n");
	for (size_t step = 1; step <= 1000; step += 333) {
		ck_assert_int_eq(decode_in_steps(&d, text, strlen(text), step, step, 100),
				 0);
		ck_assert(d.body.done);
		ck_assert_uint_eq(d.payload_len, chunks);
		decoding_end(&d);
	}
	free(text);
}
END_TEST

START_TEST(payload_does_not_count_as_a_chunk_line)
{
	expect_filled("4000\r\n", 'x', 0x4000, "\r\n0\r\n\r\n", NULL);
}
END_TEST

START_TEST(trailers_are_bounded)
{
	size_t max = HTTP1_TRAILERS_MAX;
	const char *why = "trailers that are too long";

	expect_filled("0\r\nA:", 'b', max - 6, "\r\n\r\n", NULL);
	expect_filled("0\r\nA:", 'b', max - 5, "\r\n\r\n", why);
	expect_filled("2\r\nhi\r\n0\r\nA:", 'b', max - 2, "",
		      why); /* without their end */

	for (size_t n = HTTP1_FIELDS_MAX; n <= HTTP1_FIELDS_MAX + 1; n++) {
		char *text = head_of("0\r\n", "A: b\r\n", n);

		expect_filled(text, 0, 0, "",
			      n <= HTTP1_FIELDS_MAX ? NULL : "too many trailer fields");
		free(text);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http1");
	TCase *requests_ = tcase_create("requests"), *answers_ = tcase_create("answers");
	TCase *said = tcase_create("what a head says"), *bodies_ = tcase_create("bodies");

	suite_add_tcase(suite, requests_);
	tcase_set_timeout(requests_, 60); /* under valgrind */
	tcase_add_test(requests_, a_request_is_taken_apart);
	tcase_add_test(requests_, fields_keep_their_order_and_lose_their_padding);
	tcase_add_test(requests_, what_is_wrong_with_a_request_is_named_in_order);
	tcase_add_test(requests_, a_request_that_ends_anywhere_is_judged);
	tcase_add_test(requests_, a_head_has_room_for_so_many_fields);

	suite_add_tcase(suite, answers_);
	tcase_set_timeout(answers_, 60);
	tcase_add_test(answers_, an_answer_is_taken_apart);
	tcase_add_test(answers_, what_is_wrong_with_an_answer_is_a_502);
	tcase_add_test(answers_, an_answer_that_ends_anywhere_is_judged);

	suite_add_tcase(suite, said);
	tcase_add_test(said, fields_are_found_in_any_case);
	tcase_add_test(said, tokens_are_found_anywhere_in_a_list);
	tcase_add_test(said, a_connection_persists_as_its_version_says);

	suite_add_tcase(suite, bodies_);
	tcase_set_timeout(bodies_, 120);
	tcase_add_test(bodies_, a_body_of_known_length_ends_with_its_last_byte);
	tcase_add_test(bodies_, a_body_until_close_does_not_end_by_itself);
	tcase_add_test(bodies_, a_chunked_body_is_the_same_however_it_comes);
	tcase_add_test(bodies_, a_chunked_body_ends_with_its_last_byte);
	tcase_add_test(bodies_, without_room_nothing_is_consumed);
	tcase_add_test(bodies_, what_is_no_chunked_body_is_refused_however_it_comes);
	tcase_add_test(bodies_, a_chunk_line_is_bounded);
	tcase_add_test(bodies_, a_chunk_line_that_is_too_long_is_refused_before_its_end);
	tcase_add_test(bodies_, chunk_lines_do_not_add_up);
	tcase_add_test(bodies_, payload_does_not_count_as_a_chunk_line);
	tcase_add_test(bodies_, trailers_are_bounded);
	return suite_run(suite);
}
