/* SPDX-License-Identifier: MIT */
/* path.c: which paths match a glob, and which match none. */
#include "http/path.h"

#include "testing.h"

#define SESSION "/api/auth/session/"

static bool matches(const char *glob, const char *path, size_t len, struct slice *star)
{
	char *block = exact(path, len);
	bool r = path_match(glob, (struct slice){ block, len }, star);

	/* the same place in the caller's text */
	if (star->p)
		star->p = path + (star->p - block);
	free(block);
	return r;
}

static const struct {
	const char *glob, *path;
	bool match;
	const char *star;
} globs[] = {
	{ "/", "/", true, "" },
	{ "/", "/a", false, "" },
	{ "/a", "/a", true, "" },
	{ "/a", "/A", false, "" },
	{ "/a", "/ab", false, "" },
	{ "/ab", "/a", false, "" },
	{ "/a", "/a/", false, "" },
	{ "/a", "/a/b", false, "" },
	{ "/a", "/b/a", false, "" },
	{ "/a/", "/a/", true, "" },
	{ "/a/", "/a", false, "" },
	/* a whole segment */
	{ "/*", "/a", true, "a" },
	{ "/*", "/", false, "" },
	{ "/*", "/a/", false, "" },
	{ "/*", "/a/b", false, "" },
	{ "/a/*", "/a", false, "" },
	{ "/a/*", "/a/", false, "" },
	{ "/*/b", "/a/b", true, "a" },
	{ "/*/b", "/b", false, "" },
	{ "/*/*", "/a/b", true, "a" },
	{ "/*/*", "/a/", false, "" },
	{ "/x/*/y/*", "/x/1/y/2", true, "1" },
	/* a part of one */
	{ "/a*", "/a", true, "" },
	{ "/a*", "/abc", true, "" },
	{ "/a*", "/ba", false, "" },
	{ "/a*", "/a/b", false, "" },
	{ "/*a", "/a", true, "" },
	{ "/*a", "/bca", true, "" },
	{ "/*a", "/ab", false, "" },
	{ "/a*b", "/ab", true, "" },
	{ "/a*b", "/a-b-b", true, "" },
	{ "/a*b", "/a", false, "" },
	{ "/ab*ba", "/aba", false, "" },
	{ "/*hmr*", "/hmr", true, "" },
	{ "/*hmr*", "/webpack-hmr-2", true, "" },
	{ "/*hmr*", "/hm-r", false, "" },
	{ "/*a*b*", "/xaxbx", true, "" },
	{ "/*a*b*", "/ba", false, "" },
	{ "/*.js/*", "/a.js/x", true, "x" },
	/* any number of them */
	{ "/**", "/", true, "" },
	{ "/**", "/a", true, "" },
	{ "/**", "/a/b/", true, "" },
	{ "/a/**", "/a", true, "" },
	{ "/a/**", "/a/", true, "" },
	{ "/a/**", "/a/b/c", true, "" },
	{ "/a/**", "/ab", false, "" },
	{ "/a/**", "/b/a", false, "" },
	{ "/**/a", "/a", true, "" },
	{ "/**/a", "/b/c/a", true, "" },
	{ "/**/a", "/b/c/a/", false, "" },
	{ "/**/a", "/b/c", false, "" },
	{ "/a/**/b", "/a/b", true, "" },
	{ "/a/**/b", "/a/x/b/y/b", true, "" },
	{ "/a/**/b", "/a/x/b/y", false, "" },
	{ "/**/a/**/b", "/a/a/x/b", true, "" },
	{ "/**/a/*", "/x/a/1", true, "1" },
	{ "/*/**", "/a", true, "a" },
	{ "/*/**", "/", false, "" },
	/* the segment of the match, not of an attempt before it */
	{ "/**/session/*/x", "/session/1/session/2/x", true, "2" },
	{ "/**/*/x", "/a/b/x", true, "b" },
	{ "/*/x", "/a/b", false, "" },
	/* more than one reading */
	{ "/**", "/a/./b", false, "" },
	{ "/**", "/a/../b", false, "" },
	{ "/**", "/.", false, "" },
	{ "/**", "/..", false, "" },
	{ "/**", "/a/..", false, "" },
	{ "/**", "/...", true, "" },
	{ "/**", "/.a", true, "" },
	{ "/**", "/a..", true, "" },
	{ "/**", "//", false, "" },
	{ "/**", "//a", false, "" },
	{ "/**", "/a//b", false, "" },
	{ "/**", "/a//", false, "" },
	{ "/**", "/a\\b", false, "" },
	{ "/**", "/%2e", false, "" },
	{ "/**", "/a%2E", false, "" },
	{ "/**", "/a%2fb", false, "" },
	{ "/**", "/a%2Fb", false, "" },
	{ "/**", "/a%5cb", false, "" },
	{ "/**", "/a%5Cb", false, "" },
	{ "/**", "/a%00", false, "" },
	{ "/**", "/%41%2e", false, "" },
	{ "/**", "/%%2e", false, "" },
	{ "/**", "/a%20b", true, "" },
	{ "/**", "/%C3%A9", true, "" },
	{ "/*", "/%41%20b", true, "%41%20b" },
	/* malformed encodings */
	{ "/**", "/%", false, "" },
	{ "/**", "/a%2", false, "" },
	{ "/**", "/a%/b", false, "" },
	{ "/**", "/a%2/e", false, "" },
	{ "/**", "/%zz", false, "" },
	{ "/**", "/%2g", false, "" },
	{ "/**", "/%g2", false, "" },
	{ "/**", "/% 2", false, "" },
	{ "/**", "/%u002e", false, "" },
	{ "/**", "/%%41", false, "" },
	/* encoded control characters, and what has a meaning in a path */
	{ "/**", "/%01", false, "" },
	{ "/**", "/a%0d%0ab", false, "" },
	{ "/**", "/%1F", false, "" },
	{ "/**", "/%7f", false, "" },
	{ "/**", "/%20", true, "" },
	{ "/**", "/%7e", true, "" },
	{ "/**", "/..%3bx", false, "" },
	{ "/**", "/%252e", false, "" },
	{ "/**", "/%25252E", false, "" },
	/* overlong UTF-8 */
	{ "/**", "/%c0%ae", false, "" },
	{ "/**", "/%C1%9C", false, "" },
	{ "/**", "/%e0%80%ae", false, "" },
	{ "/**", "/%F0%80%80%AE", false, "" },
	{ "/**", "/%e0%a0%80%f0%90%80%80", true, "" },
	{ "/**", "/%e0x%80", true, "" },
	/* parameters, which some servers cut off */
	{ "/**", "/..;", false, "" },
	{ "/**", "/..;a=b/c", false, "" },
	{ "/**", "/a/.;x", false, "" },
	{ "/**", "/..;;", false, "" },
	{ "/**", "/a/;x/b", false, "" },
	{ "/**", "/;", false, "" },
	{ "/**", "/a;x", true, "" },
	{ "/**", "/a;..", true, "" },
	{ "/**", "/...;x", true, "" },
	{ "/*", "/a;x=1", true, "a;x=1" },
	{ "/**", "", false, "" },
	{ "/**", "*", false, "" },
	{ "/**", "a", false, "" },
	{ "/**", "?a", false, "" },
};

