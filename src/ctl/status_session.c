/* SPDX-License-Identifier: MIT */
#include "ctl/status_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/entries.h"
#include "ctl/match.h"
#include "ctl/memory.h"
#include "ctl/table.h"
#include "ctl/terminal.h"
#include "ctl/text.h"

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- the journal */

static void print_entries(const struct entries *e)
{
	if (e->n > 0)
		(void)putchar('\n');
	for (size_t i = 0; i < e->n; i++) {
		char time[TEXT_MAX];

		text_time(e->entry[i].time_us, time);
		(void)printf("%s %s[%s]: %s\n", time, e->entry[i].program,
			     e->entry[i].pid, e->entry[i].message);
	}
	if (e->n == 0 && geteuid() != 0)
		(void)printf("\nThe journal shows no entries to this user; see "
			     "journalctl(1).\n");
}

static json_t *json_entries(const struct entries *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->n; i++) {
		const struct entry *one = &e->entry[i];
		json_t *object =
			json_pack("{s:I, s:s, s:s}", "time", (json_int_t)one->time_us,
				  "program", one->program, "message_id", one->id);

		/* no UTF-8: null */
		(void)json_object_set_new(object, "message",
					  json_string(one->message) ?: json_null());
		(void)json_array_append_new(list, object);
	}
	return list;
}

/* ---- one session */

static void print_lines(const struct session *s)
{
	char since[TEXT_MAX], ago[TEXT_MAX], up[TEXT_MAX], down[TEXT_MAX], idle[TEXT_MAX];
	bool colour = terminal_has_colour();

	text_time_long(s->since_us, since);
	text_span((now_us() - s->since_us) / 1000, ago);
	(void)printf("%s%s%s %s - %s\n", colour ? "\x1b[0;1;32m" : "", "\xe2\x97\x8f",
		     colour ? "\x1b[0m" : "", s->id ? s->id : s->client,
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

static json_t *json_session(const struct session *s)
{
	json_t *o =
		json_pack("{s:s?, s:s?, s:s, s:I, s:s, s:s?}", "session", s->id, "user",
			  s->user, "client", s->client, "since", (json_int_t)s->since_us,
			  "unit", s->unit.name, "invocation", s->invocation);

	(void)json_object_set_new(o, "open", json_true());
	(void)json_object_set_new(o, "idle",
				  s->counted ? json_integer((json_int_t)s->idle_ms)
					     : json_null());
	(void)json_object_set_new(
		o, "up", s->counted ? json_integer((json_int_t)s->up) : json_null());
	(void)json_object_set_new(
		o, "down", s->counted ? json_integer((json_int_t)s->down) : json_null());
	return o;
}

/* Prints it, or appends it to the list for JSON. */
static int show_open(const struct ctl *o, const struct session *s, json_t *list)
{
	struct entries entries;
	int r = entries_read(s->invocation ? s->invocation : "-", NULL, o->lines,
			     &entries);
	json_t *object;

	if (list) {
		object = json_session(s);
		(void)json_object_set_new(object, "entries", json_entries(&entries));
		(void)json_array_append_new(list, object);
	} else {
		print_lines(s);
		print_entries(&entries);
	}
	entries_done(&entries);
	return r;
}

/* A session that has ended is known to the journal only. Returns the exit code. */
static int show_ended(const struct ctl *o, const char *id, json_t *list)
{
	struct entries entries;
	bool known;

	(void)entries_read(NULL, id, o->lines > 0 ? o->lines : 1, &entries);
	known = entries.n > 0;
	if (!known)
		(void)fprintf(stderr, "No session matches %s\n", id);
	else if (list)
		(void)json_array_append_new(list, json_pack("{s:s, s:b, s:o}", "session",
							    id, "open", 0, "entries",
							    json_entries(&entries)));
	else
		(void)printf("\xe2\x97\x8b %s - noVNC session, not open\n", id);
	if (known && !list)
		print_entries(&entries);
	entries_done(&entries);
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
		if (match_sessions(s, *words, marked) == MATCH_NONE) {
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
		(void)show_open(o, &s->session[i],
				list); /* at least what is not in the journal */
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
		r = sessions_read(bus, SESSIONS_ALL, true, &s);
	if (r < 0) {
		(void)fprintf(stderr, "Cannot read the sessions: %s\n",
			      systemd_strerror(r));
		json_decref(list);
	} else {
		if (!list)
			terminal_pager_open(o->pager);
		code = show_all(o, &s, words, list);
		if (list && !table_print_json(o->json, list))
			code = EXIT_FAILURE;
	}
	sessions_done(&s);
	sd_bus_flush_close_unref(bus);
	return fflush(stdout) == 0 ? code : EXIT_FAILURE;
}
