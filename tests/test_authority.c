/* SPDX-License-Identifier: MIT */
/* authority.c: host and port taken apart, each input in a block of exactly its size. */
#include "http/authority.h"

#include <arpa/inet.h>

#include "testing.h"

#define NOT_ONE -1

START_TEST(an_authority_is_a_host_and_perhaps_a_port)
{
	static const struct {
		const char *text, *host;
		int port;
	} table[] = {
		{ "h", "h", 0 },
		{ "h:", "h", 0 },
		{ "h:1", "h", 1 },
		{ "h:65535", "h", 65535 },
		{ "h:00080", "h", 80 },
		{ "127.0.0.1:80", "127.0.0.1", 80 },
		{ "a-b_c.d~e!$&'()*+,;=", "a-b_c.d~e!$&'()*+,;=", 0 },
		{ "a%2fb", "a%2fb", 0 },
		{ "[::1]", "[::1]", 0 },
		{ "[::1]:", "[::1]", 0 },
		{ "[2001:DB8::1]:443", "[2001:DB8::1]", 443 },
		{ "", NULL, NOT_ONE },
		{ ":80", NULL, NOT_ONE },
		{ "h:0", NULL, NOT_ONE },
		{ "h:65536", NULL, NOT_ONE },
		{ "h:000080", NULL, NOT_ONE },
		{ "h:8o", NULL, NOT_ONE },
		{ "h:+1", NULL, NOT_ONE },
		{ "h:1:2", NULL, NOT_ONE },
		{ "u@h", NULL, NOT_ONE },
		{ "a%2", NULL, NOT_ONE },
		{ "a b", NULL, NOT_ONE },
		{ "\xc3\xa4", NULL, NOT_ONE },
		{ "h/", NULL, NOT_ONE },
		{ "::1", NULL, NOT_ONE },
		{ "[", NULL, NOT_ONE },
		{ "[]", NULL, NOT_ONE },
		{ "[::1", NULL, NOT_ONE },
		{ "[::1]x", NULL, NOT_ONE },
		{ "[::1]x8", NULL, NOT_ONE },
		{ "[::1]]", NULL, NOT_ONE },
		{ "[::g]", NULL, NOT_ONE },
		{ "[127.0.0.1]", NULL, NOT_ONE },
		{ "[fe80::1%25eth0]", NULL, NOT_ONE },
		{ "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", NULL, NOT_ONE },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice s = exact_str(table[i].text);
		struct authority a = { .port = 7 };

		ck_assert_msg(authority_parse(s, &a) == (table[i].port != NOT_ONE), "%s",
			      table[i].text);
		if (table[i].port != NOT_ONE) {
			ck_assert_slice_eq(a.host, table[i].host);
			ck_assert_uint_eq(a.port, (unsigned)table[i].port);
		} else {
			ck_assert_uint_eq(a.port, 7); /* is left alone */
		}
		slice_free(s);
	}
}
END_TEST

START_TEST(an_origin_is_as_a_browser_writes_it)
{
	static const struct {
		const char *text;
		bool https;
		const char *host;
		int port;
	} table[] = {
		{ "http://h", false, "h", 80 },
		{ "https://h", true, "h", 443 },
		{ "HTTPS://H:444", true, "H", 444 },
		{ "http://[::1]:3000", false, "[::1]", 3000 },
		{ "http://h:80", false, "h", 80 },
		{ "http://h:", false, NULL, NOT_ONE },
		{ "http://h:080", false, NULL, NOT_ONE },
		{ "http://h:0", false, NULL, NOT_ONE },
		{ "http://[::1]:", false, NULL, NOT_ONE },
		{ "http://h/", false, NULL, NOT_ONE },
		{ "http://", false, NULL, NOT_ONE },
		{ "http:/h", false, NULL, NOT_ONE },
		{ "http:", false, NULL, NOT_ONE },
		{ "ftp://h", false, NULL, NOT_ONE },
		{ "ws://h", false, NULL, NOT_ONE },
		{ "//h", false, NULL, NOT_ONE },
		{ "h", false, NULL, NOT_ONE },
		{ "null", false, NULL, NOT_ONE },
		{ "", false, NULL, NOT_ONE },
		{ "http://h https://h", false, NULL, NOT_ONE },
		{ "http://u@h", false, NULL, NOT_ONE },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice s = exact_str(table[i].text);
		struct authority a;
		bool https;

		ck_assert_msg(authority_parse_origin(s, &https, &a) ==
				      (table[i].port != NOT_ONE),
			      "%s", table[i].text);
		if (table[i].port != NOT_ONE) {
			ck_assert_int_eq(https, table[i].https);
			ck_assert_slice_eq(a.host, table[i].host);
			ck_assert_uint_eq(a.port, (unsigned)table[i].port);
		}
		slice_free(s);
	}
}
END_TEST

