/* SPDX-License-Identifier: MIT */
/* config_url.c: backends' URLs, paths, origins and networks. */
#include "configuring.h"

#include <arpa/inet.h>
#include <sys/un.h>

/* 253 bytes of host name, in labels of 63 at most. */
#define LABEL_63 "a23456789b123456789c123456789d123456789e123456789f123456789g123"
#define HOST_253                               \
	LABEL_63 "." LABEL_63 "." LABEL_63 "." \
		 "a23456789b123456789c123456789d123456789e123456789f123456789g1"

START_TEST(urls_are_taken_apart)
{
	static const struct {
		const char *url, *authority, *host, *address; /* NULL: to be resolved */
		uint16_t port;
	} table[] = {
		{ "http://127.0.0.1:3001", "127.0.0.1:3001", "127.0.0.1", "127.0.0.1",
		  3001 },
		{ "http://localhost:4000", "localhost:4000", "localhost", NULL, 4000 },
		{ "http://localhost:4000/", "localhost:4000", "localhost", NULL, 4000 },
		{ "http://controller.example", "controller.example", "controller.example",
		  NULL, 80 },
		{ "http://controller.example:80", "controller.example",
		  "controller.example", NULL, 80 },
		{ "http://Controller:65535", "Controller:65535", "Controller", NULL,
		  65535 },
		{ "HTTP://c:1", "c:1", "c", NULL, 1 },
		{ "http://my_app-1:1", "my_app-1:1", "my_app-1", NULL, 1 },
		{ "http://4f2a91:1", "4f2a91:1", "4f2a91", NULL, 1 },
		{ "http://c.:1", "c.:1", "c.", NULL, 1 },
		{ "http://xn--bcher-kva.example:1", "xn--bcher-kva.example:1",
		  "xn--bcher-kva.example", NULL, 1 },
		{ "http://" HOST_253 ":65535", HOST_253 ":65535", HOST_253, NULL, 65535 },
		{ "http://" HOST_253 ".:65535", HOST_253 ".:65535", HOST_253 ".", NULL,
		  65535 },
		{ "http://[::1]:4000", "[::1]:4000", "::1", "::1", 4000 },
		{ "http://[::1]", "[::1]", "::1", "::1", 80 },
		{ "http://[2001:DB8:0:0::1]:80/", "[2001:db8::1]", "2001:db8::1",
		  "2001:db8::1", 80 },
	};
	struct config c;
	char text[500], address[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < LENGTH(table); i++) {
		const struct backend *be = &c.backend[CONFIG_CONTROLLER];
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&be->addr;
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&be->addr;
		bool is_v6 = strchr(table[i].host, ':') != NULL;

		(void)snprintf(text, sizeof(text), "[MasterController]\nUrl=%s\n",
			       table[i].url);
		parse_good(&c, text);
		ck_assert_str_eq(be->name, "master-controller");
		ck_assert_str_eq(be->url, table[i].url);
		ck_assert_str_eq(be->authority, table[i].authority);
		ck_assert_str_eq(be->host, table[i].host);
		ck_assert_uint_eq(be->port, table[i].port);
		ck_assert_int_eq(be->literal, table[i].address != NULL);
		if (be->literal) {
			ck_assert_int_eq(be->addr.ss_family, is_v6 ? AF_INET6 : AF_INET);
			ck_assert_uint_eq(be->addr_len,
					  is_v6 ? sizeof(*v6) : sizeof(*v4));
			ck_assert_uint_eq(ntohs(is_v6 ? v6->sin6_port : v4->sin_port),
					  be->port);
			inet_ntop(be->addr.ss_family,
				  is_v6 ? (const void *)&v6->sin6_addr : &v4->sin_addr,
				  address, sizeof(address));
			ck_assert_str_eq(address, table[i].address);
		}
		config_done(&c);
	}
}
END_TEST

