/* SPDX-License-Identifier: MIT */
#include "ctl/status_session.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/entries.h"
#include "ctl/events.h"
#include "ctl/match.h"
#include "ctl/memory.h"
#include "ctl/session_table.h"
#include "ctl/terminal.h"
#include "ctl/text.h"
#include "ctl/timestamp.h"

/* ---- the journal */

/* If it cannot be read, there is at least what systemd knows. */
static void read_entries(const struct ctl *o, const char *invocation, const char *session,
			 size_t most, struct entries *ret)
{
	int r = entries_read(o->user, invocation, session, most, ret);

	if (r < 0)
		(void)fprintf(stderr, "Cannot read the journal: %s\n", strerror(-r));
}

static void print_entry(const struct entry *e)
{
	char time[TEXT_MAX], *by = entry_by(e);
	/* everybody can write such an entry, with any name */
	bool other = event_kind(e) == EVENT_DISCONNECT && strcmp(by, e->by) != 0;

	text_time(e->time_us, time);
	(void)printf("%s %s[%s]: %s%s%s%s\n", time, e->program, e->pid, e->message,
		     other ? " (written by user " : "", other ? by : "",
		     other ? ")" : "");
	free(by);
}

static void print_entries(const struct ctl *o, const struct entries *e)
{
	if (o->lines == 0)
		return;
	if (e->n > 0)
		(void)putchar('\n');
	for (size_t i = 0; i < e->n; i++)
		print_entry(&e->entry[i]);
	if (e->n == 0 && !entries_are_readable())
		(void)puts("\n" ENTRIES_HINT);
}

static json_t *json_entries(const struct ctl *o, const struct entries *e)
{
	json_t *list = json_array();

	for (size_t i = 0; o->lines > 0 && i < e->n; i++) {
		const struct entry *one = &e->entry[i];

		(void)json_array_append_new(
			list, json_pack("{s:I, s:o, s:o, s:o, s:o}", "time",
					(json_int_t)one->time_us, "program",
					table_json_text(one->program), "uid",
					table_json_text(one->uid), "message_id",
					table_json_text(one->id), "message",
					table_json_text(one->message)));
	}
	return list;
}

/* ---- one session */

static void print_lines(const struct session *s)
{
	char since[TEXT_MAX], ago[TEXT_MAX], up[TEXT_MAX], down[TEXT_MAX], idle[TEXT_MAX];
	bool colour = terminal_has_colour();

	text_time_long(s->since_us, since);
	text_span(timestamp_ago_ms(s->since_us), ago);
	(void)printf("%s%s%s %s - %s\n", colour ? "\x1b[0;1;32m" : "",
		     text_is_utf8() ? "\xe2\x97\x8f" : "*", colour ? "\x1b[0m" : "",
		     s->id ? s->id : s->client,
		     s->is_session ? "noVNC session" : "connection of novnc-gate");
	(void)printf("      Since: %s; %s ago\n", since, ago);
	(void)printf("       User: %s\n", s->user ? s->user : "-");
	(void)printf("     Client: %s\n", s->client);
	if (s->counted) {
		text_span(s->idle_ms, idle);
		text_bytes(s->up, up);
		text_bytes(s->down, down);
		(void)printf("       Idle: %s\n      Bytes: %s up, %s down\n", idle, up,
			     down);
	}
	(void)printf("       Unit: %s\n", s->unit.name);
	(void)printf(" Invocation: %s\n", s->invocation ? s->invocation : "-");
}

/* An object with the columns of list. */
static json_t *json_session(struct session *s)
{
	const struct sessions one = { s, 1 };
	struct table t;
	json_t *rows, *row;

	session_table(&one, &t);
	rows = table_json(&t);
	row = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	table_done(&t);
	(void)json_object_set_new(row, "open", json_true());
	return row;
}

/* Prints it, or appends it to the list for JSON. */
static void show_open(const struct ctl *o, struct session *s, json_t *list)
{
	struct entries entries;
	json_t *object;

	read_entries(o, s->invocation ? s->invocation : "-", NULL, o->lines, &entries);
	if (list) {
		object = json_session(s);
		(void)json_object_set_new(object, "entries", json_entries(o, &entries));
		(void)json_array_append_new(list, object);
	} else {
		print_lines(s);
		print_entries(o, &entries);
	}
	entries_done(&entries);
}

/* How a session has ended, if the gate could not say it any more. */
static void print_ended(const char *id, const struct entry *last)
{
	(void)printf("%s %s - noVNC session, not open",
		     text_is_utf8() ? "\xe2\x97\x8b" : "*", id);
	if (event_kind(last) == EVENT_KILLED)
		(void)printf(": %s", last->reason);
	if (event_kind(last) == EVENT_PROXYING)
		(void)printf(": it ended at an unknown time, without a closing entry");
	(void)putchar('\n');
}

/* A session that has ended is known to the journal only. Returns the exit code. */
static int show_ended(const struct ctl *o, const char *word, json_t *list)
{
	struct entries entries;
	char *id = match_cut(word);
	const char *shown = *id ? id : "''";
	bool known;

	/* one is enough to know that it was there */
	read_entries(o, NULL, id, o->lines > 0 ? o->lines : 1, &entries);
	known = entries.n > 0;
	if (!known && !entries_are_readable())
		(void)fprintf(stderr, "No open session matches %s. " ENTRIES_HINT "\n",
			      shown);
	else if (!known)
		(void)fprintf(stderr, "No session matches %s\n", shown);
	else if (list)
		(void)json_array_append_new(list, json_pack("{s:s, s:b, s:o}", "session",
							    id, "open", 0, "entries",
							    json_entries(o, &entries)));
	else
		print_ended(id, &entries.entry[entries.n - 1]);
	if (known && !list)
		print_entries(o, &entries);
	entries_done(&entries);
	free(id);
	return known ? CTL_NOT_ACTIVE : CTL_NO_SUCH;
}

/* ---- all that are named */

static int show_all(const struct ctl *o, const struct sessions *s, char *words[],
		    json_t *list)
{
	bool *marked = memory_array(NULL, s->n, sizeof(*marked)), first = true;
	int code = EXIT_SUCCESS;

	memset(marked, 0, s->n * sizeof(*marked));
	for (; *words; words++)
		if (match_sessions(s, *words, false, marked) == MATCH_NONE) {
			int ended = show_ended(o, *words, list);

			code = ended > code ? ended : code;
			first = false;
		}
	for (size_t i = 0; i < s->n; i++) {
		if (!marked[i])
			continue;
		if (!first && !list)
			(void)putchar('\n');
		first = false;
		show_open(o, &s->session[i], list);
	}
	free(marked);
	return code;
}

int status_sessions(const struct ctl *o, char *words[])
{
	struct sessions s = { 0 };
	sd_bus *bus = NULL;
	json_t *list = o->json != CTL_JSON_OFF ? json_array() : NULL;
	int r = systemd_open(o->user, &bus), code = EXIT_FAILURE;

	if (r == 0)
		r = sessions_read_again(o->user, &bus, NULL, SESSIONS_ALL, true, &s);
	if (r < 0) {
		(void)fprintf(stderr, "Cannot read the sessions: %s\n",
			      systemd_strerror(r));
		json_decref(list);
	} else {
		if (!list)
			terminal_pager_open(o->pager);
		code = show_all(o, &s, words, list);
		if (list)
			table_print_json(o->json, list);
	}
	sessions_done(&s);
	sd_bus_flush_close_unref(bus);
	return code;
}
