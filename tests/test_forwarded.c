/* SPDX-License-Identifier: MIT */
/* forwarded.c: what trusted proxies say of the client, and what a client may forge. */
#include "http/forwarded.h"

#include <ctype.h>
#include <stdio.h>

#include "drawn.h"

/* 10.0.0.0/8 and 2001:db8::/32 are the proxies. */
static struct network networks[2];
static const struct network_list proxies = { networks, LENGTH(networks) };

static struct http1_head head;
static struct forwarded said;

static void setup(void)
{
	ck_assert_int_eq(network_parse(SLICE("10.0.0.0/8"), &networks[0]), 0);
	ck_assert_int_eq(network_parse(SLICE("2001:db8::/32"), &networks[1]), 0);
}

/* Reads a request with these field lines; slice_free() the result after `said` was looked at. */
static struct slice read_fields(const char *lines, const char **ret_why)
{
	char text[2000];
	struct slice raw;

	(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);
	raw = request_read(text, &head);
	*ret_why = forwarded_read(&head, proxies, &said);
	return raw;
}

/* The client as text; "" if nobody has named one. */
static const char *client_text(void)
{
	static char text[INET6_ADDRSTRLEN];

	text[0] = '\0';
	if (said.has_client)
		network_format(&said.client, text);
	return text;
}

/* Appends what goes before the peer's address; each buffer that is too small is one. */
static void expect_for(const char *expected, const char *about)
{
	static char room[2000];
	size_t len = strlen(expected);

	for (size_t cap = 0; cap <= len; cap++) {
		char *block = exact(room, cap);
		struct buf out = { block, cap, 0, 0 };
		int r = forwarded_put_for(&head, said.by, &out);

		ck_assert_int_eq(r, cap < len ? -ENOBUFS : 0);
		if (r == 0)
			ck_assert_msg(slice_eq(buf_slice(&out), slice_str(expected)),
				      "%s gives '%.*s'", about,
				      SLICE_FMT(buf_slice(&out)));
		free(block);
	}
}

struct row {
	const char *lines, *client, *goes_on;
};

static void expect_clients(const struct row *table, size_t n, enum forwarded_by by)
{
	const char *why;

	for (size_t i = 0; i < n; i++) {
		struct slice raw = read_fields(table[i].lines, &why);

		ck_assert_msg(!why, "%s: %s", table[i].lines, why);
		ck_assert_msg(strcmp(client_text(), table[i].client) == 0,
			      "%s gives client '%s', not '%s'", table[i].lines,
			      client_text(), table[i].client);
		ck_assert_int_eq(said.by, by);
		expect_for(table[i].goes_on, table[i].lines);
		slice_free(raw);
	}
}

/* ---- X-Forwarded-For */

#define FOR(list) "X-Forwarded-For: " list "\r\n"