START_TEST(https_is_port_443)
{
	static const struct {
		const char *url, *authority;
		uint16_t port;
	} table[] = {
		{ "https://c", "c", 443 },
		{ "HTTPS://c/", "c", 443 },
		{ "https://c:443", "c", 443 },
		{ "https://c:80", "c:80", 80 },
		{ "https://[::1]:4000", "[::1]:4000", 4000 },
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		const struct backend *be = &c.backend[CONFIG_CONTROLLER];

		(void)snprintf(text, sizeof(text),
			       "[MasterController]\nVerifyTls=off\nRewriteOrigin=on\n"
			       "Url=%s\nCaFile=/ca\n",
			       table[i].url);
		parse_good(&c, text);
		ck_assert(be->tls);
		ck_assert(!c.backend[CONFIG_NEXTJS].tls);
		ck_assert_str_eq(be->authority, table[i].authority);
		ck_assert_uint_eq(be->port, table[i].port);
		/* an Url= leaves the keys beside it alone, in any order */
		ck_assert(!be->trust.verify);
		ck_assert(c.rewrite_origin);
		ck_assert_str_eq(be->trust.ca_file, "/ca");
		config_done(&c);
	}
}
END_TEST

START_TEST(unix_sockets_are_taken_whole)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)], text[500];
	const struct sockaddr_un *sun;
	const struct backend *be;
	struct config c;

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0'; /* the longest that fits */
	(void)snprintf(text, sizeof(text), "[NextJs]\nUrl=unix:%s\n", path);
	parse_good(&c, text);
	be = &c.backend[CONFIG_NEXTJS];
	sun = (const struct sockaddr_un *)&be->addr;
	ck_assert_str_eq(be->authority, "localhost");
	ck_assert_str_eq(be->host, "");
	ck_assert_uint_eq(be->port, 0);
	ck_assert(be->literal);
	ck_assert_int_eq(sun->sun_family, AF_UNIX);
	ck_assert_str_eq(sun->sun_path, path);
	ck_assert_uint_eq(be->addr_len, sizeof(*sun));
	config_done(&c);

	(void)snprintf(text, sizeof(text), "[NextJs]\nUrl=unix:%sx\n", path);
	expect_reports(text, "longer than 107 bytes", NULL);
	parse_good(&c, "[NextJs]\nUrl=unix:/run/a%20b/\\s.sock\n");
	sun = (const struct sockaddr_un *)&c.backend[CONFIG_NEXTJS].addr;
	ck_assert_str_eq(sun->sun_path, "/run/a%20b/\\s.sock");
	config_done(&c);
}
END_TEST

START_TEST(other_urls_are_refused)
{
	static const struct {
		const char *url, *why;
	} table[] = {
		{ "https://", "has no host" },
		{ "https://c/x", "has a path or a query" },
		{ "https:/c", "is not a supported URL" },
		{ "httpss://c", "is not a supported URL" },
		{ "ws://c:1", "is not a supported URL" },
		{ "c:1", "is not a supported URL" },
		{ "http:/c", "is not a supported URL" },
		{ "\"http://c\"", "is not a supported URL" },
		{ "http://", "has no host" },
		{ "http:///", "has no host" },
		{ "http://:80", "has no host" },
		{ "http://c:", "invalid port" },
		{ "http://c:0", "invalid port" },
		{ "http://c:080", "invalid port" },
		{ "http://c:65536", "invalid port" },
		{ "http://c:99999", "invalid port" },
		{ "http://c:100000", "invalid port" },
		{ "http://c:+1", "invalid port" },
		{ "http://c:1x", "invalid port" },
		{ "http://::1:80", "in brackets" },
		{ "http://c/x", "has a path or a query" },
		{ "http://c//", "has a path or a query" },
		{ "http://c:1/api/", "has a path or a query" },
		{ "http://c?x", "has a path or a query" },
		{ "http://c/?x", "has a path or a query" },
		{ "http://c#x", "has a path or a query" },
		{ "http://u@c", "has a user name" },
		{ "http://u:p@c:1", "has a user name" },
		{ "http://c:1 http://d:2", "white space" },
		{ "unix:/run/x # comment", "white space" },
		{ "http://-c", "invalid host name" },
		{ "http://c-", "invalid host name" },
		{ "http://a..b", "invalid host name" },
		{ "http://.a", "invalid host name" },
		{ "http://a..", "invalid host name" },
		{ "http://.", "invalid host name" },
		{ "http://b\303\274cher.example", "invalid host name" },
		{ "http://a%20b", "invalid host name" },
		{ "http://a\\b", "invalid host name" },
		{ "http://a*b", "invalid host name" },
		{ "http://" LABEL_63 "4", "invalid host name" },
		{ "http://" HOST_253 "x", "too long" },
		{ "http://" HOST_253 "x.", "too long" },
		{ "http://" HOST_253 HOST_253, "too long" },
		{ "http://1", "invalid IPv4 address" },
		{ "http://127.1", "invalid IPv4 address" },
		{ "http://0x7f000001", "invalid IPv4 address" },
		{ "http://0x7f.1", "invalid IPv4 address" },
		{ "http://0177.0.0.1", "invalid IPv4 address" },
		{ "http://256.0.0.1", "invalid IPv4 address" },
		{ "http://1.2.3.4.5", "invalid IPv4 address" },
		{ "http://127.0.0.1.", "invalid IPv4 address" },
		{ "http://[::1", "[ without a ]" },
		{ "http://[]", "invalid IPv6 address" },
		{ "http://[127.0.0.1]", "invalid IPv6 address" },
		{ "http://[::1%lo]", "invalid IPv6 address" },
		{ "http://[::g]", "invalid IPv6 address" },
		{ "http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
		  "invalid IPv6 address" },
		{ "http://[::1]80", "invalid port" },
		{ "unix:", "no absolute path" },
		{ "unix:run/x", "no absolute path" },
	};
	char text[700];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[NextJs]\nUrl=%s\n", table[i].url);
		expect_reports(
			text, ":2: Url=", table[i].why,
			"; allowed: http://host:port, https://host:port or unix:/path\n",
			NULL);
		ck_assert_uint_eq(reports, 1);
	}
}
END_TEST

