/* SPDX-License-Identifier: MIT */
/* config*.c: text to configuration, files and drop-ins, and what is wrong with them. */
#include "config/config.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "config/config_file.h"
#include "config/config_syntax.h"
#include "testing.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define DEFAULT_NOVNC \
	"/api/auth/session/*/novnc/websock /api/auth/session/*/novnc/websockify"

/* What config_print() prints of the defaults. */
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
				    "\n"
				    "[Log]\n"
				    "Level=notice\n";

/* ---- what was reported: a line "FILE:LINE: WHAT" each */

static char reported[65536];
static size_t reports;

static void report(void *userdata, const char *file, unsigned line, const char *what)
{
	size_t len = strlen(reported);

	ck_assert_ptr_eq(userdata, &reports);
	ck_assert_uint_lt(strlen(what), 700); /* a sentence, whatever the file holds */
	(void)snprintf(reported + len, sizeof(reported) - len, "%s:%u: %s\n", file, line,
		       what);
	reports++;
}

static void forget(void)
{
	reported[0] = '\0';
	reports = 0;
}

/* Reads bytes that end where their heap block ends, on top of *c. */
static int parse_on(struct config *c, const char *text, size_t len)
{
	char *exact = malloc(len);
	int r;

	if (len > 0)
		memcpy(exact, text, len);
	forget();
	r = config_parse_text("f", exact, len, report, &reports, c);
	free(exact);
	ck_assert_int_eq(r, reports > 0 ? -EBADMSG : 0);
	return r;
}

static int parse(struct config *c, const char *text)
{
	config_init(c);
	return parse_on(c, text, strlen(text));
}

static void parse_good(struct config *c, const char *text)
{
	ck_assert_msg(parse(c, text) == 0, "%s\nreports\n%s", text, reported);
}

/* Parses text on its own, and expects each of these strings in what is reported. */
static void expect_reports(const char *text, ...)
{
	struct config c;
	va_list ap;

	ck_assert_msg(parse(&c, text) < 0, "accepted: %s", text);
	va_start(ap, text);
	for (const char *part; (part = va_arg(ap, const char *));)
		ck_assert_msg(strstr(reported, part), "%s\nreports\n%snot: %s", text,
			      reported, part);
	va_end(ap);
	config_done(&c);
}

/* A list as words with a space in between. */
static const char *joined(config_list list)
{
	static char text[4096];

	text[0] = '\0';
	for (; *list; list++) {
		if (text[0] != '\0')
			strcat(text, " ");
		strcat(text, *list);
	}
	return text;
}

/* What config_print() prints, to be freed. */
static char *printed(const struct config *c)
{
	int saved = dup(STDOUT_FILENO), fd = memfd_create("print", MFD_CLOEXEC);
	char *text = calloc(1, 65536);

	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	config_print(c);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	ck_assert_int_gt(pread(fd, text, 65535, 0), 0);
	close(fd);
	return text;
}

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
	ck_assert_uint_eq(c.head_max, 32768);
	ck_assert_uint_eq(c.head_ms, 10000);
	ck_assert_uint_eq(c.keep_alive_ms, 15000);
	ck_assert_uint_eq(c.connect_ms, 5000);
	ck_assert_uint_eq(c.upgrade_ms, 10000);
	ck_assert_uint_eq(c.response_ms, 300000);
	ck_assert_uint_eq(c.body_ms, 60000);
	ck_assert_uint_eq(c.linger_ms, 30000);
	ck_assert_uint_eq(c.idle_ms, CONFIG_INFINITY);
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
		"[Limits]\nHeadMaxBytes=5000\nHeadTimeoutSec=1d 2h 3min 4s 5ms\n"
		"KeepAliveTimeoutSec=0\nConnectTimeoutSec=1ms\n"
		"LingerTimeoutSec=infinity\nIdleTimeoutSec=24d\n"
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
	parse_good(&again, once);
	twice = printed(&again);
	ck_assert_str_eq(once, twice);
	free(once);
	free(twice);
	config_done(&c);
	config_done(&again);
}
END_TEST

/* ---- values */

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
		{ "0", "is out of bounds" },
		{ "0.0000001s", "is out of bounds" },
		{ "24d 1us", "is out of bounds" },
		{ "18446744073709551616us", "is out of bounds" },
		/* each would be a little more than 0 in 64 bits */
		{ "18446744073709551619us", "is out of bounds" },
		{ "18446744073709551615us 1s 5s", "is out of bounds" },
		{ "18446744073710s", "is out of bounds" },
		{ "99999999999999999999999999999w", "is out of bounds" },
		{ "infinity", "would wait for ever" },
	};
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[Limits]\nHeadTimeoutSec=%s\n",
			       table[i].text);
		expect_reports(text, "f:2: HeadTimeoutSec=", table[i].text, table[i].why,
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
				text, "f:2: HeadMaxBytes=", table[i].text,
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
		expect_reports(text, "f:2: Level=", bad[i],
			       "; allowed: err, warning, notice, info or debug\n", NULL);
	}
}
END_TEST

