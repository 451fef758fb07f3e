/* SPDX-License-Identifier: MIT */
/* systemd.c and sessions.c, with a service manager that the suite plays itself. */
#include "ctl/systemd.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "ctl/sessions.h"
#include "testing.h"

#define UNIT(name) "novnc-gate-http-01@1-127.0.0.1:3000-127.0.0.1:" name ".service"
#define JOB(unit)  "/job/" unit

/* ---- the service manager, in a process of its own */

/* As systemd does for a unit that has ended: it loads the template anew, where nothing has happened yet. */
static int respond_get(sd_bus_message *m, const char *unit, const char *property)
{
	bool live = strcmp(unit, "live") == 0;

	if (strcmp(unit, "gone") == 0)
		return sd_bus_reply_method_errorf(
			m, "org.freedesktop.DBus.Error.UnknownObject", "no such object");
	if (strcmp(unit, "stalled") == 0)
		return sd_bus_reply_method_errorf(m, "org.freedesktop.DBus.Error.NoReply",
						  "timed out");
	if (strcmp(property, "StatusText") == 0)
		return sd_bus_reply_method_return(
			m, "v", "s", live ? "noVNC session 4711 of - (127.0.0.1:5)" : "");
	if (strcmp(property, "ActiveState") == 0)
		return sd_bus_reply_method_return(
			m, "v", "s", strcmp(unit, "ended") == 0 ? "inactive" : "active");
	return sd_bus_reply_method_return(m, "v", "t", (uint64_t)(live ? 1000000 : 0));
}

static int respond_stop(sd_bus_message *m, const char *unit)
{
	char job[64];
	int r;

	if (strcmp(unit, "denied") == 0)
		return sd_bus_reply_method_errorf(
			m, "org.freedesktop.DBus.Error.AccessDenied", "no");
	(void)snprintf(job, sizeof(job), JOB("%s"), unit);
	r = sd_bus_reply_method_return(m, "o", job);
	if (r < 0 || strcmp(unit, "stuck") == 0)
		return r; /* its job does not end */
	return sd_bus_emit_signal(sd_bus_message_get_bus(m), "/org/freedesktop/systemd1",
				  "org.freedesktop.systemd1.Manager", "JobRemoved",
				  "uoss", 1, job, unit,
				  strcmp(unit, "canceled") == 0 ? "canceled" : "done");
}

static int respond_list(sd_bus_message *m)
{
	static const char *const units[] = { "ended", "gone", "live" };
	sd_bus_message *answer = NULL;
	int r = sd_bus_message_new_method_return(m, &answer);

	if (r >= 0)
		r = sd_bus_message_open_container(answer, 'a', "(ssssssouso)");
	for (size_t i = 0; r >= 0 && i < LENGTH(units); i++) {
		char name[64], path[16];

		(void)snprintf(name, sizeof(name), UNIT("%zu"), i);
		(void)snprintf(path, sizeof(path), "/%s", units[i]);
		r = sd_bus_message_append(answer, "(ssssssouso)", name, "", "loaded",
					  "active", "running", "", path, 0, "", "/");
	}
	if (r >= 0)
		r = sd_bus_message_close_container(answer);
	if (r >= 0)
		r = sd_bus_send(NULL, answer, NULL);
	sd_bus_message_unref(answer);
	return r;
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *text, *property;
	int r = 1;

	(void)userdata;
	(void)error;
	if (sd_bus_message_is_method_call(m, NULL, "Get")) {
		ck_assert_int_gt(sd_bus_message_read(m, "ss", &text, &property), 0);
		r = respond_get(m, sd_bus_message_get_path(m) + 1, property);
	} else if (sd_bus_message_is_method_call(m, NULL, "StopUnit")) {
		ck_assert_int_gt(sd_bus_message_read(m, "s", &text), 0);
		r = respond_stop(m, text);
	} else if (sd_bus_message_is_method_call(m, NULL, "ListUnitsByPatterns")) {
		r = respond_list(m);
	} else if (sd_bus_message_is_method_call(m, NULL, "Subscribe")) {
		r = sd_bus_reply_method_return(m, NULL);
	}
	return r < 0 ? r : 1; /* the suite may have closed the connection */
}

static void manage(int fd)
{
	sd_bus *bus;

	ck_assert_int_ge(sd_bus_new(&bus), 0);
	ck_assert_int_ge(sd_bus_set_fd(bus, fd, fd), 0);
	ck_assert_int_ge(sd_bus_set_server(bus, true,
					   SD_ID128_MAKE(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
							 0, 0, 0, 0, 1)),
			 0);
	ck_assert_int_ge(sd_bus_set_anonymous(bus, true), 0);
	ck_assert_int_ge(sd_bus_set_sender(bus, "org.freedesktop.systemd1"), 0);
	ck_assert_int_ge(sd_bus_start(bus), 0);
	ck_assert_int_ge(sd_bus_add_filter(bus, NULL, on_call, NULL), 0);
	for (int r = 1; r >= 0;)
		if ((r = sd_bus_process(bus, NULL)) == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
	sd_bus_unref(bus);
}

static pid_t manager;

static sd_bus *begin(void)
{
	sd_bus *bus;
	int ends[2];

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
		0);
	manager = fork();
	if (manager == 0) {
		(void)close(ends[0]);
		manage(ends[1]);
		_exit(0);
	}
	(void)close(ends[1]);
	ck_assert_int_ge(sd_bus_new(&bus), 0);
	ck_assert_int_ge(sd_bus_set_fd(bus, ends[0], ends[0]), 0);
	ck_assert_int_ge(sd_bus_set_anonymous(bus, true), 0);
	ck_assert_int_ge(sd_bus_start(bus), 0);
	return bus;
}