/* A report may end up in the journal. */
START_TEST(a_password_is_not_repeated)
{
	expect_reports("[NextJs]\nUrl=http://u:secret@c:1\n",
		       ":2: Url=@c:1 has a user name", NULL);
	expect_reports("[NextJs]\nUrl=u:sec@ret@c:1\n",
		       ":2: Url=@c:1 is not a supported URL", NULL);
	expect_reports("[Routes]\nAllowedOrigins=http://u:secret@a\n",
		       ":2: AllowedOrigins=@a has a user name", NULL);
	expect_reports("[Routes]\nNoVncPath=/a@b/%\n", ":2: NoVncPath=/a@b/% has a %",
		       NULL);
}
END_TEST

START_TEST(paths_that_can_match_are_taken)
{
	static const char *const table[] = {
		"/",
		"/a",
		"/a/",
		"/*",
		"/**",
		"/a/**/b/*",
		"/_next/*hmr*",
		"/base/_next/*hmr*",
		"/.well-known/x",
		"/a.b/...",
		"/~u/-._~!$&'()+,;=:@",
		"/caf%C3%A9/%2a",
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[Routes]\nControllerPath=%s\n",
			       table[i]);
		parse_good(&c, text);
		ck_assert_str_eq(joined(c.controller_path), table[i]);
		config_done(&c);
	}
}
END_TEST

START_TEST(paths_that_never_match_are_refused)
{
	static const struct {
		const char *path, *why;
	} table[] = {
		{ "a", "does not begin with a /" },
		{ "*", "does not begin with a /" },
		{ "**/a", "does not begin with a /" },
		{ "http://c/a", "does not begin with a /" },
		{ "\"/a\"", "does not begin with a /" },
		{ "//", "an empty segment" },
		{ "/a//b", "an empty segment" },
		{ "/a//", "an empty segment" },
		{ "/./a", ". or .. segment" },
		{ "/a/..", ". or .. segment" },
		{ "/a/../b", ". or .. segment" },
		{ "/a?", "would never match" },
		{ "/a?x=1", "would never match" },
		{ "/a#b", "would never match" },
		{ "/[ab]", "would never match" },
		{ "/{a,b}", "would never match" },
		{ "/a\\b", "would never match" },
		{ "/a|b", "would never match" },
		{ "/caf\303\251", "would never match" },
		{ "/%", "two hexadecimal digits" },
		{ "/%4", "two hexadecimal digits" },
		{ "/%4/1", "two hexadecimal digits" },
		{ "/%zz", "two hexadecimal digits" },
		{ "/%2e", "would never match" },
		{ "/a%2Fb", "would never match" },
		{ "/a%5cb", "would never match" },
		{ "/a%00", "would never match" },
		{ "/a%1f", "would never match" },
		{ "/%252e", "would never match" },
		{ "/..;x/*", "would never match: it has a . or .. segment" },
		{ "/a/;v=1", "would never match: it has a segment that begins with a ;" },
		{ "/;", "would never match: it has a segment that begins with a ;" },
		{ "/%c0%ae", "or overlong UTF-8" },
		{ "/a**", "not a whole segment" },
		{ "/**a/b", "not a whole segment" },
		{ "/***", "not a whole segment" },
		{ "/a/***/b", "not a whole segment" },
	};
	static const char *const keys[] = { "NoVncPath", "ControllerPath",
					    "NextJsUpgradePath" };
	char text[200], value[200];

	for (size_t i = 0; i < LENGTH(table) * LENGTH(keys); i++) {
		const char *key = keys[i % LENGTH(keys)];

		(void)snprintf(value, sizeof(value), ":2: %s=%s ", key,
			       table[i / LENGTH(keys)].path);
		(void)snprintf(text, sizeof(text), "[Routes]\n%s=/fine %s\n", key,
			       table[i / LENGTH(keys)].path);
		expect_reports(text, value, table[i / LENGTH(keys)].why,
			       "; allowed: a path such as /", NULL);
		ck_assert_uint_eq(reports, 1);
	}
}
END_TEST