START_TEST(the_client_is_the_right_most_address_that_is_not_trusted)
{
	static const struct row table[] = {
		{ "", "", "" },
		{ FOR(""), "", "" },
		{ FOR("192.0.2.1"), "192.0.2.1", "192.0.2.1, " },
		{ FOR("192.0.2.1, 10.0.0.1"), "192.0.2.1", "192.0.2.1, 10.0.0.1, " },
		{ FOR("192.0.2.1,10.0.0.1 ,\t2001:db8::1"), "192.0.2.1",
		  "192.0.2.1,10.0.0.1 ,\t2001:db8::1, " },
		{ FOR("::ffff:192.0.2.1, ::ffff:10.0.0.1"), "192.0.2.1",
		  "::ffff:192.0.2.1, ::ffff:10.0.0.1, " },
		{ FOR("2001:DB9::1"), "2001:db9::1", "2001:DB9::1, " },
		/* what the client has sent itself is left of its address */
		{ FOR("198.51.100.7, 192.0.2.1"), "192.0.2.1",
		  "198.51.100.7, 192.0.2.1, " },
		{ FOR("10.0.0.9, 192.0.2.1, 10.0.0.1"), "192.0.2.1",
		  "10.0.0.9, 192.0.2.1, 10.0.0.1, " },
		{ FOR("evil\", 192.0.2.1"), "192.0.2.1", "evil\", 192.0.2.1, " },
		{ FOR("unknown, 192.0.2.1, 10.0.0.1"), "192.0.2.1",
		  "unknown, 192.0.2.1, 10.0.0.1, " },
		/* several fields are one list, RFC 9110 5.3 */
		{ FOR("198.51.100.7") FOR("192.0.2.1") "x-forwarded-for: 10.0.0.1\r\n",
		  "192.0.2.1", "198.51.100.7, 192.0.2.1, 10.0.0.1, " },
		{ FOR("192.0.2.1") FOR("") FOR("10.0.0.1"), "192.0.2.1",
		  "192.0.2.1, 10.0.0.1, " },
		/* empty elements count for nothing, RFC 9110 5.6.1 */
		{ FOR(", ,192.0.2.1,, 10.0.0.1,"), "192.0.2.1",
		  ", ,192.0.2.1,, 10.0.0.1,, " },
		/* if all are trusted, the left-most */
		{ FOR("10.0.0.1"), "10.0.0.1", "10.0.0.1, " },
		{ FOR("10.0.0.3, 2001:db8::2, 10.0.0.1"), "10.0.0.3",
		  "10.0.0.3, 2001:db8::2, 10.0.0.1, " },
		/* what is left of no address is not believed */
		{ FOR("unknown"), "", "unknown, " },
		{ FOR("192.0.2.1, unknown"), "", "192.0.2.1, unknown, " },
		{ FOR("192.0.2.1, unknown, 10.0.0.2, 10.0.0.1"), "10.0.0.2",
		  "192.0.2.1, unknown, 10.0.0.2, 10.0.0.1, " },
		{ FOR("192.0.2.1, 10.0.0.256"), "", "192.0.2.1, 10.0.0.256, " },
		{ FOR("192.0.2.1 10.0.0.1"), "", "192.0.2.1 10.0.0.1, " },
		{ FOR("fe80::1%eth0, 10.0.0.1"), "10.0.0.1", "fe80::1%eth0, 10.0.0.1, " },
		/* some load balancers add a port */
		{ FOR("192.0.2.1:50000"), "192.0.2.1", "192.0.2.1:50000, " },
		{ FOR("[2001:db9::1]:50000, 10.0.0.1:80"), "2001:db9::1",
		  "[2001:db9::1]:50000, 10.0.0.1:80, " },
		{ FOR("[2001:db9::1]"), "2001:db9::1", "[2001:db9::1], " },
		{ FOR("192.0.2.1, 10.0.0.1:0"), "", "192.0.2.1, 10.0.0.1:0, " },
		{ FOR("192.0.2.1, 10.0.0.1:"), "", "192.0.2.1, 10.0.0.1:, " },
		{ FOR("192.0.2.1, [10.0.0.1]"), "", "192.0.2.1, [10.0.0.1], " },
		{ FOR("192.0.2.1, [2001:db8::1"), "", "192.0.2.1, [2001:db8::1, " },
		{ FOR("192.0.2.1, 10.0.0.1:x"), "", "192.0.2.1, 10.0.0.1:x, " },
		{ FOR("192.0.2.1, [2001:db9::1]x_y"), "",
		  "192.0.2.1, [2001:db9::1]x_y, " },
		/* Forwarded counts only where none of the four comes */
		{ FOR("192.0.2.1") "Forwarded: for=198.51.100.7;host=evil\r\n",
		  "192.0.2.1", "192.0.2.1, " },
		{ "X-Forwarded-Proto: https\r\nForwarded: for=198.51.100.7\r\n", "", "" },
		{ "X-Forwarded-Host: a\r\nForwarded: for=198.51.100.7\r\n", "", "" },
		{ "X-Forwarded-Port: 1\r\nForwarded: for=198.51.100.7\r\n", "", "" },
		{ FOR("192.0.2.1") "Forwarded: \"nonsense\r\n", "192.0.2.1",
		  "192.0.2.1, " },
	};

	expect_clients(table, LENGTH(table), FORWARDED_BY_X);
}
END_TEST