static void end(sd_bus *bus)
{
	int status;

	sd_bus_flush_close_unref(bus);
	ck_assert_int_eq(waitpid(manager, &status, 0), manager);
	ck_assert_int_eq(status, 0);
}

/* ---- properties */

START_TEST(a_unit_that_is_gone_is_no_error_but_a_manager_that_does_not_respond_is)
{
	uint64_t since = 5;
	struct systemd_get gets[] = {
		{ "/gone", SYSTEMD_UNIT, "ActiveEnterTimestamp", 't', &since },
		{ "/stalled", SYSTEMD_UNIT, "ActiveEnterTimestamp", 't', &since },
	};
	sd_bus *bus = begin();

	ck_assert_int_eq(systemd_read(bus, gets, 1), 0);
	ck_assert_uint_eq(since, 5);
	ck_assert_int_eq(systemd_read(bus, gets, 2), -EBUSY);
	end(bus);
}
END_TEST

START_TEST(a_session_that_ends_while_it_is_read_is_not_listed)
{
	struct sessions s = { 0 };
	sd_bus *bus = begin();

	ck_assert_int_eq(sessions_read(bus, SESSIONS_ALL, false, &s), 0);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_str_eq(s.session[0].id, "4711");
	sessions_done(&s);
	end(bus);
}
END_TEST

/* ---- stopping */

struct told {
	char text[64];
};

static void on_stop(void *userdata, size_t i, int result)
{
	struct told *told = userdata;
	size_t used = strlen(told->text);

	(void)snprintf(told->text + used, sizeof(told->text) - used, "%zu:%d ", i,
		       result);
}

/* The result of systemd_stop(), after it has told this of each; NULL: whatever it has told. */
static int stop(sd_bus *bus, const char *first, const char *second,
		const struct systemd_wait *wait, const char *expected)
{
	char first_path[32], second_path[32];
	const struct systemd_unit one = { (char *)first, first_path, NULL };
	const struct systemd_unit two = { (char *)second, second_path, NULL };
	const struct systemd_unit *const units[] = { &one, &two };
	struct told told = { "" };
	int r;

	(void)snprintf(first_path, sizeof(first_path), "/%s", first);
	(void)snprintf(second_path, sizeof(second_path), "/%s", second);
	r = systemd_stop(bus, units, LENGTH(units), wait, on_stop, &told);
	if (expected)
		ck_assert_str_eq(told.text, expected);
	return r;
}

static const struct systemd_wait unlimited = { -1, CLOCK_INFINITY };

START_TEST(only_a_unit_that_was_active_is_said_to_be_stopped)
{
	sd_bus *bus = begin();

	ck_assert_int_eq(stop(bus, "live", "ended", &unlimited, "0:1 1:0 "), 0);
	ck_assert_int_eq(stop(bus, "gone", "live", &unlimited, "0:0 1:1 "), 0);
	end(bus);
}
END_TEST

START_TEST(what_was_stopped_is_known_if_the_next_cannot_be_stopped)
{
	sd_bus *bus = begin();
	char expected[32];

	(void)snprintf(expected, sizeof(expected), "0:1 1:%d ", -EACCES);
	ck_assert_int_eq(stop(bus, "live", "denied", &unlimited, expected), -EACCES);
	end(bus);
}
END_TEST

START_TEST(a_job_that_fails_is_an_error)
{
	sd_bus *bus = begin();

	ck_assert_int_eq(stop(bus, "canceled", "live", &unlimited, "0:1 1:1 "),
			 -EREMOTEIO);
	ck_assert_int_eq(stop(bus, "canceled", "live", NULL, "0:1 1:1 "), 0);
	end(bus);
}
END_TEST

START_TEST(the_wait_for_a_job_ends_with_its_time_or_a_signal)
{
	struct systemd_wait wait = { -1, clock_ms() + 50 };
	sd_bus *bus = begin();
	int ends[2];

	ck_assert_int_eq(stop(bus, "live", "stuck", &wait, NULL), -ETIMEDOUT);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "", 1), 1);
	wait = (struct systemd_wait){ ends[0], CLOCK_INFINITY };
	ck_assert_int_eq(stop(bus, "live", "stuck", &wait, NULL), -ECANCELED);
	(void)close(ends[0]);
	(void)close(ends[1]);
	end(bus);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_systemd");
	TCase *t = tcase_create("ctl_systemd");

	suite_add_tcase(suite, t);
	tcase_add_test(
		t,
		a_unit_that_is_gone_is_no_error_but_a_manager_that_does_not_respond_is);
	tcase_add_test(t, a_session_that_ends_while_it_is_read_is_not_listed);
	tcase_add_test(t, only_a_unit_that_was_active_is_said_to_be_stopped);
	tcase_add_test(t, what_was_stopped_is_known_if_the_next_cannot_be_stopped);
	tcase_add_test(t, a_job_that_fails_is_an_error);
	tcase_add_test(t, the_wait_for_a_job_ends_with_its_time_or_a_signal);
	return suite_run(suite);
}