/* 253 bytes of host name, in labels of 63 at most. */
#define LABEL_63 "a23456789b123456789c123456789d123456789e123456789f123456789g123"
#define HOST_253                               \
	LABEL_63 "." LABEL_63 "." LABEL_63 "." \
		 "a23456789b123456789c123456789d123456789e123456789f123456789g1"

START_TEST(urls_are_taken_apart)
{
	static const struct {
		const char *url, *authority, *host, *address; /* NULL: to be resolved */
		uint16_t port;
	} table[] = {
		{ "http://127.0.0.1:3001", "127.0.0.1:3001", "127.0.0.1", "127.0.0.1",
		  3001 },
		{ "http://localhost:4000", "localhost:4000", "localhost", NULL, 4000 },
		{ "http://localhost:4000/", "localhost:4000", "localhost", NULL, 4000 },
		{ "http://controller.example", "controller.example", "controller.example",
		  NULL, 80 },
		{ "http://controller.example:80", "controller.example",
		  "controller.example", NULL, 80 },
		{ "http://Controller:65535", "Controller:65535", "Controller", NULL,
		  65535 },
		{ "HTTP://c:1", "c:1", "c", NULL, 1 },
		{ "http://my_app-1:1", "my_app-1:1", "my_app-1", NULL, 1 },
		{ "http://4f2a91:1", "4f2a91:1", "4f2a91", NULL, 1 },
		{ "http://c.:1", "c.:1", "c.", NULL, 1 },
		{ "http://xn--bcher-kva.example:1", "xn--bcher-kva.example:1",
		  "xn--bcher-kva.example", NULL, 1 },
		{ "http://" HOST_253 ":65535", HOST_253 ":65535", HOST_253, NULL, 65535 },
		{ "http://" HOST_253 ".:65535", HOST_253 ".:65535", HOST_253 ".", NULL,
		  65535 },
		{ "http://[::1]:4000", "[::1]:4000", "::1", "::1", 4000 },
		{ "http://[::1]", "[::1]", "::1", "::1", 80 },
		{ "http://[2001:DB8:0:0::1]:80/", "[2001:db8::1]", "2001:db8::1",
		  "2001:db8::1", 80 },
	};
	struct config c;
	char text[500], address[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < LENGTH(table); i++) {
		const struct backend *be = &c.backend[CONFIG_CONTROLLER];
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&be->addr;
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&be->addr;
		bool is_v6 = strchr(table[i].host, ':') != NULL;

		(void)snprintf(text, sizeof(text), "[MasterController]\nUrl=%s\n",
			       table[i].url);
		parse_good(&c, text);
		ck_assert_str_eq(be->name, "master-controller");
		ck_assert_str_eq(be->url, table[i].url);
		ck_assert_str_eq(be->authority, table[i].authority);
		ck_assert_str_eq(be->host, table[i].host);
		ck_assert_uint_eq(be->port, table[i].port);
		ck_assert_int_eq(be->literal, table[i].address != NULL);
		if (be->literal) {
			ck_assert_int_eq(be->addr.ss_family, is_v6 ? AF_INET6 : AF_INET);
			ck_assert_uint_eq(be->addr_len,
					  is_v6 ? sizeof(*v6) : sizeof(*v4));
			ck_assert_uint_eq(ntohs(is_v6 ? v6->sin6_port : v4->sin_port),
					  be->port);
			inet_ntop(be->addr.ss_family,
				  is_v6 ? (const void *)&v6->sin6_addr : &v4->sin_addr,
				  address, sizeof(address));
			ck_assert_str_eq(address, table[i].address);
		}
		config_done(&c);
	}
}
END_TEST

