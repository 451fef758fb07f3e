/* SPDX-License-Identifier: MIT */
/* route.c, rewrite.c: TrustedProxies=, from what comes to what backends get and what Origin is checked against. */
#include "proxy/rewrite.h"

#include <stdio.h>

#include "config_text.h"
#include "testing.h"

#define PROXY "10.0.0.1"
#define NOVNC "/api/auth/session/s-1/novnc/websock"
#define UPGRADE                                           \
	"Connection: Upgrade\r\nUpgrade: websocket\r\n"   \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
	"Sec-WebSocket-Version: 13\r\n"

static struct config cfg;
static struct client peer;
static struct http1_head head;
static struct verdict verdict;

static void setup(void)
{
	config_good("[Client]\nTrustedProxies=10.0.0.0/8 2001:db8::/32\n", &cfg);
	peer = (struct client){ .address = PROXY };
}

static void teardown(void)
{
	config_done(&cfg);
}

static void peer_is(const char *address, bool tls)
{
	peer = (struct client){ .tls = tls };
	(void)snprintf(peer.address, sizeof(peer.address), "%s", address);
}

static struct slice decide(const char *target, const char *lines)
{
	char text[2000];
	struct slice raw;

	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n%s\r\n", target, lines);
	raw = request_read(text, &head);
	route_decide(&cfg, &head, &peer, &verdict);
	return raw;
}

/* The client that the log names; "peer" if no trusted proxy has named one. */
static const char *client_text(void)
{
	static char text[INET6_ADDRSTRLEN];

	if (!verdict.said.has_client)
		return "peer";
	network_format(&verdict.said.client, text);
	return text;
}

/* Expects these lines, and no others about who has asked, in the request for Next.js. */
static void expect_lines(const char *lines, const char *client, const char *expected)
{
	struct slice raw = decide("/", lines), got;
	char room[2000];
	struct buf out = { room, sizeof(room), 0, 0 };
	const char *start = "GET / HTTP/1.1\r\nHost: h:3000\r\n";

	ck_assert_msg(verdict.kind == ROUTE_PLAIN, "%s: %s", lines, verdict.why);
	ck_assert_str_eq(client_text(), client);
	ck_assert_int_eq(rewrite_request(&head, &verdict, &cfg.backend[CONFIG_NEXTJS],
					 &peer, &out),
			 0);
	got = buf_slice(&out);
	ck_assert(slice_casestarts(got, slice_str(start)));
	got = slice_from(got, strlen(start));
	got.len -= strlen("\r\n");
	ck_assert_msg(slice_eq(got, slice_str(expected)), "%s from %s gives\n%.*snot\n%s",
		      lines, peer.address, SLICE_FMT(got), expected);
	slice_free(raw);
}

#define HOST "Host: h:3000\r\n"
#define ALL                                                              \
	"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"     \
	"X-Forwarded-Host: a.example:8443\r\nX-Forwarded-Port: 9443\r\n" \
	"X-Forwarded-Server: x\r\nX-Real-IP: 192.0.2.1\r\n"              \
	"Forwarded: for=192.0.2.9;host=b.example;proto=https\r\n"

START_TEST(only_a_trusted_proxy_is_believed)
{
	static const char own[] =
		"X-Forwarded-Proto: http\r\nX-Forwarded-For: %s\r\n"
		"X-Forwarded-Host: h:3000\r\nX-Forwarded-Port: 3000\r\n";
	static const struct {
		const char *peer;
		bool trusted;
	} table[] = {
		{ "10.0.0.1", true },    { "10.255.255.255", true },
		{ "11.0.0.1", false },   { "192.0.2.1", false },
		{ "2001:db8::1", true }, { "2001:db9::1", false },
		{ "127.0.0.1", false },  { "::1", false },
		{ "::10.0.0.1", false },
	};
	char expected[500];

	for (size_t i = 0; i < LENGTH(table); i++) {
		peer_is(table[i].peer, false);
		(void)snprintf(expected, sizeof(expected),
			       table[i].trusted ? "X-Forwarded-Proto: https\r\n"
						  "X-Forwarded-For: 192.0.2.1, %s\r\n"
						  "X-Forwarded-Host: a.example:8443\r\n"
						  "X-Forwarded-Port: 9443\r\n"
						: own,
			       table[i].peer);
		expect_lines(HOST ALL, table[i].trusted ? "192.0.2.1" : "peer", expected);
	}
	/* a local socket has no address */
	peer_is("", false);
	expect_lines(HOST ALL, "peer",
		     "X-Forwarded-Proto: http\r\nX-Forwarded-Host: h:3000\r\n"
		     "X-Forwarded-Port: 3000\r\n");
}
END_TEST

