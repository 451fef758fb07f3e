/* SPDX-License-Identifier: MIT */
/* log.c: what an event says, and with which fields. */
#include "log/log.h"

#include <limits.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "captured.h"
#include "log/journal.h"
#include "testing.h"

#define TEXT_MAX 512 /* a value, once it is escaped */

/* ---- sentences */

#define CLIENT  "192.0.2.1:51234"
#define WEBSOCK "/api/auth/session/s-1/novnc/websock"
#define WHO     " (GET " WEBSOCK ", session s-1, client " CLIENT ")"

static const struct log_fields full = {
	.client = SLICE(CLIENT),
	.request_id = SLICE("4f0c3a3f5f0b4b6f9e1c0e7f3c8f4f5d-1"),
	.session = SLICE("s-1"),
	.user = SLICE("alice"),
	.path = SLICE("/api/auth/session/s-1/novnc/websock?token=secret"),
	.method = SLICE("GET"),
	.protocol = SLICE("HTTP/1.1"),
	.referer = SLICE("http://dash.example/list"),
	.user_agent = SLICE("Mozilla/5.0"),
	.backend = SLICE("master-controller"),
	.origin = SLICE("http://dash.example:3000"),
	.reason = SLICE("the client closed"),
	.closed_by = SLICE("client"),
	.close_code = 1000,
	.status = 101,
	.ended = true,
	.up_bytes = 12,
	.down_bytes = UINT64_MAX,
	.duration_ms = 4354003,
};

static const struct {
	enum log_event ev;
	int level;
	const char *message; /* with all fields */
	const char *bare;    /* with none */
} sentences[] = {
	{ LOG_HANDLING, LOG_NOTICE,
	  "Handling noVNC connection: " WEBSOCK " (client " CLIENT ")",
	  "Handling noVNC connection: - (client -)" },
	{ LOG_PROXYING, LOG_NOTICE, "Proxying: " WEBSOCK " (client " CLIENT ")",
	  "Proxying: - (client -)" },
	{ LOG_CLOSED, LOG_NOTICE,
	  "noVNC session closed: " WEBSOCK " (the client closed; 12 bytes up, "
	  "18446744073709551615 bytes down, 1h 12min 34s; client " CLIENT ")",
	  "noVNC session closed: - (-; - bytes up, - bytes down, -; client -)" },
	{ LOG_REFUSED_PATH, LOG_NOTICE,
	  "Rejecting non-noVNC connection: " WEBSOCK " (client " CLIENT ")",
	  "Rejecting non-noVNC connection: - (client -)" },
	{ LOG_ORIGIN, LOG_NOTICE,
	  "Rejecting WebSocket from another site: " WEBSOCK
	  " (the client closed; client " CLIENT ")",
	  "Rejecting WebSocket from another site: - (-; client -)" },
	{ LOG_DENIED, LOG_NOTICE, "Refusing unauthorized request with 101" WHO,
	  "Refusing unauthorized request with -" },
	{ LOG_TLS, LOG_NOTICE, "TLS handshake with " CLIENT " failed: the client closed",
	  "TLS handshake with - failed: -" },
	{ LOG_NO_HEADER, LOG_NOTICE,
	  "Refusing connection from " CLIENT ": the client closed",
	  "Refusing connection from -: -" },
	{ LOG_UNVERIFIED, LOG_NOTICE,
	  "The certificate of master-controller is not verified (VerifyTls=no)" WHO,
	  "The certificate of - is not verified (VerifyTls=no)" },
	{ LOG_REFUSED, LOG_NOTICE, "Refusing request with 101: the client closed" WHO,
	  "Refusing request with -: -" },
	{ LOG_WS_ERROR, LOG_WARNING, "WebSocket proxy error: the client closed" WHO,
	  "WebSocket proxy error: -" },
	{ LOG_UNDECIDED, LOG_WARNING,
	  "Session cannot be authorized again: the client closed" WHO,
	  "Session cannot be authorized again: -" },
	{ LOG_BACKEND, LOG_WARNING, "Proxy error: the client closed" WHO,
	  "Proxy error: -" },
	{ LOG_PAGE, LOG_INFO,
	  "192.0.2.1 - alice [13/Feb/2009:23:31:30 +0000] \"GET " WEBSOCK " HTTP/1.1\" "
	  "101 18446744073709551615 \"http://dash.example/list\" \"Mozilla/5.0\"",
	  "- - - [13/Feb/2009:23:31:30 +0000] \"- - -\" - - \"-\" \"-\"" },
	{ LOG_DROPPED, LOG_DEBUG,
	  "Dropping header fields with _ in their names: the client closed" WHO,
	  "Dropping header fields with _ in their names: -" },
	{ LOG_SANDBOX, LOG_DEBUG, "Sandbox degraded: the client closed" WHO,
	  "Sandbox degraded: -" },
	{ LOG_CONFIG, LOG_ERR, "the client closed" WHO, "-" },
	{ LOG_FAULT, LOG_ERR, "Internal error: the client closed" WHO,
	  "Internal error: -" },
};
_Static_assert(sizeof(sentences) / sizeof(sentences[0]) == LOG_EVENTS,
	       "all events are here");

