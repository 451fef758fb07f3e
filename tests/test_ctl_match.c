/* SPDX-License-Identifier: MIT */
/* ctl/match.c: which sessions a word names. */
#include "ctl/match.h"

#include "testing.h"

static struct session all[] = {
	{ .id = "4711",
	  .user = "alice",
	  .client = "192.0.2.1:51234",
	  .unit = { .name = "novnc-gate-http-03@7-192.0.2.10:3000-192.0.2.1:51234.service" } },
	{ .id = "4712",
	  .user = "alice",
	  .client = "[2001:db8::1]:51235",
	  .unit = { .name = "novnc-gate-tls-00@8-2001:db8::2:3443-2001:db8::1:51235.service" } },
	{ .id = "a*",
	  .client = "2001:db8::1",
	  .unit = { .name = "novnc-gate-http-00@9-x.service" } },
	{ .client = "local", .unit = { .name = "novnc-gate-http-00@10-1-0.service" } },
};

START_TEST(a_word_names_sessions)
{
	static const struct {
		const char *word, *marked;
		enum match result;
	} table[] = {
		{ "4711", "x...", MATCH_EXACT },
		{ "alice", "xx..", MATCH_EXACT },
		{ "192.0.2.1", "x...", MATCH_EXACT },
		{ "192.0.2.1:51234", "x...", MATCH_EXACT },
		{ "2001:db8::1", ".xx.", MATCH_EXACT },
		{ "[2001:db8::1]:51235", ".x..", MATCH_EXACT },
		{ "2001:db8:", "....", MATCH_NONE }, /* of an address without a port */
		{ "novnc-gate-http-00@9-x", "..x.", MATCH_EXACT },
		{ "novnc-gate-http-00@9-x.service", "..x.", MATCH_EXACT },
		{ "local", "...x", MATCH_EXACT },
		{ "a*", "..x.",
		  MATCH_EXACT }, /* the id itself, though alice matches as well */
		{ "al*", "xx..", MATCH_GLOB },
		{ "471?", "xx..", MATCH_GLOB },
		{ "471[2-9]", ".x..", MATCH_GLOB },
		{ "192.0.*", "x...", MATCH_GLOB },
		{ "novnc-gate-http-*", "x.xx", MATCH_GLOB },
		{ "*", "xxxx", MATCH_ALL },
		{ "novnc-gate*", "xxxx", MATCH_ALL },
		{ "471", "....", MATCH_NONE },
		{ "Alice", "....", MATCH_NONE },
		{ "-", "....", MATCH_NONE },
		{ "", "....", MATCH_NONE },
		{ "z*", "....", MATCH_NONE },
		{ "[", "....", MATCH_NONE },
	};
	const struct sessions s = { all, LENGTH(all) };

	for (size_t i = 0; i < LENGTH(table); i++) {
		bool marked[LENGTH(all)] = { false };

		ck_assert_msg(match_sessions(&s, table[i].word, false, marked) ==
				      table[i].result,
			      "%s", table[i].word);
		for (size_t k = 0; k < LENGTH(all); k++)
			ck_assert_msg(marked[k] == (table[i].marked[k] == 'x'),
				      "%s, session %zu", table[i].word, k);
	}
}
END_TEST

/* Each text is REPEATED the given number of times, and the rest. */
START_TEST(a_long_word_is_cut_as_the_log_cuts_it)
{
	static const struct {
		const char *repeated;
		size_t times;
		const char *rest, *cut_rest;
		size_t cut_times;
	} table[] = {
		{ "a", 511, "b", "b", 511 },          { "a", 512, "b", "...", 509 },
		{ "a", 2000, "", "...", 509 },        { "\\x0a", 128, "", "", 128 },
		{ "\\x0a", 128, "a", "...", 127 },    { "a", 508, "\\x0ab", "...", 508 },
		{ "a", 508, "b*\\x0a", "b...", 508 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		size_t len = strlen(table[i].repeated);
		char whole[2100] = "", cut[600] = "", *result;

		for (size_t k = 0; k < table[i].times; k++)
			strcpy(whole + k * len, table[i].repeated);
		strcat(whole, table[i].rest);
		for (size_t k = 0; k < table[i].cut_times; k++)
			strcpy(cut + k * len, table[i].repeated);
		strcat(cut, table[i].cut_rest);
		result = match_cut(whole);
		ck_assert_str_eq(result, cut);
		free(result);
	}
}
END_TEST

START_TEST(a_session_named_as_a_glob_does_not_protect_others_from_it)
{
	static struct session three[] = {
		{ .id = "*",
		  .client = "local",
		  .unit = { .name = "novnc-gate-http-00@1-x.service" } },
		{ .id = "a",
		  .client = "local",
		  .unit = { .name = "novnc-gate-http-00@2-x.service" } },
		{ .id = "[",
		  .client = "local",
		  .unit = { .name = "novnc-gate-http-00@3-x.service" } },
	};
	static const struct {
		const char *word, *marked;
		bool also_glob;
		enum match result;
	} table[] = {
		{ "*", "x..", false, MATCH_EXACT }, { "*", "xxx", true, MATCH_ALL },
		{ "a", ".x.", true, MATCH_EXACT },  { "[", "..x", true, MATCH_GLOB },
		{ "a*", ".x.", true, MATCH_GLOB },  { "b*", "...", true, MATCH_NONE },
	};
	const struct sessions s = { three, LENGTH(three) };

	for (size_t i = 0; i < LENGTH(table); i++) {
		bool marked[LENGTH(three)] = { false };

		ck_assert_msg(match_sessions(&s, table[i].word, table[i].also_glob,
					     marked) == table[i].result,
			      "%s", table[i].word);
		for (size_t k = 0; k < LENGTH(three); k++)
			ck_assert_msg(marked[k] == (table[i].marked[k] == 'x'),
				      "%s, session %zu", table[i].word, k);
	}
}
END_TEST

START_TEST(a_glob_for_the_only_session_is_no_glob_for_all)
{
	const struct sessions one = { all, 1 }, none = { all, 0 };
	bool marked[1] = { false };

	ck_assert_int_eq(match_sessions(&none, "*", false, marked), MATCH_NONE);
	ck_assert_int_eq(match_sessions(&one, "*", false, marked), MATCH_GLOB);
	ck_assert(marked[0]);
}
END_TEST

START_TEST(a_name_that_all_have_is_exact)
{
	const struct sessions two = { all, 2 };
	bool marked[2] = { false };

	ck_assert_int_eq(match_sessions(&two, "alice", false, marked), MATCH_EXACT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl/match");
	TCase *t = tcase_create("match");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, a_word_names_sessions);
	tcase_add_test(t, a_long_word_is_cut_as_the_log_cuts_it);
	tcase_add_test(t, a_session_named_as_a_glob_does_not_protect_others_from_it);
	tcase_add_test(t, a_glob_for_the_only_session_is_no_glob_for_all);
	tcase_add_test(t, a_name_that_all_have_is_exact);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
