/* SPDX-License-Identifier: MIT */
/* route.c: where a request goes or why nowhere. */
#include "proxy/route.h"

#include <stdio.h>

#include "config_text.h"
#include "testing.h"

#define SESSION "/api/auth/session/"
#define WEBSOCK SESSION "s-1/novnc/websock"

#define KEY                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION             "Sec-WebSocket-Version: 13\r\n"
#define UPGRADE_ONLY        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define UPGRADE             UPGRADE_ONLY KEY VERSION
#define GET(target, fields) "GET " target " HTTP/1.1\r\n" fields "\r\n"

#define LIST(...)                                                        \
	({                                                               \
		static const char *const list[] = { __VA_ARGS__, NULL }; \
		list;                                                    \
	})

static struct config cfg;
static struct client who;
static struct http1_head head;

static void defaults(void)
{
	config_init(&cfg);
	who = (struct client){ .tls = false };
}

/* Reads and judges a request; slice_free() what is returned when the verdict is done with. */
static struct slice decide(const char *text, struct verdict *ret)
{
	struct slice raw = request_read(text, &head);

	memset(ret, 0xa5, sizeof(*ret));
	route_decide(&cfg, &head, &who, ret);
	return raw;
}

static void expect_refusal(const char *text, enum route_kind kind, unsigned status,
			   const char *why)
{
	struct verdict v;
	struct slice raw = decide(text, &v);

	ck_assert_msg(v.kind == kind, "kind %d, not %d: %s", v.kind, kind, text);
	ck_assert_msg(v.status == status && strcmp(v.why, why) == 0,
		      "%u %s, not %u %s: %s", v.status, v.why, status, why, text);
	ck_assert(kind != ROUTE_REFUSED_PATH || v.session.len == 0);
	slice_free(raw);
}

/* ---- where a request goes */

static const struct {
	const char *text;
	enum config_backend backend;
	const char *target, *path, *host;
} plain[] = {
	{ GET("/", "Host: h\r\n"), CONFIG_NEXTJS, "/", "/", "h" },
	{ GET("/a?b?c", "Host: h:3000\r\n"), CONFIG_NEXTJS, "/a?b?c", "/a", "h:3000" },
	{ GET("//a/../b", "Host: h\r\n"), CONFIG_NEXTJS, "//a/../b", "//a/../b", "h" },
	{ GET(WEBSOCK, "Host: h\r\n"), CONFIG_NEXTJS, WEBSOCK, WEBSOCK, "h" },
	{ "POST " WEBSOCK " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
	  CONFIG_NEXTJS, WEBSOCK, WEBSOCK, "h" },
	{ "GET / HTTP/1.0\r\n\r\n", CONFIG_NEXTJS, "/", "/", "" },
	{ "GET / HTTP/1.0\r\nHost: h\r\n\r\n", CONFIG_NEXTJS, "/", "/", "h" },
	{ "GET http://a:1/b HTTP/1.0\r\n\r\n", CONFIG_NEXTJS, "/b", "/b", "a:1" },
	{ "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", CONFIG_NEXTJS, "*", "*", "h" },
	{ "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", CONFIG_NEXTJS, "*", "*", "h" },
	{ "OPTIONS http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", CONFIG_NEXTJS, "/", "/", "h" },
	{ GET("http://h", "Host: h\r\n"), CONFIG_NEXTJS, "", "/", "h" },
	{ GET("http://h?a/b", "Host: h\r\n"), CONFIG_NEXTJS, "?a/b", "/", "h" },
	{ GET("http://h/a?b", "Host: h\r\n"), CONFIG_NEXTJS, "/a?b", "/a", "h" },
	{ GET("HTTPS://H:1/", "Host: h:1\r\n"), CONFIG_NEXTJS, "/", "/", "H:1" },
	{ GET("http://[::1]:3000/a", "Host: [::1]:3000\r\n"), CONFIG_NEXTJS, "/a", "/a",
	  "[::1]:3000" },
	{ GET("/http://x/", "Host: h\r\n"), CONFIG_NEXTJS, "/http://x/", "/http://x/",
	  "h" },
	/* less than an upgrade */
	{ GET(WEBSOCK, "Host: h\r\nUpgrade: websocket\r\n"), CONFIG_NEXTJS, WEBSOCK,
	  WEBSOCK, "h" },
	{ GET("/", "Host: h\r\nConnection: Upgrade\r\n"), CONFIG_NEXTJS, "/", "/", "h" },
	{ GET("/", "Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"),
	  CONFIG_NEXTJS, "/", "/", "h" },
	{ GET("http://h/", "Host: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"),
	  CONFIG_NEXTJS, "/", "/", "h" },
	/* only Connection has options */
	{ GET("/", "Host: h\r\nVary: Cookie\r\nX-Connection: Host\r\n"), CONFIG_NEXTJS,
	  "/", "/", "h" },
	/* an Origin is for upgrades only */
	{ GET("/", "Host: h\r\nOrigin: http://evil.example\r\n"), CONFIG_NEXTJS, "/", "/",
	  "h" },
};

START_TEST(plain_requests_go_to_nextjs)
{
	for (size_t i = 0; i < LENGTH(plain); i++) {
		struct verdict v;
		struct slice raw = decide(plain[i].text, &v);

		ck_assert_msg(v.kind == ROUTE_PLAIN, "%s: %s", v.why, plain[i].text);
		ck_assert_int_eq(v.backend, plain[i].backend);
		ck_assert_slice_eq(v.target, plain[i].target);
		ck_assert_slice_eq(v.path, plain[i].path);
		ck_assert_slice_eq(v.host, plain[i].host);
		ck_assert_uint_eq(v.session.len, 0);
		slice_free(raw);
	}
}
END_TEST