/* ---- X-Forwarded-Proto, -Host, -Port */

START_TEST(proto_host_and_port_are_one_value_each)
{
	static const struct {
		const char *lines;
		enum forwarded_proto proto;
		const char *host;
		unsigned host_port, port;
	} table[] = {
		{ "X-Forwarded-Proto: https\r\n", FORWARDED_HTTPS, "", 0, 0 },
		{ "X-Forwarded-Proto: HTTPS\r\n", FORWARDED_HTTPS, "", 0, 0 },
		{ "x-forwarded-proto: http\r\n", FORWARDED_HTTP, "", 0, 0 },
		{ "X-Forwarded-Proto: wss\r\n", FORWARDED_HTTPS, "", 0, 0 },
		{ "X-Forwarded-Proto: ws\r\n", FORWARDED_HTTP, "", 0, 0 },
		{ "X-Forwarded-Host: a.example\r\n", 0, "a.example", 0, 0 },
		{ "X-Forwarded-Host: a.example:8443\r\n", 0, "a.example:8443", 8443, 0 },
		{ "X-Forwarded-Host: [::1]:1\r\n", 0, "[::1]:1", 1, 0 },
		{ "X-Forwarded-Port: 443\r\n", 0, "", 0, 443 },
		{ "X-Forwarded-Port: 1\r\n", 0, "", 0, 1 },
		{ "X-Forwarded-Port: 65535\r\n", 0, "", 0, 65535 },
		{ "X-Forwarded-Port: 00080\r\n", 0, "", 0, 80 },
		{ "X-Forwarded-Port: 2\r\nX-Forwarded-Host: a:1\r\n"
		  "X-Forwarded-Proto: https\r\n",
		  FORWARDED_HTTPS, "a:1", 1, 2 },
	};
	const char *why;

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw = read_fields(table[i].lines, &why);

		ck_assert_msg(!why, "%s: %s", table[i].lines, why);
		ck_assert_int_eq(said.proto, table[i].proto);
		ck_assert_slice_eq(said.host, table[i].host);
		ck_assert_uint_eq(said.host_port, table[i].host_port);
		ck_assert_uint_eq(said.port, table[i].port);
		slice_free(raw);
	}
}
END_TEST

START_TEST(lists_and_malformed_values_are_refused)
{
	static const struct {
		const char *lines, *expected;
	} table[] = {
		{ "X-Forwarded-Proto:\r\n", "malformed X-Forwarded-Proto" },
		{ "X-Forwarded-Proto: ftp\r\n", "malformed X-Forwarded-Proto" },
		{ "X-Forwarded-Proto: https:\r\n", "malformed X-Forwarded-Proto" },
		{ "X-Forwarded-Proto: \"https\"\r\n", "malformed X-Forwarded-Proto" },
		{ "X-Forwarded-Host:\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Host: a b\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Host: a/b\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Host: u@a\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Host: https://a\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Host: a:0\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Host: a:65536\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Host: ::1\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Host: \xe4.example\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Port:\r\n", "malformed X-Forwarded-Port" },
		{ "X-Forwarded-Port: 0\r\n", "malformed X-Forwarded-Port" },
		{ "X-Forwarded-Port: 65536\r\n", "malformed X-Forwarded-Port" },
		{ "X-Forwarded-Port: 000443\r\n", "malformed X-Forwarded-Port" },
		{ "X-Forwarded-Port: -1\r\n", "malformed X-Forwarded-Port" },
		{ "X-Forwarded-Port: 0x50\r\n", "malformed X-Forwarded-Port" },
		{ "X-Forwarded-Port: https\r\n", "malformed X-Forwarded-Port" },
		/* a list, also of the same value twice */
		{ "X-Forwarded-Proto: https, http\r\n", "malformed X-Forwarded-Proto" },
		{ "X-Forwarded-Host: a, b\r\n", "malformed X-Forwarded-Host" },
		{ "X-Forwarded-Port: 443, 443\r\n", "malformed X-Forwarded-Port" },
		{ "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n",
		  "more than one X-Forwarded-Proto" },
		{ "X-Forwarded-Host: a\r\nx-forwarded-host: a\r\n",
		  "more than one X-Forwarded-Host" },
		{ "X-Forwarded-Port: 1\r\nX-Forwarded-Port: 1\r\n",
		  "more than one X-Forwarded-Port" },
	};
	const char *why;

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw = read_fields(table[i].lines, &why);

		ck_assert_msg(why && strcmp(why, table[i].expected) == 0, "%s: %s",
			      table[i].lines, why ? why : "accepted");
		slice_free(raw);
	}
}
END_TEST

