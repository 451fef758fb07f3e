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
#include "ctl/text.h"

#define DRAIN_LOOK_MS 1000

/* ---- the sockets */

struct stopped {
	const struct ctl *options;
	const struct systemd_wait *wait;
	struct systemd_unit *unit; /* owned: those that were active */
	int n;                     /* of them */
	int kept;                  /* the first that could not be stopped; n: none */
};

static void on_stop(void *userdata, size_t i, int result)
{
	struct stopped *s = userdata;

	if (result < 0)
		s->kept = (int)i;
}

/* Stops the services of the sockets. s->unit is owned by the caller, also after a failure. */
static int stop_sockets(sd_bus *bus, void *userdata)
{
	struct stopped *s = userdata;
	static const char *const states[] = { "active", NULL };
	const struct systemd_unit *units[SOCKETS_KINDS];
	int n = s->unit ? s->n /* again */
			: systemd_units(bus, sockets_umbrellas, states, &s->unit);
	int r;

	if (n < 0)
		return n;
	s->n = s->kept = n;
	for (int i = 0; i < n; i++)
		units[i] = &s->unit[i];
	r = systemd_stop(bus, units, (size_t)n, s->wait, on_stop, s);
	for (int i = 0; s->options->json == CTL_JSON_OFF && r == 0 && i < n; i++)
		(void)printf("Stopped %s: no new connections are accepted.\n",
			     units[i]->name);
	return r;
}

static void print_start(const struct stopped *s)
{
	(void)printf("The sockets stay stopped. To start them:\n    systemctl %sstart",
		     s->options->user ? "--user " : "");
	for (int i = 0; i < s->kept; i++)
		(void)printf(" %s", s->unit[i].name);
	(void)printf("%s\n", s->n == 0 ? " novnc-gate.service" : "");
}

/* ---- who is left */

static void print_left(const struct ctl *o, const struct sessions *s)
{
	const struct table_style style = {
		.legend = o->legend,
		.colour = terminal_has_colour(),
		.utf8 = text_is_utf8(),
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

/* They are in the JSON only. */
static bool with_invocations(const struct ctl *o)
{
	return o->json != CTL_JSON_OFF;
}

/* Copies what print_change() needs, because the next sessions_read() frees or takes over *s. */
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
	/* the command that starts the sockets goes to a file, if nobody reads a pipe any more */
	(void)signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Reads them again, and prints who has ended. After a failure, *s has those that were open before. */
static int look_again(const struct ctl *o, sd_bus **bus, const struct systemd_wait *wait,
		      struct sessions *s)
{
	struct sessions before = copy_names(s);
	int r = sessions_read_again(o->user, bus, wait, SESSIONS_ALL, with_invocations(o),
				    s);

	if (r < 0) {
		*s = before;
		return r;
	}
	if (o->json == CTL_JSON_OFF)
		print_change(&before, s);
	sessions_done(&before);
	return 0;
}

/* 0: none is left; -ETIMEDOUT, -ECANCELED (a signal), or another -errno. */
static int wait_for_end(const struct ctl *o, sd_bus **bus,
			const struct systemd_wait *wait, struct sessions *s)
{
	int r = 0;

	while (r == 0 && s->n > 0) {
		struct pollfd signal = { .fd = wait->sigfd };
		uint64_t now_ms = clock_ms();

		if (now_ms >= wait->end_ms)
			return -ETIMEDOUT;
		r = clock_wait(&signal, 1, now_ms,
			       clock_earlier(now_ms + DRAIN_LOOK_MS, wait->end_ms));
		if (r != -ETIMEDOUT)
			break;
		r = look_again(o, bus, wait, s);
	}
	return r;
}

static int show_and_wait(const struct stopped *stopped, sd_bus **bus,
			 const struct systemd_wait *wait, struct sessions *s)
{
	const struct ctl *o = stopped->options;
	int r = sessions_read_again(o->user, bus, wait, SESSIONS_ALL, with_invocations(o),
				    s);

	if (r == 0 && o->json == CTL_JSON_OFF) {
		if (stopped->n == 0)
			(void)puts("No socket listens.");
		print_left(o, s);
		print_count(s->n);
		(void)puts(".");
		(void)fflush(stdout);
	}
	return r == 0 ? wait_for_end(o, bus, wait, s) : r;
}

/* The time is over, or there was a signal. */
static void print_end(int error, const struct sessions *s)
{
	(void)fputs(error == -ETIMEDOUT ? "The time is over: " : "Interrupted: ", stdout);
	print_count(s->n);
	(void)puts(".");
}

static bool is_end(int error)
{
	return error == -ETIMEDOUT || error == -ECANCELED;
}

static int look_for_units(sd_bus *bus, void *userdata)
{
	(void)userdata;
	return sockets_installed(bus);
}

static int drain(const struct ctl *o, sd_bus **bus, const struct systemd_wait *wait,
		 struct sessions *s)
{
	struct stopped stopped = { .options = o, .wait = wait };
	int r = systemd_again(o->user, bus, wait, stop_sockets, &stopped), error = 0;
	bool text = o->json == CTL_JSON_OFF;

	if (r == 0)
		r = show_and_wait(&stopped, bus, wait, s);
	else if (is_end(r))
		error = sessions_read(*bus, SESSIONS_ALL, with_invocations(o), s);
	r = error < 0 ? error : r;
	if (text && is_end(r))
		print_end(r, s);
	if (text && (r == 0 || is_end(r) || stopped.kept > 0))
		print_start(&stopped);
	if (!text && (r == 0 || is_end(r)))
		print_left(o, s);
	systemd_units_done(stopped.unit, stopped.n);
	return r;
}

int ctl_drain(const struct ctl *o, char *args[])
{
	const struct systemd_wait wait = {
		.sigfd = signals_open(),
		.end_ms = clock_deadline_ms(clock_ms(), o->timeout_ms),
	};
	struct sessions s = { 0 };
	sd_bus *bus = NULL;
	int r = systemd_open(o->user, &bus);

	(void)args;
	if (r == 0)
		r = systemd_again(o->user, &bus, &wait, look_for_units, NULL);
	if (r == 0)
		r = drain(o, &bus, &wait, &s);
	if (r < 0 && r != -ETIMEDOUT && r != -ECANCELED)
		(void)fprintf(stderr, "Cannot drain: %s\n", systemd_strerror(r));
	sessions_done(&s);
	sd_bus_flush_close_unref(bus);
	(void)close(wait.sigfd);
	return r == -ENOPKG ? CTL_NO_SUCH : r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
