/* SPDX-License-Identifier: MIT */
/* ctl/report_page.c, chart.c, html.c: the page. tests/browser/report.test.mjs looks at pages that this suite writes. */
#include "ctl/html.h"
#include "reporting.h"

START_TEST(no_entries_are_said)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	report_end(&r, NULL, NULL);
	ck_assert(r.empty);
	has(&r, "<p>The journal has no entries of novnc-gate from this time.</p>");
	report_done(&r);
}
END_TEST

START_TEST(all_texts_of_peers_are_escaped)
{
#define EVIL "<script>alert(\"1\")</script>&amp;'\xc2\x85\xff"
	char *texts[] = { EVIL, EVIL, EVIL, EVIL, EVIL, EVIL };
	struct report r = begun_at(BEGIN, BEGIN + DAY);
	struct entry e = plain;
	char *page;

	e.session = texts[0];
	e.user = texts[1];
	e.client = texts[2];
	e.reason = texts[3];
	e.by = texts[4];
	e.time_us = BEGIN + HOUR;
	for (size_t i = 0; i < 5; i++) {
		static char *const ids[] = { PROXYING, CLOSED, WS_ERROR, REFUSED,
					     DISCONNECTED };

		e.status = i == 1 ? 101 : 0;
		e.id = ids[i];
		report_add(&r, &e);
	}
	report_end(&r, NULL, NULL);
	page = page_of(&r);
	ck_assert_ptr_null(strstr(page, "<script"));
	ck_assert_ptr_null(strstr(page, "\xff"));
	ck_assert_ptr_null(strstr(page, "\xc2\x85"));
	free(page);
	has(&r, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;&#39;");
	report_done(&r);
}
END_TEST

START_TEST(utf8_stays_and_controls_are_written_as_numbers)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{ "Gr\xc3\xbc\xc3\x9f"
		  "e",
		  "Gr\xc3\xbc\xc3\x9f"
		  "e" },
		{ "a\x01\x7f", "a\\x01\\x7f" },
		{ "\xc2\x9b"
		  "x",
		  "\\x9bx" },
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\xc3(", "\\xc3(" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* a surrogate */
		{ "", "" },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice exactly = exact_str(table[i].text);
		char *text = NULL, *copy = strndup(exactly.p, exactly.len);
		size_t len;
		FILE *to = open_memstream(&text, &len);

		html_text(to, copy);
		(void)fclose(to);
		ck_assert_str_eq(text, table[i].expected);
		free(text);
		free(copy);
		slice_free(exactly);
	}
}
END_TEST

/* ---- pages to look at, if REPORT_PAGES= names a directory for them */

static void page_save(const struct report *r, const char *name)
{
	const char *directory = getenv("REPORT_PAGES");
	char path[4096];
	FILE *to;

	(void)snprintf(path, sizeof(path), "%s/%s.html", directory ? directory : "/dev",
		       name);
	to = fopen(directory ? path : "/dev/null", "w");
	ck_assert_ptr_nonnull(to);
	report_write(r, "host.example", to);
	ck_assert_int_eq(fclose(to), 0);
}

/* A sequence that looks random and is the same each time. */
static uint64_t next_number(uint64_t *state, uint64_t limit)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*state >> 33) % limit;
}

START_TEST(the_page_of_one_session_is_written)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	opened(&r, BEGIN + 9 * HOUR, "1");
	closed(&r, BEGIN + 10 * HOUR, "1", 3600000);
	report_end(&r, NULL, NULL);
	page_save(&r, "one");
	report_done(&r);
}
END_TEST

START_TEST(the_page_without_entries_is_written)
{
	struct report r = begun_at(BEGIN, BEGIN + DAY);

	report_end(&r, NULL, NULL);
	page_save(&r, "none");
	report_done(&r);
}
END_TEST

START_TEST(the_page_of_one_second_is_written)
{
	struct report r = begun_at(BEGIN, BEGIN);

	opened(&r, BEGIN, "1");
	report_end(&r, NULL, NULL);
	page_save(&r, "second");
	report_done(&r);
}
END_TEST