START_TEST(plain_requests_go_to_the_controller_where_a_path_says_so)
{
	static const struct {
		const char *target;
		enum config_backend backend;
		const char *session;
	} table[] = {
		{ SESSION "1/novnc", CONFIG_CONTROLLER, "1" },
		{ SESSION "1/novnc?a", CONFIG_CONTROLLER, "1" },
		{ SESSION "a%41/novnc/", CONFIG_CONTROLLER, "a%41" },
		{ SESSION "1/novnc/core/rfb.js", CONFIG_CONTROLLER, "1" },
		{ "http://h" SESSION "1/novnc", CONFIG_CONTROLLER, "1" },
		{ SESSION "1/novncs", CONFIG_NEXTJS, "" },
		{ SESSION "1", CONFIG_NEXTJS, "" },
		{ SESSION "1/novnc/../x", CONFIG_NEXTJS, "" },
		{ SESSION "1/novnc/..;/x", CONFIG_NEXTJS, "" },
		{ SESSION "1/novnc/%zz", CONFIG_NEXTJS, "" },
		{ "/x?" SESSION "1/novnc", CONFIG_NEXTJS, "" },
		{ "/", CONFIG_NEXTJS, "" },
	};
	char text[200];

	cfg.controller_path = LIST(SESSION "*/novnc", SESSION "*/novnc/**");
	for (size_t i = 0; i < LENGTH(table); i++) {
		struct verdict v;
		struct slice raw;

		(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n",
			       table[i].target);
		raw = decide(text, &v);
		ck_assert_int_eq(v.kind, ROUTE_PLAIN);
		ck_assert_msg(v.backend == table[i].backend, "%s", text);
		ck_assert_slice_eq(v.session, table[i].session);
		slice_free(raw);
	}
}
END_TEST

/* An upgrade of that target, as a browser asks for it. */
static void expect_upgrade(const char *target, enum config_backend backend,
			   const char *session)
{
	char text[400];
	struct verdict v;
	struct slice raw;

	(void)snprintf(
		text, sizeof(text),
		"GET %s HTTP/1.1\r\nHost: h:3000\r\nOrigin: http://h:3000\r\n" UPGRADE
		"\r\n",
		target);
	if (!session) {
		expect_refusal(text, ROUTE_REFUSED_PATH, 403,
			       "no WebSocket is served on this path");
		return;
	}
	raw = decide(text, &v);
	ck_assert_msg(v.kind == ROUTE_UPGRADE, "%s: %s", v.why, text);
	ck_assert_int_eq(v.backend, backend);
	ck_assert_slice_eq(v.target, target);
	ck_assert_uint_eq(v.path.len, strcspn(target, "?"));
	ck_assert_slice_eq(v.host, "h:3000");
	ck_assert_slice_eq(v.session, session);
	slice_free(raw);
}

/* A plain request for that target, which goes on as it came. */
static void expect_plain_target(const char *target)
{
	char text[400];
	struct verdict v;
	struct slice raw;

	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
	raw = decide(text, &v);
	ck_assert_int_eq(v.kind, ROUTE_PLAIN);
	ck_assert_slice_eq(v.target, target);
	slice_free(raw);
}