START_TEST(origins_are_what_browsers_send)
{
	static const char *const good[] = {
		"*",
		"http://a",
		"https://dashboard.example",
		"https://Dashboard.example:8443",
		"https://a:443",
		"http://127.0.0.1:3000",
		"http://[::1]:3000",
		"http://[2001:DB8::1]",
		"chrome-extension://abcdefghijklmnop",
	};
	static const struct {
		const char *origin, *why;
	} bad[] = {
		{ "null", "is not an origin" },
		{ "dashboard.example", "is not an origin" },
		{ "//a", "is not an origin" },
		{ "://a", "is not an origin" },
		{ "1http://a", "is not an origin" },
		{ "ht_tp://a", "is not an origin" },
		{ "http:/a", "is not an origin" },
		{ "http://a/", "has a path" },
		{ "http://a/b", "has a path" },
		{ "http://a?b", "has a path" },
		{ "http://a#b", "has a path" },
		{ "https://*.example", "allowed only by itself" },
		{ "https://*", "allowed only by itself" },
		{ "http://", "no host" },
		{ "file://", "no host" },
		{ "http://a:", "invalid port" },
		{ "http://a:0", "invalid port" },
		{ "http://a:65536", "invalid port" },
		{ "http://a,http://b", "has a path" },
		{ "http://::1", "in brackets" },
		{ "http://a,b", "invalid host name" },
		{ "http://127.1", "invalid IPv4 address" },
		{ "http://[::1", "[ without a ]" },
		{ "http://[0:0:0:0:0:0:0:1]", "shortest form" },
		{ "**", "is not an origin" },
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(good); i++) {
		(void)snprintf(text, sizeof(text), "[Routes]\nAllowedOrigins=%s\n",
			       good[i]);
		parse_good(&c, text);
		ck_assert_str_eq(joined(c.allowed_origins), good[i]);
		config_done(&c);
	}
	for (size_t i = 0; i < LENGTH(bad); i++) {
		(void)snprintf(text, sizeof(text), "[Routes]\nAllowedOrigins=%s\n",
			       bad[i].origin);
		expect_reports(text, ":2: AllowedOrigins=", bad[i].origin, bad[i].why,
			       "; allowed: * or scheme://host[:port], such as "
			       "https://dashboard.example\n",
			       NULL);
	}
}
END_TEST

START_TEST(networks_are_parsed_once)
{
	struct in6_addr inside, outside;
	struct config c;

	ck_assert(network_parse_address(SLICE("10.255.0.1"), &inside));
	ck_assert(network_parse_address(SLICE("11.0.0.1"), &outside));
	parse_good(&c, "[Client]\nTrustedProxies=192.0.2.1 2001:db8::/32\n"
		       "TrustedProxies=::ffff:10.0.0.0/104\n");
	ck_assert_uint_eq(c.trusted.n, 3);
	ck_assert(network_list_contains(c.trusted, &inside));
	ck_assert(!network_list_contains(c.trusted, &outside));
	config_done(&c);
	ck_assert_uint_eq(c.trusted.n, 0);

	parse_good(&c, "[Client]\nTrustedProxies=::/0\nTrustedProxies=\n");
	ck_assert_uint_eq(c.trusted.n, 0);
	config_done(&c);
}
END_TEST

