/* SPDX-License-Identifier: MIT */
/* config_keys.c, config_load.c: defaults, lists, single values; the papers that go with them. */
#include "config/config_keys.h"

#include <fcntl.h>

#include "config/config_syntax.h"
#include "configuring.h"

/* The output of config_print() for the defaults. */
static const char defaults_text[] = "[NextJs]\n"
				    "Url=http://127.0.0.1:3001\n"
				    "VerifyTls=yes\n"
				    "CaFile=\n"
				    "ClientCertificate=\n"
				    "ClientKey=\n"
				    "\n"
				    "[MasterController]\n"
				    "Url=http://127.0.0.1:4000\n"
				    "RewriteOrigin=no\n"
				    "VerifyTls=yes\n"
				    "CaFile=\n"
				    "ClientCertificate=\n"
				    "ClientKey=\n"
				    "\n"
				    "[Routes]\n"
				    "NoVncPath=" DEFAULT_NOVNC "\n"
				    "ControllerPath=\n"
				    "NextJsUpgradePath=/_next/*hmr*\n"
				    "AllowedOrigins=\n"
				    "UpgradeErrors=http\n"
				    "HealthPath=\n"
				    "\n"
				    "[Client]\n"
				    "TrustedProxies=\n"
				    "ProxyProtocol=no\n"
				    "\n"
				    "[Authorization]\n"
				    "Path=\n"
				    "TimeoutSec=5s\n"
				    "RecheckSec=5min\n"
				    "\n"
				    "[Tls]\n"
				    "Certificate=tls.crt\n"
				    "Key=tls.key\n"
				    "TicketKey=tls.ticket\n"
				    "ClientCaFile=\n"
				    "\n"
				    "[Limits]\n"
				    "HeadMaxBytes=32K\n"
				    "HeadTimeoutSec=10s\n"
				    "KeepAliveTimeoutSec=15s\n"
				    "ConnectTimeoutSec=5s\n"
				    "UpgradeTimeoutSec=10s\n"
				    "ResponseTimeoutSec=5min\n"
				    "BodyTimeoutSec=1min\n"
				    "LingerTimeoutSec=30s\n"
				    "IdleTimeoutSec=infinity\n"
				    "SessionTimeoutSec=infinity\n"
				    "HeartbeatSec=30s\n"
				    "\n"
				    "[Log]\n"
				    "Level=notice\n";

/* ---- the defaults */

START_TEST(defaults_are_those_of_the_design)
{
	struct config c;

	config_init(&c);
	ck_assert_str_eq(c.backend[CONFIG_NEXTJS].url, "http://127.0.0.1:3001");
	ck_assert_str_eq(c.backend[CONFIG_NEXTJS].name, "Next.js");
	ck_assert_str_eq(c.backend[CONFIG_CONTROLLER].url, "http://127.0.0.1:4000");
	ck_assert_str_eq(c.backend[CONFIG_CONTROLLER].name, "master-controller");
	ck_assert(!c.rewrite_origin);
	ck_assert_str_eq(joined(c.novnc_path), DEFAULT_NOVNC);
	ck_assert_str_eq(joined(c.controller_path), "");
	ck_assert_str_eq(joined(c.nextjs_upgrade_path), "/_next/*hmr*");
	ck_assert_str_eq(joined(c.allowed_origins), "");
	ck_assert_int_eq(c.upgrade_errors, CONFIG_UPGRADE_ERRORS_HTTP);
	ck_assert_str_eq(joined(c.health_path), "");
	ck_assert_str_eq(joined(c.trusted_proxies), "");
	ck_assert_uint_eq(c.trusted.n, 0);
	ck_assert(!c.proxy_protocol);
	ck_assert_ptr_null(c.authorize_path);
	ck_assert_uint_eq(c.authorize_ms, 5000);
	ck_assert_uint_eq(c.recheck_ms, 300000);
	ck_assert_uint_eq(c.head_max, 32768);
	ck_assert_uint_eq(c.head_ms, 10000);
	ck_assert_uint_eq(c.keep_alive_ms, 15000);
	ck_assert_uint_eq(c.connect_ms, 5000);
	ck_assert_uint_eq(c.upgrade_ms, 10000);
	ck_assert_uint_eq(c.response_ms, 300000);
	ck_assert_uint_eq(c.body_ms, 60000);
	ck_assert_uint_eq(c.linger_ms, 30000);
	ck_assert_uint_eq(c.idle_ms, CLOCK_INFINITY);
	ck_assert_uint_eq(c.session_ms, CLOCK_INFINITY);
	ck_assert_uint_eq(c.heartbeat_ms, 30000);
	ck_assert_int_eq(c.log_level, LOG_NOTICE);
	config_done(&c);
}
END_TEST

