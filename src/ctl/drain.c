/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl drain`: stops the sockets, and waits until no connection is open. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/memory.h"
#include "ctl/session_table.h"
#include "ctl/sockets.h"
#include "ctl/terminal.h"

#define DRAIN_LOOK_MS 1000

/* ---- the sockets */

static void on_stop(void *userdata, size_t i, bool gone)
{
	(void)userdata;
	(void)i;
	(void)gone;
}

/* Stops those that are active, which stops their sockets. *ret has them: systemd_units_done(). */
static int stop_sockets(const struct ctl *o, sd_bus *bus, struct systemd_unit **ret)
{
	static const char *const states[] = { "active", NULL };
	const char *names[SOCKETS_KINDS];
	int n = systemd_units(bus, sockets_umbrellas, states, ret), r;

	for (int i = 0; i < n; i++)
		names[i] = (*ret)[i].name;
	if (n <= 0)
		return n;
	r = systemd_stop(bus, names, (size_t)n, true, on_stop, NULL);
	if (r < 0) {
		systemd_units_done(*ret, n);
		*ret = NULL;
		return r;
	}
	for (int i = 0; o->json == CTL_JSON_OFF && i < n; i++)
		(void)printf("Stopped %s: no new connections are accepted.\n", names[i]);
	return n;
}

static void print_start(const struct ctl *o, const struct systemd_unit *stopped, int n)
{
	(void)printf("The sockets stay stopped. To start them:\n    systemctl %sstart",
		     o->user ? "--user " : "");
	for (int i = 0; i < n; i++)
		(void)printf(" %s", stopped[i].name);
	(void)printf("%s\n", n == 0 ? " novnc-gate.service" : "");
}

/* ---- who is left */

static void print_left(const struct ctl *o, const struct sessions *s)
{
	const struct table_style style = {
		.legend = o->legend,
		.colour = terminal_has_colour(),
		.columns = o->full ? 0 : terminal_columns(),
	};
	struct table t;

	session_table(s, &t);
	if (o->json != CTL_JSON_OFF)
		table_print_json(o->json, table_json(&t));
	else if (s->n > 0)
		table_write(&t, &style, stdout);
	table_done(&t);
}

static void print_count(size_t n)
{
	if (n == 0)
		(void)printf("No connection is open");
	else
		(void)printf("%zu connection%s open", n, n == 1 ? " is" : "s are");
}

/* One line, with those that have ended, if any have. */
static void print_change(const struct sessions *before, const struct sessions *now)
{
	size_t ended = 0;

	for (size_t i = 0; i < before->n; i++) {
		const struct session *s = &before->session[i];

		if (sessions_find(now, s->unit.name))
			continue;
		if (ended++ == 0)
			print_count(now->n);
		(void)printf("%s%s", ended == 1 ? ": " : ", ", s->id ? s->id : s->client);
	}
	if (ended > 0)
		(void)printf(" %s ended.\n", ended == 1 ? "has" : "have");
	(void)fflush(stdout);
}

/* The units' names, for print_change(), because the next sessions_read() takes the rest. */
static struct sessions copy_names(const struct sessions *s)
{
	struct sessions copy = { memory_array(NULL, s->n, sizeof(*s->session)), s->n };

	for (size_t i = 0; i < s->n; i++) {
		const struct session *one = &s->session[i];

		copy.session[i] = (struct session){
			.unit.name = memory_copy(slice_str(one->unit.name)),
			.id = one->id ? memory_copy(slice_str(one->id)) : NULL,
			.client = memory_copy(slice_str(one->client)),
		};
	}
	return copy;
}

/* ---- waiting */

/* Returns a descriptor that is readable after Ctrl-C or SIGTERM. */
static int signals_open(void)
{
	sigset_t set;

	(void)sigemptyset(&set); /* these cannot fail with these arguments */
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* 0: none is left; -ETIMEDOUT, -ECANCELED (a signal), or another -errno. */
static int wait_for_end(const struct ctl *o, sd_bus *bus, int sigfd, struct sessions *s)
{
	uint64_t end_ms = clock_deadline_ms(clock_ms(), o->timeout_ms);
	int r = 0;

	while (r == 0 && s->n > 0) {
		struct pollfd signal = { .fd = sigfd };
		uint64_t now_ms = clock_ms(), look_ms = now_ms + DRAIN_LOOK_MS;
		struct sessions before;

		if (now_ms >= end_ms)
			return -ETIMEDOUT;
		r = clock_wait(&signal, 1, now_ms, look_ms < end_ms ? look_ms : end_ms);
		if (r != -ETIMEDOUT)
			break;
		before = copy_names(s);
		r = sessions_read(bus, SESSIONS_ALL, false, s);
		if (r == 0 && o->json == CTL_JSON_OFF)
			print_change(&before, s);
		sessions_done(&before);
	}
	return r;
}

static int drain(const struct ctl *o, sd_bus *bus, int sigfd, struct sessions *s)
{
	struct systemd_unit *stopped = NULL;
	int n = stop_sockets(o, bus, &stopped);
	int r = n < 0 ? n : sessions_read(bus, SESSIONS_ALL, false, s);
	bool text = o->json == CTL_JSON_OFF;

	if (r == 0 && text) {
		if (n == 0)
			(void)puts("No socket listens.");
		print_left(o, s);
		print_count(s->n);
		(void)puts(".");
		(void)fflush(stdout);
	}
	if (r == 0)
		r = wait_for_end(o, bus, sigfd, s);
	if (text && (r == -ETIMEDOUT || r == -ECANCELED)) {
		(void)fputs(r == -ETIMEDOUT ? "The time is over: " : "Interrupted: ",
			    stdout);
		print_count(s->n);
		(void)puts(".");
	}
	if (n < 0)
		return r;
	if (text)
		print_start(o, stopped, n);
	else
		print_left(o, s);
	systemd_units_done(stopped, n);
	return r;
}

int ctl_drain(const struct ctl *o, char *args[])
{
	AUTO_FD int sigfd = signals_open();
	struct sessions s = { 0 };
	sd_bus *bus = NULL;
	int r = systemd_open(o->user, &bus);

	(void)args;
	if (r == 0)
		r = drain(o, bus, sigfd, &s);
	if (r < 0 && r != -ETIMEDOUT && r != -ECANCELED)
		(void)fprintf(stderr, "Cannot drain: %s\n", systemd_strerror(r));
	sessions_done(&s);
	sd_bus_flush_close_unref(bus);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