START_TEST(a_glob_matches_the_whole_path)
{
	for (size_t i = 0; i < LENGTH(globs); i++) {
		struct slice star = { "not set", 7 };

		ck_assert_msg(matches(globs[i].glob, globs[i].path, strlen(globs[i].path),
				      &star) == globs[i].match,
			      "%s and %s", globs[i].glob, globs[i].path);
		ck_assert_msg(slice_eq(star, slice_str(globs[i].star)),
			      "%.*s, not %s: %s and %s", SLICE_FMT(star), globs[i].star,
			      globs[i].glob, globs[i].path);
	}
}
END_TEST

START_TEST(a_path_may_be_cut_anywhere)
{
	static const char path[] = SESSION "a%41/novnc/websock";
	struct slice star;

	for (size_t n = 0; n < sizeof(path); n++) {
		bool whole = n == sizeof(path) - 1;

		ck_assert(matches(SESSION "*/novnc/websock", path, n, &star) == whole);
		ck_assert_slice_eq(star, whole ? "a%41" : "");
	}
	for (size_t i = 0; i < LENGTH(globs); i++)
		for (size_t n = 0; n < strlen(globs[i].path); n++)
			(void)matches(globs[i].glob, globs[i].path, n,
				      &star); /* for ASan */
}
END_TEST

START_TEST(a_percent_encoding_is_a_percent_and_two_hex_digits)
{
	static const struct {
		const char *text;
		int byte;
	} table[] = {
		{ "%41", 'A' }, { "%00", 0 },   { "%fF", 0xff }, { "%412", 'A' },
		{ "", -1 },     { "%", -1 },    { "%4", -1 },    { "%4g", -1 },
		{ "%g4", -1 },  { "% 41", -1 }, { "%+4", -1 },   { "441", -1 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		size_t len = strlen(table[i].text);
		char *block = exact(table[i].text, len);

		ck_assert_int_eq(path_percent_decode((struct slice){ block, len }),
				 table[i].byte);
		free(block);
	}
	for (size_t n = 0; n < 3; n++) /* what follows the slice is none of it */
		ck_assert_int_eq(path_percent_decode((struct slice){ "%41", n }), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("path");
	TCase *t = tcase_create("path");

	suite_add_tcase(suite, t);
	tcase_add_test(t, a_glob_matches_the_whole_path);
	tcase_add_test(t, a_path_may_be_cut_anywhere);
	tcase_add_test(t, a_percent_encoding_is_a_percent_and_two_hex_digits);
	return suite_run(suite);
}
