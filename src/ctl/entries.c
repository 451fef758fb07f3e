/* SPDX-License-Identifier: MIT */
#include "ctl/entries.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "ctl/events.h"
#include "ctl/killed.h"
#include "ctl/memory.h"
#include "ctl/writer.h"

/* ---- the last ones of a connection or session */

static int select_session(sd_journal *j, bool user, const char *session)
{
	int r = entry_match(j, "NOVNC_GATE_SESSION", session);

	if (r >= 0)
		r = writer_gate(j, user);
	if (r >= 0)
		r = sd_journal_add_disjunction(j);
	if (r >= 0)
		r = entry_match(j, "NOVNC_GATE_SESSION", session);
	if (r >= 0)
		r = entry_match(j, "MESSAGE_ID", EVENT_DISCONNECT_ID);
	return r < 0 ? r : writer_administrator(j, user);
}

static int select_connection(sd_journal *j, const char *invocation)
{
	int r = entry_match(j, "_SYSTEMD_INVOCATION_ID", invocation);

	if (r >= 0)
		r = sd_journal_add_disjunction(j);
	return r < 0 ? r : entry_match(j, "NOVNC_GATE_INVOCATION", invocation);
}

/* The last one says that the session is open: appends systemd's entry about its end, if there is one. */
static int append_killed(bool user, size_t most, struct entries *e)
{
	struct killed k = { .user = user };
	struct entry killed;
	int r = e->n > 0 && event_kind(&e->entry[e->n - 1]) == EVENT_PROXYING
			? killed_find(&k, e->entry[e->n - 1].invocation, &killed)
			: 0;

	killed_done(&k);
	if (r <= 0)
		return r;
	if (e->n == most) {
		entry_done(&e->entry[0]);
		memmove(e->entry, e->entry + 1, --e->n * sizeof(*e->entry));
	}
	e->entry = memory_array(e->entry, e->n + 1, sizeof(*e->entry));
	e->entry[e->n++] = killed;
	return 0;
}

int entries_read(bool user, const char *invocation, const char *session, size_t most,
		 struct entries *ret)
{
	sd_journal *j = NULL;
	int r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);

	*ret = (struct entries){ 0 };
	if (r >= 0)
		r = invocation ? select_connection(j, invocation)
			       : select_session(j, user, session);
	if (r >= 0)
		r = sd_journal_seek_tail(j);
	if (r >= 0 && most > 0)
		r = sd_journal_previous_skip(j, most);
	while (r > 0) {
		ret->entry = memory_array(ret->entry, ret->n + 1, sizeof(*ret->entry));
		entry_read(j, &ret->entry[ret->n++]);
		r = sd_journal_next(j);
	}
	sd_journal_close(j);
	if (r >= 0 && session)
		r = append_killed(user, most, ret);
	return r < 0 ? r : 0;
}

void entries_done(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		entry_done(&e->entry[i]);
	free(e->entry);
	*e = (struct entries){ 0 };
}

bool entries_are_readable(void)
{
	static const char *const directories[] = { "/var/log/journal",
						   "/run/log/journal" };
	char id[SD_ID128_STRING_MAX];
	sd_id128_t machine;
	bool denied = false;

	if (sd_id128_get_machine(&machine) < 0)
		return true;
	(void)sd_id128_to_string(machine, id);
	for (size_t i = 0; i < COUNT(directories); i++) {
		char *path = memory_print("%s/%s/system.journal", directories[i], id);

		denied = denied || (access(path, R_OK) < 0 && errno == EACCES);
		free(path);
	}
	return !denied;
}

/* ---- all of some kinds */

/* The kinds whose entries the gate itself does not write. */
#define KINDS_OF_OTHERS (1U << EVENT_DISCONNECT | 1U << EVENT_KILLED)

static int select_kinds(sd_journal *j, unsigned kinds)
{
	int r = 0;

	for (const struct event *e = events; r >= 0 && e->id; e++)
		if (kinds & 1U << e->kind)
			r = entry_match(j, "MESSAGE_ID", e->id);
	return r;
}

/* The entries of one kind, by another writer. */
static int select_others(sd_journal *j, const struct entries_query *q,
			 enum event_kind kind, int (*writer)(sd_journal *j, bool user))
{
	int r;

	if (!(q->kinds & 1U << kind))
		return 0;
	r = sd_journal_add_disjunction(j);
	if (r >= 0)
		r = select_kinds(j, 1U << kind);
	return r < 0 ? r : writer(j, q->user);
}

static int select_events(sd_journal *j, const struct entries_query *q)
{
	int r = writer_gate(j, q->user);

	if (r >= 0)
		r = select_kinds(j, q->kinds & ~KINDS_OF_OTHERS);
	if (r >= 0)
		r = select_others(j, q, EVENT_DISCONNECT, writer_administrator);
	return r < 0 ? r : select_others(j, q, EVENT_KILLED, writer_systemd);
}

/*
 * Goes to the first entry that is wanted. If the one with the cursor is not there any more, that is the first
 * one after it. Returns as sd_journal_next().
 */
static int go_on(sd_journal *j, const char *cursor)
{
	int r;

	if (!cursor) {
		r = sd_journal_seek_head(j);
		return r < 0 ? r : sd_journal_next(j);
	}
	r = sd_journal_seek_cursor(j, cursor);
	if (r >= 0)
		r = sd_journal_next(j);
	if (r > 0 && sd_journal_test_cursor(j, cursor) > 0)
		r = sd_journal_next(j);
	return r;
}

static bool is_late(sd_journal *j, uint64_t until_us)
{
	uint64_t time_us;

	return sd_journal_get_realtime_usec(j, &time_us) >= 0 && time_us > until_us;
}

/* Reads the entry, and calls on() unless it is about no session. Returns 0 or -errno. */
static int deliver(sd_journal *j, struct killed *killed,
		   void (*on)(void *userdata, const struct entry *e), void *userdata)
{
	struct entry e;
	int r = 1;

	entry_read(j, &e);
	if (event_kind(&e) == EVENT_KILLED)
		r = killed_complete(killed, &e);
	if (r > 0)
		on(userdata, &e);
	entry_done(&e);
	return r < 0 ? r : 0;
}

int entries_each(const struct entries_query *q,
		 void (*on)(void *userdata, const struct entry *e), void *userdata,
		 char **ret_cursor)
{
	struct killed killed = { .user = q->user };
	sd_journal *j = NULL;
	char *cursor = NULL;
	size_t n = 0;
	int r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);

	if (r >= 0)
		r = select_events(j, q);
	if (r >= 0)
		r = go_on(j, q->cursor);
	while (r > 0 && !is_late(j, q->until_us) && (q->most == 0 || n++ < q->most)) {
		r = deliver(j, &killed, on, userdata);
		free(cursor);
		cursor = NULL;
		if (r >= 0 && ret_cursor)
			r = sd_journal_get_cursor(j, &cursor);
		if (r >= 0)
			r = sd_journal_next(j);
	}
	sd_journal_close(j);
	killed_done(&killed);
	if (ret_cursor)
		*ret_cursor = cursor;
	return r < 0 ? r : q->most > 0 && n > q->most;
}