START_TEST(https_is_port_443)
{
	static const struct {
		const char *url, *authority;
		uint16_t port;
	} table[] = {
		{ "https://c", "c", 443 },
		{ "HTTPS://c/", "c", 443 },
		{ "https://c:443", "c", 443 },
		{ "https://c:80", "c:80", 80 },
		{ "https://[::1]:4000", "[::1]:4000", 4000 },
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		const struct backend *be = &c.backend[CONFIG_CONTROLLER];

		(void)snprintf(text, sizeof(text),
			       "[MasterController]\nVerifyTls=off\nRewriteOrigin=on\n"
			       "Url=%s\nCaFile=/ca\n",
			       table[i].url);
		parse_good(&c, text);
		ck_assert(be->tls);
		ck_assert(!c.backend[CONFIG_NEXTJS].tls);
		ck_assert_str_eq(be->authority, table[i].authority);
		ck_assert_uint_eq(be->port, table[i].port);
		/* an Url= leaves the keys beside it alone, in any order */
		ck_assert(!be->trust.verify);
		ck_assert(c.rewrite_origin);
		ck_assert_str_eq(be->trust.ca_file, "/ca");
		config_done(&c);
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
		       "f:2: VerifyTls=maybe is neither yes nor no; allowed: yes or no\n",
		       NULL);
	expect_reports("[NextJs]\nVerifyTls=yes no\n", "neither yes nor no", NULL);
	expect_reports(
		"[MasterController]\nRewriteOrigin=http://ctl\n",
		"f:2: RewriteOrigin=http://ctl is neither yes nor no; allowed: yes or no\n",
		NULL);
	expect_reports("[NextJs]\nRewriteOrigin=yes\n",
		       "f:2: unknown key RewriteOrigin=; keys of [NextJs]:", NULL);
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
	expect_reports("[NextJs]\nCaFile=ca.pem\n", "is no absolute path", NULL);
	expect_reports("[Tls]\nClientCaFile=ca.pem\n", "is no absolute path", NULL);
	expect_reports("[Tls]\nKey=a/b\n", "neither an absolute path nor a credential's",
		       NULL);
	expect_reports("[Tls]\nKey=..\n", "neither an absolute path nor a credential's",
		       NULL);
	expect_reports("[Tls]\nKey=.\n", "neither an absolute path nor a credential's",
		       NULL);
	memset(text + strlen(text), 'x', 330);
	expect_reports(text, "is too long", NULL);
	text[strlen("[Tls]\nKey=")] = '/';
	expect_reports(text, "is too long", NULL);
}
END_TEST

START_TEST(unix_sockets_are_taken_whole)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)], text[500];
	const struct sockaddr_un *sun;
	const struct backend *be;
	struct config c;

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0'; /* the longest that fits */
	(void)snprintf(text, sizeof(text), "[NextJs]\nUrl=unix:%s\n", path);
	parse_good(&c, text);
	be = &c.backend[CONFIG_NEXTJS];
	sun = (const struct sockaddr_un *)&be->addr;
	ck_assert_str_eq(be->authority, "localhost");
	ck_assert_str_eq(be->host, "");
	ck_assert_uint_eq(be->port, 0);
	ck_assert(be->literal);
	ck_assert_int_eq(sun->sun_family, AF_UNIX);
	ck_assert_str_eq(sun->sun_path, path);
	ck_assert_uint_eq(be->addr_len, sizeof(*sun));
	config_done(&c);

	(void)snprintf(text, sizeof(text), "[NextJs]\nUrl=unix:%sx\n", path);
	expect_reports(text, "more than 107 bytes", NULL);
	parse_good(&c, "[NextJs]\nUrl=unix:/run/a%20b/\\s.sock\n");
	sun = (const struct sockaddr_un *)&c.backend[CONFIG_NEXTJS].addr;
	ck_assert_str_eq(sun->sun_path, "/run/a%20b/\\s.sock");
	config_done(&c);
}
END_TEST

START_TEST(other_urls_are_refused)
{
	static const struct {
		const char *url, *why;
	} table[] = {
		{ "https://", "has no host" },
		{ "https://c/x", "has a path or a query" },
		{ "https:/c", "is not such a URL" },
		{ "httpss://c", "is not such a URL" },
		{ "ws://c:1", "is not such a URL" },
		{ "c:1", "is not such a URL" },
		{ "http:/c", "is not such a URL" },
		{ "\"http://c\"", "is not such a URL" },
		{ "http://", "has no host" },
		{ "http:///", "has no host" },
		{ "http://:80", "has no host" },
		{ "http://c:", "no proper port" },
		{ "http://c:0", "no proper port" },
		{ "http://c:080", "no proper port" },
		{ "http://c:65536", "no proper port" },
		{ "http://c:99999", "no proper port" },
		{ "http://c:100000", "no proper port" },
		{ "http://c:+1", "no proper port" },
		{ "http://c:1x", "no proper port" },
		{ "http://::1:80", "in brackets" },
		{ "http://c/x", "has a path or a query" },
		{ "http://c//", "has a path or a query" },
		{ "http://c:1/api/", "has a path or a query" },
		{ "http://c?x", "has a path or a query" },
		{ "http://c/?x", "has a path or a query" },
		{ "http://c#x", "has a path or a query" },
		{ "http://u@c", "has a user name" },
		{ "http://u:p@c:1", "has a user name" },
		{ "http://c:1 http://d:2", "white space" },
		{ "unix:/run/x # comment", "white space" },
		{ "http://-c", "no proper host name" },
		{ "http://c-", "no proper host name" },
		{ "http://a..b", "no proper host name" },
		{ "http://.a", "no proper host name" },
		{ "http://a..", "no proper host name" },
		{ "http://.", "no proper host name" },
		{ "http://b\303\274cher.example", "no proper host name" },
		{ "http://a%20b", "no proper host name" },
		{ "http://a\\b", "no proper host name" },
		{ "http://a*b", "no proper host name" },
		{ "http://" LABEL_63 "4", "no proper host name" },
		{ "http://" HOST_253 "x", "too long" },
		{ "http://" HOST_253 "x.", "too long" },
		{ "http://" HOST_253 HOST_253, "too long" },
		{ "http://1", "no proper IPv4 address" },
		{ "http://127.1", "no proper IPv4 address" },
		{ "http://0x7f000001", "no proper IPv4 address" },
		{ "http://0x7f.1", "no proper IPv4 address" },
		{ "http://0177.0.0.1", "no proper IPv4 address" },
		{ "http://256.0.0.1", "no proper IPv4 address" },
		{ "http://1.2.3.4.5", "no proper IPv4 address" },
		{ "http://127.0.0.1.", "no proper IPv4 address" },
		{ "http://[::1", "[ without its ]" },
		{ "http://[]", "no proper IPv6 address" },
		{ "http://[127.0.0.1]", "no proper IPv6 address" },
		{ "http://[::1%lo]", "no proper IPv6 address" },
		{ "http://[::g]", "no proper IPv6 address" },
		{ "http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
		  "no proper IPv6 address" },
		{ "http://[::1]80", "no proper port" },
		{ "unix:", "no absolute path" },
		{ "unix:run/x", "no absolute path" },
	};
	char text[700];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[NextJs]\nUrl=%s\n", table[i].url);
		expect_reports(
			text, "f:2: Url=", table[i].why,
			"; allowed: http://host:port, https://host:port or unix:/path\n",
			NULL);
		ck_assert_uint_eq(reports, 1);
	}
}
END_TEST

