/* SPDX-License-Identifier: MIT */
/* ctl/parse.c: statuses and names of connections' units; and ctl/text.c. */
#include "ctl/parse.h"

#include <arpa/inet.h>
#include <time.h>

#include "ctl/text.h"
#include "testing.h"

#define ENDS "192.0.2.10:40001-192.0.2.20:4000"

START_TEST(a_status_says_what_a_connection_is)
{
	static const struct {
		const char *text, *id, *user, *client;
		bool session, ends;
	} table[] = {
		{ "noVNC session, client 192.0.2.1:51234, connection " ENDS
		  ", id 4711, user alice",
		  "4711", "alice", "192.0.2.1:51234", true, true },
		{ "noVNC session, client [2001:db8::1]:1, connection [::1]:2-[::1]:3, id s",
		  "s", "", "[2001:db8::1]:1", true, true },
		{ "noVNC session, client 192.0.2.1, id 4711", "4711", "", "192.0.2.1",
		  true, false }, /* the backend is unix: */
		{ "noVNC session, client local, id 4711, user bob", "4711", "bob",
		  "local", true, false },
		/* the id and the user are text of others: neither can pretend to be another field */
		{ "noVNC session, client 192.0.2.1:1, connection " ENDS
		  ", id a,b,user, user x, user y, id z",
		  "a,b,user", "x, user y, id z", "192.0.2.1:1", true, true },
		{ "noVNC session, client 192.0.2.1:1, id connection, user ", "connection",
		  "", "192.0.2.1:1", true, false },
		/* cut after 512 bytes */
		{ "noVNC session, client 192.0.2.1:1, connection " ENDS ", id aaa...",
		  "aaa...", "", "192.0.2.1:1", true, true },
		/* of a gate from before novnc-gatectl */
		{ "noVNC session 4711 of alice (192.0.2.1:51234)", "4711", "alice",
		  "192.0.2.1:51234", true, false },
		{ "noVNC session 4711 of a (b) (c) (192.0.2.1:51234)", "4711",
		  "a (b) (c)", "192.0.2.1:51234", true, false },
		{ "noVNC session 4711 of 192.0.2.1:51234", "4711", "", "192.0.2.1:51234",
		  true, false },
		/* others */
		{ "WebSocket of 192.0.2.1:51234 to Next.js", "", "", "192.0.2.1:51234",
		  false, false },
		{ "closed; the process ends later", "", "", "", false, false },
		{ "", "", "", "", false, false },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice text = exact_str(table[i].text);
		struct parse_status s;

		parse_status(text, &s);
		ck_assert_int_eq(s.is_session, table[i].session);
		ck_assert_int_eq(s.closed, table[i].text[0] == 'c');
		ck_assert_msg(s.has_ends == table[i].ends, "ends: %s", table[i].text);
		ck_assert_slice_eq(s.id, table[i].id);
		ck_assert_slice_eq(s.user, table[i].user);
		ck_assert_slice_eq(s.client, table[i].client);
		slice_free(text);
	}
}
END_TEST

/* Whatever is cut off, the text before it is read, and nothing behind it. */
START_TEST(a_status_can_be_cut_everywhere)
{
	static const char *const texts[] = {
		"noVNC session, client 192.0.2.1:51234, connection " ENDS
		", id 4711, user alice",
		"noVNC session 4711 of alice (192.0.2.1:51234)",
		"WebSocket of 192.0.2.1:51234 to Next.js",
	};

	for (size_t i = 0; i < LENGTH(texts); i++)
		for (size_t n = 0; n < strlen(texts[i]); n++) {
			struct slice text = { exact(texts[i], n), n };
			struct parse_status s;

			parse_status(text, &s);
			ck_assert(s.id.len <= strlen("4711, user"));
			ck_assert(s.user.len <= strlen("alice"));
			ck_assert(s.client.len <= n);
			slice_free(text);
		}
}
END_TEST

START_TEST(both_ends_of_a_connection_are_read)
{
	static const struct {
		const char *text, *local, *remote;
		unsigned local_port, remote_port;
	} table[] = {
		{ "127.0.0.1:40001-127.0.0.2:4000", "::ffff:127.0.0.1",
		  "::ffff:127.0.0.2", 40001, 4000 },
		{ "[2001:db8::1]:1-[::1]:65535", "2001:db8::1", "::1", 1, 65535 },
		{ "[::ffff:10.0.0.1]:2-10.0.0.2:3", "::ffff:10.0.0.1", "::ffff:10.0.0.2",
		  2, 3 },
	};
	char address[INET6_ADDRSTRLEN];
	struct parse_ends ends;

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice text = exact_str(table[i].text);

		ck_assert_msg(parse_ends(text, &ends), "%s", table[i].text);
		inet_ntop(AF_INET6, &ends.local, address, sizeof(address));
		ck_assert_str_eq(address, table[i].local);
		inet_ntop(AF_INET6, &ends.remote, address, sizeof(address));
		ck_assert_str_eq(address, table[i].remote);
		ck_assert_uint_eq(ends.local_port, table[i].local_port);
		ck_assert_uint_eq(ends.remote_port, table[i].remote_port);
		slice_free(text);
	}
}
END_TEST