/* The log has the client of a request that is refused, too. */
START_TEST(the_client_is_known_although_another_field_is_malformed)
{
	const char *why;
	struct slice raw = read_fields(
		"X-Forwarded-Proto: x\r\n" FOR("192.0.2.1") "X-Forwarded-Port: x\r\n",
		&why);

	ck_assert_str_eq(why, "malformed X-Forwarded-Proto");
	ck_assert_str_eq(client_text(), "192.0.2.1");
	slice_free(raw);
}
END_TEST

/* ---- Forwarded */

#define RFC(value) "Forwarded: " value "\r\n"

START_TEST(forwarded_is_translated)
{
	static const struct row table[] = {
		{ RFC("for=192.0.2.1"), "192.0.2.1", "192.0.2.1, " },
		{ RFC("For=\"192.0.2.1\""), "192.0.2.1", "192.0.2.1, " },
		{ RFC("for=\"192.0.2.1:80\""), "192.0.2.1", "192.0.2.1, " },
		{ RFC("for=\"192.0.2.1:_port-1\""), "192.0.2.1", "192.0.2.1, " },
		{ RFC("for=\"[2001:DB9::1]\""), "2001:db9::1", "2001:db9::1, " },
		{ RFC("for=\"[2001:db9::1]:4711\""), "2001:db9::1", "2001:db9::1, " },
		{ RFC("for=\"[::ffff:192.0.2.1]\""), "192.0.2.1", "192.0.2.1, " },
		{ RFC("by=_x;for=192.0.2.1;proto=http;secret=\"a,;\\\"b\";x=y"),
		  "192.0.2.1", "192.0.2.1, " },
		{ RFC("for=192.0.2.1 ; proto=http ;"), "192.0.2.1", "192.0.2.1, " },
		{ RFC(";;for=192.0.2.1;;"), "192.0.2.1", "192.0.2.1, " },
		{ RFC(", ,for=192.0.2.1,,\tfor=10.0.0.1,"), "192.0.2.1",
		  "192.0.2.1, 10.0.0.1, " },
		{ RFC("for=198.51.100.7, for=192.0.2.1, for=10.0.0.1"), "192.0.2.1",
		  "198.51.100.7, 192.0.2.1, 10.0.0.1, " },
		{ RFC("for=198.51.100.7") RFC("for=192.0.2.1") RFC("for=10.0.0.1"),
		  "192.0.2.1", "198.51.100.7, 192.0.2.1, 10.0.0.1, " },
		{ RFC("for=10.0.0.2, for=10.0.0.1"), "10.0.0.2", "10.0.0.2, 10.0.0.1, " },
		/* who has no address hides what is left of it */
		{ RFC("for=192.0.2.1, for=unknown"), "", "192.0.2.1, unknown, " },
		{ RFC("for=192.0.2.1, for=_hidden, for=10.0.0.1"), "10.0.0.1",
		  "192.0.2.1, _hidden, 10.0.0.1, " },
		{ RFC("for=192.0.2.1, for=\"_hidden:_p\""), "",
		  "192.0.2.1, _hidden:_p, " },
		{ RFC("for=192.0.2.1, proto=https"), "", "192.0.2.1, unknown, " },
		/* a comma in quotes begins no element */
		{ RFC("x=\"for=10.0.0.9, for=10.0.0.8\", for=192.0.2.1"), "192.0.2.1",
		  "unknown, 192.0.2.1, " },
		{ RFC("x=\"\";for=192.0.2.1"), "192.0.2.1", "192.0.2.1, " },
		/* none at all */
		{ RFC(""), "", "" },
		{ RFC(" , "), "", "" },
	};

	expect_clients(table, LENGTH(table), FORWARDED_BY_RFC7239);
}
END_TEST

