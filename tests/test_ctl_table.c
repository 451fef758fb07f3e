/* SPDX-License-Identifier: MIT */
/* ctl/table.c: widths, what is shortened, JSON. */
#include "ctl/table.h"

#include "testing.h"

static const struct table_column columns[] = {
	{ "NAME", TABLE_LEFT },
	{ "UP", TABLE_RIGHT },
	{ "UNIT", TABLE_MIDDLE },
	{ "ID", TABLE_HIDDEN },
};

static void fill(struct table *t)
{
	table_init(t, columns, LENGTH(columns));
	table_text(t, "a");
	table_bytes(t, true, 2048);
	table_text(t, "novnc-gate-http-00@1.service");
	table_text(t, "x");
	table_text(t, "alexandra");
	table_bytes(t, false, 0);
	table_text(t, "");
	table_text(t, NULL);
}

static void written(struct table *t, const struct table_style *style,
		    const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	table_write(t, style, to);
	ck_assert_int_eq(fclose(to), 0);
	ck_assert_str_eq(text, expected);
	free(text);
	table_done(t);
}

static void filled(const struct table_style *style, const char *expected)
{
	struct table t;

	fill(&t);
	written(&t, style, expected);
}

START_TEST(columns_are_as_wide_as_their_widest_cell)
{
	filled(&(struct table_style){ .legend = true },
	       "NAME        UP UNIT\n"
	       "a         2.0K novnc-gate-http-00@1.service\n"
	       "alexandra    - -\n");
	filled(&(struct table_style){ .legend = false },
	       "a         2.0K novnc-gate-http-00@1.service\n"
	       "alexandra    - -\n");
}
END_TEST

START_TEST(the_header_is_bold_with_colour)
{
	filled(&(struct table_style){ .legend = true, .colour = true, .rows = 1 },
	       "\x1b[0;1mNAME        UP UNIT\x1b[0m\n");
}
END_TEST

START_TEST(the_widest_column_gives_way_first)
{
	filled(&(struct table_style){ .utf8 = true, .columns = 43 },
	       "a         2.0K novnc-gate-http-00@1.service\n"
	       "alexandra    - -\n");
	filled(&(struct table_style){ .utf8 = true, .columns = 42 },
	       "a         2.0K novnc-ga\xe2\x80\xa6-http-00@1.service\n"
	       "alexandra    - -\n");
	filled(&(struct table_style){ .utf8 = true, .columns = 22 },
	       "a        2.0K no\xe2\x80\xa6rvice\n"
	       "alexand\xe2\x80\xa6    - -\n");
	filled(&(struct table_style){ .columns = 22 }, "a        2.0K n...vice\n"
						       "alexa...    - -\n");
}
END_TEST

START_TEST(no_column_gets_narrower_than_six)
{
	static const char narrow[] = "a      2.0K n\xe2\x80\xa6vice\n"
				     "alexa\xe2\x80\xa6    - -\n";

	filled(&(struct table_style){ .utf8 = true, .columns = 18 }, narrow);
	filled(&(struct table_style){ .utf8 = true, .columns = 1 }, narrow);
}
END_TEST

START_TEST(rows_are_limited)
{
	filled(&(struct table_style){ .legend = true, .rows = 2 },
	       "NAME        UP UNIT\n"
	       "a         2.0K novnc-gate-http-00@1.service\n");
}
END_TEST

START_TEST(json_has_numbers_and_null)
{
	struct table t;
	json_t *rows;
	char *text;

	fill(&t);
	rows = table_json(&t);
	text = json_dumps(rows, JSON_COMPACT);
	ck_assert_str_eq(
		text,
		"[{\"name\":\"a\",\"up\":2048,\"unit\":\"novnc-gate-http-00@1.service\","
		"\"id\":\"x\"},"
		"{\"name\":\"alexandra\",\"up\":null,\"unit\":null,\"id\":null}]");
	free(text);
	json_decref(rows);
	table_done(&t);
}
END_TEST

START_TEST(json_has_times_and_spans_in_microseconds)
{
	static const struct table_column pair[] = { { "SINCE", TABLE_RIGHT },
						    { "IDLE", TABLE_RIGHT } };
	struct table t;
	json_t *rows;
	char *text;

	table_init(&t, pair, LENGTH(pair));
	table_time(&t, true, 1795996800000001);
	table_span(&t, true, 61500);
	ck_assert_str_eq(t.cells[1].text, "1min 1s");
	rows = table_json(&t);
	text = json_dumps(rows, JSON_COMPACT);
	ck_assert_str_eq(text, "[{\"since\":1795996800000001,\"idle\":61500000}]");
	free(text);
	json_decref(rows);
	table_done(&t);
}
END_TEST

START_TEST(json_has_text_that_is_not_utf_8)
{
	static const char *const table[][2] = {
		{ "", "" },
		{ "Gr\xc3\xbc\xc3\x9f", "Gr\xc3\xbc\xc3\x9f" },
		{ "Gr\xfc\xdf\xc3\xbc", "Gr????" },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		json_t *json = table_json_text(table[i][0]);

		ck_assert_str_eq(json_string_value(json), table[i][1]);
		json_decref(json);
	}
}
END_TEST

START_TEST(a_table_may_be_empty)
{
	struct table t;
	json_t *rows;

	table_init(&t, columns, LENGTH(columns));
	rows = table_json(&t);
	ck_assert_uint_eq(json_array_size(rows), 0);
	json_decref(rows);
	table_done(&t);
	written(&t, &(struct table_style){ .legend = false }, "");
	table_init(&t, columns, LENGTH(columns));
	written(&t, &(struct table_style){ .legend = true }, "NAME UP UNIT\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl/table");
	TCase *t = tcase_create("table");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, columns_are_as_wide_as_their_widest_cell);
	tcase_add_test(t, the_header_is_bold_with_colour);
	tcase_add_test(t, the_widest_column_gives_way_first);
	tcase_add_test(t, no_column_gets_narrower_than_six);
	tcase_add_test(t, rows_are_limited);
	tcase_add_test(t, json_has_numbers_and_null);
	tcase_add_test(t, json_has_times_and_spans_in_microseconds);
	tcase_add_test(t, json_has_text_that_is_not_utf_8);
	tcase_add_test(t, a_table_may_be_empty);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