/* The clock of the log, instead of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (clock != CLOCK_REALTIME)
		return (int)syscall(SYS_clock_gettime, clock, ret);
	*ret = (struct timespec){ .tv_sec = 1234567890 };
	return 0;
}

/* Entries are lines on standard error. */
static void capture_lines(void)
{
	capture();
	journal_open();
}

START_TEST(an_event_is_one_line_in_its_own_words)
{
	capture_lines();
	journal_set_level(LOG_DEBUG);
	log_event(sentences[_i].ev, &full);
	ck_assert_str_eq(message(), sentences[_i].message);
	log_event(sentences[_i].ev, &(struct log_fields){ 0 });
	ck_assert_str_eq(message(), sentences[_i].bare);
}
END_TEST

START_TEST(what_is_known_of_a_request_is_named)
{
	static const struct {
		struct log_fields f;
		const char *who;
	} table[] = {
		{ { .client = SLICE_INIT("local") }, " (client local)" },
		{ { .method = SLICE_INIT("GET"),
		    .path = SLICE_INIT("/a?secret"),
		    .client = SLICE_INIT("local") },
		  " (GET /a, client local)" },
		{ { .path = SLICE_INIT("/a"), .session = SLICE_INIT("4711") },
		  " (/a, session 4711)" },
		{ { .session = SLICE_INIT("\n") }, " (session \\x0a)" },
		{ { .origin = SLICE_INIT("x") }, "" },
	};
	char expected[128];

	capture_lines();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		log_event(LOG_WS_ERROR, &table[i].f);
		snprintf(expected, sizeof(expected), "WebSocket proxy error: -%s",
			 table[i].who);
		ck_assert_str_eq(message(), expected);
	}
}
END_TEST

START_TEST(nothing_is_written_below_the_threshold)
{
	capture_lines();
	for (int level = LOG_ERR; level <= LOG_DEBUG; level++) {
		journal_set_level(level);
		log_event(sentences[_i].ev, &full);
		ck_assert((packet(reader) != NULL) == (sentences[_i].level <= level));
	}
}
END_TEST

START_TEST(durations_read_well)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} table[] = {
		{ 0, "0.000s" },
		{ 1, "0.001s" },
		{ 59999, "59.999s" },
		{ 60000, "1min 0s" },
		{ 3599999, "59min 59s" },
		{ 3600000, "1h 0min 0s" },
		{ 360000000, "100h 0min 0s" },
		{ UINT64_MAX, "5124095576030h 25min 51s" },
	};
	struct log_fields f = { .ended = true };
	char expected[128];

	capture_lines();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		f.duration_ms = table[i].ms;
		log_event(LOG_CLOSED, &f);
		snprintf(expected, sizeof(expected),
			 "noVNC session closed: - (-; 0 bytes up, 0 bytes down, %s; "
			 "client -)",
			 table[i].text);
		ck_assert_str_eq(message(), expected);
	}
}
END_TEST

/* ---- hostile text */

