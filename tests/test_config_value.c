/* SPDX-License-Identifier: MIT */
/* config_value.c: time spans, sizes, levels, yes and no, files. */
#include "configuring.h"

START_TEST(time_spans_are_read_as_systemd_reads_them)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} table[] = {
		{ "10", 10000 },
		{ "10s", 10000 },
		{ "010", 10000 },
		{ "500ms", 500 },
		{ "5min", 300000 },
		{ "1h 30min", 5400000 },
		{ "1h30min", 5400000 },
		{ "2 h", 7200000 },
		{ "2hours", 7200000 },
		{ "48hr", 172800000 },
		{ "55s500ms", 55500 },
		{ "300ms20s 5day", 432020300 },
		{ "2week", 1209600000 },
		{ "1 sec 1 second 2 seconds 1m 1 minute 2minutes", 244000 },
		{ "1hour 1d 2 days 1w", 867600000 },
		{ "5 10", 15000 },
		{ "1h\t30", 3630000 },
		{ "1.5s", 1500 },
		{ "1.5", 1500 },
		{ "0.25min", 15000 },
		{ "1.25ms", 2 },
		{ "2000us", 2 },
		{ "2001usec", 3 },
		{ "1us", 1 },
		{ "1\302\265s", 1 },
		{ "1\316\274s", 1 },
		{ "0s 1us", 1 },
		{ "0.0000019s", 1 },
		{ "1.00000000000000000000000000000000s", 1000 },
		{ "24d", 24 * 86400000ULL },
		{ "23.99999d", 2073599136 },
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[Limits]\nHeadTimeoutSec=%s\n",
			       table[i].text);
		parse_good(&c, text);
		ck_assert_msg(c.head_ms == table[i].ms, "%s is %llu", table[i].text,
			      (unsigned long long)c.head_ms);
		config_done(&c);
	}
}
END_TEST

START_TEST(what_is_no_time_span_is_refused)
{
	static const struct {
		const char *text, *why;
	} table[] = {
		{ "abc", "is not a time span" },
		{ "s", "is not a time span" },
		{ "-1", "is not a time span" },
		{ "+1", "is not a time span" },
		{ "0x10", "is not a time span" },
		{ "1e3", "is not a time span" },
		{ "1,5s", "is not a time span" },
		{ "1.s", "is not a time span" },
		{ "1.", "is not a time span" },
		{ ".5s", "is not a time span" },
		{ "1.5.5s", "is not a time span" },
		{ "1. 5s", "is not a time span" },
		{ "1S", "is not a time span" },
		{ "10 s s", "is not a time span" },
		{ "10s # comment", "is not a time span" },
		{ "\"10s\"", "is not a time span" },
		{ "1y", "is not a time span" },
		{ "10s infinity", "is not a time span" },
		{ "Infinity", "is not a time span" },
		{ "0", "is out of range" },
		{ "0.0000001s", "is out of range" },
		{ "24d 1us", "is out of range" },
		{ "18446744073709551616us", "is out of range" },
		/* each would be a little more than 0 in 64 bits */
		{ "18446744073709551619us", "is out of range" },
		{ "18446744073709551615us 1s 5s", "is out of range" },
		{ "18446744073710s", "is out of range" },
		{ "99999999999999999999999999999w", "is out of range" },
		{ "infinity", "would wait forever" },
	};
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[Limits]\nHeadTimeoutSec=%s\n",
			       table[i].text);
		expect_reports(text, ":2: HeadTimeoutSec=", table[i].text, table[i].why,
			       "; allowed: a time span such as 10s, 5min or 1h 30min, "
			       "from 1ms to 24d\n",
			       NULL);
		ck_assert_uint_eq(reports, 1);
	}
}
END_TEST

