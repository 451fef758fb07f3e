/* SPDX-License-Identifier: MIT */
/* config_syntax.c: sections, assignments, comments; what is wrong with them. */
#include "config/config_syntax.h"

#include "configuring.h"

START_TEST(the_syntax_is_systemds)
{
	static const char *const table[] = {
		"[Limits]\nHeadTimeoutSec=7\n",
		"[Limits]\nHeadTimeoutSec=7",
		"[Limits]\r\nHeadTimeoutSec=7\r\n",
		"[Limits]\r\nHeadTimeoutSec=7\r",
		"\xef\xbb\xbf[Limits]\nHeadTimeoutSec=7\n",
		"\n\n  \t\n[Limits]\n\nHeadTimeoutSec=7\n\n",
		" [Limits] \n\tHeadTimeoutSec \t= \t7 \t\n",
		"# c\n; c\n [Limits]\n  # c\n\t;HeadTimeoutSec=8\nHeadTimeoutSec=7\n#",
		"[Limits]\nHeadTimeoutSec=\\\n7\n",
		"[Limits]\nHeadTimeoutSec\\\n=\\\n\\\n   7\n",
		"[Limits]\r\nHeadTimeoutSec=\\\r\n7\r\n",
		"[Limits]\nHeadTimeoutSec=\\\n# c\n; c \\\n#\n7\n",
		"[Limits]\nHeadTimeoutSec=6s\\\n1\n",
		"[Limits]\nHeadTimeoutSec=7\\\n\nBodyTimeoutSec=1\n",
		"[Limits]\nHeadTimeoutSec=7\\\n",
		"[Limits]\nHeadTimeoutSec=7\\",
		"# a comment is not continued \\\n[Limits]\nHeadTimeoutSec=7\n",
		"# \303\244 \377\n[Limits]\nHeadTimeoutSec=7\n",
		"[Log]\nLevel=err\n[Limits]\nHeadTimeoutSec=8\n[Limits]\nHeadTimeoutSec=7\n",
	};
	struct config c;

	for (size_t i = 0; i < LENGTH(table); i++) {
		parse_good(&c, table[i]);
		ck_assert_msg(c.head_ms == 7000, "%s", table[i]);
		config_done(&c);
	}
}
END_TEST

#define TEN "0123456789"