START_TEST(without_the_key_nobody_is_believed)
{
	config_done(&cfg);
	config_init(&cfg);
	expect_lines(HOST ALL, "peer",
		     "X-Forwarded-Proto: http\r\nX-Forwarded-For: " PROXY "\r\n"
		     "X-Forwarded-Host: h:3000\r\nX-Forwarded-Port: 3000\r\n");
}
END_TEST

START_TEST(what_a_trusted_proxy_does_not_say_is_of_the_request_itself)
{
	static const struct {
		bool tls; /* of the proxy's connection to the gate */
		const char *lines, *client, *proto, *forwarded_for, *host, *port;
	} table[] = {
		{ false, "", "peer", "http", PROXY, "h:3000", "3000" },
		{ true, "", "peer", "https", PROXY, "h:3000", "3000" },
		{ false, "X-Forwarded-For: 192.0.2.1, 10.0.0.2\r\n", "192.0.2.1", "http",
		  "192.0.2.1, 10.0.0.2, " PROXY, "h:3000", "3000" },
		{ false, "X-Forwarded-Proto: https\r\n", "peer", "https", PROXY, "h:3000",
		  "3000" },
		{ true, "X-Forwarded-Proto: http\r\n", "peer", "http", PROXY, "h:3000",
		  "3000" },
		{ false, "X-Forwarded-Proto: wss\r\n", "peer", "https", PROXY, "h:3000",
		  "3000" },
		/* the port: of that Host, else of that scheme */
		{ false, "X-Forwarded-Host: a\r\n", "peer", "http", PROXY, "a", "80" },
		{ true, "X-Forwarded-Host: a\r\n", "peer", "https", PROXY, "a", "443" },
		{ false, "X-Forwarded-Host: a\r\nX-Forwarded-Proto: https\r\n", "peer",
		  "https", PROXY, "a", "443" },
		{ true, "X-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\n", "peer",
		  "http", PROXY, "a", "80" },
		{ false, "X-Forwarded-Host: a:\r\nX-Forwarded-Proto: https\r\n", "peer",
		  "https", PROXY, "a:", "443" },
		{ false, "X-Forwarded-Host: [::1]:81\r\nX-Forwarded-Proto: https\r\n",
		  "peer", "https", PROXY, "[::1]:81", "81" },
		{ false, "X-Forwarded-Port: 443\r\n", "peer", "http", PROXY, "h:3000",
		  "443" },
		{ false, "X-Forwarded-Port: 00443\r\nX-Forwarded-Host: a:81\r\n", "peer",
		  "http", PROXY, "a:81", "443" },
		/* Forwarded */
		{ false, "Forwarded: for=192.0.2.1;proto=https;host=a\r\n", "192.0.2.1",
		  "https", "192.0.2.1, " PROXY, "a", "443" },
		{ false, "Forwarded: for=\"[2001:db9::1]:5\";host=\"a:81\"\r\n",
		  "2001:db9::1", "http", "2001:db9::1, " PROXY, "a:81", "81" },
		{ false, "Forwarded: for=unknown;proto=https\r\n", "peer", "https",
		  "unknown, " PROXY, "h:3000", "3000" },
	};
	char expected[500], lines[500];

	for (size_t i = 0; i < LENGTH(table); i++) {
		peer_is(PROXY, table[i].tls);
		(void)snprintf(lines, sizeof(lines), HOST "%s", table[i].lines);
		(void)snprintf(expected, sizeof(expected),
			       "X-Forwarded-Proto: %s\r\nX-Forwarded-For: %s\r\n"
			       "X-Forwarded-Host: %s\r\nX-Forwarded-Port: %s\r\n",
			       table[i].proto, table[i].forwarded_for, table[i].host,
			       table[i].port);
		expect_lines(lines, table[i].client, expected);
	}
}
END_TEST