/* What is reported may end up in the journal. */
START_TEST(a_password_is_not_repeated)
{
	expect_reports("[NextJs]\nUrl=http://u:secret@c:1\n",
		       "f:2: Url=@c:1 has a user name", NULL);
	expect_reports("[NextJs]\nUrl=u:sec@ret@c:1\n", "f:2: Url=@c:1 is not such a URL",
		       NULL);
	expect_reports("[Routes]\nAllowedOrigins=http://u:secret@a\n",
		       "f:2: AllowedOrigins=@a has a user name", NULL);
	expect_reports("[Routes]\nNoVncPath=/a@b/%\n", "f:2: NoVncPath=/a@b/% has a %",
		       NULL);
}
END_TEST

START_TEST(paths_that_can_match_are_taken)
{
	static const char *const table[] = {
		"/",
		"/a",
		"/a/",
		"/*",
		"/**",
		"/a/**/b/*",
		"/_next/*hmr*",
		"/base/_next/*hmr*",
		"/.well-known/x",
		"/a.b/...",
		"/~u/-._~!$&'()+,;=:@",
		"/caf%C3%A9/%2a",
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(text, sizeof(text), "[Routes]\nControllerPath=%s\n",
			       table[i]);
		parse_good(&c, text);
		ck_assert_str_eq(joined(c.controller_path), table[i]);
		config_done(&c);
	}
}
END_TEST

START_TEST(paths_that_never_match_are_refused)
{
	static const struct {
		const char *path, *why;
	} table[] = {
		{ "a", "does not begin with a /" },
		{ "*", "does not begin with a /" },
		{ "**/a", "does not begin with a /" },
		{ "http://c/a", "does not begin with a /" },
		{ "\"/a\"", "does not begin with a /" },
		{ "//", "path with //" },
		{ "/a//b", "path with //" },
		{ "/a//", "path with //" },
		{ "/./a", ". or .. segment" },
		{ "/a/..", ". or .. segment" },
		{ "/a/../b", ". or .. segment" },
		{ "/a?", "would never match" },
		{ "/a?x=1", "would never match" },
		{ "/a#b", "would never match" },
		{ "/[ab]", "would never match" },
		{ "/{a,b}", "would never match" },
		{ "/a\\b", "would never match" },
		{ "/a|b", "would never match" },
		{ "/caf\303\251", "would never match" },
		{ "/%", "two hexadecimal digits" },
		{ "/%4", "two hexadecimal digits" },
		{ "/%4/1", "two hexadecimal digits" },
		{ "/%zz", "two hexadecimal digits" },
		{ "/%2e", "would never match" },
		{ "/a%2Fb", "would never match" },
		{ "/a%5cb", "would never match" },
		{ "/a%00", "would never match" },
		{ "/a%1f", "would never match" },
		{ "/%252e", "would never match" },
		{ "/..;x/*", "would never match" },
		{ "/a**", "not a whole segment" },
		{ "/**a/b", "not a whole segment" },
		{ "/***", "not a whole segment" },
		{ "/a/***/b", "not a whole segment" },
	};
	static const char *const keys[] = { "NoVncPath", "ControllerPath",
					    "NextJsUpgradePath" };
	char text[200], value[200];

	for (size_t i = 0; i < LENGTH(table) * LENGTH(keys); i++) {
		const char *key = keys[i % LENGTH(keys)];

		(void)snprintf(value, sizeof(value), "f:2: %s=%s ", key,
			       table[i / LENGTH(keys)].path);
		(void)snprintf(text, sizeof(text), "[Routes]\n%s=/fine %s\n", key,
			       table[i / LENGTH(keys)].path);
		expect_reports(text, value, table[i / LENGTH(keys)].why,
			       "; allowed: a path such as /", NULL);
		ck_assert_uint_eq(reports, 1);
	}
}
END_TEST