/* The value of a reason as it is logged. */
static const char *logged(struct slice reason)
{
	log_event(LOG_CONFIG, &(struct log_fields){ .reason = reason });
	return message();
}

START_TEST(hostile_text_cannot_leave_its_place)
{
	static const struct {
		struct slice text;
		const char *logged;
	} table[] = {
		{ SLICE(" !~@%s%n\"'<5>"), " !~@%s%n\"'<5>" },
		{ SLICE("@PATH@ @"), "@PATH@ @" },
		{ SLICE("a\nnovnc-gate[1]: forged"), "a\\x0anovnc-gate[1]: forged" },
		{ SLICE("a\r\n\t\v\fb"), "a\\x0d\\x0a\\x09\\x0b\\x0cb" },
		{ SLICE("\0\x01\x1f\x7f"), "\\x00\\x01\\x1f\\x7f" },
		{ SLICE("\033]0;owned\a\033[2J"), "\\x1b]0;owned\\x07\\x1b[2J" },
		{ SLICE("\x9b"
			"2J\xc2\x9b"
			"2J"),
		  "\\x9b2J\\xc2\\x9b2J" },
		{ SLICE("\xe2\x80\xae"
			"txt\xe2\x80\xa8"),
		  "\\xe2\\x80\\xaetxt\\xe2\\x80\\xa8" },
		{ SLICE("\xff\xfe\x80\xc0\xaf"), "\\xff\\xfe\\x80\\xc0\\xaf" },
		{ SLICE("m\xc3\xbcller"), "m\\xc3\\xbcller" },
		{ SLICE("\\x0a\\"), "\\x5cx0a\\x5c" },
	};

	capture_lines();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_str_eq(logged(table[i].text), table[i].logged);
}
END_TEST

START_TEST(every_byte_can_be_read_back)
{
	capture_lines();
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		const char *text = logged((struct slice){ &byte, 1 });
		unsigned back = (unsigned char)text[0];

		if (strlen(text) != 1)
			ck_assert_int_eq(sscanf(text, "\\x%2x", &back), 1);
		ck_assert_uint_eq(back, (unsigned)c);
	}
}
END_TEST

START_TEST(long_text_is_cut_and_says_so)
{
	static const struct {
		char byte;
		size_t len, kept; /* bytes of the text, bytes of it that stay */
	} table[] = {
		{ 'a', TEXT_MAX - 1, TEXT_MAX - 1 },
		{ 'a', TEXT_MAX, TEXT_MAX },
		{ 'a', TEXT_MAX + 1, TEXT_MAX - 3 },
		{ 'a', 100000, TEXT_MAX - 3 },
		{ '\n', TEXT_MAX / 4, TEXT_MAX / 4 },
		{ '\n', TEXT_MAX / 4 + 1, TEXT_MAX / 4 - 1 },
		{ '\n', 100000, TEXT_MAX / 4 - 1 },
	};

	capture_lines();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t width = table[i].byte == 'a' ? 1 : 4;
		char *text = malloc(table[i].len); /* of exact size, for ASan */
		const char *out;

		memset(text, table[i].byte, table[i].len);
		out = logged((struct slice){ text, table[i].len });
		free(text);
		for (size_t k = 0; k < table[i].kept; k++)
			ck_assert(strncmp(out + k * width, width == 1 ? "a" : "\\x0a",
					  width) == 0);
		ck_assert_str_eq(out + table[i].kept * width,
				 table[i].kept < table[i].len ? "..." : "");
	}
}
END_TEST

START_TEST(the_largest_entry_fits)
{
	static char junk[100000];
	struct slice s = { junk, sizeof(junk) };
	struct log_fields f = { s,    s,          s,          s,         s,
				s,    s,          s,          s,         s,
				s,    s,          s,          UINT_MAX,  UINT_MAX,
				true, UINT64_MAX, UINT64_MAX, UINT64_MAX };

	memset(junk, 0x1b, sizeof(junk));
	capture_lines();
	journal_set_level(LOG_DEBUG);
	log_event(sentences[_i].ev, &f);
	ck_assert_uint_lt(strlen(message()), 7 * TEXT_MAX + 200);
}
END_TEST