START_TEST(an_empty_file_changes_nothing)
{
	struct config c;
	char *text;

	parse_good(&c, "");
	text = printed(&c);
	ck_assert_str_eq(text, defaults_text);
	free(text);
	config_done(&c);
}
END_TEST

START_TEST(what_is_printed_reads_back_as_the_same)
{
	static const char text[] =
		"[NextJs]\nUrl=unix:/run/next.sock\n"
		"[MasterController]\nUrl=http://[::1]/\nRewriteOrigin=yes\n"
		"[Routes]\nNoVncPath=/a/* /b\nControllerPath=/c/** /d/*/e\n"
		"NextJsUpgradePath=\nAllowedOrigins=https://x.example *\n"
		"UpgradeErrors=close\nHealthPath=/healthz\n"
		"[Client]\nTrustedProxies=10.0.0.0/8 ::1\nProxyProtocol=yes\n"
		"[Authorization]\nPath=/may?x=%2f\nTimeoutSec=2s\nRecheckSec=infinity\n"
		"[Limits]\nHeadMaxBytes=5000\nHeadTimeoutSec=1d 2h 3min 4s 5ms\n"
		"KeepAliveTimeoutSec=0\nConnectTimeoutSec=1ms\n"
		"LingerTimeoutSec=infinity\nIdleTimeoutSec=24d\n"
		"SessionTimeoutSec=8h\nHeartbeatSec=0\n"
		"[Log]\nLevel=debug\n";
	struct config c, again;
	char *once, *twice;

	parse_good(&c, text);
	once = printed(&c);
	ck_assert_ptr_nonnull(strstr(once, "HeadTimeoutSec=1d 2h 3min 4s 5ms\n"));
	ck_assert_ptr_nonnull(strstr(once, "KeepAliveTimeoutSec=0\n"));
	ck_assert_ptr_nonnull(strstr(once, "ControllerPath=/c/** /d/*/e\n"));
	ck_assert_ptr_nonnull(strstr(once, "Url=unix:/run/next.sock\n"));
	ck_assert_ptr_nonnull(strstr(once, "RewriteOrigin=yes\n"));
	ck_assert_ptr_nonnull(strstr(once, "UpgradeErrors=close\nHealthPath=/healthz\n"));
	ck_assert_ptr_nonnull(
		strstr(once, "TrustedProxies=10.0.0.0/8 ::1\nProxyProtocol=yes\n"));
	ck_assert_ptr_nonnull(
		strstr(once, "Path=/may?x=%2f\nTimeoutSec=2s\nRecheckSec=infinity\n"));
	ck_assert_ptr_nonnull(strstr(once, "SessionTimeoutSec=8h\nHeartbeatSec=0\n"));
	parse_good(&again, once);
	twice = printed(&again);
	ck_assert_str_eq(once, twice);
	free(once);
	free(twice);
	config_done(&c);
	config_done(&again);
}
END_TEST

/* ---- lists and single values */

START_TEST(a_list_replaces_its_default_and_then_grows)
{
	static const struct {
		const char *text, *words;
	} table[] = {
		{ "NoVncPath=/a\n", "/a" },
		{ "NoVncPath=/a /b\t/c\n", "/a /b /c" },
		{ "NoVncPath=/a\nNoVncPath=/b /c\n", "/a /b /c" },
		{ "NoVncPath=\n", "" },
		{ "NoVncPath= \t \n", "" },
		{ "NoVncPath=/a\nNoVncPath=\n", "" },
		{ "NoVncPath=/a\nNoVncPath=\nNoVncPath=/b\n", "/b" },
		{ "NoVncPath=\nNoVncPath=/a\nNoVncPath=/a\n", "/a /a" },
		{ "NoVncPath=/a \\\n  /b\\\n/c\n", "/a /b /c" },
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[Routes]\n%s", table[i].text);
		parse_good(&c, text);
		ck_assert_str_eq(joined(c.novnc_path), table[i].words);
		config_done(&c);
		ck_assert_str_eq(joined(c.novnc_path), DEFAULT_NOVNC);
	}
}
END_TEST