/* The proxy with which the client has spoken knows what it has asked for; what is left is forged. */
START_TEST(proto_and_host_are_those_of_the_element_that_names_the_client)
{
	static const struct {
		const char *lines;
		enum forwarded_proto proto;
		const char *host;
		unsigned port;
	} table[] = {
		{ RFC("for=192.0.2.1;proto=https;host=a.example"), FORWARDED_HTTPS,
		  "a.example", 0 },
		{ RFC("for=192.0.2.1;PROTO=\"HTTP\";Host=\"a.example:81\""),
		  FORWARDED_HTTP, "a.example:81", 81 },
		{ RFC("host=\"[::1]:81\";proto=wss"), FORWARDED_HTTPS, "[::1]:81", 81 },
		{ RFC("for=192.0.2.1;proto=https;host=a, for=10.0.0.1;proto=http;host=b"),
		  FORWARDED_HTTPS, "a", 0 },
		{ RFC("for=1.2.3.4;proto=http;host=evil, for=192.0.2.1;proto=https;host=a"),
		  FORWARDED_HTTPS, "a", 0 },
		{ RFC("for=1.2.3.4;proto=http;host=evil, for=192.0.2.1, for=10.0.0.1"),
		  FORWARDED_PROTO_UNKNOWN, "", 0 },
		{ RFC("for=10.0.0.2;proto=http;host=a, for=10.0.0.1;proto=https;host=b"),
		  FORWARDED_HTTP, "a", 0 },
		{ RFC("for=1.2.3.4;host=evil, for=unknown;proto=https;host=a, "
		      "for=10.0.0.1;proto=http;host=b"),
		  FORWARDED_HTTPS, "a", 0 },
		{ RFC("for=1.2.3.4;host=evil, proto=https;host=a"), FORWARDED_HTTPS, "a",
		  0 },
		/* what a client has forged may be nonsense */
		{ RFC("for=1.2.3.4;proto=ftp;host=\"a b\", for=192.0.2.1;proto=https"),
		  FORWARDED_HTTPS, "", 0 },
	};
	const char *why;

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw = read_fields(table[i].lines, &why);

		ck_assert_msg(!why, "%s: %s", table[i].lines, why);
		ck_assert_int_eq(said.proto, table[i].proto);
		ck_assert_slice_eq(said.host, table[i].host);
		ck_assert_uint_eq(said.host_port, table[i].port);
		ck_assert_uint_eq(said.port, 0);
		slice_free(raw);
	}
}
END_TEST