START_TEST(anything_else_is_no_pair_of_ends)
{
	static const char *const table[] = {
		"",
		"-",
		"127.0.0.1:1",
		"127.0.0.1:1-",
		"127.0.0.1:1-127.0.0.1",
		"127.0.0.1:1-127.0.0.1:",
		"127.0.0.1:0-127.0.0.1:1",
		"127.0.0.1:1-127.0.0.1:65536",
		"127.0.0.1:1-127.0.0.1:100000",
		"127.0.0.1:1-127.0.0.1:+1",
		"127.0.0.1: 1-127.0.0.1:1",
		"localhost:1-127.0.0.1:1",
		"[::1:1-[::1]:1",
		"[]:1-[]:1",
		"127.0.0.1:1-127.0.0.1:1-127.0.0.1:1",
	};
	struct parse_ends ends;

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice text = exact_str(table[i]);

		ck_assert_msg(!parse_ends(text, &ends), "%s", table[i]);
		slice_free(text);
	}
}
END_TEST

START_TEST(the_name_of_a_unit_has_the_client)
{
	static const char *const table[][2] = {
		{ "novnc-gate-http-03@7-192.0.2.10:3000-192.0.2.1:51234.service",
		  "192.0.2.1:51234" },
		{ "novnc-gate-tls-00@12-2001:db8::a:3443-2001:db8::1:51234.service",
		  "[2001:db8::1]:51234" },
		{ "novnc-gate-http-00@0-::1:3000-::1:9.service", "[::1]:9" },
		{ "novnc-gate-http-00@3-1234-1000.service", "local" },
		{ "novnc-gate-http-00@.service", "local" },
		{ "novnc-gate-http-00", "local" },
		{ "", "local" },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		char *client = parse_unit_client(table[i][0]);

		ck_assert_str_eq(client, table[i][1]);
		free(client);
	}
}
END_TEST

/* ---- text.c */

START_TEST(bytes_are_written_as_systemctl_does)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} table[] = {
		{ 0, "0B" },
		{ 1023, "1023B" },
		{ 1024, "1.0K" },
		{ 1536, "1.5K" },
		{ 1024 * 1024 - 1, "1023.9K" },
		{ 1024 * 1024, "1.0M" },
		{ 5ULL << 30, "5.0G" },
		{ UINT64_MAX, "15.9E" },
	};
	char text[TEXT_MAX];

	for (size_t i = 0; i < LENGTH(table); i++) {
		text_bytes(table[i].bytes, text);
		ck_assert_str_eq(text, table[i].text);
	}
}
END_TEST

START_TEST(a_span_is_its_two_largest_units)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} table[] = {
		{ 0, "0s" },
		{ 999, "0s" },
		{ 1000, "1s" },
		{ 59999, "59s" },
		{ 60000, "1min" },
		{ 61000, "1min 1s" },
		{ 3599000, "59min 59s" },
		{ 3600000, "1h" },
		{ 3661000, "1h 1min" },
		{ 86399000, "23h 59min" },
		{ 86400000, "1d" },
		{ 90000000, "1d 1h" },
		{ UINT64_MAX, "213503982334d 14h" },
	};
	char text[TEXT_MAX];

	for (size_t i = 0; i < LENGTH(table); i++) {
		text_span(table[i].ms, text);
		ck_assert_str_eq(text, table[i].text);
	}
}
END_TEST

START_TEST(a_time_is_local)
{
	char text[TEXT_MAX];

	ck_assert_int_eq(setenv("TZ", "XST-2", 1), 0);
	tzset();
	text_time(1796031432999999, text);
	ck_assert_str_eq(text, "2026-11-30 11:37:12");
	text_time_long(1796031432999999, text);
	ck_assert_str_eq(text, "Mon 2026-11-30 11:37:12 XST");
	text_time(UINT64_MAX, text); /* not a year that has a name */
	ck_assert_int_ne(text[0], '\0');
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl/parse");
	TCase *t = tcase_create("parse");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, a_status_says_what_a_connection_is);
	tcase_add_test(t, a_status_can_be_cut_everywhere);
	tcase_add_test(t, both_ends_of_a_connection_are_read);
	tcase_add_test(t, anything_else_is_no_pair_of_ends);
	tcase_add_test(t, the_name_of_a_unit_has_the_client);
	tcase_add_test(t, bytes_are_written_as_systemctl_does);
	tcase_add_test(t, a_span_is_its_two_largest_units);
	tcase_add_test(t, a_time_is_local);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
