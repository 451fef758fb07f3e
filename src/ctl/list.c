/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl list`: the open sessions. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/session_table.h"
#include "ctl/table.h"
#include "ctl/terminal.h"

static void footer(const struct ctl *o, size_t n)
{
	const char *what = o->all ? "connection" : "session";

	if (n == 0)
		(void)printf("No %ss are open.\n", what);
	else
		(void)printf("\n%zu %s%s open.\n", n, what, n == 1 ? "" : "s");
}

static bool print(const struct ctl *o, const struct sessions *s, unsigned rows)
{
	const struct table_style style = {
		.legend = o->legend && s->n > 0,
		.colour = terminal_has_colour(),
		.columns = o->full ? 0 : terminal_columns(),
		.rows = rows,
	};
	struct table t;
	bool good = true;

	session_table(s, &t);
	if (o->json != CTL_JSON_OFF) {
		good = table_print_json(o->json, table_json(&t));
	} else {
		terminal_pager_open(o->pager && o->watch_ms == 0);
		(void)table_write(&t, &style, stdout);
		if (o->legend)
			footer(o, s->n);
	}
	table_done(&t);
	return fflush(stdout) == 0 && good;
}

/* Clears only what the new table does not overwrite, so that the screen does not flicker. */
#define HOME  "\x1b[H"
#define CLEAR "\x1b[J"

static bool redraw(const struct ctl *o, const struct sessions *s)
{
	bool screen = o->json == CTL_JSON_OFF && terminal_columns() > 0;

	if (!screen)
		return print(o, s, 0);
	(void)fputs(HOME CLEAR, stdout);
	return print(o, s, terminal_rows() > 4 ? terminal_rows() - 3 : 1);
}

static void wait_ms(uint64_t span_ms)
{
	struct pollfd none = { .fd = -1 };
	uint64_t now_ms = clock_ms();

	(void)clock_wait(&none, 1, now_ms, clock_deadline_ms(now_ms, span_ms));
}

int ctl_list(const struct ctl *o, char *args[])
{
	enum sessions_which which = o->all ? SESSIONS_ALL : SESSIONS_ONLY;
	struct sessions s = { 0 };
	sd_bus *bus = NULL;
	bool good = true;
	int r = systemd_open(o->user, &bus);

	(void)args;
	if (r == 0)
		r = sessions_read(bus, which, o->json != CTL_JSON_OFF, &s);
	if (r == 0 && o->watch_ms == 0)
		good = print(o, &s, 0);
	while (r == 0 && o->watch_ms > 0 && (good = redraw(o, &s))) {
		wait_ms(o->watch_ms);
		r = sessions_read(bus, which, o->json != CTL_JSON_OFF, &s);
	}
	if (r < 0)
		(void)fprintf(stderr, "Cannot list the sessions: %s\n",
			      systemd_strerror(r));
	sessions_done(&s);
	sd_bus_flush_close_unref(bus);
	return r < 0 || !good ? EXIT_FAILURE : EXIT_SUCCESS;
}