START_TEST(a_list_of_one_byte_words_fits)
{
	char text[CONFIG_LINE_MAX + 100] = "[Routes]\nControllerPath=";
	size_t words = (CONFIG_LINE_MAX - strlen("ControllerPath=")) / 2;
	struct config c;
	size_t n = 0;

	for (size_t i = 0; i < words; i++)
		strcat(text, " /");
	parse_good(&c, text);
	while (c.controller_path[n])
		n++;
	ck_assert_uint_eq(n, words);
	config_done(&c);
}
END_TEST

START_TEST(the_last_single_value_counts_and_an_empty_one_is_the_default)
{
	struct config c;

	parse_good(&c, "[Limits]\nHeadTimeoutSec=1\nHeadTimeoutSec=2\nBodyTimeoutSec=1\n"
		       "BodyTimeoutSec=\nIdleTimeoutSec=1\nHeadMaxBytes=1K\n"
		       "[NextJs]\nUrl=http://x\nUrl=\n[Log]\nLevel=debug\nLevel=\n"
		       "[Limits]\nIdleTimeoutSec=\nHeadMaxBytes=\n");
	ck_assert_uint_eq(c.head_ms, 2000);
	ck_assert_uint_eq(c.body_ms, 60000);
	ck_assert_uint_eq(c.idle_ms, CLOCK_INFINITY);
	ck_assert_uint_eq(c.head_max, 32768);
	ck_assert_str_eq(c.backend[CONFIG_NEXTJS].authority, "127.0.0.1:3001");
	ck_assert_int_eq(c.log_level, LOG_NOTICE);
	config_done(&c);
}
END_TEST

START_TEST(what_is_wrong_is_as_if_it_were_not_there)
{
	struct config c;

	parse(&c,
	      "[Routes]\nNoVncPath=nonsense\nControllerPath=/a b /c\n"
	      "[Limits]\nHeadTimeoutSec=3\nHeadTimeoutSec=x\n[NextJs]\nUrl=http://x/y\n");
	ck_assert_uint_eq(reports, 4);
	ck_assert_str_eq(joined(c.novnc_path), DEFAULT_NOVNC);
	ck_assert_str_eq(joined(c.controller_path), "/a /c");
	ck_assert_uint_eq(c.head_ms, 3000);
	ck_assert_str_eq(c.backend[CONFIG_NEXTJS].authority, "127.0.0.1:3001");
	config_done(&c);
}
END_TEST

/* ---- the PROXY protocol */

#define PROXY_NEEDS \
	" needs TrustedProxies= in section [Client]: the addresses of the proxies\n"

START_TEST(the_proxy_protocol_needs_trusted_proxies_wherever_they_are_set)
{
	static const struct {
		const char *text;
		unsigned line; /* of the error; 0: none */
	} table[] = {
		{ "ProxyProtocol=no\n", 0 },
		{ "ProxyProtocol=yes\n", 2 },
		{ "\n\nProxyProtocol=1\n\n", 4 },
		{ "ProxyProtocol=no\nProxyProtocol=yes\n", 3 },
		{ "ProxyProtocol=yes\nProxyProtocol=yes\n", 3 },
		{ "ProxyProtocol=yes\nProxyProtocol=no\n", 0 },
		{ "ProxyProtocol=yes\nProxyProtocol=\n", 0 },
		{ "ProxyProtocol=yes\nTrustedProxies=::1\n", 0 },
		{ "TrustedProxies=::1\nProxyProtocol=yes\n", 0 },
		{ "TrustedProxies=::1\nProxyProtocol=yes\nTrustedProxies=\n", 3 },
	};
	char text[200], expected[200];
	struct config c;

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[Client]\n%s", table[i].text);
		(void)snprintf(expected, sizeof(expected),
			       ":%u: ProxyProtocol=yes" PROXY_NEEDS, table[i].line);
		ck_assert_int_eq(parse(&c, text),
				 table[i].line > 0 ? CONFIG_INVALID : CONFIG_OK);
		ck_assert_msg(table[i].line == 0 || strstr(reported, expected), "%s: %s",
			      text, reported);
		ck_assert_uint_eq(reports, table[i].line > 0);
		config_done(&c);
	}
}
END_TEST