START_TEST(a_trusted_proxy_that_sends_nonsense_is_refused)
{
	static const struct {
		const char *lines, *why;
	} table[] = {
		{ HOST "X-Forwarded-Proto: https, http\r\n",
		  "malformed X-Forwarded-Proto" },
		{ HOST "X-Forwarded-Host: a, b\r\n", "malformed X-Forwarded-Host" },
		{ HOST "X-Forwarded-Port: 1, 2\r\n", "malformed X-Forwarded-Port" },
		{ HOST "X-Forwarded-Port: 1\r\nX-Forwarded-Port: 1\r\n",
		  "more than one X-Forwarded-Port" },
		{ HOST "Forwarded: for=\r\n", "malformed Forwarded" },
		/* the order of the checks: Host and Connection come first */
		{ "X-Forwarded-Port: x\r\n", "Host is missing" },
		{ HOST "X-Forwarded-Port: x\r\nConnection: cookie\r\n",
		  "Connection names a protected header field" },
		{ HOST "X-Forwarded-For: 192.0.2.1\r\nConnection: X-Forwarded-For\r\n",
		  "Connection names a protected header field" },
	};
	static const char *const targets[] = { "/", NOVNC, "/nowhere" };
	char lines[500];

	for (size_t i = 0; i < LENGTH(table) * LENGTH(targets); i++) {
		const char *target = targets[i % LENGTH(targets)];
		bool plain = strcmp(target, "/") == 0;
		struct slice raw;

		(void)snprintf(lines, sizeof(lines), "%s%s",
			       table[i / LENGTH(targets)].lines, plain ? "" : UPGRADE);
		raw = decide(target, lines);
		ck_assert_msg(verdict.kind == ROUTE_REFUSED && verdict.status == 400,
			      "%s: %d", lines, verdict.kind);
		ck_assert_str_eq(verdict.why, table[i / LENGTH(targets)].why);
		slice_free(raw);
		if (!strstr(lines, "Connection: cookie") && strstr(lines, "Host:") &&
		    !strstr(lines, "Connection: X-")) {
			peer_is("192.0.2.1", false); /* whose fields are not read */
			raw = decide("/", table[i / LENGTH(targets)].lines);
			ck_assert_int_eq(verdict.kind, ROUTE_PLAIN);
			slice_free(raw);
			peer_is(PROXY, false);
		}
	}
}
END_TEST

START_TEST(the_client_of_a_refused_request_is_known)
{
	struct slice raw =
		decide("/nowhere", HOST "X-Forwarded-For: 192.0.2.1\r\n" UPGRADE);

	ck_assert_int_eq(verdict.kind, ROUTE_REFUSED_PATH);
	ck_assert_str_eq(client_text(), "192.0.2.1");
	slice_free(raw);
	raw = decide("/", "X-Forwarded-For: 192.0.2.1\r\n"); /* no Host */
	ck_assert_int_eq(verdict.kind, ROUTE_REFUSED);
	ck_assert_str_eq(client_text(), "192.0.2.1");
	slice_free(raw);
}
END_TEST