START_TEST(other_networks_are_refused)
{
	static const struct {
		const char *network, *why;
	} table[] = {
		{ "proxy.example", "is neither an IP address nor a network" },
		{ "*", "is neither an IP address nor a network" },
		{ "192.0.2.1,192.0.2.2", "is neither an IP address nor a network" },
		{ "[::1]", "is neither an IP address nor a network" },
		{ "192.0.2.1:80", "is neither an IP address nor a network" },
		{ "192.0.2.0/33", "is neither an IP address nor a network" },
		{ "unix:", "is neither an IP address nor a network" },
		{ "192.0.2.1/24", "has bits behind its prefix" },
		{ "::ffff:0:0/90", "has bits behind its prefix" },
	};
	char text[200], value[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(value, sizeof(value), ":2: TrustedProxies=%s ",
			       table[i].network);
		(void)snprintf(text, sizeof(text), "[Client]\nTrustedProxies=::1 %s\n",
			       table[i].network);
		expect_reports(text, value, table[i].why, "; allowed: an IP address or ",
			       NULL);
		ck_assert_uint_eq(reports, 1);
	}
}
END_TEST

START_TEST(a_request_target_has_a_path_and_maybe_a_query)
{
	static const char *const good[] = {
		"/", "/api/novnc/authorization", "/a?b=c&d=/e", "/caf%C3%A9/%2a", "/a//b",
	};
	static const struct {
		const char *target, *why;
	} bad[] = {
		{ "a", "does not begin with a /" },
		{ "http://a/b", "does not begin with a /" },
		{ "*", "does not begin with a /" },
		{ "//a", "two slashes" },
		{ "/a b", "no path has" },
		{ "/a#b", "no path has" },
		{ "/a\\b", "no path has" },
		{ "/a\"", "no path has" },
		{ "/caf\303\251", "no path has" },
		{ "/%", "two hexadecimal digits" },
		{ "/a?%4", "two hexadecimal digits" },
		{ "/%zz", "two hexadecimal digits" },
	};
	char text[CONFIG_VALUE_TEXT + 50] = "[Authorization]\nPath=/";
	struct config c;

	for (size_t i = 0; i < LENGTH(good); i++) {
		(void)snprintf(text, sizeof(text), "[Authorization]\nPath=%s\n", good[i]);
		parse_good(&c, text);
		ck_assert_str_eq(c.authorize_path, good[i]);
		config_done(&c);
	}
	parse_good(&c, "[Authorization]\nPath=/a\nPath=\n");
	ck_assert_ptr_null(c.authorize_path);
	config_done(&c);
	for (size_t i = 0; i < LENGTH(bad); i++) {
		(void)snprintf(text, sizeof(text), "[Authorization]\nPath=%s\n",
			       bad[i].target);
		expect_reports(text, ":2: Path=", bad[i].why,
			       "; allowed: a path such as /api/novnc/authorization\n",
			       NULL);
	}
	for (size_t len = CONFIG_VALUE_TEXT - 1; len <= CONFIG_VALUE_TEXT; len++) {
		size_t n = strlen("[Authorization]\nPath=");

		memset(text + n, '/', 1);
		memset(text + n + 1, 'a', len - 1);
		text[n + len] = '\0';
		if (len < CONFIG_VALUE_TEXT) {
			parse_good(&c, text);
			config_done(&c);
		} else {
			expect_reports(text, "is too long", NULL);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config: URLs");
	TCase *t = tcase_create("values");

	suite_add_tcase(suite, t);
	tcase_add_test(t, urls_are_taken_apart);
	tcase_add_test(t, https_is_port_443);
	tcase_add_test(t, unix_sockets_are_taken_whole);
	tcase_add_test(t, other_urls_are_refused);
	tcase_add_test(t, a_password_is_not_repeated);
	tcase_add_test(t, paths_that_can_match_are_taken);
	tcase_add_test(t, paths_that_never_match_are_refused);
	tcase_add_test(t, origins_are_what_browsers_send);
	tcase_add_test(t, networks_are_parsed_once);
	tcase_add_test(t, other_networks_are_refused);
	tcase_add_test(t, a_request_target_has_a_path_and_maybe_a_query);
	return suite_run(suite);
}
