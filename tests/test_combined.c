/* SPDX-License-Identifier: MIT */
/* combined.c: the line of a request, as programs for web statistics read it. */
#include "log/combined.h"

#include <stdio.h>
#include <time.h>

#include "testing.h"

static const struct combined page = {
	.client = SLICE("192.0.2.1:51234"),
	.user = SLICE("alice"),
	.method = SLICE("GET"),
	.path = SLICE("/page"),
	.protocol = SLICE("HTTP/1.1"),
	.status = SLICE("200"),
	.bytes = SLICE("1024"),
	.referer = SLICE("http://dash.example/"),
	.user_agent = SLICE("Mozilla/5.0 (X11; Linux x86_64)"),
};

static const char *line(const struct combined *c)
{
	static char storage[8 * COMBINED_COLUMN_MAX];
	struct buf b = { .data = storage, .cap = sizeof(storage) - 1 };

	combined_put(&b, c);
	storage[b.end] = '\0';
	return storage;
}

#define EPOCH "[01/Jan/1970:00:00:00 +0000]"

START_TEST(a_line_has_the_columns_of_the_combined_format)
{
	ck_assert_str_eq(line(&page),
			 "192.0.2.1 - alice " EPOCH " \"GET /page HTTP/1.1\" 200 1024 "
			 "\"http://dash.example/\" \"Mozilla/5.0 (X11; Linux x86_64)\"");
	ck_assert_str_eq(line(&(struct combined){ 0 }),
			 "- - - " EPOCH " \"- - -\" - - \"-\" \"-\"");
}
END_TEST

START_TEST(the_client_has_no_port)
{
	static const char *const table[][2] = {
		{ "192.0.2.1:51234", "192.0.2.1" },
		{ "192.0.2.1", "192.0.2.1" },
		{ "[2001:db8::1]:51234", "2001:db8::1" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "::", "::" },
		{ "local", "local" },
		{ "", "-" },
	};
	struct combined c = page;
	char expected[64];

	for (size_t i = 0; i < LENGTH(table); i++) {
		c.client = slice_str(table[i][0]);
		(void)snprintf(expected, sizeof(expected), "%s - alice [", table[i][1]);
		ck_assert_int_eq(strncmp(line(&c), expected, strlen(expected)), 0);
	}
}
END_TEST

START_TEST(the_time_is_that_of_gmtime)
{
	/* ends of days, months and years; leap years and none */
	static const uint64_t table[] = {
		0,          86399,      86400,      951782399,   951782400,  951868799,
		951868800,  978307199,  1234567890, 1709164800,  1709251200, 1735689599,
		2147483648, 4107542399, 4107542400, 253402300799
	};
	struct combined c = page;
	char expected[64];

	for (size_t i = 0; i < LENGTH(table); i++) {
		time_t t = (time_t)table[i];

		c.time_s = table[i];
		(void)strftime(expected, sizeof(expected),
			       "192.0.2.1 - alice [%d/%b/%Y:%H:%M:%S +0000] ",
			       gmtime(&t));
		ck_assert_int_eq(strncmp(line(&c), expected, strlen(expected)), 0);
	}
}
END_TEST

START_TEST(no_text_ends_its_column)
{
	struct combined c = page;

	c.user = SLICE("Alice \"B\"");
	c.path = SLICE("/\" 200 1 \"");
	c.referer = SLICE("\"");
	c.user_agent = SLICE("a \"b\"\\x0a");
	ck_assert_str_eq(line(&c),
			 "192.0.2.1 - Alice\\x20\"B\" " EPOCH
			 " \"GET /\\x22 200 1 \\x22 HTTP/1.1\" 200 1024 \"\\x22\" "
			 "\"a \\x22b\\x22\\x0a\"");
}
END_TEST

START_TEST(a_text_that_grows_too_long_is_cut_and_says_so)
{
	static char quotes[COMBINED_COLUMN_MAX], letters[COMBINED_COLUMN_MAX];
	struct combined c = page;
	const char *agent;

	memset(quotes, '"', sizeof(quotes));
	memset(letters, 'a', sizeof(letters));
	for (size_t n = 1; n <= sizeof(quotes); n++) {
		c.user_agent = (struct slice){ quotes, n };
		agent = strstr(line(&c), "\" \"\\x22") + 3;
		ck_assert_uint_le(strlen(agent), COMBINED_COLUMN_MAX + 1);
		if (4 * n <= COMBINED_COLUMN_MAX - 3)
			ck_assert_uint_eq(strlen(agent), 4 * n + 1);
		else if (4 * n > COMBINED_COLUMN_MAX)
			ck_assert_str_eq(agent + strlen(agent) - 8, "\\x22...\"");
	}
	c.user_agent = (struct slice){ letters, sizeof(letters) };
	ck_assert_ptr_nonnull(strstr(line(&c), "aaa\""));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("combined");
	TCase *t = tcase_create("combined");

	suite_add_tcase(suite, t);
	tcase_add_test(t, a_line_has_the_columns_of_the_combined_format);
	tcase_add_test(t, the_client_has_no_port);
	tcase_add_test(t, the_time_is_that_of_gmtime);
	tcase_add_test(t, no_text_ends_its_column);
	tcase_add_test(t, a_text_that_grows_too_long_is_cut_and_says_so);
	return suite_run(suite);
}