START_TEST(a_url_is_split_behind_its_authority)
{
	static const struct {
		const char *text;
		int port; /* of the scheme */
		const char *authority, *rest;
	} table[] = {
		{ "http://h:1/a?b", 80, "h:1", "/a?b" },
		{ "HTTPS://h", 443, "h", "" },
		{ "//[::1]:1/", 0, "[::1]:1", "/" },
		{ "http://h?a/b", 80, "h", "?a/b" },
		{ "http://h#a/b?c", 80, "h", "#a/b?c" },
		{ "http://", 80, "", "" },
		{ "///a", 0, "", "/a" },
		{ "http:/h", NOT_ONE, NULL, NULL },
		{ "http:h", NOT_ONE, NULL, NULL },
		{ "ftp://h", NOT_ONE, NULL, NULL },
		{ "/a", NOT_ONE, NULL, NULL },
		{ "", NOT_ONE, NULL, NULL },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice s = exact_str(table[i].text), authority, rest;
		bool valid = table[i].port != NOT_ONE;
		unsigned port;

		ck_assert_msg(authority_split_url(s, &port, &authority, &rest) == valid,
			      "%s", table[i].text);
		if (valid) {
			ck_assert_uint_eq(port, (unsigned)table[i].port);
			ck_assert_slice_eq(authority, table[i].authority);
			ck_assert_slice_eq(rest, table[i].rest);
		}
		slice_free(s);
	}
}
END_TEST

/* Cut anywhere, so that reading past the end shows. */
START_TEST(any_beginning_is_judged_within_itself)
{
	static const char *const texts[] = { "http://[2001:db8::1]:65535",
					     "https://h%2f:443" };

	for (size_t i = 0; i < LENGTH(texts); i++) {
		for (size_t n = 0; n <= strlen(texts[i]); n++) {
			struct slice s = { exact(texts[i], n), n };
			struct authority a;
			bool https;

			(void)authority_parse(s, &a);
			(void)authority_parse_origin(s, &https, &a);
			slice_free(s);
		}
	}
}
END_TEST

START_TEST(hosts_are_compared_by_name_or_address)
{
	static const struct {
		const char *a, *b;
		bool same;
	} table[] = {
		{ "h", "H", true },
		{ "[::1]", "[0:0::1]", true },
		{ "[::A]", "[::a]", true },
		{ "h", "h.", false },
		{ "[::1]", "[::2]", false },
		{ "[::1]", "::1", false },
		{ "127.0.0.1", "[::ffff:127.0.0.1]", false },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		ck_assert_int_eq(
			authority_same_host(slice_str(table[i].a), slice_str(table[i].b)),
			table[i].same);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("authority");
	TCase *t = tcase_create("authority");

	suite_add_tcase(s, t);
	tcase_add_test(t, an_authority_is_a_host_and_perhaps_a_port);
	tcase_add_test(t, an_origin_is_as_a_browser_writes_it);
	tcase_add_test(t, a_url_is_split_behind_its_authority);
	tcase_add_test(t, any_beginning_is_judged_within_itself);
	tcase_add_test(t, hosts_are_compared_by_name_or_address);
	return suite_run(s);
}