START_TEST(errors_name_the_line_where_the_assignment_begins)
{
	static const struct {
		const char *text, *what;
	} table[] = {
		{ "[Log]\nLevel=x\n", ":2: Level=x " },
		{ "[Log]\n\n# c\n\nLevel=x\n", ":5: Level=x " },
		{ "[Log]\r\n\r\nLevel=x\r\n", ":3: Level=x " },
		{ "\xef\xbb\xbf[Log]\nLevel=x", ":2: Level=x " },
		{ "[Log]\nLevel=\\\n# c\nx\n", ":2: Level=x " },
		{ "[Log]\nLevel=\\\n# c\n\\\ndebug\nLevel=x", ":6: Level=x " },
		{ "[Log]\n# c \\\nLevel=x\\", ":3: Level=x " },
		{ "[Routes]\nNoVncPath=/a \\\n /b \\\n x\n", ":2: NoVncPath=x " },
		{ "\n[Log\nLevel=x\n", ":2: [Log does not end in ]\n" },
		{ "[Log]x\n", ":1: [Log]x does not end in ]\n" },
		{ "[\n", ":1: [ does not end in ]" },
		{ "[Log]\nLevel\n", ":2: Level is neither [Section] nor Key=Value" },
		{ "[Log]\n" TEN TEN TEN TEN TEN TEN TEN TEN "x\n",
		  TEN " is neither [Section] "
		      "nor Key=Value nor # comment\n" },
		{ "[Log]\nLevel=x\\\\\n", ":2: Level=x\\\\ is not a log level" },
		{ "Level=debug\n", ":1: Level= is not in any section; sections: [Next" },
		{ "[Log]\nLevel=debug # c\n", ":2: Level=debug # c is not a log level" },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		expect_reports(table[i].text, table[i].what, NULL);
}
END_TEST

START_TEST(unknown_names_are_answered_with_the_known_ones)
{
	static const char sections[] =
		"; sections: [NextJs] [MasterController] [Routes] [Client] [Authorization] "
		"[Tls] [Limits] [Log]\n";

	expect_reports("[Route]\nNoVncPath=/x\nnonsense=\n",
		       ":1: unknown section [Route]", sections, NULL);
	ck_assert_uint_eq(reports, 1); /* and nothing of its keys */
	expect_reports("[]\n", ":1: unknown section []", sections, NULL);
	expect_reports("[log]\n", ":1: unknown section [log]", sections, NULL);
	expect_reports("[ Log ]\n", ":1: unknown section [ Log ]", sections, NULL);
	expect_reports("[Log]\nlevel=debug\n",
		       ":2: unknown key level=; keys of [Log]: Level=\n", NULL);
	expect_reports("[Log]\n=debug\n", ":2: unknown key =; keys of [Log]: Level=\n",
		       NULL);
	expect_reports("[NextJs]\nNoVncPath=/\n",
		       ":2: unknown key NoVncPath=; keys of [NextJs]: Url= "
		       "VerifyTls= CaFile= ClientCertificate= ClientKey=\n",
		       NULL);
	expect_reports("[Routes]\nX=\n",
		       ":2: unknown key X=; keys of [Routes]: NoVncPath= ControllerPath= "
		       "NextJsUpgradePath= AllowedOrigins= UpgradeErrors= "
		       "HealthPath=\n",
		       NULL);
	expect_reports(
		"[Client]\nX=\n",
		":2: unknown key X=; keys of [Client]: TrustedProxies= ProxyProtocol=\n",
		NULL);
	expect_reports("[Nope]\nX=\n[Log]\nLevel=x\n", ":1: unknown section",
		       ":4: Level=x ", NULL);
}
END_TEST

START_TEST(lines_are_bounded)
{
	char text[2 * CONFIG_LINE_MAX] = "[Log]\n";
	char *line = text + strlen(text);
	struct config c;

	memset(line, '#', CONFIG_LINE_MAX);
	parse_good(&c, text);
	config_done(&c);
	strcat(text, "#\nLevel=x");
	expect_reports(text, ":2: the line is longer than 4096 bytes", NULL);
	ck_assert_uint_eq(reports, 1); /* what follows is not looked at */
}
END_TEST

START_TEST(bytes_that_are_no_text_are_refused)
{
	static const char before[] = "[Log]\nLevel=de", after[] = "bug\nLevel=y\n";
	char text[100], what[100];
	struct config c;

	for (unsigned byte = 0; byte < 256; byte++) {
		size_t len = (size_t)snprintf(text, sizeof(text), "%s?%s", before, after);

		text[strlen(before)] = (char)byte;
		(void)snprintf(what, sizeof(what), ":2: the byte 0x%02x is not text\n",
			       byte);
		ck_assert_int_eq(parse_bytes(&c, text, len), CONFIG_INVALID);
		if ((byte < ' ' && byte != '\t' && byte != '\n') || byte == 0x7f)
			ck_assert(reports == 1 && strstr(reported, what));
		else
			ck_assert_msg(!strstr(reported, "is not text"), "%s", reported);
		config_done(&c);
	}
}
END_TEST

START_TEST(not_more_than_so_many_errors_are_reported)
{
	char text[4096] = "[Log]\n";
	struct config c;

	for (int i = 0; i < CONFIG_REPORTS_MAX - 1; i++)
		strcat(text, "X=\n");
	parse(&c, text);
	ck_assert_uint_eq(reports, CONFIG_REPORTS_MAX - 1);
	ck_assert_ptr_null(strstr(reported, "too many"));
	config_done(&c);
	for (int i = 0; i < 5; i++)
		strcat(text, "X=\n");
	parse(&c, text);
	ck_assert_uint_eq(reports, CONFIG_REPORTS_MAX);
	ck_assert_ptr_nonnull(strstr(reported, ":21: too many errors"));
	config_done(&c);
}
END_TEST

/* A file with something of everything, fine and broken. */
static const char everything[] =
	"\xef\xbb\xbf# comment\r\n[NextJs]\nUrl=http://[2001:db8::1]:3001/\nUrl=unix:/run/x\n"
	"[MasterController]\nUrl = http://my_controller.example.:4000\nVerifyTls=no\n"
	"[Routes]\nNoVncPath=/a/*/%C3%A9/** \\\n; comment\n /b/ x /%2e /***\\\n\n"
	"ControllerPath=\nNextJsUpgradePath=/_next/*hmr*\n"
	"AllowedOrigins=* https://x.example:8443 http://[::1]:3000 null http://[1::\n"
	"[Nope]\nKey=\n[Limits]\nHeadMaxBytes=64K\nHeadTimeoutSec=1h 1.25min 3\302\265s\n"
	"IdleTimeoutSec=infinity\nLingerTimeoutSec=99999999999999999999\n[Log]\nLevel=debug\\\\\n"
	"Level=info\\";

START_TEST(a_file_may_end_anywhere)
{
	struct config c;
	char *text;

	for (size_t n = 0; n < sizeof(everything); n++) {
		(void)parse_bytes(&c, everything, n);
		ck_assert_uint_lt(reports, 12);
		text = printed(&c); /* whatever was read is usable */
		free(text);
		config_done(&c);
	}
}
END_TEST

START_TEST(a_file_may_have_any_byte_anywhere)
{
	static const char odd[] = "\0\n\r\\ =[]#/*%:.@\xff"
				  "09";
	size_t step = RUNNING_ON_VALGRIND ? 5 : 1;
	char text[sizeof(everything)];
	struct config c;

	for (size_t n = 0; n < sizeof(everything) - 1; n++)
		for (size_t i = n % step; i < sizeof(odd) - 1; i += step) {
			memcpy(text, everything, sizeof(text));
			text[n] = odd[i];
			(void)parse_bytes(&c, text, sizeof(text) - 1);
			config_done(&c);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config: syntax");
	TCase *t = tcase_create("syntax");

	suite_add_tcase(suite, t);
	tcase_set_timeout(t, 60); /* under valgrind */
	tcase_add_test(t, the_syntax_is_systemds);
	tcase_add_test(t, errors_name_the_line_where_the_assignment_begins);
	tcase_add_test(t, unknown_names_are_answered_with_the_known_ones);
	tcase_add_test(t, lines_are_bounded);
	tcase_add_test(t, bytes_that_are_no_text_are_refused);
	tcase_add_test(t, not_more_than_so_many_errors_are_reported);
	tcase_add_test(t, a_file_may_end_anywhere);
	tcase_add_test(t, a_file_may_have_any_byte_anywhere);
	return suite_run(suite);
}