START_TEST(upgrades_go_where_their_path_says)
{
	static const struct {
		const char *target, *session; /* no session: refused */
		enum config_backend backend;
	} table[] = {
		{ WEBSOCK, "s-1", CONFIG_CONTROLLER },
		{ SESSION "s-1/novnc/websockify", "s-1", CONFIG_CONTROLLER },
		{ WEBSOCK "?token=a/b", "s-1", CONFIG_CONTROLLER },
		{ SESSION "%41b%20/novnc/websock", "%41b%20", CONFIG_CONTROLLER },
		{ SESSION "novnc/novnc/websock?", "novnc", CONFIG_CONTROLLER },
		{ "/_next/webpack-hmr", "", CONFIG_NEXTJS },
		{ "/_next/webpack-hmr?page=/a", "", CONFIG_NEXTJS },
		{ "/_next/hmr", "", CONFIG_NEXTJS },
		{ "/_next/a-hmr-b", "", CONFIG_NEXTJS },
		{ "/", NULL, 0 },
		{ "/websockify", NULL, 0 },
		{ "/_next", NULL, 0 },
		{ "/_next/", NULL, 0 },
		{ "/_next/x", NULL, 0 },
		{ "/_next/hmr/x", NULL, 0 },
		{ "/_next/x/hmr", NULL, 0 },
		{ "/base/_next/hmr", NULL, 0 },
		{ WEBSOCK "/", NULL, 0 },
		{ WEBSOCK "x", NULL, 0 },
		{ "/x" WEBSOCK, NULL, 0 },
		{ SESSION "novnc/websock", NULL, 0 },
		{ SESSION "/novnc/websock", NULL, 0 },
		{ SESSION "a/b/novnc/websock", NULL, 0 },
		{ SESSION "../novnc/websock", NULL, 0 },
		{ SESSION "a%2fb/novnc/websock", NULL, 0 },
		{ SESSION "%2e%2e/novnc/websock", NULL, 0 },
		{ SESSION "a%00/novnc/websock", NULL, 0 },
		{ SESSION "a%2/novnc/websock", NULL, 0 },
		{ SESSION "..;a/novnc/websock", NULL, 0 },
		{ SESSION "a\\b/novnc/websock", NULL, 0 },
		{ "/api/auth/../auth/session/a/novnc/websock", NULL, 0 },
		{ "/API/auth/session/a/novnc/websock", NULL, 0 },
		{ "/?" WEBSOCK, NULL, 0 },
		{ "/x;" WEBSOCK, NULL, 0 },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		expect_upgrade(table[i].target, table[i].backend, table[i].session);
}
END_TEST

/* As noVNC 1.3 asks for it where its `path` begins with a slash. */
START_TEST(slashes_at_the_start_of_an_upgrades_path_count_and_go_out_as_one)
{
	static const struct {
		const char *target, *passed; /* none: refused */
		const char *path;            /* for the journal */
	} table[] = {
		{ "/" WEBSOCK, WEBSOCK, WEBSOCK },
		{ "////" WEBSOCK, WEBSOCK, WEBSOCK },
		{ "/" WEBSOCK "?a=//b", WEBSOCK "?a=//b", WEBSOCK },
		{ "//_next/webpack-hmr", "/_next/webpack-hmr", "/_next/webpack-hmr" },
		{ "//h:3000" WEBSOCK, NULL, "/h:3000" WEBSOCK },
		{ "//", NULL, "/" },
		{ "///?" WEBSOCK, NULL, "/" },
		{ "//?/" WEBSOCK, NULL, "/" },
		{ "/.//" WEBSOCK, NULL, "/.//" WEBSOCK },
		{ "/;/" WEBSOCK, NULL, "/;/" WEBSOCK },
		{ "/\\" WEBSOCK, NULL, "/\\" WEBSOCK },
		{ "/%2f" WEBSOCK, NULL, "/%2f" WEBSOCK },
		{ "//%2e" WEBSOCK, NULL, "/%2e" WEBSOCK },
		{ "//.." WEBSOCK, NULL, "/.." WEBSOCK },
		{ "//api//auth/session/s-1/novnc/websock", NULL,
		  "/api//auth/session/s-1/novnc/websock" },
		{ "/" SESSION "s-1//novnc/websock", NULL, SESSION "s-1//novnc/websock" },
		{ "/" SESSION "/novnc/websock", NULL, SESSION "/novnc/websock" },
		{ "/" WEBSOCK "//", NULL, WEBSOCK "//" },
	};
	char text[300];

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct verdict v;
		struct slice raw;

		(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n",
			       table[i].target, UPGRADE);
		raw = decide(text, &v);
		ck_assert_msg((v.kind == ROUTE_UPGRADE) == (table[i].passed != NULL),
			      "%s", text);
		ck_assert_slice_eq(v.path, table[i].path);
		if (table[i].passed)
			ck_assert_slice_eq(v.target, table[i].passed);
		ck_assert(v.target.p[0] == '/' &&
			  (v.target.len == 1 || v.target.p[1] != '/'));
		slice_free(raw);
	}
	/* everywhere else all of them count */
	expect_plain_target("/" WEBSOCK);
	expect_plain_target("//h/");
	expect_plain_target("//");
	cfg.novnc_path = LIST("/**");
	expect_upgrade("/a//b", 0, NULL);
}
END_TEST

START_TEST(upgrade_paths_are_configurable)
{
	cfg.novnc_path = LIST("/vnc/*", "/**/deep/*/ws");
	cfg.nextjs_upgrade_path = LIST("/base/_next/*hmr*");
	expect_upgrade("/vnc/7", CONFIG_CONTROLLER, "7");
	expect_upgrade("/a/deep/8/ws", CONFIG_CONTROLLER, "8");
	expect_upgrade("/base/_next/hmr", CONFIG_NEXTJS, "");
	expect_upgrade("/_next/hmr", 0, NULL);
	expect_upgrade(WEBSOCK, 0, NULL);
	/* where both say so, it is the controller's */
	cfg.nextjs_upgrade_path = LIST("/**");
	expect_upgrade("/vnc/7", CONFIG_CONTROLLER, "7");
	expect_upgrade("/a/deep/8/wss", CONFIG_NEXTJS, "");
	cfg.novnc_path = cfg.nextjs_upgrade_path = (const char *const[]){ NULL };
	expect_upgrade("/vnc/7", 0, NULL);
	/* paths for plain requests are none for upgrades */
	cfg.controller_path = LIST("/**");
	expect_upgrade("/vnc/7", 0, NULL);
}
END_TEST

/* ---- step 3: Host, Connection, target */

static const struct {
	const char *host;
	bool good;
} hosts[] = {
	{ "a", true },
	{ "A.example", true },
	{ "a.", true },
	{ "a:0001", true },
	{ "a:1", true },
	{ "a:65535", true },
	{ "a:", true },
	{ "127.0.0.1:3000", true },
	{ "[::1]", true },
	{ "[::1]:3000", true },
	{ "[2001:db8::ffff:192.0.2.1]", true },
	{ "a_b-c~d", true },
	{ "!$&'()*+,;=", true },
	{ "%41%ff", true },
	{ "", false },
	{ ":", false },
	{ ":80", false },
	{ "a:65536", false },
	{ "a:0", false },
	{ "a:00000", false },
	{ "a:000001", false },
	{ "a:99999", false },
	{ "a:1x", false },
	{ "a:-1", false },
	{ "a:+1", false },
	{ "a: 1", false },
	{ "a:1:2", false },
	{ "a b", false },
	{ "a, b", false },
	{ "a\tb", false },
	{ "a/b", false },
	{ "a?b", false },
	{ "a#b", false },
	{ "a@b", false },
	{ "a\\b", false },
	{ "\"a\"", false },
	{ "a<b>", false },
	{ "a|b", false },
	{ "a^b", false },
	{ "a`b", false },
	{ "a{b}", false },
	{ "http://a", false },
	{ "%", false },
	{ "%4", false },
	{ "%4g", false },
	{ "%g4", false },
	{ "a%", false },
	{ "\xc3\xa4", false },
	{ "\x80", false },
	{ "::1", false },
	{ "[::1", false },
	{ "[", false },
	{ "[]", false },
	{ "]", false },
	{ "[::1]x", false },
	{ "[::1]3000", false },
	{ "[::1]]", false },
	{ "x[::1]", false },
	{ "[::g]", false },
	{ "[1.2.3.4]", false },
	{ "[v1.a]", false },
	{ "[::1%25eth0]", false },
	{ "[0000:0000:0000:0000:0000:0000:255.255.255.255]", true },
	{ "[0000:0000:0000:0000:0000:0000:0255.255.255.255]", false },
	{ "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", false },
};

