/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl list`: the open sessions. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/session_table.h"
#include "ctl/table.h"
#include "ctl/terminal.h"
#include "ctl/text.h"

static void footer(const struct ctl *o, size_t n)
{
	const char *what = o->all ? "connection" : "session";

	if (n == 0)
		(void)printf("No %ss are open.\n", what);
	else
		(void)printf("\n%zu %s%s open.\n", n, what, n == 1 ? "" : "s");
}

static void print(const struct ctl *o, const struct sessions *s, unsigned rows)
{
	const struct table_style style = {
		.legend = o->legend && s->n > 0,
		.colour = terminal_has_colour(),
		.utf8 = text_is_utf8(),
		.columns = o->full ? 0 : terminal_columns(),
		.rows = rows,
	};
	struct table t;

	session_table(s, &t);
	if (o->json != CTL_JSON_OFF) {
		table_print_json(o->json, table_json(&t));
	} else {
		terminal_pager_open(o->pager && o->watch_ms == 0);
		table_write(&t, &style, stdout);
		if (o->legend)
			footer(o, s->n);
	}
	table_done(&t);
	(void)fflush(stdout); /* main() looks for errors */
}

#define CLEAR "\x1b[H\x1b[J" /* from the upper left corner on */

static void redraw(const struct ctl *o, const struct sessions *s)
{
	bool screen = o->json == CTL_JSON_OFF && terminal_columns() > 0;
	unsigned rows = terminal_rows();

	if (screen)
		(void)fputs(CLEAR, stdout);
	print(o, s, !screen ? 0 : rows > 4 ? rows - 3 : 1);
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
	bool invocations = o->json != CTL_JSON_OFF;
	struct sessions s = { 0 };
	sd_bus *bus = NULL;
	int r = systemd_open(o->user, &bus);

	(void)args;
	if (r == 0)
		r = sessions_read_again(o->user, &bus, NULL, which, invocations, &s);
	if (r == 0 && o->watch_ms == 0)
		print(o, &s, 0);
	while (r == 0 && o->watch_ms > 0 && !ferror(stdout)) {
		redraw(o, &s);
		wait_ms(o->watch_ms);
		r = sessions_read_again(o->user, &bus, NULL, which, invocations, &s);
	}
	if (r < 0)
		(void)fprintf(stderr, "Cannot list the sessions: %s\n",
			      systemd_strerror(r));
	sessions_done(&s);
	sd_bus_flush_close_unref(bus);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