START_TEST(malformed_forwarded_is_refused)
{
	static const char *const table[] = {
		RFC("for"),
		RFC("for="),
		RFC("for=\"\""),
		RFC("=192.0.2.1"),
		RFC("192.0.2.1"),
		RFC("for =192.0.2.1"),
		RFC("for= 192.0.2.1"),
		RFC("for=192.0.2.1 proto=http"),
		RFC("for=192.0.2.1/24"),
		RFC("for=192.0.2.1:80"), /* needs quotes */
		RFC("for=[::1]"),
		RFC("for=\"::1\""), /* needs brackets */
		RFC("for=\"[::1\""),
		RFC("for=\"[192.0.2.1]\""),
		RFC("for=\"192.0.2.1"),
		RFC("for=\"192.0.2.1\\\""),
		RFC("for=\"192.0.2.\\1\""), /* the backslash is not needed */
		RFC("for=\"192.0.2.1\"x"),
		RFC("for=\"192.0.2.1:\""),
		RFC("for=\"192.0.2.1:0\""),
		RFC("for=\"192.0.2.1:65536\""),
		RFC("for=\"192.0.2.1:_\""),
		RFC("for=\"192.0.2.1:_a b\""),
		RFC("for=\"[2001:db9::1]x_y\""), /* a port needs a ":" */
		RFC("for=\"[2001:db9::1]x80\""),
		RFC("for=a.example"),
		RFC("for=_"),
		RFC("for=_a$"),
		RFC("for=256.0.0.1"),
		RFC("for=192.0.2.1;for=192.0.2.1"),
		RFC("for=192.0.2.1;FOR=192.0.2.2"),
		RFC("proto=http;proto=https"),
		RFC("host=a;host=b"),
		RFC("proto=ftp"),
		RFC("proto=\"ht\\tp\""),
		RFC("host=\"\""),
		RFC("host=\"a b\""),
		RFC("host=\"a:0\""),
		RFC("host=\"u@a\""),
		RFC("for=192.0.2.1;x"),
		RFC("for=192.0.2.1;x="),
		RFC("for=192.0.2.1,\"a\""),
		RFC("for=192.0.2.1, for=\"10.0.0.1"),
		RFC("for=192.0.2.1") RFC("for=\"10.0.0.1"),
	};
	const char *why;

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw = read_fields(table[i], &why);

		ck_assert_msg(why && strcmp(why, "malformed Forwarded") == 0, "%s: %s",
			      table[i], why ? why : "accepted");
		ck_assert(!said.has_client && said.host.len == 0 && said.proto == 0);
		ck_assert_int_eq(said.by, FORWARDED_BY_NONE);
		slice_free(raw);
	}
}
END_TEST

/* Each value is cut at each byte, in a block of its own; what is read is the same if read again. */
START_TEST(each_cut_is_read_within_its_bytes)
{
	static const char *const values[] = {
		"for=192.0.2.1;proto=https;host=\"a.example:81\";x=\"a\\\"b\" , "
		"for=\"[2001:db8::1]:_p\";by=_x",
		"198.51.100.7, [2001:db9::1]:80, 10.0.0.1:443,, unknown",
	};

	for (size_t v = 0; v < LENGTH(values); v++)
		for (size_t n = 0; n <= strlen(values[v]); n++) {
			char *value = exact(values[v], n);
			struct field f = { v == 0 ? SLICE("Forwarded")
						  : SLICE("X-Forwarded-For"),
					   { value, n } };
			char room[200];
			struct buf out = { room, sizeof(room), 0, 0 };
			const char *why;

			head = (struct http1_head){ .fields = 1, .field = { f } };
			why = forwarded_read(&head, proxies, &said);
			ck_assert(!why || v == 0);
			ck_assert_int_eq(forwarded_put_for(&head, said.by, &out), 0);
			free(value);
		}
}
END_TEST

START_TEST(without_a_trusted_proxy_nothing_goes_on)
{
	const char *why;
	struct slice raw = read_fields(FOR("192.0.2.1") RFC("for=192.0.2.1"), &why);

	said = (struct forwarded){ 0 };
	expect_for("", "nobody");
	slice_free(raw);
}
END_TEST

/* ---- X-Request-Id */

#define TEN(c) c c c c c c c c c c
#define ID_128 TEN("abcdefghij") TEN("ab") "12345678"

START_TEST(a_request_id_is_visible_text_of_bounded_length)
{
	static const struct {
		const char *lines, *id;
		enum forwarded_by by;
	} table[] = {
		{ "", "", FORWARDED_BY_X },
		{ "X-Request-Id: a\r\n", "a", FORWARDED_BY_X },
		{ "x-request-id: 0190-~!\"#[]{};,\\\r\n", "0190-~!\"#[]{};,\\",
		  FORWARDED_BY_X },
		{ "X-Request-Id: " ID_128 "\r\n", ID_128, FORWARDED_BY_X },
		{ "X-Request-Id: " ID_128 "x\r\n", "", FORWARDED_BY_X },
		{ "X-Request-Id:\r\n", "", FORWARDED_BY_X },
		{ "X-Request-Id: a b\r\n", "", FORWARDED_BY_X },
		{ "X-Request-Id: a\tb\r\n", "", FORWARDED_BY_X },
		{ "X-Request-Id: \xc3\xa4\r\n", "", FORWARDED_BY_X },
		{ "X-Request-Id: a\xff\r\n", "", FORWARDED_BY_X },
		{ "X-Request-Id: a\r\nX-Request-Id: a\r\n", "", FORWARDED_BY_X },
		{ "Forwarded: for=192.0.2.1\r\nX-Request-Id: a\r\n", "a",
		  FORWARDED_BY_RFC7239 },
		{ "Forwarded: x\r\nX-Request-Id: a\r\n", "a", FORWARDED_BY_NONE },
		{ "X-Request-Ids: a\r\n", "", FORWARDED_BY_X },
	};
	const char *why;

	ck_assert_uint_eq(strlen(ID_128), FORWARDED_ID_MAX);
	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw = read_fields(table[i].lines, &why);

		ck_assert_slice_eq(said.request_id, table[i].id);
		ck_assert_int_eq(said.by, table[i].by);
		slice_free(raw);
	}
}
END_TEST