#define LONG_NAME                                              \
	"a-very-long-name-without-any-place-for-a-line-break-" \
	"a-very-long-name-without-any-place-for-a-line-break-" \
	"a-very-long-name-without-any-place-for-a-line-break"

/* A session that has ended at that time; its opening entry is gone. */
static void add_one(struct report *r, uint64_t *seed, uint64_t time_us,
		    char *const users[], size_t n)
{
	static char *const ends[] = {
		"closed by the client (1001)",
		"the client closed first",
		"closed by the client (1000)",
		"closed by the client (1001)",
		"the client answered no Ping of HeartbeatSec=",
		"stopped by SIGTERM",
		"closed by the master-controller (1011: the VM was stopped)",
	};
	struct entry e = plain;
	char client[32];

	(void)snprintf(client, sizeof(client), "192.0.2.%u:51234",
		       (unsigned)(next_number(seed, 15) * next_number(seed, 15)));
	e.id = CLOSED;
	e.status = 101;
	e.time_us = time_us;
	e.request_id = "";
	e.client = client;
	e.user = users[next_number(seed, n) * next_number(seed, n) / n];
	e.reason = ends[next_number(seed, LENGTH(ends))];
	e.duration_ms = 1000ULL << next_number(seed, 15);
	e.up = 200ULL << next_number(seed, 15);
	e.down = 3000ULL << next_number(seed, 22);
	report_add(r, &e);
}

/* Most of them in the middle of a day, fewer on two of seven days. */
static void add_many(struct report *r, char *const users[], size_t n)
{
	uint64_t seed = 1, time_us = BEGIN;

	for (size_t i = 0; i < 10000; i++) {
		uint64_t hour = (time_us - BEGIN) / HOUR;
		uint64_t from_noon = hour % 24 > 13 ? hour % 24 - 13 : 13 - hour % 24;
		uint64_t mean_s = 17 + from_noon * from_noon * 3 / 2;

		if (hour / 24 >= 5)
			mean_s *= 3;
		time_us += next_number(&seed, 2 * mean_s) * SECOND;
		add_one(r, &seed, time_us, users, n);
	}
}

START_TEST(the_page_of_many_sessions_is_written)
{
	static char *const users[] = { "alice",      "bob",
				       "carol",      "dave",
				       LONG_NAME,    "<script>alert(1)</script>",
				       "Zo\xc3\xab", "\xd7\xa2\xd7\x91\xd7\xa8",
				       "",           "erin" };
	struct report r = begun_at(BEGIN, BEGIN + 7 * DAY);
	struct entry e = plain;

	add_many(&r, users, LENGTH(users));
	for (uint64_t i = 0; i < 300; i++) {
		failed(&r, BEGIN + i * HOUR / 2, WS_ERROR,
		       i % 3 ? "cannot connect to 10.0.0.7:4000: Connection refused"
			     : "master-controller responded with 401 instead of 101");
		failed(&r, BEGIN + i * HOUR / 2, REFUSED,
		       i % 4 ? LONG_NAME : "a bare CR");
	}
	e.id = DISCONNECTED;
	e.by = "root";
	e.time_us = BEGIN + 6 * DAY;
	e.reason = "the VM is needed for maintenance, which takes until the afternoon";
	report_add(&r, &e);
	e.user = "<script>alert(1)</script>";
	e.reason = LONG_NAME;
	report_add(&r, &e);
	report_end(&r, NULL, NULL);
	page_save(&r, "many");
	report_done(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_report_page");
	TCase *t = tcase_create("ctl_report_page");

	suite_add_tcase(suite, t);
	tcase_add_test(t, no_entries_are_said);
	tcase_add_test(t, all_texts_of_peers_are_escaped);
	tcase_add_test(t, utf8_stays_and_controls_are_written_as_numbers);
	tcase_add_test(t, the_page_of_one_session_is_written);
	tcase_add_test(t, the_page_without_entries_is_written);
	tcase_add_test(t, the_page_of_one_second_is_written);
	tcase_add_test(t, the_page_of_many_sessions_is_written);
	return suite_run(suite);
}