START_TEST(only_a_tunnel_may_wait_for_ever_and_zero_must_make_sense)
{
	static const struct {
		const char *key;
		bool zero, infinity;
	} table[] = {
		{ "HeadTimeoutSec", false, false },
		{ "KeepAliveTimeoutSec", true, false },
		{ "ConnectTimeoutSec", false, false },
		{ "UpgradeTimeoutSec", false, false },
		{ "ResponseTimeoutSec", false, false },
		{ "BodyTimeoutSec", false, false },
		{ "LingerTimeoutSec", true, true },
		{ "IdleTimeoutSec", false, true },
		{ "SessionTimeoutSec", false, true },
		{ "HeartbeatSec", true, false },
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[Limits]\n%s=0\n", table[i].key);
		ck_assert_msg((parse(&c, text) == 0) == table[i].zero, "%s", text);
		config_done(&c);
		(void)snprintf(text, sizeof(text), "[Limits]\n%s=infinity\n",
			       table[i].key);
		ck_assert_msg((parse(&c, text) == 0) == table[i].infinity, "%s", text);
		config_done(&c);
		(void)snprintf(text, sizeof(text), "[Limits]\n%s=25d\n", table[i].key);
		expect_reports(text, table[i].zero ? "from 0 to 24d" : "from 1ms to 24d",
			       table[i].infinity ? ", or infinity\n" : "24d\n", NULL);
	}
}
END_TEST

START_TEST(sizes_are_bytes_K_and_M)
{
	static const struct {
		const char *text;
		size_t bytes; /* 0: refused */
	} table[] = {
		{ "1024", 1024 },
		{ "1K", 1024 },
		{ "1025", 1025 },
		{ "32K", 32768 },
		{ "256K", 262144 },
		{ "262144", 262144 },
		{ "1023", 0 },
		{ "262145", 0 },
		{ "257K", 0 },
		{ "0", 0 },
		{ "1M", 0 },
		{ "18014398509481985K", 0 }, /* 1024 bytes more than 64 bits hold */
		{ "18446744073709551616", 0 },
		{ "32k", 0 },
		{ "32KB", 0 },
		{ "32 K", 0 },
		{ "K", 0 },
		{ "-1", 0 },
		{ "+2048", 0 },
		{ "0x800", 0 },
		{ "1.5K", 0 },
		{ "infinity", 0 },
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[Limits]\nHeadMaxBytes=%s\n",
			       table[i].text);
		if (table[i].bytes == 0) {
			expect_reports(
				text, ":2: HeadMaxBytes=", table[i].text,
				"; allowed: a number of bytes such as 8192 or 32K, "
				"from 1K to 256K\n",
				NULL);
			continue;
		}
		parse_good(&c, text);
		ck_assert_uint_eq(c.head_max, table[i].bytes);
		config_done(&c);
	}
}
END_TEST

START_TEST(levels_are_those_of_syslog_from_err_on)
{
	static const char *const names[] = { "err", "warning", "notice", "info",
					     "debug" };
	static const char *const bad[] = {
		"ERR", "error", "crit", "5", "notic", "notices"
	};
	struct config c;
	char text[100];

	for (size_t i = 0; i < LENGTH(names); i++) {
		(void)snprintf(text, sizeof(text), "[Log]\nLevel=%s\n", names[i]);
		parse_good(&c, text);
		ck_assert_int_eq(c.log_level, LOG_ERR + (int)i);
		config_done(&c);
	}
	for (size_t i = 0; i < LENGTH(bad); i++) {
		(void)snprintf(text, sizeof(text), "[Log]\nLevel=%s\n", bad[i]);
		expect_reports(text, ":2: Level=", bad[i],
			       "; allowed: err, warning, notice, info or debug\n", NULL);
	}
}
END_TEST

START_TEST(yes_and_no_are_systemds)
{
	static const char *const words[][6] = {
		{ "no", "No", "false", "off", "0", "n" },
		{ "yes", "YES", "true", "on", "1", "" },
	};
	struct config c;
	char text[100];

	for (size_t value = 0; value < 2; value++)
		for (size_t i = 0; i < 6; i++) {
			(void)snprintf(text, sizeof(text), "[NextJs]\nVerifyTls=%s\n",
				       words[value][i]);
			parse_good(&c, text);
			ck_assert(c.backend[CONFIG_NEXTJS].trust.verify == (value == 1));
			config_done(&c);
		}
	expect_reports("[NextJs]\nVerifyTls=maybe\n",
		       ":2: VerifyTls=maybe is not a boolean; allowed: yes or no\n",
		       NULL);
	expect_reports("[NextJs]\nVerifyTls=yes no\n", "not a boolean", NULL);
	expect_reports(
		"[MasterController]\nRewriteOrigin=http://ctl\n",
		":2: RewriteOrigin=http://ctl is not a boolean; allowed: yes or no\n",
		NULL);
	expect_reports("[NextJs]\nRewriteOrigin=yes\n",
		       ":2: unknown key RewriteOrigin=; keys of [NextJs]:", NULL);
}
END_TEST

