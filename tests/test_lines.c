/* SPDX-License-Identifier: MIT */
/* lines.c: where a section ends, what may not stand in it, and its field lines. */
#include "http/lines.h"

#include <stdio.h>

#include "testing.h"

#define NO_MAX 100000

/* lines_scan() on a copy that ends where its heap block ends. */
static ssize_t scan(struct lines_scan *s, const char *text, size_t len, size_t max)
{
	char *block = exact(text, len);
	ssize_t r = lines_scan(s, (struct slice){ block, len }, max);

	free(block);
	return r;
}

static ssize_t scan_fresh(const char *text, size_t len, size_t max)
{
	return scan(&(struct lines_scan){ 0 }, text, len, max);
}

/* ---- where a section ends */

static const struct {
	const char *text;
	size_t len, lines;
} sections[] = {
	{ "\r\n", 2, 0 },
	{ "GET / HTTP/1.1\r\n\r\n", 18, 1 },
	{ "GET / HTTP/1.1\r\nHost: a\r\nB:\r\n\r\n", 31, 3 },
	{ "no head at all\r\n:::\r\n\r\n", 23, 2 },
	{ " leading space\r\n\r\n", 18, 1 },
	{ "\ttab\tand \x80\xff\r\n\r\n", 15, 1 },
	{ "a\r\n\r\n\r\n\r\n", 5, 1 },
	{ "a\r\n\r\n\n\r\x01 what follows is not looked at", 5, 1 },
};

START_TEST(a_section_ends_at_its_empty_line)
{
	for (size_t i = 0; i < LENGTH(sections); i++) {
		struct lines_scan s = { 0 };

		ck_assert_int_eq(
			scan(&s, sections[i].text, strlen(sections[i].text), NO_MAX),
			(ssize_t)sections[i].len);
		ck_assert_uint_eq(s.lines, sections[i].lines);
	}
}
END_TEST

START_TEST(every_proper_prefix_is_incomplete)
{
	for (size_t i = 0; i < LENGTH(sections); i++)
		for (size_t n = 0; n < sections[i].len; n++)
			ck_assert_int_eq(scan_fresh(sections[i].text, n, NO_MAX),
					 -EAGAIN);
}
END_TEST

START_TEST(it_goes_on_where_it_ended)
{
	for (size_t i = 0; i < LENGTH(sections); i++)
		for (size_t step = 1; step <= sections[i].len; step++) {
			struct lines_scan s = { 0 };

			for (size_t n = step; n < sections[i].len; n += step) {
				ck_assert_int_eq(scan(&s, sections[i].text, n, NO_MAX),
						 -EAGAIN);
				ck_assert_uint_eq(s.pos, n); /* nothing is read twice */
			}
			ck_assert_int_eq(
				scan(&s, sections[i].text, sections[i].len, NO_MAX),
				(ssize_t)sections[i].len);
			ck_assert_uint_eq(s.lines, sections[i].lines);
		}
}
END_TEST

START_TEST(a_section_may_be_as_long_as_max_and_no_longer)
{
	for (size_t i = 0; i < LENGTH(sections); i++) {
		size_t len = sections[i].len;

		ck_assert_int_eq(
			scan_fresh(sections[i].text, strlen(sections[i].text), len),
			(ssize_t)len);
		for (size_t max = 0; max < len; max++) {
			/* it is known as soon as max bytes are there, and not before */
			ck_assert_int_eq(scan_fresh(sections[i].text, len, max),
					 -EMSGSIZE);
			ck_assert_int_eq(scan_fresh(sections[i].text, max, max),
					 -EMSGSIZE);
			if (max > 0)
				ck_assert_int_eq(
					scan_fresh(sections[i].text, max - 1, max),
					-EAGAIN);
		}
	}
}
END_TEST

START_TEST(how_far_a_long_section_got_can_be_told)
{
	struct lines_scan s = { 0 };

	ck_assert_int_eq(scan(&s, "GET /long", 9, 9), -EMSGSIZE);
	ck_assert_uint_eq(s.lines, 0);
	s = (struct lines_scan){ 0 };
	ck_assert_int_eq(scan(&s, "GET /\r\nA: b", 11, 11), -EMSGSIZE);
	ck_assert_uint_eq(s.lines, 1);
}
END_TEST

/* ---- what may not stand in it */

#define BARE_CR "carriage return without line feed"
#define BARE_LF "line feed without carriage return"
#define FOLDED  "obsolete line folding"
#define CONTROL "control character"

