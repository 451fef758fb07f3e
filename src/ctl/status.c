/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl status`: the sockets and how full they are, sessions, the check of all it needs. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ctl/gate.h"
#include "ctl/memory.h"
#include "ctl/sessions.h"
#include "ctl/sockets.h"
#include "ctl/status_session.h"
#include "ctl/table.h"
#include "ctl/terminal.h"
#include "ctl/text.h"
#include "ctl/timestamp.h"

struct overview {
	struct sockets kinds[SOCKETS_KINDS];
	size_t connections, sessions;
	size_t earlier;        /* connections of a program from before the installation */
	uint64_t installed_us; /* 0: not known */
	struct gate_report report;
	int check_error; /* 0: the report is there */
};

/* ---- reading */

/* Renaming a new program into its place sets its ctime. */
static uint64_t installed_us(const struct ctl *o)
{
	char program[PATH_MAX];
	struct stat st;

	if (gate_program(o, program) < 0 || stat(program, &st) < 0)
		return 0;
	return timestamp_us(st.st_ctim);
}

static int read_connections(sd_bus *bus, struct overview *v)
{
	struct sessions s = { 0 };
	int r = sessions_read(bus, SESSIONS_ALL, false, &s);

	v->connections = s.n;
	v->sessions = v->earlier = 0;
	for (size_t i = 0; i < s.n; i++) {
		v->sessions += s.session[i].is_session;
		v->earlier += s.session[i].since_us < v->installed_us;
	}
	sessions_done(&s);
	return r;
}

static int read_units(sd_bus *bus, void *userdata)
{
	struct overview *v = userdata;
	int r;

	sockets_done(v->kinds); /* of an earlier call */
	r = sockets_installed(bus);
	if (r == 0)
		r = sockets_read(bus, v->kinds);
	return r == 0 ? read_connections(bus, v) : r;
}

static int overview_read(const struct ctl *o, struct overview *ret)
{
	sd_bus *bus = NULL;
	int r = systemd_open(o->user, &bus);

	*ret = (struct overview){ .installed_us = installed_us(o) };
	if (r == 0)
		r = systemd_again(o->user, &bus, NULL, read_units, ret);
	sd_bus_flush_close_unref(bus);
	if (r == 0)
		ret->check_error = gate_check(o, GATE_CHECK_ALL, &ret->report);
	return r;
}

/* ---- for people */

#define NEAR 80 /* per cent of a limit, to be shown in colour */

static void print_kind(const struct sockets *k, bool colour)
{
	bool near = k->fullest_limit > 0 && 100 * k->fullest >= NEAR * k->fullest_limit;

	(void)printf("%24s: ", k->umbrella);
	if (k->listening == 0) {
		(void)printf("does not listen (%s)\n",
			     k->active ? k->active : "inactive");
		return;
	}
	(void)printf("listens on %s, %zu of %zu sockets\n", k->listen ? k->listen : "-",
		     k->listening, k->n);
	(void)printf("%26s%" PRIu64 " of at most %" PRIu64
		     " connections; %sfullest socket: "
		     "%" PRIu64 " of %" PRIu64 "%s\n",
		     "", k->open, k->limit, near && colour ? "\x1b[0;33m" : "",
		     k->fullest, k->fullest_limit, near && colour ? "\x1b[0m" : "");
	(void)printf("%26s%" PRIu64 " accepted, %" PRIu64 " refused at a limit\n", "",
		     k->accepted, k->refused);
}

static void print_overview(const struct overview *v)
{
	bool colour = terminal_has_colour(), good = sockets_listen(v->kinds);
	size_t others = v->connections - v->sessions;
	char installed[TEXT_MAX];

	(void)printf("%s%s%s novnc-gate - %s\n",
		     !colour ? ""
		     : good  ? "\x1b[0;1;32m"
			     : "\x1b[0;1;31m",
		     !text_is_utf8() ? "*"
		     : good          ? "\xe2\x97\x8f"
				     : "\xe2\x97\x8b",
		     colour ? "\x1b[0m" : "",
		     good ? "accepts connections" : "accepts no new connections");
	for (size_t i = 0; i < SOCKETS_KINDS; i++)
		if (i == 0 || v->kinds[i].active || v->kinds[i].n > 0)
			print_kind(&v->kinds[i], colour);
	(void)printf("%24s: %zu session%s, %zu other connection%s\n", "open", v->sessions,
		     v->sessions == 1 ? "" : "s", others, others == 1 ? "" : "s");
	text_time_long(v->installed_us, installed);
	if (v->installed_us > 0)
		(void)printf("%24s: %s; connections that run an earlier version: %zu\n",
			     "installed", installed, v->earlier);
	(void)putchar('\n');
	if (v->check_error == 0)
		gate_report_write(&v->report);
}

/* ---- JSON */

static json_t *json_kind(const struct sockets *k)
{
	return json_pack("{s:s, s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "unit", k->umbrella, "state", k->active ? k->active : "inactive",
			 "listen", k->listen, "sockets", (json_int_t)k->n, "listening",
			 (json_int_t)k->listening, "connections", (json_int_t)k->open,
			 "limit", (json_int_t)k->limit, "fullest", (json_int_t)k->fullest,
			 "fullest_limit", (json_int_t)k->fullest_limit, "accepted",
			 (json_int_t)k->accepted, "refused", (json_int_t)k->refused);
}

static json_t *json_if(bool known, uint64_t value)
{
	return known ? json_integer((json_int_t)value) : json_null();
}

static void print_json(const struct ctl *o, const struct overview *v)
{
	json_t *kinds = json_array();

	for (size_t i = 0; i < SOCKETS_KINDS; i++)
		(void)json_array_append_new(kinds, json_kind(&v->kinds[i]));
	table_print_json(o->json,
			 json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "units", kinds,
				   "sessions", (json_int_t)v->sessions, "connections",
				   (json_int_t)v->connections, "earlier",
				   json_if(v->installed_us > 0, v->earlier), "installed",
				   json_if(v->installed_us > 0, v->installed_us), "check",
				   v->check_error < 0
					   ? json_null()
					   : gate_report_json(&v->report, o->verbose)));
}

int ctl_status(const struct ctl *o, char *args[])
{
	struct overview v;
	int r, code;

	if (args[0])
		return status_sessions(o, args);
	r = overview_read(o, &v);
	code = sockets_listen(v.kinds) ? EXIT_SUCCESS : CTL_NOT_ACTIVE;
	if (r < 0) {
		(void)fprintf(stderr, "Cannot read the status: %s\n",
			      systemd_strerror(r));
		code = r == -ENOPKG ? CTL_NO_SUCH : EXIT_FAILURE;
	} else if (o->json != CTL_JSON_OFF) {
		print_json(o, &v);
	} else {
		terminal_pager_open(o->pager);
		print_overview(&v);
	}
	if (v.check_error < 0)
		(void)fprintf(stderr, "Cannot run novnc-gate --check: %s\n",
			      strerror(-v.check_error));
	gate_report_done(&v.report);
	sockets_done(v.kinds);
	return code;
}