START_TEST(a_query_is_never_logged)
{
	struct log_fields f = { .path = SLICE("/a?secret?x") };

	capture_lines();
	log_event(LOG_HANDLING, &f);
	ck_assert_str_eq(message(), "Handling noVNC connection: /a (client -)");
	f.path = SLICE("?secret");
	log_event(LOG_HANDLING, &f);
	ck_assert_str_eq(message(), "Handling noVNC connection: - (client -)");
}
END_TEST

/* Also before the log is open, as with --check. */
START_TEST(a_failed_assertion_is_an_entry)
{
	int status;
	pid_t pid;

	if (_i == 0)
		capture_lines();
	else
		capture();
	pid = fork();
	if (pid == 0) {
		capture_end(); /* else valgrind sees a descriptor that is left open */
		assert(LENGTH(sentences) == 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_ptr_nonnull(
		strstr(packet(reader), "Internal error: tests/test_log.c:"));
}
END_TEST

/* ---- fields */

static const char *field(const char *entry, const char *name)
{
	static char value[65536];
	size_t n = strlen(name);

	for (const char *line = entry; *line != '\0'; line = strchr(line, '\n') + 1) {
		ck_assert_ptr_nonnull(strchr(line, '='));
		ck_assert_ptr_nonnull(strchr(line, '\n'));
		if (strncmp(line, name, n) != 0 || line[n] != '=')
			continue;
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + n + 1, "\n"),
			 line + n + 1);
		return value;
	}
	return NULL;
}

START_TEST(the_journal_gets_every_field)
{
	static const char *const fields[][2] = {
		{ "NOVNC_GATE_CLIENT", "192.0.2.1:51234" },
		{ "NOVNC_GATE_REQUEST_ID", "4f0c3a3f5f0b4b6f9e1c0e7f3c8f4f5d-1" },
		{ "NOVNC_GATE_SESSION", "s-1" },
		{ "NOVNC_GATE_USER", "alice" },
		{ "NOVNC_GATE_PATH", WEBSOCK },
		{ "NOVNC_GATE_METHOD", "GET" },
		{ "NOVNC_GATE_PROTOCOL", "HTTP/1.1" },
		{ "NOVNC_GATE_REFERER", "http://dash.example/list" },
		{ "NOVNC_GATE_USER_AGENT", "Mozilla/5.0" },
		{ "NOVNC_GATE_BACKEND", "master-controller" },
		{ "NOVNC_GATE_ORIGIN", "http://dash.example:3000" },
		{ "NOVNC_GATE_REASON", "the client closed" },
		{ "NOVNC_GATE_CLOSED_BY", "client" },
		{ "NOVNC_GATE_CLOSE_CODE", "1000" },
		{ "NOVNC_GATE_STATUS", "101" },
		{ "NOVNC_GATE_UP_BYTES", "12" },
		{ "NOVNC_GATE_DOWN_BYTES", "18446744073709551615" },
		{ "NOVNC_GATE_DURATION_MS", "4354003" },
		{ "NOVNC_GATE_DURATION_PRETTY", "1h 12min 34s" },
		{ "SYSLOG_IDENTIFIER", "novnc-gate" },
	};
	AUTO_FD int journal = journal_socket();
	const char *entry;
	char level[2] = { 0 };

	if (journal < 0)
		return;
	capture();
	pretend_journal();
	journal_open();
	journal_set_level(LOG_DEBUG);
	log_event(sentences[_i].ev, &full);
	entry = packet(journal);
	ck_assert_ptr_nonnull(entry);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		ck_assert_str_eq(field(entry, fields[i][0]), fields[i][1]);
	level[0] = (char)('0' + (sentences[_i].level == LOG_INFO ? LOG_NOTICE
								 : sentences[_i].level));
	ck_assert_str_eq(field(entry, "PRIORITY"), level);
	ck_assert_str_eq(field(entry, "MESSAGE"), sentences[_i].message);
	ck_assert_uint_eq(strlen(field(entry, "MESSAGE_ID")), 32);

	log_event(sentences[_i].ev, &(struct log_fields){ 0 });
	entry = packet(journal);
	ck_assert_ptr_nonnull(entry);
	ck_assert_str_eq(field(entry, "MESSAGE"), sentences[_i].bare);
	ck_assert_ptr_null(strstr(entry, "NOVNC_GATE_"));

	ck_assert_ptr_null(packet(reader));
	journal_close();
}
END_TEST