START_TEST(upgrade_errors_are_http_or_close)
{
	struct config c;

	parse_good(&c, "[Routes]\nUpgradeErrors=close\n");
	ck_assert_int_eq(c.upgrade_errors, CONFIG_UPGRADE_ERRORS_CLOSE);
	config_done(&c);
	parse_good(&c, "[Routes]\nUpgradeErrors=close\nUpgradeErrors=http\n");
	ck_assert_int_eq(c.upgrade_errors, CONFIG_UPGRADE_ERRORS_HTTP);
	config_done(&c);
	parse_good(&c, "[Routes]\nUpgradeErrors=close\nUpgradeErrors=\n");
	ck_assert_int_eq(c.upgrade_errors, CONFIG_UPGRADE_ERRORS_HTTP);
	config_done(&c);
	expect_reports(
		"[Routes]\nUpgradeErrors=Close\n",
		":2: UpgradeErrors=Close is neither http nor close; allowed: http or close\n",
		NULL);
	expect_reports("[Routes]\nUpgradeErrors=http close\n", "neither http nor close",
		       NULL);
}
END_TEST

START_TEST(files_are_absolute_and_credentials_have_names)
{
	char text[400] = "[Tls]\nKey=";
	struct config c;

	parse_good(&c, "[Tls]\nCertificate=/a b/c\nKey=my.key\nTicketKey=\n"
		       "ClientCaFile=/x\nClientCaFile=\n[NextJs]\nCaFile=/ca\n");
	ck_assert_str_eq(c.tls.certificate, "/a b/c");
	ck_assert_str_eq(c.tls.key, "my.key");
	ck_assert_str_eq(c.tls.ticket_key, "tls.ticket");
	ck_assert_ptr_null(c.tls.client_ca_file);
	ck_assert_str_eq(c.backend[CONFIG_NEXTJS].trust.ca_file, "/ca");
	ck_assert_ptr_null(c.backend[CONFIG_CONTROLLER].trust.ca_file);
	config_done(&c);
	expect_reports("[NextJs]\nCaFile=ca.pem\n", "is not an absolute path", NULL);
	expect_reports("[Tls]\nClientCaFile=ca.pem\n", "is not an absolute path", NULL);
	expect_reports("[Tls]\nKey=a/b\n", "neither an absolute path nor the name of a",
		       NULL);
	expect_reports("[Tls]\nKey=..\n", "neither an absolute path nor the name of a",
		       NULL);
	expect_reports("[Tls]\nKey=.\n", "neither an absolute path nor the name of a",
		       NULL);
	memset(text + strlen(text), 'x', 330);
	expect_reports(text, "is too long", NULL);
	text[strlen("[Tls]\nKey=")] = '/';
	expect_reports(text, "is too long", NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config: values");
	TCase *t = tcase_create("values");

	suite_add_tcase(suite, t);
	tcase_add_test(t, time_spans_are_read_as_systemd_reads_them);
	tcase_add_test(t, what_is_no_time_span_is_refused);
	tcase_add_test(t, only_a_tunnel_may_wait_for_ever_and_zero_must_make_sense);
	tcase_add_test(t, sizes_are_bytes_K_and_M);
	tcase_add_test(t, levels_are_those_of_syslog_from_err_on);
	tcase_add_test(t, yes_and_no_are_systemds);
	tcase_add_test(t, upgrade_errors_are_http_or_close);
	tcase_add_test(t, files_are_absolute_and_credentials_have_names);
	return suite_run(suite);
}