START_TEST(their_host_and_scheme_count_for_the_origin)
{
	static const struct {
		const char *peer, *lines, *origin;
		bool good;
	} table[] = {
		{ PROXY, "X-Forwarded-Host: a.example\r\n", "http://a.example", true },
		{ PROXY, "X-Forwarded-Host: a.example\r\n", "https://a.example", true },
		{ PROXY, "X-Forwarded-Host: a.example\r\n", "http://h:3000", false },
		{ PROXY, "X-Forwarded-Host: a.example:81\r\n", "http://a.example:81",
		  true },
		{ PROXY, "X-Forwarded-Host: a.example:81\r\n", "http://a.example",
		  false },
		/* over https, an http:// page of the same host may be somebody else's */
		{ PROXY, "X-Forwarded-Proto: https\r\n", "https://h:3000", true },
		{ PROXY, "X-Forwarded-Proto: https\r\n", "http://h:3000", false },
		{ PROXY, "X-Forwarded-Proto: wss\r\n", "http://h:3000", false },
		{ PROXY, "X-Forwarded-Proto: http\r\n", "http://h:3000", true },
		{ PROXY, "X-Forwarded-Proto: http\r\n", "https://h:3000", true },
		{ PROXY, "X-Forwarded-Host: a\r\nX-Forwarded-Proto: https\r\n",
		  "https://a", true },
		{ PROXY, "X-Forwarded-Host: a\r\nX-Forwarded-Proto: https\r\n",
		  "https://a:443", true },
		{ PROXY, "X-Forwarded-Host: a\r\nX-Forwarded-Proto: https\r\n",
		  "http://a:443", false },
		/* X-Forwarded-Port does not count */
		{ PROXY, "X-Forwarded-Host: a\r\nX-Forwarded-Port: 81\r\n", "http://a:81",
		  false },
		{ PROXY, "X-Forwarded-Host: a\r\nX-Forwarded-Port: 81\r\n", "http://a",
		  true },
		{ PROXY, "Forwarded: host=a;proto=https\r\n", "https://a", true },
		{ PROXY, "Forwarded: host=a;proto=https\r\n", "http://a", false },
		{ PROXY, "Forwarded: host=a;proto=https\r\n", "https://h:3000", false },
		{ PROXY, "Forwarded: for=192.0.2.1;host=evil, for=192.0.2.2;host=a\r\n",
		  "http://evil", false },
		/* the controller's own stays allowed */
		{ PROXY, "X-Forwarded-Host: a\r\n", "http://127.0.0.1:4000", true },
		/* anybody else */
		{ "192.0.2.1", "X-Forwarded-Host: evil\r\n", "http://evil", false },
		{ "192.0.2.1", "X-Forwarded-Host: evil\r\n", "http://h:3000", true },
		{ "192.0.2.1", "Forwarded: host=evil\r\n", "http://evil", false },
		{ "192.0.2.1", "X-Forwarded-Proto: https\r\n", "http://h:3000", true },
	};
	char lines[500];

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice raw;

		peer_is(table[i].peer, false);
		(void)snprintf(lines, sizeof(lines), HOST "%sOrigin: %s\r\n" UPGRADE,
			       table[i].lines, table[i].origin);
		raw = decide(NOVNC, lines);
		ck_assert_msg(verdict.kind == (table[i].good ? ROUTE_UPGRADE
							     : ROUTE_REFUSED_ORIGIN),
			      "%d: %s from %s", verdict.kind, lines, table[i].peer);
		slice_free(raw);
	}
	/* a proxy that speaks TLS to the gate, for a client that does not */
	peer_is(PROXY, true);
	slice_free(
		decide(NOVNC, HOST
		       "X-Forwarded-Proto: http\r\nOrigin: http://h:3000\r\n" UPGRADE));
	ck_assert_int_eq(verdict.kind, ROUTE_UPGRADE);
}
END_TEST

/* Host goes to Next.js as it came. */
START_TEST(next_js_gets_the_host_as_it_came)
{
	struct slice raw = decide("/", HOST "X-Forwarded-Host: a.example\r\n");

	ck_assert_slice_eq(verdict.host, "h:3000");
	ck_assert_slice_eq(route_host(&verdict), "a.example");
	slice_free(raw);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("route: trusted proxies");
	TCase *t = tcase_create("trusted proxies");

	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, only_a_trusted_proxy_is_believed);
	tcase_add_test(t, without_the_key_nobody_is_believed);
	tcase_add_test(t, what_a_trusted_proxy_does_not_say_is_of_the_request_itself);
	tcase_add_test(t, a_trusted_proxy_that_sends_nonsense_is_refused);
	tcase_add_test(t, the_client_of_a_refused_request_is_known);
	tcase_add_test(t, their_host_and_scheme_count_for_the_origin);
	tcase_add_test(t, next_js_gets_the_host_as_it_came);
	return suite_run(suite);
}