/* ---- status */

START_TEST(the_status_goes_to_systemd_only_if_it_listens)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa.sun_family); /* the kernel picks an abstract name */
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char expected[64 + 3 * TEXT_MAX], junk[TEXT_MAX + 1], escapes[TEXT_MAX];

	capture_lines();
	log_status((struct slice[]){ SLICE("nobody hears it") }, 1);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	len = sizeof(sa);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	sa.sun_path[0] = '@';
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	journal_close();
	journal_open();
	log_status((struct slice[]){ SLICE("id "), SLICE("s-1\nREADY=1") }, 2);
	ck_assert_str_eq(packet(fd), "STATUS=id s-1\\x0aREADY=1");

	/* each part is as long as a field of the journal */
	memset(junk, 'a', sizeof(junk));
	memset(escapes, '\n', sizeof(escapes));
	log_status((struct slice[]){ { junk, TEXT_MAX },
				     SLICE(", id "),
				     { junk, TEXT_MAX + 1 },
				     SLICE(", user "),
				     { escapes, sizeof(escapes) } },
		   5);
	snprintf(expected, sizeof(expected), "STATUS=%.*s, id %.*s..., user ", TEXT_MAX,
		 junk, TEXT_MAX - 3, junk);
	for (size_t i = 0; i < TEXT_MAX / 4 - 1; i++)
		strcat(expected, "\\x0a");
	strcat(expected, "...");
	ck_assert_str_eq(packet(fd), expected);
	journal_close();
}
END_TEST

/* ---- catalog and manual */

static const char *slurp(const char *file)
{
	static char text[3][131072];
	static int next;
	char *to = text[next++ % 3];
	AUTO_FD int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, to, sizeof(text[0]));

	ck_assert_msg(n > 0 && (size_t)n < sizeof(text[0]), "%s: run this from the top",
		      file);
	to[n] = '\0';
	return to;
}

/* The id at the start of the text, or "". */
static const char *id_at(const char *text)
{
	static char id[2][33];
	static int next;
	char *to = id[next++ % 2];

	snprintf(to, sizeof(id[0]), "%.32s", text);
	return strspn(to, "0123456789abcdef") == 32 ? to : "";
}

START_TEST(table_catalog_and_manual_have_the_same_ids)
{
	const char *catalog = slurp("units/novnc-gate.catalog"),
		   *table = slurp("src/log/ids.h"), *manual = slurp("man/novnc-gate.8");
	int in_catalog = 0, in_table = 0;
	char quoted[40];

	for (const char *p = catalog; (p = strstr(p, "\n-- ")) != NULL; in_catalog++) {
		p += strlen("\n-- ");
		snprintf(quoted, sizeof(quoted), "\"%s\"", id_at(p));
		ck_assert_msg(strstr(table, quoted) != NULL, "only in the catalog: %s",
			      quoted);
		ck_assert_msg(strstr(manual, id_at(p)) != NULL, "not in the manual: %s",
			      quoted);
		ck_assert_msg(strstr(p, id_at(p)) == strstr(catalog, id_at(p)) &&
				      strstr(p + 1, id_at(p)) == NULL,
			      "twice: %s", quoted);
	}
	for (const char *p = table; (p = strchr(p, '"')) != NULL; p++)
		in_table += *id_at(p + 1) != '\0' && p[33] == '"';
	ck_assert_int_eq(in_catalog, LOG_EVENTS);
	ck_assert_int_eq(in_table, LOG_EVENTS);
}
END_TEST