START_TEST(a_host_is_a_name_or_an_address_and_a_port)
{
	char text[200];

	for (size_t i = 0; i < LENGTH(hosts); i++)
		for (int minor = 0; minor <= 1; minor++) {
			(void)snprintf(text, sizeof(text),
				       "GET / HTTP/1.%d\r\nHost: %s\r\n\r\n", minor,
				       hosts[i].host);
			if (hosts[i].good) {
				struct verdict v;
				struct slice raw = decide(text, &v);

				ck_assert_msg(v.kind == ROUTE_PLAIN, "%s: %s", v.why,
					      text);
				ck_assert_slice_eq(v.host, hosts[i].host);
				slice_free(raw);
			} else {
				expect_refusal(text, ROUTE_REFUSED, 400,
					       "malformed Host");
			}
		}
}
END_TEST

/* Judges a head whose Host and Origin are blocks of their own, cut to these lengths. */
static enum route_kind judge_cut(const char *host, size_t host_len, const char *origin,
				 size_t origin_len)
{
	struct slice raw =
		request_read(GET(WEBSOCK, "Host: x\r\nOrigin: x\r\n" UPGRADE), &head);
	char *host_block = exact(host, host_len),
	     *origin_block = exact(origin, origin_len);
	struct verdict v;

	head.field[0].value = (struct slice){ host_block, host_len };
	head.field[1].value = (struct slice){ origin_block, origin_len };
	route_decide(&cfg, &head, &who, &v);
	free(host_block);
	free(origin_block);
	slice_free(raw);
	return v.kind;
}

START_TEST(a_host_may_be_cut_anywhere)
{
	for (size_t i = 0; i < LENGTH(hosts); i++)
		for (size_t n = 0; n <= strlen(hosts[i].host); n++)
			(void)judge_cut(hosts[i].host, n, "http://a", 8); /* for ASan */
	ck_assert_int_eq(judge_cut("[::1]:3000", 10, "http://[::1]:3000", 17),
			 ROUTE_UPGRADE);
	for (size_t n = 1; n < 5; n++)
		ck_assert_int_eq(judge_cut("[::1]:3000", n, "http://[::1]:3000", 17),
				 ROUTE_REFUSED);
	for (size_t n = 5; n < 10; n++) /* a host, but another one */
		ck_assert_int_eq(judge_cut("[::1]:3000", n, "http://[::1]:3000", 17),
				 ROUTE_REFUSED_ORIGIN);
}
END_TEST