START_TEST(the_option_for_the_proxy_protocol_is_as_the_key)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{ "[Client]\nTrustedProxies=::1\n", "" },
		{ "[Client]\nTrustedProxies=::1\nProxyProtocol=no\n", "" },
		{ "[Client]\nTrustedProxies=::1\nProxyProtocol=yes\n", "" },
		{ "", "/x.conf: --proxy-protocol" PROXY_NEEDS },
		{ "[Client]\nProxyProtocol=no\n",
		  "/x.conf: --proxy-protocol" PROXY_NEEDS },
		{ "[Client]\nProxyProtocol=yes\n", "" }, /* has been reported */
	};
	enum config_result expected;
	struct config c;

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)parse(&c, table[i].text);
		forget();
		expected = table[i].expected[0] ? CONFIG_INVALID : CONFIG_OK;
		ck_assert_int_eq(
			config_use_proxy_protocol(&c, "/x.conf", report, &reports),
			expected);
		ck_assert_str_eq(reported, table[i].expected);
		ck_assert(c.proxy_protocol);
		config_done(&c);
	}
}
END_TEST

/* ---- mutual TLS with a backend */

START_TEST(the_key_of_a_client_needs_its_certificate_wherever_it_is_set)
{
	static const struct {
		const char *text;
		unsigned line; /* of the error; 0: none */
		const char *section;
	} table[] = {
		{ "[NextJs]\nClientKey=/k\n", 2, "NextJs" },
		{ "[MasterController]\n\nClientKey=/k\n", 3, "MasterController" },
		{ "[NextJs]\nClientKey=/a\nClientKey=/b\n", 3, "NextJs" },
		{ "[NextJs]\nClientKey=/k\n[MasterController]\nClientCertificate=/c\n", 2,
		  "NextJs" },
		{ "[NextJs]\nClientCertificate=/c\nClientKey=/k\nClientCertificate=\n", 3,
		  "NextJs" },
		{ "[NextJs]\nClientKey=/k\nClientKey=\n", 0, "" },
		{ "[NextJs]\nClientKey=/k\nClientCertificate=/c\n", 0, "" },
		{ "[MasterController]\nClientCertificate=/c\n", 0, "" },
	};
	char expected[200];
	struct config c;

	for (size_t i = 0; i < LENGTH(table); i++) {
		bool wrong = table[i].line > 0;

		(void)snprintf(
			expected, sizeof(expected),
			":%u: ClientKey= needs ClientCertificate= in section [%s]: "
			"the certificate of this key\n",
			table[i].line, table[i].section);
		ck_assert_int_eq(parse(&c, table[i].text),
				 wrong ? CONFIG_INVALID : CONFIG_OK);
		ck_assert_msg(!wrong || strstr(reported, expected), "%s: %s",
			      table[i].text, reported);
		ck_assert_uint_eq(reports, wrong);
		config_done(&c);
	}
	parse(&c, "[NextJs]\nClientKey=/k\n[MasterController]\nClientKey=/k\n");
	ck_assert_uint_eq(reports, 2);
	config_done(&c);
}
END_TEST

/* ---- papers that go with the code */

static char *slurp(const char *path)
{
	char *text = calloc(1, 65536);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_gt(read(fd, text, 65535), 0);
	close(fd);
	return text;
}

/* Every line "Key=" of the defaults, in turn; NULL at the end. */
static const char *next_key(const char **rest)
{
	static char key[64];

	while (**rest != '\0') {
		const char *line = *rest;
		size_t len = strcspn(line, "\n");

		*rest = line + len + (line[len] == '\n');
		if (len > 0 && line[0] != '[') {
			(void)snprintf(key, sizeof(key), "%.*s",
				       (int)strcspn(line, "=") + 1, line);
			return key;
		}
	}
	return NULL;
}

START_TEST(the_installed_file_shows_the_defaults)
{
	static const char *const blanks[][2] = { { "@NEXTJS@", "http://127.0.0.1:3001" },
						 { "@CONTROLLER@",
						   "http://127.0.0.1:4000" } };
	char *shipped = slurp("units/novnc-gate.conf.in"), *text = calloc(1, 65536),
	     *end = text;
	const char *rest = defaults_text;
	struct config c;

	/* Every "#Key=" uncommented, every blank filled in. */
	for (char *line = strtok(shipped, "\n"); line; line = strtok(NULL, "\n")) {
		char *value = strchr(line, '=');

		if (line[0] == '#' && line[1] >= 'A' && line[1] <= 'Z' && value &&
		    value - line == (ssize_t)strcspn(line, " ="))
			line++;
		for (size_t i = 0; value && i < LENGTH(blanks); i++)
			if (strcmp(value + 1, blanks[i][0]) == 0) {
				end += sprintf(end, "%.*s%s\n", (int)(value + 1 - line),
					       line, blanks[i][1]);
				line = NULL;
				break;
			}
		if (line)
			end += sprintf(end, "%s\n", line);
	}
	free(shipped);

	for (const char *key; (key = next_key(&rest));) {
		char at_line_start[70];

		(void)snprintf(at_line_start, sizeof(at_line_start), "\n%s", key);
		ck_assert_msg(strstr(text, at_line_start), "%s is not shown", key);
	}
	parse_good(&c, text);
	free(text);
	text = printed(&c);
	ck_assert_str_eq(text, defaults_text);
	free(text);
	config_done(&c);
}
END_TEST