static const struct {
	const char *text;
	size_t len, good; /* all of it; the bytes before the one that is wrong */
	const char *why;
} faults[] = {
#define FAULT(good, bad, why)                                         \
	{                                                             \
		good bad, sizeof(good bad) - 1, sizeof(good) - 1, why \
	}
	FAULT("", "\n", BARE_LF),
	FAULT("GET / HTTP/1.1", "\nA: b\r\n\r\n", BARE_LF),
	FAULT("GET / HTTP/1.1\r\nA: b", "\nC: d\r\n\r\n", BARE_LF),
	FAULT("GET / HTTP/1.1\r\nA: b\r\n", "\n", BARE_LF),
	FAULT("\r", "a", BARE_CR),
	FAULT("\r", "\r\n", BARE_CR),
	FAULT("GET / HTTP/1.1\r", " \r\n\r\n", BARE_CR),
	FAULT("GET / HTTP/1.1\r\nA: b\r", "C: d\r\n\r\n", BARE_CR),
	FAULT("GET / HTTP/1.1\r\nA: b\r\n\r", "X\r\n", BARE_CR),
	FAULT("GET / HTTP/1.1\r\nA: b\r", "\r\n\r\n", BARE_CR),
	FAULT("GET / HTTP/1.1\r\nA: b\r", "\0\r\n\r\n", BARE_CR),
	FAULT("GET / HTTP/1.1\r\n", " A: b\r\n\r\n", FOLDED),
	FAULT("GET / HTTP/1.1\r\n", "\tA: b\r\n\r\n", FOLDED),
	FAULT("GET / HTTP/1.1\r\nA: b\r\n", " c\r\n\r\n", FOLDED),
	FAULT("GET / HTTP/1.1\r\nA: b\r\n", "\t\r\n\r\n", FOLDED),
	FAULT("", "\0\r\n\r\n", CONTROL),
	FAULT("GET /", "\0 HTTP/1.1\r\n\r\n", CONTROL),
	FAULT("GET / HTTP/1.1\r\nA", "\x1f: b\r\n\r\n", CONTROL),
	FAULT("GET / HTTP/1.1\r\nA: b", "\x7f\r\n\r\n", CONTROL),
#undef FAULT
};

START_TEST(a_fault_is_seen_at_its_byte)
{
	for (size_t i = 0; i < LENGTH(faults); i++) {
		struct lines_scan s = { 0 };

		for (size_t n = 0; n <= faults[i].good; n++)
			ck_assert_int_eq(scan_fresh(faults[i].text, n, NO_MAX), -EAGAIN);
		for (size_t n = faults[i].good + 1; n <= faults[i].len; n++)
			ck_assert_int_eq(scan_fresh(faults[i].text, n, NO_MAX), -EBADMSG);
		/* one byte after the other */
		for (size_t n = 0; n <= faults[i].good; n++)
			ck_assert_int_eq(scan(&s, faults[i].text, n, NO_MAX), -EAGAIN);
		ck_assert_int_eq(scan(&s, faults[i].text, faults[i].good + 1, NO_MAX),
				 -EBADMSG);
		ck_assert_str_eq(s.why, faults[i].why);
		/* a section that is too long is not judged further */
		ck_assert_int_eq(
			scan_fresh(faults[i].text, faults[i].len, faults[i].good),
			-EMSGSIZE);
	}
}
END_TEST

START_TEST(of_control_characters_only_tabs_are_allowed)
{
	const char start[] = "GET / HTTP/1.1\r\nA: ";

	/* wherever they stand among others, at which it looks together */
	for (size_t at = sizeof(start) - 1; at < sizeof(start) + 17; at++)
		for (unsigned byte = 0; byte < 256; byte++) {
			char text[64];
			size_t len = (size_t)sprintf(text, "%s%s\r\n\r\n", start,
						     "abcdefg\xff\x80\x7eklmnop qrstuv");
			bool good = byte == '\t' || (byte >= ' ' && byte != 0x7f);

			text[at] = (char)byte;
			ck_assert_msg(scan_fresh(text, len, NO_MAX) ==
					      (good ? (ssize_t)len : -EBADMSG),
				      "0x%02x at %zu", byte, at);
		}
}
END_TEST

/* ---- lines and field lines */

