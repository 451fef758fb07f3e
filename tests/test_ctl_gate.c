/* SPDX-License-Identifier: MIT */
/* ctl/gate.c: what `novnc-gate --check=report` prints. */
#include "ctl/gate.h"

#include "testing.h"

static const char output[] = "note\tuser\tThere is no user\t\n"
			     "good\tconfiguration\t/etc/novnc-gate.conf is valid\t\n"
			     "settings\n"
			     "[NextJs]\n"
			     "Url=http://127.0.0.1:3001\n"
			     "\n"
			     "error\tin the settings\tthis is no result\t\n"
			     "end of settings\n"
			     "error\tNext.js\tit is down\tstart it\n"
			     "certificate\t1796031432\tlocalhost 192.0.2.1\n"
			     "warning\tcertificate\tno host\tget another\n";

START_TEST(results_are_read_in_their_order)
{
	static const struct {
		enum gate_level level;
		const char *subject, *text, *hint;
	} table[] = {
		{ GATE_NOTE, "user", "There is no user", "" },
		{ GATE_GOOD, "configuration", "/etc/novnc-gate.conf is valid", "" },
		{ GATE_ERROR, "Next.js", "it is down", "start it" },
		{ GATE_WARNING, "certificate", "no host", "get another" },
	};
	struct gate_report r;

	gate_report_parse(output, &r);
	ck_assert_uint_eq(r.n, LENGTH(table));
	for (size_t i = 0; i < LENGTH(table); i++) {
		ck_assert_int_eq(r.result[i].level, table[i].level);
		ck_assert_str_eq(r.result[i].subject, table[i].subject);
		ck_assert_str_eq(r.result[i].text, table[i].text);
		ck_assert_str_eq(r.result[i].hint, table[i].hint);
	}
	ck_assert_str_eq(r.settings, "[NextJs]\nUrl=http://127.0.0.1:3001\n\n"
				     "error\tin the settings\tthis is no result\t\n");
	ck_assert_str_eq(r.certificate, "localhost 192.0.2.1");
	ck_assert_int_eq(r.certificate_until, 1796031432);
	gate_report_done(&r);
}
END_TEST

START_TEST(lines_of_other_kinds_are_left_out)
{
	static const char *const table[] = {
		"",
		"\n\n\n",
		"good",
		"good\tx",
		"good\tx\ty", /* no hint */
		"fine\tx\ty\tz\n",
		"certificate\n",
		"certificate\t\n",
		"certificate\tsoon\tlocalhost\n",
		"certificate\t1\n",
		"certificate\t99999999999999999999\tlocalhost\n",
		"end of settings\n",
	};
	struct gate_report r;

	for (size_t i = 0; i < LENGTH(table); i++) {
		gate_report_parse(table[i], &r);
		ck_assert_uint_eq(r.n, 0);
		ck_assert_ptr_null(r.certificate);
		ck_assert_str_eq(r.settings, "");
		gate_report_done(&r);
	}
}
END_TEST

START_TEST(the_output_can_be_cut_everywhere)
{
	for (size_t n = 0; n < sizeof(output); n++) {
		char *cut = exact(output, n + 1);
		struct gate_report r;

		cut[n] = '\0';
		gate_report_parse(cut, &r);
		ck_assert_uint_le(r.n, 4);
		gate_report_done(&r);
		free(cut);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl/gate");
	TCase *t = tcase_create("gate");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, results_are_read_in_their_order);
	tcase_add_test(t, lines_of_other_kinds_are_left_out);
	tcase_add_test(t, the_output_can_be_cut_everywhere);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
