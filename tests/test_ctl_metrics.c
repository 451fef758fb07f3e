/* SPDX-License-Identifier: MIT */
/* metrics_events.c and counters.c: which entries count for which metric; what the file keeps. */
#include "ctl/metrics_events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "testing.h"

#define HANDLING "72d0afd52f154dfeb3a0b56188c70f13"
#define PROXYING "f6f9792c04fb43ac86cbf1932436eb7b"
#define CLOSED   "930ee7b5ab8f48f2b1fb9892c90e56b8"
#define KILLED   "d9b373ed55a64feb8242e02dbe79a49c"
#define WS_ERROR "3f3a3d11331348c7ae8f7499bb3e7f7e"
#define BACKEND  "6a41f540a2854f87b431e3a36b6c8097"
#define REFUSED  "172f8e3d92354f67b33d181747e5601f"

static char directory[] = "/tmp/novnc-gate-test-XXXXXX";

static void begin(struct counters *ret)
{
	(void)strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(counters_open(directory, ret), 0);
}

static void end(struct counters *c)
{
	char path[64];

	counters_done(c);
	(void)snprintf(path, sizeof(path), "%s/metrics.json", directory);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/metrics.lock", directory);
	(void)unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void entry(struct counters *c, const char *id, unsigned status, const char *reason)
{
	const struct entry e = {
		.id = (char *)id,
		.session = "4711",
		.request_id = "1",
		.reason = (char *)reason,
		.status = status,
		.up = 1000,
		.down = 1001,
		.duration_ms = 1500,
		.time_us = 1000000,
	};

	metrics_count(c, &e);
}

START_TEST(each_sentence_has_its_label)
{
	static const struct {
		const char *id, *reason;
		unsigned status;
		const char *key;
	} table[] = {
#define ENDED(label) "novnc_gate_sessions_ended_total{outcome=\"" label "\"}"
		{ CLOSED, "closed by the client (1000)", 101, ENDED("client_closed") },
		{ CLOSED, "closed by the master-controller (1001: bye)", 101,
		  ENDED("controller_closed") },
		{ CLOSED, "the client closed first", 101, ENDED("client_closed") },
		{ CLOSED, "master-controller closed first, without TLS close_notify", 101,
		  ENDED("controller_closed") },
		{ CLOSED,
		  "the client closed first, then the connection to master-controller "
		  "failed: Connection reset by peer",
		  101, ENDED("client_closed") },
		{ CLOSED, "both sides closed at the same time", 101,
		  ENDED("both_closed") },
		{ CLOSED, "the connection to the client failed: Connection reset by peer",
		  101, ENDED("connection_failed") },
		{ CLOSED, "stopped by SIGTERM", 101, ENDED("stopped") },
		{ CLOSED, "no longer authorized", 101, ENDED("unauthorized") },
		{ CLOSED, "no data for IdleTimeoutSec=", 101, ENDED("idle_timeout") },
		{ CLOSED, "open for SessionTimeoutSec=", 101, ENDED("session_timeout") },
		{ CLOSED, "the client answered no Ping of HeartbeatSec=", 101,
		  ENDED("vanished") },
		{ CLOSED, "poll: Cannot allocate memory", 101, ENDED("other") },
		/* the text behind the code is the peer's */
		{ CLOSED, "closed by the client (4000: stopped by SIGTERM)", 101,
		  ENDED("client_closed") },
		{ CLOSED, "stopped by SIGTERM", 0, ENDED("abandoned") },
		{ KILLED, "the process was killed by a signal", 0, ENDED("killed") },
		{ WS_ERROR, "cannot connect to a:1: Connection refused", 502,
		  ENDED("not_opened") },
#define FAILED(label) "novnc_gate_failures_total{reason=\"" label "\"}"
		{ WS_ERROR, "cannot connect to a:1: Connection refused", 502,
		  FAILED("connect") },
		{ WS_ERROR, "master-controller responded with 401 instead of 101", 401,
		  FAILED("declined") },
		{ BACKEND, "Next.js does not speak HTTP/1.1", 502, FAILED("not_http") },
		{ BACKEND, "cannot resolve nowhere: Name or service not known", 502,
		  FAILED("resolve") },
		{ BACKEND, "", 502, FAILED("other") },
#define REJECTED(label) "novnc_gate_refusals_total{reason=\"" label "\"}"
		{ REFUSED, "", 400, REJECTED("malformed") },
		{ REFUSED, "", 414, REJECTED("too_large") },
		{ REFUSED, "", 431, REJECTED("too_large") },
		{ REFUSED, "", 418, REJECTED("other") },
	};
	struct counters c;

	begin(&c);
	for (size_t i = 0; i < LENGTH(table); i++) {
		uint64_t before = counters_get(&c, table[i].key);

		entry(&c, table[i].id, table[i].status, table[i].reason);
		ck_assert_msg(counters_get(&c, table[i].key) == before + 1, "%s: %s",
			      table[i].reason, table[i].key);
	}
	end(&c);
}
END_TEST

START_TEST(a_value_at_a_bound_is_in_its_bucket)
{
	struct counters c;

	begin(&c);
	entry(&c, CLOSED, 101, "");
#define BYTES(rest) counters_get(&c, "novnc_gate_session_bytes_" rest)
	ck_assert_uint_eq(BYTES("bucket{direction=\"up\",le=\"1000\"}"), 1);
	ck_assert_uint_eq(BYTES("bucket{direction=\"down\",le=\"1000\"}"), 0);
	ck_assert_uint_eq(BYTES("bucket{direction=\"down\",le=\"10000\"}"), 1);
	ck_assert_uint_eq(BYTES("bucket{direction=\"down\",le=\"+Inf\"}"), 1);
	ck_assert_uint_eq(BYTES("sum{direction=\"down\"}"), 1001);
	ck_assert_uint_eq(BYTES("count{direction=\"down\"}"), 1);
	end(&c);
}
END_TEST

START_TEST(of_a_killed_session_only_the_duration_counts)
{
	struct counters c;

	begin(&c);
	entry(&c, KILLED, 0, "the process crashed");
	ck_assert_uint_eq(counters_get(&c, "novnc_gate_session_duration_seconds_count"),
			  1);
	ck_assert_uint_eq(counters_get(&c, "novnc_gate_session_duration_seconds_sum"),
			  1500);
	ck_assert_uint_eq(BYTES("count{direction=\"down\"}"), 0);
	end(&c);
}
END_TEST

START_TEST(the_file_keeps_the_counters_and_what_has_begun)
{
	struct counters c;
	struct entry opened = {
		.id = PROXYING,
		.request_id = "1",
		.time_us = 1250000,
	};

	begin(&c);
	entry(&c, HANDLING, 0, "");
	counters_add(&c, "a", UINT64_MAX);
	counters_add(&c, "a", 1); /* stays */
	counters_follow_begin(&c, false);
	counters_follow(&c, "b", "1.socket", 5);
	counters_follow(&c, "b", "2.socket", 100);
	counters_set_text(&c, "cursor", "s=1");
	ck_assert_int_eq(counters_save(&c), 0);
	counters_done(&c);
	ck_assert_int_eq(counters_open(directory, &c), 0);
	metrics_count(&c, &opened);
	ck_assert_uint_eq(
		counters_get(&c, "novnc_gate_session_open_seconds_bucket{le=\"0.25\"}"),
		1);
	ck_assert_uint_eq(
		counters_get(&c, "novnc_gate_session_open_seconds_bucket{le=\"0.1\"}"),
		0);
	metrics_count(&c, &opened); /* without the first entry */
	ck_assert_uint_eq(counters_get(&c, "novnc_gate_session_open_seconds_count"), 1);
	ck_assert_uint_eq(counters_get(&c, "a"), INT64_MAX);
	ck_assert_str_eq(counters_text(&c, "cursor"), "s=1");
	counters_follow_begin(&c, false);
	counters_follow(&c, "b", "1.socket", 7);
	counters_follow(&c, "b", "2.socket", 103);
	ck_assert_uint_eq(counters_get(&c, "b"), 110);
	counters_follow_begin(&c, false);
	counters_follow(&c, "b", "1.socket", 3); /* begun again; the other one is gone */
	ck_assert_uint_eq(counters_get(&c, "b"), 113);
	counters_follow_begin(&c, false);
	counters_follow(&c, "b", "1.socket", 3);
	counters_follow(&c, "b", "2.socket", 104); /* there again */
	ck_assert_uint_eq(counters_get(&c, "b"), 217);
	counters_follow_begin(&c, true);
	counters_follow(&c, "b", "1.socket", 4);
	ck_assert_uint_eq(counters_get(&c, "b"), 221);
	end(&c);
}
END_TEST

/* Everybody can lock what they can open. */
START_TEST(only_its_owner_can_lock_the_counters)
{
	struct counters c;
	struct stat st;
	int fd;

	begin(&c);
	ck_assert_int_eq(fstatat(c.directory, "metrics.lock", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	counters_done(&c);
	ck_assert_int_eq(chmod(directory, 0755), 0);
	fd = open(directory, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(counters_open(directory, &c), 0);
	(void)close(fd);
	end(&c);
}
END_TEST

START_TEST(what_never_ends_is_forgotten)
{
	struct counters c;

	begin(&c);
	counters_begin(&c, "old", 1000);
	counters_begin(&c, "new", 2000);
	counters_forget(&c, 2000);
	ck_assert_uint_eq(counters_end(&c, "old"), 0);
	ck_assert_uint_eq(counters_end(&c, "new"), 2000);
	ck_assert_uint_eq(counters_end(&c, "new"), 0);
	end(&c);
}
END_TEST

/* Each family once, with its lines behind its head; else Prometheus refuses them. */
START_TEST(all_metrics_are_written_even_if_nothing_is_counted)
{
	struct counters c;
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	begin(&c);
	metrics_write_counted(&c, to);
	(void)fclose(to);
	ck_assert_ptr_nonnull(strstr(text, "{outcome=\"client_closed\"} 0\n"));
	ck_assert_ptr_nonnull(strstr(text, "_duration_seconds_sum 0.000\n"));
	for (const char *p = text; (p = strstr(p, "# TYPE ")) != NULL; p++) {
		char head[128];

		(void)snprintf(head, sizeof(head), "%.*s ", (int)strcspn(p, "\n"), p);
		head[strlen(head) - 1] = '\n';
		ck_assert_ptr_null(strstr(p + 1, head));
	}
	free(text);
	end(&c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_metrics");
	TCase *t = tcase_create("ctl_metrics");

	suite_add_tcase(suite, t);
	tcase_add_test(t, each_sentence_has_its_label);
	tcase_add_test(t, a_value_at_a_bound_is_in_its_bucket);
	tcase_add_test(t, of_a_killed_session_only_the_duration_counts);
	tcase_add_test(t, the_file_keeps_the_counters_and_what_has_begun);
	tcase_add_test(t, only_its_owner_can_lock_the_counters);
	tcase_add_test(t, what_never_ends_is_forgotten);
	tcase_add_test(t, all_metrics_are_written_even_if_nothing_is_counted);
	return suite_run(suite);
}