START_TEST(catalog_entries_are_complete)
{
	static const char *const header[] = { "Subject: ", "Defined-By: novnc-gate\n",
					      "Support: ", "Documentation: " };
	const char *p = slurp("units/novnc-gate.catalog");

	while ((p = strstr(p, "\n-- ")) != NULL) {
		const char *line = p = strchr(p + 1, '\n') + 1;

		for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
			ck_assert_msg(strncmp(line, header[i], strlen(header[i])) == 0,
				      "%s is not where %.40s is", header[i], line);
			line = strchr(line, '\n') + 1;
		}
		while (strncmp(line, "Documentation: ", strlen("Documentation: ")) == 0)
			line = strchr(line, '\n') + 1;
		ck_assert(line[0] == '\n' && line[1] != '\n');
	}
}
END_TEST

START_TEST(the_catalog_names_only_fields_that_exist)
{
	const char *p = slurp("units/novnc-gate.catalog"),
		   *source = slurp("src/log/log.c");
	int found = 0;

	while ((p = strstr(p, "@NOVNC_GATE_")) != NULL) {
		size_t n = strcspn(++p, "@\n");
		char quoted[64];

		ck_assert_int_eq(p[n], '@');
		snprintf(quoted, sizeof(quoted), "\"%.*s\"", (int)n, p);
		ck_assert_msg(strstr(source, quoted) != NULL, "no such field: %s",
			      quoted);
		p += n + 1;
		found++;
	}
	ck_assert_int_gt(found, 20);
}
END_TEST

static void expect_field(const char *in, const char *format, const char *name, size_t n)
{
	char item[64];

	ck_assert_uint_lt(n + strlen(format), sizeof(item));
	snprintf(item, sizeof(item), format, (int)n, name);
	ck_assert_msg(strstr(in, item) != NULL, "only in one place: %s", item);
}

START_TEST(the_manual_has_every_field_and_no_other)
{
	const char *manual = slurp("man/novnc-gate.8"), *source = slurp("src/log/log.c");
	int in_source = 0, in_manual = 0;

	for (const char *p = source; (p = strstr(p, "\"NOVNC_GATE_")) != NULL;) {
		size_t n = strcspn(++p, "\"");

		if (n == strlen("NOVNC_GATE_")) /* the prefix */
			continue;
		expect_field(manual, "Va %.*s Ns =", p, n);
		in_source++;
	}
	manual = strstr(manual, ".Ss Fields\n");
	ck_assert_ptr_nonnull(manual);
	for (const char *p = manual; (p = strstr(p, "Va NOVNC_GATE_")) != NULL;) {
		size_t n = strcspn(p += strlen("Va "), " ");

		expect_field(source, "\"%.*s\"", p, n);
		in_manual++;
	}
	ck_assert_int_gt(in_source, 10);
	ck_assert_int_eq(in_manual, in_source);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("log");
	Suite *s = suite_create("log");

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, NULL, capture_end);
	tcase_set_timeout(t, 60); /* valgrind */
	tcase_add_loop_test(t, an_event_is_one_line_in_its_own_words, 0, LOG_EVENTS);
	tcase_add_test(t, what_is_known_of_a_request_is_named);
	tcase_add_loop_test(t, nothing_is_written_below_the_threshold, 0, LOG_EVENTS);
	tcase_add_test(t, durations_read_well);
	tcase_add_test(t, hostile_text_cannot_leave_its_place);
	tcase_add_test(t, every_byte_can_be_read_back);
	tcase_add_test(t, long_text_is_cut_and_says_so);
	tcase_add_loop_test(t, the_largest_entry_fits, 0, LOG_EVENTS);
	tcase_add_test(t, a_query_is_never_logged);
	tcase_add_loop_test(t, a_failed_assertion_is_an_entry, 0, 2);
	tcase_add_loop_test(t, the_journal_gets_every_field, 0, LOG_EVENTS);
	tcase_add_test(t, the_status_goes_to_systemd_only_if_it_listens);
	tcase_add_test(t, table_catalog_and_manual_have_the_same_ids);
	tcase_add_test(t, catalog_entries_are_complete);
	tcase_add_test(t, the_catalog_names_only_fields_that_exist);
	tcase_add_test(t, the_manual_has_every_field_and_no_other);
	return suite_run(s);
}