START_TEST(lines_are_taken_one_by_one)
{
	struct slice all = exact_str("one\r\n\r\nthree: x\r\n\r\n"), rest = all;

	ck_assert_slice_eq(lines_next(&rest), "one");
	ck_assert_slice_eq(lines_next(&rest), "");
	ck_assert_slice_eq(lines_next(&rest), "three: x");
	ck_assert_uint_eq(rest.len, 2);
	ck_assert_slice_eq(lines_next(&rest), "");
	ck_assert_uint_eq(rest.len, 0);
	slice_free(all);
}
END_TEST

START_TEST(a_field_is_a_token_a_colon_and_a_value)
{
	static const struct {
		const char *line, *name, *value; /* no name: none */
	} table[] = {
		{ "Host: a", "Host", "a" },
		{ "Host:a", "Host", "a" },
		{ "h: \t a b\tc \t ", "h", "a b\tc" },
		{ "A:", "A", "" },
		{ "A: \t ", "A", "" },
		{ "A: b: c", "A", "b: c" },
		{ "A::", "A", ":" },
		{ "!#$%&'*+-.^_`|~09azAZ: x", "!#$%&'*+-.^_`|~09azAZ", "x" },
		{ "A: \x80\xff", "A", "\x80\xff" },
		{ "Host", NULL, NULL },
		{ ": a", NULL, NULL },
		{ ":", NULL, NULL },
		{ "Host : a", NULL, NULL },
		{ "Host\t: a", NULL, NULL },
		{ " Host: a", NULL, NULL },
		{ "Ho st: a", NULL, NULL },
		{ "\"Host\": a", NULL, NULL },
		{ "H\xc3\xb6st: a", NULL, NULL },
		{ "a/b: c", NULL, NULL },
		{ "[a]: c", NULL, NULL },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		size_t len = strlen(table[i].line);
		char text[100];
		struct slice all, rest;
		struct field f;

		(void)snprintf(text, sizeof(text), "%s\r\n\r\n", table[i].line);
		rest = all = exact_str(text);
		if (table[i].name) {
			ck_assert_int_eq(lines_field(&rest, &f), 1);
			ck_assert_slice_eq(f.name, table[i].name);
			ck_assert_slice_eq(f.value, table[i].value);
			ck_assert_int_eq(lines_field(&rest, &f), 0);
			ck_assert_uint_eq(rest.len, 0);
		} else {
			ck_assert_int_eq(lines_field(&rest, &f), -EBADMSG);
		}
		slice_free(all);

		/* cut at every byte: a field where the colon is still there */
		for (size_t n = 0; n < len; n++) {
			size_t colon = strcspn(table[i].line, ":");
			int expected = n == 0                       ? 0
				       : table[i].name && n > colon ? 1
								    : -EBADMSG;

			(void)snprintf(text, sizeof(text), "%.*s\r\n", (int)n,
				       table[i].line);
			rest = all = exact_str(text);
			ck_assert_int_eq(lines_field(&rest, &f), expected);
			slice_free(all);
		}
	}
}
END_TEST

START_TEST(a_token_is_made_of_the_characters_of_RFC_9110)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		char c = (char)byte, *block = exact(&c, 1);
		bool good =
			byte > 0x20 && byte < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);

		ck_assert_msg(lines_is_token((struct slice){ block, 1 }) == good,
			      "0x%02x", byte);
		free(block);
	}
	ck_assert(!lines_is_token(SLICE("")));
	ck_assert(lines_is_token(SLICE("ab")));
	ck_assert(!lines_is_token(SLICE("ab ")));
	ck_assert(!lines_is_token(SLICE(" ab")));
	ck_assert(!lines_is_token(SLICE("a\0b")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lines");
	TCase *tc = tcase_create("lines");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60); /* under valgrind */
	tcase_add_test(tc, a_section_ends_at_its_empty_line);
	tcase_add_test(tc, every_proper_prefix_is_incomplete);
	tcase_add_test(tc, it_goes_on_where_it_ended);
	tcase_add_test(tc, a_section_may_be_as_long_as_max_and_no_longer);
	tcase_add_test(tc, how_far_a_long_section_got_can_be_told);
	tcase_add_test(tc, a_fault_is_seen_at_its_byte);
	tcase_add_test(tc, of_control_characters_only_tabs_are_allowed);
	tcase_add_test(tc, lines_are_taken_one_by_one);
	tcase_add_test(tc, a_field_is_a_token_a_colon_and_a_value);
	tcase_add_test(tc, a_token_is_made_of_the_characters_of_RFC_9110);
	return suite_run(suite);
}