/* ---- random bytes */

static const struct {
	struct slice name;
	const char *values[6];
} drawn_fields[] = {
	{ SLICE_INIT("Forwarded"),
	  { "for=192.0.2.1;proto=https;host=a.example", "for=\"[2001:db9::1]:_p\";by=_x",
	    "for=198.51.100.7, for=10.0.0.1;proto=wss",
	    "for=unknown;x=\"a\\\"b\" , for=_y",
	    "FOR=\"192.0.2.1:80\" ;; host=\"[::1]:81\"",
	    ",for=\"[::ffff:10.0.0.9]\"," } },
	{ SLICE_INIT("X-Forwarded-For"),
	  { "192.0.2.1", "198.51.100.7, [2001:db9::1]:80, 10.0.0.1:443", "2001:db8::1,,",
	    "unknown", "::ffff:192.0.2.1 ,\t_x", "192.0.2.1:_p, 10.0.0.1" } },
	{ SLICE_INIT("X-Forwarded-Proto"),
	  { "https", "http", "WSS", "ws", "https", "http" } },
	{ SLICE_INIT("X-Forwarded-Host"),
	  { "a.example", "a.example:443", "[::1]:81", "192.0.2.1", "localhost:3000",
	    "[2001:db8::1]" } },
	{ SLICE_INIT("X-Forwarded-Port"),
	  { "443", "1", "65535", "80", "3000", "00443" } },
	{ SLICE_INIT("X-Request-Id"),
	  { "a", "0190f2a4-7b1c", "abc-1", "novnc-gate[1]-1", "x", "~!@" } },
};

/* Bytes that mean something in one of these values. */
static char likely(uint64_t *seed)
{
	static const char bytes[] = " \t,;=\"\\:[]._%0129afpx/@forhostproto";

	return draw(seed, 4) == 0 ? (char)draw(seed, 256)
				  : bytes[draw(seed, sizeof(bytes) - 1)];
}

/* A valid value with some bytes changed, left out or put in, or one by chance; slice_free() it. */
static struct slice draw_value(uint64_t *seed, const char *const *values)
{
	const char *valid = values[draw(seed, 6)];
	size_t len = strlen(valid), at, n;
	char text[128];

	memcpy(text, valid, len);
	if (draw(seed, 8) == 0)
		for (len = 0, n = draw(seed, 60); len < n; len++)
			text[len] = likely(seed);
	for (size_t changes = draw(seed, 4); changes > 0 && len > 0; changes--) {
		at = draw(seed, len);
		n = draw(seed, 3); /* bytes that replace one */
		memmove(text + at + n, text + at + 1, len - at - 1);
		for (size_t i = 0; i < n; i++)
			text[at + i] = likely(seed);
		len = len + n - 1;
	}
	return (struct slice){ exact(text, len), len };
}

/* One to three fields, each in a block of its own. */
static void draw_fields(uint64_t *seed)
{
	size_t which = draw(seed, 2) ? 0 : draw(seed, LENGTH(drawn_fields));

	head.fields = 1 + draw(seed, 3);
	for (size_t i = 0; i < head.fields; i++) {
		head.field[i].name = drawn_fields[which].name;
		head.field[i].value = draw_value(seed, drawn_fields[which].values);
		if (draw(seed, 2))
			which = draw(seed, LENGTH(drawn_fields));
	}
}