/* The entry of a key in novnc-gate.conf(5), to be freed; NULL if there is none. */
static char *man_entry(const char *page, const struct config_key *k)
{
	char heading[40], item[60];
	const char *section, *at, *end, *next;

	(void)snprintf(heading, sizeof(heading), "\n.Ss [%s]", k->section);
	(void)snprintf(item, sizeof(item), " Va %s Ns =", k->name);
	section = strstr(page, heading);
	end = section ? strstr(section + 1, "\n.Ss ") : NULL;
	if (section && !end) /* the last section of the file */
		end = strstr(section + 1, "\n.Sh ");
	for (at = section; at && (at = strstr(at, "\n.It ")) && at < end; at++) {
		if (!memmem(at, strcspn(at + 1, "\n") + 1, item, strlen(item)))
			continue;
		next = strstr(at + 1,
			      "\n.It Va "); /* lists in an entry have other items */
		return strndup(at, (size_t)((next && next < end ? next : end) - at));
	}
	return NULL;
}

static bool entry_has_default(const char *entry, const char *text)
{
	static const char *const formats[] = {
		"Defaults to %s.", "Defaults to\n.Ql %s", "Defaults to\n.Cm %s",
		"\n%s\n", /* one word of several to a line */
	};
	char sentence[200];

	for (size_t i = 0; i < LENGTH(formats); i++) {
		(void)snprintf(sentence, sizeof(sentence), formats[i], text);
		if (strstr(entry, sentence))
			return true;
	}
	return false;
}

static void check_defaults(const struct config_key *k, const char *entry)
{
	if (strstr(entry, "Ns = , Va")) /* an entry for several keys, as for Next.js */
		return;
	ck_assert_msg(!k->default_text || !k->default_text[0] ||
			      entry_has_default(entry, k->default_text),
		      "%s: not the default %s: %s", k->name, k->default_text, entry);
	for (config_list w = k->default_words; w && *w; w++)
		ck_assert_msg(entry_has_default(entry, *w), "%s: not the default %s: %s",
			      k->name, *w, entry);
}

START_TEST(the_man_page_has_an_entry_with_the_default_for_each_key)
{
	char *page = slurp("man/novnc-gate.conf.5"), *entry;

	for (const struct config_key *k = config_keys; k->section; k++) {
		entry = man_entry(page, k);
		ck_assert_msg(entry, "[%s] %s= has no entry", k->section, k->name);
		check_defaults(k, entry);
		free(entry);
	}
	free(page);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *t = tcase_create("defaults");

	suite_add_tcase(suite, t);
	tcase_add_test(t, defaults_are_those_of_the_design);
	tcase_add_test(t, an_empty_file_changes_nothing);
	tcase_add_test(t, what_is_printed_reads_back_as_the_same);
	t = tcase_create("lists and single values");
	suite_add_tcase(suite, t);
	tcase_add_test(t, a_list_replaces_its_default_and_then_grows);
	tcase_add_test(t, a_list_of_one_byte_words_fits);
	tcase_add_test(t, the_last_single_value_counts_and_an_empty_one_is_the_default);
	tcase_add_test(t, what_is_wrong_is_as_if_it_were_not_there);
	t = tcase_create("PROXY protocol");
	suite_add_tcase(suite, t);
	tcase_add_test(t, the_proxy_protocol_needs_trusted_proxies_wherever_they_are_set);
	tcase_add_test(t, the_option_for_the_proxy_protocol_is_as_the_key);
	tcase_add_test(t, the_key_of_a_client_needs_its_certificate_wherever_it_is_set);
	t = tcase_create("papers");
	suite_add_tcase(suite, t);
	tcase_add_test(t, the_installed_file_shows_the_defaults);
	tcase_add_test(t, the_man_page_has_an_entry_with_the_default_for_each_key);
	return suite_run(suite);
}