START_TEST(what_is_ambiguous_is_refused)
{
	static const struct {
		const char *text, *why;
	} table[] = {
		{ GET("/", ""), "Host is missing" },
		{ GET("/", "Hos: h\r\n"), "Host is missing" },
		{ GET("http://h/", ""), "Host is missing" },
		{ GET("/", "Host: h\r\nHost: h\r\n"), "more than one Host" },
		{ GET("/", "Host: h\r\nA: b\r\nhost: i\r\n"), "more than one Host" },
		{ GET("/", "Host:\r\n"), "malformed Host" },
		{ GET("*", "Host: h\r\n"), "malformed request target" },
		{ GET("http://", "Host: h\r\n"), "malformed request target" },
		{ GET("http:///a", "Host: h\r\n"), "malformed request target" },
		{ GET("http://?a", "Host: h\r\n"), "malformed request target" },
		{ GET("http://h:0/", "Host: h\r\n"), "malformed request target" },
		{ GET("http://u@h/", "Host: h\r\n"), "malformed request target" },
		{ GET("http://h@h/", "Host: h\r\n"), "malformed request target" },
		{ GET("ftp://h/", "Host: h\r\n"), "malformed request target" },
		{ GET("ws://h/", "Host: h\r\n"), "malformed request target" },
		{ GET("http://i/", "Host: h\r\n"),
		  "authority of the request target differs from Host" },
		{ GET("http://h:80/", "Host: h\r\n"),
		  "authority of the request target differs from Host" },
		{ GET("http://hh/", "Host: h\r\n"),
		  "authority of the request target differs from Host" },
		{ GET("http://h/", "Host: hh\r\n"),
		  "authority of the request target differs from Host" },
		{ GET("http://h" WEBSOCK, "Host: h\r\n" UPGRADE),
		  "WebSocket upgrade with an absolute-form target" },
		{ GET("http://h/_next/hmr", "Host: h\r\n" UPGRADE),
		  "WebSocket upgrade with an absolute-form target" },
		{ GET("http://h/", "Host: h\r\n" UPGRADE_ONLY),
		  "WebSocket upgrade with an absolute-form target" },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		expect_refusal(table[i].text, ROUTE_REFUSED, 400, table[i].why);
}
END_TEST

START_TEST(a_refusal_has_a_path_only_where_it_came_as_one)
{
	static const struct {
		const char *text, *path;
	} table[] = {
		{ GET("/a?b", ""), "/a" },
		{ GET("/a?b", "Host: h\r\nConnection: Cookie\r\n"), "/a" },
		{ GET("/x?y", "Host: h\r\n" UPGRADE), "/x" },
		{ GET("http://u:secret@h/a", "Host: h\r\n"), "" },
		{ GET("http://u:secret@h/a", ""), "" },
		{ GET("http://u:secret@h/a", "Host: h\r\nConnection: Cookie\r\n"), "" },
		{ GET("http://u:secret@h" WEBSOCK, "Host: h\r\n" UPGRADE), "" },
		{ GET("http://u:sec?ret@h/a", "Host: h\r\n"), "" },
		{ GET("http://h/a?secret", "Host: i\r\n"), "" },
		{ GET("http://?secret", "Host: h\r\n"), "" },
		{ GET("*", "Host: h\r\n"), "" },
		{ GET("ftp://u:secret@h/a", "Host: h\r\n"), "" },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct verdict v;
		struct slice raw = decide(table[i].text, &v);

		ck_assert(v.kind == ROUTE_REFUSED || v.kind == ROUTE_REFUSED_PATH);
		ck_assert_slice_eq(v.path, table[i].path);
		slice_free(raw);
	}
}
END_TEST

START_TEST(plain_http_is_sent_to_https_where_it_can_be_said_where)
{
	static const struct {
		const char *text;
		unsigned status;
	} table[] = {
		{ GET("/a?b", "Host: h\r\n"), 308 },
		{ "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", 308 },
		{ GET("http://h", "Host: h\r\n"), 308 },
		{ GET("/x", "Host: h\r\n" UPGRADE), 308 },
		{ "POST / HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "GET / HTTP/1.0\r\n\r\n", 400 },
		{ GET("/", ""), 400 },
		{ GET("*", "Host: h\r\n"), 400 },
		{ GET("http://u@h/", "Host: h\r\n"), 400 },
		{ GET("http://i/", "Host: h\r\n"), 400 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct verdict v;
		struct slice raw = decide(table[i].text, &v);

		route_to_https(&head, &v);
		ck_assert_int_eq(v.kind, ROUTE_REFUSED);
		ck_assert_msg(v.status == table[i].status, "%u: %s", v.status,
			      table[i].text);
		slice_free(raw);
	}
}
END_TEST

START_TEST(connection_options_cannot_take_what_backends_decide_by)
{
	static const char *const bad[] = {
		"Host",
		"Content-Length",
		"Transfer-Encoding",
		"Origin",
		"Cookie",
		"Authorization",
		"Forwarded",
		"Sec-WebSocket-Key",
		"Sec-WebSocket-Protocol",
		"Sec-WebSocket-",
		"X-Forwarded-For",
		"X-Forwarded-Anything",
		"cookie",
		"close, COOKIE",
		"cookie ,close",
		"close,,\tcookie\t,x",
	};
	static const char *const good[] = {
		"close",
		"keep-alive, X-Mine",
		"Cookies",
		"X-Cookie",
		"Origins",
		"X-Forwarded",
		"X-Real-IP",
		"Sec-WebSocket",
		"Sec-Fetch-Mode",
		"Hos",
		"TE",
		"Cookie x",
		"\"Cookie\"",
	};
	char text[200];

	for (size_t i = 0; i < LENGTH(bad); i++) {
		(void)snprintf(text, sizeof(text),
			       GET("/", "Host: h\r\nConnection: %s\r\n"), bad[i]);
		expect_refusal(text, ROUTE_REFUSED, 400,
			       "Connection names a protected header field");
		(void)snprintf(text, sizeof(text),
			       GET("/", "Host: h\r\nConnection: a\r\nConnection: %s\r\n"),
			       bad[i]);
		expect_refusal(text, ROUTE_REFUSED, 400,
			       "Connection names a protected header field");
	}
	for (size_t i = 0; i < LENGTH(good); i++) {
		struct verdict v;
		struct slice raw;

		(void)snprintf(text, sizeof(text),
			       GET("/", "Host: h\r\nConnection: %s\r\n"), good[i]);
		raw = decide(text, &v);
		ck_assert_msg(v.kind == ROUTE_PLAIN, "%s: %s", v.why, text);
		slice_free(raw);
	}
}
END_TEST

/* ---- step 4: origins */

static const char *const nothing[] = { NULL };

static void expect_origin(const char *host, const char *origin, bool good)
{
	enum route_kind kind = judge_cut(host, strlen(host), origin, strlen(origin));

	ck_assert_msg(kind == (good ? ROUTE_UPGRADE : ROUTE_REFUSED_ORIGIN),
		      "kind %d: Host %s, Origin %s", kind, host, origin);
}

START_TEST(an_origin_is_the_requests_own_host_or_the_controllers)
{
	static const struct {
		const char *host, *origin;
		bool good;
	} table[] = {
		{ "h:3000", "http://h:3000", true },
		{ "h:3000", "https://h:3000", true },
		{ "h:3000", "HTTP://H:3000", true },
		{ "H:3000", "http://h:3000", true },
		{ "h:3000", "http://h:3001", false },
		{ "h:3000", "http://h", false },
		{ "h:3000", "http://i:3000", false },
		{ "h:3000", "http://h:03000", false },
		{ "h:3000", "http://hh:3000", false },
		{ "hh:3000", "http://h:3000", false },
		{ "h.example:3000", "http://evil.h.example:3000", false },
		{ "h.example:3000", "http://h.example.evil:3000", false },
		{ "h.example:3000", "http://h.example.:3000", false },
		{ "[::1]:3000", "http://[::1]:3000", true },
		{ "[::1]:3000", "http://[::2]:3000", false },
		/* without a port it is the default of the origin's scheme */
		{ "h", "http://h", true },
		{ "h", "https://h", true },
		{ "h", "http://h:80", true },
		{ "h", "https://h:443", true },
		{ "h:", "http://h", true },
		{ "h:80", "http://h", true },
		{ "h:443", "https://h", true },
		{ "h", "http://h:443", false },
		{ "h", "https://h:80", false },
		{ "h:443", "http://h", false },
		{ "h:80", "https://h", false },
		{ "h:0080", "http://h:80", true },
		/* the controller's own */
		{ "h", "http://127.0.0.1:4000", true },
		{ "h", "https://127.0.0.1:4000", true },
		{ "h", "http://127.0.0.1:4001", false },
		{ "h", "http://127.0.0.1", false },
		{ "h", "http://127.0.0.1:3001", false },
		/* what is none */
		{ "h", "", false },
		{ "h", "null", false },
		{ "null", "null", false },
		{ "h", "h", false },
		{ "h", "//h", false },
		{ "h", "http:h", false },
		{ "h", "http:/h", false },
		{ "h", "http://", false },
		{ "h", "http://h/", false },
		{ "h", "http://h/a", false },
		{ "h", "http://h?a", false },
		{ "h", "http://u@h", false },
		{ "h", "http://h, http://h", false },
		{ "h", "http://h http://h", false },
		{ "h", "http://h:x", false },
		{ "h", "http://h:80x", false },
		{ "h:3000", "http://h:3000x", false },
		{ "h", "http://h:0", false },
		{ "h", "http://h:65536", false },
		{ "h", "ws://h", false },
		{ "h", "file://h", false },
		{ "h", "chrome-extension://h", false },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		expect_origin(table[i].host, table[i].origin, table[i].good);
}
END_TEST

/* An http:// page of the same host may be that of whoever sits in between. */
START_TEST(over_tls_the_requests_own_origin_is_https)
{
	who.tls = true;
	expect_origin("h:3443", "https://h:3443", true);
	expect_origin("h:3443", "HTTPS://H:3443", true);
	expect_origin("h:3443", "http://h:3443", false);
	expect_origin("h:3443", "HTTP://h:3443", false);
	expect_origin("h", "https://h", true);
	expect_origin("h:443", "https://h", true);
	expect_origin("h", "https://h:443", true);
	expect_origin("h", "http://h", false);
	expect_origin("h", "http://h:443", false);
	expect_origin("h:80", "http://h", false);
	/* the controller's and those that are listed are what they were */
	expect_origin("h", "http://127.0.0.1:4000", true);
	cfg.allowed_origins = LIST("http://h");
	expect_origin("h", "http://h", true);
	cfg.allowed_origins = LIST("*");
	expect_origin("i", "http://i", true);
}
END_TEST

/* http:// may have a terminator of TLS before it, https:// is that alone. */
START_TEST(the_controllers_origin_is_that_of_its_url)
{
	static const struct {
		const char *url, *origin;
		bool good;
	} table[] = {
		{ "http://ctl:4000", "http://ctl:4000", true },
		{ "http://ctl:4000", "https://ctl:4000", true },
		{ "http://ctl:4000", "HTTP://CTL:4000", true },
		{ "http://ctl:4000", "http://ctl", false },
		{ "http://ctl:4000", "http://ctl:4001", false },
		{ "http://ctl:4000", "http://ctl.evil:4000", false },
		{ "http://ctl", "http://ctl", true },
		{ "http://ctl", "http://ctl:80", true },
		{ "http://ctl", "https://ctl", false },
		{ "http://ctl", "http://ctl:443", false },
		{ "https://ctl", "https://ctl", true },
		{ "https://ctl", "HTTPS://Ctl:443", true },
		{ "https://ctl", "http://ctl", false },
		{ "https://ctl", "http://ctl:443", false },
		{ "https://ctl", "https://ctl:80", false },
		{ "https://ctl:4443", "https://ctl:4443", true },
		{ "https://ctl:4443", "http://ctl:4443", false },
		{ "https://ctl:4443", "https://ctl", false },
		{ "https://ctl:80", "http://ctl", false },
		{ "https://[2001:DB8::1]", "https://[2001:db8::1]", true },
		{ "https://[2001:db8::1]", "http://[2001:db8::1]", false },
		{ "http://[::1]:4000", "http://[::1]:4000", true },
		{ "http://[::1]:4000", "http://[::2]:4000", false },
		/* it has none, whatever its Host says */
		{ "unix:/run/ctl", "http://localhost", false },
		{ "unix:/run/ctl", "https://localhost", false },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		char text[100];

		(void)snprintf(text, sizeof(text), "[MasterController]\nUrl=%s\n",
			       table[i].url);
		config_good(text, &cfg);
		expect_origin("h", table[i].origin, table[i].good);
		config_done(&cfg);
		defaults();
	}
}
END_TEST

START_TEST(other_origins_can_be_allowed)
{
	static const struct {
		const char *origin;
		bool good;
	} table[] = {
		{ "https://dash.example:8443", true },
		{ "HTTPS://Dash.Example:8443", true },
		{ "http://dash.example:8443", false },
		{ "https://dash.example", false },
		{ "https://plain.example", true },
		{ "https://plain.example:443", true },
		{ "HTTPS://PLAIN.EXAMPLE:443", true },
		{ "http://plain.example", false },
		{ "http://plain.example:443", false },
		{ "http://eighty.example", true },
		{ "chrome-extension://abc", true },
		{ "chrome-extension://abcd", false },
		{ "chrome-extension://ab", false },
		{ "null", false },
		{ "", false },
		{ "https://plain.example, https://plain.example", false },
		{ "http://h", true },
	};

	cfg.allowed_origins = LIST("https://dash.example:8443", "https://plain.example",
				   "http://eighty.example:80", "chrome-extension://abc");
	for (size_t i = 0; i < LENGTH(table); i++)
		expect_origin("h", table[i].origin, table[i].good);
	/* any at all, but still one */
	cfg.allowed_origins = LIST("http://x", "*");
	expect_origin("h", "http://evil.example", true);
	expect_refusal(GET(WEBSOCK,
			   "Host: h\r\nOrigin: http://h\r\nOrigin: http://h\r\n" UPGRADE),
		       ROUTE_REFUSED_ORIGIN, 403,
		       "a WebSocket from this Origin is not allowed");
	cfg.allowed_origins = nothing;
	expect_origin("h", "http://evil.example", false);
}
END_TEST

START_TEST(without_an_origin_it_is_no_browser)
{
	struct verdict v;
	struct slice raw = decide(GET(WEBSOCK, "Host: h\r\n" UPGRADE), &v);

	ck_assert_int_eq(v.kind, ROUTE_UPGRADE);
	slice_free(raw);
}
END_TEST

/* The own_origin of a request with these fields. */
static bool gets_own_origin(const char *target, const char *fields)
{
	char text[400];
	struct verdict v;
	struct slice raw;

	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h:3000\r\n%s\r\n",
		       target, fields);
	raw = decide(text, &v);
	ck_assert_msg(v.kind == ROUTE_PLAIN || v.kind == ROUTE_UPGRADE, "%s", text);
	slice_free(raw);
	return v.own_origin;
}

START_TEST(an_origin_that_the_gate_vouches_for_becomes_the_controllers_own)
{
	static const struct {
		const char *fields;
		bool own;
	} plain_table[] = {
		{ "Origin: http://h:3000\r\n", true },
		{ "Origin: https://h:3000\r\n",
		  true }, /* a terminator of TLS before us */
		{ "Origin: HTTP://H:3000\r\n", true },
		{ "Origin: http://127.0.0.1:4000\r\n", true },
		{ "", false },
		{ "Origin: http://h\r\n", false },
		{ "Origin: http://h:3001\r\n", false },
		{ "Origin: http://evil.example\r\n", false },
		{ "Origin: https://listed.example\r\n", false },
		{ "Origin: null\r\n", false },
		{ "Origin:\r\n", false },
		{ "Origin: http://h:3000\r\nOrigin: http://h:3000\r\n", false },
		{ "Origin: http://h:3000 http://h:3000\r\n", false },
	};

	cfg.controller_path = LIST(SESSION "*/novnc/**");
	cfg.allowed_origins = LIST("https://listed.example");
	ck_assert(!gets_own_origin(WEBSOCK, "Origin: http://h:3000\r\n" UPGRADE));
	cfg.rewrite_origin = true;
	for (size_t i = 0; i < LENGTH(plain_table); i++) {
		ck_assert_msg(
			gets_own_origin(SESSION "1/novnc/", plain_table[i].fields) ==
				plain_table[i].own,
			"%s", plain_table[i].fields);
		ck_assert(!gets_own_origin("/", plain_table[i].fields)); /* Next.js */
	}
	ck_assert(gets_own_origin(WEBSOCK, "Origin: http://h:3000\r\n" UPGRADE));
	ck_assert(gets_own_origin(WEBSOCK, "Origin: https://listed.example\r\n" UPGRADE));
	ck_assert(!gets_own_origin("/_next/hmr", "Origin: http://h:3000\r\n" UPGRADE));
	expect_refusal(GET(WEBSOCK, "Host: h\r\nOrigin: http://evil.example\r\n" UPGRADE),
		       ROUTE_REFUSED_ORIGIN, 403,
		       "a WebSocket from this Origin is not allowed");
	/* over TLS an http:// page of the same host may be somebody else's */
	who.tls = true;
	ck_assert(!gets_own_origin(SESSION "1/novnc/", "Origin: http://h:3000\r\n"));
	ck_assert(gets_own_origin(SESSION "1/novnc/", "Origin: https://h:3000\r\n"));
}
END_TEST

START_TEST(a_port_is_that_of_the_host)
{
	static const struct {
		const char *text;
		unsigned port;
	} table[] = {
		{ GET("/", "Host: h\r\n"), 0 },
		{ GET("/", "Host: h:\r\n"), 0 },
		{ GET("/", "Host: h:80\r\n"), 80 },
		{ GET("/", "Host: h:0443\r\n"), 443 },
		{ GET("/", "Host: [::1]\r\n"), 0 },
		{ GET("/", "Host: [::1]:65535\r\n"), 65535 },
		{ GET(WEBSOCK, "Host: h:3000\r\n" UPGRADE), 3000 },
		{ GET("http://h:3000/", "Host: h:3000\r\n"), 3000 },
		{ "GET http://h:3000/ HTTP/1.0\r\n\r\n", 3000 },
		{ "GET / HTTP/1.0\r\n\r\n", 0 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct verdict v;
		struct slice raw = decide(table[i].text, &v);

		ck_assert_msg(v.port == table[i].port, "%u: %s", v.port, table[i].text);
		slice_free(raw);
	}
}
END_TEST

START_TEST(an_origin_may_be_cut_anywhere)
{
	static const char *const origins[] = { "http://host.example:3000",
					       "https://[::1]:3000" };
	static const char *const hosts_of[] = { "host.example:3000", "[::1]:3000" };

	for (size_t i = 0; i < LENGTH(origins); i++)
		for (size_t n = 0; n <= strlen(origins[i]); n++)
			ck_assert_int_eq(judge_cut(hosts_of[i], strlen(hosts_of[i]),
						   origins[i], n),
					 n == strlen(origins[i]) ? ROUTE_UPGRADE
								 : ROUTE_REFUSED_ORIGIN);
}
END_TEST

/* ---- the order of judgement */

#define EVIL       "Origin: http://evil.example\r\n"
#define BAD_OPTION "Connection: Cookie\r\n"

START_TEST(the_earlier_step_answers)
{
	static const char no_path[] = "no WebSocket is served on this path";
	static const char no_origin[] = "a WebSocket from this Origin is not allowed";
	static const struct {
		const char *text;
		enum route_kind kind;
		unsigned status;
		const char *why;
	} table[] = {
		/* within step 3 */
		{ GET("http://i/", BAD_OPTION), ROUTE_REFUSED, 400, "Host is missing" },
		{ GET("http://i/", "Host: /\r\n" BAD_OPTION), ROUTE_REFUSED, 400,
		  "malformed Host" },
		{ GET("/", "Host: /\r\nHost: /\r\n" BAD_OPTION), ROUTE_REFUSED, 400,
		  "more than one Host" },
		{ GET("http://i/", "Host: h\r\n" BAD_OPTION), ROUTE_REFUSED, 400,
		  "Connection names a protected header field" },
		/* 3 before 4 */
		{ GET("/x", EVIL UPGRADE_ONLY), ROUTE_REFUSED, 400, "Host is missing" },
		{ GET("/x", "Host: h\r\n" EVIL BAD_OPTION UPGRADE_ONLY), ROUTE_REFUSED,
		  400, "Connection names a protected header field" },
		{ GET("http://h/x", "Host: h\r\n" EVIL UPGRADE_ONLY), ROUTE_REFUSED, 400,
		  "WebSocket upgrade with an absolute-form target" },
		{ GET("http://i/x", "Host: h\r\n" EVIL UPGRADE_ONLY), ROUTE_REFUSED, 400,
		  "authority of the request target differs from Host" },
		{ "GET http://h/x HTTP/1.0\r\n" UPGRADE_ONLY "\r\n", ROUTE_REFUSED, 400,
		  "WebSocket upgrade with an absolute-form target" },
		/* within step 4 */
		{ GET("/x", "Host: h\r\n" EVIL UPGRADE_ONLY), ROUTE_REFUSED_PATH, 403,
		  no_path },
		{ "POST /x HTTP/1.0\r\nContent-Length: 1\r\n" UPGRADE_ONLY "\r\n",
		  ROUTE_REFUSED_PATH, 403, no_path },
		{ "OPTIONS * HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n", ROUTE_REFUSED_PATH,
		  403, no_path },
		{ "POST " WEBSOCK " HTTP/1.0\r\nContent-Length: 1\r\n" EVIL UPGRADE_ONLY
		  "\r\n",
		  ROUTE_REFUSED_ORIGIN, 403, no_origin },
		{ GET("/_next/hmr", "Host: h\r\n" EVIL UPGRADE_ONLY),
		  ROUTE_REFUSED_ORIGIN, 403, no_origin },
		{ "GET " WEBSOCK " HTTP/1.0\r\nOrigin: http://h\r\n" UPGRADE "\r\n",
		  ROUTE_REFUSED_ORIGIN, 403, no_origin },
		{ "GET " WEBSOCK " HTTP/1.0\r\n" UPGRADE "\r\n", ROUTE_REFUSED, 400,
		  "a WebSocket upgrade needs HTTP/1.1" },
		{ "POST " WEBSOCK " HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n",
		  ROUTE_REFUSED, 400, "a WebSocket upgrade needs the method GET" },
		{ GET(WEBSOCK, "Host: h\r\nContent-Length: 1\r\n" UPGRADE), ROUTE_REFUSED,
		  400, "a WebSocket upgrade must not have a body" },
		{ GET(WEBSOCK, "Host: h\r\n" UPGRADE_ONLY VERSION), ROUTE_REFUSED, 400,
		  "a WebSocket upgrade needs one valid Sec-WebSocket-Key" },
		{ GET("/_next/hmr", "Host: h\r\n" UPGRADE_ONLY KEY), ROUTE_REFUSED, 426,
		  "the only supported WebSocket version is 13" },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		expect_refusal(table[i].text, table[i].kind, table[i].status,
			       table[i].why);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("route");
	TCase *goes = tcase_create("where it goes");
	TCase *step3 = tcase_create("step 3"), *step4 = tcase_create("step 4");

	suite_add_tcase(suite, goes);
	tcase_add_checked_fixture(goes, defaults, NULL);
	tcase_add_test(goes, plain_requests_go_to_nextjs);
	tcase_add_test(goes, plain_requests_go_to_the_controller_where_a_path_says_so);
	tcase_add_test(goes, upgrades_go_where_their_path_says);
	tcase_add_test(goes,
		       slashes_at_the_start_of_an_upgrades_path_count_and_go_out_as_one);
	tcase_add_test(goes, upgrade_paths_are_configurable);

	suite_add_tcase(suite, step3);
	tcase_add_checked_fixture(step3, defaults, NULL);
	tcase_add_test(step3, a_host_is_a_name_or_an_address_and_a_port);
	tcase_add_test(step3, a_host_may_be_cut_anywhere);
	tcase_add_test(step3, what_is_ambiguous_is_refused);
	tcase_add_test(step3, a_refusal_has_a_path_only_where_it_came_as_one);
	tcase_add_test(step3, plain_http_is_sent_to_https_where_it_can_be_said_where);
	tcase_add_test(step3, connection_options_cannot_take_what_backends_decide_by);

	suite_add_tcase(suite, step4);
	tcase_add_checked_fixture(step4, defaults, NULL);
	tcase_add_test(step4, an_origin_is_the_requests_own_host_or_the_controllers);
	tcase_add_test(step4, over_tls_the_requests_own_origin_is_https);
	tcase_add_test(step4, the_controllers_origin_is_that_of_its_url);
	tcase_add_test(step4, other_origins_can_be_allowed);
	tcase_add_test(step4, without_an_origin_it_is_no_browser);
	tcase_add_test(step4,
		       an_origin_that_the_gate_vouches_for_becomes_the_controllers_own);
	tcase_add_test(step4, a_port_is_that_of_the_host);
	tcase_add_test(step4, an_origin_may_be_cut_anywhere);
	tcase_add_test(step4, the_earlier_step_answers);
	return suite_run(suite);
}