START_TEST(origins_are_what_browsers_send)
{
	static const char *const good[] = {
		"*",
		"http://a",
		"https://dashboard.example",
		"https://Dashboard.example:8443",
		"https://a:443",
		"http://127.0.0.1:3000",
		"http://[::1]:3000",
		"http://[2001:DB8::1]",
		"chrome-extension://abcdefghijklmnop",
	};
	static const struct {
		const char *origin, *why;
	} bad[] = {
		{ "null", "is not an origin" },
		{ "dashboard.example", "is not an origin" },
		{ "//a", "is not an origin" },
		{ "://a", "is not an origin" },
		{ "1http://a", "is not an origin" },
		{ "ht_tp://a", "is not an origin" },
		{ "http:/a", "is not an origin" },
		{ "http://a/", "has a path" },
		{ "http://a/b", "has a path" },
		{ "http://a?b", "has a path" },
		{ "http://a#b", "has a path" },
		{ "https://*.example", "can only stand alone" },
		{ "https://*", "can only stand alone" },
		{ "http://", "no host" },
		{ "file://", "no host" },
		{ "http://a:", "no proper port" },
		{ "http://a:0", "no proper port" },
		{ "http://a:65536", "no proper port" },
		{ "http://a,http://b", "has a path" },
		{ "http://::1", "in brackets" },
		{ "http://a,b", "no proper host name" },
		{ "http://127.1", "no proper IPv4 address" },
		{ "http://[::1", "[ without its ]" },
		{ "http://[0:0:0:0:0:0:0:1]", "shortest form" },
		{ "**", "is not an origin" },
	};
	struct config c;
	char text[200];

	for (size_t i = 0; i < LENGTH(good); i++) {
		(void)snprintf(text, sizeof(text), "[Routes]\nAllowedOrigins=%s\n",
			       good[i]);
		parse_good(&c, text);
		ck_assert_str_eq(joined(c.allowed_origins), good[i]);
		config_done(&c);
	}
	for (size_t i = 0; i < LENGTH(bad); i++) {
		(void)snprintf(text, sizeof(text), "[Routes]\nAllowedOrigins=%s\n",
			       bad[i].origin);
		expect_reports(text, "f:2: AllowedOrigins=", bad[i].origin, bad[i].why,
			       "; allowed: * or scheme://host[:port], such as "
			       "https://dashboard.example\n",
			       NULL);
	}
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
	ck_assert_uint_eq(c.idle_ms, CONFIG_INFINITY);
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

/* ---- the syntax */

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

START_TEST(errors_name_the_line_where_the_assignment_begins)
{
	static const struct {
		const char *text, *what;
	} table[] = {
		{ "[Log]\nLevel=x\n", "f:2: Level=x " },
		{ "[Log]\n\n# c\n\nLevel=x\n", "f:5: Level=x " },
		{ "[Log]\r\n\r\nLevel=x\r\n", "f:3: Level=x " },
		{ "\xef\xbb\xbf[Log]\nLevel=x", "f:2: Level=x " },
		{ "[Log]\nLevel=\\\n# c\nx\n", "f:2: Level=x " },
		{ "[Log]\nLevel=\\\n# c\n\\\ndebug\nLevel=x", "f:6: Level=x " },
		{ "[Log]\n# c \\\nLevel=x\\", "f:3: Level=x " },
		{ "[Routes]\nNoVncPath=/a \\\n /b \\\n x\n", "f:2: NoVncPath=x " },
		{ "\n[Log\nLevel=x\n", "f:2: [Log has no ] at its end\n" },
		{ "[Log]x\n", "f:1: [Log]x has no ] at its end\n" },
		{ "[\n", "f:1: [ has no ]" },
		{ "[Log]\nLevel\n", "f:2: Level is neither [Section] nor Key=Value" },
		{ "[Log]\nLevel=x\\\\\n", "f:2: Level=x\\\\ is not a level" },
		{ "Level=debug\n",
		  "f:1: Level= stands before the first section; sections: [Next" },
		{ "[Log]\nLevel=debug # c\n", "f:2: Level=debug # c is not a level" },
	};

	for (size_t i = 0; i < LENGTH(table); i++)
		expect_reports(table[i].text, table[i].what, NULL);
}
END_TEST

START_TEST(unknown_names_are_answered_with_the_known_ones)
{
	static const char sections[] =
		"; sections: [NextJs] [MasterController] [Routes] [Tls] [Limits] [Log]\n";

	expect_reports("[Route]\nNoVncPath=/x\nnonsense=\n",
		       "f:1: unknown section [Route]", sections, NULL);
	ck_assert_uint_eq(reports, 1); /* and nothing of its keys */
	expect_reports("[]\n", "f:1: unknown section []", sections, NULL);
	expect_reports("[log]\n", "f:1: unknown section [log]", sections, NULL);
	expect_reports("[ Log ]\n", "f:1: unknown section [ Log ]", sections, NULL);
	expect_reports("[Log]\nlevel=debug\n",
		       "f:2: unknown key level=; keys of [Log]: Level=\n", NULL);
	expect_reports("[Log]\n=debug\n", "f:2: unknown key =; keys of [Log]: Level=\n",
		       NULL);
	expect_reports("[NextJs]\nNoVncPath=/\n",
		       "f:2: unknown key NoVncPath=; keys of [NextJs]: Url= "
		       "VerifyTls= CaFile= ClientCertificate= ClientKey=\n",
		       NULL);
	expect_reports(
		"[Routes]\nX=\n",
		"f:2: unknown key X=; keys of [Routes]: NoVncPath= ControllerPath= "
		"NextJsUpgradePath= AllowedOrigins=\n",
		NULL);
	expect_reports("[Client]\nX=\n",
		       "f:2: unknown key X=; keys of [Client]: none yet\n", NULL);
	expect_reports("[Nope]\nX=\n[Log]\nLevel=x\n", "f:1: unknown section",
		       "f:4: Level=x ", NULL);
}
END_TEST

START_TEST(what_is_not_built_yet_says_so)
{
	static const struct {
		const char *section, *key;
	} table[] = {
		{ "Client", "TrustedProxies" },
		{ "Client", "ProxyProtocol" },
	};
	char text[100], what[100];

	for (size_t i = 0; i < LENGTH(table); i++) {
		(void)snprintf(what, sizeof(what), "f:2: [%s] %s= is not built yet\n",
			       table[i].section, table[i].key);
		(void)snprintf(text, sizeof(text), "[%s]\n%s=x\n", table[i].section,
			       table[i].key);
		expect_reports(text, what, NULL);
		(void)snprintf(text, sizeof(text), "[%s]\n%s=\n", table[i].section,
			       table[i].key);
		expect_reports(text, what, NULL);
	}
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
	expect_reports(text, "f:2: the line is longer than 4096 bytes", NULL);
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
		(void)snprintf(what, sizeof(what), "f:2: the byte 0x%02x is not text\n",
			       byte);
		config_init(&c);
		ck_assert_int_lt(parse_on(&c, text, len), 0);
		if ((byte < ' ' && byte != '\t' && byte != '\n') || byte == 0x7f)
			ck_assert_str_eq(reported, what);
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
	ck_assert_ptr_nonnull(strstr(reported, "f:21: too many errors"));
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
		config_init(&c);
		(void)parse_on(&c, everything, n);
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
	char text[sizeof(everything)];
	struct config c;

	for (size_t n = 0; n < sizeof(everything) - 1; n++)
		for (size_t i = 0; i < sizeof(odd) - 1; i++) {
			memcpy(text, everything, sizeof(text));
			text[n] = odd[i];
			config_init(&c);
			(void)parse_on(&c, text, sizeof(text) - 1);
			config_done(&c);
		}
}
END_TEST

/* ---- files */

static char dir[PATH_MAX];

static const char *in_dir(const char *name)
{
	static char path[PATH_MAX + 100];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/novnc-gate-test-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(mkdir(in_dir("c.d"), 0755), 0);
}

static void remove_dir(void)
{
	static const char *const names[] = {
		"c.d/10.conf",    "c.d/9.conf",   "c.d/a.conf",
		"c.d/B.conf",     "c.d/.h.conf",  "c.d/x.conf~",
		"c.d/x.conf.new", "c.d/README",   "c.d/null.conf",
		"c.d/gone.conf",  "c.d/odd.conf", "c.d/.conf",
		"c.d/dos.conf",   "c.d",          "c",
	};

	for (size_t i = 0; i < LENGTH(names); i++)
		(void)remove(in_dir(names[i]));
	ck_assert_int_eq(rmdir(dir), 0);
}

static int load(struct config *c, const char *name)
{
	char path[PATH_MAX + 100];

	(void)snprintf(path, sizeof(path), "%s", in_dir(name));
	forget();
	return config_load(path, report, &reports, c);
}

static void expect_file_report(const char *name, const char *what)
{
	char text[2 * PATH_MAX];

	(void)snprintf(text, sizeof(text), "%s%s", in_dir(name), what);
	ck_assert_msg(strstr(reported, text), "%snot: %s", reported, text);
}

START_TEST(drop_ins_follow_the_file_in_bytewise_order)
{
	struct config c;

	put("c", "[Log]\nLevel=err\n[Routes]\nControllerPath=/main\n");
	put("c.d/9.conf", "[Routes]\nControllerPath=/9\n[Log]\nLevel=debug\n");
	put("c.d/10.conf", "[Routes]\nControllerPath=/10\n");
	put("c.d/a.conf", "[Routes]\nControllerPath=/a\n");
	put("c.d/B.conf", "[Routes]\nControllerPath=/B\n");
	ck_assert_int_eq(load(&c, "c"), 0);
	ck_assert_str_eq(joined(c.controller_path), "/main /10 /9 /B /a");
	ck_assert_int_eq(c.log_level, LOG_DEBUG);
	config_done(&c);
	put("c.d/a.conf", "[Routes]\nControllerPath=\n");
	ck_assert_int_eq(load(&c, "c"), 0);
	ck_assert_str_eq(joined(c.controller_path), "");
	config_done(&c);
}
END_TEST

START_TEST(other_files_beside_drop_ins_are_left_alone)
{
	struct config c;

	put("c", "");
	put("c.d/.h.conf", "nonsense");
	put("c.d/.conf", "nonsense");
	put("c.d/x.conf~", "nonsense");
	put("c.d/x.conf.new", "nonsense");
	put("c.d/README", "nonsense");
	put("c.d/9.conf", "");
	ck_assert_int_eq(symlink("/dev/null", in_dir("c.d/null.conf")), 0);
	ck_assert_int_eq(load(&c, "c"), 0);
	config_done(&c);
}
END_TEST

START_TEST(the_directory_of_drop_ins_may_be_missing)
{
	struct config c;

	put("c", "[Log]\nLevel=info\n");
	ck_assert_int_eq(rmdir(in_dir("c.d")), 0);
	ck_assert_int_eq(load(&c, "c"), 0);
	ck_assert_int_eq(c.log_level, LOG_INFO);
	config_done(&c);
	put("c.d", "a file in its place");
	ck_assert_int_eq(load(&c, "c"), -EBADMSG);
	expect_file_report("c.d", ":0: cannot be read: Not a directory\n");
	config_done(&c);
}
END_TEST

START_TEST(errors_name_their_file)
{
	struct config c;

	put("c", "[Log]\nLevel=x\n");
	put("c.d/9.conf", "\nLevel=debug\n"); /* each file begins without a section */
	put("c.d/10.conf", "[Nope]\n[Log]\n");
	put("c.d/a.conf", "[Log]\nLevel=info\n");
	put("c.d/dos.conf", "[Log]\r\n\r\nNope=\r\n");
	ck_assert_int_eq(symlink("nowhere", in_dir("c.d/gone.conf")), 0);
	ck_assert_int_eq(load(&c, "c"), -EBADMSG);
	ck_assert_uint_eq(reports, 5);
	expect_file_report("c", ":2: Level=x is not a level");
	expect_file_report("c.d/10.conf", ":1: unknown section [Nope]");
	expect_file_report("c.d/9.conf", ":2: Level= stands before the first section");
	expect_file_report("c.d/dos.conf", ":3: unknown key Nope=");
	expect_file_report("c.d/gone.conf",
			   ":0: cannot be read: No such file or directory\n");
	ck_assert_int_eq(c.log_level, LOG_INFO);
	config_done(&c);
}
END_TEST

START_TEST(a_missing_file_is_an_error_and_its_drop_ins_are_still_read)
{
	struct config c;

	put("c.d/9.conf", "[Log]\nLevel=x\n");
	ck_assert_int_eq(load(&c, "c"), -EBADMSG);
	ck_assert_uint_eq(reports, 2);
	expect_file_report("c", ":0: cannot be read: No such file or directory\n");
	expect_file_report("c.d/9.conf", ":2: Level=x");
	config_done(&c);
}
END_TEST

static void make_odd_file(const char *path, int kind)
{
	switch (kind) {
	case 0: ck_assert_int_eq(mkdir(path, 0755), 0); return;
	case 1: ck_assert_int_eq(mkfifo(path, 0644), 0); return;
	case 2: ck_assert_int_eq(mknod(path, S_IFSOCK | 0644, 0), 0); return;
	case 3: ck_assert_int_eq(symlink("/dev/zero", path), 0); return;
	}
}

START_TEST(what_is_no_regular_file_is_an_error_not_waited_for)
{
	static const char *const names[] = { "c", "c.d/odd.conf" };
	struct config c;

	put("c", "");
	for (size_t i = 0; i < LENGTH(names); i++) {
		(void)remove(in_dir(names[i]));
		make_odd_file(in_dir(names[i]), _i);
		ck_assert_int_eq(load(&c, "c"), -EBADMSG);
		ck_assert_uint_eq(reports, i + 1);
		expect_file_report(names[i], ":0: is no regular file\n");
		config_done(&c);
	}
}
END_TEST

START_TEST(files_are_bounded)
{
	char *text = malloc(CONFIG_FILE_MAX + 2);
	struct config c;

	memset(text, '\n', CONFIG_FILE_MAX + 1);
	text[CONFIG_FILE_MAX] = '\0';
	put("c", text);
	ck_assert_int_eq(load(&c, "c"), 0);
	config_done(&c);
	text[CONFIG_FILE_MAX] = '\n';
	text[CONFIG_FILE_MAX + 1] = '\0';
	put("c", text);
	ck_assert_int_eq(load(&c, "c"), -EBADMSG);
	expect_file_report("c", ":0: is larger than 65536 bytes\n");
	config_done(&c);
	free(text);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_an_error)
{
	static char path[2 * PATH_MAX];
	struct config c;

	memset(path, 'x', sizeof(path) - 1);
	forget();
	ck_assert_int_eq(config_load(path, report, &reports, &c), -EBADMSG);
	ck_assert_ptr_nonnull(
		strstr(reported, ":0: cannot be read: File name too long\n"));
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

START_TEST(the_man_page_has_an_entry_for_each_key)
{
	char *page = slurp("man/novnc-gate.conf.5");
	const char *rest = defaults_text;

	for (const char *key; (key = next_key(&rest));) {
		char entry[80];

		(void)snprintf(entry, sizeof(entry), "\n.It Va %.*s Ns =\n",
			       (int)strlen(key) - 1, key);
		ck_assert_msg(strstr(page, entry), "%s has no entry", key);
	}
	free(page);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *values = tcase_create("values"), *syntax = tcase_create("syntax");
	TCase *files = tcase_create("files"), *papers = tcase_create("papers");

	suite_add_tcase(suite, values);
	tcase_add_test(values, defaults_are_those_of_the_design);
	tcase_add_test(values, an_empty_file_changes_nothing);
	tcase_add_test(values, what_is_printed_reads_back_as_the_same);
	tcase_add_test(values, time_spans_are_read_as_systemd_reads_them);
	tcase_add_test(values, what_is_no_time_span_is_refused);
	tcase_add_test(values, only_a_tunnel_may_wait_for_ever_and_zero_must_make_sense);
	tcase_add_test(values, sizes_are_bytes_K_and_M);
	tcase_add_test(values, levels_are_those_of_syslog_from_err_on);
	tcase_add_test(values, urls_are_taken_apart);
	tcase_add_test(values, https_is_port_443);
	tcase_add_test(values, yes_and_no_are_systemds);
	tcase_add_test(values, files_are_absolute_and_credentials_have_names);
	tcase_add_test(values, unix_sockets_are_taken_whole);
	tcase_add_test(values, other_urls_are_refused);
	tcase_add_test(values, a_password_is_not_repeated);
	tcase_add_test(values, paths_that_can_match_are_taken);
	tcase_add_test(values, paths_that_never_match_are_refused);
	tcase_add_test(values, origins_are_what_browsers_send);
	tcase_add_test(values, a_list_replaces_its_default_and_then_grows);
	tcase_add_test(values, a_list_of_one_byte_words_fits);
	tcase_add_test(values,
		       the_last_single_value_counts_and_an_empty_one_is_the_default);
	tcase_add_test(values, what_is_wrong_is_as_if_it_were_not_there);

	suite_add_tcase(suite, syntax);
	tcase_set_timeout(syntax, 60); /* under valgrind */
	tcase_add_test(syntax, the_syntax_is_systemds);
	tcase_add_test(syntax, errors_name_the_line_where_the_assignment_begins);
	tcase_add_test(syntax, unknown_names_are_answered_with_the_known_ones);
	tcase_add_test(syntax, what_is_not_built_yet_says_so);
	tcase_add_test(syntax, lines_are_bounded);
	tcase_add_test(syntax, bytes_that_are_no_text_are_refused);
	tcase_add_test(syntax, not_more_than_so_many_errors_are_reported);
	tcase_add_test(syntax, a_file_may_end_anywhere);
	tcase_add_test(syntax, a_file_may_have_any_byte_anywhere);

	suite_add_tcase(suite, files);
	tcase_add_checked_fixture(files, make_dir, remove_dir);
	tcase_add_test(files, drop_ins_follow_the_file_in_bytewise_order);
	tcase_add_test(files, other_files_beside_drop_ins_are_left_alone);
	tcase_add_test(files, the_directory_of_drop_ins_may_be_missing);
	tcase_add_test(files, errors_name_their_file);
	tcase_add_test(files, a_missing_file_is_an_error_and_its_drop_ins_are_still_read);
	tcase_add_loop_test(files, what_is_no_regular_file_is_an_error_not_waited_for, 0,
			    4);
	tcase_add_test(files, files_are_bounded);
	tcase_add_test(files, a_path_that_is_too_long_is_an_error);

	suite_add_tcase(suite, papers);
	tcase_add_test(papers, the_installed_file_shows_the_defaults);
	tcase_add_test(papers, the_man_page_has_an_entry_for_each_key);

	return suite_run(suite);
}