static bool lies_in_a_value(struct slice s)
{
	for (size_t i = 0; i < head.fields; i++) {
		struct slice value = head.field[i].value;

		if (s.p >= value.p && s.p + s.len <= value.p + value.len)
			return true;
	}
	return s.len == 0;
}

/* The field that is passed on names the same client, if the next proxy reads it. */
static void expect_same_client(const struct forwarded *f)
{
	static struct http1_head next = { .fields = 1 };
	struct forwarded again;
	char room[600];
	struct buf out = { room, sizeof(room), 0, 0 };

	if (forwarded_put_for(&head, f->by, &out) != 0)
		ck_abort_msg("600 bytes are too few");
	next.field[0] = (struct field){ SLICE("X-Forwarded-For"), buf_slice(&out) };
	if (forwarded_read(&next, proxies, &again) || again.has_client != f->has_client ||
	    (f->has_client &&
	     memcmp(&again.client, &f->client, sizeof(again.client)) != 0))
		ck_abort_msg("another client in '%.*s'", SLICE_FMT(buf_slice(&out)));
	/* Forwarded is translated, so nothing else of it gets through */
	for (size_t i = 0; f->by == FORWARDED_BY_RFC7239 && i < out.end; i++)
		if (!isalnum((unsigned char)room[i]) && !strchr(".:_-[], ", room[i]))
			ck_abort_msg("goes on: '%.*s'", SLICE_FMT(buf_slice(&out)));
}

START_TEST(random_values_are_read_within_their_bytes)
{
	enum { REFUSED, CLIENT, PROTO, HOST, PORT, ID, TRANSLATED, KINDS };
	size_t count[KINDS] = { 0 };
	size_t n = rounds(1000000);
	uint64_t seed = 1;

	memset(&head, 0, sizeof(head));
	for (size_t i = 0; i < n; i++) {
		const char *why;

		draw_fields(&seed);
		why = forwarded_read(&head, proxies, &said);
		if (!lies_in_a_value(said.host) || !lies_in_a_value(said.request_id) ||
		    said.port > 65535 || said.host_port > 65535)
			ck_abort_msg("%zu: not of its fields", i);
		if (!why)
			expect_same_client(&said);
		count[REFUSED] += why != NULL;
		count[CLIENT] += said.has_client;
		count[PROTO] += said.proto != FORWARDED_PROTO_UNKNOWN;
		count[HOST] += said.host.len > 0;
		count[PORT] += said.port > 0;
		count[ID] += said.request_id.len > 0;
		count[TRANSLATED] += said.by == FORWARDED_BY_RFC7239;
		for (size_t k = 0; k < head.fields; k++)
			slice_free(head.field[k].value);
	}
	for (size_t i = 0; i < KINDS; i++)
		ck_assert_msg(count[i] > n / 50, "%zu: only %zu", i, count[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forwarded");
	TCase *t = tcase_create("X-Forwarded-*");

	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, the_client_is_the_right_most_address_that_is_not_trusted);
	tcase_add_test(t, proto_host_and_port_are_one_value_each);
	tcase_add_test(t, lists_and_malformed_values_are_refused);
	tcase_add_test(t, the_client_is_known_although_another_field_is_malformed);
	t = tcase_create("Forwarded");
	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, forwarded_is_translated);
	tcase_add_test(t, proto_and_host_are_those_of_the_element_that_names_the_client);
	tcase_add_test(t, malformed_forwarded_is_refused);
	tcase_add_test(t, each_cut_is_read_within_its_bytes);
	tcase_add_test(t, without_a_trusted_proxy_nothing_goes_on);
	t = tcase_create("X-Request-Id");
	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_request_id_is_visible_text_of_bounded_length);
	t = tcase_create("random");
	suite_add_tcase(suite, t);
	tcase_set_timeout(t, 120); /* with sanitizers, on a busy machine */
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, random_values_are_read_within_their_bytes);
	return suite_run(suite);
}
